"""What openai-whisper makes of a mel spectrogram: words, how sure it is of them, their language and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from whisper.model import Whisper
    from whisper.timing import WordTiming
    from whisper.tokenizer import Tokenizer

NO_SPEECH = 0.6
MIN_LOGPROB = -1.0
MAX_COMPRESSION = 2.4
"""Whisper's own limits for a failed decoding (Radford et al. 2022, section 4.5; its ``transcribe``)."""
DOUBTFUL_LOGPROB = -0.4
"""Under this, words are kept but not relied on. Of 48 threats under music as loud as the voice, those over it
had on average .11 wrong words a word, those under it .71; in clean speech 2 of 48 were under it."""
BEAMS = 5
PAUSE = 0.6
"""Seconds without a word that part two sentences, as a full stop does."""
WINDOW = 3000
"""Frames of 10 ms that the encoder hears, always, as it was trained. Feeding it only the utterance (a shorter
spectrogram with a sliced positional embedding) took .3 s instead of 1.3 s for 3 s of speech, but gave another
text for 9 of 14 synthetic sentences and ``no_speech_prob`` was always 0."""


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
    language: str = "en"
    """ISO 639-1, as Whisper was told."""
    tokens: tuple[int, ...] = ()

    @property
    def understood(self) -> bool:
        """Whether the words can be believed; a decoder that is unsure or loops invents them."""
        sure = self.avg_logprob >= MIN_LOGPROB and self.compression_ratio <= MAX_COMPRESSION
        return sure and self.no_speech_prob <= NO_SPEECH and any(map(str.isalnum, self.text))

    @property
    def doubtful(self) -> bool:
        """Whether a person should listen too, since the words may be invented."""
        return not self.understood or self.avg_logprob < DOUBTFUL_LOGPROB


@dataclass(frozen=True)
class Sentence:
    """Words that belong together."""

    text: str
    start: float
    """Seconds from the start of the utterance, at its first word."""
    end: float


@dataclass(frozen=True)
class Heard:
    """An encoded utterance: what the decoder attends to."""

    audio: Tensor
    """(1500, state)."""
    frames: int
    """Of 10 ms, before the window was filled up with silence."""


class Listener:
    """One Whisper model. Not for two threads at once: the decoder keeps state during a decoding."""

    def __init__(self, model: Whisper, alignment_heads: bytes) -> None:
        """``alignment_heads``: which heads follow the sound, as openai-whisper lists them for each model."""
        model.set_alignment_heads(alignment_heads)
        self._model = model

    def hear(self, mel: Tensor) -> Heard:
        """Encode at most 30 s of ``mel`` (80, T).

        Where the processor multiplies in bfloat16, the encoder takes a third of the time; log probabilities
        of words then differ by up to .005.
        """
        import torch

        padded = torch.nn.functional.pad(mel[:, :WINDOW], (0, max(0, WINDOW - mel.shape[1])))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            audio = self._model.encoder(padded[None])
        return Heard(audio[0].float(), min(mel.shape[1], WINDOW))

    def write_down(self, heard: Heard, language: str = "en") -> Transcript:
        """The words, greedily, without any earlier context."""
        import torch
        from whisper.decoding import DecodingOptions

        options = DecodingOptions(language=language, fp16=False, without_timestamps=True)
        with torch.inference_mode():
            result = self._model.decode(heard.audio, options)
        return Transcript(
            result.text.strip(),
            result.avg_logprob,
            result.no_speech_prob,
            result.compression_ratio,
            language,
            tuple(result.tokens),
        )

    def other_readings(self, heard: Heard) -> list[Transcript]:
        """What a beam search finds beside and including the likeliest English words."""
        import torch
        from whisper.decoding import DecodingOptions, DecodingTask
        from whisper.utils import compression_ratio

        options = DecodingOptions(language="en", fp16=False, without_timestamps=True, beam_size=BEAMS)
        task = DecodingTask(self._model, options)
        task.sequence_ranker = beams = _Beams()
        with torch.inference_mode():
            (result,) = task.run(heard.audio[None])
        end = task.tokenizer.eot
        readings = []
        for row, total in zip(beams.tokens, beams.totals, strict=True):
            tokens = tuple(token for token in row.tolist() if token < end)
            text = task.tokenizer.decode(list(tokens)).strip()
            logprob, ratio = total / (len(tokens) + 1), compression_ratio(text)
            readings.append(Transcript(text, logprob, result.no_speech_prob, ratio, "en", tokens))
        return readings

    def languages(self, heard: Heard) -> dict[str, float]:
        """Probability of each language by its ISO 639-1 code; of a multilingual model only."""
        import torch

        with torch.inference_mode():
            _, probabilities = self._model.detect_language(heard.audio)
        return dict(probabilities)

    def sentences(self, heard: Heard, transcript: Transcript) -> list[Sentence]:
        """Its sentences with the times of their first and last words, by openai-whisper's ``timing``: dynamic
        time warping of the attention to the sound.
        """
        import torch
        from whisper.timing import find_alignment, merge_punctuations

        tokenizer = self._tokenizer(transcript.language)
        tokens = [token for token in transcript.tokens if token < tokenizer.eot]
        model = _Encoded(self._model, heard.audio)
        threads = torch.get_num_threads()
        words = find_alignment(model, tokenizer, tokens, heard.audio, heard.frames)
        torch.set_num_threads(threads)  # numba, which does the warping, gives OpenMP all cores
        merge_punctuations(words, "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、")
        return [_sentence(part) for part in parted([word for word in words if word.word.strip()])]

    def _tokenizer(self, language: str) -> Tokenizer:
        from whisper.tokenizer import get_tokenizer

        multilingual = self._model.is_multilingual
        return get_tokenizer(
            multilingual,
            num_languages=self._model.num_languages,
            language=language if multilingual else None,
            task="transcribe" if multilingual else None,
        )


class _Beams:
    """In the place of Whisper's ranking of finished beams: keeps them all."""

    def __init__(self) -> None:
        self.tokens: list[Tensor] = []
        self.totals: list[float] = []

    def rank(self, tokens: list[list[Tensor]], sum_logprobs: list[list[float]]) -> list[int]:
        """Of one utterance; the first is as good as any."""
        (self.tokens,), (self.totals,) = tokens, sum_logprobs
        return [0]


class _Encoded:
    """A Whisper whose encoder has run: aligning words takes no second pass."""

    def __init__(self, model: Whisper, audio: Tensor) -> None:
        self._model = model
        self._audio = audio

    def __call__(self, _: Tensor, tokens: Tensor) -> Tensor:
        logits: Tensor = self._model.decoder(tokens, self._audio[None])
        return logits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def parted(words: Sequence[WordTiming]) -> Iterator[list[WordTiming]]:
    """Words up to a full stop, or to a pause of more than PAUSE."""
    part: list[WordTiming] = []
    for word in words:
        if part and (
            part[-1].word.rstrip("\"'”").endswith((".", "?", "!")) or word.start - part[-1].end > PAUSE
        ):
            yield part
            part = []
        part.append(word)
    if part:
        yield part


def _sentence(words: Sequence[WordTiming]) -> Sentence:
    text = "".join(word.word for word in words).strip()
    return Sentence(text, float(words[0].start), float(words[-1].end))


@cache
def has_bfloat16() -> bool:
    """Whether the processor has instructions (AMX) that multiply matrices in bfloat16."""
    import torch

    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # newer than PyTorch 2.6
    return bool(capabilities.get("amx_bf16", False))
