"""What stands about in a map that no spec asks for one by one: shelves, blocks, dangers, coins and ice."""

from __future__ import annotations

import numpy as np

from worldmodel.board import Board, floor_below
from worldmodel.constants import MAP_HEIGHT, Tile
from worldmodel.terrain import Run
from worldmodel.travel import jump_rows


def add_shelves(board: Board, share: float) -> None:
    """Raised platforms with steps to them, on about ``share`` of the runs where the ground is still free."""
    for run in board.terrain.runs:
        if board.rng.random() < share:
            try_shelf(board, run)


def try_shelf(board: Board, run: Run, low: float = -1.0, high: float = np.inf) -> bool:
    """Build a platform somewhere on a run, between two orders; False where it does not fit."""
    reach = min(2, jump_rows(board.plan.mechanics))
    stairs = [1, 2, 1] if reach == 1 else [reach]
    height, length = max(stairs) + reach, int(board.rng.integers(2, 6))
    span = len(stairs) + 1 + length
    for x in shuffled(board.rng, run.x0, run.x1 - span + 1):
        ends = (run.order + run.along(x), run.order + run.along(x + span - 1))
        inside = low < min(ends) and max(ends) < high and run.y - run.top >= height + 2
        if inside and board.free(x - 1, run.y - height - 2, x + span + 1, run.y + 1):
            _build_shelf(board, run, x, stairs, height, length)
            return True
    return False


def add_bumps(board: Board) -> None:
    """Blocks to jump over."""
    reach = min(2, jump_rows(board.plan.mechanics))
    for run in board.terrain.runs:
        for x in shuffled(board.rng, run.x0 + 2, run.x1 - 4)[: round(4 * board.plan.density)]:
            rise, width = int(board.rng.integers(1, reach + 1)), int(board.rng.integers(1, 3))
            if run.y - run.top >= rise + 3 and board.free(x - 1, run.y - rise - 2, x + width + 1, run.y + 1):
                board.tiles[run.y - rise + 1 : run.y + 1, x : x + width] = Tile.SOLID
                board.reserve(x - 1, run.y - rise - 1, x + width + 1, run.y + 1)
                if board.rng.random() < board.plan.coins:
                    board.tiles[run.y - rise, x : x + width] = Tile.COIN


def shuffled(rng: np.random.Generator, low: int, high: int) -> list[int]:
    """The whole numbers ``low`` .. ``high`` - 1 in random order."""
    return rng.permutation(np.arange(low, high)).tolist() if high > low else []


def _build_shelf(board: Board, run: Run, x: int, stairs: list[int], height: int, length: int) -> None:
    mirrored = bool(board.rng.random() < 0.5)
    span = len(stairs) + 1 + length

    def column(i: int) -> int:
        return x + span - 1 - i if mirrored else x + i

    for i, rise in enumerate(stairs):
        board.tiles[run.y - rise + 1 : run.y + 1, column(i)] = Tile.SOLID
    for i in range(len(stairs) + 1, span):
        board.tiles[run.y - height + 1, column(i)] = Tile.SOLID
        board.shelves.append((column(i), run.y - height, run.order + run.along(column(i))))
    board.reserve(x - 1, run.y - height - 2, x + span + 1, run.y + 1)


def add_hazards(board: Board, share: float) -> None:
    """Spikes, or what burns; 0 none .. 1 as many as stay fair."""
    if share <= 0:
        return
    add = _top_hazards if board.terrain.top_view else _side_hazards
    add(board, share)


def _side_hazards(board: Board, share: float) -> None:
    """Spikes on the ground or in a pit, with flat ground on both sides."""
    fast = board.plan.mechanics.speed >= 5
    for run in board.terrain.runs:
        wanted = int(board.rng.binomial(max(1, (run.x1 - run.x0) // 4), min(0.9, 0.15 + share)))
        for x in shuffled(board.rng, run.x0 + 2, run.x1 - 3):
            width = int(board.rng.integers(1, 3 if fast else 2))
            roomy = run.y - run.top >= 3 and board.free(x - 2, run.y - 3, x + width + 2, run.y + 1)
            if wanted and roomy and floor_below(board, x - 2, x + width + 2, run.y):
                _put_hazard(board, run, x, width)
                wanted -= 1


def _put_hazard(board: Board, run: Run, x: int, width: int) -> None:
    deep = run.y + 2 < MAP_HEIGHT and bool((board.tiles[run.y + 2, x : x + width] == Tile.SOLID).all())
    row = run.y + 1 if deep and board.rng.random() < 0.6 else run.y
    board.tiles[row, x : x + width] = Tile.HAZARD
    board.reserve(x - 2, run.y - 3, x + width + 2, run.y + 2)
    if board.rng.random() < board.plan.coins:
        board.tiles[run.y - 2, x : x + width] = Tile.COIN


def _top_hazards(board: Board, share: float) -> None:
    for run in board.terrain.runs:
        for x in range(run.x0 + 1, run.x1 - 1):
            if board.rng.random() < share * 0.12 and board.free(x - 1, run.y - 1, x + 2, run.y + 2):
                board.tiles[run.y, x] = Tile.HAZARD
                board.reserve(x - 1, run.y - 1, x + 2, run.y + 2)


def add_coins(board: Board) -> None:
    """Coins on shelves and along the ground, ``plan.coins`` of what looks right."""
    share = board.plan.coins
    for x, y, _ in board.shelves:
        if board.rng.random() < share and board.tiles[y, x] == Tile.EMPTY:
            board.tiles[y, x] = Tile.COIN
    chance = share * 0.3 if board.terrain.top_view else 1.2 * share**1.5
    for run in (run for run in board.terrain.runs for _ in range(1 if board.terrain.top_view else 3)):
        if board.rng.random() > chance:
            continue
        x = int(board.rng.integers(run.x0, run.x1))
        for i in range(int(board.rng.integers(2, 5))):
            if x + i < run.x1 and _coin_fits(board, x + i, run.y):
                board.tiles[run.y, x + i] = Tile.COIN


def _coin_fits(board: Board, x: int, y: int) -> bool:
    """Whether a coin can lie on the ground here; unlike other things it needs no room around it."""
    empty = board.tiles[y, x] == Tile.EMPTY
    if board.terrain.top_view:
        return board.free(x, y, x + 1, y + 1)
    start, goal = board.terrain.start, board.terrain.goal
    signs = any(p.box[0] <= x < p.box[2] and p.box[1] <= y < p.box[3] for p in board.placed)
    return bool(empty and board.tiles[y + 1, x] == Tile.SOLID) and (x, y) not in (start, goal) and not signs


def add_ice(board: Board) -> None:
    """Turn stretches of three to seven tiles of the ground's surface into ice, ``plan.ice`` of them."""
    if board.plan.ice <= 0 or board.terrain.top_view:
        return
    stretches = [(run, x) for run in board.terrain.runs for x in range(run.x0, run.x1, 5)]
    wanted = max(1, round(board.plan.ice * len(stretches)))
    for number in board.rng.permutation(len(stretches)):
        run, x = stretches[number]
        end = min(run.x1, x + int(board.rng.integers(3, 8)))
        surface = board.tiles[run.y + 1, x:end]
        # the border stays SOLID, whatever a run rests on
        if wanted and run.y + 1 < MAP_HEIGHT - 1 and (surface == Tile.SOLID).any():
            surface[surface == Tile.SOLID] = Tile.ICE
            wanted -= 1
