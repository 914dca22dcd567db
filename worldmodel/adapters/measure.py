"""How well an adapter foresees what the simulator shows, next to repeating the last frame it was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.adapters.common import ContextModel, enlarge, shrink
from worldmodel.adapters.footage import random_spawns, sticky
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS, Action
from worldmodel.protocol import State
from worldmodel.simulator import Simulator

HORIZONS = (1, 4, 16, 64)
"""Steps after the last true frame."""
WATCHED = 12
"""True steps that the model is shown first."""
FORK = 8
"""Steps of a fork: left in one branch, right in the other."""


@dataclass(frozen=True)
class Horizon:
    """Decibels of peak signal to noise, of the mean squared error over all episodes at 128 x 128."""

    psnr: float
    copy_last: float
    """The last true frame, repeated."""
    ceiling: float
    """The true frame, made small and large again: no model of this size can do better."""


@dataclass(frozen=True)
class Measured:
    """What :func:`measure` found."""

    worlds: int
    episodes: int
    horizons: dict[int, Horizon]
    steered: float | None
    """Share of forks whose branch looks more like the simulator's same branch than like its other one."""
    forks: int
    """Forks in which the simulator's branches differ."""


@dataclass
class _Pair:
    """The simulator and the model at the same moments."""

    simulator: Simulator
    model: ContextModel
    truth: State
    own: State

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """One step on in both; the frames (B, 3, FRAME, FRAME) uint8, truth first."""
        self.truth, seen = self.simulator.step(self.truth, actions)
        self.own, dreamt = self.model.step(self.own, actions)
        assert seen.frames is not None
        assert dreamt.frames is not None
        return seen.frames, dreamt.frames


def measure(
    model: ContextModel,
    worlds: Sequence[CompiledWorld],
    episodes: int = 4,
    seed: int = 0,
    horizons: Sequence[int] = HORIZONS,
) -> Measured:
    """Show the model WATCHED true steps of each episode, then let it go on alone with the same actions."""
    generator = torch.Generator().manual_seed(seed)
    errors = {horizon: [0.0, 0.0, 0.0] for horizon in horizons}
    right = forks = 0
    for world in worlds:
        pair, last_actions = _watched(model, world, episodes, generator)
        good, all_forks = _fork(pair)
        right, forks = right + good, forks + all_forks
        last = pair.simulator.render(pair.truth)
        for step in range(1, max(horizons) + 1):
            last_actions = sticky(last_actions, generator)
            truth, own = pair.step(last_actions)
            if step in errors:
                small = enlarge(shrink(truth, model.size))
                for at, frames in enumerate((own, last, small)):
                    errors[step][at] += _error(frames, truth) / len(worlds)
    return Measured(
        worlds=len(worlds),
        episodes=episodes * len(worlds),
        horizons={h: Horizon(*(_decibels(e) for e in row)) for h, row in errors.items()},
        steered=right / forks if forks else None,
        forks=forks,
    )


def _watched(
    model: ContextModel, world: CompiledWorld, episodes: int, generator: torch.Generator
) -> tuple[_Pair, Tensor]:
    """Both after WATCHED steps of the simulator, and the last actions (B,)."""
    simulator = Simulator()
    truth = random_spawns(simulator, world, episodes, generator)
    own = model.spawn([world] * episodes, truth.seed.tolist())
    context = model.begin(shrink(simulator.render(truth), model.size))
    actions = torch.randint(ACTIONS, (episodes,), generator=generator)
    for _ in range(WATCHED):
        actions = sticky(actions, generator)
        truth, seen = simulator.step(truth, actions)
        assert seen.frames is not None
        context = torch.cat(
            [
                model.watch(c[None], f[None], a[None])
                for c, f, a in zip(context, shrink(seen.frames, model.size), actions, strict=True)
            ]
        )
    return _Pair(simulator, model, truth, own.updated(context=context)), actions


def _fork(pair: _Pair) -> tuple[int, int]:
    """Branches that went the right way, and branches where it shows which way is right."""
    branches = []
    for action in (Action.LEFT, Action.RIGHT):
        branch = _Pair(pair.simulator, pair.model, pair.truth, pair.own)
        for _ in range(FORK):
            truth, own = branch.step(torch.full((len(pair.truth),), int(action)))
        branches.append((truth.float(), own.float()))
    (left, own_left), (right, own_right) = branches
    apart = _distance(left, right) > 1
    good = (_distance(own_left, left) < _distance(own_left, right)) & apart
    good_too = (_distance(own_right, right) < _distance(own_right, left)) & apart
    return int(good.sum() + good_too.sum()), 2 * int(apart.sum())


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """(B,) mean absolute difference in grey levels."""
    return (one.float() - other.float()).abs().mean((1, 2, 3))


def _error(frames: Tensor, truth: Tensor) -> float:
    """Mean squared error of pixels 0..1."""
    return float((frames.float() - truth.float()).square().mean()) / 255**2


def _decibels(error: float) -> float:
    return float(-10 * torch.tensor(max(error, 1e-10)).log10())
