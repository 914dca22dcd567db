"""The gate that cells must pass: the same state falls in the same cell, however it is drawn or computed.

A cell that splits is found twice, and a search that follows what is new then follows noise. For every kind of
cell, states from play are looked at again: *restored* from their saved bytes, *replayed* by the same actions
in a batch of another shape (where floating point rounds otherwise), and, for cells of frames, drawn with
*noise* of 0.4 grey levels, which is what a decoder's rounding comes to. Cells that are all one would pass, so
the share of different moments (a second apart, and not drawn alike) that share a cell is told beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bots.cells import Cells, SeenCells, host
from bots.dice import key_of
from bots.players import HUMAN, PERSONAS, Mixture
from bots.risk import mean_upper
from bots.rollout import Trajectory, play, replay
from worldmodel.adapters.common import ContextModel
from worldmodel.bank import MAX_SPAWNS
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import FPS
from worldmodel.protocol import State, WorldModel, concatenate

LEAST_SAME = 0.95
NOISE = 0.4
"""Grey levels, standard deviation."""
LOOKS_ALIKE = 1.0
"""Mean difference in grey levels under which two frames count as one look."""
PLAYS, STEPS, EVERY = 9, 75, 5
"""Playthroughs in each world, their length, and the steps between the states that are looked at."""


@dataclass(frozen=True)
class GateRow:
    """One kind of cell, looked at again in one way."""

    cells: str
    again: str
    states: int
    same: float
    """Share 0..1 of states that fall in the same cell again."""
    lower: float
    """Lower 95 % limit of that, over playthroughs (Hoeffding-Bentkus)."""
    merged: float
    """Share of different moments that share a cell."""

    @property
    def passes(self) -> bool:
        return self.same >= LEAST_SAME


def gate(model: WorldModel, worlds: Sequence[CompiledWorld], seed: int = 0) -> list[GateRow]:
    """Look at states of play in each world again; a row for each kind of cell and way.

    Cells of the model's state where it has one; cells of its frames for every model.
    """
    looks = [_look(model, world, key_of(seed, number)) for number, world in enumerate(worlds)]
    names = dict.fromkeys(name for look in looks for name in look)
    return [_row(*name, [look[name] for look in looks]) for name in names]


@dataclass(frozen=True)
class _Again:
    """Cells of the moments of PLAYS playthroughs, at first and again: (PLAYS, moments)."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    differ: NDArray[np.bool_]
    """(PLAYS, moments - FPS // EVERY): what is a second later is not drawn alike."""


def _row(cells: str, again: str, looks: Sequence[_Again]) -> GateRow:
    missed = np.concatenate([(one.first != one.second).mean(1) for one in looks])
    apart = FPS // EVERY
    shared = np.concatenate([(o.first[:, apart:] == o.first[:, :-apart])[o.differ] for o in looks])
    return GateRow(
        cells=cells,
        again=again,
        states=sum(one.first.size for one in looks),
        same=float(1 - missed.mean()),
        lower=1 - mean_upper(missed),
        merged=float(shared.mean()) if len(shared) else 0.0,
    )


def _look(model: WorldModel, world: CompiledWorld, seed: int) -> dict[tuple[str, str], _Again]:
    start, played = _play(model, world, seed)
    steps = torch.arange(0, STEPS, EVERY)
    rows = torch.arange(PLAYS)
    states = played.rows_at(steps.repeat(PLAYS), rows.repeat_interleave(len(steps)))
    restored = model.restore(model.save(states), [world])
    alone = [replay(model, start[r : r + 1], played.actions[:, r : r + 1]) for r in rows.tolist()]
    replayed = concatenate([one.rows_at(steps, torch.zeros_like(steps)) for one in alone])
    frames = model.render(states)
    noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(seed)) * NOISE
    noisy = (frames.float() + noise.to(frames.device)).round().clamp(0, 255).to(torch.uint8)
    shape = (PLAYS, len(steps))
    differ = _differ(frames.view(*shape, *frames.shape[1:]))

    def again(first: Tensor, second: Tensor) -> _Again:
        return _Again(host(first).reshape(shape), host(second).reshape(shape), differ)

    found = {}
    for name, cells in _kinds(model, world).items():
        first = cells.cells(states)
        found[name, "restored"] = again(first, cells.cells(restored))
        found[name, "replayed alone"] = again(first, cells.cells(replayed))
        if isinstance(cells, SeenCells):
            found[name, f"noise of {NOISE:g} grey levels"] = again(first, cells.of_frames(noisy))
    return found


def _kinds(model: WorldModel, world: CompiledWorld) -> dict[str, Cells]:
    frame: dict[str, Cells] = {"frame": SeenCells(world, model)}
    return frame if isinstance(model, ContextModel) else {"state": Cells(world, model.device)} | frame


def _play(model: WorldModel, world: CompiledWorld, seed: int) -> tuple[State, Trajectory]:
    everyone = (HUMAN, *PERSONAS)
    choice = torch.arange(PLAYS, device=model.device) % len(everyone)
    seeds = [key_of(seed, row) for row in range(PLAYS)]
    spawns = [row % min(len(world.spawns), MAX_SPAWNS) for row in range(PLAYS)]
    start = model.spawn([world] * PLAYS, seeds, spawns)
    keys = torch.arange(PLAYS, device=model.device) + seed
    return start, play(model, start, Mixture.of(everyone, choice), keys, STEPS)


def _differ(frames: Tensor) -> NDArray[np.bool_]:
    """(PLAYS, moments less a second) of frames (PLAYS, moments, 3, H, W): a second later looks otherwise."""
    apart = FPS // EVERY
    change = (frames[:, apart:].float() - frames[:, :-apart].float()).abs().mean((2, 3, 4))
    return (change >= LOOKS_ALIKE).cpu().numpy()
