"""Maps: what was asked for is where it shall be, and everything can be reached."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from worldmodel.board import LayoutError, Plan, Wanted
from worldmodel.compiled import CompiledWorld, Mechanics
from worldmodel.constants import (
    MAP_HEIGHT,
    MAP_WIDTH,
    MAX_ENEMIES,
    MAX_LINKS,
    MAX_PLATFORMS,
    MOVER_SLOTS,
    MOVERS,
    TILE,
    TILE_CLASSES,
    Action,
    Event,
    LeverEffect,
    Mover,
    Tile,
)
from worldmodel.layout import Layout, generate
from worldmodel.reach import reachability
from worldmodel.simulator import Simulator
from worldmodel.travel import jump_height, jump_rows, steps_from

MECHANICS = {
    "normal": Mechanics(jump=17),
    "moon": Mechanics(gravity=1, jump=14, speed=5),
    "heavy": Mechanics(gravity=3, jump=18),
    "ice": Mechanics(jump=18, accel=1, speed=8),
    "slow": Mechanics(jump=17, speed=3),
    "top": Mechanics(top_view=True),
}
MIXED = (
    Wanted(0, "sign", "near"),
    Wanted(1, "sign", "mid"),
    Wanted(2, "sign", "door"),
    Wanted(3, "door", "mid"),
    Wanted(4, "character", "far", clip=0),
    Wanted(5, "character", "spawn", clip=1),
    Wanted(6, "lever", "near", LeverEffect.FLASH),
    Wanted(7, "portal", "mid"),
)


def made(
    mechanics: str = "normal", objects: tuple[Wanted, ...] = MIXED, seed: int = 0, **more: object
) -> Layout:
    return generate(Plan(MECHANICS[mechanics], objects, enemies=(Mover.WALKER,) * 3, **more), seed)


def start(layout: Layout) -> tuple[int, int]:
    x, y = layout.spawns[0].tolist()
    return x, y


def all_open(layout: Layout) -> np.ndarray:
    return np.where(layout.tiles == Tile.DOOR, np.uint8(Tile.DOOR_OPEN), layout.tiles)


def seen_from(steps: np.ndarray, box: tuple[int, int, int, int], margin: int = 0) -> int:
    x0, y0, x1, y1 = box
    around = steps[y0 - margin : y1 + margin, x0 - margin : x1 + margin]
    return int(around[around >= 0].min()) if (around >= 0).any() else -1


@pytest.mark.parametrize("mechanics", MECHANICS)
@pytest.mark.parametrize("seed", [1, 2])
def test_everything_can_be_reached_where_it_was_asked_for(mechanics, seed):
    layout = made(mechanics, seed=seed)
    m = MECHANICS[mechanics]
    steps = steps_from(all_open(layout), m, start(layout))
    closed = steps_from(layout.tiles, m, start(layout))
    placed = {p.index: p for p in layout.placed}
    assert sorted(i for i in placed if i >= 0) == [wanted.index for wanted in MIXED]
    thirds = {"near": (0, 1 / 3), "mid": (1 / 3, 2 / 3), "far": (2 / 3, 1)}
    for wanted in MIXED:
        reached = seen_from(steps, placed[wanted.index].box, margin=int(wanted.kind == "door"))
        assert reached >= 0, wanted
        if wanted.where in thirds:
            low, high = thirds[wanted.where]
            assert low - 0.06 <= reached / steps.max() <= high + 0.06, wanted
        if wanted.where == "door":
            assert seen_from(closed, placed[wanted.index].box) < 0
        if wanted.where == "spawn":
            assert reached * m.speed / 32 <= 15
    gy, gx = np.argwhere(layout.tiles == Tile.GOAL)[0]
    assert steps[gy, gx] > 0.7 * steps.max()
    assert closed[gy, gx] < 0, "the door closes the way to the goal"
    assert (closed[layout.tiles == Tile.KEY] >= 0).all(), "its key lies before it"


def test_the_border_is_solid_and_signs_hang_in_free_air():
    layout = made()
    frame = np.ones_like(layout.tiles, dtype=bool)
    frame[1:-1, 1:-1] = False
    assert (layout.tiles[frame] == Tile.SOLID).all()
    for placed in (p for p in layout.placed if p.kind == "sign"):
        x0, y0, x1, y1 = placed.box
        assert (x1 - x0, y1 - y0) == (6, 3)
        assert (layout.tiles[y0:y1, x0:x1] == Tile.EMPTY).all()
        assert (layout.tiles[y1, x0:x1] == Tile.SOLID).all(), "at walking height"


def test_portals_come_in_pairs_that_lead_beside_each_other():
    layout = made(objects=(Wanted(0, "portal", "mid"), Wanted(1, "portal", "far")))
    cells = np.argwhere(layout.tiles == Tile.PORTAL)
    assert len(cells) == 4
    where = {int(layout.links[y, x]): (int(x), int(y)) for y, x in cells}
    assert sorted(where) == [1, 2, 3, 4]
    for link, partner in ((1, 2), (2, 1), (3, 4), (4, 3)):
        x, y = layout.portals[link].tolist()
        assert abs(x - where[partner][0]) == 1
        assert y == where[partner][1]
        assert layout.tiles[y, x] in (Tile.EMPTY, Tile.COIN)


def test_no_held_key_throws_a_player_to_and_fro_between_portals():
    """Partners are left on opposite sides, where both sides are free: walking on leads away."""
    sides = []
    for seed in range(12):
        layout = made(objects=(Wanted(0, "portal", "mid"),), seed=seed)
        rows, columns = np.nonzero(layout.tiles == Tile.PORTAL)
        places = {int(layout.links[y, x]): (int(x), int(y)) for x, y in zip(columns, rows, strict=True)}
        (one, first), (other, second) = sorted(places.items())
        sides.append((layout.portals[one][0] - second[0]) * (layout.portals[other][0] - first[0]))
    assert sides.count(-1) >= 10


def test_a_lever_opens_its_own_door():
    layout = made(objects=(Wanted(0, "lever", "near", LeverEffect.OPEN), Wanted(1, "door", "mid")))
    y, x = np.argwhere(layout.tiles == Tile.LEVER)[0]
    link = layout.links[y, x]
    assert layout.effects[link] == LeverEffect.OPEN
    assert set(layout.links[layout.tiles == Tile.DOOR].tolist()) == {int(link)}
    assert not (layout.tiles == Tile.KEY).any()
    assert steps_from(layout.tiles, MECHANICS["normal"], start(layout))[y, x] >= 0


def test_a_place_behind_a_door_makes_a_door_and_its_key():
    layout = made(objects=(Wanted(0, "sign", "door"),))
    assert (layout.tiles == Tile.DOOR).sum() >= 2
    assert (layout.tiles == Tile.KEY).sum() == 1


def test_the_same_seed_gives_the_same_map_and_others_give_others():
    maps = [made(seed=seed).tiles for seed in (0, 0, 1, 2, 3)]
    assert np.array_equal(maps[0], maps[1])
    assert len({tiles.tobytes() for tiles in maps}) == 4


def test_spawns_are_free_and_spread():
    layout = made()
    steps = steps_from(all_open(layout), MECHANICS["normal"], start(layout))
    assert 8 <= len(layout.spawns) <= 16
    xs, ys = layout.spawns.T
    assert (layout.tiles[ys, xs] == Tile.EMPTY).all()
    assert (steps[ys, xs] >= 0).all()
    assert steps[ys, xs].max() > 0.7 * steps.max()


def test_enemies_keep_away_from_the_start():
    layout = made()
    assert Counter(layout.mover_kinds.tolist()) == {Mover.WALKER: 3, Mover.NONE: MOVER_SLOTS - 3}
    gaps = np.abs(layout.mover_spawns[:3] - layout.spawns[0]).max(axis=1)
    assert (gaps > 8).all()
    xs, ys = layout.mover_spawns[:3].T
    assert (layout.tiles[ys + 1, xs] == Tile.SOLID).all(), "walkers stand on the ground"


def test_hazards_follow_the_share():
    counts = [
        sum((made(objects=(), seed=s, hazards=h).tiles == Tile.HAZARD).sum() for s in range(4))
        for h in (0, 1)
    ]
    assert counts[0] == 0
    assert counts[1] > 10


def test_ice_follows_its_share():
    counts = [
        sum(int((made(objects=(), seed=s, ice=share).tiles == Tile.ICE).sum()) for s in range(3))
        for share in (0.0, 0.5, 1.0)
    ]
    assert counts[0] == 0
    assert 10 < counts[1] < counts[2]


def test_the_search_stands_on_ice():
    tiles = np.full((MAP_HEIGHT, MAP_WIDTH), Tile.SOLID, dtype=np.uint8)
    tiles[4:11, 1:30] = Tile.EMPTY
    icy = tiles.copy()
    icy[11, 1:30] = Tile.ICE
    firm, slippery = (steps_from(t, MECHANICS["normal"], (2, 10)) for t in (tiles, icy))
    assert firm[10, 20] > 0
    assert slippery[10, 20] >= firm[10, 20]
    assert slippery[11, 20] < 0, "ice is a wall"


def test_coins_are_counted_where_they_can_be_collected():
    layout = made(coins=1.0)
    steps = steps_from(all_open(layout), MECHANICS["normal"], start(layout))
    counted = int(((layout.tiles == Tile.COIN) & (steps >= 0)).sum())
    assert layout.reachable_coins == counted > 0
    assert made(objects=(), coins=0.0, hazards=0.0).reachable_coins == 0


def test_a_crowded_spec_names_the_object_that_finds_no_place():
    too_many = tuple(Wanted(i, "sign", "spawn") for i in range(8))
    with pytest.raises(LayoutError, match=r"objects\[\d\] \(sign\)") as caught:
        made(objects=too_many)
    assert caught.value.kind == "sign"


@pytest.mark.parametrize("kind", ["sign", "character", "lever", "door", "portal"])
def test_as_many_of_a_kind_as_a_spec_may_hold_fit(kind):
    from worldmodel.limits import OBJECTS_OF_KIND

    objects = tuple(Wanted(i, kind, "any", clip=i) for i in range(OBJECTS_OF_KIND[kind]))
    layout = generate(Plan(MECHANICS["normal"], objects), 0)
    assert len([placed for placed in layout.placed if placed.index >= 0]) == len(objects)


def test_jump_heights_are_the_sum_of_the_speeds():
    assert jump_height(Mechanics(gravity=2, jump=18)) == 90
    assert jump_height(Mechanics(gravity=3, jump=18)) == 63
    assert jump_rows(Mechanics(gravity=1, jump=14)) == 3


def test_the_simulator_jumps_as_far_as_the_search_says():
    # a floor, a step two tiles up, and a gap: the search and the simulator must agree on both
    tiles = np.full((MAP_HEIGHT, MAP_WIDTH), Tile.SOLID, dtype=np.uint8)
    tiles[4:11, 1:30] = Tile.EMPTY
    tiles[9:11, 8:12] = Tile.SOLID
    mechanics = Mechanics(gravity=2, jump=18)
    steps = steps_from(tiles, mechanics, (2, 10))
    assert steps[8, 9] > 0
    assert steps[10, 20] > steps[8, 9]
    low = Mechanics(gravity=3, jump=12)
    assert steps_from(tiles, low, (2, 10))[8, 9] < 0
    for m, gets_up in ((mechanics, True), (low, False)):
        simulator = Simulator()
        state = simulator.spawn([_world(tiles, m)], [0])
        highest = 10**9
        for _ in range(40):
            state, _ = simulator.step(state, torch.tensor([int(Action.UP_RIGHT)]), render=False)
            if int(state.position[0, 0]) >= 8 * 32:
                highest = min(highest, int(state.position[0, 1]))
        assert (highest <= 8 * 32 + 18) == gets_up


def test_a_key_from_the_map_opens_its_door_in_the_simulator():
    layout = made(objects=(Wanted(0, "door", "mid"),))
    (y, x), doors = np.argwhere(layout.tiles == Tile.KEY)[0], np.argwhere(layout.tiles == Tile.DOOR)
    world = _world(layout.tiles, MECHANICS["normal"], layout)
    simulator = Simulator()
    state = simulator.spawn([world], [0])
    state.position[0] = torch.tensor([x * 32 + 16, y * 32 + 18])
    state, seen = simulator.step(state, torch.tensor([int(Action.NOOP)]), render=False)
    assert bool(seen.events[0, Event.KEY])
    row, column = doors[-1]
    side = -1 if layout.tiles[row, column - 1] == Tile.EMPTY else 1
    state.position[0] = torch.tensor([(column + side) * 32 + 16, row * 32 + 18])
    towards = Action.RIGHT if side < 0 else Action.LEFT
    for _ in range(6):
        state, seen = simulator.step(state, torch.tensor([int(towards)]), render=False)
        if bool(seen.events[0, Event.DOOR]):
            break
    assert bool(seen.events[0, Event.DOOR])
    assert not (state.canvas[0] == Tile.DOOR).any(), "the whole door opens"


def _world(tiles: np.ndarray, mechanics: Mechanics, layout: Layout | None = None) -> CompiledWorld:
    return CompiledWorld(
        key=f"{hash(tiles.tobytes())}:{mechanics}",
        title="t",
        mechanics=mechanics,
        tiles=tiles,
        links=layout.links if layout else np.zeros_like(tiles),
        effects=np.zeros(MAX_LINKS, np.uint8),
        portals=np.zeros((MAX_LINKS, 2), np.int16),
        spawns=layout.spawns if layout else np.array([[2, 10]], np.int16),
        mover_kinds=np.zeros(MOVER_SLOTS, np.uint8),
        mover_spawns=np.zeros((MOVER_SLOTS, 2), np.int16),
        mover_headings=np.zeros(MOVER_SLOTS, np.uint8),
        picture=np.zeros((MAP_HEIGHT * TILE, MAP_WIDTH * TILE, 3), np.uint8),
        atlas=np.zeros((TILE_CLASSES, TILE, TILE, 4), np.uint8),
        sprites=np.zeros((MOVERS, TILE, 2 * TILE, 4), np.uint8),
    )


def count(layout: Layout, tile: Tile) -> int:
    return int((layout.tiles == tile).sum())


def test_twenty_seeds_give_twenty_maps():
    for mechanics in ("normal", "top"):
        maps = {generate(Plan(MECHANICS[mechanics], water=0.3), seed).tiles.tobytes() for seed in range(20)}
        assert len(maps) == 20


def height_range(layout: Layout) -> float:
    ground = layout.tiles[1:] == Tile.SOLID
    standing = (layout.tiles[:-1] != Tile.SOLID) & ground
    rows = np.nonzero(standing)[0]
    return float(np.percentile(rows, 95) - np.percentile(rows, 5))


def open_share(layout: Layout) -> float:
    """Share of solid tiles among those beside which one can be."""
    free = layout.tiles != Tile.SOLID
    near = np.zeros_like(free)
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        near |= np.roll(free, (dy, dx), (0, 1))
    return float(free.sum() / (free | near).sum())


def walk(layout: Layout, mechanics: str) -> int:
    return int(steps_from(all_open(layout), MECHANICS[mechanics], start(layout)).max())


def hanging_walls(layout: Layout) -> int:
    """Walls one tile wide that hang down at least two tiles into free air."""
    free = layout.tiles != Tile.SOLID
    alone = ~free[:, 1:-1] & free[:, :-2] & free[:, 2:]
    return int(((alone[1:] & alone[:-1]).sum(0) > 0).sum())


def tunnels(layout: Layout) -> int:
    """Free tiles with a roof and a floor right above and below."""
    free = ~np.isin(layout.tiles, (Tile.SOLID, Tile.ICE))
    return int((free[1:-1] & ~free[:-2] & ~free[2:]).sum())


@pytest.mark.parametrize(
    ("mechanics", "wish", "measure"),
    [
        ("normal", "verticality", height_range),
        ("normal", "rooms", hanging_walls),
        ("normal", "density", lambda layout: 1 - open_share(layout)),
        ("top", "density", lambda layout: 1 - open_share(layout)),
        ("top", "rooms", lambda layout: 1 - open_share(layout)),
        ("top", "branches", lambda layout: float((layout.tiles != Tile.SOLID).sum())),
        ("normal", "water", lambda layout: count(layout, Tile.WATER)),
        ("top", "water", lambda layout: count(layout, Tile.WATER)),
        ("normal", "ice", lambda layout: count(layout, Tile.ICE)),
        ("normal", "platforms", lambda layout: int((layout.mover_kinds == Mover.PLATFORM).sum())),
        ("normal", "branches", tunnels),
    ],
)
def test_more_of_a_wish_is_more_of_it_in_the_map(mechanics, wish, measure):
    none, normal, much = (
        np.mean([measure(generate(Plan(MECHANICS[mechanics], **{wish: amount}), seed)) for seed in range(12)])
        for amount in (0.0, 0.5, 1.0)
    )
    assert none <= normal <= 1.2 * much  # some maps hold no more than a normal wish
    assert none < much


@pytest.mark.parametrize("size", [0.7, 1.3])
def test_the_walk_is_as_long_as_wished(size):
    normal = np.mean([walk(generate(Plan(MECHANICS["normal"], size=1.0), s), "normal") for s in range(6)])
    wished = np.mean([walk(generate(Plan(MECHANICS["normal"], size=size), s), "normal") for s in range(6)])
    assert (wished > normal) == (size > 1)


@pytest.mark.parametrize("mechanics", ["normal", "top", "moon"])
@pytest.mark.parametrize("secrets", [0, 2])
def test_secrets_are_there_and_can_be_reached(mechanics, secrets):
    layout = generate(Plan(MECHANICS[mechanics], secrets=secrets), 3)
    boxes = [placed.box for placed in layout.placed if placed.kind == "secret"]
    assert len(boxes) == secrets
    steps = steps_from(layout.tiles, MECHANICS[mechanics], start(layout))
    for x0, y0, x1, y1 in boxes:
        assert count_in(layout, (x0, y0, x1, y1), Tile.COIN) >= 3
        assert (steps[y0:y1, x0:x1] >= 0).any()


def count_in(layout: Layout, box: tuple[int, int, int, int], tile: Tile) -> int:
    x0, y0, x1, y1 = box
    return int((layout.tiles[y0:y1, x0:x1] == tile).sum())


def test_movers_keep_to_their_slots_and_ways():
    enemies = (Mover.FLYER, Mover.SPIDER, Mover.WALKER) * 4
    layout = generate(Plan(MECHANICS["normal"], enemies=enemies, platforms=1.0), 5)
    kinds = layout.mover_kinds.tolist()
    assert sum(k not in (Mover.NONE, Mover.PLATFORM) for k in kinds) == MAX_ENEMIES
    assert 1 <= kinds.count(Mover.PLATFORM) <= MAX_PLATFORMS
    for kind, (x, y), heading in zip(kinds, layout.mover_spawns.tolist(), layout.mover_headings, strict=True):
        if kind != Mover.NONE:
            assert layout.tiles[y, x] not in (Tile.SOLID, Tile.DOOR)
        if kind == Mover.SPIDER:
            assert heading == 3
        if kind == Mover.WALKER:
            assert layout.tiles[y + 1, x] in (Tile.SOLID, Tile.ICE)


BEHIND_A_DOOR = (Wanted(0, "sign", "near"), Wanted(1, "door", "mid"), Wanted(2, "sign", "door"))
PLANS = (
    Plan(Mechanics(jump=17, wind=2), water=0.8, platforms=0.8, ice=0.4, size=0.7),
    Plan(Mechanics(jump=17, wind=-2, speed=4), BEHIND_A_DOOR, water=0.4, rooms=1.0, size=0.6),
    Plan(Mechanics(gravity=1, jump=13), water=1.0, verticality=1.0, branches=1.0),
    Plan(Mechanics(gravity=3, jump=18, accel=1), ice=1.0, platforms=0.5),
    Plan(Mechanics(top_view=True, wind=2), water=1.0, rooms=0.0, branches=1.0, secrets=2, size=0.6),
)


@pytest.mark.parametrize("number", range(len(PLANS)))
def test_the_simulator_gets_everywhere_the_layout_promises(number):
    """By the real rules, enemies left out: the goal, every object, every secret, and as many coins."""
    plan = PLANS[number]
    layout = generate(plan, 11)
    reach = reachability(_world(layout.tiles, plan.mechanics, layout))
    assert reach.goal
    for placed in layout.placed:
        assert reach.steps_to(placed.box) is not None, placed
    coins = (layout.tiles == Tile.COIN) & (reach.steps >= 0)
    assert coins.sum() >= layout.reachable_coins
