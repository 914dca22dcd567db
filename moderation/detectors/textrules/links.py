"""Links and ways to reach somebody off the platform: addresses, invitations, handles."""

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
_PLATFORM = (
    r"discord|telegram|whats ?app|snap ?chat|snap|insta(?:gram)?|kik|skype|tik ?tok|facebook|messenger"
    r"|line id|wechat|viber|roblox|steam|twitch|youtube|twitter|only ?fans|ig|sc"
)
_HANDLE = r"@?[a-z0-9_][\w.]{2,31}(?:#\d{4})?"

URL = re.compile(r"\b(?:h(?:tt|xx)ps?|ftp)\s?(?::|\[:\])\s?//\s?\S{3,}", re.IGNORECASE)
WWW = re.compile(rf"\bwww\s?{_DOT}\s?{_LABEL}(?:\s?{_DOT}\s?{_LABEL})*(?:/\S*)?", re.IGNORECASE)
SPACED_WWW = re.compile(r"\bw w w (?:\. ?|dot )[a-z0-9-]+(?: ?\. ?| dot )[a-z]{2,}\b", re.IGNORECASE)
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
INVITE = re.compile(
    r"\b(?:discord(?:app)?\s?\.\s?(?:gg|com/invite)|t\.me|telegram\.me|wa\.me|chat\.whatsapp\.com|bit\.ly|tinyurl\.com"
    r"|goo\.gl|youtu\.be|fb\.me)\s?/\s?[\w+-]{2,}",
    re.IGNORECASE,
)
DISCORD_TAG = re.compile(r"(?<![\w#])[a-z0-9_.]{2,32}#\d{4}(?!\d)", re.IGNORECASE)
CONTACT = re.compile(
    r"\b(?:(?:add|find|follow|message|dm|text|hit|write|reach|contact) (?:me|us)(?: up)?"
    rf" (?:on|at|in|via|through) (?:my )?(?:{_PLATFORM})"
    rf"|my (?:{_PLATFORM})(?: name| id| handle| user(?:name)?)?(?: is\b|\s?[:=]))"
    rf"(?P<handle>\s*(?:is|as|:|=|-)?\s*{_HANDLE})?",
    re.IGNORECASE,
)
PLATFORM_HANDLE = re.compile(
    rf"\b(?:{_PLATFORM})\s?:\s*(?=\S*[@#_.\d]\w|\w*\d)@?[a-z0-9_][\w.#]*\w", re.IGNORECASE
)
"""A handle after a platform's name; without a sign that it is one, "Steam: hot" would be."""
ADD_HANDLE = re.compile(
    rf"\b(?:add|find|follow|message|dm|text) (?=\S*[@#_.\d])@?[a-z0-9_][\w.]+ on (?:{_PLATFORM})\b",
    re.IGNORECASE,
)
WRITE_ME = re.compile(r"\b(?:whats ?app|telegram|kik|snap|skype|dm) me\b(?: (?:on|at|@)\b)?", re.IGNORECASE)
SPACED_LETTERS = re.compile(
    r"(?<!\w)(?:[a-z0-9] ){3,40}(?:\. ?|dot )(?:c o m|n e t|o r g|g g|i o)\b", re.IGNORECASE
)
AT_HANDLE = re.compile(r"(?<![\w@.])@[a-z0-9_][\w.]{2,31}\b", re.IGNORECASE)
JOIN = re.compile(
    r"\bjoin (?:my|our|the|us on|me on) (?:\w+ )?(?:discord|telegram|whats ?app)(?: server| group)?\b",
    re.IGNORECASE,
)
VISIT = re.compile(
    r"\b(?:visit|go to|check out|see|at|on|from|link|site|website|get .{0,20}at)\s*:?\s*$", re.IGNORECASE
)


def find_links(clean: Clean) -> list[Match]:
    """Links and handles of the text; the same span may be found more than once."""
    text = clean.text
    found = [
        Match("link", score, *match.span())
        for regex, score in (
            (URL, 0.95), (WWW, 0.95), (SPACED_WWW, 0.85), (SPOKEN, 0.85), (INVITE, 0.95), (JOIN, 0.6),
            (PLATFORM_HANDLE, 0.8), (ADD_HANDLE, 0.85),
            (WRITE_ME, 0.55), (SPACED_LETTERS, 0.8), (SPACED_DOMAIN, 0.7),
        )
        for match in regex.finditer(text)
    ]  # fmt: skip
    return [*found, *_domains(text), *_contacts(text)]


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


def _contacts(text: str) -> Iterator[Match]:
    for match in CONTACT.finditer(text):
        yield Match("link", 0.85 if match["handle"] else 0.6, *match.span())
    for match in DISCORD_TAG.finditer(text):
        yield Match("link", 0.7, *match.span())
    for match in AT_HANDLE.finditer(text):
        yield Match("link", 0.4, *match.span())
