"""Ground to play on: walls, floors and rooms, before anything is placed in them.

Side view is a serpentine of storeys, joined at their ends by shafts with ledges; top view is a tree of
rooms. Both are described to :mod:`worldmodel.layout` in the same words: *runs* of free cells in the
order in which a player meets them, and *gates*, the cells that close the only way on when filled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, Tile

SHAFT = 6
"""Columns of a shaft: ledges of two on either side of a gap of two, so no ledge is a low ceiling."""


@dataclass(frozen=True)
class Run:
    """A stretch of walkable cells: flat ground in side view, a row of a room in top view."""

    x0: int
    x1: int
    """Exclusive."""
    y: int
    """Row in which a player stands."""
    top: int
    """Highest free row above the ground; in top view the highest row of the room."""
    order: float
    """Place on the way to the goal at the end where the player enters it; gates compare with this."""
    distance: float
    """Tiles walked from the start to the end where the player enters it."""
    step: int = 1
    """Direction of travel: 1 right, -1 left, 0 where order and distance are the same all along."""
    on_way: bool = True
    """Whether the way to the goal leads over it."""

    def along(self, x: int) -> float:
        """Tiles from where the player enters this run to column ``x``."""
        if self.step == 0:
            return 0.0
        return float(x - self.x0 if self.step > 0 else self.x1 - 1 - x)


@dataclass(frozen=True)
class Gate:
    """Where a door can close the way: ``wall`` becomes SOLID, ``door`` DOOR."""

    order: float
    distance: float
    wall: tuple[tuple[int, int], ...]
    door: tuple[tuple[int, int], ...]
    keep: tuple[tuple[int, int], ...]
    """Cells on both sides that must stay free."""


@dataclass
class Terrain:
    """Tiles with what is needed to place things in them."""

    tiles: NDArray[np.uint8]
    """(MAP_HEIGHT, MAP_WIDTH): only EMPTY and SOLID."""
    runs: list[Run]
    gates: list[Gate]
    start: tuple[int, int]
    goal: tuple[int, int]
    length: float
    """Tiles walked from the start to the far end."""
    top_view: bool = False
    reserved: NDArray[np.bool_] = field(
        default_factory=lambda: np.zeros((MAP_HEIGHT, MAP_WIDTH), dtype=np.bool_)
    )
    """(MAP_HEIGHT, MAP_WIDTH): cells that must not be filled any more."""


@dataclass(frozen=True)
class Storeys:
    """What a side view's terrain is like."""

    reach: int
    """Rows of the highest step."""
    cave: bool
    """Ceilings follow the ground."""
    verticality: float = 0.5
    """0 flat .. 1 as much up and down as fits."""
    deep: bool = False
    """Ground is left under the runs, to dig in."""


def _bands(storeys: int, rng: np.random.Generator, *, deep: bool) -> list[tuple[int, int]]:
    """Highest and lowest free row of each storey, topmost first."""
    if storeys == 1:
        top = int(rng.integers(3, 8)) if deep else int(rng.integers(5, 10))
        return [(top, MAP_HEIGHT - (6 if deep else 3))]
    if storeys == 2:
        return [(1, 8), (12, MAP_HEIGHT - 4)] if deep else [(1, 9), (12, MAP_HEIGHT - 2)]
    return [(1, 6), (9, 14), (17, MAP_HEIGHT - 2)]


def _cut(columns: int, rng: np.random.Generator) -> list[int]:
    """Random run lengths of at least 5 that add up to ``columns``."""
    lengths: list[int] = []
    left = columns
    while left > 0:
        take = min(left, int(rng.integers(6, 13)))
        if left - take < 5:
            take = left
        lengths.append(take)
        left -= take
    return lengths


@dataclass(frozen=True)
class _Storey:
    """Column range (without shafts) and rows of one storey, in the order of travel."""

    x0: int
    x1: int
    top: int
    bottom: int
    step: int


def _storeys(width: int, count: int, upwards: bool, rng: np.random.Generator, *, deep: bool) -> list[_Storey]:
    bands = _bands(count, rng, deep=deep)
    left, right = (1 + SHAFT if count > 2 else 1), (1 + width - SHAFT if count > 1 else 1 + width)
    storeys = []
    for i, (top, bottom) in enumerate(reversed(bands) if upwards else bands):
        storeys.append(_Storey(1 if i == 0 else left, right, top, bottom, 1 if i % 2 == 0 else -1))
    return storeys


