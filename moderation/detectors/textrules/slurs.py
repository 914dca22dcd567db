"""Slurs against people, however they are spelled.

All terms are searched at once (Aho-Corasick) in the folded letters of the text; each hit is then checked
against what was really written there. A hit counts as a word of its own, spelled out, hyphenated, split by
OCR, or run together with other words; everything else (Scunthorpe, spice, raccoon) is no hit.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import accumulate, pairwise

from ahocorasick_rs import AhoCorasick

from moderation.detectors.textrules import phrases
from moderation.detectors.textrules.fold import (
    Clean,
    Folded,
    clean,
    fold,
    may_be_misread,
    rough_skeletons,
    skeleton_of,
)
from moderation.detectors.textrules.hostile import HOSTILE
from moderation.detectors.textrules.match import Match
from moderation.detectors.textrules.parting import ENGLISH, LONGEST, languages
from moderation.detectors.textrules.plain import MOSTLY, Plain

PLURALS = frozenset({"", "s", "z"})
ENDINGS = {
    language: frozenset(clean(endings).text.split()) | PLURALS
    for language, endings in {
        "de": "e en er n em es",
        "es": "a o as os es",
        "fr": "e es",
        "pt": "a o as os es",
        "it": "i e a o",
        "pl": "y i a u e om ami ach ow em owi ie",
        "ru": "а ы и у е ов ом ам ами ах ой ей я ю й ого ые ый ая",
        "tr": "ler lar i e in ler leri lari lere de den",
        "nl": "e en",
        "sv": "ar en arna e",
        "da": "e en ne",
    }.items()
}
"""What a language may add to a term of at least ``SHORT`` letters."""
OBFUSCATED = 0.95
SPELLED = 0.95
HYPHENATED = 0.9
RUN_TOGETHER = 0.85
SPLIT = 0.8
MASKED = 0.8
"""Factors on a term's weight for how it is written; a plain word has 1."""
AMBIGUOUS = 0.7
HOSTILITY = 0.3
"""What hostile words in the same text add to a term whose weight is under ``AMBIGUOUS``."""
SHORT = 5
"""Terms of fewer letters are not believed when they only appear by joining pieces."""

COMPANY = 8
"""Fewer letters beside a slur may not part into one alone next to it: "spica" is no "spic"."""
_MASKED_WORD = re.compile(r"(?<![\w*#])[^\W\d_]+[*#]+[^\W\d_*#]+(?:[*#]+[^\W\d_*#]+)*")


@dataclass(frozen=True)
class Term:
    """One entry of ``data/slurs.tsv``."""

    text: str
    weight: float
    """How surely the word alone is meant as a slur, 0..1."""
    embed: bool
    """Whether it is a slur inside longer words as well, and when OCR splits it."""
    runs: tuple[str, ...]
    """Its letters, equal neighbours together."""
    breaks: frozenset[int]
    """Runs that begin a new word in its own spelling."""
    endings: frozenset[str] = PLURALS
    """What may follow it in the same word."""
    language: str = ENGLISH
    """ISO 639-1."""

    @property
    def length(self) -> int:
        return sum(map(len, self.runs))


@dataclass(frozen=True)
class Occurrence:
    """Where a term's letters stand in a folded text: ``letters[first : last + 1]``."""

    first: int
    last: int
    exact: bool
    """Whether each letter was written plainly and as often as in the term."""


class Slurs:
    """The word lists, compiled."""

    def __init__(self) -> None:
        by_skeleton: dict[str, list[Term]] = defaultdict(list)
        self._by_length: dict[int, list[Term]] = defaultdict(list)
        for skeleton, term in _read_terms():
            by_skeleton[skeleton].append(term)
            if term.length >= SHORT and not term.breaks:
                self._by_length[term.length].append(term)
        self._terms = list(by_skeleton.values())
        self._automaton = AhoCorasick(list(by_skeleton))
        self._allowed = _read_allowed()

    def find(self, clean: Clean, plainly: str = "") -> list[Match]:
        """Every slur in the text; the same span may be found more than once.

        ``plainly`` is the text in plain words, if known: hostile words may be written in disguise as well.
        """
        text = clean.text
        found = list(self._masked(text)) if "*" in text or "#" in text else []
        for ocr in (False, True) if may_be_misread(text) else (False,):
            if any(map(self._automaton.find_matches_as_indexes, rough_skeletons(text, ocr=ocr))):
                found += self._search(text, fold(text, ocr=ocr))
        if not found:
            return []
        allowed = [match.span() for match in self._allowed.finditer(text)]
        kept = [m for m in found if not any(a <= m.start and m.end <= b for a, b in allowed)]
        return _with_hostility(kept, f"{text}\n{plainly}")

    def _search(self, text: str, folded: Folded) -> Iterator[Match]:
        for index, start, _ in self._automaton.find_matches_as_indexes(folded.skeleton, overlapping=True):
            candidates = [(term, _occurrence(term, folded, start)) for term in self._terms[index]]
            hits = [(term, found) for term, found in candidates if found]
            as_listed = [(term, found) for term, found in hits if _is_spaced_like(term, found, folded)]
            for term, found in as_listed or hits:  # "wet back" is listed, so it is no split "wetback"
                factor = _factor(term, found, folded, text)
                if factor:
                    first, last = folded.letters[found.first].at, folded.letters[found.last].at
                    yield Match("slur", term.weight * factor, first, last + 1)

    def _masked(self, text: str) -> Iterator[Match]:
        """Words whose letters hide behind asterisks; at least half of them and the first must show."""
        for match in _MASKED_WORD.finditer(text):
            word = match[0].lower()
            for length in (len(word), len(word) - 1):
                for term in self._by_length.get(length, ()):
                    if word[length:] in PLURALS and _fits(word[:length], term):
                        yield Match("slur", term.weight * MASKED, *match.span())


