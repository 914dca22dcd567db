"""How dark it is: a world's own darkness, and its nights, in integers until the last division."""

from __future__ import annotations

import torch
from torch import Tensor

from worldmodel.bank import WorldBank, mechanics_of
from worldmodel.protocol import State

NIGHTFALL = 2
"""Darkness at midnight in a world of day and night."""
LEVELS = 32
"""Parts of a level of darkness in which night falls."""


def darkness(bank: WorldBank, state: State) -> Tensor:
    """(B,) float32 0 (daylight) .. 3, exact in binary: the world's own, or the night's where that is more."""
    mechanics = mechanics_of(bank, state)
    return darkness_at(mechanics["darkness"], mechanics["day_length"], state.step)


def darkness_at(own: Tensor, day_length: Tensor, step: Tensor) -> Tensor:
    """The same from (B,) integers. A day begins at noon, and midnight is in its middle."""
    length = day_length.long().clamp(min=1)
    since_noon = step % length
    to_noon = torch.minimum(since_noon, length - since_noon)  # 0 .. length / 2
    night = torch.div(2 * NIGHTFALL * LEVELS * to_noon, length, rounding_mode="floor")
    night = torch.where(day_length > 0, night, 0)
    return torch.maximum(own.long() * LEVELS, night).float() / LEVELS
