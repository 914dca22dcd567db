"""A world's whole map as pictures: what no single frame shows, because it is larger or built of tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Picture
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, TILE, Tile

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld

MASK_TILE = 6
"""Pixels of a tile's side in a mask: five tiles, the smallest hooked cross, are 30 pixels."""
FEWEST = 5
"""Tiles of a group under which its mask says nothing."""
WINDOW, STRIDE = 384, 256
"""Pixels of the side of the painted map's windows, and from one to the next: what is at most 128 pixels wide,
a frame, is whole in one of them."""
GROUPS: tuple[tuple[Tile, ...], ...] = (
    (Tile.SOLID, Tile.ICE, Tile.DOOR),
    (Tile.HAZARD,),
    (Tile.COIN,),
    (Tile.KEY,),
    (Tile.COIN, Tile.KEY, Tile.GOAL),
    (Tile.WATER,),
    (Tile.ICE,),
    (Tile.DOOR, Tile.DOOR_OPEN),
    (Tile.PORTAL,),
    (Tile.LEVER, Tile.LEVER_ON, Tile.CHARACTER),
    tuple(tile for tile in Tile if tile not in (Tile.EMPTY, Tile.SOLID, Tile.ICE)),
    tuple(tile for tile in Tile if tile != Tile.EMPTY),
)
"""Classes that can make a pattern together: each by itself, what is collected, and all that is there."""


@dataclass(frozen=True)
class ClassMask:
    """Where tiles of a group of classes are, white on black."""

    classes: tuple[Tile, ...]
    pixels: NDArray[np.uint8]
    """(MAP_HEIGHT * MASK_TILE, MAP_WIDTH * MASK_TILE, 3)."""


def class_masks(tiles: NDArray[np.uint8]) -> list[ClassMask]:
    """A mask for each group that has enough tiles, each different mask once.

    ``tiles`` is (MAP_HEIGHT, MAP_WIDTH) of Tile: a compiled world's, or a canvas as play has changed it.
    """
    found: dict[bytes, ClassMask] = {}
    for classes in GROUPS:
        there = np.isin(tiles, classes)
        if there.sum() < FEWEST or there.tobytes() in found:
            continue
        mask = there.repeat(MASK_TILE, 0).repeat(MASK_TILE, 1)
        found[there.tobytes()] = ClassMask(classes, np.repeat(mask[..., None] * np.uint8(255), 3, 2))
    return list(found.values())


def painted_map(world: CompiledWorld) -> NDArray[np.uint8]:
    """(MAP_HEIGHT * TILE, MAP_WIDTH * TILE, 3) the whole map as play first shows it, but for who moves."""
    layer = world.atlas[world.tiles].transpose(0, 2, 1, 3, 4).reshape(MAP_HEIGHT * TILE, MAP_WIDTH * TILE, 4)
    alpha = layer[..., 3:].astype(np.uint16)
    return ((layer[..., :3] * alpha + world.picture * (255 - alpha)) // 255).astype(np.uint8)


def whole_map_pictures(world: CompiledWorld) -> list[Picture]:
    """Masks of the map by group of tiles, the painted map at half size, and windows of it at full size."""
    import cv2

    painted = painted_map(world)
    half = cv2.resize(painted, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    columns = sorted({*range(0, MAP_WIDTH * TILE - WINDOW, STRIDE), MAP_WIDTH * TILE - WINDOW})
    windows = [np.ascontiguousarray(painted[:WINDOW, x : x + WINDOW]) for x in columns]
    masks = [mask.pixels for mask in class_masks(world.tiles)]
    return [Picture(np.asarray(pixels, np.uint8)) for pixels in (*masks, half, *windows)]
