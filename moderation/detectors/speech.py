"""Words spoken in a sound: voice activity, then openai-whisper with the base.en weights.

The encoder always hears a whole 30-second window, as it was trained. Feeding it only the utterance (a shorter
mel spectrogram with a sliced positional embedding) is three to four times faster but heard other words in
short sentences ("door" as "store", "hello" as "the low"), so it is not done.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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


class Speech(Detector[Sound]):
    """Labels ``speech`` and ``unclear``, one detection per utterance, with seconds on the sound's clock.

    ``speech``: ``text`` is what was said, ``score`` the geometric mean probability of its tokens.
    ``unclear``: a voice was heard but its words were not understood (too noisy, another language, no language
    at all); ``score`` is the mean probability of voice and ``text`` is None, since invented words would be
    taken for evidence. Silence and music never reach Whisper. The caller sets torch's number of threads.
    """

    card = DetectorCard(
        name="speech",
        version="1",
        modality="sound",
        labels=("speech", "unclear"),
        licence="MIT (Whisper, its weights, Silero VAD)",
        weights=(WEIGHTS,),
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
            return [self._detect(samples, spoken, sound.start) for spoken in self._voice.utterances(samples)]

    def _detect(self, samples: NDArray[np.float32], spoken: Utterance, offset: float) -> Detection:
        heard = self.transcribe(samples[round(spoken.start * RATE) : round(spoken.end * RATE)])
        start, end = offset + spoken.start, offset + spoken.end
        if not heard.understood:
            return Detection("unclear", spoken.voice, start, end)
        return Detection("speech", math.exp(heard.avg_logprob), start, end, text=heard.text.strip())


def resample(sound: Sound) -> NDArray[np.float32]:
    """The samples at 16 kHz, band-limited by a polyphase filter.

    Raises:
        SoundError: the rate is not positive, or a sample is not finite.
    """
    from scipy.signal import resample_poly

    if sound.rate <= 0:
        raise SoundError(f"sound at {sound.start:.2f} s has rate {sound.rate}; give samples per second")
    if not np.isfinite(sound.samples).all():
        raise SoundError(f"sound at {sound.start:.2f} s has samples that are not finite; decode it again")
    if not len(sound.samples):
        return np.zeros(0, np.float32)
    common = math.gcd(RATE, sound.rate)
    resampled: NDArray[np.float32] = resample_poly(sound.samples, RATE // common, sound.rate // common)
    return resampled.astype(np.float32)
