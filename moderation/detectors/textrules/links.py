"""Links out of the game: addresses on the web, however they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from moderation.detectors.textrules.fold import Clean
from moderation.detectors.textrules.match import Match

SUFFIXES = (
    "com net org info biz io gg app dev xyz site online store shop club live tv fun games game pro top vip cc"
    " ws ly co uk de fr es it nl eu ch at be se no dk fi pl cz pt ru ua tr br mx ar ca au nz jp cn kr in edu"
    " gov mil me to sh gl link page blog wiki world tech space website"
).split()
"""Public suffixes in common use; two-part ones (co.uk) end in one of them."""
WORDS = frozenset(
    "it at be no in to me is so am as us my do live fun games game top world pro club link".split()
)
"""Suffixes that are English words: after a missing space ("look at it.is") they are no domains."""
_SUFFIX = "|".join(sorted(SUFFIXES, key=len, reverse=True))
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOT = r"(?:\.|\[\.\]|\(\.\)|\{\.\})"
_SPELLED_DOT = r"(?:\s*[\[({]\s*d[o0]t\s*[\])}]\s*|\s+d[o0]t\s+)"
_SPOKEN_SUFFIX = "com|net|org|gg|io|info|co|xyz|tv|de|uk|ru|me|app|shop|online"

URL = re.compile(r"\b(?:h(?:tt|xx)ps?|ftp)\s?(?::|\[:\])\s?/{1,2}\s?/?\s?\S{3,}", re.IGNORECASE)
WWW = re.compile(rf"\bwww\s?{_DOT}\s?{_LABEL}(?:\s?{_DOT}\s?{_LABEL})*(?:/\S*)?", re.IGNORECASE)
SPACED_WWW = re.compile(r"\bw w w ?(?:\. ?|dot )[a-z0-9-]+(?: ?\. ?| dot )[a-z]{2,}\b", re.IGNORECASE)
DOMAIN = re.compile(
    rf"(?<![\w@.-])(?P<name>(?:{_LABEL}{_DOT})+)(?P<suffix>{_SUFFIX})(?![\w-])(?!\.[a-z0-9])(?P<path>[/:?]\S+)?",
    re.IGNORECASE,
)
SPACED_DOMAIN = re.compile(
    rf"(?<![\w@.])(?P<name>{_LABEL}) (?:\. ?)(?P<suffix>com|net|org|gg|io)(?![\w.])", re.IGNORECASE
)
SPOKEN = re.compile(
    rf"(?<![\w-])[a-z0-9-]{{2,63}}{_SPELLED_DOT}(?:{_SPOKEN_SUFFIX})\b(?:\s+slash\s+\w+)?", re.IGNORECASE
)
SHORTENED = re.compile(
    r"\b(?:bit\.ly|tinyurl\.com|goo\.gl|youtu\.be|discord(?:app)?\s?\.\s?(?:gg|com/invite))\s?/\s?[\w+-]{2,}",
    re.IGNORECASE,
)
LEET_SUFFIX = re.compile(r"(?<![\w@.])[a-z0-9-]{2,63} ?[.,] ?(?:c0m|n3t|0rg)(?![\w.])", re.IGNORECASE)
COMMA = re.compile(r"(?<![\w@.])[a-z0-9-]{3,63},(?:com|net|org|gg|io)(?![\w.])", re.IGNORECASE)
SPELLED = re.compile(
    r"(?<![\w@.])[a-z0-9-]{2,63} d[. -]?[o0][. -]?t (?:com|net|org|gg|io)(?![\w.])", re.IGNORECASE
)
SPACED_LETTERS = re.compile(
    r"(?<!\w)(?:[a-z0-9] ){3,40}(?:\. ?|dot )(?:c o m|n e t|o r g|g g|i o)\b", re.IGNORECASE
)
VISIT = re.compile(
    r"\b(?:visit|go to|check out|see|at|on|from|link|site|website|get .{0,20}at)\s*:?\s*$", re.IGNORECASE
)


def find_links(clean: Clean) -> list[Match]:
    """Links of the text; the same span may be found more than once."""
    text = clean.text
    found = [
        Match("link", score, *match.span())
        for regex, score in (
            (URL, 0.95), (WWW, 0.95), (SPACED_WWW, 0.85), (SPOKEN, 0.85), (SHORTENED, 0.95), (SPELLED, 0.85),
            (SPACED_LETTERS, 0.8), (SPACED_DOMAIN, 0.7), (LEET_SUFFIX, 0.7), (COMMA, 0.6),
        )
        for match in regex.finditer(text)
    ]  # fmt: skip
    return [*found, *_domains(text)]


def _domains(text: str) -> Iterator[Match]:
    for match in DOMAIN.finditer(text):
        name, suffix = match["name"].lower(), match["suffix"].lower()
        if name[:-1].replace(".", "").isdigit():
            continue
        told = bool(match["path"]) or "[" in name or "(" in name or bool(VISIT.search(text[: match.start()]))
        if suffix in WORDS and not told:
            continue
        if match["suffix"][0].isupper() and not match["suffix"].isupper() and not told:
            continue  # "end.Now": a sentence whose space is missing
        yield Match("link", 0.9 if told else 0.75, *match.span())
