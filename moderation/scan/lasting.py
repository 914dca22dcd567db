"""Chance hits do not last: what a cheap detector saw in one frame alone is looked for in those beside it.

A network that looks at every view of a world takes, now and then, figures and tiles that happen to stand so
for a symbol; a frame later all has moved by some pixels and it is gone. What is there in truth is seen again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, Picture
from moderation.scan.cascade import ASK
from moderation.scan.looking import KEEP, Seen, look
from moderation.store import DistinctFrame
from policies.types import Source

DOUBTED = 0.5
"""Score from which it matters whether something lasts."""
BESIDE = 6
"""Frames before, and as many after, in which it is looked for again: .4 s each way."""
NEAR = 15
"""Steps within which another view that shows it as well leaves no doubt."""


def doubtful(frames: Sequence[DistinctFrame], seen: Mapping[int, Seen]) -> dict[int, list[DistinctFrame]]:
    """By playthrough, the frames in which something was seen that no other view near them shows."""
    hits: dict[tuple[int, str, str], list[tuple[DistinctFrame, float]]] = {}
    for frame in frames:
        for name, found in seen.get(frame.ordinal, {}).items():
            for label, score in _best(found).items():
                if score >= ASK:
                    hits.setdefault((frame.playthrough, name, label), []).append((frame, score))
    doubted: dict[int, dict[int, DistinctFrame]] = {}
    for (playthrough, _, _), shown in hits.items():
        for frame, score in shown:
            near = sum(abs(other.step - frame.step) <= NEAR for other, _ in shown)
            if score >= DOUBTED and near == 1:
                doubted.setdefault(playthrough, {})[frame.ordinal] = frame
    return {playthrough: list(some.values()) for playthrough, some in doubted.items()}


def again(step: int, frames: NDArray[np.uint8], seen: Seen, detectors: Iterable[Detector[Picture]]) -> Seen:
    """What was ``seen`` at a step of a playthrough's (T+1, H, W, 3) ``frames``, by how well it lasts.

    A score becomes the geometric mean of itself and the best of the same label beside it, and never more than
    it was. Where a detector fails now, what it saw stands.
    """
    beside = [n for n in range(max(0, step - BESIDE), min(len(frames), step + BESIDE + 1)) if n != step]
    pictures = [Picture(frames[n]) for n in beside]
    weighed = dict(seen)
    for detector in detectors:
        name = detector.card.name
        if max(_best(seen.get(name, ())).values(), default=0.0) < DOUBTED or not pictures:
            continue
        found, run = look(detector, pictures, Source.PLAYTHROUGH)
        if run.ok:
            best = _best(one for group in found for one in group)
            weighed[name] = [_weighed(one, best.get(one.label, KEEP)) for one in seen[name]]
    return weighed


def _best(found: Iterable[Detection]) -> dict[str, float]:
    """The highest score by label."""
    best: dict[str, float] = {}
    for one in found:
        best[one.label] = max(one.score, best.get(one.label, 0.0))
    return best


def _weighed(one: Detection, beside: float) -> Detection:
    if one.score < DOUBTED:
        return one
    return replace(one, score=min(one.score, float(np.sqrt(one.score * beside))))
