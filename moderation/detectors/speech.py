"""Words spoken in a sound: voice activity, then openai-whisper with the base.en weights.

The encoder always hears a whole 30-second window, as it was trained. Feeding it only the utterance (a shorter
mel spectrogram with a sliced positional embedding) took .3 s instead of 1.3 s for 3 s of speech, but gave
another text for 9 of 14 synthetic sentences ("door" became "store", "hello" became "the low"; the word error
rate was the same, .11) and ``no_speech_prob`` was always 0, so it is not done.

The weights know English only: other languages come out as ``unclear``, or as unlikely English words with
``unclear`` beside them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard, Sound
from moderation.detectors.ggml import build_whisper
from moderation.detectors.voice import RATE, Utterance, VoiceActivity

if TYPE_CHECKING:
    from whisper.model import Whisper

WEIGHTS = "whisper-base.en"
NO_SPEECH = 0.6
MIN_LOGPROB = -1.0
MAX_COMPRESSION = 2.4
"""Whisper's own limits for a failed decoding (Radford et al. 2022, section 4.5; its ``transcribe``)."""
DOUBTFUL_LOGPROB = -0.7
"""Under this, words are kept but not relied on: English stayed above it, German and Polish did not."""


class SoundError(ValueError):
    """The sound cannot be listened to; the message says why."""


@dataclass(frozen=True)
class Transcript:
    """What Whisper made of one utterance."""

    text: str
    avg_logprob: float
    """Mean log probability per token."""
    no_speech_prob: float
    """Probability that nobody speaks, 0..1."""
    compression_ratio: float
    """Length of the text over its gzipped length; high when words repeat."""

    @property
    def understood(self) -> bool:
        """Whether the words can be believed; a decoder that is unsure or loops invents them."""
        sure = self.avg_logprob >= MIN_LOGPROB and self.compression_ratio <= MAX_COMPRESSION
        return sure and self.no_speech_prob <= NO_SPEECH and any(map(str.isalnum, self.text))

    @property
    def doubtful(self) -> bool:
        """Whether a person should listen too, since the words may be invented."""
        return not self.understood or self.avg_logprob < DOUBTFUL_LOGPROB


class Speech(Detector[Sound]):
    """Labels ``speech`` and ``unclear`` for each utterance, with seconds on the sound's clock.

    ``speech``: ``text`` is what was said, ``score`` the geometric mean probability of its tokens.
    ``unclear``: a voice was heard but its words were not understood (too noisy, another language, no language
    at all); ``score`` is the mean probability of voice and ``text`` is None, since invented words would be
    taken for evidence. Words between the two get both labels. Silence and music never reach Whisper. The
    caller sets torch's number of threads.
    """

    card = DetectorCard(
        name="speech",
        version="1",
        modality="sound",
        labels=("speech", "unclear"),
        licence="MIT (Whisper, its weights, Silero VAD)",
        weights=(WEIGHTS,),
        recall=0.61,
        recall_source=(
            "17 of 28 synthetic spoken threats, half of them over music, were a threat to the text rules "
            "once written down"
        ),
        cost_ms=1500.0,
    )

    def __init__(self) -> None:
        super().__init__()
        self._busy = Lock()
        self._voice: VoiceActivity
        self._whisper: Whisper

    def load(self) -> None:
        """Raises ``ModelMissing`` without the weights, ``GgmlError`` when they do not fit Whisper."""
        from whisper.model import Whisper

        from moderation.models import model_path

        self._whisper = build_whisper(model_path(WEIGHTS), Whisper)
        self._voice = VoiceActivity()

    def predict(self, batch: Sequence[Sound]) -> list[list[Detection]]:
        """Raises ``SoundError`` for a rate that is not positive or samples that are not finite."""
        return [self._listen(sound) for sound in batch]

    def transcribe(self, samples: NDArray[np.float32]) -> Transcript:
        """Greedy decoding of at most 30 s of ``samples`` (N,) at 16 kHz, without any earlier context."""
        import torch
        import whisper

        mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples))
        options = whisper.DecodingOptions(language="en", fp16=False, without_timestamps=True)
        with torch.inference_mode():
            result = self._whisper.decode(mel, options)
        return Transcript(result.text, result.avg_logprob, result.no_speech_prob, result.compression_ratio)

    def _listen(self, sound: Sound) -> list[Detection]:
        samples = resample(sound)
        with self._busy:  # both networks keep state between the calls of one decoding
            return [
                detection
                for spoken in self._voice.utterances(samples)
                for detection in self._detect(samples, spoken, sound.start)
            ]

    def _detect(self, samples: NDArray[np.float32], spoken: Utterance, offset: float) -> Iterator[Detection]:
        heard = self.transcribe(samples[round(spoken.start * RATE) : round(spoken.end * RATE)])
        start, end = offset + spoken.start, offset + spoken.end
        if heard.understood:
            yield Detection("speech", math.exp(heard.avg_logprob), start, end, text=heard.text.strip())
        if heard.doubtful:
            yield Detection("unclear", spoken.voice, start, end)


def check_sound(sound: Sound) -> None:
    """Raises ``SoundError`` for a rate that is not positive, or a sample that is not finite."""
    if sound.rate <= 0:
        raise SoundError(f"sound at {sound.start:.2f} s has rate {sound.rate}; give samples per second")
    if not np.isfinite(sound.samples).all():
        raise SoundError(f"sound at {sound.start:.2f} s has samples that are not finite; decode it again")


def resample(sound: Sound) -> NDArray[np.float32]:
    """The samples at 16 kHz, band-limited by a polyphase filter.

    Raises:
        SoundError: the rate is not positive, or a sample is not finite.
    """
    from scipy.signal import resample_poly

    check_sound(sound)
    if not len(sound.samples):
        return np.zeros(0, np.float32)
    common = math.gcd(RATE, sound.rate)
    resampled: NDArray[np.float32] = resample_poly(sound.samples, RATE // common, sound.rate // common)
    return resampled.astype(np.float32)
