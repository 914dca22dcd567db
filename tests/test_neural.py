"""The trained world model, as a player meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.small_worlds import small_world
from worldmodel.compiled import CompiledWorld, Mechanics
from worldmodel.constants import UNITS, Action, Event, Tile
from worldmodel.evaluation import evaluate, psnr
from worldmodel.gallery import generated_worlds
from worldmodel.models import load_model
from worldmodel.neural import NeuralWorldModel, read_model, save_model
from worldmodel.protocol import State, WorldModel
from worldmodel.simulator import Simulator

FIELD = """
################################
#..............................#
#..............................#
#@.............................#
################################
"""


@pytest.fixture(scope="module")
def model() -> NeuralWorldModel:
    return load_model("neural")


@pytest.fixture(scope="module")
def worlds() -> list[CompiledWorld]:
    return generated_worlds(4, seed=77, evaluation=True)


def play(model: WorldModel, world: CompiledWorld, actions: list[Action]) -> tuple[State, set[str]]:
    state = model.spawn([world], [1])
    happened: set[str] = set()
    for action in actions:
        state, seen = model.step(state, torch.tensor([int(action)]), render=False)
        happened |= {e.name for e in Event if bool(seen.events[0, e])}
    return state, happened


def test_pressing_right_for_thirty_steps_moves_right(model: WorldModel) -> None:
    start = model.spawn([small_world(FIELD)], [1])
    state, _ = play(model, small_world(FIELD), [Action.RIGHT] * 30)
    assert int(state.position[0, 0] - start.position[0, 0]) > 4 * UNITS
    assert int(state.position[0, 1]) == int(start.position[0, 1]), "and stays on the ground"


def test_walls_stop(model: WorldModel) -> None:
    state, _ = play(model, small_world("######\n#....#\n#@...#\n######"), [Action.RIGHT] * 60)
    assert int(state.position[0, 0]) == 5 * UNITS - 10


def test_a_coin_disappears_and_stays_gone(model: WorldModel) -> None:
    actions = [Action.RIGHT] * 20 + [Action.LEFT] * 60 + [Action.RIGHT] * 60
    state, happened = play(model, small_world("######\n#@.o.#\n######"), actions)
    assert "COLLECT" in happened
    assert int(state.coins) == 1
    assert not bool((state.canvas == Tile.COIN).any())


def test_a_key_opens_a_door(model: WorldModel) -> None:
    world = small_world("########\n#@.k.D.#\n########")
    state, happened = play(model, world, [Action.RIGHT] * 60)
    assert {"KEY", "DOOR"} <= happened
    assert int(state.position[0, 0]) // UNITS == 6


def test_it_stays_with_the_simulator_in_worlds_it_never_saw(
    model: NeuralWorldModel, worlds: list[CompiledWorld]
) -> None:
    result = evaluate(model, worlds, episodes=2, seed=3, horizon=64)
    assert result.step_agreement > 0.99
    assert result.action_agreement > 0.97
    assert result.coins_regrown == 0
    assert result.horizons[1].psnr > 28
    assert result.horizons[64].psnr > result.horizons[64].psnr_copy_first + 5


def test_256_steps_without_collapse(model: WorldModel, worlds: list[CompiledWorld]) -> None:
    state = model.spawn(worlds, [1, 2, 3, 4])
    generator = torch.Generator().manual_seed(0)
    for _ in range(256):
        actions = torch.randint(0, 8, (4,), generator=generator)
        state, _ = model.step(state, actions, render=False)
    tiles = torch.div(state.position, UNITS, rounding_mode="floor").long()
    standing_in = state.canvas[torch.arange(4), tiles[:, 1], tiles[:, 0]]
    assert not bool((standing_in == Tile.SOLID).any()), "nobody ends inside a wall"
    truth = Simulator()
    expected = truth.render(truth.restore(model.save(state), worlds))
    assert psnr(model.render(state), expected).min() > 25, "the decoder still shows what the state says"


def test_a_world_plays_and_looks_the_same_in_every_batch(
    model: WorldModel, worlds: list[CompiledWorld]
) -> None:
    many = model.spawn(worlds * 10, list(range(40)))
    one = model.spawn([worlds[1]], [5])
    generator = torch.Generator().manual_seed(1)
    for _ in range(30):
        actions = torch.randint(0, 8, (40,), generator=generator)
        many, _ = model.step(many, actions, render=False)
        one, _ = model.step(one, actions[5:6], render=False)
    assert torch.equal(many.position[5:6], one.position)
    assert torch.equal(many.mover_position[5:6], one.mover_position)
    assert torch.equal(model.render(many[5:6]), model.render(many)[5:6])


def test_saved_weights_read_back_play_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    fresh = NeuralWorldModel()
    save_model(fresh, tmp_path / "w.safetensors")
    again = read_model(tmp_path / "w.safetensors")
    world = small_world(FIELD, Mechanics(top_view=True))
    a, b = fresh.spawn([world], [1]), again.spawn([world], [1])
    for _ in range(5):
        a, seen = fresh.step(a, torch.tensor([2]))
        b, read = again.step(b, torch.tensor([2]))
        assert seen.frames is not None
        assert read.frames is not None
        assert torch.equal(seen.frames, read.frames)


def test_a_missing_weights_file_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="firstplay worldmodel train"):
        load_model("neural", weights=tmp_path / "none.safetensors")


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(ValueError, match="'dreamer'"):
        load_model("dreamer")


def test_frames_are_the_same_on_any_number_of_threads(
    model: NeuralWorldModel, worlds: list[CompiledWorld]
) -> None:
    state = model.spawn([worlds[row % len(worlds)] for row in range(21)], list(range(21)))
    for step in range(12):
        state, _ = model.step(state, torch.arange(21) % (step + 1) % 8, render=False)
    alone = model.render(state)

    for threads in (2, 3):
        model.render_on(threads)
        assert torch.equal(model.render(state), alone)
        assert torch.equal(model.render(state[:1]), alone[:1])
    model.render_on(1)
    with pytest.raises(ValueError, match="one thread or more, not 0"):
        model.render_on(0)
