"""A perfect model gets perfect marks; each kind of damage is caught by the measure meant for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from torch import Tensor
from torch.nn import functional
from typer.testing import CliRunner

from tests.small_worlds import small_world
from worldmodel.compiled import CompiledWorld, Mechanics
from worldmodel.constants import Event, LeverEffect, Mover, Tile
from worldmodel.evaluation import Evaluation, Plan, assess, edge_score, evaluate, markdown, psnr, ssim
from worldmodel.evaluation.bars import bars
from worldmodel.evaluation.drift import drift
from worldmodel.evaluation.groups import traits
from worldmodel.evaluation.heldout import forced, pairs
from worldmodel.evaluation.memory import remember
from worldmodel.evaluation.records import Playable
from worldmodel.evaluation.sheets import write_sheet
from worldmodel.model_cli import register_worldmodel
from worldmodel.practice import HELD_OUT_PAIRS, Practice
from worldmodel.protocol import Observation, State
from worldmodel.rendering import paint
from worldmodel.simulator import Simulator

PARK = """
##############################################
#............................................#
#.......o.....................s..............#
#@..o.o.....k..D..L..C..^..P..........p...w..#
##########################################..##
#............................................#
#...~~~~~.....-.......f..............o.......#
#...~~~~~............................o.......#
##%%%%%%%%%%%%%%##############################
"""


def park(**mechanics: int | bool) -> CompiledWorld:
    world = small_world(PARK, replace(Mechanics(look_ahead=4), **mechanics), lever=LeverEffect.OPEN)
    spawns = torch.tensor([[1, 3], [2, 7], [40, 7], [36, 3]], dtype=torch.int16).numpy()
    return replace(world, spawns=spawns)


@pytest.fixture(scope="module")
def worlds() -> list[CompiledWorld]:
    return [park(), park(wind=1, gravity=1), park(air_jumps=1, gravity=3, darkness=1)]


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def judged(model: Playable, worlds: list[CompiledWorld], steps: int = 96) -> Evaluation:
    return evaluate(model, worlds, episodes=2, seed=3, horizon=steps)


class Heavy(Simulator):
    """Pulls a unit per step harder than the world says."""

    def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
        mechanics = self.bank.mechanics
        heavier = mechanics.clone()
        heavier[:, 1] += 1
        self.bank.replace_tensors(mechanics=heavier)
        try:
            return super().step(state, actions, render=render)
        finally:
            self.bank.replace_tensors(mechanics=mechanics)


class Changed(Simulator):
    """A simulator whose results are changed on the way out."""

    def __init__(
        self, change: Callable[[Changed, State, State, Observation], tuple[State, Observation]]
    ) -> None:
        super().__init__()
        self.change = change
        self.waiting: dict[int, Tensor] = {}

    def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
        after, seen = super().step(state, actions, render=render)
        return self.change(self, state, after, seen)


class Repainted(Simulator):
    """A simulator that draws wrongly."""

    def __init__(self, repaint: Callable[[Repainted, State], Tensor]) -> None:
        super().__init__()
        self.repaint = repaint

    def render(self, state: State) -> Tensor:
        return self.repaint(self, state)


def forget_coins(model: Changed, _: State, after: State, seen: Observation) -> tuple[State, Observation]:
    fresh = model.bank.tiles[after.world] == Tile.COIN
    due = (after.step % 100 == 99)[:, None, None]
    canvas = torch.where(fresh & due, int(Tile.COIN), after.canvas).to(torch.uint8)
    return after.updated(canvas=canvas), seen


def shut_doors(model: Changed, _: State, after: State, seen: Observation) -> tuple[State, Observation]:
    due = (after.step % 100 == 99)[:, None, None]
    shut = torch.where(due & (after.canvas == Tile.DOOR_OPEN), int(Tile.DOOR), after.canvas)
    return after.updated(canvas=shut.to(torch.uint8)), seen


def lose_platforms(model: Changed, _: State, after: State, seen: Observation) -> tuple[State, Observation]:
    lost = (after.mover_kind == Mover.PLATFORM) & (after.step > 40)[:, None]
    return after.updated(mover_kind=torch.where(lost, 0, after.mover_kind)), seen


def delay_events(model: Changed, _: State, after: State, seen: Observation) -> tuple[State, Observation]:
    late = model.waiting.get(len(after), torch.zeros_like(seen.events))
    model.waiting[len(after)] = seen.events
    return after, replace(seen, events=late)


def say_nothing(model: Changed, _: State, after: State, seen: Observation) -> tuple[State, Observation]:
    return after, replace(seen, clip=torch.full_like(seen.clip, -1))


def ignore_hurt(model: Changed, _: State, after: State, seen: Observation) -> tuple[State, Observation]:
    events = seen.events.clone()
    events[:, Event.HURT] = False
    return after, replace(seen, events=events)


def blur(model: Repainted, state: State) -> Tensor:
    frames = paint(model.bank, state).float()
    return functional.avg_pool2d(frames, 5, 1, 2).to(torch.uint8)


def hide_movers(model: Repainted, state: State) -> Tensor:
    return paint(model.bank, state.updated(mover_kind=torch.zeros_like(state.mover_kind)))


def show_untouched(model: Repainted, state: State) -> Tensor:
    return paint(model.bank, state.updated(canvas=model.bank.tiles[state.world]))


def test_the_simulator_against_itself_is_perfect(worlds: list[CompiledWorld]) -> None:
    result = judged(Simulator(), worlds)
    assert result.step_agreement == 1
    assert result.mover_agreement == result.action_agreement == result.place == result.place_open == 1
    assert result.coins_regrown == 0
    for horizon in result.horizons.values():
        assert horizon.psnr == horizon.own.psnr == 60
        assert horizon.model.ssim == pytest.approx(1, abs=1e-4)
        assert horizon.model.edges == pytest.approx(1)
        assert horizon.first.psnr < 60
    assert result.sounds.same_steps == 1
    for scores in (result.events, result.events_in_play):
        for score in scores.values():
            assert score.true == score.predicted == score.simulated


def test_every_event_and_the_voice_are_seen(worlds: list[CompiledWorld]) -> None:
    result = judged(Simulator(), worlds, steps=32)
    missing = {name for name, score in result.events.items() if not score.simulated} - {"goal"}
    assert not missing
    assert result.sounds.voices.simulated > 0


def test_wrong_gravity_shows_in_places_steps_and_the_heavy_group(worlds: list[CompiledWorld]) -> None:
    result = judged(Heavy(), worlds)
    assert result.step_agreement < 0.95
    assert result.place is not None
    assert result.place_open is not None
    assert result.place_open <= result.place < 1
    assert result.action_agreement is not None
    assert result.action_agreement < 0.9
    assert result.horizons[64].psnr < 60
    assert result.horizons[64].own.psnr == 60, "the decoder is not to blame"


def test_coins_that_come_back_are_counted_and_remembered(worlds: list[CompiledWorld]) -> None:
    model = Changed(forget_coins)
    assert judged(model, worlds, steps=100).coins_regrown > 0
    memory = remember(model, worlds, 300, seeded())
    assert memory is not None
    assert memory.taken_still_gone is not None
    assert memory.changed_as_left is not None
    assert memory.taken_still_gone < 0.5
    assert memory.changed_as_left < 0.98
    assert memory.doors_still_open == 1


def test_doors_that_shut_themselves_are_noticed_on_return(worlds: list[CompiledWorld]) -> None:
    memory = remember(Changed(shut_doors), worlds, 300, seeded())
    assert memory is not None
    assert memory.doors_still_open == 0
    assert memory.taken_still_gone == 1


def test_whoever_remembers_all_finds_all_as_left(worlds: list[CompiledWorld]) -> None:
    memory = remember(Simulator(), worlds, 300, seeded())
    assert memory is not None
    assert memory.changed > 10
    assert memory.tiles_as_left == memory.changed_as_left == memory.shown_as_left == 1
    assert memory.taken_still_gone == memory.doors_still_open == memory.levers_as_left == 1


def test_a_picture_of_the_untouched_world_is_no_memory(worlds: list[CompiledWorld]) -> None:
    memory = remember(Repainted(show_untouched), worlds, 300, seeded())
    assert memory is not None
    assert memory.tiles_as_left == 1
    assert memory.shown_as_left == 0


def test_a_world_where_nothing_changes_has_no_memory_to_test() -> None:
    assert remember(Simulator(), [small_world("####\n#@.#\n####")], 10, seeded()) is None


def test_a_lost_platform_is_counted_and_shows_in_the_movers(worlds: list[CompiledWorld]) -> None:
    found = drift(Changed(lose_platforms), worlds, 2, 64, seeded())
    assert found.vanished > 0
    assert drift(Simulator(), worlds, 2, 64, seeded()).vanished == 0


def test_delayed_events_lose_precision_and_recall_but_no_step(worlds: list[CompiledWorld]) -> None:
    result = judged(Changed(delay_events), worlds)
    assert result.step_agreement == 1
    for name in ("collect", "hurt", "door"):
        assert result.events[name].recall < 0.5  # type: ignore[operator]
        assert result.events[name].precision < 0.5  # type: ignore[operator]
    assert result.events_in_play["hurt"].f1 > 0.9  # type: ignore[operator]


def test_an_event_that_is_never_told_fails_its_bar_and_no_other(worlds: list[CompiledWorld]) -> None:
    result = judged(Changed(ignore_hurt), worlds)
    failed = {bar.name for bar in bars(result) if not bar.passed}
    assert failed == {"hurt: precision", "hurt: recall"}


def test_a_voice_that_never_starts_is_missed(worlds: list[CompiledWorld]) -> None:
    sounds = judged(Changed(say_nothing), worlds, steps=32).sounds
    assert sounds.voices.recall == 0
    assert sounds.effects.recall == 1
    assert sounds.same_steps is not None
    assert sounds.same_steps < 1


def test_blur_costs_all_three_measures_of_the_picture_and_nothing_else(worlds: list[CompiledWorld]) -> None:
    result = judged(Repainted(blur), worlds, steps=16)
    horizon = result.horizons[16]
    assert horizon.own.psnr < 30
    assert horizon.own.ssim < 0.8
    assert horizon.own.edges < 0.95
    assert result.step_agreement == horizon.place == 1


def test_movers_that_are_not_drawn_are_missed(worlds: list[CompiledWorld]) -> None:
    mark = drift(Repainted(hide_movers), worlds, 2, 64, seeded()).marks[64]
    assert mark.in_view > 0
    assert mark.not_shown == mark.in_view
    whole = drift(Simulator(), worlds, 2, 64, seeded()).marks[64]
    assert whole.not_shown == whole.shown_twice == 0


def test_movers_that_leave_a_copy_behind_are_seen_twice(worlds: list[CompiledWorld]) -> None:
    class Trailing(Simulator):
        """Draws each mover also where it was sixteen steps ago."""

        def __init__(self) -> None:
            super().__init__()
            self.past: list[State] = []

        def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
            after, seen = super().step(state, actions, render=render)
            self.past.append(after)
            return after, seen

        def render(self, state: State) -> Tensor:
            if len(self.past) < 17 or len(self.past[-17]) != len(state):
                return paint(self.bank, state)
            then = self.past[-17]
            kinds, places = state.mover_kind.clone(), state.mover_position.clone()
            kinds[:, 6:], places[:, 6:] = kinds[:, :6], then.mover_position[:, :6]
            return paint(self.bank, state.updated(mover_kind=kinds, mover_position=places))

    assert drift(Trailing(), worlds, 2, 64, seeded()).marks[64].shown_twice > 0


def test_a_pair_that_was_never_learned_shows_beside_its_halves() -> None:
    class NoSecondJumpInWind(Simulator):
        def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
            mechanics = self.bank.mechanics
            windy = mechanics[state.world, 8] != 0
            return super().step(state.updated(air=torch.where(windy, 0, state.air)), actions, render=render)

    found = {pair.names: pair for pair in pairs(NoSecondJumpInWind(), maps=8, moments=256, seed=1)}
    windy = found["wind", "double_jump"]
    assert windy.exact < 0.98
    assert windy.exact_one == 1
    assert all(pair.exact == 1 for names, pair in found.items() if "double_jump" not in names)


def test_forced_features_bring_no_other_held_out_pair() -> None:
    drawn = Practice.create(2, 0, torch.device("cpu")).features(256)
    for one, other in HELD_OUT_PAIRS:
        has = forced(drawn, {one: True, other: True})
        together = {p for p in HELD_OUT_PAIRS if bool((has[p[0]] & has[p[1]]).any())}
        assert together == {(one, other)}


def test_the_worst_mechanic_comes_first(worlds: list[CompiledWorld]) -> None:
    class Windless(Simulator):
        def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
            mechanics = self.bank.mechanics
            still = mechanics.clone()
            still[:, 8] = 0
            self.bank.replace_tensors(mechanics=still)
            try:
                return super().step(state, actions, render=render)
            finally:
                self.bank.replace_tensors(mechanics=mechanics)

    result = judged(Windless(), worlds, steps=64)
    first = result.by_mechanic[0]
    assert first.name in ("wind", "gravity of the moon"), "the two that only the windy world has"
    assert first.exact is not None
    assert first.exact < 1
    jumping = next(group for group in result.by_mechanic if group.name == "double jump")
    assert jumping.exact == 1
    assert "wind" in result.by_world[0].name


def test_traits_name_what_a_world_has(worlds: list[CompiledWorld]) -> None:
    assert set(traits(worlds[1])) == {
        "side view", "gravity of the moon", "water", "ice", "wind", "moving platforms", "leading camera",
        "walkers", "flyers", "spiders",
    }  # fmt: skip


def test_the_same_seed_gives_the_same_numbers(worlds: list[CompiledWorld]) -> None:
    assert (
        judged(Heavy(), worlds, 32).as_json()["by_world"] == judged(Heavy(), worlds, 32).as_json()["by_world"]
    )


def test_the_whole_evaluation_becomes_json_tables_and_pictures(
    worlds: list[CompiledWorld], tmp_path: Path
) -> None:
    plan = Plan(episodes=1, steps=64, drift_worlds=1, drift_steps=64, away_steps=20, pair_maps=2,
                pair_moments=16, look_worlds=1)  # fmt: skip
    result = assess(Simulator(), worlds, plan, seed=1)
    assert json.loads(json.dumps(result.as_json()))["drift"]["vanished"] == 0
    text = markdown(result)
    for heading in (
        "Bars",
        "By mechanic, worst first",
        "Memory",
        "Drift",
        "Held-out pairs",
        "Held-out looks",
    ):
        assert f"## {heading}" in text
    sheet, video = write_sheet(Simulator(), worlds[0], tmp_path, seed=1, steps=32, video_steps=20)
    assert sheet.stat().st_size > 1000
    import av

    with av.open(str(video)) as file:
        assert sum(1 for _ in file.decode(video=0)) == 20


def test_the_command_writes_numbers_tables_sheets_and_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import worldmodel.evaluation

    app = typer.Typer()
    register_worldmodel(app)
    tiny = Plan(worlds=1, episodes=1, steps=8, drift_worlds=1, drift_steps=64, away_steps=8, pair_maps=2,
                pair_moments=16, look_worlds=1, sheets=1, video_steps=8)  # fmt: skip
    monkeypatch.setattr(worldmodel.evaluation, "QUICK", tiny)
    numbers, folder = tmp_path / "numbers.json", tmp_path / "sheets"
    done = CliRunner().invoke(
        app,
        [
            "worldmodel",
            "evaluate",
            "--model",
            "simulator",
            "--quick",
            "--sheets",
            str(folder),
            "--json",
            str(numbers),
        ],
    )
    assert done.exit_code == 0, done.output
    assert json.loads(numbers.read_text())["step_agreement"] == 1
    assert {path.suffix for path in folder.iterdir()} == {".png", ".mp4", ".md"}
    assert "By mechanic, worst first" in (folder / "report.md").read_text()


def test_a_model_that_calls_it_a_day_is_not_excused(worlds: list[CompiledWorld]) -> None:
    def give_up(_: Changed, before: State, after: State, seen: Observation) -> tuple[State, Observation]:
        ended = before.where(before.step > 4, after)
        ended.step, ended.done = after.step, torch.ones_like(after.done)
        return ended, seen

    result = judged(Changed(give_up), worlds)
    assert result.place is not None
    assert result.place < 0.5
    memory = remember(Changed(give_up), worlds, 20, seeded())
    assert memory is not None
    assert memory.returns > 0


def test_psnr_ssim_and_edges_of_known_pictures() -> None:
    black = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    grey = torch.full_like(black, 26)  # off by 26 of 255 everywhere: 20 log10(255 / 26)
    assert psnr(grey, black).item() == pytest.approx(19.83, abs=0.01)
    line, shifted, far = black.clone(), black.clone(), black.clone()
    line[..., 16], shifted[..., 17], far[..., 26] = 255, 255, 255
    assert ssim(line, line).item() == pytest.approx(1)
    assert ssim(line, far).item() < 0.7
    assert edge_score(line, shifted).item() == pytest.approx(1), "a pixel aside is forgiven"
    assert edge_score(line, far).item() == 0
