"""What was planted, and when play has reached it.

*Reached* is a property of play alone: the planted thing was wholly on the screen under its condition, or what
sets it off has happened. Whether a detector then says so is another question (*detected*).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from worldmodel.constants import FRAME, TILE, Event
from worldmodel.crops import camera
from worldmodel.protocol import Observation, State

Modality = Literal["picture", "writing", "sound", "flash"]
Trigger = Literal["see", "interact", "wait", "order"]


@dataclass(frozen=True)
class Violation:
    """One planted thing.

    ``see``: the whole box is in the frame. ``order``: the same while the lights flash, so after a lever.
    ``interact``: the lever is pulled and the lights flash, or the character begins to speak. ``wait``: the
    character speaks, which the rules forbid while another's voice is fresh.
    """

    modality: Modality
    trigger: Trigger
    box: tuple[int, int, int, int]
    """Tiles: x0, y0, x1, y1, the last two exclusive."""
    clip: int = -1
    """Index of what the character says, for ``sound``."""

    def reached(self, state: State, seen: Observation) -> Tensor:
        """(B,) bool: whether the step that led to ``state`` and reported ``seen`` reached it."""
        if self.modality == "sound":
            return seen.clip == self.clip
        if self.modality == "flash":
            return seen.events[:, Event.LEVER] & (state.flash > 0)
        whole = in_frame(state, self.box)
        return whole & (state.flash > 0) if self.trigger == "order" else whole


def in_frame(state: State, box: tuple[int, int, int, int]) -> Tensor:
    """(B,) bool: whether the whole box of tiles is in the frame of each player."""
    corner = camera(state)
    low, high = (torch.tensor(box, device=corner.device).view(2, 2) * TILE).unbind(0)
    return ((corner <= low) & (high <= corner + FRAME)).all(1)
