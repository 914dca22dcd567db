"""Sound that is too loud, or that jumps from quiet to loud: ITU-R BS.1770-5 and EBU R 128.

Loudness is *momentary* (EBU Tech 3341): the mean square of 400 ms of K-weighted sound, every 100 ms. A mono
sound is taken as coming from both speakers, as it is played: a 997 Hz sine with a peak of -23 dBFS measures
-23 LUFS. True peak is the peak of the sound at 192 kHz or more (BS.1770 annex 2), found to .1 dB.

Sounds are measured, not named: no audio-event classifier with permissively licensed weights was found in the
package registries, so a scream and a drum of the same loudness are the same here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard, Sound
from moderation.detectors.speech import check_sound

HOP_SECONDS = 0.1
WINDOW = 4
"""Hops of a momentary window."""
BEFORE = 30
"""Hops that a jump is measured against: the short-term window of EBU Tech 3341."""
OFFSET = -0.691
"""Decibels that make a 997 Hz sine measure its own level (BS.1770)."""
BOTH_SPEAKERS = 10 * np.log10(2)
QUIET = -33.0
"""LUFS, 10 under the programme level of EBU R 128. What is quieter counts as this loud when a jump is
measured: people set the volume by what they usually hear, so the first sound after silence is no jump."""
LOUD_LIMIT = -8.0
"""LUFS, momentary: 15 above the programme level of EBU R 128."""
PEAK_LIMIT = -1.0
"""dBTP: the highest true peak that EBU R 128 permits."""
JUMP_LIMIT = 20.0
"""LU: the most that EBU Tech 3343 recommends between quiet and loud parts of a programme."""
LOUD_RANGE, PEAK_RANGE = 20.0, 10.0
"""Decibels under the limit at which the score is 0."""
NOISE = 0.5
"""Scores under this are not reported."""
OVERSAMPLED = 192_000
NEAR = 0.5
"""Sample peaks under this share of the limit have true peaks under it as well, but for sounds that no speaker
plays."""
MARGIN = 32
"""Samples before and after a part that is oversampled."""

Samples = NDArray[np.float32]
Levels = NDArray[np.float64]


class Loudness(Detector[Sound]):
    """Labels ``loud``, ``peak`` and ``jump`` for each stretch, with seconds on the sound's clock.

    The score is 1 at the limit and above; no weights are needed.

    * ``loud``: momentary loudness; 1 at -8 LUFS, .5 at -18 LUFS.
    * ``peak``: true peak; 1 at -1 dBTP, .5 at -6 dBTP.
    * ``jump``: by how much the loudness of 400 ms exceeds that of the three seconds before, silence counted
      as -33 LUFS; 1 at 20 LU, .5 at 10 LU.
    """

    card = DetectorCard(
        name="loudness",
        version="1",
        modality="sound",
        labels=("loud", "peak", "jump"),
        licence="Apache-2.0",
        recall=1.0,
        recall_source="measured, not guessed: within .1 LU of EBU Tech 3341's cases and of ffmpeg's ebur128",
        cost_ms=30.0,
    )

    def load(self) -> None:
        """Nothing to load."""

    def predict(self, batch: Sequence[Sound]) -> list[list[Detection]]:
        """Raises ``SoundError`` for a rate that is not positive or samples that are not finite."""
        return [list(_measure(sound)) for sound in batch]


def _measure(sound: Sound) -> Iterator[Detection]:
    check_sound(sound)
    levels = momentary(sound.samples, sound.rate)
    seconds = len(sound.samples) / sound.rate
    loud = 1 + (levels - LOUD_LIMIT) / LOUD_RANGE
    peak = 1 + (true_peaks(sound.samples, sound.rate) - PEAK_LIMIT) / PEAK_RANGE
    jump = rises(levels) / JUMP_LIMIT
    for label, scores, hops in (("loud", loud, WINDOW), ("peak", peak, 1), ("jump", jump, WINDOW)):
        for stretch in stretches(scores, NOISE):
            start, end = stretch.first * HOP_SECONDS, (stretch.last + hops) * HOP_SECONDS
            yield Detection(label, stretch.score, sound.start + start, sound.start + min(end, seconds))


# -- loudness -----------------------------------------------------------------------------------------


def momentary(samples: Samples, rate: int) -> Levels:
    """LUFS of every 400 ms of ``samples`` (N,), 100 ms apart; a shorter sound is followed by silence.

    -inf for silence.
    """
    hop = round(rate * HOP_SECONDS)
    hops = max(WINDOW, -(-len(samples) // hop))
    squares = np.zeros(hops * hop)
    squares[: len(samples)] = samples
    squares = k_weighted(squares, rate) ** 2
    energy = squares.reshape(hops, hop).mean(axis=1)
    return lufs(np.convolve(energy, np.full(WINDOW, 1 / WINDOW), "valid"))


def lufs(energy: Levels) -> Levels:
    """Loudness of a mean square, K-weighted, from both speakers."""
    with np.errstate(divide="ignore"):
        return np.asarray(OFFSET + BOTH_SPEAKERS + 10 * np.log10(energy))


def k_weighted(samples: Levels, rate: int) -> Levels:
    """As the ear weighs it: treble raised by 4 dB (the head), bass under 38 Hz taken away."""
    from scipy.signal import sosfilt

    return np.asarray(sosfilt(k_filter(rate), samples))


def k_filter(rate: int) -> Levels:
    """(2, 6) second-order sections of the K-weighting at this rate.

    BS.1770 lists coefficients for 48 kHz only; these are the analogue filters behind them, by the bilinear
    transform (S. Mansbridge, S. Finn, J. Reiss, AES 132, 2012), and equal the listed ones at 48 kHz.
    """
    return np.array([_shelf(rate), _high_pass(rate)])


def _shelf(rate: int, hertz: float = 1681.974450955533, quality: float = 0.7071752369554196) -> list[float]:
    k = np.tan(np.pi * hertz / rate)
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    norm = 1 + k / quality + k * k
    zeros = (high + middle * k / quality + k * k, 2 * (k * k - high), high - middle * k / quality + k * k)
    return [*(zero / norm for zero in zeros), 1, 2 * (k * k - 1) / norm, (1 - k / quality + k * k) / norm]


def _high_pass(
    rate: int, hertz: float = 38.13547087602444, quality: float = 0.5003270373238773
) -> list[float]:
    k = np.tan(np.pi * hertz / rate)
    norm = 1 + k / quality + k * k
    return [1, -2, 1, 1, 2 * (k * k - 1) / norm, (1 - k / quality + k * k) / norm]


def rises(levels: Levels) -> Levels:
    """LU by which each momentary window (100 ms apart) exceeds the three seconds before it; at least 0.

    What is quieter than QUIET, or before the sound began, counts as that.
    """
    floor = 10 ** (QUIET / 10)
    energy = np.maximum(10 ** (levels / 10), floor)
    past = np.concatenate([np.full(BEFORE + WINDOW, floor), energy])
    totals = np.concatenate([[0.0], np.cumsum(past)])
    before = (totals[BEFORE:] - totals[:-BEFORE])[: len(levels)] / BEFORE
    return np.asarray(np.maximum(10 * np.log10(energy / before), 0))


# -- true peak ----------------------------------------------------------------------------------------


def true_peaks(samples: Samples, rate: int) -> Levels:
    """dBTP of every 100 ms of ``samples`` (N,); -inf where the sound is far from the limit."""
    hop = round(rate * HOP_SECONDS)
    hops = -(-len(samples) // hop)
    size = np.zeros(hops * hop, np.float32)
    size[: len(samples)] = np.abs(samples)
    reported = 10 ** ((PEAK_LIMIT - PEAK_RANGE * (1 - NOISE)) / 20)
    near = size.reshape(hops, hop).max(axis=1, initial=0) >= NEAR * reported
    peaks = np.full(hops, -np.inf)
    for index in np.flatnonzero(near):
        peaks[index] = true_peak(samples, rate, int(index) * hop, int(index + 1) * hop)
    return peaks


def true_peak(samples: Samples, rate: int, start: int, end: int) -> float:
    """dBTP of ``samples`` (N,) between two of them."""
    from scipy.signal import resample_poly

    first = max(0, start - MARGIN)
    factor = max(1, -(-OVERSAMPLED // rate))
    fine = resample_poly(samples[first : end + MARGIN].astype(np.float64), factor, 1)
    inside = fine[(start - first) * factor : (end - first) * factor]
    return float(20 * np.log10(np.abs(inside).max()))


# -- stretches ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """Windows that follow each other, all of at least some score."""

    first: int
    last: int
    """Inclusive."""
    score: float
    """The highest of them, at most 1."""


def stretches(scores: Levels, least: float) -> Iterator[Stretch]:
    """Runs of ``scores`` (W,) that are at least ``least``, in order."""
    high = np.concatenate([[False], scores >= least, [False]])
    edges = np.flatnonzero(high[1:] != high[:-1])
    for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield Stretch(first, end - 1, min(1.0, float(scores[first:end].max())))
