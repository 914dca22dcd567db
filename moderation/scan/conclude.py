"""What it all comes to: findings of every playthrough from what was seen and heard once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from moderation import listening, novelty, reading
from moderation.detectors.base import Detection
from moderation.listening import Heard, Situation
from moderation.scan.cascade import Looked
from moderation.scan.detectors import Detectors
from moderation.scan.looking import MAYBE, Report, Words, finding, misheard, spoken
from policies.types import Finding, Source
from worldmodel.constants import FPS, FRAME

CUT = 0.6
"""Weight of words read where the frame's edge cuts the writing: "mind the gap" was once read as a slur.
Views overlap so that a board which players can walk past is seen whole as well."""
EDGE = 2
"""Pixels."""
TWICE = 2
"""Views that must read the same for it to count beside the best reading of its neighbourhood."""
SCRAP = 3
"""Letters up to which a reading that is not certain is rather of a texture: grass was once read as "Ass"."""


@dataclass(frozen=True)
class Shown:
    """What one playthrough showed and sounded like, by reference."""

    playthrough: str
    shown: NDArray[np.int32]
    """(T+1,) ordinals of distinct frames."""
    situations: tuple[Situation, ...]


@dataclass(frozen=True)
class _Stretch:
    """One reading on screen from one second to another."""

    start: float
    end: float
    text: str
    score: float
    box: tuple[int, int, int, int] | None
    cut: bool = False
    """The frame's edge goes through it, so that letters may be missing or misread."""
    others: tuple[tuple[str, bool], ...] = ()
    """What else it may say, and whether the frame's edge goes through that: a texture that stands beside the
    words is often cut where they are not."""

    def sayings(self) -> Iterable[tuple[str, float]]:
        """Each text with what words found in it count for."""
        scrap = self.score < reading.LEGIBLE and sum(map(str.isalpha, self.text)) <= SCRAP
        yield self.text, CUT if self.cut or scrap else 1.0
        for text, cut_too in self.others:
            yield text, reading.OTHERWISE * (CUT if (self.cut and cut_too) or scrap else 1.0)


def conclude(
    plays: Sequence[Shown], looked: Sequence[Looked], heard: Mapping[str, Heard], detectors: Detectors
) -> Report:
    """Findings of every playthrough, and a run of the detectors of words."""
    words = Words(detectors.words)
    report = Report()
    for play in plays:
        for group in looked:
            report.findings.extend(_picture_findings(play, group, detectors))
            report.findings.extend(_reading_findings(play, group, detectors, words))
        report.findings.extend(_speech_findings(play, heard, detectors, words))
    report.findings = list({one.id: one for one in report.findings}.values())
    report.runs.extend(words.runs())
    return report


def _stretches(play: Shown, group: Looked) -> list[tuple[int, float, float]]:
    """Looked-at frames of a playthrough: (ordinal, from, to) in seconds."""
    known = np.array([group.stands_for.get(int(ordinal), -1) for ordinal in play.shown], np.int32)
    return [(o, first / FPS, (last + 1) / FPS) for o, first, last in novelty.runs(known) if o >= 0]


def _picture_findings(play: Shown, group: Looked, detectors: Detectors) -> Iterable[Finding]:
    for ordinal, start, end in _stretches(play, group):
        for detector in detectors.pictures:
            for one in group.seen[ordinal].get(detector.card.name, []):
                placed = Detection(one.label, one.score, start, end, one.box, one.text)
                yield finding(detector.card, placed, Source.PLAYTHROUGH, playthrough=play.playthrough)


def _reading_findings(play: Shown, group: Looked, detectors: Detectors, words: Words) -> Iterable[Finding]:
    reader = detectors.reader.card
    stretches = []
    for ordinal, start, end in _stretches(play, group):
        found = group.seen[ordinal].get(reader.name, [])
        if ways := reading.ways(found):
            (text, _), *others = ways.items()
            score, box = max(d.score for d in found), reading.around(found)
            also = tuple((text, cut(boxes) < 1) for text, boxes in others)
            stretches.append(_Stretch(start, end, text, score, box, cut(found) < 1, also))
    for one in _merged(_improved(stretches)):
        placed = Detection("text", one.score, one.start, one.end, one.box, one.text)
        yield finding(reader, placed, Source.PLAYTHROUGH, playthrough=play.playthrough)
        for text, weight in one.sayings():
            for card, said in words(text):
                placed = Detection(said.label, said.score * weight, one.start, one.end, one.box, text)
                yield finding(card, placed, Source.PLAYTHROUGH, playthrough=play.playthrough)


def _improved(stretches: Sequence[_Stretch]) -> list[_Stretch]:
    """Each with the best reading of the same writing in its neighbourhood, partial ones joined."""
    improved: list[_Stretch] = []
    for group in _neighbourhoods(stretches):
        # a view that comes again bears out no more than it did
        texts = [(one.text, one.score) for one in {(one.text, one.box): one for one in group}.values()]
        joined = [
            (whole, (one.score + other.score) / 2)
            for one, other in pairwise(group)
            if (whole := reading.stitched(one.text, other.text)) is not None
        ]
        best = reading.best_readings(texts + joined)
        uncut = {one.text for one in group if not one.cut} | {text for text, _ in joined}
        again = {text for text, times in Counter(t for t, _ in texts).items() if times >= TWICE}
        for one in group:
            text = best[one.text]
            stands = one.text in again and not reading.truncated(one.text, text)
            own = ((one.text, one.cut),) if stands and text != one.text else ()
            improved.append(replace(one, text=text, cut=text not in uncut, others=(*own, *one.others)))
    return improved


def cut(found: Sequence[Detection]) -> float:
    """What words read in these boxes count for: ``CUT`` where any reaches the frame's left or right edge."""
    boxes = [one.box for one in found if one.box is not None]
    return CUT if any(box[0] <= EDGE or box[2] >= FRAME - EDGE for box in boxes) else 1.0


def _neighbourhoods(stretches: Sequence[_Stretch], gap: float = 1.0) -> list[list[_Stretch]]:
    groups: list[list[_Stretch]] = []
    for one in stretches:
        if groups and one.start - groups[-1][-1].end <= gap:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _merged(stretches: Sequence[_Stretch], gap: float = 0.5) -> list[_Stretch]:
    """Stretches of the same text that follow each other, as one with the best score."""
    merged: list[_Stretch] = []
    for one in stretches:
        last = merged[-1] if merged else None
        if last is not None and last.text == one.text and one.start - last.end <= gap:
            best = max((last, one), key=lambda s: s.score)
            merged[-1] = replace(best, start=last.start, end=one.end)
        else:
            merged.append(one)
    return merged


def _speech_findings(
    play: Shown, heard: Mapping[str, Heard], detectors: Detectors, words: Words
) -> Iterable[Finding]:
    found = [
        listening.shifted(detection, situation.start / FPS)
        for situation in play.situations
        if situation.key in heard
        for detection in heard[situation.key].detections
        if detection.start < situation.steps / FPS
    ]
    for one in found:
        yield finding(detectors.speech.card, one, Source.PLAYTHROUGH, playthrough=play.playthrough)
    found.sort(key=lambda d: (d.start, d.end))
    weighed = [*((text, 1.0) for text in spoken(found)), *((text, MAYBE) for text in misheard(found))]
    for text, weight in weighed:
        for card, said in words(text.text):
            placed = Detection(said.label, said.score * weight, text.start, text.end, None, text.text)
            yield finding(card, placed, Source.PLAYTHROUGH, playthrough=play.playthrough)
