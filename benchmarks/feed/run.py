"""Runs a market under a ranking, with or without an attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from benchmarks.feed.market import HOUR, Market, Memory, attention, visit
from feedapi.ranking.rank import Settings, draw
from feedapi.ranking.signals import Indices, Numbers

ROUNDS, VISITS = 150, 60
"""A round is an hour, with one ranking."""
SERVED = Settings(pages=2)
Ranker: TypeAlias = Callable[[Memory, Indices, float, np.random.Generator], Indices]
Attack: TypeAlias = Callable[[Memory, Indices, float, np.random.Generator], None]
"""Gets what is shown, and plays."""


@dataclass(frozen=True)
class Outcome:
    """Of one run."""

    regret: Numbers
    """(ROUNDS,) good sessions missed per visit, in expectation."""
    seen: Numbers
    """(W,) how often each world was looked at."""
    coverage: float
    """Share of worlds that anybody looked at."""
    gini: float
    """Of how often worlds were looked at: 0 all alike, 1 one world only."""


def ours(memory: Memory, open_worlds: Indices, now: float, rng: np.random.Generator) -> Indices:
    """The ranking of the feed."""
    return open_worlds[draw(memory.arms(open_worlds, now), SERVED, rng)]


def thompson(memory: Memory, open_worlds: Indices, now: float, rng: np.random.Generator) -> Indices:
    """Ours without families, author decay, slots for new worlds and diversity."""
    plain = Settings(pages=2, new_share=0, author_decay=1, diversity=0)
    return open_worlds[draw(memory.arms(open_worlds, now, apart=True), plain, rng)]


def popular(memory: Memory, open_worlds: Indices, _now: float, rng: np.random.Generator) -> Indices:
    """What was played most; ties at random."""
    order = np.lexsort([rng.random(len(open_worlds)), -memory.plays[open_worlds]])
    return open_worlds[order[:40]]


def uniform(_memory: Memory, open_worlds: Indices, _now: float, rng: np.random.Generator) -> Indices:
    """Anything."""
    return rng.permutation(open_worlds)[:40]


RANKERS: dict[str, Ranker] = {"ours": ours, "popular": popular, "uniform": uniform, "thompson": thompson}


def play(market: Market, ranker: Ranker, seed: int, attack: Attack | None = None) -> Outcome:
    """One market under one ranking."""
    memory, liked = Memory(market), market.liked()
    seen, regret = np.zeros(len(liked)), np.zeros(ROUNDS)
    for each in range(ROUNDS):
        rng = np.random.default_rng([seed, each])
        now = each * HOUR
        open_worlds = np.flatnonzero(market.published <= now)
        page = ranker(memory, open_worlds, now, rng)
        best = np.sort(liked[open_worlds])[::-1][: len(page)]
        regret[each] = attention(len(page)) @ (best - liked[page])
        for _ in range(VISITS):
            user, looked, played, good = visit(market, page, rng)
            seen[looked] += 1
            for world, was_good in zip(played, good, strict=True):
                memory.play(int(world), user, now, bool(was_good), rng)
        if attack is not None:
            attack(memory, page, now, np.random.default_rng([seed, each, 1]))
    ever = market.published <= ROUNDS * HOUR
    return Outcome(regret, seen, float((seen[ever] > 0).mean()), gini(seen[ever]))


def gini(values: Numbers) -> float:
    """0 for all alike, near 1 where one has all."""
    ranked = np.sort(values)
    n = len(ranked)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ranked / (n * ranked.sum()))
