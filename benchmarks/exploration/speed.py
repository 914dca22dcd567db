"""Where the time of the product's search goes, at N = 128 rows: players, world model, archive, recording."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from benchmarks.exploration.watch import Clock, clock_for
from bots import rollout
from bots.archive import Archive
from bots.evidence import gather
from bots.exploration import Budget
from bots.players import Mixture
from bots.recorder import regenerate_many
from bots.search import Search
from worldmodel.compiled import CompiledWorld
from worldmodel.protocol import WorldModel

ROWS = 128


@dataclass(frozen=True)
class Speed:
    """Of one search; processor seconds on a processor, see :func:`benchmarks.exploration.watch.clock_for`."""

    steps: int
    search_seconds: float
    stages: dict[str, float]
    """Seconds by stage of the search; what is in none of them is ``rest``."""
    evidence_seconds: float
    """Choosing what to record."""
    recording_seconds: float
    """Playing it again with frames and sound."""
    frames: int

    @property
    def search_rate(self) -> float:
        """World-model steps per second of the search: players, world model, cells, archive."""
        return self.steps / self.search_seconds

    @property
    def whole_rate(self) -> float:
        """The same with choosing and making the recordings."""
        return self.steps / (self.search_seconds + self.evidence_seconds + self.recording_seconds)


def measure(model: WorldModel, world: CompiledWorld, steps: int) -> Speed:
    """Search one world for so many steps, then record what a review would record."""
    clock = clock_for(model)
    budget = Budget(search_steps=steps, floor=0.0, batch=ROWS)
    search = Search(model, world, budget, seed=0)
    search.round()  # warms up
    done = search.steps
    with _stages(model, clock) as stages:
        begun = clock()
        while not search.finished:
            search.round()
        searched = clock() - begun
    begun = clock()
    evidence = gather(model, world, search.archive, budget, search.replayed)
    gathered = clock() - begun
    begun = clock()
    frames = sum(len(one.frames) for one in regenerate_many(model, world, evidence.playthroughs))
    recorded = clock() - begun
    stages["rest"] = searched - sum(stages.values())
    return Speed(search.steps - done, searched, dict(stages), gathered, recorded, frames)


@contextmanager
def _stages(model: WorldModel, clock: Clock) -> Iterator[dict[str, float]]:
    """Seconds spent in each stage of the search while this is open. None of them calls another."""
    seconds: dict[str, float] = defaultdict(float)
    timed = (
        (model, "step", "world model"),
        (Mixture, "act", "players: decide"),
        (rollout, "look", "players: see"),
        (rollout, "uniforms", "players: dice"),
        (rollout, "stack", "keeping states"),
        (Archive, "choose", "archive: choose"),
        (Archive, "origin", "archive: return"),
        (Archive, "take_in", "archive: cells and entries"),
    )
    with ExitStack() as stack:
        for owner, name, stage in timed:
            stack.enter_context(_timed(owner, name, stage, seconds, clock))
        yield seconds


@contextmanager
def _timed(owner: Any, name: str, stage: str, seconds: dict[str, float], clock: Clock) -> Iterator[None]:
    original: Callable[..., Any] = getattr(owner, name)

    def timed(*given: Any, **named: Any) -> Any:
        begun = clock()
        try:
            return original(*given, **named)
        finally:
            seconds[stage] += clock() - begun

    setattr(owner, name, timed)
    try:
        yield
    finally:
        # An instance's own attribute hid its class's method; a module or class gets its own back.
        if name in vars(type(owner)):
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def table(speed: Speed) -> Table:
    told = Table(title=f"{speed.steps:,} steps of search at N = {ROWS}: {speed.search_rate:,.0f} steps/s")
    for heading in ("stage", "seconds", "share", "µs a step"):
        told.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage, seconds in sorted(speed.stages.items(), key=lambda item: -item[1]):
        told.add_row(stage, *_numbers(seconds, speed.search_seconds, speed.steps))
    told.add_section()
    whole = speed.search_seconds + speed.evidence_seconds + speed.recording_seconds
    told.add_row("choosing recordings", *_numbers(speed.evidence_seconds, whole, speed.steps))
    told.add_row(f"recording {speed.frames:,} frames", *_numbers(speed.recording_seconds, whole, speed.steps))
    told.caption = f"with recordings: {speed.whole_rate:,.0f} steps/s; their shares are of all of it"
    return told


def _numbers(seconds: float, whole: float, steps: int) -> tuple[str, str, str]:
    return f"{seconds:.2f}", f"{seconds / whole:.0%}", f"{1e6 * seconds / steps:.1f}"
