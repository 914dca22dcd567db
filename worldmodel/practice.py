"""Practice: random maps and random moments of play, the data on which the dynamics are trained.

Practice maps are denser and stranger than any layout, so that every local situation is met often. No layout,
theme or example world is in them: those are for evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from worldmodel.bank import MAX_SPAWNS, WorldBank, fresh_state
from worldmodel.constants import ACTIONS, MOVER_SLOTS, MAP_HEIGHT, MAP_WIDTH, MAX_LINKS, UNITS, Tile
from worldmodel.protocol import State

SPRINKLE = {
    Tile.HAZARD: 0.04,
    Tile.COIN: 0.07,
    Tile.KEY: 0.03,
    Tile.DOOR: 0.05,
    Tile.DOOR_OPEN: 0.01,
    Tile.PORTAL: 0.015,
    Tile.LEVER: 0.03,
    Tile.LEVER_ON: 0.015,
    Tile.CHARACTER: 0.02,
    Tile.GOAL: 0.01,
}
"""Share of cells that get each class, on top of the structure."""
STICK = 0.8
"""Probability that a practising player keeps the last action."""


@dataclass
class Practice:
    """A bank of random maps and a stream of players' moments on them, all from one generator."""

    bank: WorldBank
    generator: Generator

    @classmethod
    def create(cls, maps: int, seed: int, device: torch.device) -> Practice:
        practice = cls(WorldBank(device), Generator(device=device).manual_seed(seed))
        practice.redraw(maps)
        return practice

    def redraw(self, maps: int) -> None:
        """New maps in place of the old ones; states on the old ones lose their meaning."""
        tiles = self._tiles(maps)
        self.bank.replace_tensors(
            tiles=tiles,
            links=self._randint(1, MAX_LINKS, maps, MAP_HEIGHT, MAP_WIDTH).to(torch.uint8),
            effects=self._randint(0, 3, maps, MAX_LINKS).to(torch.uint8),
            portals=self._free(tiles, MAX_LINKS),
            spawns=self._free(tiles, MAX_SPAWNS),
            mover_kinds=self._randint(0, 4, maps, MOVER_SLOTS),
            mover_spawns=self._free(tiles, MOVER_SLOTS),
            mechanics=self._mechanics(maps),
        )

    def moments(self, count: int) -> State:
        """Fresh states at random places, speeds and conditions; some overlap walls, none for long."""
        device = self.bank.device
        worlds = len(self.bank.tiles)
        slots = self._randint(0, worlds, count).long()
        spawn = self.bank.spawns[slots, self._randint(0, MAX_SPAWNS, count).long()]
        seeds = self._randint(0, 2**31 - 1, count).long()
        state = fresh_state(self.bank, slots, seeds, spawn)
        jitter = self._randint(-14, 15, count, 2) * (self._rand(count, 1) < 0.5)
        limit = torch.tensor([MAP_WIDTH * UNITS, MAP_HEIGHT * UNITS], device=device) - UNITS
        position = (state.position + jitter).clamp(min=UNITS).minimum(limit).to(torch.int32)
        velocity = torch.stack([self._randint(-8, 9, count), self._randint(-18, 17, count)], 1)
        timer = self._randint(1, 90, count)
        heading = self._randint(0, 4, count, MOVER_SLOTS)
        close = self._rand(count, MOVER_SLOTS, 1) < 0.3  # so that touching is often seen
        near = position[:, None] + self._randint(-48, 49, count, MOVER_SLOTS, 2)
        return state.updated(
            position=position,
            velocity=velocity * (self._rand(count, 1) < 0.5),
            health=self._randint(1, 4, count),
            safe=torch.where(self._rand(count) < 0.3, self._randint(0, 20, count), 0),
            touched=self._rand(count) < 0.1,
            keys=self._randint(0, 4, count) * (self._rand(count) < 0.6),
            flash=torch.where(self._rand(count) < 0.1, timer, 0),
            speech=torch.where(self._rand(count) < 0.3, timer, 0),
            mover_position=torch.where(close, near, state.mover_position).clamp(min=0),
            mover_heading=torch.where(
                (state.mover_kind == 1) & (self.bank.mechanics[slots, :1] == 0), heading % 2, heading
            ),
        )

    def actions(self, last: Tensor) -> Tensor:
        """Sticky random actions (B,)."""
        fresh = self._randint(0, ACTIONS, len(last)).long()
        return torch.where(self._rand(len(last)) < STICK, last, fresh)

    def chance(self, count: int, probability: float) -> Tensor:
        return self._rand(count) < probability

    def _tiles(self, maps: int) -> Tensor:
        shape = (maps, MAP_HEIGHT, MAP_WIDTH)
        density = self._rand(maps, 1, 1) * 0.35 + 0.03
        noise = self._rand(*shape) < density
        # floors: in two maps of three, long horizontal runs every few rows
        run = self._rand(maps, MAP_HEIGHT, MAP_WIDTH // 4).repeat_interleave(4, dim=2) < 0.7
        rows = (torch.arange(MAP_HEIGHT, device=self.bank.device)[None] % self._randint(3, 7, maps, 1)) == 0
        floors = run & rows[:, :, None] & (self._rand(maps, 1, 1) < 0.67)
        solid = torch.where(
            self._rand(maps, 1, 1) < 0.6, floors | (noise & (self._rand(*shape) < 0.3)), noise | floors
        )
        tiles = solid.to(torch.uint8)
        roll, low = self._rand(*shape), 0.0
        for tile, share in SPRINKLE.items():
            tiles[(roll >= low) & (roll < low + share)] = int(tile)
            low += share
        tiles[:, [0, -1]] = int(Tile.SOLID)
        tiles[:, :, [0, -1]] = int(Tile.SOLID)
        return tiles

    def _free(self, tiles: Tensor, count: int) -> Tensor:
        """(maps, count, 2) int32 x, y of random cells without a wall."""
        passable = ((tiles != Tile.SOLID) & (tiles != Tile.DOOR)).flatten(1).float()
        index = torch.multinomial(passable, count, replacement=True, generator=self.generator)
        return torch.stack([index % MAP_WIDTH, index // MAP_WIDTH], -1).to(torch.int32)

    def _mechanics(self, maps: int) -> Tensor:
        columns = [
            (self._rand(maps) < 0.35).int(),
            self._randint(1, 4, maps),
            self._randint(8, 19, maps),
            self._randint(2, 9, maps),
            self._randint(1, 5, maps),
            self._randint(0, 4, maps),
            self._randint(1, 4, maps),
        ]
        return torch.stack(columns, 1).to(torch.int32)

    def _randint(self, low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(
            low, high, shape, generator=self.generator, device=self.bank.device, dtype=torch.int32
        )

    def _rand(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.bank.device)
