"""What of a world version has been looked at and listened to, by the review and then by the guard.

One :class:`Inspected` per version, touched by the tick thread only. A frame counts as known when its view
(:func:`worldmodel.crops.views`) was looked at and it still looks as it did then: a model that draws something
else in a known place shows something new.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moderation import novelty, scan
from moderation.listening import AMBIENT, Situation
from moderation.store import Store
from worldmodel.constants import FPS

REVIEWED = -1
"""Number of all frames that look like what the review has inspected."""
LOOKS_OF_A_VIEW = 64
"""After so many looks at one view the most similar of them stands for what comes: movers, not content."""


@dataclass
class Inspected:
    """What is known of one version."""

    gallery: novelty.Gallery = field(default_factory=lambda: novelty.Gallery(LOOKS_OF_A_VIEW))
    """The frames that were looked at; as near as a review takes one for another, one stands for another."""
    heard: dict[str, int] = field(default_factory=dict)
    """By situation (:mod:`moderation.listening`): for how many steps it was listened to."""
    reviewed_sounds: frozenset[str] = frozenset()
    """Situations that the review listened to."""
    reviewed: bool = False
    """A review has looked at something: what is new is new compared with that."""

    @classmethod
    def by_review(cls, store: Store, version: str) -> Inspected:
        """What the version's exploration showed to every detector."""
        exploration = store.version(version).exploration
        if exploration is None:
            return cls()
        frames = store.frames(exploration)
        results = [result for result, _ in store.pieces(exploration, "costly").values()]
        looked_at = sorted({int(ordinal) for result in results for ordinal in result})
        known = scan.stand_ins(frames, looked_at)
        gallery = novelty.Gallery(LOOKS_OF_A_VIEW)
        for frame in frames:
            if frame.ordinal in known:
                gallery.know(frame.view, REVIEWED, np.frombuffer(frame.hash, np.uint8))
        heard: dict[str, int] = {}
        for result, _ in store.pieces(exploration, "play").values():
            for key, one in scan.heard_from(result).items():
                heard[key] = max(one.steps, heard.get(key, 0))
        return cls(gallery, heard, frozenset(heard), reviewed=bool(known))

    def look(self, view: int, frame: NDArray[np.uint8]) -> tuple[int, bool]:
        """Number of the frame (H, W, 3) that stands for this one, and whether that is this very one."""
        known = len(self.gallery)
        number = self.gallery.add(view, novelty.difference_hash(frame))
        return number, number == known

    def listen(self, situation: Situation) -> bool:
        """Whether more of it is heard now than anybody has listened to; from now on it counts as heard."""
        slack = FPS if situation.key == AMBIENT else 0
        if situation.steps <= self.heard.get(situation.key, -1) + slack:
            return False
        self.heard[situation.key] = situation.steps
        return True
