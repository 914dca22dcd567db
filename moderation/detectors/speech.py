"""Words spoken in a sound: voice activity, then openai-whisper with real weights.

A stretch in which nobody speaks costs voice activity alone. Clear speech is heard once, by the English model;
where it is not quite sure of the words, a beam search tells what else they may be. What is unclear, or under
music, is heard three times: as it is, with the music turned down, and by the multilingual model, which also
tells the language. The hearing that is surest of its words counts; what the others made of it is reported
beside it, so that no threat is lost because music made another reading a little more likely.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard, Sound
from moderation.detectors.ggml import build_whisper
from moderation.detectors.hearing import Heard, Listener, Sentence, Transcript
from moderation.detectors.mapped import Tensors, mapped
from moderation.detectors.voice import RATE, SILENCE, Utterance, VoiceActivity

if TYPE_CHECKING:
    from torch import Tensor

    from moderation.unmixing.network import Unmix, Unmixed

ENGLISH, MULTILINGUAL = "whisper-base.en", "whisper-base"
TOKENS = {ENGLISH: 51864, MULTILINGUAL: 51865}
"""Sizes of the vocabularies of Whisper's base models."""
SURE = -0.15
"""Mean log probability from which no other reading is asked for."""
NEAR = 0.2
"""Readings of one hearing that are less likely than the best by more than this are not told."""
MUSICAL = 0.3
"""Share of an utterance's energy that is not voice, from which it is heard more than once."""
FOREIGN, CERTAIN = 0.2, 0.5
"""Another language counts where English is less probable than the one, and it more than the other."""


class SoundError(ValueError):
    """The sound cannot be listened to; the message says why."""


@dataclass(frozen=True)
class Hearing:
    """One way to hear an utterance."""

    listener: Listener
    heard: Heard
    transcript: Transcript


class Speech(Detector[Sound]):
    """Labels ``speech``, ``maybe``, ``foreign`` and ``unclear``, with seconds on the sound's clock.

    * ``speech``: ``text`` is a sentence, from its first word to its last; ``score`` is the geometric mean
      probability of its tokens.
    * ``maybe``: ``text`` is what else an utterance that is hard to hear may have been; ``score`` as above.
    * ``foreign``: as ``speech``, in another language than English; ``text`` begins with its code: ``[de] ``.
      The multilingual weights are small: the words are a hint, and ``unclear`` often stands beside them.
    * ``unclear``: a voice was heard but its words are not to be relied on (noise, music, a language that is
      not known, no language at all); ``score`` is the mean probability of voice and ``text`` is None.

    Silence and music never reach Whisper. The caller sets torch's number of threads.
    """

    card = DetectorCard(
        name="speech",
        version="2",
        modality="sound",
        labels=("speech", "maybe", "foreign", "unclear"),
        licence="MIT (Whisper, its weights, Silero VAD), Apache-2.0 (multilingual weights, unmixing)",
        weights=(ENGLISH, MULTILINGUAL),
        recall=0.72,
        recall_source=(
            "lower 95 % limit of 50 of 60 held-out synthetic voices' threats under music as loud as they,"
            " seen by text or menace; 58 in clear sound"
        ),
        cost_ms=1500.0,
    )

    def __init__(self) -> None:
        super().__init__()
        self._busy = Lock()
        self._voice: VoiceActivity
        self._unmix: Unmix
        self._english: Listener
        self._multilingual: Listener

    def load(self) -> None:
        """Raises ``ModelMissing`` without the weights, ``GgmlError`` when they do not fit Whisper."""
        self._english = _listener(ENGLISH)
        self._multilingual = _listener(MULTILINGUAL)
        self._load_gate()

    def _load_gate(self) -> None:
        """What every sound goes through."""
        from moderation.unmixing.network import load

        self._unmix = load()
        self._voice = VoiceActivity()

    def predict(self, batch: Sequence[Sound]) -> list[list[Detection]]:
        """Raises ``SoundError`` for a rate that is not positive or samples that are not finite."""
        return [self._listen(sound) for sound in batch]

    def _listen(self, sound: Sound) -> list[Detection]:
        from moderation.unmixing.network import unmix

        samples = resample(sound)
        if np.abs(samples).max(initial=0.0) < SILENCE:
            return []
        with self._busy:  # all networks keep state between the calls of one decoding
            unmixed = unmix(self._unmix, samples)
            return [
                detection
                for spoken in self._voice.utterances(samples, unmixed.voice)
                for detection in self._detect(unmixed.part(spoken.start, spoken.end), spoken, sound.start)
            ]

    def _detect(self, unmixed: Unmixed, spoken: Utterance, offset: float) -> Iterator[Detection]:
        start, end = offset + spoken.start, offset + spoken.end
        hearings = [one for one in self._hearings(unmixed) if one.transcript.understood]
        hearings.sort(key=lambda hearing: hearing.transcript.avg_logprob, reverse=True)
        told: set[str] = set()
        for rank, hearing in enumerate(hearings):
            transcript = hearing.transcript
            words, score = _words(transcript.text), math.exp(transcript.avg_logprob)
            if words in told:
                continue
            told.add(words)
            if transcript.language != "en":
                text = f"[{transcript.language}] {transcript.text}"
                yield Detection("foreign", score, start, end, text=text)
            elif rank:
                yield Detection("maybe", score, start, end, text=transcript.text)
            else:
                yield from _sentences(hearing, start, end)
        if not hearings or hearings[0].transcript.doubtful:
            yield Detection("unclear", spoken.voice, start, end)

    def _hearings(self, unmixed: Unmixed) -> Iterator[Hearing]:
        """Ways to hear the utterance, more than one where the first leaves a doubt."""
        from moderation.unmixing.network import whisper_mel

        as_it_is = whisper_mel(unmixed.power)
        first = _hear(self._english, as_it_is)
        yield first
        if unmixed.music < MUSICAL and first.transcript.avg_logprob < SURE:
            yield from _other_readings(first)
        if unmixed.music < MUSICAL and not first.transcript.doubtful:
            return
        yield _hear(self._english, whisper_mel(unmixed.softened))
        other = self._multilingual
        heard = other.hear(as_it_is)
        language = likeliest_language(other.languages(heard)) if first.transcript.doubtful else "en"
        yield Hearing(other, heard, other.write_down(heard, language))


