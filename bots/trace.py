"""The trace of a playthrough: enough of every step to say where a replay leaves it, and by how much.

States are whole numbers and so the same on every device until a prediction tips over; frames are rounded
differently on another kind of device, and are then compared coarsely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIELDS = 4
"""Each frame is measured in FIELDS x FIELDS fields."""
TOLERANCE = 2
"""Grey levels by which a field's mean may differ on another kind of device."""


@dataclass(frozen=True)
class Trace:
    """T+1 moments, the spawn first."""

    states: NDArray[np.uint32]
    """(T+1,) hash of the whole state."""
    frames: NDArray[np.uint32]
    """(T+1,) CRC-32 of the frame."""
    looks: NDArray[np.uint8]
    """(T+1, FIELDS * FIELDS) mean grey level of each field, left to right and downwards."""

    def to_bytes(self) -> bytes:
        return (
            self.states.astype("<u4").tobytes() + self.frames.astype("<u4").tobytes() + self.looks.tobytes()
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Trace:
        count = len(data) // (8 + FIELDS * FIELDS)
        numbers = np.frombuffer(data, "<u4", 2 * count).astype(np.uint32)
        looks = np.frombuffer(data, np.uint8, offset=8 * count).reshape(count, FIELDS * FIELDS)
        return cls(numbers[:count], numbers[count:], looks)


def first_difference(old: NDArray[np.generic], new: NDArray[np.generic]) -> int | None:
    """First row in which two arrays differ; the shorter one's length where one goes on."""
    shared = min(len(old), len(new))
    differ = (old[:shared] != new[:shared]).reshape(shared, -1).any(1)
    if differ.any():
        return int(differ.argmax())
    return None if len(old) == len(new) else shared


def look_difference(old: Trace, new: Trace) -> int:
    """Greatest difference of a field's mean, in grey levels, over the moments that both have."""
    shared = min(len(old.looks), len(new.looks))
    apart = old.looks[:shared].astype(int) - new.looks[:shared]
    return int(np.abs(apart).max(initial=0))
