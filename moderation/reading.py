"""Words out of boxes: what a frame says, and the best reading of what several frames show in part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from moderation.detectors.base import Detection

ALIKE = 0.7
"""Share of characters in order (Ratcliff/Obershelp) from which two readings are of the same writing."""
OVERLAP = 3
"""Characters that the end of one reading and the start of the next must share to be joined."""


def lines(found: Sequence[Detection]) -> list[str]:
    """The words of one picture in reading order, one string per row of boxes."""
    boxes = sorted((d for d in found if d.text and d.box), key=lambda d: (_middle(d), d.box or ()))
    rows: list[list[Detection]] = []
    for box in boxes:
        if rows and _same_row(rows[-1][0], box):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [" ".join(d.text or "" for d in sorted(row, key=_left)) for row in rows]


def _left(found: Detection) -> int:
    return found.box[0] if found.box else 0


def _middle(found: Detection) -> float:
    return (found.box[1] + found.box[3]) / 2 if found.box else 0.0


def _same_row(one: Detection, other: Detection) -> bool:
    height = max(1, one.box[3] - one.box[1]) if one.box else 1
    return abs(_middle(one) - _middle(other)) < height / 2


def stitched(first: str, second: str) -> str | None:
    """``WETBACKS KE`` and ``CKS KEEP OUT`` to the whole; None where they do not overlap."""
    one, other = first.casefold(), second.casefold()
    for size in range(min(len(one), len(other)) - 1, OVERLAP - 1, -1):
        if one.endswith(other[:size]):
            return first + second[size:]
        if other.endswith(one[:size]):
            return second + first[size:]
    return None


def alike(one: str, other: str) -> bool:
    """Whether two readings are of the same writing: nearly equal, or one a part of the other."""
    a, b = _plain(one), _plain(other)
    if not a or not b:
        return False
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if matcher.ratio() >= ALIKE:
        return True
    longest = matcher.find_longest_match().size
    return longest >= max(OVERLAP, ALIKE * min(len(a), len(b)))


def best_readings(readings: Iterable[tuple[str, float]]) -> dict[str, str]:
    """For each reading, the best one of the same writing: most characters read with most certainty.

    ``readings`` are (text, score 0..1) of neighbouring frames; a text may come several times.
    """
    worth: dict[str, float] = {}
    for text, score in readings:
        worth[text] = max(worth.get(text, 0.0), score * len(_plain(text)))
    ranked = sorted(worth, key=lambda text: (-worth[text], text))
    return {text: next(best for best in ranked if best == text or alike(text, best)) for text in ranked}


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
