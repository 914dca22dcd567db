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
from moderation.scan.cascade import STAND_IN
from moderation.store import Store
from worldmodel.constants import FPS

REVIEWED = -1
"""Number of all frames that look like what the review has inspected."""
LOOKS_OF_A_VIEW = 64
"""After so many looks at one view the most similar of them stands for what comes: movers, not content."""


@dataclass
class Inspected:
    """What is known of one version."""

    views: dict[int, list[tuple[int, NDArray[np.uint8]]]] = field(default_factory=dict)
    """By view: number and perceptual hash (60,) of each frame that was looked at."""
    heard: dict[str, int] = field(default_factory=dict)
    """By situation (:mod:`moderation.listening`): for how many steps it was listened to."""
    reviewed_sounds: frozenset[str] = frozenset()
    """Situations that the review listened to."""
    reviewed: bool = False
    """A review has looked at something: what is new is new compared with that."""
    _frames: int = 0

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
        views: dict[int, list[tuple[int, NDArray[np.uint8]]]] = {}
        for frame in frames:
            if frame.ordinal in known:
                views.setdefault(frame.view, []).append((REVIEWED, np.frombuffer(frame.hash, np.uint8)))
        heard: dict[str, int] = {}
        for result, _ in store.pieces(exploration, "play").values():
            for key, one in scan.heard_from(result).items():
                heard[key] = max(one.steps, heard.get(key, 0))
        return cls(views, heard, frozenset(heard), reviewed=bool(views))

    def look(self, view: int, frame: NDArray[np.uint8]) -> tuple[int, bool]:
        """Number of the frame (H, W, 3) that stands for this one, and whether that is this very one."""
        hashed = novelty.difference_hash(frame)
        looks = self.views.setdefault(view, [])
        if looks:
            distances = [int(np.bitwise_count(hashed ^ other).sum()) for _, other in looks]
            nearest = int(np.argmin(distances))
            # as near as a review takes one frame for another
            if distances[nearest] <= STAND_IN or len(looks) >= LOOKS_OF_A_VIEW:
                return looks[nearest][0], False
        number, self._frames = self._frames, self._frames + 1
        looks.append((number, hashed))
        return number, True

    def listen(self, situation: Situation) -> bool:
        """Whether more of it is heard now than anybody has listened to; from now on it counts as heard."""
        slack = FPS if situation.key == AMBIENT else 0
        if situation.steps <= self.heard.get(situation.key, -1) + slack:
            return False
        self.heard[situation.key] = situation.steps
        return True
