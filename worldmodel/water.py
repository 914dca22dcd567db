"""Water and ice in a picture of a world."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldmodel.constants import TILE, Tile
from worldmodel.palette import Palette, mix
from worldmodel.props import Bools, Floats, to_pixels
from worldmodel.scenery import noise

_FROZEN = np.array([150.0, 222.0, 246.0], dtype=np.float32)
_WHITE = np.array([255.0, 255.0, 255.0], dtype=np.float32)
_BODY = 0.62
"""Share of the water's own colour in what is seen through it."""


def pour(
    canvas: Floats, tiles: NDArray[np.uint8], palette: Palette, rng: np.random.Generator, *, top_view: bool
) -> None:
    """Water over what is painted: a body to look through, darker below, and a lit surface or shore."""
    cells = tiles == Tile.WATER
    if not cells.any():
        return
    wet = to_pixels(cells)
    depth = _depth(wet)[..., None]
    body = palette.water * (1 - 0.4 * np.clip(depth / 96, 0, 1))
    canvas[wet] = (canvas + (body - canvas) * _BODY)[wet]
    canvas[wet & _glints(rng, wet)] += np.float32(26)
    if top_view:
        _shore(canvas, wet, palette)
        return
    open_above = np.zeros_like(cells)
    open_above[1:] = ~np.isin(tiles[:-1], (Tile.WATER, Tile.SOLID, Tile.ICE))
    surface = to_pixels(cells & open_above)
    row = np.arange(len(canvas)) % TILE
    canvas[surface & (row == 0)[:, None]] = mix(palette.water, _WHITE, 0.85)
    canvas[surface & (row == 1)[:, None]] = mix(palette.water, _WHITE, 0.45)


def _depth(wet: Bools) -> Floats:
    """(H, W) pixels of water above, 0 outside."""
    rows = np.arange(1, len(wet) + 1, dtype=np.float32)[:, None]
    dry = np.maximum.accumulate(np.where(wet, 0, rows), axis=0)
    return np.where(wet, rows - dry, 0).astype(np.float32)


def _glints(rng: np.random.Generator, wet: Bools) -> Bools:
    """(H, W) short level streaks of light."""
    height, width = wet.shape
    wide = noise(rng, 8, height // 4 + 1, width // 2 + 1) > 0.42
    streaks = np.zeros((height // 4 + 1, 4, width), dtype=bool)
    streaks[:, 1] = np.repeat(wide, 2, axis=1)[:, :width]
    return streaks.reshape(-1, width)[:height]


def _shore(canvas: Floats, wet: Bools, palette: Palette) -> None:
    """A pond's edge: a dark bank towards the light, foam on the others."""
    padded = np.pad(wet, 1, mode="edge")
    above, below = padded[:-2, 1:-1], padded[2:, 1:-1]
    sides = padded[1:-1, :-2] & padded[1:-1, 2:]
    canvas[wet & ~(below & sides)] = mix(palette.water, _WHITE, 0.65)
    bank = wet & ~np.roll(wet, 3, axis=0)
    canvas[bank] = palette.water * np.float32(0.5)
    canvas[wet & ~above] = palette.deep


def freeze(canvas: Floats, tiles: NDArray[np.uint8], solid: Bools, rng: np.random.Generator) -> None:
    """Ground turned to ice: pale and smooth, gleams across it, and a glossy cap where one can stand."""
    cells = tiles == Tile.ICE
    if not cells.any():
        return
    ice = to_pixels(cells)
    canvas[ice] = mix(canvas, _FROZEN * np.float32(0.88), 0.74)[ice]
    rows, columns = np.mgrid[0 : len(canvas), 0 : canvas.shape[1]]
    slant = (columns + rows + (noise(rng, 32, *ice.shape) * 5).astype(int)) % 23
    canvas[ice & (slant < 3)] = mix(_FROZEN, _WHITE, 0.45)
    canvas[ice & (slant == 5)] = mix(_FROZEN, _WHITE, 0.3)
    canvas[ice & (slant == 12)] *= np.float32(0.9)
    under = np.zeros_like(solid)
    under[1:] = solid[:-1]
    cap = to_pixels(cells & ~under)
    for i, tone in enumerate((mix(_FROZEN, _WHITE, 0.5), _WHITE, mix(_FROZEN, _WHITE, 0.7), _FROZEN * 0.8)):
        canvas[cap & (rows % TILE == i)] = tone
    gleam = cap & (rows % TILE < 3) & ((columns + 2 * (rows % TILE)) % TILE < 2)
    canvas[gleam] = _FROZEN * np.float32(0.92)
    _rims(canvas, ice, to_pixels(solid))


def _rims(canvas: Floats, ice: Bools, wall: Bools) -> None:
    """A thin blue line where ice ends in the open."""
    below, left, right = np.roll(wall, -1, axis=0), np.roll(wall, 1, axis=1), np.roll(wall, -1, axis=1)
    below[-1] = left[:, 0] = right[:, -1] = True
    canvas[ice & ~(below & left & right)] = _FROZEN * np.float32(0.55)
