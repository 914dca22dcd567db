"""Counter-based noise: chance as a pure function of (seed, step, slot), so replays need no generator.

The mixing function is SplitMix64's finaliser (Steele, Lea, Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014), in wrapping int64 arithmetic.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as signed
_MIX1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift: torch's ``>>`` keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """Scramble int64 values, bijectively."""
    x = x + _GOLDEN
    x = (x ^ _shift(x, 30)) * _MIX1
    x = (x ^ _shift(x, 27)) * _MIX2
    return x ^ _shift(x, 31)


def dice(seed: Tensor, step: Tensor, slots: int) -> Tensor:
    """(B, slots) int64, non-negative and uniform below 2**31, from (B,) seeds and steps."""
    slot = torch.arange(slots, device=seed.device)
    return _shift(mix(mix(mix(seed)[:, None] + step[:, None]) + slot), 33)
