"""Small things in a picture: plants, stones and crates on the ground, lamps under ceilings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, TILE, Tile
from worldmodel.palette import Palette, as_rgb, mix
from worldmodel.signs import Board

if TYPE_CHECKING:
    from worldmodel.painter import Look

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
HEIGHT, WIDTH = MAP_HEIGHT * TILE, MAP_WIDTH * TILE
GROUND = (Tile.SOLID, Tile.ICE)


def to_pixels(cells: Bools) -> Bools:
    """(H * TILE, W * TILE) of (H, W) cells."""
    return np.repeat(np.repeat(cells, TILE, axis=0), TILE, axis=1)


def surface(solid: Bools) -> Bools:
    """(MAP_HEIGHT, MAP_WIDTH) solid cells with an open cell above."""
    open_above = np.zeros_like(solid)
    open_above[1:] = ~solid[:-1]
    return solid & open_above


def taken_tiles(tiles: NDArray[np.uint8], boards: Sequence[Board]) -> NDArray[np.bool_]:
    """Tiles that hold something already: no decoration goes there."""
    taken: NDArray[np.bool_] = tiles != Tile.EMPTY
    for board in boards:
        x0, y0, x1, y1 = board.box
        taken[y0:y1, x0:x1] = True
    return taken


def decorate(
    canvas: Floats, tiles: NDArray[np.uint8], look: Look, boards: Sequence[Board], rng: np.random.Generator
) -> None:
    """Small things on the ground, and lamps from ceilings, where nothing else is."""
    taken = taken_tiles(tiles, boards)
    solid = np.isin(tiles, GROUND)
    kinds, often = _props(look), 0.6 if _asked(look) else 0.4
    for row, column in np.argwhere(surface(solid) & (tiles != Tile.ICE)):
        if row > 0 and not taken[row - 1, column] and rng.random() < often:
            _prop(canvas, str(rng.choice(kinds)), column * TILE, row * TILE, look.palette, rng)
    if "lanterns" in look.tags or look.theme in ("cave", "market", "warehouse"):
        _hang_lamps(canvas, solid, taken, look.palette, rng)


def scatter(
    canvas: Floats, tiles: NDArray[np.uint8], look: Look, boards: Sequence[Board], rng: np.random.Generator
) -> None:
    """Low plants and stones here and there on a floor seen from above."""
    taken = taken_tiles(tiles, boards)
    low = [kind for kind in _props(look) if kind in ("flower", "tuft", "pebble", "mushroom", "mound")] or [
        "pebble"
    ]
    often = 0.14 if set(_asked(look)) & set(low) else 0.09
    for row, column in np.argwhere(~taken):
        if row > 1 and rng.random() < often:
            _prop(canvas, str(rng.choice(low)), column * TILE, (row + 1) * TILE, look.palette, rng)


def _props(look: Look) -> list[str]:
    own = {
        "cave": ["crystal", "pebble", "pebble", "mushroom"],
        "forest": ["tuft", "tuft", "flower", "mushroom", "bush"],
        "ice": ["crystal", "mound", "pebble", "pine"],
        "moon": ["pebble", "crater", "pebble"],
        "market": ["crate", "pot", "flower", "pot"],
        "city": ["crate", "post", "pot"],
        "lava": ["pebble", "glow", "pebble"],
        "garden": ["flower", "flower", "tuft", "bush"],
        "desert": ["cactus", "pebble", "mound", "tuft"],
        "coast": ["tuft", "pebble", "flower", "tuft"],
        "swamp": ["tuft", "mushroom", "tuft", "bush"],
        "warehouse": ["crate", "crate", "pot", "pebble"],
    }[look.theme]
    # What the prompt asks for is three in four of what stands about.
    return own + _asked(look) * 3 * (len(own) // max(1, len(_asked(look))))


def _asked(look: Look) -> list[str]:
    """Kinds of things that the prompt names."""
    kinds = {
        "flowers": "flower",
        "mushrooms": "mushroom",
        "crystals": "crystal",
        "crates": "crate",
        "stalls": "pot",
    }
    return [kinds[tag] for tag in look.tags if tag in kinds]


def _prop(canvas: Floats, kind: str, x: int, y: int, palette: Palette, rng: np.random.Generator) -> None:
    """One decoration, its foot at the pixel row above ``y``."""
    image = Image.new("RGBA", (TILE, 2 * TILE))
    _DRAW[kind](ImageDraw.Draw(image), palette, rng)
    pixels = np.asarray(image)
    y0 = max(0, y - 2 * TILE)
    pixels = pixels[2 * TILE - (y - y0) :]
    shown = pixels[..., 3] > 0
    canvas[y0:y, x : x + TILE][shown] = pixels[..., :3][shown]


def _tuft(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    for i in range(5):
        x, height = 2 + 3 * i, int(rng.integers(3, 8))
        draw.line(
            [(x, 31), (x + int(rng.integers(-2, 3)), 31 - height)], as_rgb(palette.cap, 0.7 + 0.1 * (i % 3))
        )


def _flower(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    for x in (4, 11):
        top = 31 - int(rng.integers(6, 12))
        draw.line([(x, 31), (x, top)], as_rgb(palette.cap, 0.65))
        draw.ellipse([x - 3, top - 3, x + 3, top + 3], as_rgb(palette.accent), as_rgb(palette.accent, 0.7))
        draw.point((x, top), (255, 246, 190))


def _bush(draw: ImageDraw.ImageDraw, palette: Palette, _rng: np.random.Generator) -> None:
    for x, y, r in ((4, 28, 4), (11, 28, 4), (7, 25, 5)):
        draw.ellipse([x - r, y - r, x + r, y + r], as_rgb(palette.cap, 0.62))
    for x, y in ((4, 25), (8, 22), (11, 26), (6, 28)):
        draw.rectangle([x, y, x + 1, y], as_rgb(palette.cap, 0.95))


def _pebble(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    x, r = int(rng.integers(3, 10)), int(rng.integers(2, 5))
    draw.pieslice([x - r, 31 - r, x + r, 31 + r], 180, 360, as_rgb(palette.ground, 0.8), as_rgb(palette.deep))
    draw.line([(x - r // 2, 32 - r), (x, 32 - r)], as_rgb(palette.cap))


def _mushroom(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    x, top = int(rng.integers(5, 10)), 31 - int(rng.integers(5, 9))
    draw.rectangle([x - 1, top, x + 1, 31], (236, 222, 196))
    draw.pieslice(
        [x - 5, top - 5, x + 5, top + 5], 180, 360, as_rgb(palette.accent, 0.9), as_rgb(palette.accent, 0.5)
    )
    draw.point([(x - 1, top - 2), (x + 2, top - 1)], (255, 250, 230))


def _crystal(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    colour = mix(palette.cap, palette.accent, float(rng.uniform(0.2, 0.7)))
    for x, height in ((5, int(rng.integers(6, 12))), (10, int(rng.integers(4, 8)))):
        draw.polygon([(x - 2, 31), (x - 2, 33 - height), (x, 30 - height), (x + 2, 33 - height), (x + 2, 31)],
                     as_rgb(colour, 0.8), as_rgb(colour, 0.45))  # fmt: skip
        draw.line([(x - 1, 32 - height), (x - 1, 30)], as_rgb(colour, 1.25))


def _mound(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    r = int(rng.integers(4, 7))
    draw.pieslice([8 - r, 32 - r // 2 - 1, 8 + r, 32 + r // 2], 180, 360, as_rgb(palette.cap, 0.94))


def _pine(draw: ImageDraw.ImageDraw, palette: Palette, _rng: np.random.Generator) -> None:
    draw.rectangle([7, 27, 8, 31], as_rgb(palette.deep))
    for top, half in ((12, 3), (17, 5), (22, 7)):
        draw.polygon([(7.5, top), (7.5 - half, top + 7), (7.5 + half, top + 7)], (46, 98, 96), (28, 62, 70))
        draw.line([(7, top + 1), (7 - half // 2, top + 4)], as_rgb(palette.cap))


def _crater(draw: ImageDraw.ImageDraw, palette: Palette, _rng: np.random.Generator) -> None:
    draw.pieslice([2, 29, 13, 34], 180, 360, as_rgb(palette.ground, 0.7), as_rgb(palette.cap))


def _crate(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    wood = mix(np.array([150.0, 104.0, 62.0]), palette.cap, 0.2)
    size = int(rng.integers(9, 13))
    draw.rectangle([2, 31 - size, 2 + size, 31], as_rgb(wood, 0.8), as_rgb(wood, 0.4))
    draw.line([(3, 30), (1 + size, 32 - size)], as_rgb(wood, 0.55))
    draw.line([(3, 32 - size), (1 + size, 32 - size)], as_rgb(wood, 1.1))


def _pot(draw: ImageDraw.ImageDraw, palette: Palette, _rng: np.random.Generator) -> None:
    draw.ellipse([4, 22, 12, 31], as_rgb(palette.accent, 0.6), as_rgb(palette.deep))
    draw.rectangle([6, 20, 10, 23], as_rgb(palette.accent, 0.75), as_rgb(palette.deep))
    draw.line([(6, 25), (6, 28)], as_rgb(palette.accent, 1.05))


def _post(draw: ImageDraw.ImageDraw, palette: Palette, _rng: np.random.Generator) -> None:
    draw.rectangle([7, 10, 8, 31], as_rgb(palette.deep, 0.8))
    draw.rectangle([4, 6, 11, 10], as_rgb(palette.accent), as_rgb(palette.deep, 0.6))


def _glow(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    for x in (3, 8, 12):
        top = 31 - int(rng.integers(1, 5))
        draw.line([(x, 31), (x, top)], as_rgb(palette.accent))
        draw.point((x, top - 1), (255, 236, 160))


def _cactus(draw: ImageDraw.ImageDraw, _palette: Palette, rng: np.random.Generator) -> None:
    top = 31 - int(rng.integers(12, 20))
    green, dark = (74, 148, 74), (38, 88, 52)
    draw.rounded_rectangle([6, top, 9, 32], 2, green, dark)
    draw.line([(6, 24), (3, 24), (3, 20)], green, 2)
    draw.line([(9, 22), (12, 22), (12, 17)], green, 2)


_DRAW = {
    "tuft": _tuft, "flower": _flower, "bush": _bush, "pebble": _pebble, "mushroom": _mushroom,
    "crystal": _crystal, "mound": _mound, "pine": _pine, "crater": _crater, "crate": _crate, "pot": _pot,
    "post": _post, "glow": _glow, "cactus": _cactus,
}  # fmt: skip


def _hang_lamps(
    canvas: Floats, solid: Bools, taken: Bools, palette: Palette, rng: np.random.Generator
) -> None:
    """Lamps under ceilings, with their light on the wall behind."""
    below_ceiling = np.zeros_like(solid)
    below_ceiling[1:-3] = solid[:-4] & ~taken[1:-3] & ~taken[2:-2] & ~taken[3:-1]
    last = -9
    for row, column in sorted(np.argwhere(below_ceiling).tolist(), key=lambda cell: (cell[1], cell[0])):
        if column - last < 5 or rng.random() < 0.6:
            continue
        last = column
        _lamp(
            canvas,
            column * TILE + TILE // 2,
            row * TILE,
            6 + int(rng.integers(0, 12)),
            palette,
            _pixels_near(solid, row, column),
        )


def _pixels_near(solid: Bools, row: int, column: int) -> Bools:
    """Walls within three tiles of a cell, in pixels, to keep light off them."""
    padded = np.pad(solid, 3, constant_values=True)
    return to_pixels(padded[row : row + 7, column : column + 7])


def _lamp(canvas: Floats, x: int, y: int, cord: int, palette: Palette, walls: Bools) -> None:
    y0, x0 = y - 3 * TILE, x - TILE // 2 - 3 * TILE
    rows, columns = np.mgrid[y0 : y0 + 7 * TILE, x0 : x0 + 7 * TILE]
    inside = (rows >= 0) & (rows < HEIGHT) & (columns >= 0) & (columns < WIDTH)
    distance = np.hypot(rows - y - cord - 4, columns - x)
    light = np.clip(1 - distance / 52, 0, 1) ** 2 * np.where(walls, 0.2, 0.62)
    spot = (rows[inside], columns[inside])
    canvas[spot] += (palette.accent * light[..., None])[inside] * 0.6
    canvas[y : y + cord, x] = palette.deep * 0.5
    canvas[y + cord : y + cord + 8, x - 3 : x + 4] = palette.deep * 0.5
    canvas[y + cord + 1 : y + cord + 7, x - 2 : x + 3] = palette.accent
    canvas[y + cord + 2 : y + cord + 6, x - 1 : x + 2] = np.minimum(palette.accent * 0.4 + 170, 255)