def find_hate(plain: Plain) -> list[Match]:
    """Groups of people beside words of contempt: no slur alone, but one together."""
    return [
        Match("slur", phrase.score, *plain.span(*match.span()))
        for phrase in _HATE
        for match in phrase.regex.finditer(plain.text)
    ]


def _fits(word: str, term: Term) -> bool:
    shown = [(a, b) for a, b in zip(word, "".join(term.runs), strict=True) if a not in "*#"]
    return 2 * len(shown) >= len(word) and all(a == b for a, b in shown)


def _occurrence(term: Term, folded: Folded, start: int) -> Occurrence | None:
    runs = folded.runs[start : start + len(term.runs)]
    if any(b - a < len(written) for (a, b), written in zip(runs, term.runs, strict=True)):
        return None
    letters = folded.letters
    first, last = _first(folded, runs[0], len(term.runs[0])), _last(folded, runs[-1], len(term.runs[-1]))
    exact = last - first + 1 == term.length and all(letter.plain for letter in letters[first : last + 1])
    for (a, b), written in zip(runs, term.runs, strict=True):
        ells = sum(letter.ell for letter in letters[max(a, first) : min(b, last + 1)])
        if ells and "l" not in written:
            if term.length <= SHORT:
                return None  # SPLC is no slur
            exact = False
        exact = exact and not (written.count("l") and not ells)
    return Occurrence(first, last, exact)


def _first(folded: Folded, run: tuple[int, int], needed: int) -> int:
    """Where a term begins in its first run: not in an earlier word, if the later one has enough letters."""
    word_start = folded.words[folded.letters[run[1] - 1].word][0]
    first = max(run[0], word_start)
    return first if run[1] - first >= needed else run[0]


def _last(folded: Folded, run: tuple[int, int], needed: int) -> int:
    word_end = folded.words[folded.letters[run[0]].word][1]
    end = min(run[1], word_end)
    return (end if end - run[0] >= needed else run[1]) - 1


def _factor(term: Term, occurrence: Occurrence, folded: Folded, text: str) -> float:
    """How surely the letters were meant as this term, 0 for not at all."""
    written = OBFUSCATED if not occurrence.exact else 1.0
    before, after = _rest(occurrence, folded, text)
    alone = not before and after in term.endings
    if not alone and not term.embed:
        occurrence = _unstretched(term, occurrence, folded)
        if occurrence.last - occurrence.first >= term.length:
            return 0.0  # "Schwarzenegger" stretches no slur
        before, after = _rest(occurrence, folded, text)
    joins = _joins(occurrence, folded)
    if not alone:
        return written * RUN_TOGETHER * _company(term, before, after, joins - term.breaks)
    if joins == term.breaks:
        return written if _mostly_letters(occurrence, folded) else 0.0
    return written * (_pieces(term, occurrence, folded) if joins else HYPHENATED)


def _unstretched(term: Term, occurrence: Occurrence, folded: Folded) -> Occurrence:
    """Without letters too many at either end, which belong to the words beside it: "zigeunerraus"."""
    letters = [letter.letter for letter in folded.letters[occurrence.first : occurrence.last + 1]]
    begun = next((n for n, letter in enumerate(letters) if letter != letters[0]), len(letters))
    ended = next((n for n, letter in enumerate(reversed(letters)) if letter != letters[-1]), len(letters))
    first = occurrence.first + max(0, begun - len(term.runs[0]))
    last = occurrence.last - max(0, ended - len(term.runs[-1]))
    return replace(occurrence, first=first, last=last) if first <= last else occurrence


def _pieces(term: Term, occurrence: Occurrence, folded: Folded) -> float:
    """How surely a term in pieces was meant; more pieces than two are hardly there by chance."""
    letters = folded.letters[occurrence.first : occurrence.last + 1]
    words = [letter.word for letter in letters]
    if max(map(words.count, words)) <= (1 if term.length < SHORT else 2):
        return SPELLED if term.length > 3 or _apart(words, folded) else 0.0
    if term.length < SHORT - 1:
        return 0.0
    if not _has_spaces(occurrence, folded):
        return HYPHENATED
    return SPLIT if term.embed else 0.0


def _is_spaced_like(term: Term, occurrence: Occurrence, folded: Folded) -> bool:
    joins = _joins(occurrence, folded)
    return joins == term.breaks and (not joins or _has_spaces(occurrence, folded))


