"""Which explorers find more after a return: paired runs of the search arm on worlds nobody trained on.

Every arm plays the same worlds with the same seeds and the same budget, on the simulator; only who explores
after a return to the archive differs. Intervals are bootstrapped over worlds, seeds averaged within a world
(Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from bots.archive import Archive
from bots.cells import Mark
from bots.exploration import Budget
from bots.players import Player, StickyRandom
from bots.search import SCRIPTED, Explorers, Search, mixed_in
from bots.worlds import EVALUATION_NUMBERS, generated_world
from worldmodel.constants import Event
from worldmodel.simulator import Simulator

RESAMPLES = 10_000
SHARES = (0.25, 0.5, 1.0)
"""Of the generalist among the explorers."""
REFERENCES = ("sticky", "scripted")
METRICS = ("cells", "tiles", "happenings")
MISHAPS = (Event.HURT, Event.DIED)
"""Events that are no discovery."""


@dataclass(frozen=True)
class Score:
    """One run."""

    arm: str
    world: int
    seed: int
    budget: int
    """Steps."""
    cells: int
    tiles: tuple[int, ...]
    """Indices of the tiles that were entered."""
    marks: tuple[int, ...]
    """Codes of what happened (:class:`bots.cells.Mark`), mishaps left out."""
    seconds: float
    """Processor time up to here: other processes on the machine do not count."""


class Difference(NamedTuple):
    """A mean difference and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """An arm at a budget: its mean over worlds, and how far it is ahead of others."""

    arm: str
    budget: int
    metric: str
    mean: float
    """Cells, or the share of what any run found in that world."""
    ahead: dict[str, Difference]
    """Of each reference, paired by world."""
    seconds: float
    """Processor time of a run up to here, mean."""


def arms(player: Player, shares: Sequence[float] = SHARES) -> dict[str, Explorers]:
    """Sticky actions only, the players that go by rules, and those with the generalist mixed in."""
    mixed = {f"generalist {share:.0%}": mixed_in(SCRIPTED, player, share) for share in shares}
    return {"sticky": ((StickyRandom(), 1.0),), "scripted": SCRIPTED, **mixed}


def run(arm: str, explorers: Explorers, number: int, seed: int, budgets: Sequence[int]) -> Iterator[Score]:
    """One search over evaluation world ``number``; what it had found when each of the budgets was spent.

    Personas play from the start for one round only, so that the arms differ in all the rest.
    """
    limits = Budget(search_steps=max(budgets), floor=0.0)
    limits = replace(limits, episode_steps=limits.round_steps)
    world = generated_world(EVALUATION_NUMBERS + number)
    search = Search(Simulator(), world, limits, seed, explorers=explorers)
    began = time.process_time()
    for budget in sorted(budgets):
        while search.steps < budget:
            search.round()
        yield score_of(arm, number, seed, budget, search.archive, time.process_time() - began)


def score_of(arm: str, world: int, seed: int, budget: int, archive: Archive, seconds: float) -> Score:
    """What an archive holds after a budget."""
    return Score(
        arm=arm,
        world=world,
        seed=seed,
        budget=budget,
        cells=len(archive),
        tiles=tuple(np.flatnonzero(archive.visited).tolist()),
        marks=tuple(sorted(code for code in archive.marks if Mark.of(code).event not in MISHAPS)),
        seconds=seconds,
    )


def compare(
    contenders: dict[str, Explorers],
    worlds: Sequence[int],
    seeds: Sequence[int],
    budgets: Sequence[int],
) -> Iterator[Score]:
    """Every arm on every world with every seed, at every budget."""
    for number in worlds:
        for seed in seeds:
            for arm, explorers in contenders.items():
                yield from run(arm, explorers, number, seed, budgets)


def table(scores: Sequence[Score], references: Sequence[str] = REFERENCES) -> list[Row]:
    """Means, and paired differences to the arms ``references``.

    What any run found in a world stands for what there is to be found in it.
    """
    budgets = sorted({score.budget for score in scores})
    return [
        row for budget in budgets for metric in METRICS for row in _rows(scores, budget, metric, references)
    ]


def _rows(scores: Sequence[Score], budget: int, metric: str, references: Sequence[str]) -> Iterator[Row]:
    chosen = [score for score in scores if score.budget == budget]
    names = list(dict.fromkeys(score.arm for score in chosen))
    values = {name: _by_world(chosen, scores, name, metric) for name in names}
    for name in names:
        others = [other for other in references if other in names and other != name]
        yield Row(
            arm=name,
            budget=budget,
            metric=metric,
            mean=float(values[name].mean()),
            ahead={other: _ahead(values[name] - values[other]) for other in others},
            seconds=float(np.mean([score.seconds for score in chosen if score.arm == name])),
        )


def _by_world(chosen: Sequence[Score], scores: Sequence[Score], arm: str, metric: str) -> NDArray[np.float64]:
    """(W,) mean over seeds of an arm, in the worlds' order."""
    worlds = sorted({score.world for score in chosen})
    means = []
    for world in worlds:
        there = _union([score for score in scores if score.world == world], metric)
        own = [s for s in chosen if s.world == world and s.arm == arm]
        means.append(np.mean([_value(score, metric) / there for score in own]))
    return np.array(means)


def _value(score: Score, metric: str) -> int:
    return {"cells": score.cells, "tiles": len(score.tiles), "happenings": len(score.marks)}[metric]


def _union(scores: Sequence[Score], metric: str) -> int:
    if metric == "cells":
        return 1
    sets = [score.tiles if metric == "tiles" else score.marks for score in scores]
    return max(1, len(set().union(*sets)))


def _ahead(differences: NDArray[np.float64]) -> Difference:
    """Of an arm over another, by world (W,)."""
    return Difference(float(differences.mean()), *mean_interval(differences))


def mean_interval(by_world: NDArray[np.float64]) -> tuple[float, float]:
    """Percentile bootstrap interval of 95 % of the mean over worlds (W,); of one world, its own value."""
    if len(by_world) < 2:
        return float(by_world[0]), float(by_world[0])
    rng = np.random.default_rng(0)
    drawn = bootstrap((by_world,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=rng)
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def save(scores: Sequence[Score], rows: Sequence[Row], path: Path) -> None:
    """The table and every run, as JSON."""
    runs: list[dict[str, Any]] = [
        {**asdict(score), "tiles": len(score.tiles), "marks": [Mark.of(code).label for code in score.marks]}
        for score in scores
    ]
    document = {"rows": [asdict(row) for row in rows], "runs": runs}
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
