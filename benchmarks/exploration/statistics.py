"""What runs come to: recall, Kaplan-Meier curves, and differences paired by world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import CensoredData, ecdf

from bots.compare import mean_interval

SHARES = (0.10, 0.25, 0.50, 1.00)
"""Of the budget, at which recall is told."""


@dataclass(frozen=True)
class Run:
    """One strategy on one bad world with one seed. A run ends when the planted thing is reached."""

    strategy: str
    world: str
    tier: int
    seed: int
    budget: int
    """Steps."""
    steps: int
    seconds: float
    """Played, both."""
    first_steps: int | None
    """Until the planted thing was first reached, None where it was not within the budget."""
    first_seconds: float | None

    @property
    def whole_seconds(self) -> float:
        """What the whole budget takes, at the rate of what was played."""
        return self.seconds * self.budget / max(self.steps, 1)

    def within(self, steps: float) -> bool:
        return self.first_steps is not None and self.first_steps <= steps

    def within_seconds(self, seconds: float) -> bool:
        return self.first_seconds is not None and self.first_seconds <= seconds


@dataclass(frozen=True)
class Interval:
    """A mean difference and its bootstrap interval, NaN where there are too few worlds for one."""

    mean: float
    low: float
    high: float
    worlds: int


@dataclass(frozen=True)
class Survival:
    """Share of runs that have not reached yet, as steps down at ``times``."""

    times: NDArray[np.float64]
    waiting: NDArray[np.float64]

    @property
    def median(self) -> float:
        """Time by which half have reached; inf where that is beyond what was played."""
        half = np.flatnonzero(self.waiting <= 0.5)
        return float(self.times[half[0]]) if len(half) else float("inf")


def recall(runs: Sequence[Run], share: float = 1.0) -> float:
    """Share of runs that reached within a share of the budget; NaN of no runs."""
    return float(np.mean([run.within(share * run.budget) for run in runs])) if runs else float("nan")


def kaplan_meier(runs: Iterable[Run], *, seconds: bool = False) -> Survival:
    """Time to the first reach, runs that did not reach censored where they ended.

    Kaplan, Meier, "Nonparametric estimation from incomplete observations" (JASA 1958), by SciPy.
    """
    reached, censored = [], []
    for run in runs:
        first = run.first_seconds if seconds else run.first_steps
        if first is None:
            censored.append(run.seconds if seconds else run.steps)
        else:
            reached.append(first)
    if not reached:
        return Survival(np.zeros(1), np.ones(1))
    survival = ecdf(CensoredData(uncensored=reached, right=censored)).sf
    return Survival(np.asarray(survival.quantiles, float), np.asarray(survival.probabilities, float))


def difference(
    one: Sequence[Run], other: Sequence[Run], value: Callable[[Run, Run], tuple[float, float]]
) -> Interval:
    """Mean over worlds of ``value`` of the first less the second strategy, their seeds paired.

    The interval is of the percentile bootstrap over worlds (Efron 1979): seeds of a world are no sample of
    worlds.
    """
    partners = {(run.world, run.seed): run for run in other}
    by_world: dict[str, list[float]] = {}
    for run in one:
        partner = partners.get((run.world, run.seed))
        if partner is not None:
            mine, theirs = value(run, partner)
            by_world.setdefault(run.world, []).append(mine - theirs)
    means = np.array([np.mean(values) for values in by_world.values()])
    if len(means) < 2:
        return Interval(
            float(means.mean()) if len(means) else float("nan"), float("nan"), float("nan"), len(means)
        )
    return Interval(float(means.mean()), *mean_interval(means), len(means))


def at_equal_steps(one: Run, other: Run) -> tuple[float, float]:
    """Whether each reached within the budget of steps."""
    return float(one.within(one.budget)), float(other.within(other.budget))


def at_equal_time(one: Run, other: Run) -> tuple[float, float]:
    """Whether each reached within the time that the faster of the two needs for its budget of steps."""
    limit = min(one.whole_seconds, other.whole_seconds)
    return float(one.within_seconds(limit)), float(other.within_seconds(limit))
