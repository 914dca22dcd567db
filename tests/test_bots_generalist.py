"""The generalist explorer: what it senses, how it plays, how it is trained, and searching with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from bots import cli
from bots.archive import Archive
from bots.cells import Cells, Mark
from bots.compare import arms, compare, table
from bots.dice import uniforms
from bots.exploration import Budget
from bots.generalist import (
    LAYERS,
    METERS,
    REACH,
    REPEAT,
    SPAN,
    WEIGHTS,
    Generalist,
    Known,
    Policy,
    load_policy,
    sample,
    save_policy,
    sense,
)
from bots.players import DICE, Mixture, StickyRandom, act, fresh_memory
from bots.returning import DECISIONS, FIRST_TIME, Course, ReturnVecEnv
from bots.rollout import play
from bots.search import EXPLORERS, GENERALIST_SHARE, SCRIPTED, Search, mixed_in
from bots.training import Run, TrainConfig, policy_of
from bots.view import RADIUS, WINDOW, look, top_views
from bots.worlds import EVALUATION_NUMBERS, TRAINING_NUMBERS, generated_world
from tests.bot_worlds import bot_world
from worldmodel.constants import ACTIONS, MAP_WIDTH, Action, Event, Tile
from worldmodel.models import load_model
from worldmodel.simulator import Simulator

BUDGET = Budget(search_steps=4_000, sample_episodes=0, batch=32, round_steps=24, window=2_000)
TINY = TrainConfig(seed=3, steps=1, courses=2, rows=8, leg=2, lives=(1, 2), worlds=2, batch=128)


def policy(seed: int = 0) -> Policy:
    torch.manual_seed(seed)
    return Policy().requires_grad_(False)


def archive_of(steps: int = 3_000) -> Archive:
    search = Search(Simulator(), bot_world(), replace(BUDGET, search_steps=steps), seed=1)
    while not search.finished:
        search.round()
    return search.archive


# ---- what it senses --------------------------------------------------------------------------------------


def test_it_senses_the_screen_its_own_way_and_what_the_search_knows() -> None:
    model, world = Simulator(), bot_world()
    state = model.spawn([world] * 2, [1, 2], [0, 1])
    view, archive = look(state, top_views(model, state)), archive_of()
    walked = torch.zeros(2, *world.tiles.shape, dtype=torch.bool)
    walked[0, 7, 2] = True

    sensed = sense(view, walked, torch.tensor([3, 0]), Known.of(archive), torch.zeros(2, dtype=torch.int64))

    assert sensed["tiles"].shape == (2, WINDOW, WINDOW)
    assert sensed["known"].shape == (2, LAYERS, SPAN, SPAN)
    assert sensed["meters"].shape == (2, METERS)
    assert sensed["marks"][0, 1].nonzero().tolist() == [[RADIUS, RADIUS + 1]], "right of where it stands"
    assert sensed["meters"][:, -ACTIONS:].argmax(1).tolist() == [3, 0]
    assert policy()(sensed).shape == (2, ACTIONS)


def test_what_is_known_comes_from_screens_that_the_search_has_seen() -> None:
    model, world = Simulator(), bot_world()
    archive = Archive(world, Cells(world, model.device))
    archive.visited[7 * MAP_WIDTH + 1] = 5

    worn, fresh, unmade = Known.of(archive).layers[0, REACH:-REACH, REACH:-REACH].unbind(-1)

    assert worn.nonzero().tolist() == [[7, 1]]
    assert fresh[7, 2] == 1, "open, in sight, not entered"
    assert fresh[7, 1] == 0, "entered"
    assert fresh[7, 0] == 0, "a wall"
    assert fresh[7, 1 + RADIUS + 1] == 0, "open, but never on a screen"
    assert not unmade.any(), "lever and door are out of sight"
    archive.visited[7 * MAP_WIDTH + 9] = 1
    archive.marks[Mark(Event.DOOR, 1).code] = (None, 0)  # type: ignore[assignment]
    unmade = Known.of(archive).layers[0, REACH:-REACH, REACH:-REACH, 2]
    assert [world.tiles[y, x] for y, x in unmade.nonzero().tolist()] == [Tile.LEVER], "the door was opened"


def test_the_map_ends_in_nothing_known() -> None:
    corner = Known.of(archive_of()).around(torch.zeros(1, dtype=torch.int64), torch.tensor([[0, 0]]))

    assert corner.shape == (1, LAYERS, SPAN, SPAN)
    assert not corner[:, :, :REACH].any()
    assert not corner[:, :, :, :REACH].any()


# ---- how it plays ----------------------------------------------------------------------------------------


def test_actions_are_drawn_as_often_as_the_policy_says() -> None:
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125, 0, 0, 0, 0]).log().expand(20_000, -1)
    roll = uniforms(torch.arange(20_000), 0, DICE)[:, 0]

    shares = torch.bincount(sample(logits, roll), minlength=ACTIONS) / 20_000

    assert torch.allclose(shares[:4], torch.tensor([0.5, 0.25, 0.125, 0.125]), atol=0.02)
    assert shares[4:].sum() == 0
    assert sample(torch.zeros(1, ACTIONS), torch.tensor([1 - 2**-24])).item() == ACTIONS - 1


def test_it_holds_an_action_but_presses_interact_once() -> None:
    model, world = Simulator(), bot_world()
    state, memory = model.spawn([world] * 64, range(64)), fresh_memory(64)
    player, pressed = Generalist(policy()), []
    for step in range(2 * REPEAT):
        dice = uniforms(torch.arange(64), step, DICE)
        pressed.append(act(player, memory, look(state, top_views(model, state)), dice))
        state, _ = model.step(state, pressed[-1], render=False)

    first, second, third, *later = torch.stack(pressed)
    kept = first != Action.INTERACT
    assert 0 < int(kept.sum()) < 64
    assert torch.equal(first[kept], second[kept])
    assert torch.equal(second, third)
    assert (second[~kept] == Action.NOOP).all()
    assert not torch.equal(third, later[0]), "then it decides anew"
    assert torch.equal(later[1], later[2])


def test_the_same_dice_give_the_same_play() -> None:
    def played(key: int) -> torch.Tensor:
        model = Simulator()
        mixture = Mixture.of([Generalist(policy())], torch.zeros(4, dtype=torch.int64))
        state = model.spawn([bot_world()] * 4, [1, 2, 3, 4])
        return play(model, state, mixture, torch.arange(4) + key, 30).actions

    assert torch.equal(played(5), played(5))
    assert not torch.equal(played(5), played(6))


def test_weights_go_to_a_file_and_back(tmp_path: Path) -> None:
    save_policy(policy(4), tmp_path / "one.safetensors")

    loaded = load_policy(tmp_path / "one.safetensors")

    assert all(
        torch.equal(value, policy(4).state_dict()[name]) for name, value in loaded.state_dict().items()
    )
    assert not any(p.requires_grad for p in loaded.parameters())


def test_the_weights_of_the_package_load_and_are_small() -> None:
    assert WEIGHTS.stat().st_size < 5_000_000
    assert sum(p.numel() for p in load_policy().parameters()) < 200_000


# ---- searching with it -----------------------------------------------------------------------------------


def searched(rounds: int, seed: int = 2) -> Search:
    explorers = mixed_in([(StickyRandom(), 1.0)], Generalist(policy()), 0.5)
    search = Search(Simulator(), bot_world(), BUDGET, seed, explorers=explorers)
    for _ in range(rounds):
        search.round()
    return search


def test_a_search_with_it_goes_on_from_a_snapshot_to_the_same_archive() -> None:
    whole, cut = searched(6), searched(3)
    arrays, meta = cut.snapshot()

    again = searched(0)
    again.resume(arrays, json.loads(json.dumps(meta)))
    for _ in range(3):
        again.round()

    assert again.archive.index == whole.archive.index
    assert np.array_equal(again.archive.visited, whole.archive.visited)
    players = {segment.player for segment in whole.archive.tree.segments}
    assert {"generalist/1", "sticky-random/1"} <= players


def test_it_has_its_share_of_the_returns_where_the_model_has_a_state_to_see() -> None:
    diffusion = load_model("diffusion")

    assert {p.name: share for p, share in EXPLORERS}["generalist/1"] == GENERALIST_SHARE
    assert Search(Simulator(), bot_world(), BUDGET, 1).explorers == [player for player, _ in EXPLORERS]
    assert Search(diffusion, bot_world(), BUDGET, 1).explorers == [player for player, _ in SCRIPTED]
    arms = {arm.name: arm.share for arm in Search(Simulator(), bot_world(), BUDGET, 1).scheduler.arms}
    assert arms["generalist/1"] == pytest.approx(GENERALIST_SHARE)


def test_it_knows_in_a_round_what_the_search_found_before() -> None:
    search = searched(4)
    player = Generalist(policy()).informed(search.archive)

    assert player.known is not None
    assert player.known.layers[..., 0].count_nonzero() == np.count_nonzero(search.archive.visited)


# ---- where it practises ----------------------------------------------------------------------------------


def practice_env(rounds: int = 3) -> ReturnVecEnv:
    model, drawn = Simulator(), []

    def draw() -> Course:
        drawn.append(len(drawn))
        return Course.begin(model, bot_world(key=str(len(drawn))), rounds, len(drawn))

    return ReturnVecEnv(model, 2, 6, draw)


def test_an_episode_is_a_round_that_begins_in_an_archive_and_ends_cut_by_time() -> None:
    env, rng = practice_env(), np.random.default_rng(0)
    observation = env.reset()

    for decision in range(2 * DECISIONS):
        assert all(
            env.observation_space.contains({name: values[row] for name, values in observation.items()})
            for row in range(env.num_envs)
        )
        observation, rewards, dones, infos = env.step(rng.integers(0, ACTIONS, env.num_envs))
        ends = decision % DECISIONS == DECISIONS - 1
        assert dones.all() == dones.any() == ends
        assert all(("terminal_observation" in info) == ends for info in infos)
        assert (rewards >= 0).all()
    assert len(env.rounds) == 2
    assert env.rounds[0][1] > 0, "cells went into the archives"
    assert {course.archive.entries.steps.max() for course in env.courses} != {0}


def test_reward_is_for_what_neither_archive_nor_row_had() -> None:
    env = practice_env()
    course = env.courses[0]
    state = env.state[: env.rows]
    assert not course.worth(state, {}).any(), "rows begin in cells of the archive"

    moved = state.updated(position=state.position + torch.tensor([64, 0], dtype=torch.int32))
    first = course.worth(moved, {})
    known = [cell in course.archive.index for cell in course.archive.cells.cells(moved).tolist()]
    assert [reward > 0 for reward in first] == [not k for k in known]
    assert not course.worth(moved, {}).any(), "only once"

    lever = Mark(Event.LEVER, 3).code
    assert course.worth(moved, {1: [lever]}).tolist() == [0, FIRST_TIME, 0, 0, 0, 0]
    assert not course.worth(moved, {1: [lever]}).any()


def test_a_course_that_is_over_makes_way_for_another() -> None:
    env = practice_env(rounds=1)
    before = [course.world.key for course in env.courses]

    for _ in range(DECISIONS):
        env.step(np.full(env.num_envs, Action.RIGHT))

    assert not set(before) & {course.world.key for course in env.courses}


def test_worlds_repeat_by_number_and_training_draws_none_of_evaluation() -> None:
    one, again, other = generated_world(7), generated_world(7), generated_world(8)

    assert np.array_equal(one.tiles, again.tiles)
    assert one.mechanics == again.mechanics
    assert not np.array_equal(one.tiles, other.tiles)
    assert TRAINING_NUMBERS < EVALUATION_NUMBERS
    with pytest.raises(ValueError, match="worlds"):
        TrainConfig(worlds=TRAINING_NUMBERS + 1)


# ---- how it is trained -----------------------------------------------------------------------------------


def weights_of(folder: Path) -> bytes:
    return (folder / "generalist.safetensors").read_bytes()


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path: Path) -> None:
    config = replace(TINY, steps=2 * TINY.leg_steps)
    assert config.legs == 2
    assert Run(tmp_path / "whole", config).train(lambda *_: None, resume=False)

    assert not Run(tmp_path / "cut", config).train(lambda *_: None, seconds=0, resume=False)
    assert weights_of(tmp_path / "cut") != weights_of(tmp_path / "whole")
    assert Run(tmp_path / "cut", config).train(lambda *_: None, resume=True)

    assert weights_of(tmp_path / "cut") == weights_of(tmp_path / "whole")
    assert [path.name for path in sorted((tmp_path / "cut").glob("checkpoint*"))] == ["checkpoint-2.zip"]


def test_a_run_is_not_overwritten_and_not_gone_on_with_otherwise(tmp_path: Path) -> None:
    Run(tmp_path, TINY).train(lambda *_: None, resume=False)

    with pytest.raises(FileExistsError, match="--resume"):
        Run(tmp_path, TINY).train(lambda *_: None, resume=False)
    with pytest.raises(ValueError, match="gamma"):
        Run(tmp_path, replace(TINY, gamma=0.9)).train(lambda *_: None, resume=True)


def test_training_finds_more_than_it_did_at_first(tmp_path: Path) -> None:
    config = TrainConfig(
        courses=1, rows=32, leg=6, lives=(1, 1), worlds=1, batch=128, epochs=6, learning_rate=2e-3
    )
    config = replace(config, steps=2 * config.leg_steps)
    training = Run(tmp_path, config)
    training.train(lambda *_: None, resume=False)

    assert training.curve[1].reward > 1.15 * training.curve[0].reward


def test_the_network_that_was_trained_is_the_one_that_plays(tmp_path: Path) -> None:
    from stable_baselines3 import PPO

    Run(tmp_path, TINY).train(lambda *_: None, resume=False)
    learner = PPO.load(tmp_path / "checkpoint-1.zip")
    observation = practice_env().reset()

    tensors, _ = learner.policy.obs_to_tensor(observation)
    theirs = learner.policy.get_distribution(tensors).distribution.logits
    mine = policy_of(learner)({name: torch.as_tensor(value) for name, value in observation.items()})

    assert torch.allclose(theirs, mine.log_softmax(1), atol=1e-5)
    assert torch.allclose(
        load_policy(tmp_path / "generalist.safetensors").action.weight, policy_of(learner).action.weight
    )


# ---- whether it pays -------------------------------------------------------------------------------------


def test_arms_differ_in_who_explores_only() -> None:
    contenders = arms(Generalist(policy()), [0.25, 1.0])

    assert list(contenders) == ["sticky", "scripted", "generalist 25%", "generalist 100%"]
    for explorers in contenders.values():
        assert sum(share for _, share in explorers) == pytest.approx(1)
    assert {p.name: share for p, share in contenders["generalist 25%"]}["generalist/1"] == 0.25


def test_a_comparison_is_paired_by_world() -> None:
    sticky = [(StickyRandom(), 1.0)]
    scores = list(compare({"sticky": sticky, "same": sticky}, [0, 1], [0], [7_000, 14_000]))

    rows = {(row.arm, row.metric, row.budget): row for row in table(scores)}

    at_first, at_last = rows["same", "tiles", 7_000], rows["same", "tiles", 14_000]
    assert at_last.ahead == {"sticky": (0, 0, 0)}
    assert at_last.mean == 1, "what any run found in a world is all there is to find"
    assert 0 < at_first.mean < 1
    assert rows["sticky", "cells", 14_000].mean == np.mean([scores[1].cells, scores[5].cells])


def test_training_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bots.training.TrainConfig", lambda **given: replace(TINY, **given))
    app = typer.Typer()
    cli.register(app)
    command = ["bots", "train", "--out", str(tmp_path), "--steps", str(2 * TINY.leg_steps)]

    paused = CliRunner().invoke(app, [*command, "--seconds", "0"])
    refused = CliRunner().invoke(app, command)
    done = CliRunner().invoke(app, [*command, "--resume"])

    assert (paused.exit_code, refused.exit_code, done.exit_code) == (1, 2, 0), done.output
    assert "leg 1/2" in paused.output
    assert "--resume" in refused.output
    assert "leg 2/2" in done.output
