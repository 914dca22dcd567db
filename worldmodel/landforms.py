"""Shapes of the land that a plan asks for: pools, pits and lifts with platforms, cellars, arches, ponds.

None of them is needed to get to the goal, and out of each there is a way that the layout's search plays
through: pools are swum, dry pits are no deeper than a jump.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from worldmodel.board import Board
from worldmodel.constants import MAP_HEIGHT, MAX_PLATFORMS, Tile
from worldmodel.scatter import shuffled
from worldmodel.terrain import Run
from worldmodel.travel import jump_rows

POOL_DEPTH = 4
_POOL_WIDTHS, _PIT_WIDTHS = (3, 9), (5, 8)
"""Tiles, the second exclusive."""
_LIFT = 3
"""Columns in which a lift goes up and down."""
_SHELF_RISE, _SHELF_LENGTH = 5, 4
SECRET_COINS = 4


def dig_rows(board: Board, run: Run, x0: int, x1: int, most: int) -> int:
    """Rows that can be dug out under a run and leave a floor, at most ``most``."""
    for depth in range(most, 0, -1):
        floor = run.y + depth + 1
        if floor < MAP_HEIGHT and (board.tiles[run.y + 1 : floor + 1, x0 - 1 : x1 + 1] == Tile.SOLID).all():
            return depth
    return 0


def _places(board: Board, width: int) -> Iterable[tuple[Run, int]]:
    """Runs and columns, in random order, where ``width`` tiles of ground lie free under free air."""
    for number in board.rng.permutation(len(board.terrain.runs)):
        run = board.terrain.runs[number]
        for x in shuffled(board.rng, run.x0 + 2, run.x1 - width - 1):
            if run.y - run.top >= 3 and board.free(x - 2, run.y - 3, x + width + 2, run.y + 1):
                yield run, x


def _dig(board: Board, run: Run, x: int, width: int, depth: int, tile: Tile) -> None:
    board.tiles[run.y + 1 : run.y + depth + 1, x : x + width] = tile
    board.reserve(x - 2, run.y - 3, x + width + 2, run.y + depth + 1)


def add_pools(board: Board) -> int:
    """``plan.water`` of what fits: up to seven basins in side view, or ponds in top view; how many."""
    wanted = round(1 + 6 * board.plan.water) if board.plan.water > 0 else 0
    if board.terrain.top_view:
        return sum(_pond(board) for _ in range(3 * wanted))
    return sum(_pool(board) for _ in range(wanted))


def _pool(board: Board) -> bool:
    width = int(board.rng.integers(*_POOL_WIDTHS))
    for run, x in _places(board, width):
        depth = dig_rows(board, run, x, x + width, int(board.rng.integers(2, POOL_DEPTH + 1)))
        if depth:
            _dig(board, run, x, width, depth, Tile.WATER)
            _drop_coins(board, run, x, width)
            return True
    return False


def _drop_coins(board: Board, run: Run, x: int, width: int) -> None:
    if board.rng.random() < board.plan.coins:
        board.tiles[run.y, x + 1 : x + width - 1] = Tile.COIN


def _pond(board: Board) -> bool:
    """An oval of free cells in a room becomes water to wade through."""
    x, y = board.cells[int(board.rng.integers(len(board.cells)))].tolist()
    wide, high = board.rng.uniform(1.2, 2.8, 2)
    rows, columns = np.mgrid[-2:3, -2:3]
    inside = (columns / wide) ** 2 + (rows / high) ** 2 <= 1
    cells = [(x + int(dx), y + int(dy)) for dy, dx in zip(rows[inside], columns[inside], strict=True)]
    wet = [(cx, cy) for cx, cy in cells if board.free(cx, cy, cx + 1, cy + 1)]
    if len(wet) < 4:
        return False
    for cx, cy in wet:
        board.tiles[cy, cx] = Tile.WATER
        board.terrain.reserved[cy, cx] = True
    return True


def add_platforms(board: Board) -> int:
    """Moving platforms over pits, and lifts to shelves with coins; how many there are."""
    if board.plan.platforms <= 0 or board.terrain.top_view:
        return 0
    wanted = max(1, round(MAX_PLATFORMS * board.plan.platforms))
    for number in range(wanted):
        build, other = (_ferry, _lift) if number % 2 == 0 else (_lift, _ferry)
        if not build(board) and not other(board):
            break
    return len(board.platforms)


def _ferry(board: Board) -> bool:
    """A pit, dry or a pool, with a platform that goes to and fro level with the ground."""
    width = int(board.rng.integers(*_PIT_WIDTHS))
    if not any(True for _ in _places(board, width)):
        width = _PIT_WIDTHS[0] - 1
    wet = board.plan.water > 0 and bool(board.rng.random() < 0.7)
    most = POOL_DEPTH if wet else min(2, jump_rows(board.plan.mechanics))
    for run, x in _places(board, width):
        depth = dig_rows(board, run, x, x + width, most)
        if depth:
            _dig(board, run, x, width, depth, Tile.WATER if wet else Tile.EMPTY)
            heading = int(board.rng.integers(2))
            board.platforms.append((x + width // 2, run.y + 1, heading))
            return True
    return False


def _lift(board: Board) -> bool:
    """A shelf with coins, too high to jump to, and a platform that goes up beside it."""
    width = _LIFT + _SHELF_LENGTH
    for run, x in _places(board, width):
        high = run.y - _SHELF_RISE
        if high - 3 < run.top or not board.free(x - 1, run.top, x + width + 1, run.y + 1):
            continue
        left = bool(board.rng.random() < 0.5)
        shelf, column = (x, x + _SHELF_LENGTH + 1) if left else (x + _LIFT, x + 1)
        board.tiles[high + 1, shelf : shelf + _SHELF_LENGTH] = Tile.SOLID
        if board.plan.coins > 0:
            board.tiles[high, shelf : shelf + _SHELF_LENGTH] = Tile.COIN
        board.platforms.append((column, run.y - 2, 2))
        board.reserve(x - 1, run.top, x + width + 1, run.y + 1)
        return True
    return False


def add_side_ways(board: Board) -> None:
    """Dead ends with a coin, and the plan's secrets with more; none where there shall be no coins."""
    if board.plan.coins <= 0:
        return
    spare = board.plan.branches * 0.6
    if board.terrain.top_view:
        for _ in range(board.plan.secrets):
            _hoard(board)
        return
    for _ in range(board.plan.secrets):
        _cellar(board, SECRET_COINS)
    for _ in range(int(board.rng.binomial(max(1, len(board.terrain.runs)), spare))):
        _cellar(board, 1)


