"""Attempts to go on elsewhere: invitations, handles and requests to call, write or meet off the platform."""

from __future__ import annotations

import re
from collections.abc import Iterator

from moderation.detectors.textrules import phrases
from moderation.detectors.textrules.fold import Clean, clean, unleet
from moderation.detectors.textrules.match import Match
from moderation.detectors.textrules.personal import PHONE_LIKE, SPOKEN_NUMBER
from moderation.detectors.textrules.phrases import APPS
from moderation.detectors.textrules.plain import Plain

WARNED = 0.4
"""Factor where the text says not to."""
NAMES = frozenset(
    "discord telegram whatsapp snap snapchat insta instagram kik skype tiktok facebook messenger wechat viber"
    " onlyfans twitter".split()
)
"""Names that nobody disguises without a reason."""
INVITE = re.compile(
    r"\b(?:discord(?:app)?\s?\.\s?(?:gg|com/invite)|t\.me|telegram\.me|wa\.me|chat\.whatsapp\.com|line\.me|fb\.me"
    r"|m\.me|snapchat\.com/add|instagram\.com|kik\.me|guilded\.gg)\s?/\s?[\w+-]{2,}",
    re.IGNORECASE,
)
_SIGNED = r"(?=\S*[@#_.\d]\w|\w*\d)@?[a-z0-9_][\w.#]*\w"
"""A word that looks like a handle: with a digit, @, #, _ or a dot inside."""
DISCORD_TAG = re.compile(r"(?<![\w#])[\w.]{2,32}#\d{4}(?!\d)")
APP_AND_HANDLE = re.compile(rf"\b(?:{APPS})\s?(?:[:=]|is)\s*{_SIGNED}", re.IGNORECASE)
"""A handle after an app's name; without a sign that it is one, "Steam: hot" would be."""
HANDLE_ON_APP = re.compile(
    rf"\b(?:add|find|follow|message|dm|text|hmu) {_SIGNED} on (?:{APPS})\b", re.IGNORECASE
)
MY_HANDLE = re.compile(
    rf"\b(?:my|mine)(?: (?:{APPS}))?(?: name| id| handle| tag| user(?:name)?)?"
    rf"(?: is\b|\s?[:=]|'s)\s*{_SIGNED}",
    re.IGNORECASE,
)
AT_HANDLE = re.compile(r"(?<![\w@.])@[a-z0-9_][\w.]{2,31}\b", re.IGNORECASE)
CALL_ME = re.compile(
    r"\b(?:(?:call|text|ring|dial|message|sms|phone|whats ?app|reach|write)"
    r"(?: (?:to )?(?:me|us|her|him)(?: \w+){0,3}?)?"
    r"|(?:ruf|schreib|llama|escribe|appelle|ecris|liga|chama|chiama|scrivi|zadzwon|dzwon|napisz|bel|ara)\w*"
    rf"(?: \w+){{0,3}}?|{clean('(?:позвони|звони|пиши|напиши)').text}\w*(?: \w+){{0,3}}?)[\s:,.(+-]*$",
    re.IGNORECASE,
)
_WARNING = re.compile(
    r"\b(?:never|do not|not|nobody should|beware|nie|niemals|nunca|jamais|mai|nigdy"
    + clean(r"|никогда)(?: \w+){0,3} ?$").text
)
_APP = re.compile(rf"(?<!\w)(?:{APPS})(?!\w)")
_WORD = re.compile(r"[\w@$!|]{3,}")
_POSSESSIVE = re.compile(r"['’]s$")
_SEPARATORS = re.compile(r"[\s._/~*,·•-]")


def find_contacts(text: Clean, plain: Plain) -> list[Match]:
    """Ways to meet elsewhere that the text offers or asks for; a span may be found more than once."""
    read = _with_names(text.text)
    found = [
        Match("contact", score, *match.span())
        for regex, score in (
            (INVITE, 0.95), (DISCORD_TAG, 0.8), (APP_AND_HANDLE, 0.85), (HANDLE_ON_APP, 0.85),
            (MY_HANDLE, 0.7), (AT_HANDLE, 0.4),
        )
        for match in regex.finditer(read)
    ]  # fmt: skip
    return [*found, *_phrases(plain), *_numbers(text.text), *_disguised(text, plain)]


def _phrases(plain: Plain) -> Iterator[Match]:
    for phrase in _PHRASES:
        for match in phrase.regex.finditer(plain.text):
            warned = WARNED if _WARNING.search(plain.text[: match.start()]) else 1.0
            yield Match("contact", phrase.score * warned, *plain.span(*match.span()))


def _numbers(text: str) -> Iterator[Match]:
    """A telephone number that somebody is asked to call."""
    for match in (*PHONE_LIKE.finditer(text), *SPOKEN_NUMBER.finditer(text)):
        if CALL_ME.search(text[: match.start()]):
            yield Match("contact", 0.8, *match.span())


def _disguised(text: Clean, plain: Plain) -> Iterator[Match]:
    """Names of apps that are written so that a filter does not see them."""
    for match in _APP.finditer(plain.text):
        start, end = plain.span(*match.span())
        written = _POSSESSIVE.sub("", text.span(start, end).lower())
        letters = _SEPARATORS.sub("", written)
        if match[0] in NAMES and written != match[0] and len(letters) == len(match[0]):
            yield Match("contact", 0.7, start, end)


def _with_names(text: str) -> str:
    """The text, as long as before, with ``d1sc0rd`` read as ``discord``."""
    return _WORD.sub(
        lambda match: name if (name := unleet(match[0].lower(), NAMES)) in NAMES else match[0], text
    )


_PHRASES = phrases.read("contact")
