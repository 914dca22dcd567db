"""What the cascade misses: random moments looked at by everything, compared with what the scan says of them.

A *moment* is a frame of a playthrough, drawn at random whatever it shows; a few playthroughs are also
listened to from end to end. What is found there is *kept* if the scan's findings say the same of that moment,
without having looked at it. The share that is kept multiplies the recall of every detector behind the
cascade in the bound.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from moderation import reading
from moderation.detectors.base import Detection
from moderation.scan.conclude import cut
from moderation.scan.detectors import Detectors
from moderation.scan.looking import Seen, Words, spoken
from policies.types import Finding
from worldmodel.constants import FPS

SURE = 0.5
"""Score from which something counts as found in an audited moment."""
ALIKE = 0.8
"""Share of that score which the scan must give it."""
SLACK = 0.5
"""Seconds that a finding may lie beside the moment: rules count frames and seconds, not the frame."""
LETTERS = 4
"""Fewer letters are no reading: sprites look like two or three."""
PICTURE, WRITING, SPEECH = "picture", "writing", "speech"


@dataclass(frozen=True)
class Moment:
    """One audited frame."""

    playthrough: str
    step: int
    seen: Seen

    @property
    def at(self) -> float:
        return self.step / FPS


@dataclass(frozen=True)
class Tally:
    """Of what was found in audited moments, how much the scan said too."""

    found: int = 0
    kept: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.found + other.found, self.kept + other.kept)

    @property
    def share(self) -> float:
        """Estimate 0..1 with Jeffreys' prior: one half where nothing is known."""
        return (self.kept + 0.5) / (self.found + 1)


def audit(
    moments: Sequence[Moment],
    heard: Mapping[str, Sequence[Detection]],
    findings: Iterable[Finding],
    detectors: Detectors,
) -> dict[str, Tally]:
    """Compare; ``heard`` is what was heard in whole playthroughs, ``findings`` what the scan says."""
    said: dict[str, list[Finding]] = {}
    for finding in findings:
        said.setdefault(finding.playthrough or "", []).append(finding)
    words = Words(detectors.words)
    tallies = {PICTURE: Tally(), WRITING: Tally(), SPEECH: Tally()}
    for moment in moments:
        own = said.get(moment.playthrough, [])
        tallies[PICTURE] += _tally(kept for *_, kept in pictures(moment, own, detectors))
        tallies[WRITING] += _writing(moment, own, detectors, words)
    for playthrough, detections in heard.items():
        tallies[SPEECH] += _speech(detections, said.get(playthrough, []), detectors, words)
    return tallies


def pictures(
    moment: Moment, findings: Sequence[Finding], detectors: Detectors
) -> list[tuple[str, str, float, bool]]:
    """What detectors of pictures found in a moment: detector, label, score, and whether the scan says it too.

    ``findings`` are those of the moment's playthrough.
    """
    expected = [
        (detector.card.name, found.label, found.score)
        for detector in detectors.pictures
        for found in moment.seen.get(detector.card.name, [])
        if found.score >= SURE
    ]
    return [(*one, any(_says(f, one, moment.at, moment.at) for f in findings)) for one in expected]


def _writing(moment: Moment, findings: Sequence[Finding], detectors: Detectors, words: Words) -> Tally:
    """Boxes that were read with certainty, and what is found in all that was read together."""
    name = detectors.reader.card.name
    read = moment.seen.get(name, [])
    there = [f for f in findings if f.detector == name and f.text and _during(f, moment.at, moment.at)]
    legible = [
        any(reading.alike(one.text or "", f.text or "") for f in there) for one in read if _legible(one)
    ]
    said = words(" ".join(reading.lines(read))) if read else []
    expected = [(card.name, one.label, one.score * cut(read)) for card, one in said]
    flagged = [one for one in expected if one[2] >= SURE]
    return _tally(
        [*legible, *(any(_says(f, one, moment.at, moment.at) for f in findings) for one in flagged)]
    )


def _legible(found: Detection) -> bool:
    """Whether a box says something: coins are read as zeros, and edges of the frame cut words."""
    letters = sum(map(str.isalpha, found.text or ""))
    return found.score >= reading.LEGIBLE and letters >= LETTERS and cut([found]) == 1


def _speech(
    heard: Sequence[Detection], findings: Sequence[Finding], detectors: Detectors, words: Words
) -> Tally:
    name = detectors.speech.card.name
    kept = []
    for text in spoken(sorted(heard, key=lambda d: (d.start, d.end))):
        span = text.start, text.end
        there = [f for f in findings if f.detector == name and _during(f, *span)]
        kept.append(any(reading.alike(text.text, f.text or "") for f in there))
        expected = [(card.name, said.label, said.score) for card, said in words(text.text)]
        flagged = [one for one in expected if one[2] >= SURE]
        kept += [any(_says(f, one, *span) for f in findings) for one in flagged]
    return _tally(kept)


def _says(finding: Finding, expected: tuple[str, str, float], start: float, end: float) -> bool:
    detector, label, score = expected
    same = (finding.detector, finding.label) == (detector, label)
    return same and finding.score >= ALIKE * score and _during(finding, start, end)


def _during(finding: Finding, start: float, end: float) -> bool:
    return finding.start - SLACK <= end and start <= finding.end + SLACK


def _tally(kept: Iterable[bool]) -> Tally:
    each = list(kept)
    return Tally(len(each), sum(each))


# -- into the bound -----------------------------------------------------------------------------------


def recalls(tallies: Iterable[Mapping[str, Tally]], detectors: Detectors) -> dict[str, float]:
    """Share that the cascade keeps, by detector, from all audits and the one that comes with the package."""
    total = dict(_measured())
    for one in tallies:
        for kind, tally in one.items():
            total[kind] = total.get(kind, Tally()) + tally
    shares = {kind: total.get(kind, Tally()).share for kind in (PICTURE, WRITING, SPEECH)}
    return {
        **{detector.card.name: shares[PICTURE] for detector in detectors.pictures},
        detectors.reader.card.name: shares[WRITING],
        detectors.speech.card.name: shares[SPEECH],
    }


@lru_cache(maxsize=1)
def _measured() -> Mapping[str, Tally]:
    """The audit of the example worlds (``python benchmarks/cascade.py --write``)."""
    text = (files("moderation.scan") / "audited.json").read_text(encoding="utf-8")
    return tallies_from(json.loads(text)["tallies"])


def tallies_json(tallies: Mapping[str, Tally]) -> dict[str, list[int]]:
    """``{"picture": [found, kept], ...}``."""
    return {kind: [tally.found, tally.kept] for kind, tally in tallies.items()}


def tallies_from(data: Mapping[str, Sequence[int]]) -> dict[str, Tally]:
    """The reverse of :func:`tallies_json`."""
    return {kind: Tally(*counts) for kind, counts in data.items()}
