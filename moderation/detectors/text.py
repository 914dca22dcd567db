"""Slurs, threats, personal data and links in written or spoken words."""

from __future__ import annotations

from collections.abc import Sequence

from moderation.detectors.base import Detection, Detector, DetectorCard, Text
from moderation.detectors.textrules.fold import clean
from moderation.detectors.textrules.links import find_links
from moderation.detectors.textrules.match import Match
from moderation.detectors.textrules.personal import find_personal
from moderation.detectors.textrules.slurs import Slurs
from moderation.detectors.textrules.threats import find_threats

NOISE = 0.15
"""Scores under this are not reported."""
NEAR = 40
"""Threats at most this many characters apart are one."""
LONGEST = 4_000
"""Characters looked at together; longer texts are looked at in overlapping parts."""
OVERLAP = 200


class TextRules(Detector[Text]):
    """Labels ``slur``, ``threat``, ``personal_data`` and ``link``; ``text`` is the span that was found.

    Scores are set by hand, so that .5 parts what a person would call a violation from what is not:

    * ``slur``: the weight of the term (.95 never innocent, .6 to .85 a slur in most uses, under .5 a word
      with an innocent meaning) times .75 to 1 for how it is written (plain, obfuscated, spelled out,
      run together, split, masked); hostile words in the same text add .3 to a term under .7.
    * ``threat``: .9 a first person who means to kill the reader, or a call to kill a group or oneself; .75 to
      harm, or to know where the reader lives; .3 to .5 what villains in games say. Negation x .2, reported
      speech x .55, could or would x .65 to .9, the game's own words x .5; the reader's home, school or family
      adds .1. Several threats beside each other are one, with the probability that any holds.
    * ``personal_data``: .95 what has a checksum or exact form (e-mail, card, IBAN), .85 the same spelled out,
      .65 to .9 phone numbers, .4 to .95 street addresses by what stands beside them.
    * ``link``: .95 a URL or an invitation, .85 one spelled out and a handle with its platform, .75 a bare
      domain, .4 an @handle alone.
    """

    card = DetectorCard(
        name="text",
        version="1",
        modality="text",
        labels=("slur", "threat", "personal_data", "link"),
        licence="Apache-2.0; word list in part CC-BY-4.0 (naughty-words)",
        recall=0.70,
        recall_source="33 of 47 texts of tests/data/text/blind.tsv, on which nothing was tuned",
        cost_ms=0.5,
    )

    def __init__(self) -> None:
        super().__init__()
        self._slurs: Slurs

    def load(self) -> None:
        self._slurs = Slurs()

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        return [self._read(item) for item in batch]

    def _read(self, item: Text) -> list[Detection]:
        found: dict[tuple[str, str], Detection] = {}
        for part in _parts(item.text):
            for detection in self._detections(part, item):
                key = (detection.label, detection.text or "")
                if key not in found or detection.score > found[key].score:
                    found[key] = detection
        return list(found.values())

    def _detections(self, part: str, item: Text) -> list[Detection]:
        text = clean(part)
        personal = _merged(find_personal(text), 0)
        matches = [
            *_merged(self._slurs.find(text), 0),
            *_merged(find_threats(text), NEAR),
            *personal,
            *_outside(_merged(find_links(text), 0), personal),
        ]
        return [
            Detection(m.label, m.score, item.start, item.end, text=text.span(m.start, m.end))
            for m in matches
            if m.score >= NOISE
        ]


def _parts(text: str) -> list[str]:
    step = LONGEST - OVERLAP
    return [text[at : at + LONGEST] for at in range(0, max(1, len(text) - OVERLAP), step)]


def _merged(matches: list[Match], near: int) -> list[Match]:
    """Overlapping matches (or, of threats, neighbours) as one.

    The same span seen twice keeps its best score; separate spans are independent evidence (noisy or).
    """
    merged: list[Match] = []
    for match in sorted(matches, key=lambda m: (m.start, -m.end)):
        last = merged[-1] if merged else None
        if last is None or match.start > last.end + near:
            merged.append(match)
            continue
        apart = match.start >= last.end
        score = 1 - (1 - last.score) * (1 - match.score) if apart else max(last.score, match.score)
        merged[-1] = Match(match.label, min(score, 0.98), last.start, max(last.end, match.end))
    return merged


def _outside(links: list[Match], personal: list[Match]) -> list[Match]:
    """Links that are not merely the domain of an e-mail address."""
    spans = [(m.start, m.end) for m in personal if m.score >= NOISE]
    return [link for link in links if not any(a < link.end and link.start < b for a, b in spans)]
