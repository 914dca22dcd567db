"""The archive of the search arm: one best way to every cell, and the state to return to.

Written from Ecoffet, Huizinga, Lehman, Stanley, Clune, "First return, then explore" (Nature 2021).
Returning is by restoring a state, but nothing is ever reached by anything except legal actions from a legal
start: every entry knows its path, as a place in a tree of segments whose roots are spawns. Every spawn point
of a world is a legal start, since a live session may begin at any; paths from the true start are preferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bots.cells import Cells, host
from bots.rollout import Trajectory
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import EVENTS, MAP_HEIGHT, MAP_WIDTH, MAX_LINKS, WALLS, Event
from worldmodel.protocol import State, concatenate

HURT_COST = 30
"""Steps that a path may be longer for each point of health that it keeps."""
ELSEWHERE_COST = 100_000
"""Added for a path that begins at a spawn point other than the true start: one from there always wins."""
MARK_CODES = len(Event) * MAX_LINKS


@dataclass(frozen=True)
class Segment:
    """A stretch of play that goes on from a moment of another segment, or from a spawn."""

    parent: int
    """Number of the segment before, -1 for a spawn."""
    at: int
    """Steps of the parent that come before this segment."""
    seed: int
    spawn: int
    player: str
    actions: NDArray[np.uint8]
    """(n,)."""
    events: NDArray[np.bool_]
    """(n, EVENTS)."""
    clips: NDArray[np.int16]
    """(n,)."""
    scenes: NDArray[np.int64]
    """(n,) scene after each step."""

    @classmethod
    def empty(cls, seed: int, spawn: int) -> Segment:
        """A spawn, before any action."""
        return cls(
            parent=-1,
            at=0,
            seed=seed,
            spawn=spawn,
            player="spawn",
            actions=np.zeros(0, np.uint8),
            events=np.zeros((0, EVENTS), np.bool_),
            clips=np.zeros(0, np.int16),
            scenes=np.zeros(0, np.int64),
        )


@dataclass(frozen=True)
class Moment:
    """A place in the tree: after ``offset`` steps of a segment."""

    segment: int
    offset: int


@dataclass(frozen=True)
class Path:
    """From a spawn to a moment."""

    seed: int
    spawn: int
    player: str
    actions: NDArray[np.uint8]
    events: NDArray[np.bool_]
    clips: NDArray[np.int16]


@dataclass
class Tree:
    """All segments that something still stands on."""

    segments: list[Segment] = field(default_factory=list)

    def add(self, segment: Segment) -> int:
        self.segments.append(segment)
        return len(self.segments) - 1

    def length(self, moment: Moment) -> int:
        """Steps from the spawn to a moment."""
        return sum(count for _, count in self.chain(moment))

    def chain(self, moment: Moment) -> list[tuple[Segment, int]]:
        """From the spawn on: each segment with how many of its steps the path takes."""
        links, number, count = [], moment.segment, moment.offset
        while number >= 0:
            segment = self.segments[number]
            links.append((segment, count))
            number, count = segment.parent, segment.at
        return links[::-1]

    def path(self, moment: Moment) -> Path:
        chain = self.chain(moment)
        last = chain[-1][0]
        played = [s.player for s, n in chain if n]
        return Path(
            seed=last.seed,
            spawn=last.spawn,
            player="archive/1" if len(played) > 1 else played[0] if played else last.player,
            actions=np.concatenate([s.actions[:n] for s, n in chain]),
            events=np.concatenate([s.events[:n] for s, n in chain]),
            clips=np.concatenate([s.clips[:n] for s, n in chain]),
        )


@dataclass(frozen=True)
class Origin:
    """Where the rows of a trajectory began: a moment, or (segment -1) a spawn."""

    moments: Sequence[Moment]
    seeds: Sequence[int]
    spawns: Sequence[int]
    starts: NDArray[np.int64]
    """(B,) steps since the spawn."""
    players: Sequence[str]


_OF_THE_CELL = {"visits", "chosen", "looked", "scores", "reward", "cluster", "sought", "tried"}
"""Columns that a better way to the same cell leaves as they are."""


@dataclass
class Entries:
    """The archive's table: one row for each cell."""

    cell: NDArray[np.int64]
    segment: NDArray[np.int64]
    offset: NDArray[np.int64]
    """With ``segment``: the moment at which the best path reaches the cell."""
    steps: NDArray[np.int64]
    """Length of that path."""
    cost: NDArray[np.int64]
    """Its length with ELSEWHERE_COST and HURT_COST: less is better."""
    visits: NDArray[np.int64]
    """Steps spent in the cell."""
    chosen: NDArray[np.int64]
    """How often exploration began here."""
    tile: NDArray[np.int64]
    """y * MAP_WIDTH + x."""
    ended: NDArray[np.bool_]
    """Nothing comes after: the goal was reached."""
    landmarks: NDArray[np.bool_]
    """(N, MARK_CODES): marks that could be made of what is on the screen."""
    scene: NDArray[np.int64]
    looked: NDArray[np.bool_]
    """Whether a probe was shown what it looks like; only then do the next three say something."""
    scores: NDArray[np.float32]
    """(N, K): of each of the probe's labels."""
    reward: NDArray[np.float64]
    """What it paid to the seekers."""
    cluster: NDArray[np.int64]
    """Of the flagged entries that look alike, -1 for none."""
    sought: NDArray[np.int64]
    """How often seekers began here."""
    tried: NDArray[np.bool_]
    """Whether its way was played again to confirm it."""

    @classmethod
    def empty(cls, labels: int = 0) -> Entries:
        """For a probe of so many labels."""
        columns: dict[str, NDArray[Any]] = {f.name: np.zeros(0, np.int64) for f in fields(cls)}
        columns |= {name: np.zeros(0, np.bool_) for name in ("ended", "looked", "tried")}
        columns["landmarks"] = np.zeros((0, MARK_CODES), np.bool_)
        columns["scores"] = np.zeros((0, labels), np.float32)
        columns["reward"] = np.zeros(0)
        return cls(**columns)

    def __len__(self) -> int:
        return len(self.cell)

    def append(self, other: Entries) -> None:
        for f in fields(self):
            setattr(self, f.name, np.concatenate([getattr(self, f.name), getattr(other, f.name)]))

    def assign(self, index: NDArray[np.int64], other: Entries) -> None:
        """Better ways to known cells; how often they were seen and chosen stays, and what a probe said."""
        for f in fields(self):
            if f.name not in _OF_THE_CELL:
                getattr(self, f.name)[index] = getattr(other, f.name)

    def __getitem__(self, index: NDArray[np.bool_]) -> Entries:
        return Entries(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True)
