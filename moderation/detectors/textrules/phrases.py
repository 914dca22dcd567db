"""Phrases in many languages, from ``data/phrases.tsv``: what they look like and which words they use.

A phrase is a few words and a small notation, so that who knows a language can add to it without knowing
regular expressions: ``(a|b)`` one of, ``[a|b]`` one of or nothing, ``...`` up to four other words, ``stem*``
any ending, ``{app}`` a place to chat, ``{chat}`` one whose name is no common word. Accents and case may be
written; both are dropped, as in the text.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from moderation.detectors.textrules.fold import clean

APPS = clean(
    "discord(?:zie|a|u|em)?|telegram(?:ie|u|a)?|whatsapp(?:ie|u|a)?|whats app|wa|snap|snapie|snapchat"
    "|snap chat|snapchacie|insta|instagram(?:ie|a)?|ig|kik|skype|tiktok|tik tok|facebook|fb|messenger(?:ze)?"
    "|wechat|viber|roblox|steam|twitch|youtube|yt|twitter|onlyfans|only fans|vk|zap|zapzap|tg|line id"
    "|signal app|signal"
    "|телег[аеу]|телеграм(?:е|м|ме|у)?|дискорд(?:е|у)?|инст[аеу]|инстаграм(?:е|м|ме)?|вк|вацап(?:е)?|ватсап(?:е)?"
    "|вотсап(?:е)?|снап(?:е|чат|чате)?|скайп(?:е)?|вайбер(?:е)?|тикток(?:е)?"
).text
"""Names of places to chat, with the endings that languages give them."""
_TO_CHAT = "|".join(name for name in APPS.split("|") if name not in {"snap", "steam", "signal", "zap", "wa"})
_MACROS = {"{app}": f"({APPS})", "{chat}": f"({_TO_CHAT})"}
_WORD = re.compile(r"[^\W\d_]{2,}")
_STEM = re.compile(r"([^\W\d_]{2,})\*")


@dataclass(frozen=True)
class Phrase:
    """A way to say something; ``regex`` matches the text of ``Plain``."""

    regex: re.Pattern[str]
    score: float


def read(label: str) -> tuple[Phrase, ...]:
    """All phrases of one label."""
    return tuple(
        Phrase(compiled(row["phrase"]), float(row["score"])) for row in _rows() if row["label"] == label
    )


def compiled(phrase: str) -> re.Pattern[str]:
    """A phrase as a regular expression over plain words, beginning and ending at words."""
    regex = _without_macros(phrase)
    regex = regex.replace("... ", r"<[^\s.?!]+ >{0,4}?")
    regex = re.sub(r" \[([^\]]+)\]$", r"< <\1>>?", regex)
    regex = re.sub(r"\[([^\]]+)\] ", r"<<\1> >?", regex)
    regex = re.sub(r"\((?!\?)", "(?:", regex).replace("<", "(?:").replace(">", ")")
    regex = re.sub(r"(?<=\w)\*", r"\\w*", regex)
    return re.compile(rf"(?<![\w'])(?:{regex})(?![\w'])")


@cache
def words() -> Mapping[str, frozenset[str]]:
    """The words that phrases are made of, by language."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in _rows():
        for form in _forms(_without_macros(row["phrase"])):
            found[row["language"]].update(_WORD.findall(form))
    return {language: frozenset(known) for language, known in found.items()}


def stems_of(phrase: str) -> list[str]:
    """What words of a phrase begin with that may end in any way."""
    return _STEM.findall(_without_macros(phrase))


@cache
def stems() -> Mapping[str, frozenset[str]]:
    """What words of phrases begin with that may end in any way, by language."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in _rows():
        found[row["language"]].update(stems_of(row["phrase"]))
    return {language: frozenset(known) for language, known in found.items()}


@cache
def common_words() -> frozenset[str]:
    """The commonest words of English."""
    text = (files("moderation.detectors") / "data" / "common_words.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def _forms(phrase: str) -> tuple[str, str, str]:
    """With and without what is optional, and stems as plurals: ``rule*`` gives ``rule`` and ``rules``."""
    return re.sub(r"\w\?", "", phrase), phrase.replace("?", ""), phrase.replace("*", "s")


def _without_macros(phrase: str) -> str:
    for macro, names in _MACROS.items():
        phrase = phrase.replace(macro, names)
    return clean(phrase).text.lower()


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with (files("moderation.detectors") / "data" / "phrases.tsv").open(encoding="utf-8") as file:
        return tuple(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
