"""Whether something that was seen once is there: its way played again, and looked at over several frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bots.probe import Probe
from bots.recorder import glimpses
from bots.recording import EVIDENCE_BATCH, Playthrough
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import EVENTS, Action
from worldmodel.protocol import WorldModel

PERSIST = 4
"""Frames in a row over which a score has to hold: a quarter of a second, about what it takes to see a thing
(Potter, "Short-term conceptual memory for pictures", 1976, puts recognition at 100 to 300 ms)."""
BEFORE, STAY = 8, 8
"""Frames before the moment, and after it with no key pressed, that are looked at."""


@dataclass(frozen=True)
class Suspect:
    """A way to a moment at which something was seen."""

    way: Playthrough
    label: int
    """Which of the probe's."""
    score: float


@dataclass(frozen=True)
class Confirmed:
    """What came of playing a suspect's way again."""

    confirmed: bool
    frames: int
    """In a row, around the moment, over which the score held; 0 where the replay does not show it."""
    playthrough: Playthrough
    """The way and the frames after it, as replayed."""
    looks: int
    """Frames that were drawn and looked at."""


def confirm(
    model: WorldModel, world: CompiledWorld, suspects: Sequence[Suspect], probe: Probe
) -> tuple[list[Confirmed], int]:
    """Play each way again from its spawn, in the batches of evidence; and the steps which that took.

    A suspect is confirmed where the replayed frame of its moment has a sure score again, and so have the
    frames around it, PERSIST in a row or more.
    """
    ways = [_stayed(s.way) for s in suspects]
    ends = [len(s.way.actions) for s in suspects]
    spans = [(max(0, end - BEFORE), end + STAY + 1) for end in ends]
    results = []
    for suspect, end, (first, _), seen in zip(
        suspects, ends, spans, glimpses(model, world, ways, spans), strict=True
    ):
        scores = probe(np.ascontiguousarray(seen.frames.transpose(0, 3, 1, 2))).scores[:, suspect.label]
        frames = run_through(scores >= probe.sure[suspect.label], end - first)
        results.append(Confirmed(frames >= PERSIST, frames, seen.playthrough, len(seen.frames)))
    batches = [ways[at : at + EVIDENCE_BATCH] for at in range(0, len(ways), EVIDENCE_BATCH)]
    return results, sum(EVIDENCE_BATCH * max(len(w.actions) for w in batch) for batch in batches)


def run_through(shown: NDArray[np.bool_], moment: int) -> int:
    """Length of the run of true values (N,) that passes through index ``moment``; 0 where that is false."""
    if not shown[moment]:
        return 0
    gaps = np.nonzero(~shown)[0]
    left, right = gaps[gaps < moment], gaps[gaps > moment]
    return int(right.min(initial=len(shown)) - left.max(initial=-1) - 1)


def _stayed(way: Playthrough) -> Playthrough:
    """The way with STAY steps of no key after it."""
    return replace(
        way,
        actions=np.append(way.actions, np.full(STAY, int(Action.NOOP), np.uint8)),
        events=np.concatenate([way.events, np.zeros((STAY, EVENTS), np.bool_)]),
        clips=np.append(way.clips, np.full(STAY, -1, np.int16)),
    )
