from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from benchmarks.exploration import suite
from benchmarks.exploration.oracle import SEED, find_way, interactions, replay_way
from benchmarks.exploration.plots import reach_svg
from benchmarks.exploration.run import play_one, print_tables
from benchmarks.exploration.statistics import (
    Run,
    at_equal_steps,
    at_equal_time,
    difference,
    kaplan_meier,
    recall,
)
from benchmarks.exploration.strategies import STRATEGIES
from benchmarks.exploration.violations import Violation
from benchmarks.exploration.watch import Watch
from benchmarks.exploration.worlds import FIRST_SEED, Planted, plant
from tests.bot_worlds import SIGN, bot_world
from tests.small_worlds import small_world
from worldmodel.compiled import Mechanics
from worldmodel.constants import UNITS, Action, LeverEffect, Tile
from worldmodel.protocol import Observation, State
from worldmodel.simulator import Simulator


@pytest.fixture(scope="module")
def entries() -> list[suite.Entry]:
    return suite.load()


def first(entries: list[suite.Entry], **wanted: object) -> suite.Entry:
    """The first bad entry whose recipe is so."""
    return next(
        e for e in entries if not e.recipe.clean and all(getattr(e.recipe, k) == v for k, v in wanted.items())
    )


def bad(planted: Planted) -> Violation:
    assert planted.violation is not None
    return planted.violation


def step(simulator: Simulator, state: State, action: Action) -> tuple[State, Observation]:
    return simulator.step(state, torch.full((len(state),), int(action)), render=False)


# ---- the set ---------------------------------------------------------------------------------------------


def test_the_set_holds_every_kind_of_world_and_as_many_clean_ones(entries: list[suite.Entry]) -> None:
    planted = [e for e in entries if not e.recipe.clean]

    assert len(planted) == len(suite.SLOTS) == len(entries) - len(planted) == 30
    assert {e.interactions for e in planted} == {0, 1, 2, 3, 4}
    assert {e.recipe.modality for e in planted} == {"picture", "writing", "sound", "flash"}
    assert {e.recipe.trigger for e in planted} == {"see", "interact", "wait", "order"}
    assert {e.recipe.decoy for e in entries} == {"unreachable", "noisy", "dead ends"}
    assert min(sum(e.tier == tier for e in planted) for tier in range(4)) >= 7


def test_each_world_lies_in_its_tier_and_its_seed_in_the_range_for_evaluation(
    entries: list[suite.Entry],
) -> None:
    for entry in entries:
        low, high = suite.TIERS[entry.tier]
        assert entry.recipe.seed >= FIRST_SEED
        assert entry.recipe.clean or low <= entry.steps == len(entry.ways[0]) <= high
    assert len({e.recipe.seed for e in entries}) == len(entries)


def test_the_oracles_way_reaches_the_planted_thing_on_its_last_step_and_a_shorter_one_is_invalid(
    entries: list[suite.Entry],
) -> None:
    simulator = Simulator()
    for entry in suite.subset(entries, 8)[:4]:
        item = suite.gate(simulator, entry)
        assert item is not None
        assert item.steps == entry.steps
        assert interactions(item.planted.world, bad(item.planted)) == entry.interactions
    assert suite.gate(simulator, replace(entry, ways=(entry.ways[0][:-1],))) is None


def test_a_world_is_valid_by_any_of_its_ways(entries: list[suite.Entry]) -> None:
    entry = first(entries, modality="sound", start="close")

    item = suite.gate(Simulator(), replace(entry, ways=("0", *entry.ways)))

    assert item is not None
    assert item.steps == entry.steps


def test_a_subset_takes_the_tiers_in_turn_and_is_half_clean(entries: list[suite.Entry]) -> None:
    chosen = suite.subset(entries, 8)

    assert [e.tier for e in chosen if not e.recipe.clean] == [3, 2, 1, 0]
    assert [e.tier for e in chosen if e.recipe.clean] == [3, 2, 1, 0]


def test_tiers_end_where_the_next_begins() -> None:
    assert [suite.tier_of(n) for n in (1, 16, 17, 64, 65, 256, 257)] == [0, 0, 1, 1, 2, 2, 3]


