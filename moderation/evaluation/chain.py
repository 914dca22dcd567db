"""A reader and what judges the words that it read, as one detector: what a rule about words relies on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from moderation import reading
from moderation.detectors.base import Detection, Detector, DetectorCard, Text

JOIN = "+"
"""Between the names of the two: ``ocr+text``."""


class Chain(Detector[Any]):
    """Shows ``words`` what ``reader`` read, line by line and all together, as a scan does.

    Scores are those of ``words``; times and boxes are of the whole reading.
    """

    def __init__(self, reader: Detector[Any], words: Detector[Text]) -> None:
        super().__init__()
        self.card = chained_card(reader.card, words.card)
        self._reader = reader
        self._words = words

    def load(self) -> None:
        self._reader.ensure_loaded()
        self._words.ensure_loaded()

    def predict(self, batch: Sequence[Any]) -> list[list[Detection]]:
        return [self.judge(found) for found in self._reader(batch)]

    def judge(self, found: Sequence[Detection]) -> list[Detection]:
        """The best of each label in what was read in one item."""
        said = [one for one in found if one.text]
        if not said:
            return []
        start, end = min(one.start for one in said), max(one.end for one in said)
        judged = self._words([Text(line, start, end) for line in readings(said)])
        best: dict[str, Detection] = {}
        for one in (one for line in judged for one in line):
            if one.label not in best or one.score > best[one.label].score:
                best[one.label] = replace(one, start=start, end=end)
        return list(best.values())


def readings(found: Sequence[Detection]) -> list[str]:
    """What a picture may say, or what was heard: each utterance, and all of it together."""
    if any(one.box for one in found):
        return [text for text, _ in reading.sayings(found)]
    said = [one.text for one in sorted(found, key=lambda one: one.start) if one.text]
    return list(dict.fromkeys([*said, " ".join(said)])) if said else []


def chained_card(reader: DetectorCard, words: DetectorCard) -> DetectorCard:
    """Of both together; measurements of the chain are kept under it."""
    return replace(
        reader,
        name=f"{reader.name}{JOIN}{words.name}",
        version=f"{reader.version}_{words.version}",
        labels=words.labels,
        licence=f"{reader.licence}; {words.licence}",
        weights=(*reader.weights, *words.weights),
        recall=None,
        recall_source="not measured",
        cost_ms=reader.cost_ms + words.cost_ms,
    )