class _Seen:
    """What a trajectory went through, as (T, B) arrays on the host."""

    alive: NDArray[np.bool_]
    cell: NDArray[np.int64]
    scene: NDArray[np.int64]
    tile: NDArray[np.int64]
    length: NDArray[np.int64]
    """Steps since the spawn."""
    rank: NDArray[np.int64]
    """The same, and ELSEWHERE_COST where that spawn is not the true start."""
    cost: NDArray[np.int64]
    """The same, and HURT_COST for each point of health lost."""

    @classmethod
    def of(cls, played: Trajectory, cells: Cells, origin: Origin) -> _Seen:
        flat, shape = played.flat(), tuple(played.actions.shape)
        length = origin.starts[None, :] + 1 + np.arange(shape[0])[:, None]
        rank = length + ELSEWHERE_COST * (np.array(origin.spawns, np.int64) != 0)[None, :]
        return cls(
            alive=played.alive.cpu().numpy(),
            cell=host(cells.cells(flat)).reshape(shape),
            scene=host(cells.scenes(flat)).reshape(shape),
            tile=host(cells.tile_index(flat)).reshape(shape),
            length=length,
            rank=rank,
            cost=rank + HURT_COST * (3 - host(flat.health.long()).reshape(shape)),
        )


class Archive:
    """Entries with their states, the tree of paths to them, and the first time of each mark."""

    def __init__(self, world: CompiledWorld, cells: Cells, labels: int = 0) -> None:
        """``labels``: how many scores a probe gives to what the entries look like."""
        self.cells = cells
        self.tree = Tree()
        self.labels = labels
        self.entries = Entries.empty(labels)
        self.states: State | None = None
        """A row for each entry."""
        self.marks: dict[int, tuple[Moment, int]] = {}
        """Mark code -> the moment just after it on the best path that made it, and that path's rank."""
        self.mark_states: dict[int, State] = {}
        """Mark code -> one row: the state at that moment."""
        self.visited = np.zeros(MAP_HEIGHT * MAP_WIDTH, np.int64)
        self.index: dict[int, int] = {}
        """Cell -> entry."""
        self._free = ~np.isin(world.tiles, WALLS).flatten()

    def __len__(self) -> int:
        return len(self.entries)

    def add_spawns(self, states: State, seeds: Sequence[int]) -> None:
        """Spawn points as the first entries: row i of ``states`` stands at spawn point i."""
        numbers = np.array([self.tree.add(Segment.empty(seed, spawn)) for spawn, seed in enumerate(seeds)])
        cell, first = np.unique(host(self.cells.cells(states)), return_index=True)
        zeros = np.zeros(len(cell), np.int64)
        cost = np.where(first == 0, 0, ELSEWHERE_COST)
        rows = states[torch.from_numpy(first)]
        scene = host(self.cells.scenes(rows))
        self._extend(self._rows(rows, cell, scene, numbers[first], zeros, zeros, cost), rows)

    def take_in(self, played: Trajectory, origin: Origin) -> NDArray[np.int64]:
        """Add what a trajectory reached; (B,) segment numbers, -1 where nothing of a row was kept."""
        return self.take_whole(played, origin, np.zeros(len(origin.seeds), np.int64))

    def take_whole(self, played: Trajectory, origin: Origin, least: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add what a trajectory reached, and keep at least the first ``least`` (B,) steps of each row.

        (B,) segment numbers, -1 where nothing was kept.
        """
        seen = _Seen.of(played, self.cells, origin)
        self.visited += np.bincount(seen.tile[seen.alive], minlength=self.visited.size)
        steps, rows, known = self._better(seen)
        marks = self._sooner(played, seen)
        keep = least.copy()
        np.maximum.at(keep, rows, steps + 1)
        for _, step, row in marks:
            keep[row] = max(keep[row], step + 1)
        numbers = self._grow(played, seen, origin, keep)
        for code, step, row in marks:
            self.marks[code] = (Moment(int(numbers[row]), step + 1), int(seen.rank[step, row]))
            self.mark_states[code] = played.rows_at(torch.tensor([step]), torch.tensor([row]))
        if len(steps):
            states = played.rows_at(torch.from_numpy(steps), torch.from_numpy(rows))
            at = (steps, rows)
            found = self._rows(
                states,
                seen.cell[at],
                seen.scene[at],
                numbers[rows],
                steps + 1,
                seen.length[at],
                seen.cost[at],
            )
            self._improve(found, states, known)
        self._count_visits(seen)
        return numbers

    def go_on(self, played: Trajectory, origin: Origin, keep: NDArray[np.int64]) -> NDArray[np.int64]:
        """Store the first ``keep`` (B,) steps of each row for recordings only; (B,) segment numbers."""
        return self._grow(played, _Seen.of(played, self.cells, origin), origin, keep)

    def _better(self, seen: _Seen) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Step, row and known entry (-1: new) of the best way to each cell that beats what is there."""
        steps, rows = np.nonzero(seen.alive)
        cells, costs = seen.cell[steps, rows], seen.cost[steps, rows]
        order = np.lexsort((rows, steps, costs, cells))
        unique, first = np.unique(cells[order], return_index=True)
        best = order[first]
        known = np.array([self.index.get(cell, -1) for cell in unique.tolist()], dtype=np.int64)
        wins = known < 0
        wins[~wins] = costs[best][~wins] < self.entries.cost[known[~wins]]
        return steps[best][wins], rows[best][wins], known[wins]

    def _sooner(self, played: Trajectory, seen: _Seen) -> list[tuple[int, int, int]]:
        """(code, step, row) of the shortest way to each mark that is new or was reached sooner."""
        events = played.events & played.alive[..., None]
        steps, rows = events.any(2).nonzero(as_tuple=True)
        if not len(steps):
            return []
        codes = host(self._mark_codes(played, events, steps, rows))
        spots, columns = np.nonzero(codes >= 0)
        at, row = host(steps)[spots], host(rows)[spots]
        code, taken = codes[spots, columns], seen.rank[at, row]
        order = np.lexsort((row, at, taken, code))
        first = order[np.unique(code[order], return_index=True)[1]]
        return [
            (int(code[i]), int(at[i]), int(row[i]))
            for i in first
            if int(code[i]) not in self.marks or taken[i] < self.marks[int(code[i])][1]
        ]

    def _mark_codes(self, played: Trajectory, events: Tensor, steps: Tensor, rows: Tensor) -> Tensor:
        after = played.rows_at(steps, rows)
        before = played.rows_at((steps - 1).clamp(min=0), rows)
        first = (steps == 0).nonzero()[:, 0]
        before.assign(first, played.start[rows[first]])
        return self.cells.marks(before, after, events[steps, rows], played.clips[steps, rows])

    def _grow(
        self, played: Trajectory, seen: _Seen, origin: Origin, keep: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """New segments for the rows of which something is kept; (B,) their numbers, -1 for none."""
        actions, clips = host(played.actions).astype(np.uint8), host(played.clips).astype(np.int16)
        events = played.events.cpu().numpy()
        numbers = np.full(len(keep), -1, np.int64)
        for row in np.nonzero(keep)[0].tolist():
            n, moment = int(keep[row]), origin.moments[row]
            numbers[row] = self.tree.add(
                Segment(
                    parent=moment.segment,
                    at=moment.offset,
                    seed=int(origin.seeds[row]),
                    spawn=int(origin.spawns[row]),
                    player=origin.players[row],
                    actions=actions[:n, row].copy(),
                    events=events[:n, row].copy(),
                    clips=clips[:n, row].copy(),
                    scenes=seen.scene[:n, row].copy(),
                )
            )
        return numbers

    def _rows(
        self,
        states: State,
        cell: NDArray[np.int64],
        scene: NDArray[np.int64],
        segment: NDArray[np.int64],
        offset: NDArray[np.int64],
        steps: NDArray[np.int64],
        cost: NDArray[np.int64],
    ) -> Entries:
        zeros, no = np.zeros(len(cell), np.int64), np.zeros(len(cell), np.bool_)
        return Entries(
            cell=cell,
            segment=segment,
            offset=offset,
            steps=steps,
            cost=cost,
            visits=zeros,
            chosen=zeros.copy(),
            tile=host(self.cells.tile_index(states)),
            ended=states.done.cpu().numpy(),
            landmarks=self.cells.landmarks(states).cpu().numpy(),
            scene=scene,
            looked=no,
            scores=np.zeros((len(cell), self.labels), np.float32),
            reward=np.zeros(len(cell)),
            cluster=zeros - 1,
            sought=zeros.copy(),
            tried=no.copy(),
        )

    def _extend(self, entries: Entries, states: State) -> None:
        self.index.update(zip(entries.cell.tolist(), range(len(self), len(self) + len(entries)), strict=True))
        self.entries.append(entries)
        self.states = states if self.states is None else concatenate([self.states, states])

    def _improve(self, found: Entries, states: State, known: NDArray[np.int64]) -> None:
        old = known >= 0
        if old.any() and self.states is not None:
            self.entries.assign(known[old], found[old])
            self.states.assign(torch.from_numpy(known[old]), states[torch.from_numpy(old)])
        if not old.all():
            self._extend(found[~old], states[torch.from_numpy(~old)])

    def _count_visits(self, seen: _Seen) -> None:
        cells, counts = np.unique(seen.cell[seen.alive], return_counts=True)
        for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
            entry = self.index.get(cell)
            if entry is not None:
                self.entries.visits[entry] += count

    # ---- where to go on ----------------------------------------------------------------------------------

    def weights(self, path_steps: int) -> NDArray[np.float64]:
        """(N,) how much each entry deserves to be explored from; 0 where a path would become too long.

        Rarely chosen and rarely seen cells count more, as in Go-Explore; so do cells at the border of what
        was walked, and those with a lever, door, portal or character in sight that nothing came of yet. The
        many cells of one tile share a weight, so that flipping a lever does not make a place more worth.
        """
        entries = self.entries
        curiosity = 1 / np.sqrt(1 + entries.chosen) + 0.3 / np.sqrt(1 + entries.visits)
        unmade = np.ones(MARK_CODES, np.bool_)
        unmade[list(self.marks)] = False
        promise = 1 + 4 * (entries.landmarks[:, unmade].any(1) / (1 + 0.02 * entries.chosen))
        allowed = (entries.steps < path_steps) & ~entries.ended
        border = 1 + 3 * self._frontier() / (1 + 0.1 * entries.chosen)
        crowd = np.sqrt(np.bincount(entries.tile, minlength=self.visited.size)[entries.tile])
        weights: NDArray[np.float64] = curiosity * promise * border / crowd * allowed
        return weights

    def _frontier(self) -> NDArray[np.int64]:
        """(N,) 0..4: neighbouring tiles that are not solid and were never entered."""
        open_tiles = (self._free & (self.visited == 0)).reshape(MAP_HEIGHT, MAP_WIDTH)
        padded = np.pad(open_tiles, 1).astype(np.int64)
        around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        counts: NDArray[np.int64] = around.flatten()[self.entries.tile]
        return counts

    def choose(
        self,
        rows: int,
        path_steps: int,
        chance: np.random.Generator,
        lure: NDArray[np.float64] | None = None,
    ) -> NDArray[np.int64]:
        """(rows,) entries to go on from, drawn by weight, which ``lure`` (N,) multiplies for seekers."""
        weights = self.weights(path_steps) * (1 if lure is None else lure)
        if not weights.any():
            return np.zeros(rows, np.int64)
        picked: NDArray[np.int64] = chance.choice(len(weights), size=rows, p=weights / weights.sum())
        np.add.at(self.entries.chosen if lure is None else self.entries.sought, picked, 1)
        return picked

    def origin(self, picked: NDArray[np.int64], players: Sequence[str]) -> tuple[State, Origin]:
        """The states of entries, to be played on from, and where they stand in the tree."""
        if self.states is None:
            raise RuntimeError("the archive is empty: add_spawns comes first")
        entries = self.entries
        moments = [Moment(int(entries.segment[i]), int(entries.offset[i])) for i in picked]
        segments = [self.tree.segments[moment.segment] for moment in moments]
        return self.states[torch.from_numpy(picked)], Origin(
            moments=moments,
            seeds=[s.seed for s in segments],
            spawns=[s.spawn for s in segments],
            starts=entries.steps[picked],
            players=players,
        )