def test_a_recipe_gives_the_same_world_every_time(entries: list[suite.Entry]) -> None:
    recipe = first(entries, decoy="unreachable").recipe

    one, other = plant(recipe), plant(recipe)

    assert one.world.key == other.world.key
    assert np.array_equal(one.world.tiles, other.world.tiles)
    assert one.violation == other.violation


def test_a_clean_world_has_decoys_and_nothing_planted(entries: list[suite.Entry]) -> None:
    planted = plant(next(e.recipe for e in entries if e.recipe.clean))

    assert planted.violation is None
    assert planted.decoys


@pytest.mark.parametrize("trigger", ["interact", "order"])
def test_no_lever_of_a_clean_world_makes_the_lights_flash(trigger: str, entries: list[suite.Entry]) -> None:
    recipes = [e.recipe for e in entries if e.recipe.clean and e.recipe.trigger == trigger]
    world = plant(next(r for r in recipes if trigger == "order" or r.modality == "flash")).world

    levers = world.tiles == Tile.LEVER
    assert levers.any()
    assert not (world.effects[world.links[levers]] == LeverEffect.FLASH).any()


def test_the_set_is_read_back_as_it_was_written(entries: list[suite.Entry], tmp_path) -> None:
    suite.save(entries[:3], tmp_path / "set.json")

    assert suite.load(tmp_path / "set.json") == entries[:3]


# ---- decoys and triggers ---------------------------------------------------------------------------------


def test_nobody_can_come_beside_the_buried_character(entries: list[suite.Entry]) -> None:
    planted = plant(first(entries, decoy="unreachable").recipe)
    x, y, _, _ = planted.decoys[-1]
    around = planted.world.tiles[y - 1 : y + 2, x - 1 : x + 2].copy()

    assert around[1, 1] == Tile.CHARACTER
    around[1, 1] = Tile.SOLID
    assert (around == Tile.SOLID).all()


def test_a_noisy_world_has_levers_without_effect(entries: list[suite.Entry]) -> None:
    world = plant(first(entries, decoy="noisy").recipe).world
    idle = (world.tiles == Tile.LEVER) & (world.effects[world.links] == LeverEffect.NONE)

    assert idle.sum() >= 3