def _cellar(board: Board, coins: int) -> bool:
    """A tunnel one tile high under the ground, entered through a hole of two."""
    length = coins + 3
    if jump_rows(board.plan.mechanics) < 2:
        return False
    for run, x in _places(board, 2):
        leftwards = bool(board.rng.random() < 0.5)
        x0 = x - length + 2 if leftwards else x
        inside = x0 >= 2 and x0 + length < board.tiles.shape[1] - 2
        if not inside or dig_rows(board, run, x0, x0 + length, 2) < 2:
            continue
        board.tiles[run.y + 1 : run.y + 3, x : x + 2] = Tile.EMPTY
        board.tiles[run.y + 2, x0 : x0 + length] = Tile.EMPTY
        far = slice(x0, x0 + coins) if leftwards else slice(x0 + length - coins, x0 + length)
        board.tiles[run.y + 2, far] = Tile.COIN
        board.reserve(x - 2, run.y - 2, x + 4, run.y + 1)
        board.terrain.reserved[run.y + 1 : run.y + 4, x0 - 1 : x0 + length + 1] = True
        if coins >= SECRET_COINS:
            board.secrets.append((x0, run.y + 2, x0 + length, run.y + 3))
        return True
    return False


def _hoard(board: Board) -> bool:
    """Coins in a corner of a room, far from the way to the goal where there is such a room."""
    aside = [i for i, run in enumerate(board.terrain.runs) if not run.on_way]
    choices = aside or list(range(len(board.terrain.runs)))
    for number in board.rng.permutation(choices):
        run = board.terrain.runs[int(number)]
        x = run.x0
        if board.free(x, run.y, x + 2, run.y + 2) and run.y + 2 < MAP_HEIGHT:
            board.tiles[run.y : run.y + 2, x : x + 2] = Tile.COIN
            board.reserve(x, run.y, x + 2, run.y + 2)
            board.secrets.append((x, run.y, x + 2, run.y + 2))
            return True
    return False


def add_arches(board: Board) -> int:
    """Walls that hang down to three rows above the ground and make rooms of a storey; how many."""
    share = (board.plan.rooms - 0.4) / 0.6
    if board.terrain.top_view or share <= 0:
        return 0
    built = 0
    for run in board.terrain.runs:
        for x in shuffled(board.rng, run.x0 + 1, run.x1 - 1)[: 2 if board.rng.random() < share else 0]:
            high = run.y - 3
            if high - run.top >= 1 and board.free(x, run.top, x + 1, run.y + 1):
                board.tiles[run.top : high + 1, x] = Tile.SOLID
                board.reserve(x - 1, run.top, x + 2, run.y + 1)
                built += 1
                break
    return built
