"""Layouts: where everything of a world goes, from a seed.

:func:`generate` honours what a spec asks for and only returns maps on which every object and the goal can
be reached unhurt, tried with the physics of the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from worldmodel.compiled import Mechanics, Placed
from worldmodel.constants import (
    MAP_HEIGHT,
    MAP_WIDTH,
    MAX_LINKS,
    MOVER_SLOTS,
    UNITS,
    WALLS,
    LeverEffect,
    Mover,
    Tile,
)
from worldmodel.terrain import Gate, Run, Terrain, side_terrain, top_terrain
from worldmodel.travel import jump_rows, steps_from

SIGN_SIZE = (6, 3)
"""Tiles across and up: a player in the middle of a sign has it wholly in view."""
ATTEMPTS = 40
SPAWNS = 16
NEAR_SPAWN = 10
"""Tiles of walking within which ``near: spawn`` lies."""
FLASH_LINK = MAX_LINKS - 1
"""All levers that flash share this link id, all without effect share 0: ids are for doors."""

Place: TypeAlias = Literal["near", "mid", "far", "door", "spawn", "any"]
_TARGETS = {
    "near": (0.06, 0.3),
    "mid": (0.36, 0.64),
    "far": (0.7, 0.97),
    "door": (0.0, 0.99),
    "any": (0.02, 0.97),
}
_THIRDS = {"near": (0.0, 1 / 3), "mid": (1 / 3, 2 / 3), "far": (2 / 3, 1.0)}
_GATE_TARGETS = {
    "near": (0.2, 0.3),
    "mid": (0.4, 0.62),
    "far": (0.69, 0.85),
    "door": (0.66, 0.85),
    "any": (0.45, 0.7),
}


class LayoutError(ValueError):
    """An object that cannot be placed where the spec wants it."""

    def __init__(self, index: int, kind: str, reason: str) -> None:
        self.index, self.kind = index, kind
        name = f"objects[{index}] ({kind})" if index >= 0 else f"the {kind}"
        super().__init__(f"{name} {reason}; ask for fewer objects, another place or another seed")


@dataclass(frozen=True)
class Wanted:
    """One object to place."""

    index: int
    """Position in the spec's ``objects``; -1 for what the layout adds by itself."""
    kind: str
    """sign, character, lever, door, portal, key or goal."""
    where: Place = "any"
    effect: LeverEffect = LeverEffect.NONE
    """What a lever does."""
    clip: int = -1
    """What a character says: index into the world's clips."""


@dataclass(frozen=True)
class Plan:
    """What a layout is made from."""

    mechanics: Mechanics = field(default_factory=Mechanics)
    objects: tuple[Wanted, ...] = ()
    hazards: float = 0.3
    """0 none .. 1 as many as stay fair."""
    coins: float = 0.5
    enemies: tuple[Mover, ...] = ()
    cave: bool = True
    """Ceilings follow the ground, else storeys are open to their top."""
    size: float = 1.0
    """Length of the walk, 1 is normal: 20 to 30 seconds without a detour."""
    density: float = 0.5
    """How much stands in the way, 0..1; the four wishes are as in the spec, 0.5 normal."""
    rooms: float = 0.5
    verticality: float = 0.5
    branches: float = 0.5
    secrets: int = 1
    """Hidden rewards."""
    water: float = 0.0
    """Share of pools, 0..1."""
    ice: float = 0.0
    """Share of the ground that is ice, 0..1; side view only."""
    platforms: float = 0.0
    """0 none .. 1 as many moving platforms as fit; side view only."""


@dataclass(frozen=True)
class Layout:
    """The arrays of :class:`worldmodel.compiled.CompiledWorld` that say where things are."""

    tiles: NDArray[np.uint8]
    links: NDArray[np.uint8]
    effects: NDArray[np.uint8]
    portals: NDArray[np.int16]
    spawns: NDArray[np.int16]
    mover_kinds: NDArray[np.uint8]
    mover_spawns: NDArray[np.int16]
    mover_headings: NDArray[np.uint8]
    placed: tuple[Placed, ...]
    reachable_coins: int
    """Coins that can be collected unhurt: ``coins_needed`` must not exceed it."""