def _rows(storey: _Storey, count: int, shape: Storeys, rng: np.random.Generator) -> list[int]:
    """Standing row of each of ``count`` runs: a walk with steps that can be jumped.

    The more vertical, the higher the steps, and the longer they go on in one direction.
    """
    highest = max(storey.top + 4, storey.bottom - 9)
    row = int(rng.integers(max(highest, storey.bottom - 2), storey.bottom + 1))
    step, keeps = min(shape.reach, round(2 * shape.reach * shape.verticality)), 2 * shape.verticality - 1
    way, rows = -1, []
    for _ in range(count):
        size = int(rng.integers(-step, step + 1))
        if rng.random() < keeps:
            size = way * step
        row = int(np.clip(row + size, highest, storey.bottom))
        if row in (highest, storey.bottom):
            way = 1 if row == highest else -1
        rows.append(row)
    return rows


def _lay(
    tiles: NDArray[np.uint8], storey: _Storey, walked: float, shape: Storeys, rng: np.random.Generator
) -> list[Run]:
    """Carve a storey and return its runs in the order of travel."""
    lengths = _cut(storey.x1 - storey.x0, rng)
    runs = []
    x = storey.x0 if storey.step > 0 else storey.x1
    for length, row in zip(lengths, _rows(storey, len(lengths), shape, rng), strict=True):
        x0, x1 = (x, x + length) if storey.step > 0 else (x - length, x)
        # Steps up need room over both runs, so ceilings stay well above the highest row near them.
        lowest_ceiling = max(storey.top, row - 4 - shape.reach)
        top = int(rng.integers(storey.top, lowest_ceiling + 1)) if shape.cave else storey.top
        tiles[top : row + 1, x0:x1] = Tile.EMPTY
        if shape.cave and row - top >= 6:
            _roughen(tiles, rng, x0, x1, top)
        runs.append(Run(x0, x1, row, top, walked, walked, storey.step))
        walked += length
        x += length * storey.step
    return runs


def _roughen(tiles: NDArray[np.uint8], rng: np.random.Generator, x0: int, x1: int, top: int) -> None:
    """Let a ceiling hang a tile lower here and there."""
    low = rng.random(x1 - x0) < 0.35
    tiles[top, x0:x1][low] = Tile.SOLID


def _shaft(terrain: Terrain, here: Run, there: Run) -> None:
    """Join two storeys that end at the same column by a shaft with ledges two rows apart."""
    upper, lower = sorted((here, there), key=lambda run: run.y)
    x0 = here.x1 if here.step > 0 else here.x0 - SHAFT
    top = min(upper.top, upper.y - 4)
    terrain.tiles[top : lower.y + 1, x0 : x0 + SHAFT] = Tile.EMPTY
    terrain.reserved[top : lower.y + 1, x0 : x0 + SHAFT] = True
    near, far = (x0, x0 + SHAFT - 2) if here.step > 0 else (x0 + SHAFT - 2, x0)
    for i, row in enumerate(range(upper.y + 2, lower.y, 2)):
        ledge = near if i % 2 == 0 else far
        terrain.tiles[row + 1, ledge : ledge + 2] = Tile.SOLID


def _gates(run: Run) -> list[Gate]:
    """Every column of a run that has two free columns on both sides."""
    gates = []
    for x in range(run.x0 + 2, run.x1 - 2):
        opening = min(3, run.y - run.top + 1)
        door = tuple((x, run.y - i) for i in range(opening))
        wall = tuple((x, y) for y in range(run.top, run.y - opening + 1))
        keep = tuple((x + dx, run.y - i) for dx in (-1, 1) for i in range(3))
        gates.append(Gate(run.order + run.along(x), run.distance + run.along(x), wall, door, keep))
    return gates


def _count(rng: np.random.Generator, tiles_long: float, shape: Storeys) -> int:
    """Storeys: as many as a long walk needs, else more of them the more vertical the map shall be."""
    most = 2 if shape.deep else 3
    shortest = 30 if shape.verticality > 0.7 else 41
    possible = [
        n for n in (1, 2, 3) if n <= most and tiles_long / n >= shortest and (n == 1 or shape.reach >= 2)
    ]
    possible = possible or [1]
    if tiles_long > 86 or shape.verticality > 0.7:
        return max(possible)
    return 1 if tiles_long < 80 or shape.verticality < 0.3 else int(rng.choice(possible))