def _has_spaces(occurrence: Occurrence, folded: Folded) -> bool:
    first, last = folded.letters[occurrence.first].word, folded.letters[occurrence.last].word
    return any(char.isspace() for gap in folded.gaps[first:last] for char in gap)


def _rest(occurrence: Occurrence, folded: Folded, text: str) -> tuple[str, str]:
    """What else stands in the first and the last word, in lower case."""
    first, last = folded.letters[occurrence.first], folded.letters[occurrence.last]
    start, end = folded.words[first.word][0], folded.words[last.word][1]
    before = "".join(text[letter.at] for letter in folded.letters[start : occurrence.first])
    after = "".join(
        "s" if text[x.at] in "5$" else text[x.at] for x in folded.letters[occurrence.last + 1 : end]
    )
    return before.lower(), after.lower()


def _joins(occurrence: Occurrence, folded: Folded) -> frozenset[int]:
    """Runs of the term, counted from its first, that begin a new word in the text."""
    inside = folded.letters[occurrence.first : occurrence.last + 1]
    run = 0
    joins = set()
    for a, b in pairwise(inside):
        run += a.letter != b.letter
        if a.word != b.word:
            joins.add(run)
    return frozenset(joins)


def _mostly_letters(occurrence: Occurrence, folded: Folded) -> bool:
    letters = folded.letters[occurrence.first : occurrence.last + 1]
    return 2 * sum(letter.plain for letter in letters) >= len(letters)


def _company(term: Term, before: str, after: str, joins: frozenset[int]) -> float:
    """1 when the term is a word among those that are run together, or may stand in any word.

    ``joins`` are its runs that begin a new word though the term does not.
    """
    if joins and not term.embed:
        return 0.0
    if term.embed and not joins:
        return 1.0
    return float(any(_is_word_of(code, term, before, after, joins) for code in {ENGLISH, term.language}))


def _is_word_of(code: str, term: Term, before: str, after: str, joins: frozenset[int]) -> bool:
    """Whether the likeliest reading of the whole word in a language parts the term from what is beside it.

    A term with an innocent meaning (coonskin) needs hostile words among those that it is run together with.
    """
    language, whole = languages().get(code), f"{before}{''.join(term.runs)}{after}"
    if language is None or len(whole) > LONGEST:
        return False
    parted = language.part(whole)
    start, end = len(before), len(whole) - len(after)
    cuts = {0, *accumulate(map(len, parted.words))}
    ends = cuts & {end + len(ending) for ending in term.endings if after.startswith(ending)}
    if start not in cuts or not ends or any(start < cut < end for cut in cuts):
        return False
    if len(before + after) < COMPANY and {start - 1, max(ends) + 1} & cuts:
        return False
    if MOSTLY * parted.unknown > len(before + after):
        return False
    gaps = [0, *(start + sum(map(len, term.runs[:run])) for run in sorted(joins)), len(whole)]
    if joins and not any(language.part(whole[a:b]).unknown for a, b in pairwise(gaps)):
        return False  # "wet. Back up" is read as it is written
    return term.weight >= AMBIGUOUS or HOSTILE.search(" ".join(parted.words)) is not None


def _apart(words: list[int], folded: Folded) -> bool:
    """Whether no further single letter stands beside: F A G is spelled, A B C D E F A G is an alphabet."""
    plural = _single(folded, words[-1] + 1) == "s"
    return not (_single(folded, words[0] - 1) or _single(folded, words[-1] + 1 + plural))


def _single(folded: Folded, word: int) -> str:
    """The word's letter if it has only one, else nothing."""
    if not 0 <= word < len(folded.words):
        return ""
    start, end = folded.words[word]
    return folded.letters[start].letter if end - start == 1 else ""


def _with_hostility(matches: list[Match], text: str) -> list[Match]:
    if not HOSTILE.search(text):
        return matches
    return [
        Match(m.label, min(0.85, m.score + HOSTILITY), m.start, m.end) if m.score < AMBIGUOUS else m
        for m in matches
    ]


def _read_terms() -> Iterator[tuple[str, Term]]:
    with (files("moderation.detectors") / "data" / "slurs.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            skeleton, runs = skeleton_of(row["term"])
            breaks = _breaks(row["term"], runs)
            long = sum(map(len, runs)) >= SHORT
            endings = ENDINGS.get(row["language"], PLURALS) if long else PLURALS
            weight, embed = float(row["weight"]), row["embed"] == "yes"
            yield skeleton, Term(row["term"], weight, embed, runs, breaks, endings, row["language"])


def _breaks(term: str, runs: tuple[str, ...]) -> frozenset[int]:
    """Which runs begin a new word of a term of several words."""
    run_of = [index for index, run in enumerate(runs) for _ in run]
    lengths = [sum(map(len, skeleton_of(word)[1])) for word in term.split()]
    return frozenset(run_of[sum(lengths[:n])] for n in range(1, len(lengths)))


def _read_allowed() -> re.Pattern[str]:
    """Words and phrases that hold a term's letters and mean something else."""
    text = (files("moderation.detectors") / "data" / "allowed.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, lines))})\b", re.IGNORECASE)


_HATE = phrases.read("slur")
