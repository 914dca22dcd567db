"""A text in plain words: contractions undone, ``k1ll`` and ``I W I L L`` read, run-together words parted."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product

from moderation.detectors.textrules.contractions import CONTRACTIONS
from moderation.detectors.textrules.fold import unleet
from moderation.detectors.textrules.parting import ENGLISH, LONGEST, languages, likeliest
from moderation.detectors.textrules.phrases import common_words, words
from moderation.detectors.textrules.threat_patterns import VERBS, VOCABULARY

AFTER_I = frozenset("will am know have want hope swear can could would".split())
"""Words before which a lone 1 is an I."""
MOSTLY = 4
"""Of letters run together, also with a slur, at most one in so many may belong to no known word."""
LOOSE, DENSE = 12, 2.4
"""Letters under which words may cost at most so many nats a letter: out of syllables anything can be made."""
MOST_RUNS = 4
"""Stretched letters of a word, at most, for which each length is tried."""
SHORT, LONG = 6, 8
"""Letters from which on an unknown word may be several of English, run together, and of any language."""
JOINT = "\x1f"
"""White space that stands for a mark between letters or words; it counts as narrower than any other."""
_TOKEN = re.compile(r"[^\s,;:.?!\"“”()…]+(?:[!|@$][^\s,;:.?!\"“”()…]+)*|[,;:.?!]")
_SEPARATOR = re.compile(r"(?<=[\w'])[-_/\\~·•](?=[\w'])")
_DOTTED = re.compile(r"\w+(?:\.\w+){2,}")
_DOTTED_LETTERS = re.compile(r"(?<=\b\w)\.(?=\w\b)|(?<=\w)\.(?=')|(?<=')\.(?=\w)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ELISION = re.compile(r"(?:[cdjlmnst]|qu|dell|all|dall|nell|sull)'(?=\w{2})")
_CLITIC = re.compile(r"(\w{3,})'([^\W\d_]{2,})")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")
_RUN = re.compile(r"(.)\1*")
_MASKED = re.compile(r"[a-z]+[*#]+[a-z]*")


@dataclass(frozen=True)
class Plain:
    """A text in plain words, and where each came from."""

    text: str
    """Lower-case words and sentence marks, each separated by one space."""
    starts: tuple[int, ...]
    """Position of each token in ``text``."""
    spans: tuple[tuple[int, int], ...]
    """What each token is in the cleaned text."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where ``text[start:end]`` stands in the cleaned text."""
        first = bisect_right(self.starts, start) - 1
        last = bisect_right(self.starts, end - 1) - 1
        return self.spans[first][0], self.spans[last][1]


@cache
def known_words() -> frozenset[str]:
    """Every word of every rule, and the commonest of English."""
    return VOCABULARY.union(common_words(), *words().values())


def plain_words(text: str, whole: tuple[str, ...] = ()) -> Plain:
    """The plain words of a cleaned text. What begins like one of ``whole`` is one word, never several."""
    parted = [(word, span) for token, span in _spelled_joined(text) for word in _parted(token, whole)]
    written = [
        (part, span)
        for (word, span), (following, _) in pairwise([*parted, ("", (0, 0))])
        for part in _written_out(word, following).split()
    ]
    starts, at = [], 0
    for word, _ in written:
        starts.append(at)
        at += len(word) + 1
    return Plain(" ".join(word for word, _ in written), tuple(starts), tuple(span for _, span in written))


def _written_out(word: str, following: str) -> str:
    if word == "ill" and following in VERBS:
        return "i will"
    if word == "1" and following in AFTER_I:
        return "i"
    if "'" not in word or word in CONTRACTIONS:
        return CONTRACTIONS.get(word, word)
    return _CLITIC.sub(r"\1 \2", _ELISION.sub(lambda match: f"{match[0][:-1]} ", word))


def _apart(text: str) -> str:
    """The text, as long as before, with ``JOINT`` for whatever joins words or letters without a space."""
    spaced = _DOTTED.sub(lambda match: match[0].replace(".", JOINT), text.replace("’", "'"))
    return _SEPARATOR.sub(JOINT, _DOTTED_LETTERS.sub(JOINT, spaced))


