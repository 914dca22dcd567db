"""A playthrough as data: everything that is needed to see and hear it again, bit for bit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bots.trace import Trace


@dataclass(frozen=True)
class Playthrough:
    """One episode by one player, from a legal start, by legal actions only."""

    world: str
    """``CompiledWorld.key``."""
    model: str
    """``ModelCard.sha256``."""
    arm: str
    """``search`` or ``sample`` (bots), ``live`` (people)."""
    player: str
    """Persona or strategy, with its version: ``sticky-random/1``."""
    seed: int
    spawn: int
    """Index into the world's spawn points; 0 is the true start."""
    actions: NDArray[np.uint8]
    """(T,) of Action."""
    events: NDArray[np.bool_]
    """(T, EVENTS)."""
    clips: NDArray[np.int16]
    """(T,): clip that starts at this step, or -1."""
    frames_sha256: str | None = None
    """Over the T+1 uint8 frames (T+1, 3, H, W) in order, the first being the spawn's; None until rendered."""
    sound_sha256: str | None = None
    trace: Trace | None = None
    """Where a replay would leave it, None until recorded."""

    @property
    def id(self) -> str:
        """Content hash of what determines the episode."""
        head = f"{self.world}:{self.model}:{self.seed}:{self.spawn}:".encode()
        return hashlib.sha256(head + self.actions.tobytes()).hexdigest()[:16]

    @property
    def seconds(self) -> float:
        from worldmodel.constants import FPS

        return len(self.actions) / FPS


EVIDENCE_BATCH = 32
"""Rows of every batch that evidence is regenerated in: floating point repeats only at one shape."""


@dataclass(frozen=True)
class Recording:
    """A playthrough that was seen and heard again."""

    playthrough: Playthrough
    """As regenerated, with its hashes: where its events are not the explored ones, these are the truth."""
    frames: NDArray[np.uint8]
    """(T+1, H, W, 3) RGB; the first shows the spawn."""
    sound: NDArray[np.float32]
    """(T * SAMPLES_PER_STEP,) mono."""
    views: NDArray[np.int64]
    """(T+1,) names of what there is to see (:func:`worldmodel.crops.views`)."""
    first_difference: int | None = None
    """First step whose events or clip are not what exploration had reported; None if all are."""

    @property
    def as_explored(self) -> bool:
        """Whether the events are those that were reported during exploration."""
        return self.first_difference is None


@dataclass(frozen=True)
class Replay:
    """What came of repeating a recorded playthrough."""

    identical: bool
    """Frames, sound and events are the recorded ones, bit for bit."""
    first_difference: int | None = None
    """Step (0 is the spawn) where it first differs, where that can be told."""
    what: str = "identical"
    """What differs, in words."""
    within_tolerance: bool = False
    """Every state, event and sound is the recorded one, and the frames differ by no more than rounding does
    on another kind of device (``bots.trace.TOLERANCE``)."""