@dataclass
class _Doorway:
    """A closed gate and what opens it."""

    gate: Gate
    link: int
    door: Wanted
    lever: Wanted | None = None
    """Opens it; a key does where there is none."""


@dataclass
class _Board:
    """A layout in the making."""

    terrain: Terrain
    plan: Plan
    rng: np.random.Generator
    steps: NDArray[np.int32]
    """(MAP_HEIGHT, MAP_WIDTH): steps from the start on the bare terrain, -1 where there is no way."""
    links: NDArray[np.uint8] = field(
        default_factory=lambda: np.zeros((MAP_HEIGHT, MAP_WIDTH), dtype=np.uint8)
    )
    effects: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(MAX_LINKS, dtype=np.uint8))
    portals: NDArray[np.int16] = field(default_factory=lambda: np.zeros((MAX_LINKS, 2), dtype=np.int16))
    doorways: list[_Doorway] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    shelves: list[tuple[int, int, float]] = field(default_factory=list)
    """Cells on raised platforms with their order."""

    def __post_init__(self) -> None:
        cells = [
            (x, run.y, run.order + run.along(x)) for run in self.terrain.runs for x in range(run.x0, run.x1)
        ]
        self.cells = np.array([(x, y) for x, y, _ in cells], dtype=np.int64)
        self.orders = np.array([order for _, _, order in cells])
        self.steps_at = self.steps[self.cells[:, 1], self.cells[:, 0]]
        self.farthest = max(1, int(self.steps.max()))
        self.fractions = self.steps_at / self.farthest

    @property
    def tiles(self) -> NDArray[np.uint8]:
        return self.terrain.tiles

    def free(self, x0: int, y0: int, x1: int, y1: int) -> bool:
        """Whether the box (exclusive) holds nothing and is not reserved."""
        if x0 < 0 or y0 < 0 or x1 > MAP_WIDTH or y1 > MAP_HEIGHT:
            return False
        box = np.s_[y0:y1, x0:x1]
        return not self.tiles[box].any() and not self.terrain.reserved[box].any()

    def reserve(self, x0: int, y0: int, x1: int, y1: int) -> None:
        self.terrain.reserved[max(y0, 0) : y1, max(x0, 0) : x1] = True

    def put(self, x: int, y: int, tile: Tile, link: int = 0) -> None:
        """Write a tile and keep its surroundings free: a player has to stand beside it."""
        self.tiles[y, x] = tile
        self.links[y, x] = link
        self.reserve(x - 1, y - 1, x + 2, y + 1)

    def near_steps(self) -> float:
        return NEAR_SPAWN * UNITS / self.plan.mechanics.speed

    def fits(self, where: Place) -> NDArray[np.bool_]:
        """Which cells lie where ``where`` says."""
        if where == "spawn":
            return (self.steps_at > 0) & (self.steps_at <= self.near_steps())
        low, high = _TARGETS[where]
        inside = (self.fractions >= low) & (self.fractions <= high)
        if where == "door":
            inside &= self.orders > self.doorways[0].gate.order
        return inside


def _floor_below(board: _Board, x0: int, x1: int, y: int) -> bool:
    return board.terrain.top_view or bool((board.tiles[y + 1, x0:x1] == Tile.SOLID).all())


def _candidates(
    board: _Board, wanted: Wanted, low: float = -1.0, high: float = np.inf
) -> Iterable[tuple[int, int]]:
    """Cells for an object in random order; ``low`` and ``high`` bound their order."""
    mask = board.fits(wanted.where) & (board.steps_at > 0) & (board.orders > low) & (board.orders < high)
    chosen = np.flatnonzero(mask)
    board.rng.shuffle(chosen)
    yield from ((x, y) for x, y in board.cells[chosen].tolist())


