"""The picture of a world: backdrop, ground, decorations and signs, painted once from tiles and a palette."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worldmodel.constants import TILE
from worldmodel.palette import Palette, mix
from worldmodel.pictures import cover
from worldmodel.props import GROUND, HEIGHT, WIDTH, Bools, Floats, decorate, scatter, surface, to_pixels
from worldmodel.scenery import backdrop, floor, noise
from worldmodel.signs import BOARD, Board, paint_board
from worldmodel.textures import reference_texture, spread
from worldmodel.water import freeze, pour

_CAPS = {
    "forest": 5,
    "garden": 5,
    "coast": 5,
    "swamp": 5,
    "ice": 6,
    "desert": 4,
    "moon": 3,
    "cave": 3,
    "lava": 3,
}
_BLOCKS = {"warehouse": "brick", "market": "brick", "city": "panel"}

_LIT_GROUND = (90.0, 175.0)
"""Least and greatest mean light, 0..255, of a reference's patches in front."""
_LIT_PAPER = 0.62
"""Light of the backdrop as a share of that."""
_PATCHED = 0.8
"""Share of a reference's patches in the backdrop; the rest is the theme's scene in its colours."""


@dataclass(frozen=True)
class Look:
    """How a world looks, apart from where things are."""

    theme: str
    palette: Palette
    tags: tuple[str, ...] = ()
    top_view: bool = False
    reference: NDArray[np.uint8] | None = None
    """(H, W, 3 or 4) picture whose texture the world is made of."""
    backdrop: NDArray[np.uint8] | None = None
    """(H, W, 4) picture that is the world's background."""
    named: frozenset[str] = frozenset()
    """Parts, keyed as in ``Understanding.colours``, that keep a named colour whatever the reference is."""


def paint(tiles: NDArray[np.uint8], look: Look, boards: Sequence[Board], seed: int) -> NDArray[np.uint8]:
    """(MAP_HEIGHT * TILE, MAP_WIDTH * TILE, 3) RGB of all that never changes."""
    rng = np.random.default_rng(seed)
    solid = np.isin(tiles, GROUND)
    paper = _shade(_paper(solid, look, rng), solid, look)
    canvas = np.where(to_pixels(solid)[..., None], _ground(solid, look, rng), paper)
    if look.top_view:
        _faces(canvas, solid, look, rng)
        scatter(canvas, tiles, look, boards, rng)
    else:
        _caps(canvas, solid, look, rng)
        decorate(canvas, tiles, look, boards, rng)
    freeze(canvas, tiles, solid, rng)
    pour(canvas, tiles, look.palette, rng, top_view=look.top_view)
    picture = np.clip(canvas, 0, 255).round().astype(np.uint8)
    for board in boards:
        x, y = board.box[0] * TILE, board.box[1] * TILE
        picture[y : y + BOARD[1], x : x + BOARD[0]] = paint_board(board, look.palette)
    return picture


def _paper(solid: Bools, look: Look, rng: np.random.Generator) -> Floats:
    """What lies behind everything."""
    if look.backdrop is not None:
        return _covered(solid, look.backdrop)
    scene = floor(look.theme, look.palette, rng) if look.top_view else backdrop(solid, look, rng)
    if look.reference is None:
        return scene
    part = {"backdrop", "all"} | ({"ground"} if look.top_view else set())
    patches = _patches(look, rng, scene.mean(axis=(0, 1)), part)
    share = _light(scene) / max(float(_light(scene).mean()), 1.0)
    lit = _LIT_PAPER * float(np.clip(_light(patches).mean(), *_LIT_GROUND))
    patches *= lit / max(float(_light(patches).mean()), 12.0) * np.clip(share, 0.7, 1.4)[..., None]
    scene *= lit / max(float(_light(scene).mean()), 12.0)
    return np.asarray(scene + (patches - scene) * _PATCHED, dtype=np.float32)


def _covered(solid: Bools, picture: NDArray[np.uint8]) -> Floats:
    """(HEIGHT, WIDTH, 3): a picture over the rows in which anything is open."""
    rows = np.flatnonzero((~solid).any(axis=1))
    top, bottom = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, len(solid))
    paper = cover(picture, (bottom - top) * TILE, WIDTH)
    return np.pad(paper, ((top * TILE, HEIGHT - bottom * TILE), (0, 0), (0, 0)), mode="edge")


