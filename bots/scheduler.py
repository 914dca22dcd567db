"""One scheduler over the arms of the search: who plays how many rows of the next batch.

A bandit over a sliding window, since what an arm finds falls as the world is explored: the index is the
gain per cost within the window and its deviation, as in SW-UCB (Garivier, Moulines, "On Upper-Confidence
Bound Policies for Switching Bandit Problems", ALT 2011), with the deviation of a count for that of a bounded
reward. All rows of a batch are dealt out before any of them plays, so rows go to the arms in proportion to
prior share times index rather than all to the greatest, and every arm keeps a floor. With nothing learned
the shares are the prior's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """Somebody who can play rows of a batch."""

    name: str
    share: float
    """Of the rows, before anything is learned; all arms' are put in proportion."""
    price: float = 1.0
    """Cost of a step, in steps of a player that goes by rules: fixed, so that a search can be repeated."""


@dataclass(frozen=True)
class SchedulerConfig:
    """What is left to choose."""

    window: int = 8
    """Rounds."""
    floor: float = 0.01
    """Least share of each arm that can play."""
    trust: float = 10_000
    """Cost that an arm's gain is mixed with at the mean rate, so that a few lucky rows do not decide."""
    boldness: float = 1.0
    """Weight of the deviation."""
    keenness: float = 1.0
    """Power of the index: 0 leaves the prior shares as they are."""


@dataclass
class Scheduler:
    """Deals out rows, and learns from what came of them."""

    arms: Sequence[Arm]
    config: SchedulerConfig = field(default_factory=SchedulerConfig)
    costs: list[list[float]] = field(default_factory=list)
    """Of the rounds in the window, for each arm."""
    gains: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.arms) * self.config.floor > 1:
            raise ValueError(f"{len(self.arms)} arms cannot each have {self.config.floor:g} of the rows")

    def shares(self, able: NDArray[np.bool_] | None = None) -> Floats:
        """(A,) each arm's share of the next batch; 0 for those that are not ``able`` (A,) to play."""
        able = np.ones(len(self.arms), np.bool_) if able is None else able
        prior = np.array([arm.share for arm in self.arms]) * able
        raw = prior * self._index() ** self.config.keenness
        floors = self.config.floor * able
        shares: Floats = floors + (1 - floors.sum()) * raw / raw.sum()
        return shares

    def deal(
        self, rows: int, chance: np.random.Generator, able: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """(rows,) the arm of each row."""
        dealt: NDArray[np.int64] = chance.choice(len(self.arms), size=rows, p=self.shares(able))
        return dealt

    def learn(self, steps: Floats, gains: Floats, extra: Floats | None = None) -> None:
        """After a round: steps (A,) that arms played, what they gained, and what else they cost."""
        prices = np.array([arm.price for arm in self.arms])
        self.costs.append((steps * prices + (0 if extra is None else extra)).tolist())
        self.gains.append(gains.tolist())
        del self.costs[: -self.config.window], self.gains[: -self.config.window]

    def _index(self) -> Floats:
        """(A,) optimistic gain per cost, in means over all arms."""
        if not np.sum(self.gains):
            return np.ones(len(self.arms))
        costs, gains = np.sum(self.costs, axis=0), np.sum(self.gains, axis=0)
        mean, trust = gains.sum() / costs.sum(), self.config.trust
        rate = (gains + trust * mean) / (costs + trust)
        deviation = np.sqrt(mean * np.log(1 + len(self.costs)) / (costs + trust))
        index: Floats = (rate + self.config.boldness * deviation) / mean
        return index
