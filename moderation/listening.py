"""Which sounds are new: the same clip in the same company is transcribed once.

The sound of a playthrough follows from which clips start when: characters' voices, and the sounds that a
creator gave to events. A *situation* is a clip together with the clips that overlap it; what was heard in one
situation is what every playthrough with that situation hears, shifted in time. All else (music, synthesised
effects) is one situation of its own, ``AMBIENT``.
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


def starts(
    clips: NDArray[np.int16], events: NDArray[np.bool_], voices: int, effects: Sequence[int]
) -> list[tuple[int, int]]:
    """Every start of a clip in a playthrough as (step, clip), in order.

    ``clips`` (T,) is the voice that starts at each step, or -1; ``events`` (T, EVENTS) what happened there.
    ``voices`` is how many voices the world has; the sound of the event ``effects[i]`` is clip ``voices + i``.
    """
    said = [(int(step), int(clips[step])) for step in np.flatnonzero(clips >= 0)]
    own = events[:, list(effects)]
    return sorted(said + [(int(step), voices + int(which)) for step, which in np.argwhere(own)])


def situations(
    begun: Sequence[tuple[int, int]], lengths: Sequence[int], steps: int, voices: int
) -> list[Situation]:
    """The situations of a playthrough of so many steps, AMBIENT first.

    ``begun`` is what :func:`starts` gives, ``lengths`` the clips' lengths in steps.
    """
    found = [Situation(AMBIENT, 0, steps)]
    for step, clip in begun:
        company = [
            _beside(clip, other, at - step, voices)
            for at, other in begun
            if (at, other) != (step, clip) and at < step + lengths[clip] and step < at + lengths[other]
        ]
        name = "+".join([str(clip), *dict.fromkeys(company)])
        found.append(Situation(name, step, min(lengths[clip], steps - step)))
    return found


def _beside(clip: int, other: int, later: int, voices: int) -> str:
    """Name of a clip that starts ``later`` steps than the one it overlaps.

    Exact between voices. Beside an effect to the second: coins come at any distance from each other, and each
    would be a new situation.
    """
    exact = clip < voices and other < voices
    return f"{other}@{later}" if exact else f"{other}~{round(later / FPS)}"


def is_new(situation: Situation, known: Mapping[str, Heard]) -> bool:
    """Whether more of it is heard now than ever before; of ambient sound, a second more."""
    before = known.get(situation.key)
    slack = FPS if situation.key == AMBIENT else 0
    return before is None or situation.steps > before.steps + slack


def assign(found: Sequence[Detection], present: Sequence[Situation]) -> dict[str, Heard]:
    """Give each detection of a playthrough to the situation during which it was heard."""
    shares: dict[str, list[Detection]] = {situation.key: [] for situation in present}
    for detection in found:
        for owner in _owners(detection, present):
            shares[owner.key].append(shifted(detection, -owner.start / FPS))
    lengths = {situation.key: situation.steps for situation in present}
    return {key: Heard(lengths[key], tuple(dict.fromkeys(share))) for key, share in shares.items()}


def _owners(detection: Detection, present: Sequence[Situation]) -> list[Situation]:
    """The clip that overlaps it most, the first situation (AMBIENT) where none does.

    Both where the clip covers less than half of it: words of a song that a short effect falls into.
    """

    def overlap(situation: Situation) -> float:
        begin, end = situation.start / FPS, (situation.start + situation.steps) / FPS
        return min(end, detection.end) - max(begin, detection.start)

    best = max(present[1:], key=overlap, default=present[0])
    if best is present[0] or overlap(best) <= 0:
        return [present[0]]
    covered = 2 * overlap(best) >= detection.end - detection.start
    return [best] if covered else [best, present[0]]


def shifted(detection: Detection, seconds: float) -> Detection:
    """The same detection on another clock."""
    return replace(detection, start=detection.start + seconds, end=detection.end + seconds)