def _patches(look: Look, rng: np.random.Generator, colour: Floats, part: set[str]) -> Floats:
    """(HEIGHT, WIDTH, 3) patches of the reference; in ``colour`` where the prompt named one for the part."""
    assert look.reference is not None
    texture = reference_texture(look.reference, rng)
    if part & look.named:
        light = _light(texture)
        texture = colour * (0.6 + 0.4 * light / max(float(light.mean()), 1.0))[..., None]
    return spread(np.asarray(texture, dtype=np.float32), HEIGHT, WIDTH)


def _light(pixels: Floats) -> Floats:
    """(H, W) luma, 0..255."""
    return np.asarray(pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32), dtype=np.float32)


def _shade(paper: Floats, solid: Bools, look: Look) -> Floats:
    """Darken the backdrop close to walls: it makes depth. Less so a creator's own, to leave it as it is."""
    wall = to_pixels(solid)
    near = cv2.GaussianBlur(wall.astype(np.float32), (55, 55), 9.0, borderType=cv2.BORDER_REPLICATE)
    strength = 0.3 if look.backdrop is not None else 0.75 if look.top_view else 0.55
    dark = np.clip(near * strength, 0, 0.6)
    return np.asarray(paper * (1 - dark[..., None]), dtype=np.float32)


def _ground(solid: Bools, look: Look, rng: np.random.Generator) -> Floats:
    """Texture of solid cells everywhere, lighter near a surface, dark inside."""
    palette = look.palette
    depth = _depth(solid)
    inside = np.clip((depth - 3) / 26, 0, 1).astype(np.float32)[..., None]
    rim = np.clip(1 - (depth - 1) / 1.2, 0, 1)[..., None]
    if look.reference is not None:
        colour = _patches(look, rng, palette.ground, {"ground", "all"})
        light = float(_light(colour).mean())
        colour *= np.clip(light, *_LIT_GROUND) / max(light, 12.0)
        return np.asarray(colour * (1 - 0.3 * inside) * (1 - 0.5 * rim), dtype=np.float32)
    colour = np.asarray(palette.ground + (palette.deep - palette.ground) * inside**0.8, dtype=np.float32)
    grain = noise(rng, 6, HEIGHT, WIDTH) * 0.6 + noise(rng, 2, HEIGHT, WIDTH) * 0.4
    colour *= (1 + 0.22 * _posterise(grain))[..., None]
    pattern = _BLOCKS.get(look.theme)
    if pattern is not None:
        colour *= _masonry(pattern, rng)[..., None]
    elif look.theme == "ice":
        colour += 34 * _streaks(rng)[..., None] * (1 - inside)
    else:
        colour = _stones(colour, rng, inside)
    return np.asarray(colour * (1 - 0.5 * rim), dtype=np.float32)


