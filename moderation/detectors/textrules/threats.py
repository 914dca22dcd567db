"""Threats against people, told from the talk of games.

A sentence is rewritten in plain words (contractions undone, ``k1ll`` and ``I W I L L`` read, run-together
words parted) and then compared with a few patterns: who intends what against whom. A game may say that lava
kills, that goblins must die and that a knight will be defeated; what counts is a first person who means the
reader, and most of all the reader's life outside the game.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from moderation.detectors.textrules.fold import Clean, clean, segment, unleet
from moderation.detectors.textrules.match import Match
from moderation.detectors.textrules.threat_patterns import (
    BODY,
    CONDITION,
    CYRILLIC,
    GAME,
    GROUP,
    HARM,
    HOME,
    KIN,
    LETHAL,
    LIFE,
    PATTERNS,
    PERSON,
    PLACE,
    PLAYFUL,
    REPORTING,
    Pattern,
    pattern,
)

NEGATED = 0.2
REPORTED = 0.55
CONDITIONAL = 0.9
FICTION = 0.5
ANCHORED = 0.1
"""Factors for a negation, reported speech, a condition and words of the game; what a word of the reader's
own life (home, school, family) adds, which also takes the factor for fiction back."""

CONTRACTIONS = {
    "i'm": "i am", "im": "i am", "i'll": "i will", "i'd": "i would", "i've": "i have", "we're": "we are",
    "we'll": "we will", "we've": "we have", "you're": "you are", "youre": "you are", "you'll": "you will",
    "gonna": "going to", "gunna": "going to", "imma": "i am going to", "i'ma": "i am going to",
    "ima": "i am going to",
    "wanna": "want to", "u": "you", "ur": "your", "ya": "you", "yall": "you", "y'all": "you",
    "urself": "yourself",
    "won't": "will not", "wont": "will not", "don't": "do not", "dont": "do not", "can't": "can not",
    "wouldn't": "would not", "couldn't": "could not", "didn't": "did not", "shouldn't": "should not",
    "let's": "let us", "ya'll": "you", "l": "i", "l'll": "i will", "l'm": "i am",
}  # fmt: skip
VOCABULARY = frozenset(
    re.findall(
        r"[a-z]{2,}",
        f"{LETHAL}|{HARM}|{PLAYFUL}|{BODY}|{KIN}|{HOME}|{GROUP}|{PLACE}|{PERSON}".replace("?", ""),
    )
) | frozenset(
    "i am are will shall going to gonna want you your yourself u ur we know where live sleep and the all of"
    " in my find coming for kys die go should deserve must be hope bleach drink death everyone this is it"
    " not never have address real life irl out down up would could watch back hate".split()
)
_VERBS = frozenset(f"{LETHAL}|{HARM}|{PLAYFUL}|find|make|come|get".split("|"))
_TOKEN = re.compile(r"[^\s,;:.?!\"“”()…]+(?:[!|@$][^\s,;:.?!\"“”()…]+)*|[,;:.?!]")
_LONG = 8
"""Letters from which on an unknown word may be several, run together."""


@dataclass(frozen=True)
class Plain:
    """A text in plain words, and where each came from."""

    text: str
    starts: tuple[int, ...]
    """Position of each token in ``text``."""
    spans: tuple[tuple[int, int], ...]
    """What each token is in the cleaned text."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        first = bisect_right(self.starts, start) - 1
        last = bisect_right(self.starts, end - 1) - 1
        return self.spans[first][0], self.spans[last][1]


def find_threats(text: Clean) -> list[Match]:
    """Threats of the text, one match per pattern that fits."""
    plain = plain_words(text.text)
    life, game = LIFE.search(plain.text), GAME.search(plain.text)
    matches = []
    for each in PATTERNS if text.text.isascii() else (*PATTERNS, _cyrillic()):
        for found in each.regex.finditer(plain.text):
            score = each.score * _doubt(found, plain.text, fiction=bool(game and not life))
            score = min(0.98, score + ANCHORED) if life and score > 0.5 else score
            matches.append(Match("threat", score, *plain.span(found.start(), found.end())))
    return matches


@cache
def _cyrillic() -> Pattern:
    """Phrases whose letters are partly Latin once look-alikes are replaced, as in the text."""
    return pattern(0.85, f"(?:{'|'.join(clean(phrase).text for phrase in CYRILLIC)})")


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
    return bool(re.search(r"\b(?:not|never|no one|nobody)(?: \w+)?? ?$", before))


def plain_words(text: str) -> Plain:
    """Lower-case words and sentence marks, each separated by one space."""
    parted = [(word, span) for token, span in _spelled_joined(text) for word in _parted(token)]
    words = [
        (part, span)
        for (word, span), (following, _) in pairwise([*parted, ("", (0, 0))])
        for part in _written_out(word, following).split()
    ]
    starts, at = [], 0
    for word, _ in words:
        starts.append(at)
        at += len(word) + 1
    return Plain(" ".join(word for word, _ in words), tuple(starts), tuple(span for _, span in words))


def _written_out(word: str, following: str) -> str:
    if word == "ill" and following in _VERBS:
        return "i will"
    return CONTRACTIONS.get(word, word)


def _tokens(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for match in _TOKEN.finditer(text.replace("’", "'")):
        token = match[0].lower().strip("'*_-~")
        if token:
            yield unleet(token, VOCABULARY), match.span()


def _spelled_joined(text: str) -> list[tuple[str, tuple[int, int]]]:
    """Tokens, with three or more single letters in a row read as one word."""
    joined: list[tuple[str, tuple[int, int]]] = []
    row: list[tuple[str, tuple[int, int]]] = []
    for word, span in [*_tokens(text), ("", (0, 0))]:
        if len(word) == 1 and (word.isalpha() or (row and word == ".")):
            row.append((word, span))
            continue
        letters = "".join(letter for letter, _ in row if letter != ".")
        spelled = len(letters) >= 3 and segment(letters, VOCABULARY) is not None
        joined += [(letters, (row[0][1][0], row[-1][1][1]))] if spelled else row
        row = []
        joined.append((word, span))
    return joined[:-1]


def _parted(token: str) -> list[str]:
    """A long unknown token as the words that it runs together, if it does."""
    if len(token) < _LONG or token in VOCABULARY or not token.isalpha():
        return [token]
    return segment(token, VOCABULARY) or [token]
