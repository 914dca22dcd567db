"""A remix is explored from where its parent's exploration ended.

The parent's tree of segments is carried out in the remix, each segment once and from where it began, which
costs its own length and not that of its whole path. What it reaches is legal play in the remix and nothing
else, so nothing is taken on trust. Where the remix plays as its parent did (the same tiles and links on the
screen, the same mechanics), the counts of visits and choices are taken over as well, so that the search
spends itself on what changed and on what the parent's search had not come to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from bots.archive import Moment, Origin, Segment
from bots.legacy import Legacy, unchanged
from bots.rollout import Trajectory, replay
from bots.search import Search
from worldmodel.constants import Action
from worldmodel.protocol import State, concatenate

_PLAYER = "legacy/1"


def take_over(search: Search, legacy: Legacy) -> None:
    """Carry a parent's ways out in a search that has not begun, and go on from what they reach."""
    carried = _Carried(search, legacy)
    for batch in _batches(legacy, search.budget.batch):
        carried.play(batch)
    archive = search.archive
    same = unchanged(legacy, search.world).flatten()[legacy.tile]
    for cell, visits, chosen in zip(
        legacy.cell[same].tolist(), legacy.visits[same].tolist(), legacy.chosen[same].tolist(), strict=True
    ):
        entry = archive.index.get(cell)
        if entry is not None:
            archive.entries.visits[entry] += visits
            archive.entries.chosen[entry] += chosen
    search.curve.append((search.steps, len(archive)))


def _batches(legacy: Legacy, rows: int) -> Iterator[list[int]]:
    """Segment numbers in an order in which each comes after the one that it goes on from.

    Within a generation those of a like length play together.
    """
    depth = np.zeros(len(legacy.parent), np.int64)
    for number, before in enumerate(legacy.parent.tolist()):
        depth[number] = 0 if before < 0 else depth[before] + 1
    order = np.lexsort((legacy.length, depth))
    for generation in np.split(order, np.nonzero(np.diff(depth[order]))[0] + 1):
        numbers = generation.tolist()
        yield from (numbers[i : i + rows] for i in range(0, len(numbers), rows))


class _Carried:
    """Which segments have been carried out, and the states that others go on from."""

    def __init__(self, search: Search, legacy: Legacy) -> None:
        self._search, self._legacy = search, legacy
        self._actions = legacy.segment_actions()
        self._spawns = np.where(legacy.spawn < search.spawns, legacy.spawn, 0)
        self._numbers = np.full(len(legacy.parent), -1, np.int64)
        """Of each segment in this search's tree."""
        self._begins = np.zeros(len(legacy.parent), np.int64)
        """Steps from the spawn to each segment's beginning."""
        self._states: dict[tuple[int, int], State] = {}
        """By segment and steps of it: one row, where another segment goes on."""
        self._wanted: dict[int, list[int]] = {}
        for before, at in sorted(set(zip(legacy.parent.tolist(), legacy.at.tolist(), strict=True))):
            self._wanted.setdefault(before, []).append(at)

    def play(self, numbers: Sequence[int]) -> None:
        """Carry out segments whose beginnings were reached; others began after an episode's end."""
        begun = {n: state for n in numbers if (state := self._start(n)) is not None}
        for number in [n for n in begun if not self._legacy.length[n]]:
            root = Segment.empty(int(self._legacy.seed[number]), int(self._spawns[number]))
            self._numbers[number] = self._search.archive.tree.add(root)
            self._states[number, 0] = begun.pop(number)
        if begun:
            self._take(list(begun), self._replayed(begun))

    def _start(self, number: int) -> State | None:
        legacy, search = self._legacy, self._search
        before, at = int(legacy.parent[number]), int(legacy.at[number])
        if before >= 0:
            self._begins[number] = self._begins[before] + at
            return self._states.get((before, at))
        return search.model.spawn([search.world], [int(legacy.seed[number])], [int(self._spawns[number])])

    def _replayed(self, begun: Mapping[int, State]) -> Trajectory:
        """Each row's own actions, and no step after them that counts."""
        model, lengths = self._search.model, self._legacy.length[list(begun)]
        actions = torch.full((int(lengths.max()), len(begun)), int(Action.NOOP))
        for row, number in enumerate(begun):
            actions[: lengths[row], row] = torch.from_numpy(self._actions[number].astype(np.int64))
        played = replay(model, concatenate(list(begun.values())), actions.to(model.device))
        own = torch.arange(len(actions))[:, None] < torch.from_numpy(lengths)
        return replace(played, alive=played.alive & own.to(model.device))

    def _take(self, rows: list[int], played: Trajectory) -> None:
        legacy, search = self._legacy, self._search
        alive = played.alive.sum(0).cpu().numpy()
        wanted = [[at for at in self._wanted.get(n, []) if at <= alive[i]] for i, n in enumerate(rows)]
        before = legacy.parent[rows]
        origin = Origin(
            moments=[
                Moment(int(self._numbers[b]), int(legacy.at[n])) if b >= 0 else Moment(-1, 0)
                for n, b in zip(rows, before, strict=True)
            ],
            seeds=legacy.seed[rows].tolist(),
            spawns=self._spawns[rows].tolist(),
            starts=self._begins[rows],
            players=[_PLAYER] * len(rows),
        )
        least = np.array([max(ats, default=0) for ats in wanted], np.int64)
        self._numbers[rows] = search.archive.take_whole(played, origin, least)
        search.steps += int(alive.sum())
        for row, (number, ats) in enumerate(zip(rows, wanted, strict=True)):
            for at in ats:
                self._states[number, at] = played.rows_at(torch.tensor([at - 1]), torch.tensor([row]))
