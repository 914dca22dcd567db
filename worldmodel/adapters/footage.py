"""Footage to learn from and to measure by: what the simulator shows, at a model's own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.adapters.common import shrink
from worldmodel.bank import MAX_SPAWNS
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS
from worldmodel.protocol import State
from worldmodel.simulator import Simulator

STICK = 0.85
"""Probability that the player of a footage keeps the last action."""


@dataclass(frozen=True)
class Footage:
    """E episodes of T steps."""

    frames: Tensor
    """(E, T + 1, 3, size, size) uint8."""
    actions: Tensor
    """(E, T) uint8: the action that leads from a frame to the next."""

    def windows(self, count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random windows: frames (count, length, 3, S, S) uint8, actions between (count, length - 1)."""
        episodes, steps = self.actions.shape
        rows = torch.randint(episodes, (count,), generator=generator)
        starts = torch.randint(steps + 2 - length, (count,), generator=generator)
        reach = starts[:, None] + torch.arange(length)
        return self.frames[rows[:, None], reach], self.actions[rows[:, None], reach[:, :-1]].long()


def film(worlds: Sequence[CompiledWorld], episodes: int, steps: int, size: int, seed: int) -> Footage:
    """``episodes`` in each world, from random spawn points, by a sticky random player."""
    generator = torch.Generator().manual_seed(seed)
    simulator, parts = Simulator(), []
    for world in worlds:
        state = random_spawns(simulator, world, episodes, generator)
        frames, actions = [shrink(simulator.render(state), size)], []
        last = torch.randint(ACTIONS, (episodes,), generator=generator)
        for _ in range(steps):
            last = sticky(last, generator)
            state, seen = simulator.step(state, last)
            assert seen.frames is not None
            frames.append(shrink(seen.frames, size))
            actions.append(last.to(torch.uint8))
        parts.append((torch.stack(frames, 1), torch.stack(actions, 1)))
    return Footage(torch.cat([f for f, _ in parts]), torch.cat([a for _, a in parts]))


def random_spawns(
    simulator: Simulator, world: CompiledWorld, count: int, generator: torch.Generator
) -> State:
    """Fresh states of one world with random seeds at random spawn points."""
    seeds = torch.randint(2**31, (count,), generator=generator).tolist()
    spawns = torch.randint(min(len(world.spawns), MAX_SPAWNS), (count,), generator=generator).tolist()
    return simulator.spawn([world] * count, seeds, spawns)


def sticky(last: Tensor, generator: torch.Generator) -> Tensor:
    """The next actions (B,) of a player who mostly keeps on."""
    fresh = torch.randint(ACTIONS, last.shape, generator=generator)
    return torch.where(torch.rand(last.shape, generator=generator) < STICK, last, fresh)