def _tokens(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for match in _TOKEN.finditer(text):
        for word, span in _camel_parts(match):
            token = word.lower().strip("'*_-~")
            if token:
                yield _squeezed(_unmasked(unleet(token, known_words()))), span


def _camel_parts(match: re.Match[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """``IgnoreAllRules`` in three; a single bend (``McDonald``) is none."""
    cuts = [0, *(cut.start() for cut in _CAMEL.finditer(match[0])), len(match[0])]
    cuts = cuts if len(cuts) > 3 else [0, len(match[0])]
    for start, end in pairwise(cuts):
        yield match[0][start:end], (match.start() + start, match.start() + end)


def _unmasked(token: str) -> str:
    """``k*ll`` as the one verb of violence that it can be."""
    if not _MASKED.fullmatch(token):
        return token
    shape = re.compile("".join("." if char in "*#" else char for char in token))
    fitting = sorted(verb for verb in VERBS if shape.fullmatch(verb))
    return fitting[0] if fitting else token


def _squeezed(token: str) -> str:
    """``kiiilll`` as the known word that it stretches, else with single letters."""
    if token in known_words() or not _STRETCHED.search(token) or len(set(token)) == 1:
        return token
    pieces = [(piece[0][0],) if len(piece[0]) == 1 else _shorter(piece[0]) for piece in _RUN.finditer(token)]
    if sum(len(choice) > 1 for choice in pieces) > MOST_RUNS:
        return _STRETCHED.sub(r"\1", token)
    forms = map("".join, product(*pieces))
    return next((form for form in forms if form in known_words()), _STRETCHED.sub(r"\1", token))


def _shorter(run: str) -> tuple[str, ...]:
    return (run,) if len(run) == 2 else (run[0], run[:2])


def _spelled_joined(text: str) -> list[tuple[str, tuple[int, int]]]:
    """Tokens, with three or more single letters in a row read as the words that they spell."""
    apart = _apart(text)
    joined: list[tuple[str, tuple[int, int]]] = []
    row: list[tuple[str, tuple[int, int]]] = []
    for word, span in [*_tokens(apart), ("", (0, 0))]:
        if len(word) == 1 and (word.isalpha() or (row and word in ".1340")):
            row.append((word, span))
            continue
        joined += _spelled(row, apart)
        row = []
        joined.append((word, span))
    return joined[:-1]


def _spelled(row: list[tuple[str, tuple[int, int]]], text: str) -> list[tuple[str, tuple[int, int]]]:
    letters = unleet("".join(letter for letter, _ in row if letter != "."), known_words())
    if len(letters) < 3:
        return row
    by_gaps = _by_gaps(row, text)
    if by_gaps is not None:
        return by_gaps
    found = _segmented(letters)
    span = (row[0][1][0], row[-1][1][1])
    return row if found is None else [(word, span) for word in found]


def _by_gaps(row: list[tuple[str, tuple[int, int]]], text: str) -> list[tuple[str, tuple[int, int]]] | None:
    """Letters joined where the gap between them is the smallest, if there are wider ones too."""
    between = [text[span[1] : following[0]] for (_, span), (_, following) in pairwise(row)]
    widths = [1 if JOINT in gap else 1 + len(gap) for gap in between if "'" not in gap]
    if not widths or min(widths) == max(widths):
        return None
    gaps = [min(widths) if JOINT in gap or "'" in gap else 1 + len(gap) for gap in between]
    joined = [row[0]]
    for (letter, span), gap in zip(row[1:], gaps, strict=True):
        if gap == min(widths):
            word, (start, _) = joined[-1]
            joined[-1] = (word + letter, (start, span[1]))
        else:
            joined.append((letter, span))
    return [(unleet(word, known_words()), span) for word, span in joined]


def _parted(token: str, whole: tuple[str, ...] = ()) -> list[str]:
    """A long unknown token as the words that it runs together, if it does."""
    known = token in known_words() or token.startswith(whole)
    if known or len(token) < SHORT or not token.replace("'", "").isalpha():
        return [token]
    found = _segmented(token)
    return [token] if found is None or len(found) == 1 else list(found)


def _segmented(letters: str) -> tuple[str, ...] | None:
    """The words that letters run together, if most letters belong to one; of few, if all do in English."""
    if len(letters) > LONGEST:
        return None
    few = len(letters) < LONG
    for written in dict.fromkeys((letters, letters.replace("'", ""))):
        parted = languages()[ENGLISH].part(written) if few else likeliest(written)
        known = parted.unknown == 0 if few else MOSTLY * parted.unknown <= len(written)
        known = known and (len(written) >= LOOSE or parted.cost <= DENSE * len(written))
        if known and all(word.strip("'") == word for word in parted.words):
            return parted.words
    return None
