"""Reading the spatial memory: tiles around a point, and the layers of picture around the camera.

Shared by the simulator's painter and the neural decoder: this is memory addressing, no physics and no light.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.bank import WorldBank
from worldmodel.constants import FRAME, MAP_HEIGHT, MAP_WIDTH, TILE, UNITS, Tile
from worldmodel.noise import mix
from worldmodel.protocol import State

VIEW = FRAME // TILE + 1
"""Tiles that a frame can touch in each direction: 8 and one that is cut."""


def tile_of(position: Tensor) -> Tensor:
    """(..., 2) tile x, y of points in units."""
    return torch.div(position, UNITS, rounding_mode="floor")


def crop(grid: Tensor, tile: Tensor, radius: int = 1, outside: int = Tile.SOLID) -> Tensor:
    """(B, ..., k, k) of a (B, H, W) grid around tiles (B, ..., 2), k = 2 radius + 1."""
    reach = torch.arange(-radius, radius + 1, device=grid.device)
    rows = tile[..., 1, None, None] + reach[:, None]
    cols = tile[..., 0, None, None] + reach[None, :]
    return _gather(grid, rows, cols, outside)


def _gather(grid: Tensor, rows: Tensor, cols: Tensor, outside: int) -> Tensor:
    height, width = grid.shape[1:]
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    index = rows.clamp(0, height - 1) * width + cols.clamp(0, width - 1)
    values = grid.flatten(1).gather(1, index.flatten(1).long()).view(index.shape)
    return torch.where(inside, values, torch.full_like(values, outside))


VIEW_STEP = (16, 32)
"""Pixels across and down within which two cameras count as at the same place: see :func:`views`."""
_SWITCHED = (Tile.DOOR, Tile.DOOR_OPEN, Tile.LEVER, Tile.LEVER_ON)


def views(state: State) -> Tensor:
    """(B,) int64 names of what there is to see, apart from whoever moves through it.

    Two frames of a world have the same name when their cameras are within the same VIEW_STEP, the same doors
    and levers are in view and in the same position, and the lights are in the same phase. What
    is at most 97 x 65 pixels, such as a sign of 96 x 48, is whole in every frame of at least one such name.
    """
    place = torch.div(
        camera(state.position), torch.tensor(VIEW_STEP, device=state.canvas.device), rounding_mode="floor"
    )
    corner = place * torch.tensor(VIEW_STEP, device=state.canvas.device) // TILE
    reach = torch.arange(VIEW + 1, device=state.canvas.device)
    rows, cols = corner[:, 1, None, None] + reach[:, None], corner[:, 0, None, None] + reach[None, :]
    classes = _gather(state.canvas, rows, cols, Tile.SOLID).long()
    switched = torch.isin(classes, torch.tensor([int(t) for t in _SWITCHED], device=classes.device))
    weights = mix(torch.arange((VIEW + 1) ** 2, device=classes.device))
    changed = torch.where(switched, classes, 0).flatten(1) @ weights
    lights = torch.where(state.flash > 0, 1 + state.flash % 2, 0)
    name = changed
    for part in (place[:, 0], place[:, 1], lights.long()):
        name = mix(name ^ part)
    return name


def camera(position: Tensor) -> Tensor:
    """(B, 2) pixel x, y of the frame's upper left corner: the player in the middle, within the map."""
    limit = torch.tensor([MAP_WIDTH * TILE - FRAME, MAP_HEIGHT * TILE - FRAME], device=position.device)
    corner = torch.div(position, 2, rounding_mode="floor") - FRAME // 2
    return torch.minimum(corner.clamp(min=0), limit).long()


@dataclass(frozen=True)
class Layers:
    """What the memory holds for one frame, before anything is composed or lit."""

    picture: Tensor
    """(B, 3, FRAME, FRAME) uint8."""
    changing: Tensor
    """(B, 4, FRAME, FRAME) uint8 RGBA: coins, doors, levers ..., from the atlas by the canvas' classes."""
    enemies: Tensor
    """(B, 4, FRAME, FRAME) uint8 RGBA."""
    player: Tensor
    """(B, 4, FRAME, FRAME) uint8 RGBA."""
    classes: Tensor
    """(B, VIEW, VIEW) uint8 tile classes from the camera's tile on."""
    offset: Tensor
    """(B, 2) int64 pixels 0..15 by which the frame's corner lies inside that tile."""
    centre: Tensor
    """(B, 2) int64 pixel of the player in the frame."""


