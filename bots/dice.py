"""Random numbers for players as a pure function of a key, so that any run can be repeated or resumed.

The number that a row draws depends on the row's own key and step only, never on which other rows share its
batch (after Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The mixing is the
world model's own (:mod:`worldmodel.noise`); keys from :func:`key_of` keep players apart from worlds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from worldmodel.noise import dice

_MASK = (1 << 64) - 1


def key_of(*parts: int) -> int:
    """One key out of several integers by SplitMix64's mixing; 0..2**62-1, so that it fits any seed."""
    value = 0
    for part in parts:
        value = (value * 0x9E3779B97F4A7C15 + part + 0x632BE59BD9B4E019) & _MASK
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
        value ^= value >> 31
    return value >> 2


def uniforms(keys: Tensor, step: int | Tensor, count: int) -> Tensor:
    """(B, count) float32 in [0, 1) for ``keys`` (B,) int64 at a step (one for all, or (B,) int64)."""
    steps = torch.as_tensor(step, dtype=torch.int64, device=keys.device).expand(keys.shape)
    # 24 bits are what a float32 holds exactly, so that no draw rounds up to 1.
    return (dice(keys, steps, count) >> 7).to(torch.float32) / float(1 << 24)
