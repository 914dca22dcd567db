"""Who plays during an evaluation: half the rows press keys at random, half run errands to things."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from worldmodel.constants import ACTIONS, MAP_WIDTH, Action, Tile
from worldmodel.crops import tile_of
from worldmodel.protocol import State

STICK = 0.85
"""Probability that the random player keeps its action."""
PATIENCE = 90
"""Steps after which an errand is given up for another."""
WANDER = 0.15
"""Share of an errand's steps that are random, so that it does not stay stuck behind a wall."""
WORTH = (Tile.COIN, Tile.KEY, Tile.DOOR, Tile.PORTAL, Tile.LEVER, Tile.CHARACTER, Tile.HAZARD, Tile.WATER)
"""What errands go to."""


class Players:
    """Actions for B rows, from one seeded generator (on the CPU: the same on every device)."""

    def __init__(self, rows: int, generator: Generator) -> None:
        self.generator = generator
        self.last = torch.zeros(rows, dtype=torch.long)
        self.errand = torch.arange(rows) % 2 == 1
        self.target = torch.zeros(rows, 2, dtype=torch.long)
        self.left = torch.zeros(rows, dtype=torch.long)

    def act(self, state: State) -> Tensor:
        """(B,) int64 on the state's device; ``state`` is whom the errands see themselves as."""
        rows = len(self.last)
        fresh = torch.randint(0, ACTIONS, (rows,), generator=self.generator)
        random = torch.where(self._chance(rows, STICK), self.last, fresh)
        headed = torch.where(self._chance(rows, WANDER), random, self._head(state))
        self.last = torch.where(self.errand, headed, random)
        return self.last.to(state.canvas.device)

    def _head(self, state: State) -> Tensor:
        """Greedily towards the target: sideways, and up where it is higher or the way is blocked."""
        at = tile_of(state.position).cpu().long()
        dx, dy = (self.target - at).unbind(1)
        lost = (self.left <= 0) | ((dx.abs() + dy.abs()) == 0)
        if bool(lost.any()):
            self.target[lost] = self._somewhere(state.canvas.cpu()[lost])
            self.left[lost] = PATIENCE
            dx, dy = (self.target - at).unbind(1)
        self.left -= 1
        stopped = state.velocity[:, 0].cpu() == 0
        up = (dy < 0) | (stopped & (dx != 0))
        sideways = torch.where(dx > 0, int(Action.RIGHT), int(Action.LEFT))
        leaping = torch.where(dx > 0, int(Action.UP_RIGHT), int(Action.UP_LEFT))
        upright = torch.where(dy < 0, int(Action.UP), int(Action.DOWN))
        moving = torch.where(dx == 0, upright, torch.where(up, leaping, sideways))
        close = dx.abs() + dy.abs() <= 1
        return torch.where(close & self._chance(len(dx), 0.3), int(Action.INTERACT), moving)

    def _somewhere(self, canvas: Tensor) -> Tensor:
        """(N, 2) tiles x, y of random things in (N, H, W) canvases; anywhere where there is none."""
        worth = torch.isin(canvas, torch.tensor([int(t) for t in WORTH], dtype=canvas.dtype))
        weights = worth.flatten(1).float() + 1e-6
        index = torch.multinomial(weights, 1, generator=self.generator)[:, 0]
        return torch.stack([index % MAP_WIDTH, index // MAP_WIDTH], 1)

    def _chance(self, rows: int, probability: float) -> Tensor:
        return torch.rand(rows, generator=self.generator) < probability
