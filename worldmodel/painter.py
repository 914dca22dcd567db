"""The picture of a world: backdrop, ground, decorations and signs, painted once from tiles and a palette."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, TILE, Tile
from worldmodel.palette import Palette, mix
from worldmodel.scenery import backdrop, floor, noise

HEIGHT, WIDTH = MAP_HEIGHT * TILE, MAP_WIDTH * TILE
BOARD = (96, 48)
"""Pixels of a sign, width and height."""
_FRAME = 3
_INK = (26, 18, 22)
_FONT_SIZES = (34, 30, 26, 24, 22, 20, 18, 16, 14, 12, 11, 10, 9, 8)
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

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Board:
    """A sign to paint: a text or a picture on a box of tiles."""

    box: tuple[int, int, int, int]
    """Tiles: x0, y0, x1, y1, the last two exclusive."""
    text: str | None = None
    image: NDArray[np.uint8] | None = None
    """(H, W, 4) RGBA."""


@dataclass(frozen=True)
class Look:
    """How a world looks, apart from where things are."""

    theme: str
    palette: Palette
    tags: tuple[str, ...] = ()
    top_view: bool = False


def paint(tiles: NDArray[np.uint8], look: Look, boards: Sequence[Board], seed: int) -> NDArray[np.uint8]:
    """(MAP_HEIGHT * TILE, MAP_WIDTH * TILE, 3) RGB of all that never changes."""
    rng = np.random.default_rng(seed)
    solid = tiles == Tile.SOLID
    paper = floor(look.theme, look.palette, rng) if look.top_view else backdrop(solid, look, rng)
    paper = _shade(paper, solid, look)
    canvas = np.where(_pixels(solid)[..., None], _ground(solid, look, rng), paper)
    if look.top_view:
        _faces(canvas, solid, look, rng)
        _scatter(canvas, tiles, look, boards, rng)
    else:
        _caps(canvas, solid, look, rng)
        _decorate(canvas, tiles, look, boards, rng)
    picture = np.clip(canvas, 0, 255).round().astype(np.uint8)
    for board in boards:
        x, y = board.box[0] * TILE, board.box[1] * TILE
        picture[y : y + BOARD[1], x : x + BOARD[0]] = paint_board(board, look.palette)
    return picture


def _pixels(cells: Bools) -> Bools:
    return np.repeat(np.repeat(cells, TILE, axis=0), TILE, axis=1)


def _shade(paper: Floats, solid: Bools, look: Look) -> Floats:
    """Darken the backdrop close to walls, more under ceilings: it makes depth."""
    wall = _pixels(solid)
    near = cv2.GaussianBlur(wall.astype(np.float32), (55, 55), 9.0, borderType=cv2.BORDER_REPLICATE)
    dark = np.clip(near * (0.75 if look.top_view else 0.55), 0, 0.6)
    return np.asarray(paper * (1 - dark[..., None]), dtype=np.float32)


def _ground(solid: Bools, look: Look, rng: np.random.Generator) -> Floats:
    """Texture of solid cells everywhere, lighter near a surface, dark inside."""
    palette = look.palette
    depth = _depth(solid)
    inside = np.clip((depth - 3) / 26, 0, 1).astype(np.float32)[..., None]
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
    rim = np.clip(1 - (depth - 1) / 1.2, 0, 1)[..., None]
    return np.asarray(colour * (1 - 0.5 * rim), dtype=np.float32)


def _depth(solid: Bools) -> Floats:
    """(H, W) pixels to the nearest open cell, 0 in the open."""
    wall = _pixels(np.pad(solid, 2, constant_values=True)).astype(np.uint8)
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


def _surface(solid: Bools) -> Bools:
    """(MAP_HEIGHT, MAP_WIDTH) solid cells with an open cell above."""
    open_above = np.zeros_like(solid)
    open_above[1:] = ~solid[:-1]
    return solid & open_above


def _caps(canvas: Floats, solid: Bools, look: Look, rng: np.random.Generator) -> None:
    """Grass, snow, sand or worn stone along upper edges, light on the left edges, shadow below."""
    palette = look.palette
    thick = _CAPS.get(look.theme, 3)
    ragged = look.theme in ("forest", "garden", "coast", "swamp", "ice")
    fringe = rng.integers(0, 3, WIDTH) if ragged else np.zeros(WIDTH, dtype=np.int64)
    surface = _surface(solid)
    for row, column in np.argwhere(surface):
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
    wall = _pixels(solid)
    dark = mix(palette.deep, np.zeros(3, dtype=np.float32), 0.45)
    below = wall & ~np.roll(wall, -1, axis=0)
    sides = wall & (~np.roll(wall, 1, axis=1) | ~np.roll(wall, -1, axis=1))
    below[-1], sides[:, [0, -1]] = False, False
    canvas[below] = dark
    canvas[sides] = mix(palette.ground, dark, 0.6)


def _faces(canvas: Floats, solid: Bools, look: Look, rng: np.random.Generator) -> None:
    """Walls seen from above: a lit top and a darker face towards the player."""
    palette = look.palette
    leafy = look.theme in ("forest", "garden", "swamp", "coast")
    wall = _pixels(solid)
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


# Decorations


def _taken(tiles: NDArray[np.uint8], boards: Sequence[Board]) -> NDArray[np.bool_]:
    """Tiles that hold something already: no decoration goes there."""
    taken: NDArray[np.bool_] = tiles != Tile.EMPTY
    for board in boards:
        x0, y0, x1, y1 = board.box
        taken[y0:y1, x0:x1] = True
    return taken


def _decorate(
    canvas: Floats, tiles: NDArray[np.uint8], look: Look, boards: Sequence[Board], rng: np.random.Generator
) -> None:
    """Small things on the ground, and lamps from ceilings, where nothing else is."""
    taken = _taken(tiles, boards)
    solid = tiles == Tile.SOLID
    kinds = _props(look)
    for row, column in np.argwhere(_surface(solid)):
        if row > 0 and not taken[row - 1, column] and rng.random() < 0.4:
            _prop(canvas, str(rng.choice(kinds)), column * TILE, row * TILE, look.palette, rng)
    if "lanterns" in look.tags or look.theme in ("cave", "market", "warehouse"):
        _hang_lamps(canvas, solid, taken, look.palette, rng)


def _scatter(
    canvas: Floats, tiles: NDArray[np.uint8], look: Look, boards: Sequence[Board], rng: np.random.Generator
) -> None:
    """Low plants and stones here and there on a floor seen from above."""
    taken = _taken(tiles, boards)
    low = [kind for kind in _props(look) if kind in ("flower", "tuft", "pebble", "mushroom", "mound")] or [
        "pebble"
    ]
    for row, column in np.argwhere(~taken):
        if row > 1 and rng.random() < 0.09:
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
    extra = {
        "flowers": "flower",
        "mushrooms": "mushroom",
        "crystals": "crystal",
        "crates": "crate",
        "stalls": "pot",
    }
    return own + [extra[tag] for tag in look.tags if tag in extra]


def _prop(canvas: Floats, kind: str, x: int, y: int, palette: Palette, rng: np.random.Generator) -> None:
    """One decoration, its foot at the pixel row above ``y``."""
    image = Image.new("RGBA", (TILE, 2 * TILE))
    _DRAW[kind](ImageDraw.Draw(image), palette, rng)
    pixels = np.asarray(image)
    y0 = max(0, y - 2 * TILE)
    pixels = pixels[2 * TILE - (y - y0) :]
    shown = pixels[..., 3] > 0
    canvas[y0:y, x : x + TILE][shown] = pixels[..., :3][shown]


def _rgb(colour: Floats, shade: float = 1.0) -> tuple[int, int, int]:
    r, g, b = np.clip(colour * shade, 0, 255).round().astype(int).tolist()
    return r, g, b


def _tuft(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    for i in range(5):
        x, height = 2 + 3 * i, int(rng.integers(3, 8))
        draw.line(
            [(x, 31), (x + int(rng.integers(-2, 3)), 31 - height)], _rgb(palette.cap, 0.7 + 0.1 * (i % 3))
        )


def _flower(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    for x in (4, 11):
        top = 31 - int(rng.integers(5, 11))
        draw.line([(x, 31), (x, top)], _rgb(palette.cap, 0.65))
        draw.ellipse([x - 2, top - 2, x + 2, top + 2], _rgb(palette.accent), _rgb(palette.accent, 0.65))
        draw.point((x, top), (255, 246, 190))


def _bush(draw: ImageDraw.ImageDraw, palette: Palette, _rng: np.random.Generator) -> None:
    for x, y, r in ((4, 28, 4), (11, 28, 4), (7, 25, 5)):
        draw.ellipse([x - r, y - r, x + r, y + r], _rgb(palette.cap, 0.62))
    for x, y in ((4, 25), (8, 22), (11, 26), (6, 28)):
        draw.rectangle([x, y, x + 1, y], _rgb(palette.cap, 0.95))


def _pebble(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    x, r = int(rng.integers(3, 10)), int(rng.integers(2, 5))
    draw.pieslice([x - r, 31 - r, x + r, 31 + r], 180, 360, _rgb(palette.ground, 0.8), _rgb(palette.deep))
    draw.line([(x - r // 2, 32 - r), (x, 32 - r)], _rgb(palette.cap))


def _mushroom(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    x, top = int(rng.integers(4, 11)), 31 - int(rng.integers(5, 9))
    draw.rectangle([x - 1, top, x + 1, 31], (236, 222, 196))
    draw.pieslice(
        [x - 4, top - 4, x + 4, top + 4], 180, 360, _rgb(palette.accent, 0.9), _rgb(palette.accent, 0.5)
    )
    draw.point([(x - 1, top - 2), (x + 2, top - 1)], (255, 250, 230))


def _crystal(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    colour = mix(palette.cap, palette.accent, float(rng.uniform(0.2, 0.7)))
    for x, height in ((5, int(rng.integers(6, 12))), (10, int(rng.integers(4, 8)))):
        draw.polygon([(x - 2, 31), (x - 2, 33 - height), (x, 30 - height), (x + 2, 33 - height), (x + 2, 31)],
                     _rgb(colour, 0.8), _rgb(colour, 0.45))  # fmt: skip
        draw.line([(x - 1, 32 - height), (x - 1, 30)], _rgb(colour, 1.25))


def _mound(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    r = int(rng.integers(4, 7))
    draw.pieslice([8 - r, 32 - r // 2 - 1, 8 + r, 32 + r // 2], 180, 360, _rgb(palette.cap, 0.94))


def _pine(draw: ImageDraw.ImageDraw, palette: Palette, _rng: np.random.Generator) -> None:
    draw.rectangle([7, 27, 8, 31], _rgb(palette.deep))
    for top, half in ((12, 3), (17, 5), (22, 7)):
        draw.polygon([(7.5, top), (7.5 - half, top + 7), (7.5 + half, top + 7)], (46, 98, 96), (28, 62, 70))
        draw.line([(7, top + 1), (7 - half // 2, top + 4)], _rgb(palette.cap))


def _crater(draw: ImageDraw.ImageDraw, palette: Palette, _rng: np.random.Generator) -> None:
    draw.pieslice([2, 29, 13, 34], 180, 360, _rgb(palette.ground, 0.7), _rgb(palette.cap))


def _crate(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    wood = mix(np.array([150.0, 104.0, 62.0]), palette.cap, 0.2)
    size = int(rng.integers(9, 13))
    draw.rectangle([2, 31 - size, 2 + size, 31], _rgb(wood, 0.8), _rgb(wood, 0.4))
    draw.line([(3, 30), (1 + size, 32 - size)], _rgb(wood, 0.55))
    draw.line([(3, 32 - size), (1 + size, 32 - size)], _rgb(wood, 1.1))


def _pot(draw: ImageDraw.ImageDraw, palette: Palette, _rng: np.random.Generator) -> None:
    draw.ellipse([4, 22, 12, 31], _rgb(palette.accent, 0.6), _rgb(palette.deep))
    draw.rectangle([6, 20, 10, 23], _rgb(palette.accent, 0.75), _rgb(palette.deep))
    draw.line([(6, 25), (6, 28)], _rgb(palette.accent, 1.05))


def _post(draw: ImageDraw.ImageDraw, palette: Palette, _rng: np.random.Generator) -> None:
    draw.rectangle([7, 10, 8, 31], _rgb(palette.deep, 0.8))
    draw.rectangle([4, 6, 11, 10], _rgb(palette.accent), _rgb(palette.deep, 0.6))


def _glow(draw: ImageDraw.ImageDraw, palette: Palette, rng: np.random.Generator) -> None:
    for x in (3, 8, 12):
        top = 31 - int(rng.integers(1, 5))
        draw.line([(x, 31), (x, top)], _rgb(palette.accent))
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
    return _pixels(padded[row : row + 7, column : column + 7])


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


# Signs


def paint_board(board: Board, palette: Palette) -> NDArray[np.uint8]:
    """(48, 96, 3) a framed sign with its text or picture."""
    frame = mix(palette.accent, np.array([96.0, 62.0, 36.0]), 0.75)
    image = Image.new("RGB", BOARD, _rgb(frame, 0.45))
    draw = ImageDraw.Draw(image)
    draw.rectangle([1, 1, BOARD[0] - 2, BOARD[1] - 2], _rgb(frame))
    draw.line([(1, 1), (BOARD[0] - 2, 1)], _rgb(frame, 1.4))
    inner = (_FRAME, _FRAME, BOARD[0] - _FRAME, BOARD[1] - _FRAME)
    draw.rectangle([inner[0], inner[1], inner[2] - 1, inner[3] - 1], (246, 238, 214))
    if board.image is not None:
        return _fit(board.image)
    _write(draw, _plain(board.text or ""), inner)
    return np.asarray(image)


def _plain(text: str) -> str:
    """Accents taken off: the built-in font has the letters of ASCII only. Other scripts stay, as boxes."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _fit(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture in the whole area of a sign, its aspect ratio kept, on a light ground."""
    picture = Image.fromarray(pixels).convert("RGBA")
    scale = min(BOARD[0] / picture.width, BOARD[1] / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = picture.resize(size, Image.Resampling.LANCZOS)
    out = Image.new("RGB", BOARD, (246, 238, 214))
    out.paste(small, ((BOARD[0] - size[0]) // 2, (BOARD[1] - size[1]) // 2), small)
    return np.asarray(out)


def _write(draw: ImageDraw.ImageDraw, text: str, inner: tuple[int, int, int, int]) -> None:
    """The text as large as it fits, in as many lines as it takes; words are broken only where they must."""
    width, height = inner[2] - inner[0] - 4, inner[3] - inner[1] - 2
    for words in (text.split(), list(text.replace(" ", "\u00a0"))):
        for size in _FONT_SIZES:
            font = ImageFont.load_default(size)
            lines = _wrap(draw, words, font, width)
            if lines is None:
                continue
            box = draw.multiline_textbbox((0, 0), lines, font=font, spacing=1, align="center")
            if box[3] - box[1] <= height and box[2] - box[0] <= width:
                x = (inner[0] + inner[2] - box[2] - box[0]) / 2
                y = (inner[1] + inner[3] - box[3] - box[1]) / 2
                where = (round(x), round(y))
                draw.multiline_text(where, lines, _INK, font=font, spacing=1, align="center")
                return
    _squeeze(draw, text, inner)


def _squeeze(draw: ImageDraw.ImageDraw, text: str, inner: tuple[int, int, int, int]) -> None:
    """The text in four lines, narrowed until it fits: for sixty wide letters without a space."""
    font, per_line = ImageFont.load_default(14), -(-len(text) // 4)
    lines = "\n".join(text[i : i + per_line] for i in range(0, len(text), per_line))
    box = draw.multiline_textbbox((0, 0), lines, font=font, spacing=1)
    mask = Image.new("L", (round(box[2]) + 1, round(box[3]) + 1))
    ImageDraw.Draw(mask).multiline_text((0, 0), lines, 255, font=font, spacing=1)
    size = (inner[2] - inner[0] - 2, inner[3] - inner[1] - 2)
    draw.bitmap((inner[0] + 1, inner[1] + 1), mask.resize(size, Image.Resampling.LANCZOS), _INK)


def _wrap(
    draw: ImageDraw.ImageDraw,
    words: Sequence[str],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: float,
) -> str | None:
    """Lines no wider than ``width``, or None where a single word is; single letters are joined closely."""
    space = "" if all(len(word) == 1 for word in words) else " "
    lines: list[str] = []
    for word in words:
        if draw.textlength(word, font=font) > width:
            return None
        longer = f"{lines[-1]}{space}{word}" if lines else word
        if lines and draw.textlength(longer, font=font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
