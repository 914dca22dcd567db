"""Fitting a player to recorded sessions: what is known is found again, and it foretells better."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bots.dice import key_of
from bots.exploration import Budget
from bots.explore import CheckpointMismatch, explore
from bots.fit import NAMES, Fit, FitError, fit, load_sessions, numbers_of, save_sessions
from bots.playermodel import DEFAULT, PlayerFileError, PlayerModel, load_player, save_player
from bots.players import HUMAN, Mixture, Player
from bots.recording import Playthrough
from bots.rollout import play
from bots.storage import StorageError
from tests.bot_worlds import bot_world
from tests.small_worlds import small_world
from worldmodel.constants import Action
from worldmodel.simulator import Simulator

WORLD = bot_world()
KNOWN = PlayerModel(
    replace(
        DEFAULT.parameters,
        delay=5,
        stick=0.55,
        weights=(1.0, 4.0, 2.5, 2.0, 5.0, 3.0, 3.5, 3.0, 0.5, -2.5, -0.5, 2.5, 2.5),
    )
)


def played_by(player: Player, rows: int = 32, steps: int = 250, seed: int = 1) -> list[Playthrough]:
    model = Simulator()
    spawns = [row % 3 for row in range(rows)]
    start = model.spawn([WORLD] * rows, list(range(rows)), spawns)
    everyone = Mixture.of([player], torch.zeros(rows, dtype=torch.int64))
    played = play(model, start, everyone, torch.arange(rows) + key_of(seed), steps)
    lengths = played.alive.sum(0).tolist()
    return [
        Playthrough(
            world=WORLD.key,
            model=model.card.sha256,
            arm="live",
            player="person",
            seed=row,
            spawn=spawns[row],
            actions=played.actions[:n, row].numpy().astype(np.uint8),
            events=played.events[:n, row].numpy(),
            clips=played.clips[:n, row].numpy().astype(np.int16),
        )
        for row, n in enumerate(lengths)
    ]


@pytest.fixture(scope="module")
def sessions() -> list[Playthrough]:
    return played_by(KNOWN)


@pytest.fixture(scope="module")
def fitted(sessions: list[Playthrough]) -> Fit:
    return fit(Simulator(), {WORLD.key: WORLD}, sessions)


def test_the_reaction_delay_is_found_exactly(fitted: Fit) -> None:
    assert fitted.player.parameters.delay == KNOWN.parameters.delay
    assert max(fitted.delays, key=fitted.delays.__getitem__) == 5


def test_every_number_is_found_again_within_its_stated_error(fitted: Fit) -> None:
    off = (numbers_of(fitted.player) - numbers_of(KNOWN)).tolist()
    scores = {name: off[NAMES.index(name)] / error for name, error in fitted.errors.items()}

    assert len(scores) > 18
    assert max(map(abs, scores.values())) < 4, scores
    assert np.sqrt(np.mean(np.square([*scores.values()]))) < 1.6, "the errors are those of the numbers"
    assert fitted.errors["keep"] < 0.15, "and they say something"


def test_what_was_never_on_a_screen_is_left_as_it_was_and_named(fitted: Fit) -> None:
    assert {name for name in NAMES if name.startswith("top ")} <= set(fitted.kept)
    assert fitted.player.parameters.top == DEFAULT.parameters.top
    assert set(fitted.kept) | set(fitted.errors) == set(NAMES)


def test_sessions_that_were_held_out_are_foretold_better_than_by_the_default(fitted: Fit) -> None:
    held = fitted.held_out

    assert held.fitted > held.default
    assert held.gain > 2 * held.gain_error
    assert held.fitted > held.keys + 0.2, "what is on the screen counts, not only which keys are pressed"


def test_of_the_frozen_player_the_delay_is_found_too(fitted: Fit) -> None:
    """Its rule is none of this family, and still the fit foretells it better than the default does."""
    of_human = fit(Simulator(), {WORLD.key: WORLD}, played_by(HUMAN, steps=150))

    assert of_human.player.parameters.delay == 3
    assert of_human.held_out.fitted > of_human.held_out.default


def test_a_player_is_kept_with_its_hash_and_source(fitted: Fit, tmp_path: Path) -> None:
    path = tmp_path / "player.json"
    save_player(path, fitted.player, fitted.source())
    again = load_player(path)

    assert again == fitted.player
    assert again.name == f"model-1/{again.parameters.sha256[:12]}"
    assert json.loads(path.read_text())["source"]["held_out"]["gain"] > 0
    assert again.name != DEFAULT.name


@pytest.mark.parametrize(
    "change", [("stick", 0.123), ("delay", 99), ("weights", [1.0]), ("side", None), ("nothing", 1)]
)
def test_a_changed_player_file_is_refused(fitted: Fit, tmp_path: Path, change: tuple[str, object]) -> None:
    path = tmp_path / "player.json"
    save_player(path, fitted.player, {})
    told = json.loads(path.read_text())
    told["parameters"][change[0]] = change[1]
    if change[0] == "nothing":
        told = {}
    path.write_text(json.dumps(told))

    with pytest.raises(PlayerFileError, match=r"player\.json"):
        load_player(path)


def test_the_sample_arm_is_played_by_the_given_player_and_says_so(tmp_path: Path) -> None:
    small = Budget(
        search_steps=600, sample_episodes=2, episode_steps=40, batch=16, round_steps=10, window=300
    )
    checkpoint = tmp_path / "run.npz"

    ours = explore(Simulator(), WORLD, small, player=KNOWN, checkpoint=checkpoint)
    theirs = explore(Simulator(), WORLD, small)

    assert {p.player for p in ours.sample} == {KNOWN.name}
    assert (ours.sample[0].actions[: KNOWN.parameters.delay] == Action.NOOP).all()
    assert [p.id for p in ours.sample] != [p.id for p in theirs.sample]
    assert [p.id for p in ours.search] == [p.id for p in theirs.search], "the search does not know of it"
    with pytest.raises(CheckpointMismatch, match="player"):
        explore(Simulator(), WORLD, small, checkpoint=checkpoint)


def test_sessions_are_kept_and_read_by_arm(sessions: list[Playthrough], tmp_path: Path) -> None:
    path = tmp_path / "sessions.npz"
    save_sessions(path, [*sessions[:2], replace(sessions[2], arm="sample")])

    assert [p.id for p in load_sessions(path)] == [p.id for p in sessions[:3]]
    assert [p.id for p in load_sessions(path, "sample")] == [sessions[2].id]
    explored = explore(
        Simulator(), WORLD, Budget(search_steps=300, sample_episodes=2, episode_steps=20, batch=8, window=200)
    )
    explored.save(path)
    assert len(load_sessions(path, "sample")) == 2
    path.write_bytes(b"no archive")
    with pytest.raises(StorageError, match=r"sessions\.npz"):
        load_sessions(path)


def test_sessions_that_tell_nothing_are_refused_in_words(sessions: list[Playthrough]) -> None:
    worlds, model = {WORLD.key: WORLD}, Simulator()
    short = [replace(p, actions=p.actions[:5], seed=i) for i, p in enumerate(sessions[:6])]
    for wrong, given, word in (
        (sessions[:4], worlds, "too few"),
        (sessions[:6], {"x": small_world("###\n#@#\n###")}, "was not given"),
        ([replace(p, model="other") for p in sessions[:6]], worlds, "another world model"),
        (short, worlds, "no session has more than"),
    ):
        with pytest.raises(FitError, match=word):
            fit(model, given, wrong)
