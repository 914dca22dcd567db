"""Slurs, threats, personal data, links, contacts and injections in written or spoken words."""

from __future__ import annotations

from collections.abc import Sequence

from moderation.detectors.base import Detection, Detector, DetectorCard, Text
from moderation.detectors.textrules.contact import find_contacts
from moderation.detectors.textrules.disguise import Reading, looks_mirrored, readings
from moderation.detectors.textrules.fold import Clean
from moderation.detectors.textrules.injection import find_injections
from moderation.detectors.textrules.links import find_links
from moderation.detectors.textrules.match import Match
from moderation.detectors.textrules.personal import find_personal
from moderation.detectors.textrules.plain import plain_words
from moderation.detectors.textrules.slurs import SHORT, Slurs, find_hate
from moderation.detectors.textrules.threats import find_threats

NOISE = 0.15
"""Scores under this are not reported."""
SURE = 0.6
"""Score from which something is believed that only an odd way to read the text shows."""
DISGUISED = 0.95
"""Factor for such a way."""
HIDDEN = 0.85
"""Score of text in characters that are not drawn."""
NEAR = 40
"""Threats, contacts and injections at most this many characters apart are one."""
LONGEST = 4_000
"""Characters looked at together; longer texts are looked at in overlapping parts."""
OVERLAP = 200


class TextRules(Detector[Text]):
    """Slurs, threats, personal data, links, contacts and injections; ``text`` is the span that was found.

    Scores are set by hand, so that .5 parts what a person would call a violation from what is not:

    * ``slur``: the weight of the term (.95 never innocent, .6 to .85 a slur in most uses, under .5 a word
      with an innocent meaning) times .75 to 1 for how it is written (plain, obfuscated, spelled out,
      run together, split, masked); hostile words in the same text add .3 to a term under .7. A group of
      people beside a word of contempt counts .75 to .85.
    * ``threat``: .9 a first person who means to kill the reader, or a call to kill a group or oneself; .75 to
      harm, or to know where the reader lives; .3 to .5 what villains in games say. Negation x .2, reported
      speech x .55, could or would x .65 to .9, the game's own words x .5; the reader's home, school or family
      adds .1. Several threats beside each other are one, with the probability that any holds.
    * ``personal_data``: .95 what has a checksum or exact form (e-mail, card, IBAN), .85 the same spelled out,
      .65 to .9 phone numbers, .4 to .95 street addresses by what stands beside them.
    * ``link``: .95 a URL or an invitation, .85 one spelled out, .75 a bare domain.
    * ``contact``: ways to go on elsewhere. .95 an invitation, .8 to .85 a request to write or call with an
      app, a handle or a number, .65 to .7 one without, .4 an @handle alone; x .4 where the text warns of it.
    * ``injection``: instructions to who reviews, a person or a model. .9 to .95 tags of roles and orders to
      ignore earlier instructions, .75 to .85 verdicts dictated, questions for the system prompt, hidden text;
      x .6 where a story has judges and machines of its own, except for the strongest.

    A text is also read from right to left, upside down, down its columns, out of base64 and out of invisible
    tag characters; what is only found there counts x .95, and only if it is sure.
    """

    card = DetectorCard(
        name="text",
        version="3",
        modality="text",
        labels=("slur", "threat", "personal_data", "link", "contact", "injection"),
        licence="Apache-2.0; word list in part CC-BY-4.0 (naughty-words)",
        recall=0.954,
        recall_source=(
            "lower limit (Wilson, 95 %) of 277 of 283 labels of tests/data/text/blind.tsv, on which nothing"
            " was tuned; by the author of the rules, so strangers' texts are found less often"
        ),
        cost_ms=1.3,
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
        return [
            Detection(m.label, m.score, item.start, item.end, text=reading.clean.span(m.start, m.end))
            for reading in readings(part)
            for m in self._matches(reading)
            if m.score >= NOISE
        ]

    def _matches(self, reading: Reading) -> list[Match]:
        if reading.kind == "plain":
            return self._plainly(reading.clean)
        if reading.kind == "mirrored" and not looks_mirrored(reading.clean.text):
            odd = [m for m in self._slurs.find(reading.clean) if _is_word(reading.clean.text, m)]
        else:
            odd = self._plainly(reading.clean)
        sure = [Match(m.label, m.score * DISGUISED, m.start, m.end) for m in odd if m.score >= SURE]
        if reading.kind == "hidden" and len(reading.clean.text) >= SHORT:
            sure.append(Match("injection", HIDDEN, 0, len(reading.clean.text)))
        return sure

    def _plainly(self, text: Clean) -> list[Match]:
        plain = plain_words(text.text)
        personal = _merged(find_personal(text), 0)
        return [
            *_merged([*self._slurs.find(text, plain.text), *find_hate(plain)], 0),
            *_merged(find_threats(plain), NEAR),
            *personal,
            *_outside(_merged(find_links(text), 0), personal),
            *_merged(find_contacts(text, plain), NEAR),
            *_merged(find_injections(text, plain), NEAR),
        ]


def _is_word(text: str, match: Match) -> bool:
    """Whether a match of some length begins and ends with a word: "dragging" is no slur read backwards."""
    beside = text[max(0, match.start - 1) : match.start] + text[match.end : match.end + 1]
    return match.end - match.start >= SHORT and not any(map(str.isalnum, beside))


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