def test_a_look_alike_on_the_screen_does_not_count(entries: list[suite.Entry]) -> None:
    planted = plant(first(entries, modality="writing", trigger="see").recipe)
    simulator = Simulator()

    def seen_from(box: tuple[int, int, int, int]) -> bool:
        place = ((box[0] + box[2]) // 2, box[3] - 1)
        start = replace(planted.world, key=str(place), spawns=np.array([place], np.int16))
        state, seen = step(simulator, simulator.spawn([start], [0]), Action.NOOP)
        return bool(bad(planted).reached(state, seen)[0])

    assert seen_from(bad(planted).box)
    assert not seen_from(planted.decoys[0])


def test_a_portal_that_stands_in_for_a_door_has_to_be_taken(entries: list[suite.Entry]) -> None:
    entry = next(
        e
        for e in entries
        if "portal" in e.recipe.gates and e.tier > 0 and e.interactions and not e.recipe.clean
    )
    planted = plant(entry.recipe)
    walled = np.where(planted.world.tiles == Tile.PORTAL, Tile.SOLID, planted.world.tiles)
    without = replace(planted.world, key="no portal", tiles=walled.astype(np.uint8))
    way = np.array([int(digit) for digit in entry.ways[0]], np.uint8)

    assert replay_way(Simulator(), planted.world, bad(planted), way) == entry.steps
    assert replay_way(Simulator(), without, bad(planted), way) is None


def test_who_does_not_wait_hears_the_neighbour_and_not_the_planted_voice(entries: list[suite.Entry]) -> None:
    entry = first(entries, trigger="wait")
    planted, simulator = plant(entry.recipe), Simulator()
    state, spoken = simulator.spawn([planted.world], [SEED]), []

    for digit in entry.ways[0]:
        state, seen = step(simulator, state, Action(int(digit)))
        if int(seen.clip[0]) >= 0:
            spoken.append((int(seen.clip[0]), int(state.step[0])))

    assert [clip for clip, _ in spoken[-2:]] == [1 - bad(planted).clip, bad(planted).clip]
    assert spoken[-1][1] - spoken[-2][1] >= 90


# ---- reaching --------------------------------------------------------------------------------------------


def standing(x: int, y: int, **changes: torch.Tensor) -> tuple[State, Observation]:
    """A player put somewhere in the small world, and what a step of doing nothing reports."""
    simulator = Simulator()
    state = simulator.spawn([bot_world()], [0])
    state = state.updated(
        position=torch.tensor([[x * UNITS + 16, y * UNITS + 18]], dtype=torch.int32), **changes
    )
    return step(simulator, state, Action.NOOP)


def test_a_sign_counts_when_all_of_it_is_in_the_frame() -> None:
    sign = Violation("picture", "see", SIGN)

    assert sign.reached(*standing(17, 4))
    assert not sign.reached(*standing(23, 4))  # its left edge is cut off
    assert not sign.reached(*standing(2, 7))


def test_a_sign_with_an_order_counts_only_while_the_lights_flash() -> None:
    sign = Violation("picture", "order", SIGN)

    assert not sign.reached(*standing(17, 4))
    assert sign.reached(*standing(17, 4, flash=torch.tensor([9], dtype=torch.int32)))


def test_a_voice_counts_by_its_clip() -> None:
    state, seen = standing(26, 5)

    assert Violation("sound", "interact", (27, 5, 28, 6), clip=0).reached(state, seen)
    assert not Violation("sound", "interact", (27, 5, 28, 6), clip=1).reached(state, seen)


@pytest.mark.parametrize(("effect", "counts"), [(LeverEffect.FLASH, True), (LeverEffect.NONE, False)])
def test_a_lever_counts_when_it_is_pulled_and_the_lights_flash(effect: LeverEffect, counts: bool) -> None:
    simulator = Simulator()
    world = small_world("#####\n#...#\n#.L.#\n#####", Mechanics(), lever=effect)
    start = replace(world, key=f"{world.key}-start", spawns=np.array([(2, 2)], np.int16))
    flash = Violation("flash", "interact", (2, 2, 3, 3))

    before = simulator.spawn([start], [0])
    idle, nothing = step(simulator, before, Action.NOOP)
    pulled, seen = step(simulator, before, Action.INTERACT)

    assert not flash.reached(idle, nothing)
    assert bool(flash.reached(pulled, seen)) is counts


def test_the_oracle_takes_the_key_to_the_door_and_says_so_when_there_is_no_way() -> None:
    sign = Violation("picture", "see", SIGN)
    world = bot_world()
    keyless = replace(
        world, key="keyless", tiles=np.where(world.tiles == Tile.KEY, 0, world.tiles).astype(np.uint8)
    )

    way = find_way(Simulator(), world, sign)

    assert way is not None
    assert replay_way(Simulator(), world, sign, way) == len(way)
    assert interactions(world, sign) == 1
    assert find_way(Simulator(), keyless, sign) is None


# ---- playing ---------------------------------------------------------------------------------------------


def test_watching_counts_the_steps_of_rows_that_still_play() -> None:
    simulator = Simulator()
    watch = Watch(simulator, None, budget=10)
    state = watch.spawn([bot_world()] * 4, range(4))
    state = state.updated(done=torch.tensor([True, False, False, False]))

    for _ in range(3):
        assert not watch.over
        state, _ = watch.step(state, torch.zeros(4, dtype=torch.int64), render=False)
    watch.step(state, torch.zeros(4, dtype=torch.int64), render=False)

    assert watch.steps == 12
    assert watch.over


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_spends_its_budget_and_plays_the_same_again(
    name: str, entries: list[suite.Entry]
) -> None:
    item = suite.gate(Simulator(), first(entries, modality="sound", depth="far"))
    assert item is not None

    one, other = (play_one(Simulator(), item, name, seed=3, budget=2_000) for _ in range(2))

    assert one.first_steps == other.first_steps
    assert one.steps == 2_000 or one.first_steps is not None


def test_who_stands_still_reaches_nothing_and_the_search_reaches_what_is_near(
    entries: list[suite.Entry],
) -> None:
    item = suite.gate(Simulator(), first(entries, modality="flash", start="close"))
    assert item is not None

    assert play_one(Simulator(), item, "idle", seed=0, budget=8_000).first_steps is None
    assert play_one(Simulator(), item, "firstplay", seed=0, budget=8_000).first_steps is not None


# ---- statistics ------------------------------------------------------------------------------------------


def a_run(
    world: str, reached: int | None, *, strategy: str = "one", seed: int = 0, rate: float = 100.0
) -> Run:
    """A run with a budget of 1,000 steps, at ``rate`` steps per second."""
    steps = 1_000 if reached is None else reached
    seconds = None if reached is None else reached / rate
    return Run(strategy, world, 0, seed, 1_000, steps, steps / rate, reached, seconds)


def test_recall_counts_what_was_reached_by_a_share_of_the_budget() -> None:
    runs = [a_run("a", 90), a_run("b", 400), a_run("c", None), a_run("d", 1_000)]

    assert [recall(runs, share) for share in (0.1, 0.25, 0.5, 1.0)] == [0.25, 0.25, 0.5, 0.75]
    assert np.isnan(recall([]))


def test_kaplan_meier_lets_runs_that_ended_early_count_until_they_ended() -> None:
    stopped = replace(a_run("b", None), steps=300)
    survival = kaplan_meier([a_run("a", 200), stopped, a_run("c", 500), a_run("d", None)])

    # by hand: 3/4 after 200; two are left at 500, one of them reaches: 3/4 x 1/2
    waiting = dict(zip(survival.times.tolist(), survival.waiting.tolist(), strict=True))
    assert waiting[200] == pytest.approx(0.75)
    assert waiting[500] == pytest.approx(0.375)
    assert survival.median == 500


def test_the_median_of_runs_that_hardly_reached_is_beyond_the_budget() -> None:
    assert kaplan_meier([a_run("a", 10), a_run("b", None), a_run("c", None)]).median == float("inf")
    assert kaplan_meier([a_run("a", None)]).median == float("inf")


def test_a_difference_is_paired_by_world_and_its_interval_holds_the_mean() -> None:
    ours = [a_run(f"{n}", 500 if n < 8 else None) for n in range(10)]
    theirs = [a_run(f"{n}", 500 if n < 3 else None, strategy="other") for n in range(10)]

    found = difference(ours, theirs, at_equal_steps)

    assert found.mean == pytest.approx(0.5)
    assert 0.1 < found.low < 0.5 < found.high < 0.9
    assert found.worlds == 10


def test_seeds_of_one_world_are_one_observation() -> None:
    ours = [a_run("a", 500, seed=seed) for seed in range(5)]
    theirs = [a_run("a", None, seed=seed, strategy="other") for seed in range(5)]

    found = difference(ours, theirs, at_equal_steps)

    assert (found.mean, found.worlds) == (1.0, 1)
    assert np.isnan(found.low)


def test_at_equal_time_the_slower_strategy_gets_fewer_steps() -> None:
    slow = a_run("a", 800, rate=50.0)  # 16 s of the 10 s that the other one needs for its budget
    fast = a_run("a", None, strategy="other", rate=100.0)

    assert at_equal_steps(slow, fast) == (1.0, 0.0)
    assert at_equal_time(slow, fast) == (0.0, 0.0)


def test_tables_and_plot_show_every_strategy() -> None:
    runs = [
        a_run(world, reached, strategy=name)
        for name, reached in (("firstplay", 100), ("sticky", None))
        for world in "abc"
    ]
    console = Console(width=160, record=True)

    print_tables(runs, ["firstplay", "sticky"], console)

    text = console.export_text()
    assert "1.00 1.00 1.00 1.00" in text
    assert "beyond" in text
    assert "+100 (+100 … +100)" in text
    svg = reach_svg(runs, ["firstplay", "sticky"])
    assert svg.count("<path") >= 2
    assert ">sticky</text>" in svg
