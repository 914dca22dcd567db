"""Figures of a classifier from scores and truths, without any model: pure functions of arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Z95 = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""
BINS = 10
"""Of a reliability diagram."""


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Interval of a share, 0..1; (0, 1) after no trial.

    E. B. Wilson, Journal of the American Statistical Association 22 (1927): unlike the normal
    approximation it holds for few trials and for shares of nearly 0 or 1.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must be within 0..{trials}, not {successes}")
    if trials == 0:
        return 0.0, 1.0
    share, spread = successes / trials, z * z / trials
    middle = share + spread / 2
    half = z * sqrt(share * (1 - share) / trials + spread / (4 * trials))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    # rounding: exactly 0 after no success and 1 after nothing else
    return (0.0 if successes == 0 else low), (1.0 if successes == trials else high)


@dataclass(frozen=True)
class Share:
    """A share with its Wilson interval at 95 %, each 0..1."""

    hits: int
    of: int
    low: float = field(init=False)
    high: float = field(init=False)

    def __post_init__(self) -> None:
        low, high = wilson(self.hits, self.of)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def as_json(self) -> dict[str, float | None]:
        """With the share itself, None of nothing."""
        return {**asdict(self), "share": self.hits / self.of if self.of else None}

    def __str__(self) -> str:
        if not self.of:
            return "-"
        return f"{self.hits / self.of:.0%} ({self.low:.0%}-{self.high:.0%}) of {self.of}"


def auroc(scores: ArrayLike, truth: ArrayLike) -> float | None:
    """Probability that a positive scores above a negative, ties counting half (Mann-Whitney).

    None without both kinds. ``scores`` and ``truth`` are (N,).
    """
    from scipy.stats import rankdata

    values, positive = _checked(scores, truth)
    many, few = int(positive.sum()), int((~positive).sum())
    if not many or not few:
        return None
    ranks = rankdata(values)
    return float((ranks[positive].sum() - many * (many + 1) / 2) / (many * few))


@dataclass(frozen=True)
class PrecisionRecall:
    """One point for each threshold, the highest first: items that score at least that are flagged."""

    thresholds: Floats
    precision: Floats
    recall: Floats


def precision_recall(scores: ArrayLike, truth: ArrayLike) -> PrecisionRecall:
    """The curve over (N,) scores, of which at least one must be of a positive."""
    values, positive = _checked(scores, truth)
    if not positive.any():
        raise ValueError("without a positive there is no recall")
    order = np.argsort(-values, kind="stable")
    values, hits = values[order], np.cumsum(positive[order])
    last = np.append(values[1:] != values[:-1], True)  # equal scores are flagged together
    flagged = np.flatnonzero(last) + 1
    return PrecisionRecall(values[last], hits[last] / flagged, hits[last] / hits[-1])


def average_precision(scores: ArrayLike, truth: ArrayLike) -> float | None:
    """Area under the precision-recall steps, not interpolated; None without a positive."""
    if not np.asarray(truth, bool).any():
        return None
    curve = precision_recall(scores, truth)
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision))


@dataclass(frozen=True)
class Reliability:
    """For each bin of equal width that holds anything: mean score, share of positives, number of items."""

    scores: Floats
    shares: Floats
    counts: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of score and share, by items (Naeini et al. 2015)."""
        return float(np.average(np.abs(self.scores - self.shares), weights=self.counts))


def reliability(scores: ArrayLike, truth: ArrayLike, bins: int = BINS) -> Reliability:
    """Scores (N,) within 0..1 against how often they were right."""
    values, positive = _checked(scores, truth)
    if not len(values):
        raise ValueError("there is no score to compare")
    if values.min() < 0 or values.max() > 1:
        raise ValueError(f"scores must be within 0..1, not {values.min():.3g} to {values.max():.3g}")
    which = np.minimum((values * bins).astype(np.int64), bins - 1)
    counts = np.bincount(which, minlength=bins)
    held = counts > 0
    means = np.bincount(which, values, bins)[held] / counts[held]
    shares = np.bincount(which, positive, bins)[held] / counts[held]
    return Reliability(means, shares, counts[held])


def _checked(scores: ArrayLike, truth: ArrayLike) -> tuple[Floats, Bools]:
    values, positive = np.asarray(scores, np.float64), np.asarray(truth, np.bool_)
    if values.shape != positive.shape or values.ndim != 1:
        raise ValueError(f"scores {values.shape} and truth {positive.shape} must be one row of equal length")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite")
    return values, positive
