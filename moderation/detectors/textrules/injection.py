"""Instructions aimed at who reviews a world, a person or a model, rather than at who plays it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from moderation.detectors.textrules import phrases
from moderation.detectors.textrules.fold import Clean
from moderation.detectors.textrules.match import Match
from moderation.detectors.textrules.plain import Plain

FICTION = 0.6
"""Factor where the words belong to a story with judges, referees and machines of its own."""
UNMISTAKABLE = 0.9
"""Score from which no story explains a phrase."""
MARKUP = tuple(
    (score, re.compile(regex))
    for score, regex in (
        (0.95, r"(?i)<\|?/?(?:im_(?:start|end|sep)|system|endoftext|eot_id|(?:start|end)_header_id)\|?>"),
        (0.95, r"\[/?(?:INST|SYSTEM|ADMIN|DEVELOPER|ASSISTANT)\]|<</?SYS>>|<(?:start|end)_of_turn>"),
        (
            0.9,
            r"(?i)</?(?:system|assistant|instructions?|system_prompt|user|tool_result|developer)(?:\s[^>]*)?>",
        ),
        (0.85, r"(?im)^\s*#{2,}\s*(?:instructions?|system|response|assistant|new (?:task|rules?))\b"),
        (
            0.85,
            r"(?im)^\s*(?:system|assistant|developer)\s*(?:prompt|note)?\s*[:>]\s*\S.{8,}",
        ),
        (
            0.75,
            r"(?i)[\"'](?:role|decision|verdict|approved|is_safe|flagged|violation|score)[\"']\s*:\s*[\"']?\w+",
        ),
        (0.7, r"(?s)<!--.*?-->"),
        (
            0.75,
            r"(?i)(?:display\s*:\s*none|font-size\s*:\s*0|visibility\s*:\s*hidden|color\s*:\s*transparent)",
        ),
        (
            0.7,
            r"(?i)-{3,}\s*(?:end|begin|start) (?:of )?(?:system|user|prompt|instructions?|input|content)\b",
        ),
    )
)
"""Marks of roles, verdicts and hidden text that have no business in what players read."""
_STORY = re.compile(
    r"\b(?:king|queen|referee|judge|captain|guards?|quiz|debate|ghosts?|dragons?|witch|wizard|gravity|hero|knight"
    r"|robots?|goblins?|puzzle|lever|door|coins?|tower|ritter|konig|rey|roi|re|krol|kral|koning)\b"
)
_PHRASES = phrases.read("injection")


def find_injections(text: Clean, plain: Plain) -> list[Match]:
    """Instructions to reviewers or models; the same span may be found more than once."""
    return [*_marks(text.text), *_told(plain)]


def _marks(text: str) -> Iterator[Match]:
    for score, regex in MARKUP:
        for match in regex.finditer(text):
            yield Match("injection", score, *match.span())


def _told(plain: Plain) -> Iterator[Match]:
    doubt = FICTION if _STORY.search(plain.text) else 1.0
    for phrase in _PHRASES:
        score = phrase.score * (1.0 if phrase.score >= UNMISTAKABLE else doubt)
        for match in phrase.regex.finditer(plain.text):
            yield Match("injection", score, *plain.span(*match.span()))
