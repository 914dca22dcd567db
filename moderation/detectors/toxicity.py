"""How toxic written or spoken English is, as a network trained on people's judgements sees it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard, Text
from moderation.detectors.sessions import open_session
from moderation.detectors.textrules.fold import clean, unleet
from moderation.detectors.textrules.threat_patterns import GAME, LIFE
from moderation.models import model_path
from moderation.models.convert_keras import TOKENS

LABELS = ("toxic", "severe_toxic", "obscene", "toxic_threat", "insult", "identity_hate")
"""In the network's order. Its ``threat`` is called ``toxic_threat``, since ``TextRules`` has a ``threat``."""
NOISE = 0.05
"""Scores under this are not reported."""
STEP = 60
"""Words between the starts of two parts of a text that is longer than the network reads."""
SURE = 1e-6
"""The network's scores are kept this far from 0 and 1, where they have no logarithm of odds."""
FILTERED = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))
"""What the network was trained without (Keras's ``Tokenizer``)."""
_REPEATED = re.compile(r"(.)\1{2,}")
_MASKED = re.compile(r"[a-z]+[*#]+[a-z]+")
_MASKABLE = (
    "fuck fucking fucked fucker shit shitty bitch cunt dick cock whore slut asshole pussy faggot nigger"
).split()
"""Words that are often written with asterisks, in the order in which they are guessed."""

Scores: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """Platt's sigmoid for one label: ``1 / (1 + exp(-(slope * logit + game * talk + bias)))``.

    ``talk`` is 1 where the text has words of games and none of the reader's own life. J. Platt, Probabilistic
    outputs for support vector machines, 1999.
    """

    slope: float
    game: float
    bias: float

    def __call__(self, logit: float, *, game: bool) -> float:
        return 1 / (1 + math.exp(-(self.slope * logit + self.game * game + self.bias)))


class Toxicity(Detector[Text]):
    """Jigsaw's six labels, for English. ``text`` is the whole text, or the part of a long one.

    A score is a probability, as far as a small development set of game talk and abuse allows
    (``benchmarks/fit_toxicity.py``): of texts like those, mixed as there, that share carries the label. Where
    toxic texts are rarer, so is the truth behind each score. Before the network reads it, a text is freed of
    look-alike letters, leetspeak and spelled-out words.
    """

    card = DetectorCard(
        name="toxicity",
        version="1",
        modality="text",
        labels=LABELS,
        licence="MIT (toxic-comment-classifier)",
        weights=("toxic-comments", "toxic-comments-words"),
        recall=0.59,
        recall_source="toxic at .5: 36 of 61 texts of tests/data/text/toxicity_heldout.tsv",
        cost_ms=0.7,
    )

    def __init__(self) -> None:
        super().__init__()
        self._network: Network
        self._calibration: tuple[Calibration, ...] = ()

    def load(self) -> None:
        self._network = Network()
        self._calibration = read_calibration()

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        return [self._read(item) for item in batch]

    def _read(self, item: Text) -> list[Detection]:
        game = is_game_talk(item.text)
        found: dict[str, Detection] = {}
        for part, scores in self._network.parts(item.text):
            for label, raw, calibration in zip(LABELS, scores, self._calibration, strict=True):
                score = calibration(logit(float(raw)), game=game)
                if score >= NOISE and (label not in found or score > found[label].score):
                    found[label] = Detection(label, score, item.start, item.end, text=part)
        return list(found.values())


class Network:
    """The network and its words, as trained: its scores are not calibrated.

    Raises ``moderation.models.ModelMissing`` when its weights are not there.
    """

    def __init__(self) -> None:
        words = model_path("toxic-comments-words").read_text(encoding="utf-8").splitlines()
        self._words = {word: number for number, word in enumerate(words, 1)}
        self._session = open_session(model_path("toxic-comments"))

    def parts(self, text: str) -> Iterator[tuple[str, Scores]]:
        """The text, or each part of a long one, with its scores (labels,) of 0..1, if it has a known word."""
        written = [match.span() for match in re.finditer(r"\S+", text)]
        for first in range(0, max(1, len(written) - TOKENS + STEP), STEP):
            spans = written[first : first + TOKENS]
            words = readable([text[start:end] for start, end in spans], self._words)
            numbers = [self._words[word] for word in words if word in self._words]
            if numbers:
                yield text[spans[0][0] : spans[-1][1]], self._scores(numbers[-TOKENS:])

    def _scores(self, numbers: Sequence[int]) -> Scores:
        tokens = np.zeros((1, TOKENS), dtype=np.int64)
        tokens[0, TOKENS - len(numbers) :] = numbers
        scores: Scores = self._session.run(None, {"tokens": tokens})[0][0]
        return scores


def readable(written: Sequence[str], known: Collection[str]) -> list[str]:
    """Words of the network, out of what may be written in disguise."""
    words = [word for token in written for word in _undisguised(clean(token).text.lower(), known)]
    joined: list[str] = []
    for single, row in groupby(words, key=lambda word: len(word) == 1):
        letters = list(row)
        spelled = "".join(letters)
        joined += [spelled] if single and len(letters) > 2 and spelled in known else letters
    return joined


def _undisguised(token: str, known: Collection[str]) -> list[str]:
    plain = token.translate(FILTERED).split()
    if plain == [token] and token in known:
        return plain
    bare = token.strip(".,;:?!\"'()")
    for guess in (
        unleet(bare, known),
        _REPEATED.sub(r"\1", bare),
        _REPEATED.sub(r"\1\1", bare),
        _unmasked(bare),
    ):
        if guess in known and guess not in plain:
            return [guess]
    return plain


def _unmasked(word: str) -> str:
    if not _MASKED.fullmatch(word):
        return word
    shape = re.compile(re.sub(r"[*#]", ".", word))
    return next((hidden for hidden in _MASKABLE if shape.fullmatch(hidden)), word)


def is_game_talk(text: str) -> bool:
    """Whether a text has words of games and none of the reader's own life."""
    lowered = text.lower()
    return bool(GAME.search(lowered)) and not LIFE.search(lowered)


def logit(score: float) -> float:
    """The logarithm of the odds."""
    bounded = min(max(score, SURE), 1 - SURE)
    return math.log(bounded / (1 - bounded))


def read_calibration() -> tuple[Calibration, ...]:
    """What ``benchmarks/fit_toxicity.py`` found, in the order of ``LABELS``."""
    data = json.loads((files("moderation.detectors") / "data" / "toxicity.json").read_text(encoding="utf-8"))
    return tuple(Calibration(**data["labels"][label]) for label in LABELS)
