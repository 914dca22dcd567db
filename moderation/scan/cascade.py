"""Which distinct frames detectors of pictures look at: cheap ones at nearly all, costly ones where it pays.

Every distinct frame stands for all frames that show the same view and look like it. Cheap and moderate
detectors see up to ``CHEAP_LOOKS`` of them. Costly ones, and the reader, see up to ``LOOKS``: first those on
which a cheap detector saw something or something had just happened, then the ones that differ most from all
others. A frame that was not looked at counts as the most similar one that was, if it is similar enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moderation import novelty
from moderation.detectors.base import Detector, Picture
from moderation.scan.detectors import Detectors
from moderation.scan.looking import Seen, look
from moderation.store import DistinctFrame
from policies.types import DetectorRun, Source

CHEAP_MS, MODERATE_MS = 15.0, 40.0
"""Milliseconds a picture up to which a detector is cheap, so that it says where the costly ones look, and up
to which it is moderate."""
CHEAP_LOOKS, LOOKS = 2000, 400
"""Distinct frames of one exploration that cheap and moderate, and that costly detectors see."""
ASK = 0.3
"""Score of a cheap detector from which the costly ones look too."""
RECENT = 2
"""Steps after an event within which a new view is owed to it: a door opened, a light began to flash."""
STAND_IN = novelty.ALIKE
"""Bits of 480: a distinct frame over the budget counts as the most similar one within this distance."""
BATCH = 16


def cheap(detectors: Detectors) -> tuple[Detector[Picture], ...]:
    """Detectors that look at nearly all distinct frames."""
    return tuple(one for one in detectors.pictures if one.card.cost_ms <= CHEAP_MS)


def moderate(detectors: Detectors) -> tuple[Detector[Picture], ...]:
    """Detectors that look at as many, and have no say in where the costly ones look."""
    return tuple(one for one in detectors.pictures if CHEAP_MS < one.card.cost_ms <= MODERATE_MS)


def costly(detectors: Detectors) -> tuple[Detector[Picture], ...]:
    """All others that look at pictures, the reader among them."""
    return (*(one for one in detectors.pictures if one.card.cost_ms > MODERATE_MS), detectors.reader)


def every(detectors: Detectors) -> tuple[Detector[Picture], ...]:
    """All that look at pictures, as the audit uses them."""
    return (*cheap(detectors), *moderate(detectors), *costly(detectors))


def choose_frames(
    frames: Sequence[DistinctFrame], budget: int = LOOKS, first: Iterable[int] = ()
) -> list[int]:
    """Ordinals of at most ``budget`` distinct frames: ``first``, then spread over all there is to see."""
    return novelty.spread([frame.hash for frame in frames], budget, list(first))


def asked_for(
    frames: Sequence[DistinctFrame], seen: Mapping[int, Seen], events: Mapping[int, NDArray[np.bool_]]
) -> list[int]:
    """Ordinals on which costly detectors should look first.

    ``seen`` is what cheap detectors saw, ``events`` (T, EVENTS) of each playthrough by its ordinal.
    """
    told = [o for o, one in seen.items() if any(d.score >= ASK for found in one.values() for d in found)]
    happened = [f.ordinal for f in frames if f.playthrough in events and _recent(f, events[f.playthrough])]
    return sorted({*told, *happened})


def _recent(frame: DistinctFrame, events: NDArray[np.bool_]) -> bool:
    """Whether anything happened in the steps that led to the frame; frame 0 is before the first step."""
    return bool(events[max(0, frame.step - RECENT) : frame.step].any())


def stand_ins(frames: Sequence[DistinctFrame], looked_at: Sequence[int]) -> dict[int, int]:
    """For each distinct frame the one that was looked at in its place: itself, or the most similar one.

    Frames that resemble none of those are left out: nothing is known of them.
    """
    if not looked_at:
        return {}
    table = np.frombuffer(b"".join(frame.hash for frame in frames), np.uint8).reshape(len(frames), -1)
    chosen = np.array(looked_at)
    found = {}
    for frame in frames:
        distances = np.bitwise_count(table[chosen] ^ table[frame.ordinal]).sum(axis=1)
        if distances.min() <= STAND_IN:
            found[frame.ordinal] = int(chosen[distances.argmin()])
    return found


def see(
    pixels: Sequence[NDArray[np.uint8]], detectors: Iterable[Detector[Picture]]
) -> tuple[list[Seen], list[DetectorRun]]:
    """Show frames to detectors of pictures."""
    pictures = [Picture(frame) for frame in pixels]
    seen: list[Seen] = [{} for _ in pictures]
    runs: list[DetectorRun] = []
    for detector in detectors:
        found, run = look(detector, pictures, Source.PLAYTHROUGH)
        runs.append(run)
        for one, detections in zip(seen, found, strict=True):
            one[detector.card.name] = detections
    return seen, runs


@dataclass(frozen=True)
class Looked:
    """What one group of detectors saw of the distinct frames."""

    seen: Mapping[int, Seen]
    """By ordinal."""
    stands_for: Mapping[int, int]
    """The ordinal of each distinct frame that is known, to the one that was looked at."""

    @classmethod
    def of(cls, frames: Sequence[DistinctFrame], seen: Mapping[int, Seen]) -> Looked:
        return cls(seen, stand_ins(frames, sorted(seen)))
