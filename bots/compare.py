"""Which explorers find more after a return: paired runs of the search arm on worlds nobody trained on.

Every arm plays the same worlds with the same seeds and the same budget, on the simulator; only who explores
after a return to the archive differs. Intervals are bootstrapped over worlds, seeds averaged within a world
(Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bots.cells import Mark
from bots.exploration import Budget
from bots.generalist import Generalist
from bots.players import Player, StickyRandom
from bots.search import EXPLORERS, Search
from bots.worlds import EVALUATION_NUMBERS, generated_world
from worldmodel.constants import Event
from worldmodel.simulator import Simulator

Explorers = Sequence[tuple[Player, float]]
RESAMPLES = 10_000
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


@dataclass(frozen=True)
class Row:
    """An arm at a budget: means over worlds, and how far it is ahead of the first arm."""

    arm: str
    budget: int
    metric: str
    mean: float
    """Cells, or the share of what any run found in that world."""
    ahead: float
    low: float
    high: float
    """95 % of the difference to the first arm, paired by world."""
    seconds: float
    """Mean of a run."""


SHARES = (0.25, 0.5, 1.0)
"""Of the generalist among the explorers."""


def arms(player: Player, shares: Sequence[float] = SHARES) -> dict[str, Explorers]:
    """Sticky actions only, the players that write their own rules, and both with the generalist mixed in."""
    scripted = [(p, share) for p, share in EXPLORERS if not isinstance(p, Generalist)]
    mixed = {f"generalist {share:.0%}": mixed_in(scripted, player, share) for share in shares}
    return {"sticky": [(StickyRandom(), 1.0)], "scripted": scripted, **mixed}


def mixed_in(explorers: Explorers, player: Player, share: float) -> Explorers:
    """``player`` with a share 0..1 of the returns, the others with what is left."""
    whole = sum(weight for _, weight in explorers)
    left = [(p, (1 - share) * weight / whole) for p, weight in explorers] if share < 1 else []
    return [*left, (player, share)]


def run(arm: str, explorers: Explorers, number: int, seed: int, budget: int) -> Score:
    """One search over evaluation world ``number``, which ends by its budget only."""
    limits = Budget(search_steps=budget, floor=0.0)
    search = Search(
        Simulator(), generated_world(EVALUATION_NUMBERS + number), limits, seed, explorers=explorers
    )
    began = time.perf_counter()
    while not search.finished:
        search.round()
    archive = search.archive
    return Score(
        arm=arm,
        world=number,
        seed=seed,
        budget=budget,
        cells=len(archive),
        tiles=tuple(np.flatnonzero(archive.visited).tolist()),
        marks=tuple(sorted(code for code in archive.marks if Mark.of(code).event not in MISHAPS)),
        seconds=time.perf_counter() - began,
    )


def compare(
    contenders: dict[str, Explorers],
    worlds: Sequence[int],
    seeds: Sequence[int],
    budgets: Sequence[int],
    report: Callable[[Score], None],
) -> list[Score]:
    """Every arm on every world with every seed and budget."""
    scores = []
    for number in worlds:
        for budget in budgets:
            for seed in seeds:
                for arm, explorers in contenders.items():
                    score = run(arm, explorers, number, seed, budget)
                    report(score)
                    scores.append(score)
    return scores


def table(scores: Sequence[Score]) -> list[Row]:
    """Means and paired differences. What any run found in a world stands for what there is to be found."""
    names = list(dict.fromkeys(score.arm for score in scores))
    rows = []
    for budget in sorted({score.budget for score in scores}):
        chosen = [score for score in scores if score.budget == budget]
        for metric in METRICS:
            values = {name: _by_world(chosen, scores, name, metric) for name in names}
            for name in names:
                spent = float(np.mean([score.seconds for score in chosen if score.arm == name]))
                ahead, low, high = _ahead(values[name] - values[names[0]])
                rows.append(Row(name, budget, metric, float(values[name].mean()), ahead, low, high, spent))
    return rows


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


def _ahead(differences: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean and its 95 % percentile interval."""
    mean = float(differences.mean())
    drawn = np.random.default_rng(0).integers(0, len(differences), (RESAMPLES, len(differences)))
    low, high = np.quantile(differences[drawn].mean(1), [0.025, 0.975])
    return mean, float(low), float(high)


def save(scores: Sequence[Score], rows: Sequence[Row], path: Path) -> None:
    """The table and every run, as JSON."""
    runs: list[dict[str, Any]] = [
        {**asdict(score), "tiles": len(score.tiles), "marks": [Mark.of(code).label for code in score.marks]}
        for score in scores
    ]
    document = {"rows": [asdict(row) for row in rows], "runs": runs}
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
