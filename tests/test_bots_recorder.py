"""Regenerating playthroughs, bit for bit, and saying where one differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bots.exploration import Budget
from bots.recorder import WrongWorld, regenerate, regenerate_many, verify
from bots.recording import EVIDENCE_BATCH, Playthrough, Recording
from bots.sample import sample_batch
from tests.bot_worlds import bot_world
from worldmodel.constants import FRAME, SAMPLES_PER_STEP, Event
from worldmodel.simulator import Simulator

STEPS = 50


@pytest.fixture(scope="module")
def played() -> list[Playthrough]:
    budget = Budget(episode_steps=STEPS)
    return [e.playthrough for e in sample_batch(Simulator(), bot_world(), budget, 8, range(4))]


@pytest.fixture(scope="module")
def recording(played: list[Playthrough]) -> Recording:
    return regenerate(Simulator(), bot_world(), played[0])


def test_a_recording_holds_every_frame_and_sample(recording: Recording) -> None:
    assert recording.frames.shape == (STEPS + 1, FRAME, FRAME, 3)
    assert recording.frames.dtype == np.uint8
    assert recording.sound.shape == (STEPS * SAMPLES_PER_STEP,)
    assert recording.sound.dtype == np.float32
    assert recording.as_explored


def test_its_frames_are_those_of_the_model(recording: Recording) -> None:
    model, old = Simulator(), recording.playthrough
    state = model.spawn([bot_world()], [old.seed], [old.spawn])
    assert np.array_equal(model.render(state)[0].permute(1, 2, 0).numpy(), recording.frames[0])
    for step, action in enumerate(old.actions.tolist(), 1):
        state, seen = model.step(state, torch.tensor([action]), render=step % 10 == 0)
        if seen.frames is not None:
            assert np.array_equal(seen.frames[0].permute(1, 2, 0).numpy(), recording.frames[step])


def test_a_playthrough_is_the_same_alone_and_in_company(
    played: list[Playthrough], recording: Recording
) -> None:
    many = list(regenerate_many(Simulator(), bot_world(), reversed(played)))

    assert [r.playthrough.id for r in many] == [p.id for p in reversed(played)]
    assert many[-1].playthrough.frames_sha256 == recording.playthrough.frames_sha256
    assert np.array_equal(many[-1].sound, recording.sound)


def test_more_playthroughs_than_rows_are_done_in_groups(played: list[Playthrough]) -> None:
    short = [replace(p, actions=p.actions[:2], events=p.events[:2], clips=p.clips[:2]) for p in played]
    many = list(regenerate_many(Simulator(), bot_world(), short * 9))

    assert len(many) == 36 > EVIDENCE_BATCH
    assert len({r.playthrough.frames_sha256 for r in many}) <= 4


def test_an_episode_without_a_step_is_one_frame(played: list[Playthrough]) -> None:
    empty = replace(
        played[0], actions=np.zeros(0, np.uint8), events=np.zeros((0, 9), bool), clips=np.zeros(0, np.int16)
    )

    recording = regenerate(Simulator(), bot_world(), empty)

    assert recording.frames.shape[0] == 1
    assert recording.sound.shape == (0,)


def test_a_recorded_playthrough_is_verified_as_identical(recording: Recording) -> None:
    replay = verify(Simulator(), bot_world(), recording.playthrough)

    assert replay.identical
    assert replay.what == "identical"


def test_a_changed_frame_is_named(recording: Recording) -> None:
    truth = recording.playthrough
    assert truth.trace is not None
    frames, looks = truth.trace.frames.copy(), truth.trace.looks.copy()
    frames[17] ^= 1
    looks[17, 3] ^= 1
    close = replace(truth, frames_sha256="0" * 64, trace=replace(truth.trace, frames=frames, looks=looks))
    looks = looks.copy()
    looks[20, 0] ^= 64
    far = replace(close, trace=replace(truth.trace, frames=frames, looks=looks))

    rounded, painted = (verify(Simulator(), bot_world(), forged) for forged in (close, far))

    assert (rounded.identical, rounded.first_difference, rounded.within_tolerance) == (False, 17, True)
    assert rounded.what == "frames differ, by at most 1 grey levels in any field"
    assert not painted.within_tolerance


def test_the_step_at_which_play_parts_is_named(recording: Recording) -> None:
    truth = recording.playthrough
    assert truth.trace is not None
    states = truth.trace.states.copy()
    states[9:] ^= 5

    replay = verify(Simulator(), bot_world(), replace(truth, trace=replace(truth.trace, states=states)))

    assert (replay.identical, replay.first_difference) == (False, 9)
    assert replay.what == "the course of play differs"


def test_changed_sound_is_told_apart_from_changed_frames(recording: Recording) -> None:
    replay = verify(Simulator(), bot_world(), replace(recording.playthrough, sound_sha256="0" * 64))

    assert (replay.identical, replay.what) == (False, "sound differs")


def test_events_that_do_not_come_again_are_reported_and_corrected(recording: Recording) -> None:
    truth = recording.playthrough
    claimed = truth.events.copy()
    claimed[23, Event.GOAL] = True

    again = regenerate(Simulator(), bot_world(), replace(truth, events=claimed))
    replay = verify(Simulator(), bot_world(), replace(truth, events=claimed))

    assert again.first_difference == 23
    assert not again.as_explored
    assert np.array_equal(again.playthrough.events, truth.events)
    assert (replay.identical, replay.first_difference) == (False, 23)


def test_what_was_never_recorded_cannot_be_verified(played: list[Playthrough]) -> None:
    with pytest.raises(ValueError, match="regenerate it first"):
        verify(Simulator(), bot_world(), played[0])


@pytest.mark.parametrize(
    ("change", "named"), [({"world": "f" * 64}, "world"), ({"model": "f" * 64}, "model")]
)
def test_another_world_or_model_is_refused(
    played: list[Playthrough], change: dict[str, str], named: str
) -> None:
    with pytest.raises(WrongWorld, match=named):
        regenerate(Simulator(), bot_world(), replace(played[0], **change))
