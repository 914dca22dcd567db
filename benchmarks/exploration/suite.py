"""The set of evaluation worlds: which recipes, and the oracle's way through each.

``worlds.json`` is the set; ``python -m benchmarks.exploration --select`` draws it anew, seed after seed until
each slot's world lies in its tier and asks for as many interactions as the slot says. A run replays the ways
in the model that it benchmarks: a world none of whose ways reaches the planted thing there is invalid,
counted, and left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.exploration.oracle import find_way, interactions, replay_way
from benchmarks.exploration.violations import Modality, Trigger
from benchmarks.exploration.worlds import FIRST_SEED, Decoy, Depth, Gate, Planted, Recipe, Start, Unfit, plant
from worldmodel.board import LayoutError
from worldmodel.protocol import WorldModel

MANIFEST = Path(__file__).parent / "worlds.json"
TIERS = ((1, 16), (17, 64), (65, 256), (257, 10_000))
"""Optimal steps, both ends included."""
TIER_NAMES = ("≤16", "17–64", "65–256", ">256")
TRIES = 60
"""Seeds after which a slot is given up."""
_DECOYS: tuple[Decoy, ...] = ("unreachable", "noisy", "dead ends")


@dataclass(frozen=True)
class Slot:
    """A kind of world that the set has to hold."""

    tier: int
    interactions: int
    modality: Modality
    trigger: Trigger
    depth: Depth
    start: Start = "own"
    gates: tuple[Gate, ...] = ()
    size: float = 0.5


SLOTS: tuple[Slot, ...] = (
    Slot(0, 0, "picture", "see", "mid", "close"),
    Slot(0, 0, "writing", "see", "near", "close"),
    Slot(0, 0, "sound", "interact", "mid", "close"),
    Slot(0, 1, "flash", "interact", "near", "close"),
    Slot(0, 0, "writing", "see", "far", "close", ("key",)),
    Slot(0, 0, "sound", "interact", "far", "close", ("lever",)),
    Slot(0, 1, "flash", "interact", "mid", "close", ("portal",)),
    Slot(1, 0, "picture", "see", "near"),
    Slot(1, 0, "writing", "see", "near"),
    Slot(1, 0, "sound", "interact", "near"),
    Slot(1, 1, "flash", "interact", "near"),
    Slot(1, 1, "picture", "order", "near"),
    Slot(1, 1, "writing", "see", "mid", "opener", ("lever",)),
    Slot(1, 2, "flash", "interact", "mid", "opener", ("portal",)),
    Slot(2, 0, "picture", "see", "mid"),
    Slot(2, 0, "sound", "wait", "mid"),
    Slot(2, 1, "writing", "see", "mid", "own", ("key",)),
    Slot(2, 1, "writing", "order", "mid"),
    Slot(2, 2, "sound", "interact", "far", "opener", ("portal", "lever")),
    Slot(2, 2, "flash", "interact", "far", "opener", ("lever",)),
    Slot(2, 3, "picture", "see", "far", "opener", ("lever", "portal", "key")),
    Slot(2, 3, "flash", "interact", "far", "opener", ("lever", "key")),
    Slot(3, 0, "picture", "see", "far", "own", (), 1.0),
    Slot(3, 1, "writing", "see", "far", "own", ("portal",), 1.0),
    Slot(3, 1, "sound", "wait", "far", "own", ("key",), 1.0),
    Slot(3, 2, "writing", "order", "far", "own", ("lever",), 1.0),
    Slot(3, 2, "sound", "interact", "far", "own", ("lever", "key"), 1.0),
    Slot(3, 3, "flash", "interact", "far", "own", ("portal", "key"), 1.0),
    Slot(3, 3, "writing", "see", "far", "own", ("lever", "key", "lever"), 1.0),
    Slot(3, 4, "picture", "see", "far", "own", ("portal", "key", "lever", "key"), 1.0),
)
"""30 bad worlds; each has a clean one beside it."""


@dataclass(frozen=True)
class Entry:
    """One world of the set."""

    recipe: Recipe
    tier: int
    """Of the planted thing; a clean world's is its slot's."""
    steps: int = 0
    """The oracle's, in the simulator: an upper bound on the optimum; 0 in a clean world."""
    interactions: int = 0
    ways: tuple[str, ...] = ()
    """The oracle's actions, a digit each: found in the simulator and, where they do not reach the planted
    thing in the neural model, others that were found there."""


