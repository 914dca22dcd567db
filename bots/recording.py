"""A playthrough as data: everything that is needed to see and hear it again, bit for bit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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

    @property
    def id(self) -> str:
        """Content hash of what determines the episode."""
        head = f"{self.world}:{self.model}:{self.seed}:{self.spawn}:".encode()
        return hashlib.sha256(head + self.actions.tobytes()).hexdigest()[:16]

    @property
    def seconds(self) -> float:
        from worldmodel.constants import FPS

        return len(self.actions) / FPS
