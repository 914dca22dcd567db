"""Asking a detector, and turning what it says into findings and JSON."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from moderation.detectors.base import Design, Detection, Detector, DetectorCard, Motion, Picture, Sound, Text
from moderation.listening import Heard
from policies.types import DetectorRun, Finding, Source

KEEP = 0.05
"""Scores below this are noise and are not stored."""
MAYBE = 0.8
"""Weight of what is found in a less likely reading of an utterance: a person listens, nothing is rejected."""

log = logging.getLogger(__name__)
Item = TypeVar("Item", Picture, Motion, Sound, Text, Design)
Seen = dict[str, list[Detection]]
"""Detections of one frame by detector."""


@dataclass
class Report:
    """What a scan gave."""

    findings: list[Finding] = field(default_factory=list)
    runs: list[DetectorRun] = field(default_factory=list)


def look(
    detector: Detector[Item], items: Sequence[Item], source: Source
) -> tuple[list[list[Detection]], DetectorRun]:
    """What a detector finds in each item; where it fails, nothing and a run that says so."""
    card = detector.card
    try:
        found = detector(items) if items else []
    except Exception as error:
        log.exception("detector %s failed", card.name)
        told = f"{type(error).__name__}: {error}"
        return [[] for _ in items], DetectorRun(card.name, card.version, source, len(items), False, told)
    kept = [[d for d in one if d.score >= KEEP] for one in found]
    run = DetectorRun(card.name, card.version, source, len(items), ok=True, uncovered=detector.uncovered)
    return kept, run


def finding(
    card: DetectorCard,
    seen: Detection,
    source: Source,
    *,
    playthrough: str | None = None,
    media: str | None = None,
) -> Finding:
    """A detection with its place, named by its content."""
    return _named(
        {
            "detector": card.name,
            "version": card.version,
            "label": seen.label,
            "score": round(float(min(1.0, seen.score)), 6),
            "source": source,
            "start": round(float(seen.start), 4),
            "end": round(float(max(seen.start, seen.end)), 4),
            "playthrough": playthrough,
            "media": media,
            "box": None if seen.box is None else tuple(map(int, seen.box)),
            "text": seen.text,
        }
    )


def moved(found: Finding, **changes: Any) -> Finding:
    """The same observation in another place, such as ``source`` or ``playthrough``, with its own name."""
    return _named({**asdict(found), **changes})


def _named(fields: Mapping[str, Any]) -> Finding:
    content = {name: value for name, value in fields.items() if name != "id"}
    name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return Finding(id=name, **content)


def misheard(found: Sequence[Detection]) -> list[Text]:
    """What utterances that are hard to hear may have been instead; a finding in it counts ``MAYBE``."""
    return [Text(d.text, d.start, d.end) for d in found if d.text and d.label == "maybe"]


def spoken(found: Sequence[Detection], gap: float = 2.0) -> list[Text]:
    """Each utterance as it was most likely said, and utterances close to each other as one, since a sentence
    may span a breath.
    """
    said = [Text(d.text, d.start, d.end) for d in found if d.text and d.label != "maybe"]
    joined: list[Text] = []
    for one in said:
        if joined and one.start - joined[-1].end <= gap:
            joined[-1] = Text(f"{joined[-1].text} {one.text}", joined[-1].start, one.end)
        else:
            joined.append(one)
    return list(dict.fromkeys([*said, *joined]))


class Words:
    """The detectors of words, asked once for each text."""

    def __init__(self, detectors: Iterable[Detector[Text]], source: Source = Source.PLAYTHROUGH) -> None:
        self._detectors = tuple(detectors)
        self._source = source
        self._known: dict[str, list[tuple[DetectorCard, Detection]]] = {}
        self._failed: dict[str, DetectorRun] = {}

    def __call__(self, text: str) -> list[tuple[DetectorCard, Detection]]:
        if text not in self._known:
            self._known[text] = [said for detector in self._detectors for said in self._ask(detector, text)]
        return self._known[text]

    def _ask(self, detector: Detector[Text], text: str) -> list[tuple[DetectorCard, Detection]]:
        found, run = look(detector, [Text(text)], self._source)
        if not run.ok:
            self._failed.setdefault(detector.card.name, run)
        return [(detector.card, said) for said in found[0]]

    def runs(self) -> list[DetectorRun]:
        """One of each detector: the first that failed, else one that says how many texts it saw."""
        return [
            self._failed.get(card.name)
            or DetectorRun(card.name, card.version, self._source, len(self._known), ok=True)
            for card in (detector.card for detector in self._detectors)
        ]


# -- as JSON, between the pieces of an interrupted scan -----------------------------------------------


def detection_json(found: Detection) -> dict[str, Any]:
    """Without what is not set, and with plain numbers."""
    kept = {name: value for name, value in asdict(found).items() if value is not None}
    return kept | {"score": float(found.score), "start": float(found.start), "end": float(found.end)}


def detection_from(data: Mapping[str, Any]) -> Detection:
    """The reverse of :func:`detection_json`."""
    box = data.get("box")
    return Detection(**{**data, "box": None if box is None else tuple(box)})


def heard_json(heard: Mapping[str, Heard]) -> dict[str, Any]:
    """What was heard, by situation."""
    return {
        key: {"steps": one.steps, "detections": [detection_json(d) for d in one.detections]}
        for key, one in heard.items()
    }


def heard_from(data: Mapping[str, Any]) -> dict[str, Heard]:
    """The reverse of :func:`heard_json`."""
    return {
        key: Heard(one["steps"], tuple(map(detection_from, one["detections"]))) for key, one in data.items()
    }


def seen_json(seen: Seen) -> dict[str, Any]:
    """What was seen in one frame, by detector."""
    return {name: [detection_json(d) for d in found] for name, found in seen.items()}


def seen_from(data: Mapping[str, Any]) -> Seen:
    """The reverse of :func:`seen_json`."""
    return {name: list(map(detection_from, found)) for name, found in data.items()}
