"""Undoes what people do to letters so that a filter does not see them.

``clean`` keeps a text readable (case, digits and punctuation stay) and only replaces look-alikes; ``fold``
goes further and keeps nothing but a stream of lower-case letters, with the way back to the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

DIGITS = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g"}
LEADING = {"@": "a", "$": "s", "€": "e"}
"""Symbols that stand for a letter when another letter touches them."""
INNER = {"!": "i", "|": "i", "+": "t"}
"""Symbols that stand for a letter only inside a word; elsewhere they are punctuation."""
SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True))
CYRILLIC_DIGITS = {"3": "з", "4": "ч", "6": "б", "0": "о"}
"""Digits that stand for other letters beside Cyrillic ones."""
STROKES = {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "ı": "i", "ß": "ss", "æ": "ae", "œ": "oe"}
MARKS = {"。": ".", "․": ".", "‧": ".", "∙": ".", "⁎": "*", "’": "'", "‘": "'", "ǃ": "!"}
ENCLOSED = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
"""First code points of the squared, circled, dark squared and regional-indicator alphabets."""
OCR_PAIRS = {"rn": "m", "vv": "w"}

_SHAPES = {**DIGITS, **LEADING, **INNER}
_AS_LETTERS = str.maketrans({**DIGITS, **LEADING, **INNER})
_NO_LETTER = re.compile(r"[\W\d_]+")
_REPEATED = re.compile(r"(.)\1+")
_CYRILLIC_WORD = re.compile(r"[а-яёіїєґ]*[А-ЯЁІЇЄҐ][А-ЯЁІЇЄҐа-яёіїєґ]*")
_WITHOUT_LATIN = re.compile(r"(?<!\w)(?:(?![A-Za-z])\w)+(?!\w)")
_BESIDE_CYRILLIC = re.compile(r"[0346](?=[а-яё])|(?<=[а-яё])[0346]", re.IGNORECASE)


@dataclass(frozen=True)
class Clean:
    """A text without look-alikes and invisible characters."""

    source: str
    text: str
    at: tuple[int, ...]
    """Position in ``source`` of each character of ``text``."""

    def span(self, start: int, end: int) -> str:
        """What the source says where ``text[start:end]`` came from, whichever way it was read."""
        places = self.at[start:end]
        return self.source[min(places) : max(places) + 1]


class Letter(NamedTuple):
    """One letter of the folded stream."""

    letter: str
    """Lower case; ``l`` is ``i``, since l, I, 1 and | look alike."""
    at: int
    """Position in ``Clean.text``."""
    word: int
    """Index of the word it stands in."""
    plain: bool
    """Whether it was written as this very letter."""
    ell: bool
    """Whether it was written as an ``l``."""


@dataclass(frozen=True)
class Folded:
    """The letters of a text, with repeats collapsed into runs."""

    letters: tuple[Letter, ...]
    runs: tuple[tuple[int, int], ...]
    """Runs of equal letters, as ranges of ``letters``; they may cross words."""
    skeleton: str
    """One character per run."""
    words: tuple[tuple[int, int], ...]
    """Words, as ranges of ``letters``."""
    gaps: tuple[str, ...]
    """``gaps[w]`` is what stands between word w and word w + 1."""


@cache
def plain_characters(char: str) -> str:
    """The Latin letters that a character stands for or looks like; empty for invisible ones, else itself."""
    if char.isascii():
        return char
    for first in ENCLOSED:
        if 0 <= ord(char) - first < 26:
            return chr(ord("A") + ord(char) - first)
    decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", char))
    kept = (c for c in decomposed if unicodedata.category(c) not in {"Mn", "Me", "Cf"})
    return "".join(_latin(c) for c in kept)


def _latin(char: str) -> str:
    if char.isascii():
        return char
    known = SMALL_CAPITALS.get(char) or STROKES.get(char) or MARKS.get(char)
    return known or _homoglyph(char) or char


def _homoglyph(char: str) -> str | None:
    from confusable_homoglyphs import confusables

    if not char.isalpha():
        return None
    for found in confusables.is_confusable(char, greedy=True) or []:
        for glyph in found["homoglyphs"]:
            shape = str(glyph["c"])
            if len(shape) == 1 and shape.isascii() and shape.isalpha():
                return shape.lower() if char.islower() else shape
    return None


def clean(source: str) -> Clean:
    """Replace look-alikes (Unicode NFKC, homoglyphs, enclosed letters) and drop what is invisible."""
    if source.isascii():
        return Clean(source, source, tuple(range(len(source))))
    letters = _cyrillic_digits(source)
    small = _seen_small(letters)
    pairs = [(char, at) for at, one in enumerate(letters) for char in _plain(one, small=at in small)]
    return Clean(source, "".join(char for char, _ in pairs), tuple(at for _, at in pairs))


def _seen_small(text: str) -> frozenset[int]:
    """Capitals of Cyrillic words, which count as their small letters, so that a word has one form.

    Words whose letters all look Latin are in disguise and are left out.
    """
    words = [
        word
        for word in _CYRILLIC_WORD.finditer(text)
        if not "".join(map(plain_characters, word[0])).isascii()
    ]
    return frozenset(at for word in words for at in range(*word.span()) if text[at].isupper())


def _plain(char: str, *, small: bool) -> str:
    return plain_characters(char.lower()).upper() if small else plain_characters(char)


def _cyrillic_digits(source: str) -> str:
    """Digits beside Cyrillic letters as the letters that they stand for, in words without Latin ones."""
    return _WITHOUT_LATIN.sub(
        lambda word: _BESIDE_CYRILLIC.sub(lambda digit: CYRILLIC_DIGITS[digit[0]], word[0]), source
    )


def fold(text: str, *, ocr: bool = False) -> Folded:
    """The stream of letters of a cleaned text; with ``ocr``, also rn as m and vv as w."""
    letters: list[Letter] = []
    words: list[tuple[int, int]] = []
    spans = _words(text)
    for word, (start, stop) in enumerate(spans):
        first = len(letters)
        letters.extend(_letters(text, start, stop, word, ocr=ocr))
        words.append((first, len(letters)))
    runs = _runs(letters)
    return Folded(
        letters=tuple(letters),
        runs=runs,
        skeleton="".join(letters[start].letter for start, _ in runs),
        words=tuple(words),
        gaps=tuple(text[a:b] for (_, a), (b, _) in pairwise(spans)),
    )


def may_be_misread(text: str) -> bool:
    """Whether there are pairs that OCR writes for one letter."""
    lowered = text.lower()
    return any(pair in lowered for pair in OCR_PAIRS)


def rough_skeletons(text: str, *, ocr: bool = False) -> tuple[str, str]:
    """Nearly the skeleton of ``fold``, much faster: once with all symbols as letters, once with none.

    What is in neither is in no folded text, but for a term in which some symbols are letters and some not.
    """
    lowered = text.lower()
    for pair, letter in OCR_PAIRS.items() if ocr else ():
        lowered = lowered.replace(pair, letter)
    return _collapsed(lowered.translate(_AS_LETTERS)), _collapsed(lowered)


def _collapsed(lowered: str) -> str:
    letters = _NO_LETTER.sub("", lowered).replace("l", "i")
    return _REPEATED.sub(r"\1", letters)


def skeleton_of(term: str) -> tuple[str, tuple[str, ...]]:
    """A term's skeleton and, run by run, the letters that it stands for (``kill``: ``ki``, ``k`` ``ill``)."""
    written = [c for c in clean(term).text.lower() if c.isalpha()]
    cuts = [0, *(i for i, (a, b) in enumerate(pairwise(written), 1) if _shape(a) != _shape(b)), len(written)]
    runs = tuple("".join(written[a:b]) for a, b in pairwise(cuts))
    return "".join(_shape(run[0]) for run in runs), runs