def _place_sign(board: _Board, wanted: Wanted) -> None:
    width, height = SIGN_SIZE
    for x, y in _candidates(board, wanted):
        x0, y0 = x - width // 2, y - height + 1
        if board.free(x0, y0, x0 + width, y + 1) and _floor_below(board, x0, x0 + width, y):
            board.reserve(x0, y0 - 1, x0 + width, y + 1)
            board.placed.append(Placed(wanted.index, "sign", (x0, y0, x0 + width, y + 1)))
            return
    raise LayoutError(wanted.index, "sign", f"finds no free wall of {width} x {height} tiles")


def _spot(board: _Board, wanted: Wanted, low: float = -1.0, high: float = np.inf) -> tuple[int, int]:
    """A free cell with room around it."""
    for x, y in _candidates(board, wanted, low, high):
        if board.free(x - 1, y - 1, x + 2, y + 1) and _floor_below(board, x, x + 1, y):
            return x, y
    raise LayoutError(wanted.index, wanted.kind, "finds no free place")


def _place_single(
    board: _Board, wanted: Wanted, tile: Tile, link: int = 0, *, low: float = -1.0, high: float = np.inf
) -> tuple[int, int]:
    x, y = _spot(board, wanted, low, high)
    board.put(x, y, tile, link)
    if wanted.index >= 0:
        board.placed.append(Placed(wanted.index, wanted.kind, (x, y, x + 1, y + 1)))
    return x, y


def _region(board: _Board, order: float) -> tuple[float, float]:
    """Orders of the doors before and after a place."""
    orders = [doorway.gate.order for doorway in board.doorways]
    return max([o for o in orders if o < order], default=-1.0), min(
        [o for o in orders if o > order], default=np.inf
    )


def _order_at(board: _Board, x: int, y: int) -> float:
    match = np.flatnonzero((board.cells[:, 0] == x) & (board.cells[:, 1] == y))
    return float(board.orders[match[0]])


def _place_portal(board: _Board, wanted: Wanted, link: int) -> None:
    """A portal and its partner between the same two doors; each leads beside the other."""
    x, y = _place_single(board, wanted, Tile.PORTAL, link)
    low, high = _region(board, _order_at(board, x, y))
    partner = replace(wanted, index=-1, where="any")
    if link + 1 >= MAX_LINKS:
        board.portals[link] = _spot(board, partner, low, high)
        return
    px, py = _far_spot(board, partner, (x, y), low, high)
    board.put(px, py, Tile.PORTAL, link + 1)
    board.portals[link] = _beside(board, px, py, 1)
    board.portals[link + 1] = _beside(board, x, y, -1)


def _far_spot(
    board: _Board, wanted: Wanted, other: tuple[int, int], low: float, high: float
) -> tuple[int, int]:
    """Of a few free cells the one farthest from ``other``."""
    spots = [_spot(board, wanted, low, high) for _ in range(6)]
    return max(spots, key=lambda spot: max(abs(spot[0] - other[0]), abs(spot[1] - other[1])))


def _beside(board: _Board, x: int, y: int, first: int) -> tuple[int, int]:
    """A free place on the ``first`` side (1 right, -1 left) of a portal, or else on its other side.

    Where partners are left on opposite sides, nobody who holds a key is thrown to and fro between them.
    """
    for side in (first, -first):
        if board.tiles[y, x + side] == Tile.EMPTY and _floor_below(board, x + side, x + side + 1, y):
            return x + side, y
    raise LayoutError(-1, "portal", "has no free place beside it")


# Doors


def _doors(plan: Plan) -> list[tuple[Wanted, Wanted | None]]:
    """Every door with the lever that opens it, doors made up where the objects need them."""
    doors = [o for o in plan.objects if o.kind == "door"]
    levers = [o for o in plan.objects if o.kind == "lever" and o.effect == LeverEffect.OPEN]
    while len(doors) < len(levers):
        doors.append(Wanted(-1, "door", "any"))
    behind = [o for o in plan.objects if o.where == "door"]
    before = [d for d in doors if d.where != "door"]
    if behind and not before:
        doors.insert(0, Wanted(-1, "door", "any"))
    pairs: list[tuple[Wanted, Wanted | None]] = [(door, None) for door in doors]
    for lever in levers:
        pairs[_door_for(pairs, lever)] = (pairs[_door_for(pairs, lever)][0], lever)
    return pairs


