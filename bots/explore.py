"""Exploring one world: a search arm that finds, and a sample arm that measures, kept apart.

The search arm may use anything it has learned: parents' playthroughs first, personas, then an archive of
states to return to. The sample arm plays independent episodes by one frozen player, after the search has
ended, and nothing of it flows back; only it feeds the bounds of :mod:`bots.risk`.

All chance is a function of (seed, arm, round, row), and a checkpoint holds the whole of the search, so a run
that was killed ends with the same result as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bots import storage
from bots.coverage import CoverageStats
from bots.evidence import gather
from bots.exploration import UNBOUNDED, Budget, Exploration, Progress
from bots.inherit import take_over
from bots.legacy import Legacy, legacy_of
from bots.players import HUMAN, Player
from bots.probe import Probe
from bots.recording import EVIDENCE_BATCH, Playthrough
from bots.risk import unseen_mass
from bots.rollout import Play, play
from bots.sample import Episode, sample_batch
from bots.search import Search
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH
from worldmodel.protocol import WorldModel

__all__ = ["Budget", "CheckpointMismatch", "Exploration", "Progress", "explore"]

CHECKPOINT_SECONDS = 5.0


class CheckpointMismatch(ValueError):
    """A checkpoint of another world, model, seed, budget, inheritance or player."""


def explore(  # noqa: PLR0913 - one call says all that an exploration is
    model: WorldModel,
    world: CompiledWorld,
    budget: Budget | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
    *,
    replay_first: Sequence[Playthrough] = (),
    inherit: Legacy | None = None,
    player: Player = HUMAN,
    probe: Probe | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    playing: Play = play,
) -> Exploration:
    """Explore a world within a budget.

    ``replay_first`` are a remix's parents' playthroughs; their actions are carried out in this world before
    anything else is explored, and they are all among the recordings. ``inherit`` is what the parent's
    exploration left: the search goes on from there (:mod:`bots.inherit`). ``player`` plays the sample arm, so
    the bounds hold for people who play like it; its name, which carries its hash where it was fitted
    (:mod:`bots.playermodel`), is in every sample playthrough. ``probe`` looks at what is reached, and seekers
    go on from where it sees something (:mod:`bots.seekers`); without it nobody looks. ``checkpoint`` is
    written every ``checkpoint_seconds`` and at the end, and gone on from when it is there; the caller removes
    it once the result is safe. ``playing`` plays the rounds of the search: a ``Seat.play`` plays them in one
    batch with those of other explorations (:mod:`bots.together`). Raises CheckpointMismatch when the
    checkpoint belongs to another run, StorageError when it cannot be read.
    """
    began = time.monotonic()
    run = _Run(model, world, budget or Budget(), seed, replay_first, inherit, player, probe, playing=playing)
    run.keep = _Keeper(run, checkpoint, checkpoint_seconds)
    report = progress or _silent
    run.keep.load()
    run.search_all(report)
    run.sample_all(report)
    run.keep.save()
    return run.result(time.monotonic() - began)


def _silent(_: Progress) -> None:
    """Report to nobody."""


class _Run:
    def __init__(  # noqa: PLR0913 - as explore
        self,
        model: WorldModel,
        world: CompiledWorld,
        budget: Budget,
        seed: int,
        replay_first: Sequence[Playthrough],
        inherit: Legacy | None,
        player: Player,
        probe: Probe | None,
        *,
        playing: Play,
    ) -> None:
        self.model, self.world, self.budget, self.seed = model, world, budget, seed
        self.inherit, self.player, self.probe = inherit, player, probe
        self.replay_first = [p.id for p in replay_first]
        self.search = Search(model, world, budget, seed, replay_first, probe=probe, playing=playing)
        self.episodes: list[Episode] = []
        self.keep: _Keeper

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree on."""
        return {
            "kind": "exploration checkpoint",
            "world": self.world.key,
            "model": self.model.card.sha256,
            "seed": self.seed,
            "budget": asdict(self.budget),
            "replay_first": self.replay_first,
            "inherit": None if self.inherit is None else self.inherit.sha256,
            "player": self.player.name,
            "probe": None if self.probe is None else self.probe.name,
        }

    def search_all(self, report: Callable[[Progress], None]) -> None:
        search = self.search
        if self.inherit is not None and not search.rounds:
            take_over(search, self.inherit)
        while not search.finished:
            search.round()
            self.keep.now_and_then()
            report(self._progress())

    def _progress(self) -> Progress:
        search, budget = self.search, self.budget
        total = budget.search_steps
        if total == UNBOUNDED:  # how many steps there will be is a guess by how many there were
            total = max(search.steps, round(search.steps / search.spent))
        done = min(search.steps, total)
        return Progress("search", done, total, len(search.archive), search.strategy, search.spent)

    def sample_all(self, report: Callable[[Progress], None]) -> None:
        total = self.budget.sample_episodes
        while len(self.episodes) < total:
            numbers = range(len(self.episodes), min(len(self.episodes) + EVIDENCE_BATCH, total))
            self.episodes += sample_batch(
                self.model, self.world, self.budget, self.seed, numbers, self.player
            )
            self.keep.now_and_then()
            done, cells = len(self.episodes), int(_sample_curve(self.episodes)[-1, 1])
            report(Progress("sample", done, total, cells, self.player.name, done / total))

    def result(self, seconds: float) -> Exploration:
        search = self.search
        left = legacy_of(self.world, search.archive)
        seekers = search.seekers
        kept = [*search.replayed, *(seekers.playthroughs if seekers else [])]
        evidence = gather(self.model, self.world, search.archive, self.budget, kept)
        tiles = [e.tiles for e in self.episodes]
        shape = (MAP_HEIGHT, MAP_WIDTH)
        every = np.concatenate([np.zeros(0, np.int64), *tiles])
        sampled = np.bincount(every, minlength=MAP_HEIGHT * MAP_WIDTH)
        return Exploration(
            world=self.world.key,
            model=self.model.card.sha256,
            seed=self.seed,
            budget=self.budget,
            search=evidence.playthroughs,
            sample=tuple(e.playthrough for e in self.episodes),
            curves={"search": np.array(search.curve, np.int64), "sample": _sample_curve(self.episodes)},
            visited={"search": search.archive.visited.reshape(shape), "sample": sampled.reshape(shape)},
            coverage=self.coverage(),
            happenings=evidence.happenings,
            sights=evidence.sights,
            legacy=left,
            scenes=evidence.scenes,
            finds=tuple(seekers.finds) if seekers else (),
            seconds=seconds,
        )

    def coverage(self) -> CoverageStats:
        cells = [e.cells for e in self.episodes]
        known = self.search.archive.index
        unseen = unseen_mass(cells, known)
        return CoverageStats(
            search_steps=self.search.steps,
            sample_steps=sum(len(c) for c in cells),
            sample_episodes=len(cells),
            cells=len(set(known).union(*[c.tolist() for c in cells])),
            discovery_rate=self.search.rate,
            unseen_mass=unseen.steps,
            unseen_mass_upper=unseen.steps_upper,
            unseen_sessions=unseen.incidence,
            unseen_sessions_upper=unseen.incidence_upper,
            surprises=unseen.surprises,
            stop_reason=self.stop_reason(),
        )

    def stop_reason(self) -> str:
        search, budget = self.search, self.budget
        rate = f"{search.rate:.1f} new cells per 1,000 steps, floor {budget.floor:g}"
        episodes = f"{len(self.episodes)} of {budget.sample_episodes} sample episodes"
        steps = f"{search.steps:,} steps"
        if search.late:
            return f"budget: search ended after {budget.search_seconds:g} s and {steps} at {rate}; {episodes}"
        ended = "settled" if search.settled else "budget"
        return f"{ended}: search ended after {steps} at {rate}; {episodes}"


