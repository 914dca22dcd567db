"""Which frames show something new: near-identical ones are looked at once.

A frame is described by the signs of brightness differences between neighbouring blocks (difference hash,
Krawetz 2013), taken along rows and columns of a 16 x 16 grid: 480 bits that ignore light and small motion.
Frames whose hashes differ in at most ``TOLERANCE`` bits count as the same; see
``benchmarks/frame_dedupe.py`` for what that loses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

GRID = 16
HASH_BYTES = 2 * GRID * (GRID - 1) // 8
TOLERANCE = 40
"""Bits of 480."""
STEP = 2.0
"""Grey levels: smaller differences between blocks are no edge, so that flat areas do not flicker."""


def exact_hash(frame: NDArray[np.uint8]) -> str:
    """Name of a frame's pixels (H, W, 3)."""
    return hashlib.blake2b(np.ascontiguousarray(frame).tobytes(), digest_size=16).hexdigest()


def difference_hash(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(HASH_BYTES,) perceptual hash of a frame (H, W, 3) RGB."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    grid = cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    across = np.diff(grid, axis=1) > STEP
    down = np.diff(grid, axis=0) > STEP
    return np.packbits(np.concatenate([across.ravel(), down.ravel()]))


class Gallery:
    """The distinct frames of one exploration, in the order in which they were first seen."""

    def __init__(self, tolerance: int = TOLERANCE) -> None:
        self.tolerance = tolerance
        self._hashes = np.zeros((256, HASH_BYTES), np.uint8)
        self._count = 0
        self._exact: dict[str, int] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, hash_: NDArray[np.uint8] | bytes, exact: str) -> int:
        """Take in a distinct frame and return its ordinal."""
        if self._count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
        self._hashes[self._count] = np.frombuffer(bytes(hash_), np.uint8)
        self._exact[exact] = self._count
        self._count += 1
        return self._count - 1

    def find(self, hash_: NDArray[np.uint8], exact: str) -> int | None:
        """Ordinal of the distinct frame that looks most like this one, None where it is new."""
        if exact in self._exact:
            return self._exact[exact]
        if self._count == 0:
            return None
        distances = np.bitwise_count(self._hashes[: self._count] ^ hash_).sum(axis=1)
        nearest = int(distances.argmin())
        return nearest if distances[nearest] <= self.tolerance else None


def spread(hashes: Sequence[bytes], budget: int) -> list[int]:
    """At most ``budget`` indices, such that what is left out is near to what is taken.

    Farthest-point sampling (Gonzalez 1985): each next one is the farthest from all taken before.
    """
    if len(hashes) <= budget:
        return list(range(len(hashes)))
    table = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
    taken = [0]
    nearest = np.full(len(hashes), np.iinfo(np.int64).max)
    while len(taken) < budget:
        distances = np.bitwise_count(table ^ table[taken[-1]]).sum(axis=1)
        nearest = np.minimum(nearest, distances)
        taken.append(int(nearest.argmax()))
    return sorted(taken)


def runs(shown: NDArray[np.int32]) -> list[tuple[int, int, int]]:
    """Stretches of one distinct frame: (ordinal, first, last) in frames, in order of time."""
    edges = np.flatnonzero(np.diff(shown)) + 1
    firsts = [0, *edges.tolist()]
    lasts = [*(edges - 1).tolist(), len(shown) - 1]
    return [(int(shown[first]), first, last) for first, last in zip(firsts, lasts, strict=True)]
