"""What can be reached in a world: breadth-first search over (place, keys, levers and doors).

The search plays the real rules: from every new node it tries each of a set of short action strings in the
simulator, all nodes of a frontier in one batch, so what it reports as reachable was reached by legal
actions. Enemies are left out. What it does not report may still be reachable by finer play.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, UNITS, Action, Tile
from worldmodel.crops import tile_of
from worldmodel.noise import mix
from worldmodel.protocol import State, concatenate
from worldmodel.simulator import Simulator, grounded

HOLD = 8
"""Steps for which a string holds its action."""
PLACE = UNITS // 2
"""Places are told apart by half tiles."""
_HELD = (Action.LEFT, Action.RIGHT, Action.UP, Action.DOWN, Action.UP_LEFT, Action.UP_RIGHT)


@dataclass(frozen=True)
class Reach:
    """Result of a search from the true start."""

    steps: NDArray[np.int32]
    """(MAP_HEIGHT, MAP_WIDTH) fewest steps found to the tile, -1 where none was."""
    goal: bool
    nodes: int
    complete: bool
    """False when the node limit ended the search."""

    def reached(self, box: tuple[int, int, int, int]) -> bool:
        """Whether any tile of the box (x0, y0, x1, y1; exclusive) was reached."""
        x0, y0, x1, y1 = box
        return bool((self.steps[y0:y1, x0:x1] >= 0).any())

    def steps_to(self, box: tuple[int, int, int, int]) -> int | None:
        """Fewest steps to the box or a tile beside it (nobody ever stands on a portal), None for no way."""
        x0, y0, x1, y1 = box
        near = self.steps[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1]
        return int(near[near >= 0].min()) if (near >= 0).any() else None


def strings() -> Tensor:
    """(S, HOLD) int64 action strings: what a search tries from every node."""
    held = [[int(action)] * HOLD for action in _HELD]
    taps = [[int(action)] * 2 + [int(Action.NOOP)] * (HOLD - 2) for action in (Action.LEFT, Action.RIGHT)]
    hop = [[int(Action.UP)] + [int(side)] * (HOLD - 1) for side in (Action.LEFT, Action.RIGHT)]
    pull = [[int(Action.INTERACT)] + [int(Action.NOOP)] * (HOLD - 1)]
    return torch.tensor(held + taps + hop + pull)


def _nodes(state: State) -> Tensor:
    """(B,) int64 hash of place, standing, direction of flight, keys and the canvas."""
    place = torch.div(state.position, PLACE, rounding_mode="floor").long()
    flying = torch.where(grounded(state)[:, None], 0, state.velocity.sign() + 2).long()
    weights = mix(torch.arange(MAP_HEIGHT * MAP_WIDTH, device=state.canvas.device))
    changed = torch.where(state.canvas == Tile.COIN, int(Tile.EMPTY), state.canvas)  # coins do not matter
    canvas = (changed.flatten(1).long() * weights).sum(1)
    code = canvas
    for part in (place[:, 0], place[:, 1], flying[:, 0], flying[:, 1], state.keys.long()):
        code = mix(code ^ part)
    return code


def reachability(world: CompiledWorld, *, limit: int = 60_000) -> Reach:
    """Search from the true start; ``limit`` bounds the number of nodes."""
    calm = replace(world, key=f"{world.key}:calm", mover_kinds=np.zeros_like(world.mover_kinds))
    simulator = Simulator()
    frontier = simulator.spawn([calm], [0])
    seen: set[int] = set(_nodes(frontier).tolist())
    best = torch.full((MAP_HEIGHT, MAP_WIDTH), -1, dtype=torch.int32)
    goal = False
    while len(frontier) and len(seen) < limit:
        arrived = _expand(simulator, frontier, best)
        goal |= bool(arrived.done.any())
        frontier = _unseen(arrived[~arrived.done], seen)
    return Reach(best.numpy(), goal, len(seen), complete=not len(frontier))


def _expand(simulator: Simulator, frontier: State, best: Tensor) -> State:
    """Every string from every state of the frontier; marks the tiles passed."""
    tried = strings()
    states = concatenate([frontier] * len(tried))
    actions = tried.repeat_interleave(len(frontier), dim=0)
    for column in range(HOLD):
        states, _ = simulator.step(states, actions[:, column], render=False)
        _mark(states, best)
    return states


def _mark(states: State, best: Tensor) -> None:
    x, y = tile_of(states.position).long().unbind(1)
    x, y = x.clamp(0, MAP_WIDTH - 1), y.clamp(0, MAP_HEIGHT - 1)
    steps = torch.full_like(best, torch.iinfo(torch.int32).max)
    steps.view(-1).scatter_reduce_(0, y * MAP_WIDTH + x, states.step.int(), "amin")
    better = (steps < torch.iinfo(torch.int32).max) & ((best < 0) | (steps < best))
    best[better] = steps[better]


def _unseen(states: State, seen: set[int]) -> State:
    """The first state of every node that was not seen before."""
    keep = []
    for row, code in enumerate(_nodes(states).tolist()):
        if code not in seen:
            seen.add(code)
            keep.append(row)
    return states[keep] if keep else states[:0]
