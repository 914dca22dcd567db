"""Events are rare in free play: put players beside everything that can happen, and let them act there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from worldmodel.bank import standing
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import (
    ACTIONS,
    PLATFORM_HALF,
    PLAYER_HALF,
    UNITS,
    Action,
    Mover,
    Tile,
)
from worldmodel.evaluation.records import Playable, Steps
from worldmodel.protocol import State
from worldmodel.simulator import Simulator

VISITS, VISIT_STEPS = 6, 16
"""Places visited per world and class of tile to see its events, and steps played at each."""
WALLS = (Tile.SOLID, Tile.DOOR, Tile.ICE)
ENOUGH_COINS = 9


@torch.no_grad()
def visit(model: Playable, worlds: Sequence[CompiledWorld], generator: Generator) -> Steps:
    """Single steps at the sights of every world, and beside everything that moves."""
    simulator = Simulator(model.device, model.bank)
    steps = Steps()
    state = at_sights(model, worlds, generator)
    for _ in range(VISIT_STEPS):
        actions = torch.randint(0, ACTIONS, (len(state),), generator=generator)
        pulled = torch.rand(actions.shape, generator=generator) < 0.3
        actions = torch.where(pulled, int(Action.INTERACT), actions).to(model.device)
        after, seen = model.step(state, actions, render=False)
        steps.add(state, after, seen, *simulator.step(state, actions, render=False))
        state = after
    return steps


def at_sights(model: Playable, worlds: Sequence[CompiledWorld], generator: Generator) -> State:
    """Players with a key, coins enough, and in half the rows their last health, at every sight."""
    index, places = sights(worlds, generator)
    many = [worlds[i] for i in index]
    state = model.spawn(many, list(range(len(many))))
    frail = torch.rand(len(many), generator=generator) < 0.5
    return state.updated(
        position=places.to(model.device),
        keys=torch.ones_like(state.keys),
        coins=torch.full_like(state.coins, ENOUGH_COINS),
        health=torch.where(frail.to(model.device), 1, state.health),
    )


def sights(worlds: Sequence[CompiledWorld], generator: Generator) -> tuple[list[int], Tensor]:
    """Worlds, and the places (N, 2) of players in units at or beside all that can be set off or met."""
    index, places = [], []
    for number, world in enumerate(worlds):
        for x, y in things(world, generator):
            side = int(torch.randint(-1, 2, (), generator=generator))
            if world.tiles[y, x + side] not in WALLS:
                index.append(number)
                places.append(standing(torch.tensor([x + side, y])))
        for place in _by_movers(world):
            index.append(number)
            places.append(place)
    return index, torch.stack(places)


def things(world: CompiledWorld, generator: Generator) -> Iterator[tuple[int, int]]:
    """VISITS tiles x, y of every class that does something, some of them several times."""
    for tile in range(Tile.HAZARD, len(Tile)):
        rows, columns = (world.tiles == tile).nonzero()
        if len(rows) and tile != Tile.ICE:
            for place in torch.randint(0, len(rows), (VISITS,), generator=generator).tolist():
                yield int(columns[place]), int(rows[place])
    # on ice, players stand on the tile above it
    rows, columns = ((world.tiles[1:] == Tile.ICE) & ~_walls(world)[:-1]).nonzero()
    if len(rows):
        for place in torch.randint(0, len(rows), (VISITS,), generator=generator).tolist():
            yield int(columns[place]), int(rows[place])


def _walls(world: CompiledWorld) -> NDArray[np.bool_]:
    return np.isin(world.tiles, [int(t) for t in WALLS])


def _by_movers(world: CompiledWorld) -> Iterator[Tensor]:
    """On every platform, and two tiles beside every enemy, where that is free."""
    for kind, (x, y) in zip(world.mover_kinds.tolist(), world.mover_spawns.tolist(), strict=True):
        if kind == Mover.PLATFORM:
            above = y * UNITS - PLAYER_HALF[1] - PLATFORM_HALF[1] // 2
            yield torch.tensor([x * UNITS + UNITS // 2, above], dtype=torch.int32)
        elif kind and 2 <= x < world.tiles.shape[1] - 2 and world.tiles[y, x - 2] not in WALLS:
            yield standing(torch.tensor([x - 2, y]))