def _depth(solid: Bools) -> Floats:
    """(H, W) pixels to the nearest open cell, 0 in the open."""
    wall = to_pixels(np.pad(solid, 2, constant_values=True)).astype(np.uint8)
    depth = cv2.distanceTransform(wall, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(depth[2 * TILE : -2 * TILE, 2 * TILE : -2 * TILE], dtype=np.float32)


def _posterise(values: Floats, steps: int = 4) -> Floats:
    return np.asarray(np.round(values * steps) / steps, dtype=np.float32)


def _masonry(pattern: str, rng: np.random.Generator) -> Floats:
    """(H, W) brightness of bricks or metal panels with joints and lit upper edges."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    height, width = (8, 16) if pattern == "brick" else (16, 32)
    row = y // height
    shifted = x + (row % 2) * (width // 2)
    column = shifted // width
    tint = rng.uniform(0.86, 1.12, (HEIGHT // height + 2, WIDTH // width + 3))
    out = tint[row, column]
    out = np.where((y % height == 0) | (shifted % width == 0), 0.6, out)
    return np.where((y % height == 1) & (shifted % width != 0), out * 1.18, out)


def _streaks(rng: np.random.Generator) -> Floats:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    wave = np.sin((x + y * 0.9) / 7.0 + 4 * noise(rng, 24, HEIGHT, WIDTH))
    return np.where(wave > 0.86, 1.0, np.where(wave < -0.93, -0.6, 0.0))


def _stones(colour: Floats, rng: np.random.Generator, inside: Floats) -> Floats:
    """Scatter lit stones and cracks through the ground."""
    blobs = noise(rng, 5, HEIGHT, WIDTH) + 0.5 * noise(rng, 11, HEIGHT, WIDTH)
    stone = blobs > 0.75
    lit = stone & ~np.roll(stone, 1, axis=0)
    under = ~stone & np.roll(stone, 1, axis=0)
    crack = np.abs(noise(rng, 14, HEIGHT, WIDTH)) < 0.025
    out = np.where(stone[..., None], colour * 1.14, colour)
    out = np.where(lit[..., None], colour * 1.4, out)
    dark = (under | crack)[..., None] & (inside < 0.9)
    return np.where(dark, colour * 0.72, out)


def _caps(canvas: Floats, solid: Bools, look: Look, rng: np.random.Generator) -> None:
    """Grass, snow, sand or worn stone along upper edges, light on the left edges, shadow below."""
    palette = look.palette
    thick = _CAPS.get(look.theme, 3)
    ragged = look.theme in ("forest", "garden", "coast", "swamp", "ice")
    fringe = rng.integers(0, 3, WIDTH) if ragged else np.zeros(WIDTH, dtype=np.int64)
    for row, column in np.argwhere(surface(solid)):
        y = row * TILE
        xs = np.arange(column * TILE, column * TILE + TILE)
        for i in range(thick + 2):
            shown = xs[i < thick + fringe[xs] - (1 if ragged else 0)]
            shade = 1.12 if i == 0 else 1.0 if i < thick - 1 else 0.76
            canvas[y + i, shown] = np.minimum(palette.cap * shade, 255)
        if ragged:
            blades = xs[(fringe[xs] == 2) & (xs % 2 == 0)]
            if y > 0:
                canvas[y - 1, blades] = palette.cap * 0.95
    _outline(canvas, solid, palette)


def _outline(canvas: Floats, solid: Bools, palette: Palette) -> None:
    wall = to_pixels(solid)
    dark = mix(palette.deep, np.zeros(3, dtype=np.float32), 0.45)
    below = wall & ~np.roll(wall, -1, axis=0)
    sides = wall & (~np.roll(wall, 1, axis=1) | ~np.roll(wall, -1, axis=1))
    below[-1], sides[:, [0, -1]] = False, False
    canvas[below] = dark
    canvas[sides] = mix(palette.ground, dark, 0.6)


def _faces(canvas: Floats, solid: Bools, look: Look, rng: np.random.Generator) -> None:
    """Walls seen from above: a lit top and a darker face towards the player."""
    palette = look.palette
    leafy = look.reference is None and look.theme in ("forest", "garden", "swamp", "coast")
    wall = to_pixels(solid)
    if leafy:
        canvas[wall] = (palette.cap * _leaves(rng)[..., None])[wall]
    front = wall & ~np.roll(wall, -6, axis=0)
    front[-6:] = False
    canvas[front] *= 0.5
    lip = wall & ~np.roll(wall, -7, axis=0) & ~front
    lip[-7:] = False
    canvas[lip] = np.minimum(canvas[lip] * 1.45, 255)
    edge = wall & (~np.roll(wall, 1, axis=1) | ~np.roll(wall, -1, axis=1) | ~np.roll(wall, 1, axis=0))
    edge[:, [0, -1]] = edge[0] = False
    canvas[edge] *= 0.62


def _leaves(rng: np.random.Generator) -> Floats:
    """(H, W) brightness of clipped foliage: round clumps, lit from above."""
    clumps = noise(rng, 5, HEIGHT, WIDTH) + 0.5 * noise(rng, 3, HEIGHT, WIDTH)
    slope = clumps - np.roll(clumps, 2, axis=0)
    shade = np.where(slope > 0.3, 0.12, np.where(slope < -0.45, -0.1, 0.0))
    return np.clip(0.56 + 0.05 * np.round(clumps * 2) + shade, 0.4, 0.85)
