"""How likely an unseen violation still is: bounds from independent episodes. Pure functions.

The unit is the episode, never the step or the frame: the steps of one episode depend on one another, so
counting them as independent makes every estimate too good (Böhme, Liyanage, Wüstholz, "Estimating residual
risk in greybox fuzzing", ESEC/FSE 2021, show the same for adaptive search). All limits are one-sided, and
hold for the player model that the episodes were drawn from.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RECALL_SHARE = 0.2
"""Share of the allowed error that goes to the limits of measured recalls. Fixed, for a share chosen by what
was found would void the confidence; a fifth is near the best for some 20 to 200 labelled items."""


def clopper_pearson_upper(hits: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Exact upper limit of a probability after ``hits`` in ``trials`` (Clopper and Pearson, Biometrika 1934).

    1.0 with no trials. Raises ValueError unless 0 <= hits <= trials and 0 < confidence < 1.
    """
    if not (0 <= hits <= trials and 0 < confidence < 1):
        raise ValueError(f"hits={hits} must be 0..trials={trials}, confidence={confidence} between 0 and 1")
    from scipy.stats import beta  # takes long to import, and a server that starts needs none of it

    return 1.0 if hits == trials else float(beta.ppf(confidence, hits + 1, trials - hits))


def clopper_pearson_lower(hits: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Exact lower limit of a probability; the counterpart of :func:`clopper_pearson_upper`, 0.0 untried."""
    return 1.0 - clopper_pearson_upper(trials - hits, trials, confidence)


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


@dataclass(frozen=True)
class Labelled:
    """A recall known only from ``found`` of ``positives`` independent items that hold a violation."""

    found: int
    positives: int


Recall: TypeAlias = float | Labelled
"""Share 0..1 of the episodes with a violation in which it is reported: taken as known, or as counted."""


@dataclass(frozen=True)
class JointBound:
    """Limits that all hold at once, with the confidence of the whole."""

    episodes: int
    flagged: int
    """Episodes in which any kind was reported."""
    any: float
    """Upper limit 0..1 of the share of episodes that show a violation of any kind."""
    kinds: dict[str, float]
    """The same of each kind."""
    recalls: dict[str, float]
    """What each was divided by: the recall, or its lower limit where it was counted."""


def joint_bound(
    episodes: int, recalls: Mapping[str, Recall], flagged: int = 0, confidence: float = CONFIDENCE
) -> JointBound:
    """Limits on violations of several kinds, each with the recall of its own detector, all at once.

    One count carries them all: an episode in which any kind is reported is flagged, with probability q.
    A kind k that shows with probability p_k is reported with p_k * r_k, and whatever is reported flags, so
    p_k <= q / r_k; and q >= p_any * min(r), as long as a detector finds its kind as often when an episode
    shows others besides. So the Clopper-Pearson limit of q implies every other one, however the kinds depend
    on one another, and no confidence is split between them. False alarms only make the limits wider.

    Where recalls were counted, ``RECALL_SHARE`` of the allowed error is split evenly over their exact lower
    limits and q has the rest (Bonferroni). Raises ValueError without kinds, or for an impossible recall.
    """
    if not recalls:
        raise ValueError("no kinds of violation to bound")
    counted = sum(isinstance(recall, Labelled) for recall in recalls.values())
    error = (1 - confidence) * (RECALL_SHARE if counted else 0.0)
    taken = {kind: _taken(kind, recall, error / max(counted, 1)) for kind, recall in recalls.items()}
    shown = clopper_pearson_upper(flagged, episodes, confidence + error)
    kinds = {kind: min(1.0, shown / recall) if recall > 0 else 1.0 for kind, recall in taken.items()}
    return JointBound(episodes, flagged, max(kinds.values()), kinds, taken)


def _taken(kind: str, recall: Recall, error: float) -> float:
    if isinstance(recall, Labelled):
        return clopper_pearson_lower(recall.found, recall.positives, 1 - error)
    if not 0 < recall <= 1:
        raise ValueError(f"recall={recall} of {kind} must be over 0 and at most 1")
    return recall


def mean_upper(values: NDArray[np.float64], confidence: float = CONFIDENCE) -> float:
    """Upper limit of the mean of independent values in 0..1, without assuming their distribution.

    The Hoeffding-Bentkus bound (Bates, Angelopoulos, Lei, Malik, Jordan, "Distribution-free, risk-controlling
    prediction sets", J. ACM 2021, section 3.1.1): the smaller of Hoeffding's tight tail and Bentkus's.
    """
    from scipy.optimize import brentq
    from scipy.stats import binom

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
    surprises: int
    """Episodes that showed something which was not known before any of them."""
    steps: float
    """Good-Turing estimate: the share of its steps, 0..1."""
    steps_upper: float
    """Upper 95 % limit of that."""
    incidence: float
    """Good-Turing estimate: the share of episodes that show anything unseen at all, 0..1."""
    incidence_upper: float
    """Exact upper 95 % limit of that."""


def unseen_mass(episodes: Sequence[NDArray[np.int64]], known: Iterable[int] = ()) -> UnseenMass:
    """What is still unseen, estimated by Good-Turing over whole episodes and limited by what surprised.

    ``episodes`` hold the cell of each step, of independent episodes of one frozen player; ``known`` are cells
    that were seen besides, fixed before these episodes began (the search arm's).

    Good, "The population frequencies of species and the estimation of population parameters" (Biometrika
    1953), takes the share of singletons for the unseen mass, which is to leave each draw out and ask whether
    the others hold it. Here a draw is an episode, which keeps the estimate honest when steps depend on one
    another: its mean is exactly what n - 1 episodes leave unseen, so a little too high for n.

    The limits do not rest on that estimate, whose answers depend on one another: its error is wider than a
    binomial's (Robbins, "Estimating the total probability of the unobserved outcomes of an experiment",
    Ann. Math. Statist. 1968; Esty, Ann. Statist. 1983), so Clopper-Pearson on it misses the truth too often,
    as ``benchmarks/bounds.py`` shows. They ask each episode what it showed beyond ``known``, which no episode
    had a part in: independent answers, hence exact limits, on the safe side by what the episodes themselves
    have since added to what is known. With nothing known they say nothing.
    """
    n = len(episodes)
    if n == 0:
        return UnseenMass(0, 0, 1.0, 1.0, 1.0, 1.0)
    fixed = np.unique(np.fromiter(known, dtype=np.int64))
    holders = Counter(cell for episode in episodes for cell in np.unique(episode).tolist())
    single = np.array(sorted(cell for cell, count in holders.items() if count == 1), dtype=np.int64)
    estimated = _shares(episodes, lambda cells: np.isin(cells, np.setdiff1d(single, fixed)))
    beyond = _shares(episodes, lambda cells: ~np.isin(cells, fixed))
    surprises = int((beyond > 0).sum())
    return UnseenMass(
        episodes=n,
        surprises=surprises,
        steps=float(estimated.mean()),
        steps_upper=mean_upper(beyond),
        incidence=float((estimated > 0).mean()),
        incidence_upper=clopper_pearson_upper(surprises, n),
    )


def _shares(
    episodes: Sequence[NDArray[np.int64]], unseen: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """Share of each episode's steps that are ``unseen``."""
    return np.array([float(unseen(cells).mean()) if len(cells) else 0.0 for cells in episodes])
