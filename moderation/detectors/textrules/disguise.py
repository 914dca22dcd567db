"""Other ways to read a text: from right to left, upside down, down the columns, or what is not drawn at all.

Each reading is a cleaned text whose characters still know where they stand in the source.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from moderation.detectors.textrules.fold import DIGITS, Clean, clean
from moderation.detectors.textrules.parting import cheapest

UPSIDE_DOWN = dict(zip("ɐqɔpǝɟƃɥıɾʞןɯuodbɹsʇnʌʍxʎz", "abcdefghijklmnopqrstuvwxyz", strict=True)) | dict(
    zip("ᴉʃ∀ƆƎℲ˥Ԁ┴∩Λ⅄˙¡¿69", "ilaceflptuvy.!?96", strict=True)
)
TURNED = frozenset("ɐɔǝɟƃɥᴉɾʞןʃɯɹʇʌʍʎ∀ƆƎℲ˥┴∩⅄")
"""Characters that hardly stand in a text that is not upside down."""
TAGS = (0xE0020, 0xE007F)
"""First and last-but-one of the tag characters, invisible copies of ASCII."""
FLAG = "\U0001f3f4"
"""Tags after a black flag name the flag of a region (Unicode Technical Standard 51)."""
NARROW = 5
"""Characters of a line, at most, of writing that is meant to be read down its columns."""
FEW = 3
"""Lines or words, at least, before an odd reading is believed."""
CODED = re.compile(r"(?<![\w+/=])[A-Za-z0-9+/]{16,}={0,2}(?![\w+/=])")
LETTERS = {ord(digit): letter for digit, letter in DIGITS.items()} | {ord("$"): "s", ord("@"): "a"}
_LEET = re.compile(r"(?<!\w)(?=\w*[^\W\d_])(?=\w*\d)\w+(?!\w)")
_WORDS = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


@dataclass(frozen=True)
class Reading:
    """One way to read the text."""

    clean: Clean
    kind: str
    """``plain``, ``mirrored``, ``leet``, ``turned``, ``columns``, ``hidden`` or ``coded``."""


def readings(source: str) -> Iterator[Reading]:
    """The plain reading first, then those for which there is a sign."""
    plain = clean(source)
    yield Reading(plain, "plain")
    yield Reading(Clean(source, plain.text[::-1], plain.at[::-1]), "mirrored")
    if len(_LEET.findall(plain.text)) >= FEW - 1:
        for one in "il":
            yield Reading(Clean(source, plain.text.translate(LETTERS | {ord("1"): one}), plain.at), "leet")
    if TURNED.intersection(source):
        yield Reading(_cleaned(source, list(_turned(source))[::-1]), "turned")
    if (columns := _columns(source)) is not None:
        yield Reading(_cleaned(source, columns), "columns")
    if hidden := _hidden(source):
        yield Reading(_cleaned(source, hidden), "hidden")
    for match in CODED.finditer(source):
        if (decoded := _decoded(match[0])) is not None:
            at = (*[match.start()] * (len(decoded) - 1), match.end() - 1)
            yield Reading(Clean(source, decoded, at), "coded")


def looks_mirrored(backwards: str) -> bool:
    """Whether the words of a text make more sense read backwards, in the language in which they make most."""
    found = _WORDS.findall(backwards.lower())
    there, back = cheapest(found), cheapest([word[::-1] for word in found])
    return there < back


def _cleaned(source: str, pairs: list[tuple[str, int]]) -> Clean:
    """Clean characters that come with their positions."""
    inner = clean("".join(char for char, _ in pairs))
    return Clean(source, inner.text, tuple(pairs[at][1] for at in inner.at))


def _turned(source: str) -> Iterator[tuple[str, int]]:
    for at, char in enumerate(source):
        yield UPSIDE_DOWN.get(char) or UPSIDE_DOWN.get(char.lower()) or char, at


def _columns(source: str) -> list[tuple[str, int]] | None:
    """The text read down its columns, if it is a narrow block of at least three lines."""
    lines = [match.span() for match in re.finditer(r"[^\n]+", source)]
    if len(lines) < FEW or any(end - start > NARROW for start, end in lines):
        return None
    height = range(len(lines))
    cells = [(lines[row][0] + column, row) for column in range(NARROW) for row in height]
    pairs = [(source[at], at) for at, row in cells if at < lines[row][1]]
    return [(char, at) for char, at in pairs if not char.isspace()]


def _hidden(source: str) -> list[tuple[str, int]]:
    first, last = TAGS
    if FLAG in source:
        return []
    return [
        (chr(ord(char) - first + 0x20), at) for at, char in enumerate(source) if first <= ord(char) < last
    ]


def _decoded(token: str) -> str | None:
    """Base64 that holds words of printable ASCII, else None."""
    try:
        text = base64.b64decode(token, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if text.isprintable() and " " in text else None
