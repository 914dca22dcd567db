"""Who explores. A new explorer is one more line in ``STRATEGIES``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from benchmarks.exploration.ppo_rnd import PpoRnd
from benchmarks.exploration.watch import Watch
from bots.archive import Archive
from bots.cells import cells_of
from bots.dice import key_of, uniforms
from bots.exploration import Budget
from bots.players import DICE, PERSONAS, Idle, Memory, Mixture, Player, StickyRandom, fresh_memory
from bots.probe import Probe
from bots.rollout import play
from bots.search import Search
from bots.view import View, look, top_views
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS

ROWS = 128
EPISODE = 900
"""Steps of an episode that begins at the start: as long as the longest path that the archive goes on from."""


class Strategy(Protocol):
    """One way of spending a budget on a world."""

    def play(self, model: Watch, world: CompiledWorld, budget: int, seed: int) -> None:
        """Play, by ``model`` alone, until ``model.over``; ``budget`` counts the steps of all rows."""
        ...


@dataclass(frozen=True)
class Uniform:
    """Every action as likely as any other."""

    name: str = "uniform/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:  # noqa: ARG002
        return (dice[:, 0] * ACTIONS).long()


@dataclass(frozen=True)
class Episodes:
    """Players who begin at the start again and again, and learn nothing."""

    players: Sequence[Player]

    def play(self, model: Watch, world: CompiledWorld, budget: int, seed: int) -> None:  # noqa: ARG002
        choice = torch.arange(ROWS, device=model.device) % len(self.players)
        mixture = Mixture.of(self.players, choice)
        begun = 0
        while not model.over:
            seeds = [key_of(seed, begun, row) for row in range(ROWS)]
            state, memory = model.spawn([world] * ROWS, seeds), fresh_memory(ROWS, model.device)
            above, keys = top_views(model, state), torch.tensor(seeds, device=model.device)
            for step in range(EPISODE):
                actions = mixture.act(memory, look(state, above), uniforms(keys, step, DICE))
                state, _ = model.step(state, actions, render=False)
                if model.over or bool(state.done.all()):
                    break
            begun += 1


@dataclass(frozen=True)
class ArchiveOnly:
    """First return, then explore: the product's archive with nobody but these players."""

    players: Sequence[Player]
    budget: Budget = field(default_factory=Budget)

    def play(self, model: Watch, world: CompiledWorld, budget: int, seed: int) -> None:  # noqa: ARG002
        archive, limits = Archive(world, cells_of(model, world)), self.budget
        archive.add_spawns(model.spawn([world], [key_of(seed)]), [key_of(seed)])
        number = 0
        while not model.over:
            chance = np.random.default_rng(key_of(seed, 1, number))
            picked = archive.choose(limits.batch, limits.path_steps, chance)
            choice = chance.integers(len(self.players), size=limits.batch)
            state, origin = archive.origin(picked, [self.players[i].name for i in choice])
            mixture = Mixture.of(self.players, torch.from_numpy(choice).to(model.device))
            keys = torch.arange(limits.batch, device=model.device) + key_of(seed, 2, number)
            archive.take_in(play(model, state, mixture, keys, limits.round_steps), origin)
            number += 1


@dataclass(frozen=True)
class FirstPlay:
    """The product's search arm as it is, told never to settle."""

    seeking: bool = False
    """With the default policy's cheap detectors for the seekers, as in a review."""

    def play(self, model: Watch, world: CompiledWorld, budget: int, seed: int) -> None:
        limits = Budget(search_steps=budget, floor=0.0)
        search = Search(model, world, limits, seed, probe=_probe() if self.seeking else None)
        while not model.over and not search.finished:
            search.round()


@cache
def _probe() -> Probe | None:
    from moderation.probe import probe_of
    from moderation.scan import load_detectors
    from policies.bundle import load_bundle

    bundle = load_bundle()
    return probe_of(load_detectors(bundle), bundle)


STRATEGIES: dict[str, Strategy] = {
    "idle": Episodes([Idle()]),
    "random": Episodes([Uniform()]),
    "sticky": Episodes([StickyRandom()]),
    "personas": Episodes(PERSONAS),
    "ppo-rnd": PpoRnd(EPISODE),
    "archive-sticky": ArchiveOnly([StickyRandom()]),
    "firstplay": FirstPlay(),
    "firstplay-seeking": FirstPlay(seeking=True),
}
