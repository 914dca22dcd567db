"""Practice: random maps and random moments of play, the data on which the dynamics are trained.

Practice maps are denser and stranger than any layout, so that every local situation is met often. No layout,
theme or example world is in them: those are for evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from worldmodel.bank import MAX_SPAWNS, MECHANICS, WorldBank, fresh_state, mechanics_of
from worldmodel.constants import (
    ACTIONS,
    MAP_HEIGHT,
    MAP_WIDTH,
    MAX_ENEMIES,
    MAX_LINKS,
    MOVER_SLOTS,
    PLATFORM_HALF,
    PLAYER_HALF,
    UNITS,
    Mover,
    Tile,
)
from worldmodel.crops import GAPS
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
FEATURES = {
    "top_view": 0.25, "moon": 0.25, "heavy": 0.3, "double_jump": 0.5, "wind": 0.45, "water": 0.5, "ice": 0.45,
    "platforms": 0.55,
}  # fmt: skip
"""Mechanics by name, and the share of maps that have each."""
HELD_OUT_PAIRS = (("wind", "double_jump"), ("water", "moon"), ("ice", "heavy"), ("platforms", "moon"))
"""Mechanics that no practice map has together: what the model does with both is for evaluation.

Only pairs whose rules follow from their parts can be held out. Platforms and wind is not one: that a platform
shelters its riders from the wind is a rule of the two together, so practice maps show it.
"""
STICK = 0.8
"""Probability that a practising player keeps the last action."""


def _apart(has: dict[str, Tensor], coin: Tensor) -> dict[str, Tensor]:
    """Take one of each held-out pair away where both are there, by a toss (maps, pairs) in 0..1."""
    has = {**has, "heavy": has["heavy"] & ~has["moon"]}
    for number, (one, other) in enumerate(HELD_OUT_PAIRS):
        both, heads = has[one] & has[other], coin[:, number] < 0.5
        has = {**has, one: has[one] & ~(both & heads), other: has[other] & ~(both & ~heads)}
    return has


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

    def features(self, maps: int) -> dict[str, Tensor]:
        """(maps,) bool of each of FEATURES, drawn so that no map has a held-out pair."""
        return _apart(self._features(maps), self._rand(maps, len(HELD_OUT_PAIRS)))

    def redraw(self, maps: int, has: dict[str, Tensor] | None = None) -> None:
        """New maps in place of the old ones; states on the old ones lose their meaning.

        ``has`` (maps,) names each map's features, for evaluation; training leaves them to chance.
        """
        has = self.features(maps) if has is None else has
        mechanics = self._mechanics(has)
        tiles = self._tiles(has)
        kinds = self._kinds(has)
        turns = self._randint(0, 4, maps, MOVER_SLOTS)
        upright = (kinds == Mover.SPIDER) | ((kinds == Mover.PLATFORM) & (turns > 1))
        level = (kinds == Mover.FLYER) | (kinds == Mover.PLATFORM) | (kinds == Mover.WALKER)
        self.bank.replace_tensors(
            tiles=tiles,
            links=self._randint(1, MAX_LINKS, maps, MAP_HEIGHT, MAP_WIDTH).to(torch.uint8),
            effects=self._randint(0, 3, maps, MAX_LINKS).to(torch.uint8),
            portals=self._free(tiles, MAX_LINKS),
            spawns=self._free(tiles, MAX_SPAWNS),
            mover_kinds=kinds,
            mover_spawns=self._free(tiles, MOVER_SLOTS),
            mover_headings=torch.where(upright, 2 + turns % 2, torch.where(level, turns % 2, turns)),
            mechanics=mechanics,
        )

    def relight(self) -> None:
        """Another darkness and another length of day for every map."""
        mechanics = self.bank.mechanics.clone()
        mechanics[:, MECHANICS.index("darkness")] = self._darkness(len(mechanics))
        mechanics[:, MECHANICS.index("day_length")] = self._day_length(len(mechanics))
        self.bank.replace_tensors(mechanics=mechanics)

    def _darkness(self, maps: int) -> Tensor:
        return self._randint(0, 4, maps) * (self._rand(maps) < 0.6)

    def _day_length(self, maps: int) -> Tensor:
        return torch.where(self._rand(maps) < 0.3, self._randint(300, 1800, maps), 0)

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
        velocity = torch.stack([self._randint(-10, 11, count), self._randint(-18, 17, count)], 1)
        timer = self._randint(1, 90, count)
        close = self._rand(count, MOVER_SLOTS, 1) < 0.3  # so that touching is often seen
        near = position[:, None] + self._randint(-48, 49, count, MOVER_SLOTS, 2)
        movers = torch.where(close, near, state.mover_position)
        platform = state.mover_kind == Mover.PLATFORM
        beneath = position[:, None] + self._below(count)
        movers = torch.where((platform & (self._rand(count, MOVER_SLOTS) < 0.5))[..., None], beneath, movers)
        air_jumps = mechanics_of(self.bank, state)["air_jumps"]
        return state.updated(
            position=position,
            velocity=velocity * (self._rand(count, 1) < 0.5),
            health=self._randint(1, 4, count),
            safe=torch.where(self._rand(count) < 0.3, self._randint(0, 20, count), 0),
            touched=self._rand(count) < 0.1,
            keys=self._randint(0, 4, count) * (self._rand(count) < 0.6),
            coins=self._randint(0, 12, count),
            flash=torch.where(self._rand(count) < 0.1, timer, 0),
            speech=torch.where(self._rand(count) < 0.3, timer, 0),
            held=self._rand(count) < 0.3,
            air=self._randint(0, 2, count) * air_jumps,
            riding=self._rand(count) < 0.5,
            look=self._randint(-8, 9, count) * 2,
            step=self._randint(0, 4096, count).long(),
            mover_position=movers.clamp(min=0),
            mover_moved=self._rand(count, MOVER_SLOTS) < 0.8,
        )

    def _below(self, count: int) -> Tensor:
        """(count, MOVER_SLOTS, 2) from a player to a platform at or under its feet."""
        down = PLAYER_HALF[1] + PLATFORM_HALF[1]
        across = self._randint(-40, 41, count, MOVER_SLOTS)
        gap = self._randint(GAPS[0] - 1, GAPS[1] + 2, count, MOVER_SLOTS)
        gap = torch.where(self._rand(count, MOVER_SLOTS) < 0.4, gap % 5 - 2, gap)
        return torch.stack([across, down + gap], -1)

    def actions(self, last: Tensor) -> Tensor:
        """Sticky random actions (B,)."""
        fresh = self._randint(0, ACTIONS, len(last)).long()
        return torch.where(self._rand(len(last)) < STICK, last, fresh)

    def chance(self, count: int, probability: float) -> Tensor:
        return self._rand(count) < probability

    def _features(self, maps: int) -> dict[str, Tensor]:
        """(maps,) bool of each of FEATURES, drawn one by one."""
        return {name: self._rand(maps) < share for name, share in FEATURES.items()}

    def _tiles(self, has: dict[str, Tensor]) -> Tensor:
        maps = len(has["water"])
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
        tiles[self._patches(maps, 4, 0.45) & has["ice"][:, None, None] & solid] = int(Tile.ICE)
        tiles[self._patches(maps, 3, 0.3) & has["water"][:, None, None] & ~solid] = int(Tile.WATER)
        roll, low = self._rand(*shape), 0.0
        for tile, share in SPRINKLE.items():
            tiles[(roll >= low) & (roll < low + share)] = int(tile)
            low += share
        tiles[:, [0, -1]] = int(Tile.SOLID)
        tiles[:, :, [0, -1]] = int(Tile.SOLID)
        return tiles

    def _patches(self, maps: int, across: int, share: float) -> Tensor:
        """(maps, MAP_HEIGHT, MAP_WIDTH) bool, in blocks of 2 x ``across`` tiles."""
        coarse = self._rand(maps, MAP_HEIGHT // 2, -(-MAP_WIDTH // across)) < share
        return coarse.repeat_interleave(2, 1).repeat_interleave(across, 2)[:, :, :MAP_WIDTH]

    def _kinds(self, has: dict[str, Tensor]) -> Tensor:
        """(maps, MOVER_SLOTS): any enemy in the first slots, platforms in the last where there are some."""
        maps = len(has["platforms"])
        kinds = self._randint(0, Mover.PLATFORM, maps, MOVER_SLOTS)
        some = (has["platforms"] & ~has["top_view"])[:, None]
        kinds[:, MAX_ENEMIES:] = torch.where(some, int(Mover.PLATFORM), kinds[:, MAX_ENEMIES:])
        return kinds

    def _free(self, tiles: Tensor, count: int) -> Tensor:
        """(maps, count, 2) int32 x, y of random cells without a wall."""
        passable = ((tiles != Tile.SOLID) & (tiles != Tile.DOOR)).flatten(1).float()
        index = torch.multinomial(passable, count, replacement=True, generator=self.generator)
        return torch.stack([index % MAP_WIDTH, index // MAP_WIDTH], -1).to(torch.int32)

    def _mechanics(self, has: dict[str, Tensor]) -> Tensor:
        maps = len(has["wind"])
        wind = self._randint(1, 3, maps) * (1 - 2 * self._randint(0, 2, maps))
        columns = {
            "top_view": has["top_view"].int(),
            "gravity": 2 - has["moon"].int() + has["heavy"].int(),
            "jump": self._randint(8, 19, maps),
            "speed": self._randint(2, 9, maps),
            "accel": self._randint(1, 5, maps),
            "darkness": self._darkness(maps),
            "enemy_speed": self._randint(1, 4, maps),
            "air_jumps": has["double_jump"].int(),
            "wind": torch.where(has["wind"], wind, 0),
            "platform_speed": self._randint(1, 3, maps),
            "day_length": self._day_length(maps),
            "coins_needed": torch.where(self._rand(maps) < 0.5, self._randint(0, 10, maps), 0),
            "look_ahead": self._randint(0, 17, maps),
        }
        return torch.stack([columns[name].int() for name in MECHANICS], 1)

    def _randint(self, low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(
            low, high, shape, generator=self.generator, device=self.bank.device, dtype=torch.int32
        )

    def _rand(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.bank.device)
