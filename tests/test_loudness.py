"""Loudness is that of ITU-R BS.1770 and EBU R 128; what is too loud or jumps is found where it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Sound
from moderation.detectors.loudness import (
    JUMP_LIMIT,
    LOUD_LIMIT,
    PEAK_LIMIT,
    QUIET,
    Loudness,
    k_filter,
    momentary,
    rises,
    stretches,
    true_peak,
    true_peaks,
)
from moderation.detectors.speech import SoundError

RATES = (16_000, 24_000, 44_100, 48_000)
Samples = NDArray[np.float32]


def sine(
    decibels: float, seconds: float, rate: int = 48_000, hertz: float = 997, phase: float = 0
) -> Samples:
    """With its peak at this level."""
    time = np.arange(round(seconds * rate)) / rate
    return (10 ** (decibels / 20) * np.sin(2 * np.pi * hertz * time + phase)).astype(np.float32)


def heard(*parts: Samples, rate: int = 48_000, start: float = 0.0) -> list[Detection]:
    (found,) = Loudness()([Sound(np.concatenate(parts), rate, start)])
    return found


def of(label: str, found: list[Detection]) -> list[Detection]:
    return [one for one in found if one.label == label]


# -- loudness ---------------------------------------------------------------------------------------------


def test_the_filter_has_the_standards_coefficients_at_48_khz() -> None:
    """ITU-R BS.1770, tables 1 and 2."""
    listed = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(k_filter(48_000), listed, atol=1e-8)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("level", [-40.0, -33.0, -23.0, -6.0])
def test_a_sine_of_997_hz_from_both_speakers_is_as_loud_as_its_peak(rate: int, level: float) -> None:
    """EBU Tech 3341, cases 1 and 2: -23 dBFS in both channels is -23.0 LUFS, to .1 LU."""
    levels = momentary(sine(level, 2, rate), rate)
    assert levels[5:] == pytest.approx(level, abs=0.1)


def test_a_burst_fills_the_window_only_while_it_lasts() -> None:
    """A sine of 200 ms in a window of 400 ms has half the energy: 3 dB less."""
    silence = np.zeros(48_000, np.float32)
    levels = momentary(np.concatenate([silence, sine(-20, 0.2), silence]), 48_000)
    assert levels.max() == pytest.approx(-23.0, abs=0.1)
    assert np.isneginf(levels[0])


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_ffmpeg_measures_the_same(rate: int) -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(4 * rate) * np.repeat([0.3, 0.01, 0.1, 0.0], rate)
    samples = (noise + sine(-30, 4, rate, 80)).astype(np.float32)
    ours = momentary(samples, rate)
    for end, theirs in ffmpeg_momentary(samples, rate):
        assert ours[round((end - 0.4) * 10)] == pytest.approx(theirs, abs=0.1)


def ffmpeg_momentary(samples: Samples, rate: int) -> Iterator[tuple[float, float]]:
    """End of each window in seconds, and its loudness by ffmpeg's ``ebur128``."""
    import av

    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono")
    meter = graph.add("ebur128", "metadata=1:dualmono=true")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = rate
    source.push(frame)
    source.push(None)
    seconds = 0.0
    while True:
        try:
            measured = sink.pull()
        except av.error.EOFError:
            return
        seconds += measured.samples / measured.sample_rate
        if seconds >= 0.45 and "lavfi.r128.M" in measured.metadata:
            yield round(seconds, 1), float(measured.metadata["lavfi.r128.M"])


# -- true peak --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
def test_a_peak_between_samples_is_found(rate: int) -> None:
    """EBU Tech 3341, case 18: a sine at a quarter of the rate, sampled 45 degrees beside its peaks."""
    samples = sine(-6, 0.5, rate, rate / 4, np.pi / 4)
    assert 20 * np.log10(np.abs(samples).max()) == pytest.approx(-9.01, abs=0.01)
    assert true_peak(samples, rate, 1000, 4000) == pytest.approx(-6.0, abs=0.2)


def test_parts_far_from_the_limit_are_not_looked_into() -> None:
    peaks = true_peaks(np.concatenate([sine(-20, 0.1), sine(-3, 0.1)]), 48_000)
    assert np.isneginf(peaks[0])
    assert peaks[1] == pytest.approx(-3.0, abs=0.1)