def side_terrain(rng: np.random.Generator, tiles_long: float, shape: Storeys) -> Terrain:
    """Storeys for a walk of about ``tiles_long`` tiles whose steps can be jumped."""
    count = _count(rng, tiles_long, shape)
    width = int(np.clip(round(tiles_long / count), 30, MAP_WIDTH - 2))
    upwards = bool(rng.random() < 0.5)
    terrain = Terrain(
        np.full((MAP_HEIGHT, MAP_WIDTH), Tile.SOLID, dtype=np.uint8), [], [], (0, 0), (0, 0), 0.0
    )
    walked = 0.0
    for storey in _storeys(width, count, upwards, rng, deep=shape.deep):
        runs = _lay(terrain.tiles, storey, walked, shape, rng)
        if terrain.runs:
            climb = abs(terrain.runs[-1].y - runs[0].y) + SHAFT
            runs = [replace(run, order=run.order + climb, distance=run.distance + climb) for run in runs]
            _shaft(terrain, terrain.runs[-1], runs[0])
        terrain.runs += runs
        walked = runs[-1].distance + runs[-1].x1 - runs[-1].x0
    first, last = terrain.runs[0], terrain.runs[-1]
    terrain.start = (first.x0 + 1, first.y)
    terrain.goal = (last.x1 - 2 if last.step > 0 else last.x0 + 1, last.y)
    terrain.gates = [gate for run in terrain.runs for gate in _gates(run)]
    terrain.length = walked
    return terrain


ROOM = 8
"""Pitch of the rooms in top view: seven free cells and a wall."""
_ROWS, _COLUMNS = 3, MAP_WIDTH // ROOM
Room = tuple[int, int]


@dataclass(frozen=True)
class Rooms:
    """What a top view's terrain is like; 0..1 each, 0.5 normal."""

    density: float = 0.5
    """Share of pillars."""
    walls: float = 0.5
    """0 hardly any walls between rooms, 1 narrow openings."""
    branches: float = 0.5
    """Share of the rooms aside from the way to the goal that are there."""


def _room_box(room: Room) -> tuple[int, int, int, int]:
    """Free cells of a room: x0, y0, x1, y1, the last two exclusive."""
    column, row = room
    x0, y0 = 1 + ROOM * column, 1 + ROOM * row
    return x0, y0, min(x0 + ROOM - 1, MAP_WIDTH - 1), min(y0 + ROOM - 1, MAP_HEIGHT - 1)


def _tree(rng: np.random.Generator, start: Room, columns: int) -> dict[Room, Room]:
    """Parent of every room but the start, by a random depth-first walk: few branches, long ways."""
    parents: dict[Room, Room] = {}
    path = [start]
    while path:
        column, row = path[-1]
        around = [(column + 1, row), (column - 1, row), (column, row + 1), (column, row - 1)]
        inside = [r for r in around if 0 <= r[0] < columns and 0 <= r[1] < _ROWS]
        fresh = [r for r in inside if r != start and r not in parents]
        if not fresh:
            path.pop()
            continue
        chosen = fresh[int(rng.integers(len(fresh)))]
        parents[chosen] = (column, row)
        path.append(chosen)
    return parents


def _way(parents: dict[Room, Room], room: Room) -> list[Room]:
    """Rooms from the start to ``room``."""
    way = [room]
    while way[-1] in parents:
        way.append(parents[way[-1]])
    return way[::-1]


def _pruned(
    rng: np.random.Generator, parents: dict[Room, Room], way: list[Room], share: float
) -> dict[Room, Room]:
    """The tree without some of the branches that lead aside; a room goes with all rooms behind it."""
    kept: dict[Room, Room] = {}
    for room, parent in parents.items():  # parents come before their children
        stays = room in way or ((parent in kept or parent == way[0]) and rng.random() < 0.4 + 1.2 * share)
        if stays:
            kept[room] = parent
    return kept


