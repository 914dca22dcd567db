"""How much was looked at, in the units that a policy reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CoverageStats:
    """Field for field what ``policies.types.Coverage`` holds; see there."""

    search_steps: int = 0
    sample_steps: int = 0
    sample_episodes: int = 0
    cells: int = 0
    """Distinct cells that either arm reached."""
    discovery_rate: float = 0.0
    """New cells per 1,000 steps at the end of the search arm."""
    unseen_mass: float = 1.0
    unseen_mass_upper: float = 1.0
    stop_reason: str = "not started"


def discovery_rate(curve: NDArray[np.int64], window: int) -> float:
    """New cells per 1,000 steps over the last ``window`` steps of a curve (N, 2) of (steps, cells)."""
    if len(curve) < 2:
        return float("inf")
    start = int(np.searchsorted(curve[:, 0], curve[-1, 0] - window, side="right")) - 1
    steps, cells = curve[-1] - curve[max(start, 0)]
    return float(1000 * cells / max(int(steps), 1))
