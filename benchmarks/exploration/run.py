"""Playing every strategy on every valid world, and the tables of what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.exploration.statistics import (
    SHARES,
    Interval,
    Run,
    at_equal_steps,
    at_equal_time,
    difference,
    kaplan_meier,
    recall,
)
from benchmarks.exploration.strategies import STRATEGIES
from benchmarks.exploration.suite import TIER_NAMES, Item
from benchmarks.exploration.watch import Watch
from worldmodel.protocol import WorldModel

OURS = "firstplay"


def play_all(
    model: WorldModel,
    items: Sequence[Item],
    strategies: Sequence[str],
    seeds: int,
    budget: int,
    tell: Callable[[Run], None],
) -> list[Run]:
    """One run for each strategy, bad world and seed. Clean worlds have nothing to reach and are left out."""
    runs = []
    for item in items:
        for seed in range(seeds if item.planted.violation is not None else 0):
            for name in strategies:
                runs.append(play_one(model, item, name, seed, budget))
                tell(runs[-1])
    return runs


def play_one(model: WorldModel, item: Item, strategy: str, seed: int, budget: int) -> Run:
    """One strategy until the planted thing is reached, or the budget of steps is spent."""
    watch = Watch(model, item.planted.violation, budget)
    STRATEGIES[strategy].play(watch, item.planted.world, budget, seed)
    return Run(
        strategy=strategy,
        world=item.name,
        tier=item.entry.tier,
        seed=seed,
        budget=budget,
        steps=min(watch.steps, budget),
        seconds=watch.seconds,
        first_steps=watch.first_steps,
        first_seconds=watch.first_seconds,
    )


# ---- tables ----------------------------------------------------------------------------------------------


def print_tables(runs: Sequence[Run], strategies: Sequence[str], console: Console) -> None:
    console.print(_recalls(runs, strategies))
    console.print(_times(runs, strategies))
    if OURS in strategies and len(strategies) > 1:
        console.print(_differences(runs, strategies))


def _of(runs: Sequence[Run], strategy: str, tier: int | None = None) -> list[Run]:
    return [r for r in runs if r.strategy == strategy and tier in {None, r.tier}]


def _recalls(runs: Sequence[Run], strategies: Sequence[str]) -> Table:
    table = Table(title="Share of runs that reached the planted thing, at 10, 25, 50, 100 % of the budget")
    table.add_column("strategy")
    for heading in ("all tiers", *TIER_NAMES):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in strategies:
        tiers = [_of(runs, name, tier) for tier in (None, *range(len(TIER_NAMES)))]
        table.add_row(name, *[" ".join(_share(recall(of, share)) for share in SHARES) for of in tiers])
    return table


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}".removeprefix("0")


def _times(runs: Sequence[Run], strategies: Sequence[str]) -> Table:
    table = Table(
        title="Median time to the first reach (Kaplan-Meier; beyond: less than half reached), and speed"
    )
    for heading in ("strategy", "steps", "seconds", "runs", "steps/s"):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    for name in strategies:
        of = _of(runs, name)
        steps, seconds = kaplan_meier(of).median, kaplan_meier(of, seconds=True).median
        rate = sum(r.steps for r in of) / max(sum(r.seconds for r in of), 1e-9)
        table.add_row(name, _time(steps, ",.0f"), _time(seconds, ".1f"), str(len(of)), f"{rate:,.0f}")
    return table


def _time(value: float, form: str) -> str:
    return "beyond" if math.isinf(value) else format(value, form)


def _differences(runs: Sequence[Run], strategies: Sequence[str]) -> Table:
    table = Table(
        title=f"Recall of {OURS} less that of others, in points, paired by world (95 % bootstrap interval)"
    )
    for heading in ("less", "equal steps", "equal time", "worlds"):
        table.add_column(heading, justify="left" if heading == "less" else "right")
    for name in strategies:
        if name != OURS:
            by_steps, by_time = differences(runs, name)
            table.add_row(name, _points(by_steps), _points(by_time), str(by_steps.worlds))
    return table


def differences(runs: Sequence[Run], other: str) -> tuple[Interval, Interval]:
    """Recall of OURS less another's, at equal steps and at equal time."""
    ours, theirs = _of(runs, OURS), _of(runs, other)
    return difference(ours, theirs, at_equal_steps), difference(ours, theirs, at_equal_time)


def _points(interval: Interval) -> str:
    low, high = (f"{100 * end:+.0f}" for end in (interval.low, interval.high))
    return f"{100 * interval.mean:+.0f} ({low} … {high})"
