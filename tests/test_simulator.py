"""How worlds play by rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.small_worlds import small_world
from worldmodel.compiled import CompiledWorld, Mechanics
from worldmodel.constants import UNITS, Action, Event, LeverEffect, Mover, Tile
from worldmodel.daylight import darkness
from worldmodel.protocol import Observation, State, concatenate
from worldmodel.simulator import Simulator

HALL = """
################
#..............#
#..............#
#@.............#
################
"""


def play(
    world: CompiledWorld, actions: list[Action], *, seed: int = 1, start: State | None = None
) -> tuple[State, list[Observation]]:
    simulator = Simulator()
    state = simulator.spawn([world], [seed])
    if start is not None:
        state = start
    seen = []
    for action in actions:
        state, observation = simulator.step(state, torch.tensor([int(action)]), render=False)
        seen.append(observation)
    return state, seen


def events(seen: list[Observation]) -> list[set[str]]:
    return [{e.name for e in Event if bool(o.events[0, e])} for o in seen]


def happened(seen: list[Observation]) -> set[str]:
    return set().union(*events(seen))


def tile(state: State) -> tuple[int, int]:
    x, y = (state.position[0] // UNITS).tolist()
    return x, y


def test_pressing_right_moves_right_and_a_wall_stops() -> None:
    state, _ = play(small_world(HALL), [Action.RIGHT] * 120)
    assert tile(state) == (14, 3)
    assert int(state.position[0, 0]) == 15 * UNITS - 10, "the box touches the wall"
    assert int(state.velocity[0, 0]) == 0


def test_a_jump_rises_and_falls_back_to_the_ground() -> None:
    state, _ = play(small_world(HALL), [Action.UP] + [Action.NOOP] * 3)
    assert int(state.position[0, 1]) < 4 * UNITS - 14
    state, _ = play(small_world(HALL), [Action.UP] + [Action.NOOP] * 30)
    assert int(state.position[0, 1]) == 4 * UNITS - 14


def test_nobody_jumps_in_mid_air() -> None:
    once, _ = play(small_world(HALL), [Action.UP, *[Action.NOOP] * 12])
    again, _ = play(small_world(HALL), [Action.UP, *[Action.NOOP] * 3, Action.UP, *[Action.NOOP] * 8])
    assert torch.equal(once.position, again.position)


@pytest.mark.parametrize(("gravity", "steps"), [(1, 40), (2, 20), (3, 14)])
def test_gravity_decides_how_long_a_jump_lasts(gravity: int, steps: int) -> None:
    tall = "\n".join(["####", *["#..#"] * 8, "#@.#", "####"])
    world = small_world(tall, Mechanics(gravity=gravity, jump=18))
    aloft, _ = play(world, [Action.UP] + [Action.NOOP] * (steps - 6))
    landed, _ = play(world, [Action.UP] + [Action.NOOP] * (steps + 2))
    ground = 10 * UNITS - 14
    assert int(aloft.position[0, 1]) < ground == int(landed.position[0, 1])


def test_ice_slides_on_after_the_key_is_released() -> None:
    def slid(accel: int) -> int:
        world = small_world(HALL, Mechanics(accel=accel))
        pushed, _ = play(world, [Action.RIGHT] * 10)
        rested, _ = play(world, [Action.RIGHT] * 10 + [Action.NOOP] * 20)
        return int(rested.position[0, 0] - pushed.position[0, 0])

    assert slid(1) > slid(4)


def test_in_top_view_there_is_no_gravity() -> None:
    world = small_world("####\n#..#\n#@.#\n#..#\n####", Mechanics(top_view=True))
    state, _ = play(world, [Action.NOOP] * 20)
    assert tile(state) == (1, 2)
    state, _ = play(world, [Action.UP] * 20)
    assert tile(state) == (1, 1)


def test_a_coin_disappears_is_counted_and_stays_gone() -> None:
    state, seen = play(
        small_world("######\n#@.o.#\n######"), [Action.RIGHT] * 20 + [Action.LEFT] * 60 + [Action.RIGHT] * 60
    )
    assert sum("COLLECT" in step for step in events(seen)) == 1
    assert int(state.coins) == 1
    assert not bool((state.canvas == Tile.COIN).any())


def test_a_door_stays_shut_without_a_key_and_opens_whole_with_one() -> None:
    locked, seen = play(small_world("#######\n#..D..#\n#@.D..#\n#######"), [Action.RIGHT] * 60)
    assert tile(locked)[0] == 2
    assert "DOOR" not in happened(seen)
    opened, seen = play(small_world("#######\n#..D..#\n#@kD..#\n#######"), [Action.RIGHT] * 60)
    assert {"KEY", "DOOR"} <= happened(seen)
    assert int(opened.keys) == 0
    assert int((opened.canvas == Tile.DOOR_OPEN).sum()) == 2, "the whole group opens for one key"
    assert tile(opened)[0] == 5


def test_a_lever_needs_the_interact_key_and_flashes_the_lights() -> None:
    world = small_world("#####\n#@L.#\n#####")
    _, seen = play(world, [Action.RIGHT] * 8)
    assert "LEVER" not in happened(seen)
    pulled, seen = play(world, [Action.RIGHT] * 6 + [Action.LEFT] * 2 + [Action.INTERACT])
    assert "LEVER" in events(seen)[-1]
    assert int(pulled.flash) > 0


def test_a_lever_can_open_the_doors_of_its_group() -> None:
    drawing = "#######\n#@L.D.#\n#######"
    world = small_world(drawing, lever=LeverEffect.OPEN)
    world.links[1, 4] = 3
    _, seen = play(world, [Action.RIGHT] * 6 + [Action.INTERACT] + [Action.RIGHT] * 40)
    assert {"LEVER", "DOOR"} <= happened(seen)


def test_a_portal_leads_to_its_partner() -> None:
    state, seen = play(small_world("#########\n#@P##p..#\n#########"), [Action.RIGHT] * 12)
    assert "PORTAL" in happened(seen)
    assert tile(state)[0] >= 5


def test_a_character_speaks_when_near_and_not_again_at_once() -> None:
    _, seen = play(small_world(HALL.replace("@....", "@..C.")), [Action.RIGHT] * 60)
    speaking = [i for i, step in enumerate(events(seen)) if "SPEECH" in step]
    assert len(speaking) == 1
    assert int(seen[speaking[0]].clip) == 0


def test_hazards_hurt_then_spare_then_send_back_to_the_start() -> None:
    world = small_world("#########\n#@^^^^^^#\n#########")
    state, seen = play(world, [Action.RIGHT] * 45)
    assert sum("HURT" in step for step in events(seen)) >= 2
    state, seen = play(world, [Action.RIGHT] * 24 + [Action.NOOP] * 60)
    assert "DIED" in happened(seen)
    assert tile(state) == (1, 1)
    assert int(state.health) == 3


def test_the_goal_ends_the_episode_and_nothing_moves_after() -> None:
    world = small_world("######\n#@G..#\n######")
    state, seen = play(world, [Action.RIGHT] * 20)
    assert "GOAL" in happened(seen)
    assert bool(seen[-1].done)
    later, seen = play(world, [Action.RIGHT] * 30)
    assert torch.equal(state.position, later.position)
    assert not seen[-1].events.any()


def test_walkers_turn_at_walls_and_edges() -> None:
    drawing = "##########\n#........#\n#........#\n#@..w....#\n####..####\n##########"
    simulator = Simulator()
    state = simulator.spawn([small_world(drawing)], [3])
    xs = set()
    for _ in range(200):
        state, _ = simulator.step(state, torch.tensor([0]), render=False)
        xs.add(int(state.mover_position[0, 0, 0]) // UNITS)
    assert xs <= {4, 5, 6, 7, 8}


def test_an_enemy_that_touches_hurts() -> None:
    world = small_world("########\n#......#\n#@...c.#\n########")
    assert world.mover_kinds[0] == Mover.CHASER
    _, seen = play(world, [Action.NOOP] * 120)
    assert "HURT" in happened(seen)


def test_the_same_seed_plays_the_same_and_another_does_not() -> None:
    world = small_world(HALL.replace("#......", "#.g.g.."))
    actions = [Action.NOOP] * 100
    first, _ = play(world, actions, seed=5)
    same, _ = play(world, actions, seed=5)
    other, _ = play(world, actions, seed=6)
    assert torch.equal(first.mover_position, same.mover_position)
    assert not torch.equal(first.mover_position, other.mover_position)


def test_rows_of_a_batch_do_not_touch_each_other() -> None:
    worlds = [small_world(HALL), small_world("#####\n#@o.#\n#####"), small_world(HALL, Mechanics(speed=3))]
    simulator = Simulator()
    together = simulator.spawn(worlds, [1, 2, 3])
    alone = [simulator.spawn([w], [s]) for w, s in zip(worlds, [1, 2, 3], strict=True)]
    actions = torch.tensor([int(Action.UP_RIGHT), int(Action.RIGHT), int(Action.RIGHT)])
    for _ in range(40):
        together, _ = simulator.step(together, actions, render=False)
        alone = [simulator.step(s, actions[i : i + 1], render=False)[0] for i, s in enumerate(alone)]
    joined = concatenate(alone)
    assert torch.equal(together.position, joined.position)
    assert torch.equal(together.canvas, joined.canvas)


def test_a_saved_state_goes_on_as_if_it_had_never_been_saved() -> None:
    world = small_world(HALL.replace("#......", "#.g.g.."))
    simulator = Simulator()
    state = simulator.spawn([world], [9])
    for _ in range(20):
        state, _ = simulator.step(state, torch.tensor([2]), render=False)
    elsewhere = Simulator()
    restored = elsewhere.restore(simulator.save(state), [world])
    for _ in range(20):
        state, seen = simulator.step(state, torch.tensor([5]))
        restored, again = elsewhere.step(restored, torch.tensor([5]))
        assert seen.frames is not None
        assert again.frames is not None
        assert torch.equal(seen.frames, again.frames)


def test_restoring_without_its_world_names_what_is_missing() -> None:
    world = small_world(HALL)
    simulator = Simulator()
    saved = simulator.save(simulator.spawn([world], [1]))
    with pytest.raises(KeyError, match=world.key):
        Simulator().restore(saved, [])


def test_a_spawn_point_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError, match="spawn points"):
        Simulator().spawn([small_world(HALL)], [1], [4])


def test_flashing_lights_change_the_whole_picture() -> None:
    simulator = Simulator()
    calm = simulator.spawn([small_world(HALL)], [1])
    lit, dim = calm.updated(flash=torch.tensor([10])), calm.updated(flash=torch.tensor([9]))
    means = [simulator.render(s).float().mean().item() for s in (lit, calm, dim)]
    assert means[0] > means[1] + 50 > means[2] + 50


def trace(
    world: CompiledWorld, actions: list[Action], change: dict[str, Tensor] | None = None
) -> list[State]:
    """The states of one player, the first one included."""
    model = Simulator()
    state = model.spawn([world], [0])
    state = state.updated(**(change or {}))
    states = [state]
    for action in actions:
        state, _ = model.step(state, torch.tensor([int(action)]), render=False)
        states.append(state)
    return states


def height(state: State) -> int:
    return int(state.position[0, 1])


def test_a_second_jump_in_the_air_needs_the_key_pressed_anew_and_comes_once() -> None:
    world = small_world("\n".join(["#" * 6] + ["#....#"] * 8 + ["#.@..#", "#" * 6]), Mechanics(air_jumps=1))
    held = trace(world, [Action.UP] * 16)
    again = trace(world, [Action.UP] * 8 + [Action.NOOP] + [Action.UP] * 8)
    thrice = trace(world, ([Action.UP] * 6 + [Action.NOOP]) * 3)
    single = trace(replace_mechanics(world, air_jumps=0), [Action.UP] * 8 + [Action.NOOP] + [Action.UP] * 8)
    assert min(map(height, held)) == min(map(height, single))
    assert min(map(height, again)) < min(map(height, single)) - 60
    assert min(map(height, thrice)) >= min(map(height, again)) - 40
    assert sum(int(b.velocity[0, 1]) == -16 for b in thrice) == 2


def test_in_water_one_sinks_slowly_swims_up_and_jumps_out_at_the_surface() -> None:
    world = small_world(
        "\n".join(["#" * 5] + ["#...#"] * 4 + ["#~~~#"] * 2 + ["#~@~#".replace("@", "~")] + ["#####"])
    )
    start = {"position": torch.tensor([[80, 5 * 32 + 60]], dtype=torch.int32)}
    sinking = trace(world, [Action.NOOP] * 6, start)
    assert max(int(s.velocity[0, 1]) for s in sinking) == 3
    rising = trace(world, [Action.UP] * 30, start)
    assert min(int(s.velocity[0, 1]) for s in rising) == -16
    assert min(map(height, rising)) < 4 * 32
    walking = trace(world, [Action.RIGHT] * 4, start)
    assert max(int(s.velocity[0, 0]) for s in walking) == 4


def test_ice_gives_hardly_any_grip_and_is_solid() -> None:
    stone, ice = (small_world(f"#########\n#.......#\n#@......#\n{floor * 9}") for floor in "#%")
    on_stone, on_ice = (trace(world, [Action.RIGHT] * 8 + [Action.NOOP] * 8)[-1] for world in (stone, ice))
    assert int(on_stone.velocity[0, 0]) == 0
    assert height(on_ice) == height(on_stone)
    slid = trace(ice, [Action.RIGHT] * 8 + [Action.NOOP] * 3)
    assert int(slid[-1].velocity[0, 0]) == 3
    assert [int(s.velocity[0, 0]) for s in slid[:4]] == [0, 1, 2, 3]


def test_wind_drifts_who_is_in_the_air_and_not_who_stands() -> None:
    world = small_world(
        "\n".join(["#" * 12] + ["#..........#"] * 6 + ["#....@.....#", "#" * 12]), Mechanics(wind=-2)
    )
    standing, flying = trace(world, [Action.NOOP] * 8), trace(world, [Action.UP] * 8)
    assert int(standing[-1].position[0, 0]) == int(standing[0].position[0, 0])
    assert int(flying[-1].position[0, 0]) == int(flying[0].position[0, 0]) - 2 * 7


def test_a_platform_carries_its_rider_along_and_turns_at_walls() -> None:
    world = small_world("##########\n#........#\n#..@.....#\n#..-.....#\n#........#\n##########")
    states = trace(world, [Action.NOOP] * 300)
    riding = states[10:]
    assert all(bool(s.riding[0]) for s in riding)
    gaps = {int(s.position[0, 0] - s.mover_position[0, 0, 0]) for s in riding}
    assert max(gaps) - min(gaps) <= 2
    assert len({int(s.position[0, 0]) for s in riding}) > 100
    assert {int(s.mover_heading[0, 0]) for s in riding} == {0, 1}
    jumping = trace(world, [Action.NOOP] * 10 + [Action.UP] * 3)
    assert height(jumping[-1]) < height(jumping[10]) - 30


def test_a_lift_carries_up_and_down_and_is_passed_from_below() -> None:
    world = small_world("\n".join(["#" * 7] + ["#.....#"] * 5 + ["#..@..#", "#..|..#", "#.....#", "#" * 7]))
    heights = [height(s) for s in trace(world, [Action.NOOP] * 400)[10:]]
    assert max(heights) - min(heights) > 4 * 32
    below = {"position": torch.tensor([[3 * 32 + 16, 9 * 32 - 14]], dtype=torch.int32)}
    passed = trace(world, [Action.UP] * 10, below)
    assert min(map(height, passed)) < 8 * 32 - 40


def test_nobody_is_pressed_into_a_ceiling_by_a_lift() -> None:
    world = small_world(
        "\n".join(["#" * 7, "#.....#", "#.###.#", "#.....#", "#..@..#", "#..|..#", "#.....#", "#" * 7])
    )
    for state in trace(world, [Action.NOOP] * 300):
        x, y = state.position[0].tolist()
        corners = [(x + dx, y + dy) for dx in (-10, 9) for dy in (-14, 13)]
        assert all(state.canvas[0, cy // 32, cx // 32] != Tile.SOLID for cx, cy in corners)


def test_flyers_cross_gaps_and_spiders_go_up_and_down() -> None:
    world = small_world(
        "########\n#.f..s.#\n#......#\n#......#\n##.##.##\n########", Mechanics(enemy_speed=2)
    )
    states = trace(world, [Action.NOOP] * 120)
    flyer, spider = (torch.stack([s.mover_position[0, i] for s in states]) for i in (0, 1))
    assert int(flyer[:, 0].max() - flyer[:, 0].min()) > 4 * 32
    assert len(flyer[:, 1].unique()) == 1
    assert int(spider[:, 1].max() - spider[:, 1].min()) > 2 * 32
    assert len(spider[:, 0].unique()) == 1


def test_the_goal_waits_for_its_coins_and_points_are_counted() -> None:
    drawing = "########\n#@.o.oG#\n########"
    walk = [Action.RIGHT] * 40
    enough, short = (trace(small_world(drawing, Mechanics(coins_needed=n)), walk)[-1] for n in (2, 3))
    assert bool(enough.done[0])
    assert not bool(short.done[0])
    assert int(enough.score[0]) == 2 * 10 + 100
    assert int(short.score[0]) == 20


def test_night_falls_and_ends() -> None:
    world = small_world("####\n#@.#\n####", Mechanics(day_length=100))
    model = Simulator()
    levels = [float(darkness(model.bank, s)) for s in trace_with(model, world, 100)]
    assert levels[0] == 0
    assert levels[50] == 2
    assert levels[100] == 0
    assert (
        model.render(trace_with(model, world, 50)[-1]).float().mean()
        < 0.8 * model.render(trace_with(model, world, 0)[-1]).float().mean()
    )


def trace_with(model: Simulator, world: CompiledWorld, steps: int) -> list[State]:
    states = [model.spawn([world], [0])]
    for _ in range(steps):
        states.append(model.step(states[-1], torch.tensor([0]), render=False)[0])
    return states


def test_the_camera_leads_where_the_player_faces() -> None:
    world = small_world(
        "\n".join(["#" * 30] + ["#" + "." * 28 + "#"] * 20 + ["#" * 14 + "@" + "#" * 15]),
        Mechanics(look_ahead=16),
    )
    right = trace(world, [Action.RIGHT] + [Action.NOOP] * 12)[-1]
    left = trace(world, [Action.LEFT] + [Action.NOOP] * 20)[-1]
    assert int(right.look[0]) == 16
    assert int(left.look[0]) == -16


def replace_mechanics(world: CompiledWorld, **changes: int) -> CompiledWorld:
    mechanics = replace(world.mechanics, **changes)
    return replace(world, mechanics=mechanics, key=f"{world.key}{mechanics}")


def test_a_world_goes_on_while_others_take_the_places_of_those_that_are_released() -> None:
    worlds = [small_world("#@" + "." * length + "#") for length in (4, 6, 8)]
    model, alone = Simulator(), Simulator()
    state, twin = model.spawn(worlds, [1, 2, 3])[[1]], alone.spawn([worlds[1]], [2])

    model.bank.release({int(state.world)})
    others = model.spawn([small_world("#.@..#"), small_world("#..@.#"), small_world("#...@#")], [0, 0, 0])
    for _ in range(5):
        state, seen = model.step(state, torch.tensor([Action.RIGHT]))
        twin, expected = alone.step(twin, torch.tensor([Action.RIGHT]))

    assert torch.equal(seen.frames, expected.frames)
    assert len(model.bank.worlds) == model.bank.kept == 4
    assert len({int(slot) for slot in others.world} | {int(state.world)}) == 4
    assert torch.equal(model.render(others[[1]]), alone.render(alone.spawn([small_world("#..@.#")], [0])))