def read_layers(bank: WorldBank, state: State) -> Layers:
    """Everything that the memory shows around each player."""
    corner = camera(state.position)
    tile, offset = torch.div(corner, TILE, rounding_mode="floor"), corner % TILE
    reach = torch.arange(VIEW, device=corner.device)
    rows, cols = tile[:, 1, None, None] + reach[:, None], tile[:, 0, None, None] + reach[None, :]
    classes = _gather(state.canvas, rows, cols, Tile.SOLID)
    centre = torch.div(state.position, 2, rounding_mode="floor") - corner
    return Layers(
        picture=_picture_crop(bank, state, corner),
        changing=_atlas_crop(bank, state, classes, offset),
        enemies=_enemy_layer(bank, state, corner),
        player=_player_layer(bank, state, centre),
        classes=classes,
        offset=offset,
        centre=centre,
    )


def _picture_crop(bank: WorldBank, state: State, corner: Tensor) -> Tensor:
    pictures = bank.picture  # (W, H, W', 3)
    views = [
        pictures[world, y : y + FRAME, x : x + FRAME]
        for world, (x, y) in zip(state.world.tolist(), corner.tolist(), strict=True)
    ]
    return torch.stack(views).permute(0, 3, 1, 2)


def _atlas_crop(bank: WorldBank, state: State, classes: Tensor, offset: Tensor) -> Tensor:
    patches = bank.atlas[state.world[:, None, None], classes.long()]  # (B, V, V, T, T, 4)
    whole = patches.permute(0, 1, 3, 2, 4, 5).reshape(len(state), VIEW * TILE, VIEW * TILE, 4)
    views = [whole[row, y : y + FRAME, x : x + FRAME] for row, (x, y) in enumerate(offset.tolist())]
    return torch.stack(views).permute(0, 3, 1, 2)


def _enemy_layer(bank: WorldBank, state: State, corner: Tensor) -> Tensor:
    sprites = bank.sprites[state.world[:, None], state.mover_kind.clamp(0, 3).long()]  # (B, E, T, T, 4)
    sprites = torch.where((state.mover_heading == 1)[..., None, None, None], sprites.flip(3), sprites)
    places = torch.div(state.mover_position, 2, rounding_mode="floor") - corner[:, None]
    return _paste(sprites, places - TILE // 2, state.mover_kind > 0)


def _player_layer(bank: WorldBank, state: State, centre: Tensor) -> Tensor:
    sprites = bank.sprites[state.world, 0]
    sprites = torch.where((state.facing < 0)[:, None, None, None], sprites.flip(2), sprites)
    places = centre - torch.tensor([TILE // 2, TILE // 2 + 1], device=centre.device)
    shown = torch.ones(len(state), 1, dtype=torch.bool, device=centre.device)
    return _paste(sprites[:, None], places[:, None], shown)


def _paste(sprites: Tensor, places: Tensor, shown: Tensor) -> Tensor:
    """Put (B, E, T, T, 4) sprites at pixels (B, E, 2) of an empty layer; later ones win; cut at its edge."""
    count, slots = sprites.shape[:2]
    margin = FRAME + 2 * TILE
    layer = torch.zeros(count, margin * margin, 4, dtype=torch.uint8, device=sprites.device)
    near = shown & ((places > -TILE) & (places < FRAME)).all(-1)
    reach = torch.arange(TILE, device=sprites.device)
    for slot in range(slots):
        rows = near[:, slot].nonzero().squeeze(1)
        if not len(rows):
            continue
        x, y = (places[rows, slot] + TILE).unbind(-1)
        index = (y[:, None, None] + reach[:, None]) * margin + x[:, None, None] + reach[None, :]
        patch = sprites[rows, slot].flatten(1, 2)
        index = index.flatten(1).long()
        old = layer[rows[:, None], index]
        layer[rows[:, None], index] = torch.where(patch[..., 3:] > 0, patch, old)
    layer = layer.view(count, margin, margin, 4)[:, TILE:-TILE, TILE:-TILE]
    return layer.permute(0, 3, 1, 2)
