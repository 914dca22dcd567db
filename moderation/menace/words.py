"""A text as the network is shown it, when it learns and when it judges."""

from __future__ import annotations

import re

from moderation.detectors.textrules.fold import clean
from moderation.detectors.textrules.plain import plain_words

_WORD = re.compile(r"[\w']+")


def plain(text: str) -> str:
    """In plain words, with its marks (:func:`moderation.detectors.textrules.plain.plain_words`)."""
    return plain_words(clean(text).text).text


def bare(text: str) -> str:
    """As speech is written down: without punctuation."""
    return " ".join(_WORD.findall(text))
