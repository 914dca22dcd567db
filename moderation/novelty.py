"""Which frames show something new: the same place in the same condition is looked at a few times.

A frame's view (:func:`worldmodel.crops.views`) names the place of its camera and what can change there. All
frames of one view show the same place to within a few pixels; who moves through it may differ, and what a
detector makes of it differs with that. A frame is therefore new where its view is, or where it looks like
none of those that were kept of its view, by a perceptual hash; any other counts as the most similar of those.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

GRID = 16
ALIKE = 96
"""Bits of 480 within which one frame may count as another."""
LOOKS_OF_A_VIEW = 16
"""Frames of one view that are looked at, at most: from there on it is always the same movers."""
STEP = 2.0
"""Grey levels: smaller differences between blocks are no edge, so that flat areas do not flicker."""


def difference_hash(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(60,) perceptual hash of a frame (H, W, 3) RGB.

    Signs of brightness differences between neighbouring blocks (difference hash, Krawetz 2013), along the
    rows and columns of a 16 x 16 grid: 480 bits that ignore light and small motion.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    grid = cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    across = np.diff(grid, axis=1) > STEP
    down = np.diff(grid, axis=0) > STEP
    return np.packbits(np.concatenate([across.ravel(), down.ravel()]))


class Gallery:
    """The distinct frames of one exploration or one play, in the order in which they were first seen.

    ``most`` frames of one view are kept, at most.
    """

    def __init__(self, most: int = LOOKS_OF_A_VIEW) -> None:
        self._most = most
        self._looks: dict[int, list[tuple[int, NDArray[np.uint8]]]] = {}
        """By view: ordinal and hash (60,) of each frame that was kept."""
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def know(self, view: int, number: int, hashed: NDArray[np.uint8]) -> None:
        """Let frames that look like this one count as ``number``, which is none of the gallery's own."""
        self._looks.setdefault(view, []).append((number, hashed))

    def add(self, view: int, hashed: NDArray[np.uint8]) -> int:
        """Ordinal of the frame that stands for one with this view and hash: its own where it is new."""
        looks = self._looks.setdefault(view, [])
        if looks:
            distances = np.bitwise_count(np.stack([other for _, other in looks]) ^ hashed).sum(axis=1)
            nearest = int(distances.argmin())
            if distances[nearest] <= ALIKE or len(looks) >= self._most:
                return looks[nearest][0]
        looks.append((self._size, hashed))
        self._size += 1
        return self._size - 1


def spread(hashes: Sequence[bytes], budget: int, first: Sequence[int] = ()) -> list[int]:
    """At most ``budget`` indices, ``first`` among them, such that what is left out is near to what is taken.

    Farthest-point sampling (Gonzalez 1985): each next one is the farthest from all taken before.
    """
    if len(hashes) <= budget:
        return list(range(len(hashes)))
    table = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
    taken: list[int] = []
    nearest = np.full(len(hashes), np.iinfo(np.int64).max)
    given = list(first)[:budget] or [0]
    while len(taken) < budget:
        taken.append(given[len(taken)] if len(taken) < len(given) else int(nearest.argmax()))
        distances = np.bitwise_count(table ^ table[taken[-1]]).sum(axis=1)
        nearest = np.minimum(nearest, distances)
    return sorted(taken)


def runs(shown: NDArray[np.int32]) -> list[tuple[int, int, int]]:
    """Stretches of one distinct frame: (ordinal, first, last) in frames, in order of time."""
    edges = np.flatnonzero(np.diff(shown)) + 1
    firsts = [0, *edges.tolist()]
    lasts = [*(edges - 1).tolist(), len(shown) - 1]
    return [(int(shown[first]), first, last) for first, last in zip(firsts, lasts, strict=True)]
