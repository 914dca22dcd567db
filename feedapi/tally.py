"""What a player did in one session, counted as it is played: what the ranking and the accounts are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.constants import EVENTS, FPS, MAP_WIDTH, UNITS, Action, Event, Tile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worldmodel.compiled import CompiledWorld

PROMISED = {
    Event.COLLECT: Tile.COIN,
    Event.KEY: Tile.KEY,
    Event.DOOR: Tile.DOOR,
    Event.PORTAL: Tile.PORTAL,
    Event.LEVER: Tile.LEVER,
    Event.SPEECH: Tile.CHARACTER,
    Event.GOAL: Tile.GOAL,
}
"""Mechanics that a world has by its map, and what tells that one was used."""
WALKS = frozenset({Action.LEFT, Action.RIGHT, Action.UP_LEFT, Action.UP_RIGHT})
CLIMBS = frozenset({Action.UP, Action.UP_LEFT, Action.UP_RIGHT})
"""To walk and to jump (or walk up) are mechanics of every world."""
_BITS = 1 << np.arange(EVENTS)


@dataclass
class Tally:
    """Of one session, over all its lives. Written by the tick thread."""

    ticks: int = 0
    first_input: int | None = None
    """Tick of the first input."""
    tiles: set[int] = field(default_factory=set)
    """Where the player was: y * MAP_WIDTH + x."""
    happened: int = 0
    """Bit of each Event."""
    actions: int = 0
    """Bit of each Action."""
    reported: bool = False
    lost: bool = False
    """The connection is gone, and the player not back yet."""
    device_seconds: float = 0.0
    """Its share of the ticks in which it played."""

    def add(self, action: int, happened: int, tile: int) -> None:
        """Take one tick: what was done, what happened (bits), and where the player is."""
        self.ticks += 1
        if action and self.first_input is None:
            self.first_input = self.ticks
        self.tiles.add(tile)
        self.happened |= happened
        self.actions |= 1 << action

    @property
    def seconds(self) -> float:
        """Of play; not of waiting, and not while the connection was lost."""
        return self.ticks / FPS

    def used(self, world: CompiledWorld) -> float:
        """Share 0..1 of the world's mechanics that were used."""
        there = [event for event, tile in PROMISED.items() if (world.tiles == tile).any()]
        used = [bool(self.happened >> event & 1) for event in there]
        used += [any(self.actions >> action & 1 for action in kind) for kind in (WALKS, CLIMBS)]
        return sum(used) / len(used)


def deeds(events: NDArray[np.bool_], positions: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Of each row what :meth:`Tally.add` wants, from events (B, EVENTS) and positions (B, 2) in units."""
    tiles = positions // UNITS
    places = tiles[:, 1] * MAP_WIDTH + tiles[:, 0]
    return list(zip((events @ _BITS).tolist(), places.tolist(), strict=True))
