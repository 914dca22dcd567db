"""Which frames show something new: the same place in the same condition is looked at once.

A frame's view (:func:`worldmodel.crops.views`) names the place of its camera and what can change there. All
frames of one view show the same place to within a few pixels, so one of them is looked at for all; who moves
through it may differ. A perceptual hash decides only which views to look at where there are too many.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

GRID = 16
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
    """The views of one exploration, in the order in which they were first seen."""

    def __init__(self) -> None:
        self._ordinals: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._ordinals)

    def add(self, view: int) -> int:
        """Ordinal of a view; it is taken in where it is new."""
        return self._ordinals.setdefault(view, len(self._ordinals))


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
