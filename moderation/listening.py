"""Which sounds are new: the same clip in the same company is transcribed once.

The sound of a playthrough follows from which clips start when. A *situation* is a clip together with the
clips that overlap it; what was heard in one situation is what every playthrough with that situation hears,
shifted in time. All else (music, effects) is one situation of its own, ``AMBIENT``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection
from worldmodel.constants import FPS

AMBIENT = "ambient"


@dataclass(frozen=True)
class Situation:
    """One clip as one playthrough hears it."""

    key: str
    start: int
    """Step at which it begins."""
    steps: int
    """How many steps of it are heard before the playthrough ends."""


@dataclass(frozen=True)
class Heard:
    """What was heard in a situation, on the situation's own clock."""

    steps: int
    detections: tuple[Detection, ...]


def situations(clips: NDArray[np.int16], lengths: Sequence[int]) -> list[Situation]:
    """The situations of a playthrough, AMBIENT first.

    ``clips`` (T,) is the clip that starts at each step, or -1; ``lengths`` the clips' lengths in steps.
    """
    starts = [(int(step), int(clips[step])) for step in np.flatnonzero(clips >= 0)]
    found = [Situation(AMBIENT, 0, len(clips))]
    for step, clip in starts:
        company = [
            f"{other}@{at - step}"
            for at, other in starts
            if (at, other) != (step, clip) and at < step + lengths[clip] and step < at + lengths[other]
        ]
        found.append(Situation("+".join([str(clip), *company]), step, min(lengths[clip], len(clips) - step)))
    return found


def is_new(situation: Situation, known: Mapping[str, Heard]) -> bool:
    """Whether more of it is heard now than ever before; of ambient sound, a second more."""
    before = known.get(situation.key)
    slack = FPS if situation.key == AMBIENT else 0
    return before is None or situation.steps > before.steps + slack


def assign(found: Sequence[Detection], present: Sequence[Situation]) -> dict[str, Heard]:
    """Give each detection of a playthrough to the situation during which it was heard."""
    shares: dict[str, list[Detection]] = {situation.key: [] for situation in present}
    for detection in found:
        owner = _owner(detection, present)
        shares[owner.key].append(shifted(detection, -owner.start / FPS))
    lengths = {situation.key: situation.steps for situation in present}
    return {key: Heard(lengths[key], tuple(dict.fromkeys(share))) for key, share in shares.items()}


def _owner(detection: Detection, present: Sequence[Situation]) -> Situation:
    """The clip that overlaps it most, the first situation (AMBIENT) where none does."""

    def overlap(situation: Situation) -> float:
        begin, end = situation.start / FPS, (situation.start + situation.steps) / FPS
        return min(end, detection.end) - max(begin, detection.start)

    best = max(present[1:], key=overlap, default=present[0])
    return best if best is not present[0] and overlap(best) > 0 else present[0]


def shifted(detection: Detection, seconds: float) -> Detection:
    """The same detection on another clock."""
    return replace(detection, start=detection.start + seconds, end=detection.end + seconds)