def _opening(rng: np.random.Generator, a: Room, b: Room, walls: float) -> list[tuple[int, int]]:
    """Cells of the wall between neighbouring rooms: two or three, or more where few walls are wanted."""
    ax0, ay0, ax1, ay1 = _room_box(min(a, b))
    size = 2 if rng.random() < walls else 3 + round((0.5 - min(walls, 0.5)) * 4)
    if a[1] == b[1]:
        size = min(size, ay1 - ay0 - 2)
        y = int(rng.integers(ay0 + 1, ay1 - size))
        return [(ax1, y + i) for i in range(size)]
    size = min(size, ax1 - ax0 - 2)
    x = int(rng.integers(ax0 + 1, ax1 - size))
    return [(x + i, ay1) for i in range(size)]


def _top_gate(order: float, cells: list[tuple[int, int]], *, beside: bool) -> Gate:
    dx, dy = (1, 0) if beside else (0, 1)
    keep = tuple((x + s * dx, y + s * dy) for x, y in cells for s in (-1, 1))
    return Gate(order, order * ROOM, (), tuple(cells), keep)


def _pillars(terrain: Terrain, rng: np.random.Generator, room: Room, density: float) -> None:
    """Single blocks inside a room, never two side by side, so that nothing is cut off."""
    x0, y0, x1, y1 = _room_box(room)
    pattern = int(rng.integers(1, 5)) if rng.random() < 1.6 * density else 0
    if density > 0.75 and pattern in (2, 3):
        pattern = 1
    cells = {
        0: [],
        1: [(x0 + 1, y0 + 1), (x1 - 2, y0 + 1), (x0 + 1, y1 - 2), (x1 - 2, y1 - 2)],
        2: [(x0 + 3, y0 + 3)],
        3: [(x0 + 1, y0 + 4), (x0 + 3, y0 + 4), (x0 + 5, y0 + 4)],
        4: [(x0 + 3, y0 + 4), (x0 + 5, y0 + 4), (x0 + 3, y1 - 2)],
    }[pattern]
    for x, y in cells:
        terrain.tiles[y, x] = Tile.SOLID


def top_terrain(rng: np.random.Generator, tiles_long: float, shape: Rooms) -> Terrain:
    """A tree of rooms, whose farthest room is about ``tiles_long`` tiles away from the start."""
    terrain = Terrain(
        np.full((MAP_HEIGHT, MAP_WIDTH), Tile.SOLID, dtype=np.uint8),
        [],
        [],
        (0, 0),
        (0, 0),
        0.0,
        top_view=True,
    )
    wanted = max(5.0, tiles_long / ROOM)
    columns = int(np.clip(round(wanted * 0.7), 4, _COLUMNS))
    start = (0, int(rng.integers(_ROWS)))
    trees = [_tree(rng, start, columns) for _ in range(8)]
    deepest = [max((_way(tree, room) for tree in [tree] for room in tree), key=len) for tree in trees]
    best = min(range(len(trees)), key=lambda i: abs(len(deepest[i]) - wanted))
    way = deepest[best]
    parents = _pruned(rng, trees[best], way, shape.branches)
    for room in (start, *parents):
        x0, y0, x1, y1 = _room_box(room)
        terrain.tiles[y0:y1, x0:x1] = Tile.EMPTY
        _pillars(terrain, rng, room, shape.density)
        path = _way(parents, room)
        order = float(len([r for r in path if r in way]) - 1)
        distance = (len(path) - 1.0) * ROOM
        for y in range(y0, y1):
            terrain.runs.append(Run(x0, x1, y, y0, order, distance, 0, room in way))
    for room, parent in parents.items():
        cells = _opening(rng, parent, room, shape.walls)
        gate = _top_gate(way.index(room) - 0.5 if room in way else 0.0, cells, beside=room[1] == parent[1])
        for x, y in (*cells, *gate.keep):
            terrain.tiles[y, x] = Tile.EMPTY
            terrain.reserved[y, x] = True
        if room in way:
            terrain.gates.append(gate)
    terrain.start = _middle(start)
    terrain.goal = _middle(way[-1])
    for x, y in (terrain.start, terrain.goal):
        terrain.tiles[y, x] = Tile.EMPTY
    terrain.gates.sort(key=lambda gate: gate.order)
    terrain.length = (len(way) - 1.0) * ROOM
    return terrain


def _middle(room: Room) -> tuple[int, int]:
    x0, y0, x1, y1 = _room_box(room)
    return (x0 + x1) // 2, (y0 + y1) // 2
