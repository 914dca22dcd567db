"""Layouts: where everything of a world goes, from a seed.

:func:`generate` honours what a spec asks for and only returns maps on which every object and the goal can
be reached unhurt, tried with the physics of the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worldmodel.board import NEAR_SPAWN, Board, Doorway, LayoutError, Plan, Wanted, floor_below
from worldmodel.compiled import Placed
from worldmodel.constants import (
    MAP_HEIGHT,
    MAX_LINKS,
    UNITS,
    WALLS,
    LeverEffect,
    Tile,
)
from worldmodel.landforms import add_arches, add_platforms, add_pools, add_side_ways
from worldmodel.population import movers
from worldmodel.scatter import add_bumps, add_coins, add_hazards, add_ice, add_shelves, try_shelf
from worldmodel.terrain import Gate, Rooms, Storeys, Terrain, side_terrain, top_terrain
from worldmodel.travel import jump_rows, steps_from

SIGN_SIZE = (6, 3)
"""Tiles across and up: a player in the middle of a sign has it wholly in view."""
ATTEMPTS = 40
SPAWNS = 16
FLASH_LINK = MAX_LINKS - 1
"""All levers that flash share this link id, all without effect share 0: ids are for doors."""

_THIRDS = {"near": (0.0, 1 / 3), "mid": (1 / 3, 2 / 3), "far": (2 / 3, 1.0)}
_GATE_TARGETS = {
    "near": (0.2, 0.3),
    "mid": (0.4, 0.62),
    "far": (0.69, 0.85),
    "door": (0.66, 0.85),
    "any": (0.45, 0.7),
}


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


def _candidates(
    board: Board, wanted: Wanted, low: float = -1.0, high: float = np.inf
) -> Iterable[tuple[int, int]]:
    """Cells for an object in random order; ``low`` and ``high`` bound their order."""
    mask = board.fits(wanted.where) & (board.steps_at > 0) & (board.orders > low) & (board.orders < high)
    chosen = np.flatnonzero(mask)
    board.rng.shuffle(chosen)
    yield from ((x, y) for x, y in board.cells[chosen].tolist())


def _place_sign(board: Board, wanted: Wanted) -> None:
    width, height = SIGN_SIZE
    for x, y in _candidates(board, wanted):
        x0, y0 = x - width // 2, y - height + 1
        if board.free(x0, y0, x0 + width, y + 1) and floor_below(board, x0, x0 + width, y):
            board.reserve(x0, y0 - 1, x0 + width, y + 1)
            board.placed.append(Placed(wanted.index, "sign", (x0, y0, x0 + width, y + 1)))
            return
    raise LayoutError(wanted.index, "sign", f"finds no free wall of {width} x {height} tiles")


def _spot(board: Board, wanted: Wanted, low: float = -1.0, high: float = np.inf) -> tuple[int, int]:
    """A free cell with room around it."""
    for x, y in _candidates(board, wanted, low, high):
        if board.free(x - 1, y - 1, x + 2, y + 1) and floor_below(board, x, x + 1, y):
            return x, y
    raise LayoutError(wanted.index, wanted.kind, "finds no free place")


def _place_single(
    board: Board, wanted: Wanted, tile: Tile, link: int = 0, *, low: float = -1.0, high: float = np.inf
) -> tuple[int, int]:
    x, y = _spot(board, wanted, low, high)
    board.put(x, y, tile, link)
    if wanted.index >= 0:
        board.placed.append(Placed(wanted.index, wanted.kind, (x, y, x + 1, y + 1)))
    return x, y


def _region(board: Board, order: float) -> tuple[float, float]:
    """Orders of the doors before and after a place."""
    orders = [doorway.gate.order for doorway in board.doorways]
    return max([o for o in orders if o < order], default=-1.0), min(
        [o for o in orders if o > order], default=np.inf
    )


def _order_at(board: Board, x: int, y: int) -> float:
    match = np.flatnonzero((board.cells[:, 0] == x) & (board.cells[:, 1] == y))
    return float(board.orders[match[0]])


def _place_portal(board: Board, wanted: Wanted, link: int) -> None:
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
    board: Board, wanted: Wanted, other: tuple[int, int], low: float, high: float
) -> tuple[int, int]:
    """Of a few free cells the one farthest from ``other``."""
    spots = [_spot(board, wanted, low, high) for _ in range(6)]
    return max(spots, key=lambda spot: max(abs(spot[0] - other[0]), abs(spot[1] - other[1])))


def _beside(board: Board, x: int, y: int, first: int) -> tuple[int, int]:
    """A free place on the ``first`` side (1 right, -1 left) of a portal, or else on its other side.

    Where partners are left on opposite sides, nobody who holds a key is thrown to and fro between them.
    """
    for side in (first, -first):
        if board.tiles[y, x + side] == Tile.EMPTY and floor_below(board, x + side, x + side + 1, y):
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


def _close(board: Board, gate: Gate, link: int) -> None:
    for x, y in gate.wall:
        board.tiles[y, x] = Tile.SOLID
        board.terrain.reserved[y, x] = True
    for x, y in gate.door:
        board.tiles[y, x] = Tile.DOOR
        board.links[y, x] = link
        board.terrain.reserved[y, x] = True
    for x, y in gate.keep:
        board.terrain.reserved[y, x] = True


def _gate_for(board: Board, door: Wanted, lever: Wanted | None) -> Gate:
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


def _gate_steps(board: Board, gate: Gate) -> int:
    x, y = gate.door[0]
    return int(board.steps[y, x])


def _make_doors(board: Board) -> None:
    pairs = _doors(board.plan)
    if len(pairs) >= FLASH_LINK:
        raise LayoutError(pairs[-1][0].index, "door", f"is one too many: at most {FLASH_LINK - 1} fit")
    for link, (door, lever) in enumerate(pairs, 1):
        board.doorways.append(Doorway(_gate_for(board, door, lever), link, door, lever))
    board.doorways.sort(key=lambda doorway: doorway.gate.order)
    for doorway in board.doorways:
        _close(board, doorway.gate, doorway.link)
        if doorway.door.index >= 0:
            xs, ys = zip(*doorway.gate.door, strict=True)
            box = (min(xs), min(ys), max(xs) + 1, max(ys) + 1)
            board.placed.append(Placed(doorway.door.index, "door", box))


def _place_openers(board: Board) -> None:
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


def _place_key(board: Board, low: float, high: float) -> None:
    runs = [run for run in board.terrain.runs if run.order < high and run.order + run.x1 - run.x0 > low]
    raised = not board.terrain.top_view and board.rng.random() < 0.7
    if raised and any(try_shelf(board, runs[i], low, high) for i in board.rng.permutation(len(runs))):
        x, y, _ = board.shelves[-1]
        board.tiles[y, x] = Tile.KEY
        return
    _place_single(board, Wanted(-1, "key"), Tile.KEY, low=low, high=high)


# Objects


def _place_objects(board: Board) -> None:
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


def _spawns(board: Board, steps: NDArray[np.int32]) -> NDArray[np.int16]:
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


def _terrain(plan: Plan, rng: np.random.Generator, *, strict: bool) -> Terrain:
    """Ground for a plan; where objects found no place on what was wished, on flatter ground."""
    walk = float(rng.uniform(320, 470)) * plan.size * plan.mechanics.speed / UNITS
    need = {"sign": 8.0, "door": 9.0, "lever": 4.0, "character": 4.0, "portal": 8.0}
    crowd = sum(need[wanted.kind] for wanted in plan.objects) * 1.4
    if plan.mechanics.top_view:
        return top_terrain(rng, max(walk, crowd * 0.6), Rooms(plan.density, plan.rooms, plan.branches))
    length = float(np.clip(max(walk, crowd), 34, 170))
    storeys = Storeys(
        reach=min(2, jump_rows(plan.mechanics)),
        cave=plan.cave and plan.rooms > 0.15,
        verticality=plan.verticality if strict else min(0.5, plan.verticality),
        deep=strict and (max(plan.water, plan.platforms, plan.branches - 0.5) > 0 or plan.secrets > 0),
    )
    return side_terrain(rng, length, storeys)


def _build(plan: Plan, rng: np.random.Generator, hazards: float, *, strict: bool) -> Board:
    terrain = _terrain(plan, rng, strict=strict)
    steps = steps_from(terrain.tiles, plan.mechanics, terrain.start)
    board = Board(terrain, plan, rng, steps)
    board.reserve(terrain.start[0] - 1, terrain.start[1] - 2, terrain.start[0] + 2, terrain.start[1] + 1)
    board.put(*terrain.goal, Tile.GOAL)
    _make_doors(board)
    _place_objects(board)
    _place_openers(board)
    platforms, pools = add_platforms(board), add_pools(board)
    add_hazards(board, hazards)
    add_side_ways(board)
    if not terrain.top_view:
        add_arches(board)
        add_shelves(board, min(1.0, 1.6 * plan.density))
        add_bumps(board)
        add_shelves(board, min(1.0, 1.2 * plan.branches))
    add_coins(board)
    add_ice(board)
    if strict:
        _check_wishes(board, pools, platforms)
    return board


def _check_wishes(board: Board, pools: int, platforms: int) -> None:
    """Raises LayoutError where the map has no room for any of what the plan wants some of."""
    plan = board.plan
    if plan.water > 0 and not pools:
        raise LayoutError(-1, "water", "finds no place for a pool")
    if plan.platforms > 0 and not platforms and not plan.mechanics.top_view:
        raise LayoutError(-1, "platform", "finds no place for a pit or a lift")
    if len(board.secrets) < plan.secrets and plan.coins > 0 and jump_rows(plan.mechanics) >= 2:
        raise LayoutError(-1, "secret", "finds no hidden place")


def _finish(board: Board, steps: NDArray[np.int32]) -> Layout:
    kinds, mover_spawns, headings = movers(board)
    return Layout(
        tiles=board.tiles,
        links=board.links,
        effects=board.effects,
        portals=board.portals,
        spawns=_spawns(board, steps),
        mover_kinds=kinds,
        mover_spawns=mover_spawns,
        mover_headings=headings,
        placed=(
            *sorted(board.placed, key=lambda placed: placed.index),
            *(Placed(-1, "secret", box) for box in board.secrets),
        ),
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
            easier = max(0.0, 1 - attempt / (ATTEMPTS / 2))
            board = _build(plan, rng, plan.hazards * easier, strict=easier > 0)
            return _finish(board, check(board))
        except LayoutError as error:
            failure = error
    assert failure is not None
    raise failure


def check(board: Board) -> NDArray[np.int32]:
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
    for x0, y0, x1, y1 in board.secrets:
        if (steps[y0:y1, x0:x1] < 0).all():
            raise LayoutError(-1, "secret", "cannot be reached")
    for placed in board.placed:
        _check_object(board, placed, steps, first)
    return steps


def _opens(board: Board, doorway: Doorway, steps: NDArray[np.int32], used: int) -> bool:
    """Whether the player, who has opened ``used`` doors, gets to this door with what opens it."""
    beside = max(steps[y, x] for x, y in doorway.gate.keep)
    if beside < 0:
        return False
    reached = steps >= 0
    if doorway.lever is not None:
        return bool((reached & (board.tiles == Tile.LEVER) & (board.links == doorway.link)).any())
    by_lever = sum(other.lever is not None for other in board.doorways)
    return int((reached & (board.tiles == Tile.KEY)).sum()) > max(0, used - by_lever)


def _check_goal(board: Board, steps: NDArray[np.int32], first: NDArray[np.int32]) -> None:
    x, y = board.terrain.goal
    if steps[y, x] < 0.75 * steps.max():
        raise LayoutError(-1, "goal", "is not at the far end")
    if board.doorways and first[y, x] >= 0:
        raise LayoutError(board.doorways[0].door.index, "door", "does not close the way")


def _check_object(board: Board, placed: Placed, steps: NDArray[np.int32], first: NDArray[np.int32]) -> None:
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


def _steps_at(board: Board, placed: Placed, steps: NDArray[np.int32]) -> int:
    """Fewest steps to a place from which a player meets the object, -1 where there is none."""
    x0, y0, x1, y1 = placed.box
    if placed.kind == "sign":
        x0, x1 = x0 + 2, x1 - 2
        y0 = y0 if board.terrain.top_view else y1 - 1
    if placed.kind == "door":
        x0, y0, x1, y1 = x0 - 1, y0 - 1, x1 + 1, y1 + 1
    around = steps[y0:y1, x0:x1]
    return int(around[around >= 0].min(initial=np.iinfo(np.int32).max)) if (around >= 0).any() else -1