def _sample_curve(episodes: Sequence[Episode]) -> NDArray[np.int64]:
    seen: set[int] = set()
    points, steps = [], 0
    for episode in episodes:
        steps += len(episode.cells)
        seen.update(episode.cells.tolist())
        points.append((steps, len(seen)))
    return np.array(points, np.int64).reshape(-1, 2)


class _Keeper:
    """Writes and reads the checkpoint of a run; does nothing without a path."""

    def __init__(self, run: _Run, path: Path | None, seconds: float) -> None:
        self._run, self._path, self._seconds = run, path, seconds
        self._last = time.monotonic()

    def now_and_then(self) -> None:
        if time.monotonic() - self._last >= self._seconds:
            self.save()

    def save(self) -> None:
        if self._path is None:
            return
        run = self._run
        arrays, search = run.search.snapshot()
        packed, heads = storage.pack([e.playthrough for e in run.episodes], "sample")
        arrays |= packed
        for name in ("cells", "tiles"):
            columns = [getattr(e, name) for e in run.episodes]
            arrays[f"sample.{name}"] = np.concatenate([np.zeros(0, np.int64), *columns])
        storage.write(self._path, arrays, run.identity() | {"search": search, "sample": heads})
        self._last = time.monotonic()

    def load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        run = self._run
        arrays, meta = storage.read(self._path)
        differing = [name for name, value in run.identity().items() if meta.get(name) != value]
        if differing:
            raise CheckpointMismatch(
                f"{self._path} is of another run: its {', '.join(differing)} differ; "
                "delete it or give another path"
            )
        run.search.resume(arrays, meta["search"])
        run.episodes = _unpack_episodes(arrays, meta["sample"])


def _unpack_episodes(arrays: dict[str, NDArray[Any]], heads: list[dict[str, Any]]) -> list[Episode]:
    playthroughs = storage.unpack(arrays, heads, "sample")
    ends = np.cumsum([len(p.actions) for p in playthroughs], dtype=np.int64)[:-1]
    cells, tiles = (np.split(arrays[f"sample.{name}"], ends) for name in ("cells", "tiles"))
    return [Episode(p, c, t) for p, c, t in zip(playthroughs, cells, tiles, strict=False)]