def _hear(listener: Listener, mel: Tensor) -> Hearing:
    heard = listener.hear(mel)
    return Hearing(listener, heard, listener.write_down(heard))


def _other_readings(hearing: Hearing) -> Iterator[Hearing]:
    """What the same model may have heard as well."""
    readings = hearing.listener.other_readings(hearing.heard)
    best = max(reading.avg_logprob for reading in readings)
    for reading in readings:
        if reading.avg_logprob >= best - NEAR:
            yield replace(hearing, transcript=reading)


def likeliest_language(probabilities: dict[str, float]) -> str:
    """The language, where it is certainly not English; else English."""
    likeliest = max(probabilities, key=lambda code: probabilities[code])
    foreign = probabilities["en"] < FOREIGN and probabilities[likeliest] > CERTAIN
    return likeliest if foreign else "en"


def _sentences(hearing: Hearing, start: float, end: float) -> Iterator[Detection]:
    """``speech`` for each sentence of an utterance that lasts from ``start`` to ``end``."""
    score = math.exp(hearing.transcript.avg_logprob)
    whole = Sentence(hearing.transcript.text, 0.0, end - start)
    for one in hearing.listener.sentences(hearing.heard, hearing.transcript) or [whole]:
        begins = min(start + one.start, end)
        yield Detection("speech", score, begins, max(begins, min(start + one.end, end)), text=one.text)


def _words(text: str) -> str:
    """Letters and digits only: what two hearings have in common."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _listener(name: str) -> Listener:
    """Of a base model. Raises ``ModelMissing``, or ``GgmlError``."""
    from whisper import _ALIGNMENT_HEADS
    from whisper.model import ModelDimensions, Whisper

    model = Whisper(ModelDimensions(80, 1500, 512, 8, 6, TOKENS[name], 448, 512, 8, 6))
    model.load_state_dict(mapped(name, _read), assign=True)
    return Listener(model.eval(), _ALIGNMENT_HEADS[name.removeprefix("whisper-")])


def _read(path: Path) -> Tensors:
    """Weights in the format of whisper.cpp, or as safetensors."""
    from safetensors.torch import load_file
    from whisper.model import Whisper

    return load_file(path) if path.suffix == ".safetensors" else build_whisper(path, Whisper).state_dict()


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


def check_sound(sound: Sound) -> None:
    """Raises SoundError for a rate that is not positive or a sample that is not finite."""
    if sound.rate <= 0:
        raise SoundError(f"sound at {sound.start:.2f} s has rate {sound.rate}; give samples per second")
    if not np.isfinite(sound.samples).all():
        raise SoundError(f"sound at {sound.start:.2f} s has samples that are not finite; decode it again")
