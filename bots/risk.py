"""How likely an unseen violation still is: bounds from independent episodes. Pure functions.

The unit is the episode, never the step or the frame: the steps of one episode depend on one another, so
counting them as independent makes every estimate too good (Böhme, Liyanage, Wüstholz, "Estimating residual
risk in greybox fuzzing", ESEC/FSE 2021, show the same for adaptive search). All limits are one-sided, and
hold for the player model that the episodes were drawn from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import beta, binom

CONFIDENCE = 0.95


def clopper_pearson_upper(hits: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Exact upper limit of a probability after ``hits`` in ``trials`` (Clopper and Pearson, Biometrika 1934).

    1.0 with no trials. Raises ValueError unless 0 <= hits <= trials and 0 < confidence < 1.
    """
    if not (0 <= hits <= trials and 0 < confidence < 1):
        raise ValueError(f"hits={hits} must be 0..trials={trials}, confidence={confidence} between 0 and 1")
    return 1.0 if hits == trials else float(beta.ppf(confidence, hits + 1, trials - hits))


def violation_bound(episodes: int, recall: float = 1.0, confidence: float = CONFIDENCE) -> float:
    """Upper limit of the share of episodes that show a violation, when none was found in ``episodes``.

    An episode with a violation is reported with probability ``recall``, so what was seen limits p * recall
    (a thinned binomial); with no hit Clopper-Pearson is 1 - (1 - confidence)^(1/n). 1.0 with no episodes.
    Raises ValueError unless 0 < recall <= 1.
    """
    if not 0 < recall <= 1:
        raise ValueError(f"recall={recall} must be over 0 and at most 1")
    return min(1.0, clopper_pearson_upper(0, episodes, confidence) / recall)


def episodes_needed(bound: float, recall: float = 1.0, confidence: float = CONFIDENCE) -> int:
    """Fewest clean episodes that bring :func:`violation_bound` down to ``bound``, between 0 and 1."""
    if not 0 < bound < 1:
        raise ValueError(f"bound={bound} must be between 0 and 1")
    return math.ceil(math.log(1 - confidence) / math.log1p(-bound * recall))


def mean_upper(values: NDArray[np.float64], confidence: float = CONFIDENCE) -> float:
    """Upper limit of the mean of independent values in 0..1, without assuming their distribution.

    The Hoeffding-Bentkus bound (Bates, Angelopoulos, Lei, Malik, Jordan, "Distribution-free, risk-controlling
    prediction sets", J. ACM 2021, section 3.1.1): the smaller of Hoeffding's tight tail and Bentkus's.
    """
    n = len(values)
    if n == 0:
        return 1.0
    mean, alpha = float(np.mean(values)), 1 - confidence

    def excess(limit: float) -> float:
        bentkus = math.e * float(binom.cdf(math.ceil(n * mean - 1e-9), n, limit))
        return min(_hoeffding(mean, limit, n), bentkus) - alpha

    high = 1 - 1e-9
    return 1.0 if mean >= high or excess(high) > 0 else float(brentq(excess, mean, high))


def _hoeffding(mean: float, limit: float, n: int) -> float:
    """P(mean of n <= ``mean``) at most exp(-n KL(mean, limit)), for a true mean of ``limit``."""
    a = min(mean, limit)
    divergence = (1 - a) * math.log((1 - a) / (1 - limit))
    if a > 0:
        divergence += a * math.log(a / limit)
    return math.exp(-n * divergence)


@dataclass(frozen=True)
class UnseenMass:
    """What a further episode of the same player would show that nothing before has shown."""

    episodes: int
    steps: float
    """Good-Turing estimate: the share of its steps, 0..1."""
    steps_upper: float
    """Upper 95 % limit of that."""
    incidence: float
    """The share of episodes that show anything unseen at all, 0..1."""
    incidence_upper: float


def unseen_mass(episodes: Sequence[NDArray[np.int64]], known: Iterable[int] = ()) -> UnseenMass:
    """Good-Turing over whole episodes: each one is asked what it showed that no other one did.

    ``episodes`` hold the cell of each step, of independent episodes of one frozen player; ``known`` are cells
    that were seen besides, fixed before these episodes began (the search arm's).

    Good, "The population frequencies of species and the estimation of population parameters" (Biometrika
    1953), takes the share of singletons for the unseen mass, which is to leave each draw out and ask whether
    the others hold it. Here a draw is an episode, which keeps the estimate honest when steps depend on one
    another: its mean is exactly what n - 1 episodes leave unseen, so a little too high for n. The limits
    treat the n answers as independent, which they are but for the cells that only a few episodes share.
    """
    n = len(episodes)
    if n == 0:
        return UnseenMass(0, 1.0, 1.0, 1.0, 1.0)
    fixed = np.unique(np.fromiter(known, dtype=np.int64))
    holders = Counter(cell for episode in episodes for cell in np.unique(episode).tolist())
    single = np.array(sorted(cell for cell, count in holders.items() if count == 1), dtype=np.int64)
    unseen = np.setdiff1d(single, fixed)
    shares = np.array([float(np.isin(e, unseen).mean()) if len(e) else 0.0 for e in episodes])
    hits = int((shares > 0).sum())
    return UnseenMass(n, float(shares.mean()), mean_upper(shares), hits / n, clopper_pearson_upper(hits, n))
