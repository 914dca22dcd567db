"""The sample arm: independent episodes by one frozen player. It measures, and nothing of it is fed back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bots.cells import cells_of, host
from bots.dice import key_of
from bots.exploration import Budget
from bots.players import HUMAN, Mixture, Player
from bots.recording import EVIDENCE_BATCH, Playthrough
from bots.rollout import Trajectory, play
from worldmodel.bank import MAX_SPAWNS
from worldmodel.compiled import CompiledWorld
from worldmodel.protocol import WorldModel

_WORLD, _PLACE, _HAND = 11, 12, 13


@dataclass(frozen=True)
class Episode:
    """One sample episode and where it went."""

    playthrough: Playthrough
    cells: NDArray[np.int64]
    """(T,) cell after each step."""
    tiles: NDArray[np.int64]
    """(T,) y * MAP_WIDTH + x."""


def sample_batch(
    model: WorldModel,
    world: CompiledWorld,
    budget: Budget,
    seed: int,
    numbers: Sequence[int],
    player: Player = HUMAN,
) -> list[Episode]:
    """The episodes with these numbers, at most EVIDENCE_BATCH; each depends on ``seed`` and its number only.

    Every batch has EVIDENCE_BATCH rows, the shape in which its recordings will be made; rows over are played
    as later episodes would be, and dropped.
    """
    if not 0 < len(numbers) <= EVIDENCE_BATCH:
        raise ValueError(f"{len(numbers)} episodes do not fit a batch of {EVIDENCE_BATCH}")
    rows = [*numbers, *range(numbers[-1] + 1, numbers[-1] + 1 + EVIDENCE_BATCH - len(numbers))]
    places = min(len(world.spawns), MAX_SPAWNS)
    seeds = [key_of(seed, _WORLD, n) for n in rows]
    spawns = [key_of(seed, _PLACE, n) % places for n in rows]
    keys = torch.tensor([key_of(seed, _HAND, n) for n in rows], device=model.device)
    everyone = Mixture.of([player], torch.zeros(len(rows), dtype=torch.int64, device=model.device))
    played = play(
        model, model.spawn([world] * len(rows), seeds, spawns), everyone, keys, budget.episode_steps
    )
    cells = cells_of(model, world)
    shape = tuple(played.actions.shape)
    cell = host(cells.cells(played.flat())).reshape(shape)
    tile = host(cells.tile_index(played.flat())).reshape(shape)
    return [
        Episode(
            _playthrough(model, world, played, row, (seeds[row], spawns[row], player.name)),
            *(column[: int(played.alive[:, row].sum()), row] for column in (cell, tile)),
        )
        for row in range(len(numbers))
    ]


def _playthrough(
    model: WorldModel, world: CompiledWorld, played: Trajectory, row: int, who: tuple[int, int, str]
) -> Playthrough:
    steps = int(played.alive[:, row].sum())
    seed, spawn, player = who
    return Playthrough(
        world=world.key,
        model=model.card.sha256,
        arm="sample",
        player=player,
        seed=seed,
        spawn=spawn,
        actions=played.actions[:steps, row].cpu().numpy().astype(np.uint8),
        events=played.events[:steps, row].cpu().numpy(),
        clips=played.clips[:steps, row].cpu().numpy().astype(np.int16),
    )