@dataclass(frozen=True)
class Item:
    """A world of the set, ready to be played in a model."""

    entry: Entry
    planted: Planted
    steps: int
    """The oracle's in this model; 0 in a clean world."""

    @property
    def name(self) -> str:
        return f"{self.entry.recipe.seed}"


def tier_of(steps: int) -> int:
    """Number of the tier that so many optimal steps belong to."""
    return next(number for number, (_, high) in enumerate(TIERS) if steps <= high)


# ---- drawing the set -------------------------------------------------------------------------------------


def select(model: WorldModel, number: int) -> Iterator[Entry]:
    """A bad and a clean world for a slot; nothing where no seed did."""
    slot, decoy, first = SLOTS[number], _DECOYS[number % len(_DECOYS)], FIRST_SEED + 1_000 * number
    yield from islice(_bad_worlds(model, slot, decoy, first), 1)
    yield from islice(_clean_worlds(slot, decoy, first + 500), 1)


def _recipe(slot: Slot, decoy: Decoy, seed: int) -> Recipe:
    return Recipe(seed, slot.modality, slot.trigger, slot.depth, slot.start, slot.gates, decoy, slot.size)


def _bad_worlds(model: WorldModel, slot: Slot, decoy: Decoy, first: int) -> Iterator[Entry]:
    for seed in range(first, first + TRIES):
        planted = _try_planting(_recipe(slot, decoy, seed))
        if planted is None or planted.violation is None:
            continue
        if interactions(planted.world, planted.violation) != slot.interactions:
            continue
        way = find_way(model, planted.world, planted.violation)
        if way is not None and tier_of(len(way)) == slot.tier:
            yield Entry(planted.recipe, slot.tier, len(way), slot.interactions, (_text(way),))


def mend(model: WorldModel, entry: Entry) -> Entry:
    """The entry with one more way, where none of its ways reaches the planted thing in this model."""
    if gate(model, entry) is not None:
        return entry
    planted = plant(entry.recipe)
    assert planted.violation is not None
    way = find_way(model, planted.world, planted.violation)
    return entry if way is None else replace(entry, ways=(*entry.ways, _text(way)))


def _clean_worlds(slot: Slot, decoy: Decoy, first: int) -> Iterator[Entry]:
    for seed in range(first, first + TRIES):
        recipe = replace(_recipe(slot, decoy, seed), clean=True)
        if _try_planting(recipe) is not None:
            yield Entry(recipe, slot.tier)


def _try_planting(recipe: Recipe) -> Planted | None:
    try:
        return plant(recipe)
    except (Unfit, LayoutError):
        return None


# ---- the stored set --------------------------------------------------------------------------------------


def save(entries: Sequence[Entry], path: Path = MANIFEST) -> None:
    lines = ",\n".join(json.dumps(asdict(entry)) for entry in entries)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def load(path: Path = MANIFEST) -> list[Entry]:
    told = json.loads(path.read_text(encoding="utf-8"))
    return [
        Entry(**{**one, "recipe": _read_recipe(one["recipe"]), "ways": tuple(one["ways"])}) for one in told
    ]


def _read_recipe(told: dict[str, object]) -> Recipe:
    gates = told.pop("gates")
    assert isinstance(gates, list)
    return Recipe(**told, gates=tuple(gates))  # type: ignore[arg-type]


def subset(entries: Sequence[Entry], count: int) -> list[Entry]:
    """About ``count`` of the entries, half of them clean, tiers in turn, the deepest first."""
    chosen: list[Entry] = []
    for clean in (False, True):
        kind = [entry for entry in entries if entry.recipe.clean == clean]
        by_tier = [[e for e in kind if e.tier == tier] for tier in reversed(range(len(TIERS)))]
        rounds = max(map(len, by_tier))
        turns = [tier[turn] for turn in range(rounds) for tier in by_tier if turn < len(tier)]
        chosen += turns[: count // 2]
    return chosen


def gate(model: WorldModel, entry: Entry) -> Item | None:
    """The world as the model plays it; None where it is invalid: the oracle's way reaches nothing there."""
    planted = plant(entry.recipe)
    if planted.violation is None:
        return Item(entry, planted, 0)
    for way in entry.ways:
        steps = replay_way(model, planted.world, planted.violation, _actions(way))
        if steps is not None:
            return Item(entry, planted, steps)
    return None


def _text(way: NDArray[np.uint8]) -> str:
    return "".join(map(str, way.tolist()))


def _actions(way: str) -> NDArray[np.uint8]:
    return np.frombuffer(way.encode(), np.uint8) - ord("0")
