"""What is known of each arm (a world, or a spawn point of one): a Beta posterior of a good session.

Old sessions fade, so that a world can change its standing (discounted Thompson sampling: Raj and Kalyani,
"Taming non-stationary bandits", 2017). The prior of a world is its creator's record, drawn to the rate of all
worlds; neither depends on how old the world is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedapi.ranking import signals
from feedapi.ranking.signals import Indices, Numbers, Sessions

HALF_LIFE = 14 * 24 * 3600.0
"""Seconds after which a session counts half."""
WORLD_PRIOR = 4.0
"""Sessions for which the creator's record counts in a world's posterior."""
CREATOR_PRIOR = 20.0
"""Sessions for which all worlds count in a creator's record."""
SPAWN_PRIOR = 6.0
"""Sessions for which the whole world counts in the posterior of one of its spawn points."""
SPAWN_DRAWS = 200
OVERALL = 0.5
"""Rate of good sessions that is assumed for :data:`CREATOR_PRIOR` sessions before anybody has played."""


@dataclass(frozen=True)
class Evidence:
    """Columns (A,): discounted good and bad sessions of each arm."""

    good: Numbers
    bad: Numbers

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(self.good + other.good, self.bad + other.bad)

    @property
    def sessions(self) -> Numbers:
        return self.good + self.bad

    def pooled(self, group: Indices, groups: int) -> Evidence:
        """By group (G,) of arms."""
        return Evidence(_added(group, self.good, groups), _added(group, self.bad, groups))


@dataclass(frozen=True)
class Posterior:
    """Columns (A,): Beta distributions."""

    alpha: Numbers
    beta: Numbers

    @property
    def mean(self) -> Numbers:
        return np.asarray(self.alpha / (self.alpha + self.beta))

    @property
    def deviation(self) -> Numbers:
        total = self.alpha + self.beta
        return np.asarray(np.sqrt(self.alpha * self.beta / (total**2 * (total + 1))))

    def draw(self, rng: np.random.Generator) -> Numbers:
        """(A,) one sample of each arm."""
        return np.asarray(rng.beta(self.alpha, self.beta))


@dataclass(frozen=True)
class Votes:
    """Columns (S,): what each counted session says."""

    world: Indices
    spawn: Indices
    good: Numbers
    """Probability 0..1 that it was good."""
    weight: Numbers
    """For how many sessions it counts, by who played and how long ago."""

    def of_worlds(self, worlds: int) -> Evidence:
        """Of ``worlds`` worlds."""
        return self._of(self.world, worlds, slice(None))

    def of_spawns(self) -> dict[int, Evidence]:
        """By world that was played, of its spawn points from 0."""
        order = np.argsort(self.world, kind="stable")
        worlds, starts = np.unique(self.world[order], return_index=True)
        found: dict[int, Evidence] = {}
        for world, start, stop in zip(worlds, starts, np.append(starts[1:], len(order)), strict=False):
            rows = order[start:stop]
            found[int(world)] = self._of(self.spawn[rows], int(self.spawn[rows].max()) + 1, rows)
        return found

    def _of(self, arm: Indices, arms: int, rows: Indices | slice) -> Evidence:
        good, weight = self.good[rows], self.weight[rows]
        return Evidence(_added(arm, weight * good, arms), _added(arm, weight * (1 - good), arms))


def votes(sessions: Sessions, worlds: int, now: float) -> Votes:
    """What sessions of ``worlds`` worlds say at a time (seconds since 1970)."""
    kept = sessions.where(signals.counted(sessions))
    good = signals.good(kept, signals.expectations(kept, worlds))
    fading = np.exp2(-np.maximum(now - kept.at, 0) / HALF_LIFE)
    return Votes(kept.world, kept.spawn, good, signals.weights(kept) * fading)


def world_prior(of_worlds: Evidence, creator: Indices) -> Numbers:
    """(W,) mean of each world's prior: what the creator's *other* worlds got, drawn to that of all worlds."""
    rate = overall_rate(of_worlds)
    of_creators = of_worlds.pooled(creator, int(creator.max(initial=-1)) + 1)
    good = of_creators.good[creator] - of_worlds.good
    bad = of_creators.bad[creator] - of_worlds.bad
    return np.asarray((good + CREATOR_PRIOR * rate) / (good + bad + CREATOR_PRIOR))


def overall_rate(of_worlds: Evidence) -> float:
    """Rate of good sessions in all worlds."""
    good, everything = float(of_worlds.good.sum()), float(of_worlds.sessions.sum())
    return (good + OVERALL * CREATOR_PRIOR) / (everything + CREATOR_PRIOR)


def posterior(of_arms: Evidence, prior: Numbers, strength: float = WORLD_PRIOR) -> Posterior:
    """``prior`` (A,) is a mean 0..1, worth ``strength`` sessions."""
    kept = np.clip(prior, 0.01, 0.99)
    return Posterior(of_arms.good + strength * kept, of_arms.bad + strength * (1 - kept))


def choose_spawn(
    good: NDArray[np.float64], bad: NDArray[np.float64], world_mean: float, rng: np.random.Generator
) -> tuple[int, float]:
    """Where to let the next player start: Thompson sampling over a world's spawn points (P,).

    With it comes the probability of that choice, estimated as :func:`feedapi.ranking.rank.rank` does for
    worlds: from :data:`SPAWN_DRAWS` more draws, the one that counts being one of them.
    """
    known = posterior(Evidence(good, bad), np.full(len(good), world_mean), SPAWN_PRIOR)
    drawn = rng.beta(known.alpha, known.beta, (SPAWN_DRAWS + 1, len(good))).argmax(axis=1)
    return int(drawn[0]), float((drawn == drawn[0]).mean())


def _added(group: Indices, values: Numbers, groups: int) -> Numbers:
    return np.bincount(group, values, groups).astype(np.float64)
