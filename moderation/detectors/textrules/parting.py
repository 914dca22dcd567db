"""Words written without spaces, parted into the likeliest words of one language.

Each word costs what it takes to say it, in nats: the negative logarithm of its share of all words, by
Zipf's law over the commonest words of English, or one price for all words of another language. Letters of
no known word cost more the more they are. The cheapest row of words (Viterbi) is the reading, and two
readings can be compared: "expertsexchange" costs less as "experts exchange" than with any other word in it.
"""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from moderation.detectors.textrules import phrases
from moderation.detectors.textrules.contractions import CONTRACTIONS
from moderation.detectors.textrules.fold import clean
from moderation.detectors.textrules.hostile import HOSTILE_STEMS, HOSTILE_WORDS
from moderation.detectors.textrules.threat_patterns import VOCABULARY

ENGLISH = "en"
LONGEST = 200
"""Letters run together that are still parted; what it takes grows with them."""
FUNCTION, LISTED, TERM = 6.0, 8.0, 11.0
"""Nats for a function word of a language without frequencies, for a word that is known from the rules alone,
and for a slur: as one word in 400, in 3,000 and in 60,000."""
SOUGHT = 1.5
"""Nats less for every word of the rules: "bullet in your head" and not "bulletin your head"."""
ENDING, ENDED = 4, 3.3
"""Letters that a stem may be followed by, and nats for each: as if any letter were as likely."""
UNKNOWN, LETTER = 13.0, 2.2
"""Nats for letters of no known word: once for all that stand together, and for each. The rarest word of the
list costs 13."""
SHORTEST_STEM = 4
_LANGUAGE = re.compile(r"^\[(\w+)\]")


@dataclass(frozen=True)
class Parted:
    """Letters as a row of words."""

    words: tuple[str, ...]
    cost: float
    """Nats."""
    unknown: int
    """Letters that belong to no known word."""


class Language:
    """What each word of a language costs."""

    def __init__(self, costs: Mapping[str, float], stems: Collection[str] = ()) -> None:
        self._stems = frozenset(stem for stem in stems if len(stem) >= SHORTEST_STEM)
        begun = {word[:end] for word in [*costs, *self._stems] for end in range(1, len(word))}
        self._costs = dict.fromkeys(begun, math.inf) | dict(costs)
        """Of words; the beginnings of words cost infinitely much."""

    def part(self, letters: str) -> Parted:
        """The cheapest row of words; ``letters`` are lower case and cleaned."""
        size = len(letters)
        best = [0.0, *[math.inf] * size]
        cut = [0] * (size + 1)
        known = [True] * (size + 1)
        unknown, since = (
            math.inf,
            0,
        )  # the cheapest row that ends in letters of no word, and where those begin
        for start in range(size):
            if best[start] + UNKNOWN < unknown:
                unknown, since = best[start] + UNKNOWN, start
            unknown += LETTER
            for end, cost in self._beginning(letters, start):
                if best[start] + cost < best[end]:
                    best[end], cut[end], known[end] = best[start] + cost, start, True
            if unknown < best[start + 1]:
                best[start + 1], cut[start + 1], known[start + 1] = unknown, since, False
        ends = [size]
        while ends[-1]:
            ends.append(cut[ends[-1]])
        words = tuple(letters[cut[end] : end] for end in reversed(ends[:-1]))
        return Parted(words, best[-1], sum(end - cut[end] for end in ends[:-1] if not known[end]))

    def _beginning(self, letters: str, start: int) -> Iterator[tuple[int, float]]:
        """Where words end that begin at ``start``, and what they cost."""
        stem = 0
        for end in range(start + 1, len(letters) + 1):
            piece = letters[start:end]
            cost = self._costs.get(piece)
            if piece in self._stems:
                stem = end
            elif cost is None and (not stem or end - stem > ENDING):
                return
            if stem and end - stem <= ENDING:
                yield end, LISTED + ENDED * (end - stem)
            if cost is not None and cost < math.inf:
                yield end, cost


@cache
def languages() -> Mapping[str, Language]:
    """By ISO 639-1 code, English first; each with function words, the words of the rules and its slurs."""
    terms = _terms()
    listed = [word for word in _read("english.txt")[""] if word not in terms[ENGLISH]]
    costs = {ENGLISH: _by_rank(listed) | _spoken()}
    costs |= {code: dict.fromkeys(words, FUNCTION) for code, words in _read("function_words.txt").items()}
    rules, stems = phrases.words(), phrases.stems()
    return {
        code: Language(
            own
            | _sought(own, rules.get(code, frozenset()) | (VOCABULARY if code == ENGLISH else HOSTILE_WORDS))
            | dict.fromkeys(terms.get(code, ()), TERM),
            stems.get(code, frozenset()) | (HOSTILE_STEMS if code != ENGLISH else frozenset()),
        )
        for code, own in costs.items()
    }


def _spoken() -> dict[str, float]:
    """Contractions, also without their apostrophes."""
    written = {short for short in CONTRACTIONS if len(short) > 2}
    return dict.fromkeys(written | {short.replace("'", "") for short in written if len(short) > 4}, FUNCTION)


def _sought(costs: Mapping[str, float], words: Iterable[str]) -> dict[str, float]:
    return {word: min(LISTED, costs.get(word, LISTED) - SOUGHT) for word in words if len(word) > 1}


@lru_cache(4096)
def likeliest(letters: str) -> Parted:
    """The cheapest reading of run-together letters in any language."""
    return min(
        (each.part(letters[:LONGEST]) for each in languages().values()), key=lambda parted: parted.cost
    )


def cheapest(words: Sequence[str]) -> float:
    """Nats for a text of these lower-case words in the language that says it most easily, each parted."""
    return min(sum(each.part(word[:LONGEST]).cost for word in words) for each in languages().values())


def _by_rank(words: Collection[str]) -> dict[str, float]:
    """Zipf's law: the share of the word of rank r is 1 / (r * H), with H the harmonic number."""
    whole = math.log(len(words)) + 0.5772
    return {word: math.log(rank * whole) for rank, word in enumerate(words, 1)}


def _terms() -> dict[str, set[str]]:
    """Slurs of one word by language, with their plurals."""
    found: dict[str, set[str]] = defaultdict(set)
    with (files("moderation.detectors") / "data" / "slurs.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            term = clean(row["term"]).text.lower()
            found[row["language"]].update([term, f"{term}s"] if " " not in term else [])
    return found


def _read(name: str) -> dict[str, list[str]]:
    """Cleaned words of a file of data, by the language that stands before them in brackets."""
    text = (files("moderation.detectors") / "data" / name).read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    language = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if match := _LANGUAGE.match(line):
            language = match[1]
        found.setdefault(language, []).extend(clean(_LANGUAGE.sub("", line)).text.lower().split())
    return found
