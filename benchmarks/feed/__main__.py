"""``python -m benchmarks.feed``: see the package's docstring."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.feed.market import HOUR, Market, Memory, market
from benchmarks.feed.run import RANKERS, ROUNDS, Attack, Outcome, Ranker, ours, play, thompson
from bots.compare import mean_interval
from feedapi.ranking.signals import Indices

console = Console()
COPIES, BOTS = 100, 20
ATTACKED = 20
"""Hour in which an attack begins."""
CREATOR = 0
"""Who attacks."""


@dataclass(frozen=True)
class Row:
    """A mean over seeds and its interval."""

    what: str
    mean: float
    low: float
    high: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    tables = measure(given.seeds)
    for title, rows in tables.items():
        table = Table("", "mean", "low", "high", title=title)
        for row in rows:
            table.add_row(row.what, *(f"{value:.4g}" for value in (row.mean, row.low, row.high)))
        console.print(table)
    if given.json:
        told = {title: [asdict(row) for row in rows] for title, rows in tables.items()}
        given.json.write_text(json.dumps({"seeds": given.seeds, "tables": told}, indent=1))


def measure(seeds: int) -> dict[str, list[Row]]:
    """Every table, over so many markets."""
    runs: dict[str, list[Outcome]] = {name: [] for name in RANKERS}
    gains: dict[str, list[float]] = {}
    for seed in track(range(seeds), "markets", console=console):
        here = market(seed)
        for name, ranker in RANKERS.items():
            runs[name].append(play(here, ranker, seed))
        calm = {ours: runs["ours"][-1], thompson: runs["thompson"][-1]}
        for name, gain in attacks(here, seed, calm).items():
            gains.setdefault(name, []).append(gain)
    fair = 1 / len(set(market(0).creator))
    return {
        f"Good sessions missed per visit, by ranking ({ROUNDS} hours)": [
            _row(name, [one.regret.mean() for one in told]) for name, told in runs.items()
        ],
        "Regret of ours less that of others, paired by seed": [
            _row(f"less {name}", _less(runs["ours"], runs[name])) for name in runs if name != "ours"
        ],
        "Share of worlds that anybody saw": [_row(n, [r.coverage for r in t]) for n, t in runs.items()],
        "Gini of what was seen": [_row(n, [r.gini for r in t]) for n, t in runs.items()],
        f"What an attack gains, of all that is seen (one creator's fair share: {fair:.4f})": [
            _row(name, told) for name, told in gains.items()
        ],
    }


def attacks(here: Market, seed: int, calm: dict[Ranker, Outcome]) -> dict[str, float]:
    """What each attack adds to the attacker's share of what is seen."""
    own = int(np.flatnonzero((here.creator == CREATOR) & (here.published < 0))[0])
    others = np.flatnonzero((here.creator != CREATOR) & (here.published < 0))
    theirs = int(others[here.liked()[others].argmax()])
    remixed = here.and_copies(own, CREATOR, COPIES, ATTACKED * HOUR, HOUR / 4)
    copied = here.and_copies(theirs, CREATOR, COPIES, ATTACKED * HOUR, HOUR / 4)

    def gain(attacked: Market, ranker: Ranker, attack: Attack | None = None) -> float:
        return _share(attacked, play(attacked, ranker, seed, attack)) - _share(here, calm[ranker])

    return {
        "remixes": gain(remixed, ours),
        "remixes, plain Thompson sampling": gain(remixed, thompson),
        "copies": gain(copied, ours),
        "copies, plain Thompson sampling": gain(copied, thompson),
        "bots": gain(here, ours, _bots(own, person=False)),
        "bots by links": gain(here, ours, _bots(own, person=True)),
        "farm": gain(here, ours, _farm(own)),
    }


def _bots(world: int, *, person: bool) -> Attack:
    """Bots that play one world all the time: known for bots, or by links."""

    def attack(memory: Memory, _page: Indices, now: float, rng: np.random.Generator) -> None:
        for bot in range(BOTS if now >= ATTACKED * HOUR else 0):
            memory.play(world, 10_000 + bot, now, good=True, rng=rng, person=person, shown=False)
            memory.plays[world] -= 1  # popularity is not what is attacked

    return attack


def _farm(world: int) -> Attack:
    """Bots with addresses of their own that play one world whenever the feed shows it, like people."""

    def attack(memory: Memory, page: Indices, now: float, rng: np.random.Generator) -> None:
        if now >= ATTACKED * HOUR and world in page:
            for bot in range(BOTS):
                memory.play(world, 10_000 + bot, now, good=True, rng=rng)

    return attack


def _share(here: Market, outcome: Outcome) -> float:
    return float(outcome.seen[here.creator == CREATOR].sum() / outcome.seen.sum())


def _less(one: list[Outcome], other: list[Outcome]) -> list[float]:
    return [float(a.regret.mean() - b.regret.mean()) for a, b in zip(one, other, strict=True)]


def _row(what: str, values: list[float]) -> Row:
    column = np.array(values, np.float64)
    return Row(what, float(column.mean()), *mean_interval(column))


if __name__ == "__main__":
    main()
