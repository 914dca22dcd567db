"""Words of contempt that decide whether a term with an innocent meaning is meant as a slur."""

from __future__ import annotations

import re

from moderation.detectors.textrules.fold import clean

HOSTILE = re.compile(
    r"\b(?:dirty|filthy|stupid|ugly|fucking|damn(?:ed)?|disgusting|smelly|greasy|lazy|kill|hate|die|death|scum"
    r"|vermin|subhuman|inferior|(?:go|send|went) (?:back|home)|get (?:out|lost)|keep out|not welcome|out of"
    r"|shut up|you(?:'re| are)? an?|all (?:the )?\w+s? (?:must|should)|no \w+ allowed|no \w+ ?, ?no \w+"
    r"|allowed|drecks?\w*|scheiss\w*|raus|verschwinde\w*|verpiss\w*|sales?|merde|dehors|degage|merda|mierda"
    r"|puto|puta|fuera|nojent\w*|schifos\w*|sporc\w*|fuori|brudn\w*|jeban\w*|won|wypierdala\w*|precz|pis|defol"
    r"|vuile|vieze|kanker\w*|rot op|eruit|oprotten"
    + clean(r"|вон|бей|смерть|вали\w*|морда|рожа|тупы\w*|грязн\w*)\b").text,
    re.IGNORECASE,
)

HOSTILE_STEMS = frozenset(re.findall(r"([^\W\d_]{3,})\\w\*", HOSTILE.pattern))
HOSTILE_WORDS = frozenset(re.findall(r"[^\W\d_]{3,}", re.sub(r"\\.", " ", HOSTILE.pattern))) - HOSTILE_STEMS
"""The words that it is made of, of any language, and the beginnings of those that may end in any way."""