# -- what is reported -------------------------------------------------------------------------------------


def test_at_the_limits_the_score_is_one() -> None:
    (loud,) = of("loud", heard(sine(LOUD_LIMIT, 2)))
    (peak,) = of("peak", heard(sine(PEAK_LIMIT, 2)))
    (jump,) = of("jump", heard(sine(-33, 4), sine(-33 + JUMP_LIMIT, 0.4), sine(-33, 2)))
    assert [loud.score, peak.score, jump.score] == pytest.approx([1.0, 1.0, 1.0], abs=0.01)


def test_sound_at_a_usual_level_is_nothing() -> None:
    assert heard(sine(-24, 5), sine(-30, 5), sine(-24, 5)) == []


def test_half_way_to_the_limits_the_score_is_a_half() -> None:
    assert max(d.score for d in of("loud", heard(sine(-17.9, 2)))) == pytest.approx(0.5, abs=0.01)
    assert max(d.score for d in of("peak", heard(sine(-5.9, 2)))) == pytest.approx(0.51, abs=0.02)


def test_a_loud_part_is_found_at_its_time() -> None:
    found = heard(sine(-30, 3), sine(-6, 1), sine(-30, 3), start=100.0)
    (loud,) = of("loud", found)
    assert loud.start == pytest.approx(103.0, abs=0.41)
    assert loud.end == pytest.approx(104.0, abs=0.41)
    (jump,) = of("jump", found)
    assert jump.start == pytest.approx(103.0, abs=0.41)
    assert jump.score == 1.0


def test_what_grows_slowly_is_no_jump() -> None:
    growing = np.concatenate([sine(level, 1) for level in range(-33, -8, 2)])
    assert max((d.score for d in of("jump", heard(sine(-33, 3), growing))), default=0.0) < 0.5


def test_sound_of_usual_loudness_after_silence_is_no_startling_jump() -> None:
    silence = np.zeros(5 * 48_000, np.float32)
    (jump,) = of("jump", heard(silence, sine(-23, 2)))
    assert jump.score == pytest.approx((-23 - QUIET) / JUMP_LIMIT, abs=0.02)


def test_the_same_sound_at_another_rate_is_as_loud() -> None:
    for rate in RATES:
        (loud,) = of("loud", heard(sine(-12, 2, rate), rate=rate))
        assert loud.score == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(48_000, np.float32), sine(-40, 0.05)])
def test_silence_and_faint_sounds_are_nothing(samples: Samples) -> None:
    assert heard(samples) == []


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (Sound(np.ones(10, np.float32), 0), "rate 0"),
        (Sound(np.array([0, np.inf], np.float32), 48_000), "not finite"),
    ],
)
def test_a_sound_that_cannot_be_measured_is_an_error(sound: Sound, words: str) -> None:
    with pytest.raises(SoundError, match=words):
        Loudness()([sound])


@given(st.lists(st.floats(-80, 0), min_size=1, max_size=60), st.floats(0, 20))
def test_louder_throughout_is_no_other_jump(levels: list[float], more: float) -> None:
    audible = np.maximum(np.array(levels), QUIET)
    before = np.maximum(rises(audible + more)[34:], 0)
    np.testing.assert_allclose(before, rises(audible)[34:], atol=1e-6)


@given(st.lists(st.floats(0, 2), max_size=40), st.floats(0.1, 1.5))
def test_stretches_are_all_the_windows_over_the_least_score(scores: list[float], least: float) -> None:
    found = list(stretches(np.array(scores, np.float64), least))
    covered = {index for one in found for index in range(one.first, one.last + 1)}
    assert covered == {index for index, score in enumerate(scores) if score >= least}
    assert all(one.score == min(1.0, max(scores[one.first : one.last + 1])) for one in found)
    assert all(a.last + 1 < b.first for a, b in pairwise(found))


@given(st.binary(max_size=4000))
def test_any_sound_gives_scores_and_times_within_it(data: bytes) -> None:
    samples = np.frombuffer(data, np.int8).astype(np.float32) / 128
    for one in heard(samples, rate=8_000):
        assert 0.5 <= one.score <= 1.0
        assert 0 <= one.start < one.end <= len(samples) / 8_000 + 1e-9