def _door_for(pairs: Sequence[tuple[Wanted, Wanted | None]], lever: Wanted) -> int:
    """The free door that suits a lever: one at least as far along as the lever itself."""
    rank = {"spawn": 0, "near": 1, "mid": 2, "any": 2, "far": 3, "door": 4}
    free = [i for i, (_, other) in enumerate(pairs) if other is None]
    return min(free, key=lambda i: (rank[pairs[i][0].where] < rank[lever.where], rank[pairs[i][0].where], i))


def _close(board: _Board, gate: Gate, link: int) -> None:
    for x, y in gate.wall:
        board.tiles[y, x] = Tile.SOLID
        board.terrain.reserved[y, x] = True
    for x, y in gate.door:
        board.tiles[y, x] = Tile.DOOR
        board.links[y, x] = link
        board.terrain.reserved[y, x] = True
    for x, y in gate.keep:
        board.terrain.reserved[y, x] = True


def _gate_for(board: _Board, door: Wanted, lever: Wanted | None) -> Gate:
    """A free gate nearest to a random point of where the door shall be."""
    length = max(1.0, board.terrain.length)
    if door.where == "spawn":
        low, high = 6 / length, (NEAR_SPAWN - 1) / length
    elif lever is not None and door.index < 0 and lever.where in _THIRDS:
        low, high = _THIRDS[lever.where][1] - 0.12, min(_THIRDS[lever.where][1] + 0.1, 0.9)
    else:
        low, high = _GATE_TARGETS[door.where]
    target = float(board.rng.uniform(low, high)) * board.farthest
    pitch = 1 if board.terrain.top_view else 8
    taken = [doorway.gate.order for doorway in board.doorways]
    free = [
        gate
        for gate in board.terrain.gates
        if all(abs(gate.order - order) >= pitch for order in taken)
        and all(board.tiles[y, x] == Tile.EMPTY for x, y in (*gate.door, *gate.keep))
        and _gate_steps(board, gate) > 0
    ]
    if not free:
        raise LayoutError(door.index, "door", "finds no free wall")
    return min(free, key=lambda gate: abs(_gate_steps(board, gate) - target))


def _gate_steps(board: _Board, gate: Gate) -> int:
    x, y = gate.door[0]
    return int(board.steps[y, x])


def _make_doors(board: _Board) -> None:
    pairs = _doors(board.plan)
    if len(pairs) >= FLASH_LINK:
        raise LayoutError(pairs[-1][0].index, "door", f"is one too many: at most {FLASH_LINK - 1} fit")
    for link, (door, lever) in enumerate(pairs, 1):
        board.doorways.append(_Doorway(_gate_for(board, door, lever), link, door, lever))
    board.doorways.sort(key=lambda doorway: doorway.gate.order)
    for doorway in board.doorways:
        _close(board, doorway.gate, doorway.link)
        if doorway.door.index >= 0:
            xs, ys = zip(*doorway.gate.door, strict=True)
            box = (min(xs), min(ys), max(xs) + 1, max(ys) + 1)
            board.placed.append(Placed(doorway.door.index, "door", box))


def _place_openers(board: _Board) -> None:
    """A lever or a key for each door, between it and the door before: whoever gets there can go on."""
    previous = -1.0
    for doorway in board.doorways:
        order = doorway.gate.order
        if doorway.lever is not None:
            board.effects[doorway.link] = LeverEffect.OPEN
            _place_single(board, doorway.lever, Tile.LEVER, doorway.link, low=previous, high=order)
        else:
            _place_key(board, previous, order)
        previous = order


def _place_key(board: _Board, low: float, high: float) -> None:
    runs = [run for run in board.terrain.runs if run.order < high and run.order + run.x1 - run.x0 > low]
    raised = not board.terrain.top_view and board.rng.random() < 0.7
    if raised and any(_try_shelf(board, runs[i], low, high) for i in board.rng.permutation(len(runs))):
        x, y, _ = board.shelves[-1]
        board.tiles[y, x] = Tile.KEY
        return
    _place_single(board, Wanted(-1, "key"), Tile.KEY, low=low, high=high)


