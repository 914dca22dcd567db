"""Who moves about in a layout: enemies spread over the map, and the platforms that were built."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from worldmodel.board import Board
from worldmodel.constants import MAX_ENEMIES, MAX_PLATFORMS, MOVER_SLOTS, WALLS, Mover, Tile

AWAY = 8
"""Tiles around the start without enemies."""

Movers = tuple[NDArray[np.uint8], NDArray[np.int16], NDArray[np.uint8]]


def movers(board: Board) -> Movers:
    """Kinds, spawn tiles and first headings by slot: enemies, then platforms."""
    kinds, spawns = np.zeros(MOVER_SLOTS, dtype=np.uint8), np.zeros((MOVER_SLOTS, 2), dtype=np.int16)
    headings = np.zeros(MOVER_SLOTS, dtype=np.uint8)
    spawns[:] = board.terrain.start
    places = _apart(board, _standing(board))
    pairs = zip(board.plan.enemies[:MAX_ENEMIES], places, strict=False)
    enemies = [(kind, *_place(board, kind, x, y)) for kind, (x, y) in pairs]
    platforms = [(Mover.PLATFORM, *platform) for platform in board.platforms[:MAX_PLATFORMS]]
    for slot, (kind, x, y, heading) in enumerate([*enemies, *platforms]):
        kinds[slot], spawns[slot], headings[slot] = kind, (x, y), heading
    return kinds, spawns, headings


def _standing(board: Board) -> NDArray[np.int64]:
    """Indices of the cells where an enemy can begin: free ground away from the start."""
    away = np.abs(board.cells - np.array(board.terrain.start)).max(axis=1) > AWAY
    xs, ys = board.cells[:, 0], board.cells[:, 1]
    empty = board.tiles[ys, xs] == Tile.EMPTY
    if not board.terrain.top_view:
        empty &= np.isin(board.tiles[ys + 1, xs], WALLS)  # a walker over a pit would hang in the air
    return np.flatnonzero(away & empty & (board.steps_at > 0))


def _place(board: Board, kind: Mover, x: int, y: int) -> tuple[int, int, int]:
    """Tile and heading of an enemy over the ground (x, y): fliers a row or two up, spiders halfway."""
    way = int(board.rng.integers(2))
    if board.terrain.top_view:
        return x, y, 2 + way if kind == Mover.SPIDER else way
    air = 0
    while board.tiles[y - air - 1, x] == Tile.EMPTY:
        air += 1
    rise = {Mover.GHOST: 1, Mover.FLYER: 1 + way, Mover.SPIDER: (air + 1) // 2}.get(kind, 0)
    return x, y - min(air, rise), 3 if kind == Mover.SPIDER else way if kind == Mover.FLYER else 0


def _apart(board: Board, chosen: NDArray[np.int64]) -> Iterable[tuple[int, int]]:
    """Cells in random order, each the farthest of a few draws from those before."""
    taken: list[NDArray[np.int64]] = []
    for _ in range(min(MOVER_SLOTS, len(chosen))):
        draws = board.cells[board.rng.choice(chosen, size=6)]
        gaps = [min([float(np.abs(draw - other).max()) for other in taken], default=0.0) for draw in draws]
        taken.append(draws[int(np.argmax(gaps))])
        x, y = taken[-1].tolist()
        yield x, y
