"""What a player can see: the tiles, enemies and meters on the screen, and nothing behind its edge.

The camera follows the player, so the window is egocentric: 9 x 9 tiles with the player's tile in the
middle, the tiles that a frame of 8 x 8 tiles shows at least in part (near the map's border the frame shows
more than this window, never less). Darkness dims a tile but hides none, so it does not shrink the window.
Every player, the reinforcement-learning environment included, acts on this and not on the state.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, UNITS
from worldmodel.crops import crop
from worldmodel.crops import tile_of as unbounded_tile
from worldmodel.protocol import State, WorldModel

RADIUS = 4
"""Tiles seen in each direction."""
WINDOW = 2 * RADIUS + 1


@dataclass(frozen=True)
class View:
    """The screens of B players."""

    tiles: Tensor
    """(B, WINDOW, WINDOW) int64 of Tile, rows downwards, the player in the middle; outside the map SOLID."""
    enemies: Tensor
    """(B, WINDOW, WINDOW) bool."""
    tile: Tensor
    """(B, 2) int64 x, y of the player's tile: how far a player knows to have walked, not a map."""
    offset: Tensor
    """(B, 2) float32: place within the tile, -0.5..0.5 tiles."""
    velocity: Tensor
    """(B, 2) float32 tiles per step."""
    health: Tensor
    """(B,) int64 0..3."""
    keys: Tensor
    """(B,) int64 0..3."""
    flashing: Tensor
    """(B,) bool."""
    speaking: Tensor
    """(B,) bool: a character spoke a moment ago."""
    top_view: Tensor
    """(B,) bool: seen from above, so that UP and DOWN walk."""

    def __len__(self) -> int:
        return int(self.tiles.shape[0])

    def __getitem__(self, index: Tensor | slice) -> View:
        return View(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def at(self, dx: Tensor | int, dy: Tensor | int) -> Tensor:
        """(B,) int64 Tile at an offset, within RADIUS, from the player's tile."""
        rows = torch.arange(len(self), device=self.tiles.device)
        found: Tensor = self.tiles[rows, RADIUS + dy, RADIUS + dx]
        return found


def tile_of(position: Tensor) -> Tensor:
    """(..., 2) int64 tile x, y of positions (..., 2) in units, held within the map."""
    limit = torch.tensor([MAP_WIDTH - 1, MAP_HEIGHT - 1], device=position.device)
    return torch.minimum(unbounded_tile(position).long().clamp(min=0), limit)


def top_views(model: WorldModel, state: State) -> Tensor:
    """(B,) bool: which rows are played from above. Asks the model once per distinct world."""
    slots, inverse = torch.unique(state.world, return_inverse=True)
    flags = [model.world(int(slot)).mechanics.top_view for slot in slots.tolist()]
    return torch.tensor(flags, dtype=torch.bool, device=state.world.device)[inverse]


def look(state: State, top_view: Tensor) -> View:
    """The screens of a state; ``top_view`` (B,) from :func:`top_views`."""
    tile = tile_of(state.position)
    return View(
        tiles=crop(state.canvas, tile, RADIUS).long(),
        enemies=_enemies(state, tile),
        tile=tile,
        offset=state.position / UNITS - tile - 0.5,
        velocity=state.velocity / UNITS,
        health=state.health.long(),
        keys=state.keys.long(),
        flashing=state.flash > 0,
        speaking=state.speech > 0,
        top_view=top_view,
    )


def _enemies(state: State, tile: Tensor) -> Tensor:
    relative = tile_of(state.mover_position) - tile[:, None] + RADIUS  # (B, MOVER_SLOTS, 2)
    seen = (state.mover_kind > 0) & ((relative >= 0) & (relative < WINDOW)).all(-1)
    flat = relative[..., 1] * WINDOW + relative[..., 0]
    # Enemies off the screen are written to one cell too many, which is then cut off.
    marks = torch.zeros(len(state), WINDOW * WINDOW + 1, dtype=torch.bool, device=tile.device)
    marks.scatter_(1, torch.where(seen, flat, WINDOW * WINDOW), True)
    return marks[:, :-1].view(-1, WINDOW, WINDOW)
