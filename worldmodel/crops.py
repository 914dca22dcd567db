"""Reading the spatial memory: tiles around a point, and the layers of picture around the camera.

Shared by the simulator's painter and the neural decoder: this is memory addressing, no physics and no light.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.bank import WorldBank
from worldmodel.constants import (
    FRAME,
    MAP_HEIGHT,
    MAP_WIDTH,
    MOVER_SLOTS,
    MOVERS,
    PLATFORM_HALF,
    PLAYER_HALF,
    TILE,
    TILE_CLASSES,
    UNITS,
    Mover,
    Tile,
)
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


def views(state: State, dark: Tensor | None = None) -> Tensor:
    """(B,) int64 names of what there is to see, apart from whoever moves through it.

    Two frames of a world have the same name when their cameras are within the same VIEW_STEP, the same doors
    and levers are in view and in the same position, the lights are in the same phase and it is as ``dark``
    ((B,) levels of darkness, told apart by whole levels; None where that never changes). What is at most
    97 x 65 pixels, such as a sign of 96 x 48, is whole in every frame of at least one such name. Where a
    model has nothing but a context of past frames, every moment has a name of its own.
    """
    place = torch.div(
        camera(state), torch.tensor(VIEW_STEP, device=state.canvas.device), rounding_mode="floor"
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
    night = torch.zeros_like(name) if dark is None else dark.round().long()
    for part in (place[:, 0], place[:, 1], lights.long() + 4 * night):
        name = mix(name ^ part)
    return name if not state.context.shape[1] else mix(name ^ _remembered(state.context))


def _remembered(context: Tensor) -> Tensor:
    """(B,) int64 hashes of contexts: a model that plays from pixels may show anything at any step."""
    weights = mix(torch.arange(context.shape[1], device=context.device))
    return torch.stack([(row.long() * weights).sum() for row in context])


def camera(state: State) -> Tensor:
    """(B, 2) pixel x, y of the frame's upper left corner: within the map, the player about in the middle."""
    x, y = (torch.div(state.position, 2, rounding_mode="floor") - FRAME // 2).unbind(1)
    x = (x + state.look).clamp(0, MAP_WIDTH * TILE - FRAME)
    return torch.stack([x, y.clamp(0, MAP_HEIGHT * TILE - FRAME)], 1).long()


def heading_vector(heading: Tensor) -> Tensor:
    """(..., 2) int32 unit steps of headings 0 right, 1 left, 2 up, 3 down."""
    x = (heading == 0).int() - (heading == 1).int()
    y = (heading == 3).int() - (heading == 2).int()
    return torch.stack([x, y], -1)


GAPS = (-2, 19)
"""Units from the player's feet down to a platform's top between which it counts as underneath."""


@dataclass(frozen=True)
class Underneath:
    """The platform nearest under each player's feet, where there is one."""

    there: Tensor
    """(B,) bool."""
    gap: Tensor
    """(B,) int32 units down to its top, in GAPS; 0 where there is none."""
    shift: Tensor
    """(B, 2) int32 units by which it moved in the last step."""


def underneath(state: State, platform_speed: Tensor) -> Underneath:
    """Look for a platform below the player; ``platform_speed`` (B,) units per step."""
    away = state.mover_position - state.position[:, None]  # (B, S, 2)
    gap = away[..., 1] - PLATFORM_HALF[1] - PLAYER_HALF[1]
    under = (state.mover_kind == Mover.PLATFORM) & (away[..., 0].abs() < PLATFORM_HALF[0] + PLAYER_HALF[0])
    under &= (gap >= GAPS[0]) & (gap <= GAPS[1])
    distance = torch.where(under, gap.abs(), GAPS[1] + 1) * MOVER_SLOTS
    nearest = (distance + torch.arange(MOVER_SLOTS, device=gap.device)).argmin(1, keepdim=True)
    there = under.gather(1, nearest)[:, 0]
    moved = state.mover_moved.gather(1, nearest) & there[:, None]
    step = heading_vector(state.mover_heading.gather(1, nearest)[:, 0])
    return Underneath(
        there=there,
        gap=torch.where(there, gap.gather(1, nearest)[:, 0], 0),
        shift=step * platform_speed[:, None] * moved,
    )


@dataclass(frozen=True)
class Layers:
    """What the memory holds for one frame, before anything is composed or lit."""

    pixels: Tensor
    """(B, FRAME, FRAME, 4) int32, RGBA packed as in the bank: the picture; what can change (coins, doors,
    levers ..., from the atlas by the canvas' classes); the movers; the player."""
    classes: Tensor
    """(B, VIEW, VIEW) uint8 tile classes from the camera's tile on."""
    offset: Tensor
    """(B, 2) int64 pixels 0..15 by which the frame's corner lies inside that tile."""
    centre: Tensor
    """(B, 2) int64 pixel of the player in the frame."""


def read_layers(bank: WorldBank, state: State) -> Layers:
    """Everything that the memory shows around each player."""
    corner = camera(state)
    tile, offset = torch.div(corner, TILE, rounding_mode="floor"), corner % TILE
    reach = torch.arange(VIEW, device=corner.device)
    rows, cols = tile[:, 1, None, None] + reach[:, None], tile[:, 0, None, None] + reach[None, :]
    classes = _gather(state.canvas, rows, cols, Tile.SOLID)
    centre = torch.div(state.position, 2, rounding_mode="floor") - corner
    return Layers(
        pixels=torch.stack(
            [
                _picture_crop(bank, state, corner),
                _atlas_crop(bank, state, classes, offset),
                _mover_layer(bank, state, corner),
                _player_layer(bank, state, centre),
            ],
            -1,
        ),
        classes=classes,
        offset=offset,
        centre=centre,
    )


def unpack(pixels: Tensor) -> Tensor:
    """(B, 4 N, H, W) float32 0..1, red, green, blue and alpha of each of N layers (B, H, W, N)."""
    count, height, width, layers = pixels.shape
    channels = pixels.view(torch.uint8).view(count, height * width, 4 * layers).transpose(1, 2)
    return (
        channels.to(torch.float32, memory_format=torch.contiguous_format)
        .mul_(1 / 255)
        .view(count, 4 * layers, height, width)
    )


def _picture_crop(bank: WorldBank, state: State, corner: Tensor) -> Tensor:
    """(B, FRAME, FRAME) packed."""
    reach = torch.arange(FRAME, device=corner.device)
    start = (state.world * MAP_HEIGHT * TILE + corner[:, 1]) * (MAP_WIDTH * TILE) + corner[:, 0]
    index = start[:, None, None] + reach[:, None] * (MAP_WIDTH * TILE) + reach
    return torch.take(bank.picture, index)


def _atlas_crop(bank: WorldBank, state: State, classes: Tensor, offset: Tensor) -> Tensor:
    """(B, FRAME, FRAME) packed."""
    pixel = torch.arange(FRAME, device=offset.device) + offset[..., None]  # (B, 2, FRAME)
    tile, inside = torch.div(pixel, TILE, rounding_mode="floor"), pixel % TILE
    patch = (state.world[:, None, None] * TILE_CLASSES + classes.long()) * (TILE * TILE)  # (B, VIEW, VIEW)
    row = patch.gather(1, tile[:, 1, :, None].expand(-1, -1, VIEW))
    start = row.gather(2, tile[:, 0, None, :].expand(-1, FRAME, -1))
    return torch.take(bank.atlas, start + inside[:, 1, :, None] * TILE + inside[:, 0, None, :])


def _mover_layer(bank: WorldBank, state: State, corner: Tensor) -> Tensor:
    """Movers by slot; an enemy's picture lies around its centre, a platform's from its top down."""
    places = torch.div(state.mover_position, 2, rounding_mode="floor") - corner[:, None]
    platform = state.mover_kind == Mover.PLATFORM
    up = torch.where(platform, PLATFORM_HALF[1] // 2, TILE // 2)
    places = torch.stack([places[..., 0] - TILE, places[..., 1] - up], -1)
    sprites = _sprites(bank, state, state.mover_kind, state.mover_heading == 1)
    return _paste(sprites, places, state.mover_kind > 0)


def _player_layer(bank: WorldBank, state: State, centre: Tensor) -> Tensor:
    places = torch.stack([centre[:, 0] - TILE, centre[:, 1] - TILE // 2 - 1], 1)
    sprites = _sprites(bank, state, torch.zeros_like(state.facing)[:, None], state.facing[:, None] < 0)
    return _paste(sprites, places[:, None], torch.ones_like(state.facing, dtype=torch.bool)[:, None])


_SPRITE = TILE * 2 * TILE


def _sprites(bank: WorldBank, state: State, kind: Tensor, mirrored: Tensor) -> Tensor:
    """(B, S, TILE * 2 TILE) packed pictures of kinds (B, S); 0 is the player."""
    start = ((state.world[:, None] * 2 + mirrored.long()) * MOVERS + kind.long()) * _SPRITE
    return torch.take(bank.sprites, start[..., None] + torch.arange(_SPRITE, device=kind.device))


_MARGIN = FRAME + 4 * TILE


def _paste(sprites: Tensor, places: Tensor, shown: Tensor) -> Tensor:
    """(B, FRAME, FRAME) packed: (B, S, TILE * 2 TILE) pictures at pixels (B, S, 2); later ones win."""
    device = sprites.device
    layer = torch.zeros(len(sprites), _MARGIN * _MARGIN, dtype=torch.int32, device=device)
    down, right = torch.arange(TILE, device=device), torch.arange(2 * TILE, device=device)
    reach = (down[:, None] * _MARGIN + right).flatten()
    spot = places.clamp(-2 * TILE, FRAME) + 2 * TILE  # unseen ones go to the margin
    start = spot[..., 1] * _MARGIN + spot[..., 0]
    seen = torch.where(shown[..., None], sprites, 0)
    for slot in range(sprites.shape[1]):
        index = start[:, slot, None] + reach
        patch = seen[:, slot]
        layer.scatter_(1, index, torch.where((patch >> 24) != 0, patch, layer.gather(1, index)))
    inside = slice(2 * TILE, 2 * TILE + FRAME)
    return layer.view(-1, _MARGIN, _MARGIN)[:, inside, inside]
