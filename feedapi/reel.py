"""What a player did in one life of a session: all that is needed to come to the same moment again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bots.recording import Playthrough
from worldmodel.constants import EVENTS

if TYPE_CHECKING:
    from feedapi.session import Session

PLAYER = "person/1"
"""Who plays in every playthrough of a person: nothing else is known, or kept, of them."""


@dataclass
class Reel:
    """Written by the tick thread; any thread may ask for the playthrough so far."""

    seed: int
    """Of this life."""
    actions: bytearray = field(default_factory=bytearray)
    events: list[NDArray[np.bool_]] = field(default_factory=list)
    clips: list[int] = field(default_factory=list)

    def add(self, action: int, events: NDArray[np.bool_], clip: int) -> None:
        """Take one step: what was done, what happened (EVENTS,), and which voice began (-1: none)."""
        self.actions.append(action)
        self.events.append(events)
        self.clips.append(clip)  # the last of the three: its length counts

    def playthrough(self, session: Session, model_sha256: str, steps: int | None = None) -> Playthrough:
        """The life up to now, or its first ``steps``. Its hashes are made when it is regenerated."""
        count = len(self.clips) if steps is None else min(steps, len(self.clips))
        events = np.stack(self.events[:count]) if count else np.zeros((0, EVENTS), np.bool_)
        return Playthrough(
            world=session.world.key,
            model=model_sha256,
            arm="live",
            player=PLAYER,
            seed=self.seed,
            spawn=session.spawn,
            actions=np.frombuffer(bytes(self.actions[:count]), np.uint8),
            events=events,
            clips=np.array(self.clips[:count], np.int16),
        )