def unleet(word: str, vocabulary: Collection[str]) -> str:
    """A word of digits and symbols as letters (``k1ll``); 1, ! and | as whichever gives a known word."""
    if word.isalpha() or not any(c.isalpha() for c in word):
        return word
    table = {**DIGITS, **LEADING, **INNER}
    read = "".join(table.get(c, c) for c in word)
    ell = "".join("l" if c in "1!|" else table.get(c, c) for c in word)
    return ell if ell in vocabulary and read not in vocabulary else read


def _words(text: str) -> list[tuple[int, int]]:
    """Spans of words: letters, digits beside letters or alone, and symbols that stand for letters."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for at, char in enumerate(f"{text} "):
        inside = char.isalnum() or _symbol(text, at)
        if inside and start is None:
            start = at
        elif not inside and start is not None:
            spans.append((start, at))
            start = None
    return [(a, b) for a, b in spans if text[a:b] in DIGITS or any(c.isalpha() for c in text[a:b])]


def _symbol(text: str, at: int) -> bool:
    if at >= len(text):
        return False
    before, after = at > 0 and text[at - 1].isalnum(), at + 1 < len(text) and text[at + 1].isalnum()
    return (text[at] in LEADING and (before or after)) or (text[at] in INNER and before and after)


def _letters(text: str, start: int, stop: int, word: int, *, ocr: bool) -> list[Letter]:
    letters = []
    at = start
    while at < stop:
        char = text[at].lower()
        if ocr and char in "rv" and at + 1 < stop and (pair := OCR_PAIRS.get(text[at : at + 2].lower())):
            letters.append(Letter(pair, at, word, plain=False, ell=False))
            at += 2
            continue
        letter = char if char.isalpha() else _SHAPES.get(char)
        if letter:
            letters.append(Letter(_shape(letter), at, word, letter is char, char == "l"))
        at += 1
    return letters


def _runs(letters: list[Letter]) -> tuple[tuple[int, int], ...]:
    cuts = [i for i, (a, b) in enumerate(pairwise(letters), 1) if a.letter != b.letter]
    return tuple(pairwise([0, *cuts, len(letters)])) if letters else ()


def _shape(letter: str) -> str:
    return "i" if letter == "l" else letter
