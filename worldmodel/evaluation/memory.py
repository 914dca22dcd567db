"""Does the world stay as it was left? Players change things, are carried far away, and come back.

Carried, not walked: so that every row returns, and to the very place. What a lever far away rightly opens is
taken from the simulator's single steps, and counts as left that way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from worldmodel.bank import MAX_SPAWNS, standing
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS, MAP_HEIGHT, MAP_WIDTH, UNITS, Action, Tile
from worldmodel.crops import tile_of
from worldmodel.evaluation.players import Players
from worldmodel.evaluation.records import Playable
from worldmodel.evaluation.visits import WALLS
from worldmodel.protocol import State
from worldmodel.simulator import Simulator

PLACES, CHANGE_STEPS = 3, 24
"""Places per world and class of thing, and the steps in which a player changes what is there."""
IN_VIEW = 4
"""Tiles around the player that are looked at again."""
CHANGEABLE = (Tile.COIN, Tile.KEY, Tile.DOOR, Tile.LEVER)


@dataclass(frozen=True)
class Memory:
    """Over all returns. A share is None where there was nothing of the kind."""

    returns: int
    steps_away: int
    tiles_as_left: float | None
    """Of all tiles around the player."""
    changed: int
    """Tiles among them that the player had changed."""
    changed_as_left: float | None
    taken_still_gone: float | None
    """Of coins and keys that had been taken."""
    doors_still_open: float | None
    levers_as_left: float | None
    shown_as_left: float | None
    """Share of returns whose frame is nearer to a painting of what was left than of the untouched world."""


@torch.no_grad()
def remember(
    model: Playable, worlds: Sequence[CompiledWorld], steps_away: int, generator: Generator
) -> Memory | None:
    """Play, leave for ``steps_away``, return and look. None where nothing can be changed."""
    simulator = Simulator(model.device, model.bank)
    state = _beside_things(model, worlds)
    if state is None:
        return None
    state = _change(model, state, generator)
    left, home = state.canvas.clone(), state
    state, left = _stay_away(model, simulator, state, left, steps_away, generator)
    back = state.updated(
        position=home.position, velocity=home.velocity * 0, look=home.look, facing=home.facing
    )
    return _compare(model, simulator, back, left, steps_away)


def go_on(model: Playable, state: State, actions: Tensor) -> State:
    """A step that no goal ends: a model must not get away with calling it a day."""
    after, _ = model.step(state, actions, render=False)
    return after.updated(done=torch.zeros_like(after.done))


def _beside_things(model: Playable, worlds: Sequence[CompiledWorld]) -> State | None:
    """Players with a key on the nearest free tile to each of PLACES things of every changeable class."""
    many, tiles = [], []
    for world in worlds:
        free = ~np.isin(world.tiles, [int(t) for t in WALLS])
        for tile in CHANGEABLE:
            rows, columns = (world.tiles == tile).nonzero()
            for pick in np.linspace(0, len(rows) - 1, min(PLACES, len(rows)), dtype=int):
                x, y = int(columns[pick]), int(rows[pick])
                beside = next(((x + d, y) for d in (-1, 1, 0) if free[y, x + d]), None)
                if beside is not None:
                    many.append(world)
                    tiles.append(beside)
    if not many:
        return None
    state = model.spawn(many, list(range(len(many))))
    places = standing(torch.tensor(tiles)).to(model.device)
    return state.updated(position=places, keys=torch.ones_like(state.keys))


def _change(model: Playable, state: State, generator: Generator) -> State:
    """Walk to and fro and pull what can be pulled, once."""
    for number in range(CHANGE_STEPS):
        across = Action.RIGHT if (number // 8) % 2 == 0 else Action.LEFT
        interact = torch.full((len(state),), number == CHANGE_STEPS // 2)
        actions = torch.where(interact, int(Action.INTERACT), int(across))
        wild = torch.randint(0, ACTIONS, (len(state),), generator=generator)
        actions = torch.where(torch.rand(len(state), generator=generator) < 0.2, wild, actions)
        state = go_on(model, state, actions.to(model.device))
    return state


def _stay_away(
    model: Playable,
    simulator: Simulator,
    state: State,
    left: Tensor,
    steps: int,
    generator: Generator,
) -> tuple[State, Tensor]:
    """Play at the spawn point that is farthest off; also the canvas as it should be found again."""
    points = model.bank.spawns[state.world]  # (B, MAX_SPAWNS, 2)
    away = (points - tile_of(state.position)[:, None]).abs().sum(-1).argmax(1)
    far = points[torch.arange(len(state), device=points.device), away % MAX_SPAWNS]
    state = state.updated(position=standing(far), velocity=state.velocity * 0)
    players = Players(len(state), generator)
    for _ in range(steps):
        actions = players.act(state)
        expected, _ = simulator.step(state, actions, render=False)
        rightly = expected.canvas != state.canvas
        state = go_on(model, state, actions)
        left = torch.where(rightly, expected.canvas, left)
    return state, left


def around(state: State) -> Tensor:
    """(B, MAP_HEIGHT, MAP_WIDTH) tiles within IN_VIEW of the player."""
    col, row = tile_of(state.position).unbind(1)
    device = state.canvas.device
    rows = (torch.arange(MAP_HEIGHT, device=device) - row[:, None]).abs() <= IN_VIEW
    cols = (torch.arange(MAP_WIDTH, device=device) - col[:, None]).abs() <= IN_VIEW
    return rows[:, :, None] & cols[:, None, :]


def _compare(model: Playable, simulator: Simulator, back: State, left: Tensor, steps_away: int) -> Memory:
    untouched = model.bank.tiles[back.world]
    seen, same = around(back), back.canvas == left
    changed = seen & (left != untouched)

    def part(of: Tensor) -> float | None:
        return same[of].float().mean().item() if bool(of.any()) else None

    things = (untouched == Tile.COIN) | (untouched == Tile.KEY)
    levers = (untouched == Tile.LEVER) | (untouched == Tile.LEVER_ON)
    return Memory(
        returns=len(back),
        steps_away=steps_away,
        tiles_as_left=part(seen),
        changed=int(changed.sum()),
        changed_as_left=part(changed),
        taken_still_gone=part(changed & things),
        doors_still_open=part(changed & (untouched == Tile.DOOR)),
        levers_as_left=part(changed & levers),
        shown_as_left=_shown(model, simulator, back, left, untouched),
    )


def _shown(
    model: Playable, simulator: Simulator, back: State, left: Tensor, untouched: Tensor
) -> float | None:
    frames = model.render(back)
    as_left = simulator.render(back.updated(canvas=left))
    as_new = simulator.render(back.updated(canvas=untouched))
    right, asked = nearer(frames, as_left, as_new)
    return right[asked].float().mean().item() if bool(asked.any()) else None


def nearer(frames: Tensor, these: Tensor, those: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) frames nearer to ``these`` than to ``those`` where the two differ; and whether they do at all."""
    differ = (these.int() - those.int()).abs().amax(1, keepdim=True) > 8
    to_these = ((frames.int() - these.int()).abs() * differ).sum((1, 2, 3))
    to_those = ((frames.int() - those.int()).abs() * differ).sum((1, 2, 3))
    return to_these < to_those, differ.flatten(1).sum(1) >= UNITS // 2
