"""The trace of a playthrough: enough of every step to say where a replay leaves it, and by how much.

States are whole numbers and so the same on every device until a prediction tips over; frames are rounded
differently on another kind of device, and are then compared coarsely.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodel.noise import mix
from worldmodel.protocol import State

FIELDS = 4
"""Each frame is measured in FIELDS x FIELDS fields."""
TOLERANCE = 2
"""Grey levels by which a field's mean may differ on another kind of device."""
_NOT_PLAY = ("world", "seed")
"""What names the world and the dice, and is no outcome: a world's slot differs from process to process."""


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


def trace_of(states: State, frames: NDArray[np.uint8]) -> Trace:
    """Of T+1 moments of one playthrough and their (T+1, H, W, 3) frames."""
    marks = np.array([zlib.crc32(frame.tobytes()) for frame in frames], np.uint32)
    count, height, width, _ = frames.shape
    cut = frames.reshape(count, FIELDS, height // FIELDS, FIELDS, width // FIELDS, 3)
    looks = cut.mean(axis=(2, 4, 5)).round().astype(np.uint8).reshape(count, -1)
    return Trace(_state_hashes(states), marks, looks)


def _state_hashes(states: State) -> NDArray[np.uint32]:
    total = torch.zeros(len(states), dtype=torch.int64, device=states.world.device)
    for number, field in enumerate(fields(State)):
        if field.name in _NOT_PLAY:
            continue
        values = getattr(states, field.name).reshape(len(states), -1).long()
        keys = mix(torch.arange(values.shape[1], device=values.device) + (number << 32))
        total += mix(values * 2 + 1 + keys).sum(1)
    return (mix(total) & 0xFFFFFFFF).cpu().numpy().astype(np.uint32)


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