# Objects


def _place_objects(board: _Board) -> None:
    """Largest first: signs, then what stands on one tile."""
    objects = board.plan.objects
    for wanted in (o for o in objects if o.kind == "sign"):
        _place_sign(board, wanted)
    for wanted in (o for o in objects if o.kind == "character"):
        _place_single(board, wanted, Tile.CHARACTER, wanted.clip + 1)
    for wanted in (o for o in objects if o.kind == "lever" and o.effect != LeverEffect.OPEN):
        flashes = wanted.effect == LeverEffect.FLASH
        _place_single(board, wanted, Tile.LEVER, FLASH_LINK if flashes else 0)
    board.effects[FLASH_LINK] = LeverEffect.FLASH
    for number, wanted in enumerate(o for o in objects if o.kind == "portal"):
        _place_portal(board, wanted, 1 + 2 * number)


# Structure and dangers that no spec asks for one by one


def _add_shelves(board: _Board, share: float) -> None:
    """Raised platforms with steps to them, on about ``share`` of the runs where the ground is still free."""
    for run in board.terrain.runs:
        if board.rng.random() < share:
            _try_shelf(board, run)


def _try_shelf(board: _Board, run: Run, low: float = -1.0, high: float = np.inf) -> bool:
    """Build a platform somewhere on a run, between two orders; False where it does not fit."""
    reach = min(2, jump_rows(board.plan.mechanics))
    stairs = [1, 2, 1] if reach == 1 else [reach]
    height, length = max(stairs) + reach, int(board.rng.integers(2, 6))
    span = len(stairs) + 1 + length
    for x in _shuffled(board.rng, run.x0, run.x1 - span + 1):
        ends = (run.order + run.along(x), run.order + run.along(x + span - 1))
        inside = low < min(ends) and max(ends) < high and run.y - run.top >= height + 2
        if inside and board.free(x - 1, run.y - height - 2, x + span + 1, run.y + 1):
            _build_shelf(board, run, x, stairs, height, length)
            return True
    return False


def _add_bumps(board: _Board) -> None:
    """Blocks to jump over."""
    reach = min(2, jump_rows(board.plan.mechanics))
    for run in board.terrain.runs:
        for x in _shuffled(board.rng, run.x0 + 2, run.x1 - 4)[:2]:
            rise, width = int(board.rng.integers(1, reach + 1)), int(board.rng.integers(1, 3))
            if run.y - run.top >= rise + 3 and board.free(x - 1, run.y - rise - 2, x + width + 1, run.y + 1):
                board.tiles[run.y - rise + 1 : run.y + 1, x : x + width] = Tile.SOLID
                board.reserve(x - 1, run.y - rise - 1, x + width + 1, run.y + 1)
                if board.rng.random() < board.plan.coins:
                    board.tiles[run.y - rise, x : x + width] = Tile.COIN


def _shuffled(rng: np.random.Generator, low: int, high: int) -> list[int]:
    return rng.permutation(np.arange(low, high)).tolist() if high > low else []


def _build_shelf(board: _Board, run: Run, x: int, stairs: list[int], height: int, length: int) -> None:
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


def _add_hazards(board: _Board, share: float) -> None:
    if share <= 0:
        return
    add = _top_hazards if board.terrain.top_view else _side_hazards
    add(board, share)


