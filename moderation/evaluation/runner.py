"""Shows labelled sets to detectors and counts: per label and source, with intervals.

The score of an item for a label is the highest of the label's detections in it, 0 where there is none.
Items with the label are its positives, all others its look-alikes. Where an item tells its ``words``, a
reading counts only if it got them right: a board on which something else was read was not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard
from moderation.evaluation.chain import JOIN, Chain, readings
from moderation.evaluation.labelled import READINGS, LabelledItem, LabelledSet, SourceName, of_modality
from moderation.evaluation.metrics import auroc, average_precision, wilson

READ_RIGHT = 0.1
"""Share of characters that a reading may have wrong (letters and digits only, case aside)."""


class NothingToEvaluate(ValueError):
    """No set is for the detectors that were asked for."""


@dataclass(frozen=True)
class Flagged:
    """How many items of one kind were flagged: a recall where they hold the label, else false alarms."""

    kind: str
    holds: bool
    items: int
    flagged: int


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a detector did on one label's items from one source."""

    detector: str
    version: str
    fingerprint: str
    label: str
    source: SourceName
    set_name: str
    set_sha256: str
    threshold: float
    scores: NDArray[np.float64]
    """(N,)"""
    truth: NDArray[np.bool_]
    """(N,) whether each item holds the label."""
    kinds: tuple[Flagged, ...]

    @property
    def positives(self) -> int:
        return int(self.truth.sum())

    @property
    def lookalikes(self) -> int:
        return int((~self.truth).sum())

    @property
    def found(self) -> int:
        """Positives at or over the threshold."""
        return int((self.scores[self.truth] >= self.threshold).sum())

    @property
    def false_alarms(self) -> int:
        """Look-alikes at or over the threshold."""
        return int((self.scores[~self.truth] >= self.threshold).sum())

    @property
    def recall(self) -> float | None:
        return self.found / self.positives if self.positives else None

    @property
    def precision(self) -> float | None:
        """On this set: it depends on how many look-alikes the set has for each positive."""
        flagged = self.found + self.false_alarms
        return self.found / flagged if flagged else None

    @property
    def recall_limits(self) -> tuple[float, float]:
        return wilson(self.found, self.positives)

    @property
    def precision_limits(self) -> tuple[float, float]:
        return wilson(self.found, self.found + self.false_alarms)

    @property
    def alarm_limits(self) -> tuple[float, float]:
        """Interval of the share of look-alikes that are flagged."""
        return wilson(self.false_alarms, self.lookalikes)

    @cached_property
    def auroc(self) -> float | None:
        return auroc(self.scores, self.truth)

    @cached_property
    def average_precision(self) -> float | None:
        return average_precision(self.scores, self.truth)

    def as_json(self) -> dict[str, object]:
        """All figures, without the items' scores."""
        return {
            "detector": self.detector,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "label": self.label,
            "source": self.source,
            "set": self.set_name,
            "set_sha256": self.set_sha256,
            "threshold": self.threshold,
            "positives": self.positives,
            "found": self.found,
            "recall": _rounded(self.recall),
            "recall_limits": _limits(self.recall_limits),
            "lookalikes": self.lookalikes,
            "false_alarms": self.false_alarms,
            "alarm_limits": _limits(self.alarm_limits),
            "precision": _rounded(self.precision),
            "precision_limits": _limits(self.precision_limits),
            "auroc": _rounded(self.auroc),
            "average_precision": _rounded(self.average_precision),
            "kinds": [
                {"kind": one.kind, "holds": one.holds, "items": one.items, "flagged": one.flagged}
                for one in self.kinds
            ],
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _limits(limits: tuple[float, float]) -> list[float]:
    return [round(limit, 4) for limit in limits]


def evaluate(
    detectors: Mapping[str, Detector[Any]], sets: Iterable[LabelledSet], only: Sequence[str] = ()
) -> list[Measurement]:
    """What the ``detectors`` (by name) measure on the sets that are for them, or for those in ``only``.

    ``only`` may name chains such as ``ocr+text``. Sets for detectors that are not there are left out.

    Raises:
        NothingToEvaluate: no set is for any of them.
    """
    measured = [
        measurement
        for one in sets
        for name, card, found in _looks(one, detectors, only)
        for measurement in _measurements(card, one, one.detectors[name], found)
    ]
    if not measured:
        asked = ", ".join(only or detectors)
        raise NothingToEvaluate(f"no labelled set has items for {asked}; name a set with --set")
    return measured


def _looks(
    labelled: LabelledSet, detectors: Mapping[str, Detector[Any]], only: Sequence[str]
) -> Iterator[tuple[str, DetectorCard, list[list[Detection]]]]:
    """What each of the set's detectors finds in its items; a reader of a chain is asked once."""
    read: dict[str, list[list[Detection]]] = {}
    for name in labelled.detectors:
        first, *then = name.split(JOIN)
        if (only and name not in only) or not all(part in detectors for part in (first, *then)):
            continue
        if first not in read:
            items = of_modality(labelled.items, detectors[first].card.modality)
            read[first] = detectors[first]([item.content for item in items])
        if then:
            chain = Chain(detectors[first], detectors[then[0]])
            yield name, chain.card, [chain.judge(found) for found in read[first]]
        else:
            yield name, detectors[first].card, read[first]


def _measurements(
    card: DetectorCard,
    labelled: LabelledSet,
    thresholds: Mapping[str, float],
    found: Sequence[Sequence[Detection]],
) -> Iterator[Measurement]:
    """One for each label of ``thresholds`` and each source of the items, in their order."""
    pairs = list(zip(of_modality(labelled.items, card.modality), found, strict=True))
    for label, threshold in thresholds.items():
        for source in dict.fromkeys(item.source for item, _ in pairs):
            scored = [(item, score_of(item, seen, label)) for item, seen in pairs if item.source == source]
            yield _measurement(card, labelled, label, threshold, scored)


def _measurement(
    card: DetectorCard,
    labelled: LabelledSet,
    label: str,
    threshold: float,
    scored: Sequence[tuple[LabelledItem, float]],
) -> Measurement:
    return Measurement(
        detector=card.name,
        version=card.version,
        fingerprint=card.fingerprint,
        label=label,
        source=scored[0][0].source,
        set_name=labelled.name,
        set_sha256=labelled.sha256,
        threshold=threshold,
        scores=np.array([score for _, score in scored]),
        truth=np.array([label in item.labels for item, _ in scored]),
        kinds=tuple(_kinds(label, threshold, scored)),
    )


def _kinds(label: str, threshold: float, scored: Sequence[tuple[LabelledItem, float]]) -> Iterator[Flagged]:
    """Positives by how they are disguised, then look-alikes by what they look like."""
    items = Counter((label not in item.labels, item.kind) for item, _ in scored)
    flagged = Counter((label not in item.labels, item.kind) for item, score in scored if score >= threshold)
    for clean, kind in sorted(items):
        yield Flagged(kind, not clean, items[clean, kind], flagged[clean, kind])


def score_of(item: LabelledItem, found: Sequence[Detection], label: str) -> float:
    """The highest score of the label, 0 where there is none or where it misread the item's words."""
    seen = [one for one in found if one.label == label]
    if item.words is not None and label in READINGS & item.labels:
        seen = [one for one in seen if _read_right(item.words, seen)]
    return min(1.0, max((one.score for one in seen), default=0.0))


def _read_right(words: str, seen: Sequence[Detection]) -> bool:
    return min((misread(words, line) for line in readings(seen)), default=1.0) <= READ_RIGHT


def misread(words: str, said: str) -> float:
    """Character error rate: edits from ``said`` to ``words`` per character, letters and digits only."""
    wanted, given = ("".join(filter(str.isalnum, text.casefold())) for text in (words, said))
    row = list(range(len(given) + 1))
    for i, letter in enumerate(wanted, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(given, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (letter != other))
    return row[-1] / max(1, len(wanted))
