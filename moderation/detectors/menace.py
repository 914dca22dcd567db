"""Threats of any wording, by a small language model: what the patterns of the text rules do not know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from moderation.detectors.base import Detection, Detector, DetectorCard, Text
from moderation.menace.words import bare, plain

if TYPE_CHECKING:
    from moderation.menace.network import Menace as Network
    from moderation.menace.network import Pieces

NOISE = 0.1
"""Scores under this are not reported."""
LONGEST = 40
"""Words that are judged at once."""
FEWEST = 3
"""Words of a sentence that is judged alone."""
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")


class Menace(Detector[Text]):
    """Label ``menace``: the text means harm to who reads it, or to real people; English only.

    ``score`` is the network's probability for texts like those that it learned from, where a third menace and
    most of the others look alike; ``text`` is the sentence, or the two sentences, with the most. Villains who
    threaten heroes are no menace.
    """

    card = DetectorCard(
        name="menace",
        version="1",
        modality="text",
        labels=("menace",),
        licence="Apache-2.0 (fine-tuned MiniLM-L6-v2)",
        recall=0.72,
        recall_source=(
            "lower 95 % limit of 58 of 70 threats by another author than what it learned from, at .7, where"
            " one of 170 look-alikes is flagged"
        ),
        shipped=(
            ("menace.safetensors", "8332304869cfca12c5fc376544b2972f09d8be4ebc6c81e9a5f59e62a912ad2c"),
            ("vocabulary.txt", "b226bfc9154677e4a2720d55559b7e01501edad2f1552e195c6ddb27c5f0f08a"),
        ),
        cost_ms=12.0,
    )

    def __init__(self) -> None:
        super().__init__()
        self._network: Network
        self._pieces: Pieces

    def load(self) -> None:
        """Raises ``moderation.models.ModelCorrupt`` where the weights are not those of the card."""
        from moderation.menace.network import FOLDER, load

        self.card.check_shipped(FOLDER)
        self._network, self._pieces = load()

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        import torch

        parts = [list(dict.fromkeys(parts_of(plain(item.text)))) for item in batch]
        flat = [part for own in parts for part in own]
        if not flat:
            return [[] for _ in batch]
        with torch.inference_mode():
            scores = iter(self._network(self._pieces(flat)).sigmoid().tolist())
        return [
            self._best(item, own, [next(scores) for _ in own]) for item, own in zip(batch, parts, strict=True)
        ]

    @staticmethod
    def _best(item: Text, parts: Sequence[str], scores: Sequence[float]) -> list[Detection]:
        score, text = max(zip(scores, parts, strict=True), default=(0.0, ""))
        return [Detection("menace", score, item.start, item.end, text=text)] if score >= NOISE else []


def parts_of(text: str) -> Iterator[str]:
    """Sentences and pairs of neighbours, each cut into at most LONGEST words, with no fewer than FEWEST.

    Without punctuation: of 70 threats 6 to 16 fewer were found where each ended with an exclamation mark.
    """
    sentences = [bare(found.group()) for found in _SENTENCE.finditer(text)]
    pairs = [" ".join(pair) for pair in pairwise(sentences)]
    for sentence in (*sentences, *pairs):
        words = sentence.split()
        for at in range(0, len(words), LONGEST):
            if len(part := words[at : at + LONGEST]) >= FEWEST:
                yield " ".join(part)