def _side_hazards(board: _Board, share: float) -> None:
    """Spikes on the ground or in a pit, with flat ground on both sides."""
    fast = board.plan.mechanics.speed >= 5
    for run in board.terrain.runs:
        wanted = int(board.rng.binomial(max(1, (run.x1 - run.x0) // 5), min(0.9, 0.15 + share)))
        for x in _shuffled(board.rng, run.x0 + 2, run.x1 - 3):
            width = int(board.rng.integers(1, 3 if fast else 2))
            roomy = run.y - run.top >= 3 and board.free(x - 2, run.y - 3, x + width + 2, run.y + 1)
            if wanted and roomy and _floor_below(board, x - 2, x + width + 2, run.y):
                _put_hazard(board, run, x, width)
                wanted -= 1


def _put_hazard(board: _Board, run: Run, x: int, width: int) -> None:
    deep = run.y + 2 < MAP_HEIGHT and bool((board.tiles[run.y + 2, x : x + width] == Tile.SOLID).all())
    row = run.y + 1 if deep and board.rng.random() < 0.6 else run.y
    board.tiles[row, x : x + width] = Tile.HAZARD
    board.reserve(x - 2, run.y - 3, x + width + 2, run.y + 2)
    if board.rng.random() < board.plan.coins:
        board.tiles[run.y - 2, x : x + width] = Tile.COIN


def _top_hazards(board: _Board, share: float) -> None:
    for run in board.terrain.runs:
        for x in range(run.x0 + 1, run.x1 - 1):
            if board.rng.random() < share * 0.12 and board.free(x - 1, run.y - 1, x + 2, run.y + 2):
                board.tiles[run.y, x] = Tile.HAZARD
                board.reserve(x - 1, run.y - 1, x + 2, run.y + 2)


def _add_coins(board: _Board) -> None:
    share = board.plan.coins
    for x, y, _ in board.shelves:
        if board.rng.random() < share and board.tiles[y, x] == Tile.EMPTY:
            board.tiles[y, x] = Tile.COIN
    for run in board.terrain.runs:
        if board.rng.random() > share * (0.3 if board.terrain.top_view else 1.4):
            continue
        x = int(board.rng.integers(run.x0, run.x1))
        for i in range(int(board.rng.integers(2, 5))):
            if board.free(x + i, run.y, x + i + 1, run.y + 1) and x + i < run.x1:
                board.tiles[run.y, x + i] = Tile.COIN


def _add_ice(board: _Board) -> None:
    """Turn stretches of three to seven tiles of the ground's surface into ice, ``plan.ice`` of them."""
    for run in board.terrain.runs:
        x = run.x0
        while x < run.x1:
            end = min(run.x1, x + int(board.rng.integers(3, 8)))
            surface = board.tiles[run.y + 1, x:end]
            # the border stays SOLID, whatever a run rests on
            if board.rng.random() < board.plan.ice and run.y + 1 < MAP_HEIGHT - 1:
                surface[surface == Tile.SOLID] = Tile.ICE
            x = end


def _enemies(board: _Board) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Kinds and spawn tiles, none within a screen of the start."""
    kinds, spawns = np.zeros(MOVER_SLOTS, dtype=np.uint8), np.zeros((MOVER_SLOTS, 2), dtype=np.int16)
    spawns[:] = board.terrain.start
    away = np.abs(board.cells - np.array(board.terrain.start)).max(axis=1) > 8
    xs, ys = board.cells[:, 0], board.cells[:, 1]
    empty = board.tiles[ys, xs] == Tile.EMPTY
    if not board.terrain.top_view:
        empty &= np.isin(board.tiles[ys + 1, xs], WALLS)  # a walker over a pit would hang in the air
    chosen = np.flatnonzero(away & empty & (board.steps_at > 0))
    for slot, (kind, (x, y)) in enumerate(
        zip(board.plan.enemies[:MOVER_SLOTS], _apart(board, chosen), strict=False)
    ):
        flies = kind == Mover.GHOST and not board.terrain.top_view and board.tiles[y - 1, x] == Tile.EMPTY
        kinds[slot], spawns[slot] = kind, (x, y - 1 if flies else y)
    return kinds, spawns


def _apart(board: _Board, chosen: NDArray[np.int64]) -> Iterable[tuple[int, int]]:
    """Cells in random order, each the farthest of a few draws from those before."""
    taken: list[NDArray[np.int64]] = []
    for _ in range(min(MOVER_SLOTS, len(chosen))):
        draws = board.cells[board.rng.choice(chosen, size=6)]
        gaps = [min([float(np.abs(draw - other).max()) for other in taken], default=0.0) for draw in draws]
        taken.append(draws[int(np.argmax(gaps))])
        x, y = taken[-1].tolist()
        yield x, y


def _spawns(board: _Board, steps: NDArray[np.int32]) -> NDArray[np.int16]:
    """The start and up to 15 other free tiles, spread evenly over the walk."""
    x, y = board.cells[:, 0], board.cells[:, 1]
    free = (board.tiles[y, x] == Tile.EMPTY) & (steps[y, x] > 0)
    if not board.terrain.top_view:
        free &= np.isin(board.tiles[np.minimum(y + 1, MAP_HEIGHT - 1), x], WALLS)
    found = np.flatnonzero(free)
    found = found[np.argsort(steps[y[found], x[found]], kind="stable")]
    if not len(found):
        return np.array([board.terrain.start], dtype=np.int16)
    even = np.unique(np.linspace(0, len(found) - 1, SPAWNS + 1).round().astype(int)[1:-1])
    return np.concatenate([[board.terrain.start], board.cells[found[even]]]).astype(np.int16)


# Whole layouts


def _terrain(plan: Plan, rng: np.random.Generator) -> Terrain:
    walk = float(rng.uniform(320, 470)) * plan.size * plan.mechanics.speed / UNITS
    need = {"sign": 8.0, "door": 9.0, "lever": 4.0, "character": 4.0, "portal": 8.0}
    crowd = sum(need[wanted.kind] for wanted in plan.objects) * 1.4
    if plan.mechanics.top_view:
        return top_terrain(rng, max(walk, crowd * 0.6))
    length = float(np.clip(max(walk, crowd), 34, 170))
    return side_terrain(rng, length, min(2, jump_rows(plan.mechanics)), cave=plan.cave)


def _build(plan: Plan, rng: np.random.Generator, hazards: float, *, quick: bool = False) -> _Board:
    terrain = _terrain(plan, rng)
    steps = _guess_steps(terrain) if quick else steps_from(terrain.tiles, plan.mechanics, terrain.start)
    board = _Board(terrain, plan, rng, steps)
    board.reserve(terrain.start[0] - 1, terrain.start[1] - 2, terrain.start[0] + 2, terrain.start[1] + 1)
    board.put(*terrain.goal, Tile.GOAL)
    _make_doors(board)
    _place_objects(board)
    _place_openers(board)
    _add_hazards(board, hazards)
    if not terrain.top_view:
        _add_shelves(board, 0.8)
        _add_bumps(board)
        _add_shelves(board, 0.6)
    _add_coins(board)
    if not terrain.top_view and plan.ice > 0:
        _add_ice(board)
    return board


def _guess_steps(terrain: Terrain) -> NDArray[np.int32]:
    """Walking distances as the terrain tells them, without a search."""
    steps = np.full((MAP_HEIGHT, MAP_WIDTH), -1, dtype=np.int32)
    for run in terrain.runs:
        for x in range(run.x0, run.x1):
            if terrain.tiles[run.y, x] == Tile.EMPTY:
                steps[run.y, x] = 5 * (run.distance + run.along(x))
    for gate in terrain.gates:
        for x, y in gate.door:
            steps[y, x] = max(steps[y, x], int(5 * gate.distance))
    return steps


def _finish(board: _Board, steps: NDArray[np.int32]) -> Layout:
    kinds, mover_spawns = _enemies(board)
    return Layout(
        tiles=board.tiles,
        links=board.links,
        effects=board.effects,
        portals=board.portals,
        spawns=_spawns(board, steps),
        mover_kinds=kinds,
        mover_spawns=mover_spawns,
        mover_headings=np.zeros(MOVER_SLOTS, dtype=np.uint8),
        placed=tuple(sorted(board.placed, key=lambda placed: placed.index)),
        reachable_coins=int(((board.tiles == Tile.COIN) & (steps >= 0)).sum()),
    )


def generate(plan: Plan, seed: int) -> Layout:
    """A layout on which everything can be reached unhurt; the same plan and seed give the same one.

    Raises LayoutError naming the object that found no place in any of ``ATTEMPTS`` tries.
    """
    failure: LayoutError | None = None
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        try:
            board = _build(plan, rng, plan.hazards * max(0.0, 1 - attempt / (ATTEMPTS / 2)))
            return _finish(board, check(board))
        except LayoutError as error:
            failure = error
    assert failure is not None
    raise failure


def check(board: _Board) -> NDArray[np.int32]:
    """Play the layout through, door after door: (MAP_HEIGHT, MAP_WIDTH) steps with all of them open.

    Raises LayoutError naming the first thing that cannot be reached, or not where it shall be.
    """
    tiles = board.tiles.copy()
    steps = first = steps_from(tiles, board.plan.mechanics, board.terrain.start)
    closed = list(board.doorways)
    while closed:
        opened = [
            doorway for doorway in closed if _opens(board, doorway, steps, len(board.doorways) - len(closed))
        ]
        if not opened:
            raise LayoutError(closed[0].door.index, "door", "cannot be opened")
        for x, y in opened[0].gate.door:
            tiles[y, x] = Tile.DOOR_OPEN
        closed.remove(opened[0])
        steps = steps_from(tiles, board.plan.mechanics, board.terrain.start)
    _check_goal(board, steps, first)
    for placed in board.placed:
        _check_object(board, placed, steps, first)
    return steps


def _opens(board: _Board, doorway: _Doorway, steps: NDArray[np.int32], used: int) -> bool:
    """Whether the player, who has opened ``used`` doors, gets to this door with what opens it."""
    beside = max(steps[y, x] for x, y in doorway.gate.keep)
    if beside < 0:
        return False
    reached = steps >= 0
    if doorway.lever is not None:
        return bool((reached & (board.tiles == Tile.LEVER) & (board.links == doorway.link)).any())
    by_lever = sum(other.lever is not None for other in board.doorways)
    return int((reached & (board.tiles == Tile.KEY)).sum()) > max(0, used - by_lever)


def _check_goal(board: _Board, steps: NDArray[np.int32], first: NDArray[np.int32]) -> None:
    x, y = board.terrain.goal
    if steps[y, x] < 0.75 * steps.max():
        raise LayoutError(-1, "goal", "is not at the far end")
    if board.doorways and first[y, x] >= 0:
        raise LayoutError(board.doorways[0].door.index, "door", "does not close the way")


def _check_object(board: _Board, placed: Placed, steps: NDArray[np.int32], first: NDArray[np.int32]) -> None:
    wanted = next(o for o in board.plan.objects if o.index == placed.index)
    reached, early = _steps_at(board, placed, steps), _steps_at(board, placed, first)
    if reached < 0:
        raise LayoutError(wanted.index, wanted.kind, "cannot be reached")
    fraction = reached / max(1, int(steps.max()))
    low, high = _THIRDS.get(wanted.where, (0.0, 1.0))
    if not low <= fraction <= high:
        raise LayoutError(wanted.index, wanted.kind, f"finds no place that is {wanted.where}")
    if wanted.where == "door" and early >= 0:
        raise LayoutError(wanted.index, wanted.kind, "can be reached without opening a door")
    if wanted.where == "spawn" and reached > board.near_steps() * 1.5:
        raise LayoutError(wanted.index, wanted.kind, "finds no place near the start")


def _steps_at(board: _Board, placed: Placed, steps: NDArray[np.int32]) -> int:
    """Fewest steps to a place from which a player meets the object, -1 where there is none."""
    x0, y0, x1, y1 = placed.box
    if placed.kind == "sign":
        x0, x1 = x0 + 2, x1 - 2
        y0 = y0 if board.terrain.top_view else y1 - 1
    if placed.kind == "door":
        x0, y0, x1, y1 = x0 - 1, y0 - 1, x1 + 1, y1 + 1
    around = steps[y0:y1, x0:x1]
    return int(around[around >= 0].min(initial=np.iinfo(np.int32).max)) if (around >= 0).any() else -1
