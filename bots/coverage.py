"""How much was looked at, in the units that a policy reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import WALLS


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
    unseen_sessions: float = 1.0
    unseen_sessions_upper: float = 1.0
    surprises: int = 0
    stop_reason: str = "not started"


def open_tiles(world: CompiledWorld) -> NDArray[np.bool_]:
    """(MAP_HEIGHT, MAP_WIDTH) tiles without a wall that are connected to the start, doors being open."""
    from scipy import ndimage

    areas, _ = ndimage.label(~np.isin(world.tiles, WALLS))
    x, y = world.spawns[0]
    connected: NDArray[np.bool_] = areas == areas[y, x]
    return connected


def map_share(open_: NDArray[np.bool_], visited: NDArray[np.integer]) -> float:
    """Share 0..1 of the open tiles that were visited; ``visited`` counts the steps on each tile."""
    return float((open_ & (visited > 0)).sum() / max(int(open_.sum()), 1))


def discovery_rate(curve: NDArray[np.int64], window: int) -> float:
    """New cells per 1,000 steps over the last ``window`` steps of a curve (N, 2) of (steps, cells)."""
    if len(curve) < 2:
        return float("inf")
    start = int(np.searchsorted(curve[:, 0], curve[-1, 0] - window, side="right")) - 1
    steps, cells = curve[-1] - curve[max(start, 0)]
    return float(1000 * cells / max(int(steps), 1))
