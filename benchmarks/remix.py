"""What a remix saves by going on from where its parent's exploration ended.

    python benchmarks/remix.py [--worlds 6] [--steps 12000] [--model simulator] [--json FILE]

Each parent is explored; then three remixes of it: one that only looks otherwise, one with a rebuilt place,
one with other mechanics. A remix is searched from nothing for so many steps, and, with another seed, from
what the parent left, until it has found as many cells; the saving is the share of the steps that this spares.
Parents' recordings alone (``replay_first``) are searched from for comparison. Means over worlds, each paired
with itself, and bootstrap intervals of 95 %.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bots.compare import mean_interval
from bots.evidence import gather
from bots.exploration import Budget
from bots.inherit import take_over
from bots.legacy import legacy_of
from bots.search import Search
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import WALLS, Tile
from worldmodel.gallery import generated_worlds
from worldmodel.models import load_model
from worldmodel.protocol import WorldModel


@dataclass(frozen=True)
class Saved:
    """One remix."""

    world: int
    remix: str
    how: str
    """``legacy`` or ``recordings``."""
    cells: int
    """That the search from nothing found."""
    carried: int
    """Steps to carry out what the parent left."""
    at_once: int
    """Cells that this reached."""
    steps: int
    """To reach as many; the whole budget where they were not reached."""
    saving: float
    """1 - steps / budget."""
    known: float
    """Share of the very cells of the search from nothing that were reached by then."""


def looks(world: CompiledWorld, rng: np.random.Generator) -> CompiledWorld:
    return replace(world, picture=rng.permutation(world.picture, axis=1))


def rebuilt(world: CompiledWorld, rng: np.random.Generator) -> CompiledWorld:
    """A few walls opened and a few coins laid within a screen about one place of the map."""
    tiles = world.tiles.copy()
    height, width = tiles.shape
    y, x = int(rng.integers(4, height - 5)), int(rng.integers(6, width - 7))
    place = tiles[y - 3 : y + 4, x - 5 : x + 6]
    place[np.isin(place, WALLS) & (rng.random(place.shape) < 0.4)] = Tile.EMPTY
    place[(place == Tile.EMPTY) & (rng.random(place.shape) < 0.1)] = Tile.COIN
    return replace(world, tiles=tiles)


def springier(world: CompiledWorld, _: np.random.Generator) -> CompiledWorld:
    """Higher jumps, or lower ones where they are as high as can be."""
    jump = world.mechanics.jump
    return replace(world, mechanics=replace(world.mechanics, jump=jump + 1 if jump < 18 else jump - 1))


REMIXES: dict[str, Callable[[CompiledWorld, np.random.Generator], CompiledWorld]] = {
    "looks": looks,
    "rebuilt": rebuilt,
    "mechanics": springier,
}


def searched(search: Search, target: int | None = None) -> Search:
    """To the end of the budget, or until it has ``target`` cells."""
    limit = search.budget.search_steps
    while search.steps < limit and (target is None or len(search.archive) < target):
        search.round()
    return search


def steps_to(search: Search, target: int, limit: int) -> int:
    """Steps at which a search had so many cells, taken between its rounds as if they came evenly.

    What was carried out at first counts whole.
    """
    points = np.array(search.curve, np.float64)
    if points[-1, 1] < target:
        return limit
    return int(min(np.interp(target, points[:, 1], points[:, 0]), limit))


def measure(model: WorldModel, worlds: int, budget: Budget) -> list[Saved]:
    rows = []
    for number, world in enumerate(generated_worlds(worlds, 11, evaluation=True)):
        parent = searched(Search(model, world, budget, seed=1))
        left = legacy_of(world, parent.archive)
        recordings = gather(model, world, parent.archive, budget, []).playthroughs
        for name, change in REMIXES.items():
            child = replace(change(world, np.random.default_rng([7, number])), key=f"{name}{world.key}")
            alone = searched(Search(model, child, budget, seed=2))
            target = len(alone.archive)
            heir = Search(model, child, budget, seed=3)
            take_over(heir, left)
            replayed = Search(model, child, budget, seed=3, replay_first=recordings)
            for _ in range(-(-len(recordings) // 32)):
                replayed.round()
            for how, search in (("legacy", heir), ("recordings", replayed)):
                carried, at_once = search.steps, len(search.archive)
                searched(search, target)
                steps = steps_to(search, target, budget.search_steps)
                known = len(set(alone.archive.index) & set(search.archive.index)) / target
                saving = 1 - steps / budget.search_steps
                rows.append(Saved(number, name, how, target, carried, at_once, steps, saving, known))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worlds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--model", default="simulator")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    budget = Budget(search_steps=given.steps, batch=64, round_steps=24, floor=0.0)
    rows = measure(load_model(given.model), given.worlds, budget)
    title = f"{given.worlds} worlds; steps to as many cells as a search from nothing finds in {given.steps:,}"
    table = Table(
        "remix", "goes on from", "carried out", "cells at once", "saving", "same cells", title=title
    )
    told = []
    for how in ("legacy", "recordings"):
        for name in REMIXES:
            own = [row for row in rows if (row.remix, row.how) == (name, how)]
            low, high = mean_interval(np.array([row.saving for row in own]))
            mean = {
                key: float(np.mean([getattr(row, key) for row in own]))
                for key in ("carried", "saving", "known")
            }
            once = float(np.mean([row.at_once / row.cells for row in own]))
            told.append({"remix": name, "how": how, **mean, "at_once": once, "interval": [low, high]})
            saving = f"{mean['saving']:.0%} ({low:.0%} to {high:.0%})"
            table.add_row(name, how, f"{mean['carried']:,.0f}", f"{once:.0%}", saving, f"{mean['known']:.0%}")
    Console().print(table)
    if given.json:
        head = {"worlds": given.worlds, "budget": asdict(budget), "model": given.model}
        given.json.write_text(
            json.dumps({**head, "rows": told, "remixes": [asdict(r) for r in rows]}, indent=2)
        )


if __name__ == "__main__":
    main()
