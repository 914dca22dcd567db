"""Threats against people, told from the talk of games.

A sentence is rewritten in plain words (contractions undone, ``k1ll`` and ``I W I L L`` read, run-together
words parted) and then compared with a few patterns: who intends what against whom. A game may say that lava
kills, that goblins must die and that a knight will be defeated; what counts is a first person who means the
reader, and most of all the reader's life outside the game.
"""

from __future__ import annotations

import re

from moderation.detectors.textrules.fold import clean
from moderation.detectors.textrules.match import Match
from moderation.detectors.textrules.plain import Plain
from moderation.detectors.textrules.threat_patterns import CONDITION, GAME, LIFE, PATTERNS, REPORTING

NEGATED = 0.2
REPORTED = 0.55
CONDITIONAL = 0.9
FICTION = 0.5
ANCHORED = 0.1
"""Factors for a negation, reported speech, a condition and words of the game; what a word of the reader's
own life (home, school, family) adds, which also takes the factor for fiction back."""
_NEGATIONS = clean(
    "not|never|no one|nobody|nicht|nie|niemals|no|nunca|ne|jamais|nao|non|mai|не|никогда|niet|nooit|asla"
).text
_NEGATION = re.compile(rf"\b(?:{_NEGATIONS})(?: \w+)?? ?$")


def find_threats(plain: Plain) -> list[Match]:
    """Threats of the text, one match per pattern that fits."""
    life, game = LIFE.search(plain.text), GAME.search(plain.text)
    matches = []
    for each in PATTERNS:
        for found in each.regex.finditer(plain.text):
            score = each.score * _doubt(found, plain.text, fiction=bool(game and not life))
            score = min(0.98, score + ANCHORED) if life and score > 0.5 else score
            matches.append(Match("threat", score, *plain.span(found.start(), found.end())))
    return matches


def _doubt(found: re.Match[str], text: str, *, fiction: bool) -> float:
    """The product of what lowers a threat."""
    groups = found.groupdict()
    start = max(text.rfind(mark, 0, found.start()) for mark in ".?!") + 1
    before = text[start : found.start()]
    factor = NEGATED if groups.get("no") or groups.get("no2") or _negated(before) else 1.0
    factor *= 0.9 if groups.get("wish") else 0.65 if groups.get("may") else 1.0
    factor *= REPORTED if REPORTING.search(before) else 1.0
    factor *= CONDITIONAL if CONDITION.search(text[start:]) else 1.0
    return factor * (FICTION if fiction else 1.0)


def _negated(before: str) -> bool:
    return bool(_NEGATION.search(before))
