"""What is heard, and when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.small_worlds import small_world
from worldmodel.compiled import Clip, CompiledWorld
from worldmodel.constants import EVENTS, SAMPLE_RATE, SAMPLES_PER_STEP, Event
from worldmodel.limits import EFFECT_SECONDS
from worldmodel.sound import EFFECT_LOUDNESS, MUSIC_LEVEL, Mixer, effect, limit, mix, own_effect


def tone(seconds: float, level: float = 0.5, hertz: float = 330) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def world(*clips: np.ndarray, music: np.ndarray | None = None) -> CompiledWorld:
    voices = tuple(Clip(f"{i}.wav", samples) for i, samples in enumerate(clips))
    return replace(
        small_world("####\n#@G#\n####"), clips=voices, music=None if music is None else Clip("m", music)
    )


def silence(steps: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((steps, EVENTS), dtype=bool), np.full(steps, -1, dtype=np.int16)


def test_nothing_happens_in_silence():
    assert not mix(world(), *silence(5)).any()
    assert mix(world(), *silence(0)).shape == (0,)


def test_a_voice_starts_with_its_step_at_full_level():
    voice = tone(1.0)
    events, clips = silence(30)
    clips[4] = 0
    sound = mix(world(voice), events, clips)
    start = 4 * SAMPLES_PER_STEP
    assert not sound[:start].any()
    assert np.array_equal(sound[start : start + len(voice)], voice)
    assert not sound[start + len(voice) :].any()


def test_voices_that_overlap_are_added():
    a, b = tone(1.0, 0.3), tone(1.0, 0.3, 440)
    events, clips = silence(20)
    clips[0], clips[2] = 0, 1
    sound = mix(world(a, b), events, clips)
    start = 2 * SAMPLES_PER_STEP
    assert np.allclose(sound[start : len(a)], a[start:] + b[: len(a) - start], atol=1e-6)


def test_music_loops_quietly():
    music = tone(0.35)
    sound = mix(world(music=music), *silence(12))
    looped = np.tile(music, 5)[: len(sound)] * np.float32(MUSIC_LEVEL)
    assert np.allclose(sound, looped, atol=1e-7)
    assert np.abs(sound).max() < 0.13 * 0.5 + 1e-3


@pytest.mark.parametrize("event", [e for e in Event if e is not Event.SPEECH])
def test_every_event_has_its_own_short_sound(event):
    events, clips = silence(30)
    events[3, event] = True
    sound = mix(world(), events, clips)
    assert not sound[: 3 * SAMPLES_PER_STEP].any()
    assert np.abs(sound).max() > 0.05
    assert len(effect(event)) < SAMPLE_RATE
    assert all(not np.array_equal(effect(event), effect(other)) for other in Event if other is not event)


def test_speech_adds_nothing_to_its_clip():
    assert len(effect(Event.SPEECH)) == 0


def test_it_never_clips_however_loud():
    events, clips = silence(10)
    events[:] = True
    clips[:] = 0
    sound = mix(world(np.ones(SAMPLE_RATE, dtype=np.float32)), events, clips)
    assert np.abs(sound).max() < 1
    assert sound.dtype == np.float32


def test_the_limiter_leaves_quiet_sound_alone():
    quiet = tone(0.1, 0.79)
    assert np.array_equal(limit(quiet), quiet)


@given(seed=st.integers(0, 2**31), steps=st.integers(1, 25))
@settings(max_examples=25, deadline=None)
def test_streaming_gives_exactly_the_same_sound(seed, steps):
    rng = np.random.default_rng(seed)
    played = world(tone(0.4), tone(0.9, 0.8), music=tone(0.23))
    events = rng.random((steps, EVENTS)) < 0.15
    clips = rng.integers(-1, 2, steps)
    mixer = Mixer(played)
    parts = [mixer.step(row, int(clip)) for row, clip in zip(events, clips, strict=True)]
    assert all(part.shape == (SAMPLES_PER_STEP,) for part in parts)
    assert np.array_equal(np.concatenate(parts), mix(played, events, clips))


def test_wrong_shapes_and_unknown_clips_are_refused():
    events, clips = silence(3)
    with pytest.raises(ValueError, match="must be"):
        mix(world(), events[:, :4], clips)
    with pytest.raises(IndexError, match="0 clips"):
        mix(world(), events, clips + 1)


def test_a_creators_effect_is_heard_in_place_of_the_synthesised_one():
    own = own_effect(tone(0.5, 0.2, 200))
    played = replace(world(), effect_clips={Event.COLLECT: Clip("ding", own)})
    events, clips = silence(12)
    events[2, Event.COLLECT] = True
    sound = mix(played, events, clips)
    start = 2 * SAMPLES_PER_STEP
    assert np.array_equal(sound[start : start + len(own)], own)
    assert not sound[:start].any()
    assert not sound[start + len(own) :].any()
    events[:] = False
    events[2, Event.KEY] = True
    assert np.array_equal(mix(played, events, clips), mix(world(), events, clips))


@pytest.mark.parametrize("level", [0.08, 0.3, 1.0])
def test_a_creators_effects_are_equally_loud(level):
    loud = own_effect(tone(1.0, level))
    assert np.sqrt((loud**2).mean()) == pytest.approx(EFFECT_LOUDNESS, rel=0.01)


def test_a_whisper_is_raised_by_twelve_decibels_and_no_more():
    whisper = tone(1.0, 0.001)
    assert np.abs(own_effect(whisper)).max() == pytest.approx(0.001 * 10 ** (12 / 20), rel=0.01)
    assert not own_effect(np.zeros(100, dtype=np.float32)).any()


def test_a_long_effect_is_cut_and_fades():
    cut = own_effect(tone(9.0))
    assert len(cut) == EFFECT_SECONDS * SAMPLE_RATE
    assert cut[-1] == 0


def test_wind_is_heard_by_its_strength_and_its_loop_has_no_seam():
    def blowing(strength: int) -> np.ndarray:
        blown = replace(world(), mechanics=replace(world().mechanics, wind=strength))
        return mix(blown, *silence(15 * 9))

    still, breeze, gale = (blowing(strength) for strength in (0, 1, -2))
    assert not still.any()
    assert np.sqrt((gale**2).mean()) == pytest.approx(2 * np.sqrt((breeze**2).mean()), rel=0.01)
    assert np.abs(gale).max() < 0.1, "quiet"
    seam = 8 * SAMPLE_RATE
    assert np.abs(np.diff(gale))[seam - 1] < np.abs(np.diff(gale)).max()
    assert np.array_equal(gale[seam:], gale[: len(gale) - seam])
