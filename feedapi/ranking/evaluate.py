"""What another ranking would have earned, from what the present one showed: off-policy evaluation.

Every shown item has a propensity: the probability with which the ranking that logged it put it on its page.
Items that another ranking would show more often count more (inverse propensity scoring: Horvitz and Thompson
1952; self-normalised, SNIPS: Swaminathan and Joachims, NIPS 2015). The unit is an item on a page, whatever
stands beside it (the item-position model of Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay, Wen, "Offline
evaluation of ranking policies with click models", KDD 2018). Intervals are bootstrapped over players, whose
sessions hang together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from feedapi.ranking.signals import Indices, Numbers

RESAMPLES = 1000
Statistic: TypeAlias = Callable[[Numbers], Numbers]
"""From sums (R, 4) of items, rewards, weights and weighted rewards to R values."""


class NothingLogged(ValueError):
    """There is nothing to evaluate from; the message says what is missing."""


@dataclass(frozen=True)
class Logged:
    """Columns (I,): items that players saw."""

    player: Indices
    reward: Numbers
    """Probability 0..1 that it led to a good session; 0 where it was not played."""
    propensity: Numbers
    """Of the ranking that showed it."""
    target: Numbers
    """Of the ranking that is judged, for the same item on the same page."""


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval of 95 %."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Judgement:
    """Good sessions per item that is seen."""

    logged: Estimate
    """What happened."""
    ips: Estimate
    snips: Estimate
    gain: Estimate
    """SNIPS less what happened."""
    effective: float
    """Items that the weights leave (Kish 1965); few say that the rankings differ too much to judge."""
    items: int
    players: int


def judge(logged: Logged, seed: int = 0) -> Judgement:
    """Raises NothingLogged where nothing was seen, or nothing that the other ranking would show."""
    if not len(logged.reward):
        raise NothingLogged("no item of the feed was seen: let clients send `seen` interactions first")
    weight = logged.target / logged.propensity
    if not weight.any():
        raise NothingLogged("the other ranking would show none of what was seen: it cannot be judged by it")
    _, cluster = np.unique(logged.player, return_inverse=True)
    # One row per player: a bootstrap over players adds up the rows it draws.
    columns = (np.ones_like(weight), logged.reward, weight, weight * logged.reward)
    players = np.stack([np.bincount(cluster, column) for column in columns], axis=1).astype(np.float64)
    resampled = _resampled(players, seed)
    return Judgement(
        logged=_estimate(players, resampled, _happened),
        ips=_estimate(players, resampled, _ips),
        snips=_estimate(players, resampled, _snips),
        gain=_estimate(players, resampled, lambda sums: _snips(sums) - _happened(sums)),
        effective=float(weight.sum() ** 2 / (weight**2).sum()),
        items=len(weight),
        players=len(players),
    )


def _resampled(players: Numbers, seed: int) -> Numbers:
    """(RESAMPLES, 4) sums over players that are drawn with replacement."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(players), np.full(len(players), 1 / len(players)), RESAMPLES)
    return np.asarray(counts @ players)


def _happened(sums: Numbers) -> Numbers:
    return np.asarray(sums[:, 1] / sums[:, 0])


def _ips(sums: Numbers) -> Numbers:
    return np.asarray(sums[:, 3] / sums[:, 0])


def _snips(sums: Numbers) -> Numbers:
    weighted = sums[:, 2]
    return np.asarray(np.divide(sums[:, 3], weighted, out=np.zeros_like(weighted), where=weighted > 0))


def _estimate(players: Numbers, resampled: Numbers, statistic: Statistic) -> Estimate:
    low, high = np.quantile(statistic(resampled), [0.025, 0.975])
    mean = statistic(players.sum(axis=0, keepdims=True))[0]
    return Estimate(float(mean), float(low), float(high))
