"""What lies behind the ground: skies, hills, trees, towns and caverns; floors seen from above."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, TILE
from worldmodel.palette import Colour, Palette, mix

if TYPE_CHECKING:
    from worldmodel.painter import Look

Floats = NDArray[np.float32]
WIDTH = MAP_WIDTH * TILE
_WHITE = np.array([255.0, 255.0, 255.0], dtype=np.float32)


def noise(rng: np.random.Generator, scale: int, height: int, width: int) -> Floats:
    """(height, width) smooth noise of about -1..1 whose features are ``scale`` pixels large."""
    small = rng.uniform(-1, 1, (height // scale + 4, width // scale + 4)).astype(np.float32)
    size = (small.shape[1] * scale, small.shape[0] * scale)
    large = np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))
    return large[scale : scale + height, scale : scale + width].astype(np.float32)


def _line(rng: np.random.Generator, scale: int) -> Floats:
    """(WIDTH,) smooth noise of about -1..1."""
    line: Floats = noise(rng, scale, scale, WIDTH)[0]
    return line


def bands(solid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Row ranges (exclusive ends) of the storeys, cut where nearly everything is solid; together all rows."""
    share = (~solid).mean(axis=1)
    closed = share < 0.25 * max(share.max(), 1e-9)
    cuts = [0]
    inside = False
    for row in range(MAP_HEIGHT):
        if not closed[row]:
            inside = True
        elif inside and row + 1 < MAP_HEIGHT and (~closed[row:]).any():
            cuts.append(row + 1)
            inside = False
    return list(zip(cuts, [*cuts[1:], MAP_HEIGHT], strict=True))


def backdrop(solid: NDArray[np.bool_], look: Look, rng: np.random.Generator) -> Floats:
    """(MAP_HEIGHT * TILE, WIDTH, 3): a scene for each storey."""
    return np.concatenate([_scene((bottom - top) * TILE, look, rng) for top, bottom in bands(solid)])


def _scene(height: int, look: Look, rng: np.random.Generator) -> Floats:
    palette = look.palette
    ramp = np.linspace(0, 1, height, dtype=np.float32) ** 0.8
    ramp = np.round((ramp[:, None] + 0.015 * noise(rng, 3, height, WIDTH)) * 12) / 12
    scene = np.asarray(palette.sky + (palette.haze - palette.sky) * ramp[..., None], dtype=np.float32)
    _SCENES[look.theme](scene, look, rng)
    return scene


def _fill_below(scene: Floats, top: Floats, colour: Colour, *, light: float = 0.12) -> None:
    """Paint all below the line ``top`` (WIDTH,), with a lighter edge and more haze towards the bottom."""
    rows = np.arange(len(scene))[:, None]
    below = rows - top[None, :]
    haze = np.clip(below / max(60.0, len(scene) * 0.5), 0, 1)[..., None] * 0.35
    body = colour + (scene.mean(axis=(0, 1)) - colour) * haze
    scene[:] = np.where((below >= 0)[..., None], body, scene)
    edge = (below >= 0) & (below < 2)
    scene[edge] = colour + (_WHITE - colour) * light


def _disc(scene: Floats, x: int, y: int, radius: int, colour: Colour, glow: float = 0.35) -> None:
    rows, columns = np.mgrid[0 : len(scene), 0:WIDTH]
    distance = np.hypot(rows - y, columns - x)
    halo = np.clip(1 - (distance - radius) / (radius * 2.2), 0, 1) ** 2 * glow
    scene += (colour - scene) * halo[..., None]
    scene[distance <= radius] = colour


def _stars(scene: Floats, rng: np.random.Generator, count: int = 260) -> None:
    ys, xs = rng.integers(0, max(2, int(len(scene) * 0.75)), count), rng.integers(1, WIDTH - 1, count)
    shine = rng.uniform(0.35, 1.0, count)[:, None]
    scene[ys, xs] = scene[ys, xs] * (1 - shine) + _WHITE * shine
    for y, x in zip(ys[::9], xs[::9], strict=True):
        scene[max(0, y - 1) : y + 2, x] = scene[y, x - 1 : x + 2] = (235, 240, 255)


def _clouds(scene: Floats, rng: np.random.Generator, colour: Colour) -> None:
    image = Image.new("L", (WIDTH, len(scene)))
    draw = ImageDraw.Draw(image)
    for _ in range(14):
        x, y = int(rng.integers(0, WIDTH)), int(rng.integers(4, max(6, int(len(scene) * 0.4))))
        for i in range(4):
            r = int(rng.integers(5, 12))
            draw.ellipse([x + 11 * i - r, y - r // 2, x + 11 * i + r, y + r // 2 + 2], 200)
        draw.rectangle([x - 6, y + 3, x + 42, y + 12], 0)
    _blend(scene, image, colour)


def _blend(scene: Floats, mask: Image.Image, colour: Colour) -> None:
    share = np.asarray(mask, dtype=np.float32)[..., None] / 255
    scene += (colour - scene) * share


def _ridge(
    rng: np.random.Generator, height: int, base: float, swing: float, scale: int, *, sharp: bool
) -> Floats:
    line = _line(rng, scale) + 0.4 * _line(rng, scale // 2)
    line = 1 - 2 * np.abs(line) if sharp else line
    return np.asarray(height * (1 - base) - line * swing * height)


def _trees(
    scene: Floats, rng: np.random.Generator, colour: Colour, ground: Floats, kind: str, step: int
) -> None:
    """A row of trees whose feet follow ``ground`` (WIDTH,)."""
    image = Image.new("L", (WIDTH, len(scene)))
    draw = ImageDraw.Draw(image)
    x = int(rng.integers(0, step))
    while x < WIDTH:
        foot = float(ground[x]) + 4
        size = float(rng.uniform(0.7, 1.2)) * step
        if kind == "pine":
            for i in range(3):
                top, half = foot - size * (1.5 - 0.4 * i), size * (0.22 + 0.1 * i)
                draw.polygon([(x, top), (x - half, top + size * 0.7), (x + half, top + size * 0.7)], 255)
        else:
            draw.rectangle([x - size * 0.07, foot - size, x + size * 0.07, foot], 255)
            for _ in range(6):
                dx, dy, r = (
                    rng.uniform(-0.3, 0.3) * size,
                    rng.uniform(0.8, 1.4) * size,
                    rng.uniform(0.16, 0.32) * size,
                )
                draw.ellipse([x + dx - r, foot - dy - r, x + dx + r, foot - dy + r], 255)
        x += int(step * rng.uniform(0.5, 1.3)) + 3
    _blend(scene, image, colour)


def _forest(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    palette, height = look.palette, len(scene)
    if "night" in look.tags:
        _stars(scene, rng)
    elif look.theme != "swamp":
        _clouds(scene, rng, mix(palette.haze, _WHITE, 0.7))
    _fill_below(scene, _ridge(rng, height, 0.5, 0.14, 120, sharp=False), mix(palette.haze, palette.far, 0.55))
    middle = _ridge(rng, height, 0.36, 0.08, 70, sharp=False)
    _trees(scene, rng, mix(palette.haze, palette.far, 0.8), middle, "round", 34)
    _fill_below(scene, middle, mix(palette.haze, palette.far, 0.85))
    close = _ridge(rng, height, 0.16, 0.06, 60, sharp=False)
    _trees(scene, rng, palette.near, close, "round" if look.theme != "swamp" else "pine", 62)
    _fill_below(scene, close, mix(palette.near, palette.far, 0.2))


def _garden(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    palette, height = look.palette, len(scene)
    _clouds(scene, rng, mix(palette.haze, _WHITE, 0.8))
    _fill_below(scene, _ridge(rng, height, 0.42, 0.1, 150, sharp=False), mix(palette.haze, palette.far, 0.7))
    hedge = np.repeat(_ridge(rng, height, 0.2, 0.05, 60, sharp=False)[::16], 16)
    _fill_below(scene, hedge, palette.near)


def _coast(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    palette, height = look.palette, len(scene)
    _disc(scene, int(rng.integers(100, 900)), int(height * 0.2), 13, mix(palette.accent, _WHITE, 0.55))
    _clouds(scene, rng, _WHITE * 0.98)
    sea = np.full(WIDTH, height * 0.55)
    _fill_below(scene, sea, mix(palette.sky, palette.far, 0.35))
    rows, columns = np.mgrid[0:height, 0:WIDTH]
    wave = (np.sin(columns / 9 + rows * 1.7) > 0.9) & (rows > height * 0.57) & (rows % 5 == 0)
    scene[wave] = mix(palette.haze, _WHITE, 0.5)
    _fill_below(scene, _ridge(rng, height, 0.14, 0.09, 90, sharp=False), palette.near)
    if "lighthouse" in look.tags:
        _lighthouses(scene, rng)


def _lighthouses(scene: Floats, rng: np.random.Generator) -> None:
    image = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for x in range(int(rng.integers(90, 200)), WIDTH, 330):
        foot = len(scene) - 10
        for i in range(6):
            colour = (222, 70, 62) if i % 2 == 0 else (246, 240, 230)
            draw.rectangle([x - 9 + i, foot - 12 * (i + 1), x + 9 - i, foot - 12 * i], colour)
        draw.rectangle([x - 5, foot - 82, x + 5, foot - 72], (255, 232, 130), (70, 60, 60))
        draw.polygon([(x - 7, foot - 82), (x + 7, foot - 82), (x, foot - 90)], (150, 44, 48))
    scene[:] = np.asarray(image, dtype=np.float32)


def _ice(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    palette, height = look.palette, len(scene)
    _fill_below(
        scene,
        _ridge(rng, height, 0.38, 0.22, 110, sharp=True),
        mix(palette.haze, palette.far, 0.8),
        light=0.6,
    )
    close = _ridge(rng, height, 0.2, 0.1, 80, sharp=True)
    _trees(scene, rng, palette.near, close, "pine", 26)
    _fill_below(scene, close, mix(palette.haze, palette.near, 0.75), light=0.7)
    ys, xs = rng.integers(0, height, 420), rng.integers(0, WIDTH - 1, 420)
    scene[ys, xs] = 252


def _moon(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    palette, height = look.palette, len(scene)
    _stars(scene, rng, 420)
    for x in range(int(rng.integers(40, 260)), WIDTH, 420):
        _disc(scene, x, int(height * 0.3), 21, np.array([92.0, 150.0, 220.0]), 0.3)
        _disc(scene, x + 6, int(height * 0.3) - 5, 11, np.array([120.0, 190.0, 150.0]), 0.0)
    _fill_below(scene, _ridge(rng, height, 0.3, 0.12, 130, sharp=False), palette.far, light=0.25)
    _fill_below(scene, _ridge(rng, height, 0.15, 0.08, 70, sharp=True), palette.near, light=0.2)


def _town(
    scene: Floats, rng: np.random.Generator, colour: Colour, lit: Colour, base: float, step: int
) -> None:
    """A skyline with lit windows."""
    height = len(scene)
    image = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    wall = tuple(int(c) for c in colour)
    x = 0
    while x < WIDTH:
        width, top = int(rng.integers(step // 2, step)), int(height * (1 - base * rng.uniform(0.55, 1.25)))
        draw.rectangle([x, top, x + width, height], wall)
        draw.line([(x, top), (x + width, top)], tuple(int(c) for c in mix(colour, _WHITE, 0.2)))
        for wy in range(top + 5, height - 4, 8):
            for wx in range(x + 4, x + width - 4, 7):
                if rng.random() < 0.35:
                    shine = tuple(int(c) for c in mix(colour, lit, float(rng.uniform(0.35, 0.9))))
                    draw.rectangle([wx, wy, wx + 2, wy + 3], shine)
        x += width + int(rng.integers(0, 6))
    scene[:] = np.asarray(image, dtype=np.float32)


def _city(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    palette = look.palette
    _stars(scene, rng, 120)
    _town(scene, rng, mix(palette.haze, palette.far, 0.75), palette.cap, 0.62, 46)
    _town(scene, rng, palette.near, palette.accent, 0.36, 62)


def _market(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    palette, height = look.palette, len(scene)
    _stars(scene, rng, 260)
    _disc(scene, int(rng.integers(200, 800)), int(height * 0.22), 17, np.array([250.0, 240.0, 205.0]), 0.3)
    _town(scene, rng, mix(palette.haze, palette.far, 0.8), palette.accent, 0.42, 50)
    _stalls(scene, look, rng)


def _stalls(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    """Striped awnings and strings of paper lights."""
    palette, height = look.palette, len(scene)
    image = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    stripes = [(214, 84, 96), (72, 150, 168), (232, 176, 76), (128, 104, 190)]
    for x in range(int(rng.integers(8, 40)), WIDTH - 70, 92):
        base, colour = height - 6, stripes[int(rng.integers(4))]
        draw.rectangle([x + 3, base - 44, x + 61, base], tuple(int(c) for c in palette.near))
        draw.rectangle([x + 3, base - 16, x + 61, base], tuple(int(c) for c in palette.near * 0.7 + 22))
        for i in range(8):
            fill = colour if i % 2 == 0 else (244, 232, 214)
            draw.polygon([(x + 4 + 7 * i, base - 58), (x + 11 + 7 * i, base - 58),
                          (x + 8 * i + 8, base - 42), (x + 8 * i, base - 42)], fill)  # fmt: skip
    lights = [(255, 214, 120), (255, 140, 150), (140, 220, 255)]
    for top in (int(height * 0.34), int(height * 0.5)):
        for x in range(WIDTH):
            draw.point((x, top + int(9 * np.sin(x / 30) ** 2)), (40, 26, 50))
        for i, x in enumerate(range(6, WIDTH, 15)):
            y = top + int(9 * np.sin(x / 30) ** 2)
            draw.ellipse([x - 2, y + 1, x + 2, y + 6], lights[i % 3])
    scene[:] = np.asarray(image, dtype=np.float32)


def _desert(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    palette, height = look.palette, len(scene)
    _disc(scene, int(rng.integers(100, 900)), int(height * 0.25), 16, mix(palette.haze, _WHITE, 0.6))
    image = Image.new("L", (WIDTH, height))
    draw = ImageDraw.Draw(image)
    for x in range(int(rng.integers(0, 160)), WIDTH, 290):
        draw.polygon([(x, height * 0.3), (x - 95, height), (x + 95, height)], 150)
        draw.polygon([(x, height * 0.3), (x + 30, height), (x + 95, height)], 220)
    _blend(scene, image, palette.far)
    _fill_below(scene, _ridge(rng, height, 0.3, 0.08, 170, sharp=False), mix(palette.far, palette.haze, 0.25))
    _fill_below(scene, _ridge(rng, height, 0.14, 0.08, 120, sharp=False), palette.near)


def _cavern(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    """Rock walls behind rock walls, columns and, in lava worlds, a glow from below."""
    palette, height = look.palette, len(scene)
    rock = noise(rng, 22, height, WIDTH) + 0.5 * noise(rng, 9, height, WIDTH)
    scene *= (1 + 0.16 * np.round(rock * 3) / 3)[..., None]
    for share, scale, colour in ((0.3, 46, mix(palette.haze, palette.far, 0.8)), (0.15, 30, palette.near)):
        _fill_below(scene, _ridge(rng, height, share, 0.16, scale, sharp=True), colour, light=0.1)
        flipped = scene[::-1]
        _fill_below(
            flipped, _ridge(rng, height, share * 0.8, 0.16, scale, sharp=True), colour * 0.92, light=0.04
        )
    if look.theme == "lava":
        warm = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** 2.5
        scene += (palette.accent - scene) * warm * 0.55
    ys, xs = rng.integers(0, height, 90), rng.integers(0, WIDTH - 1, 90)
    scene[ys, xs] = mix(palette.accent, palette.haze, 0.4)


def _warehouse(scene: Floats, look: Look, rng: np.random.Generator) -> None:
    palette, height = look.palette, len(scene)
    rows, columns = np.mgrid[0:height, 0:WIDTH]
    shifted = columns + (rows // 6 % 2) * 7
    tint = rng.uniform(0.9, 1.1, (height // 6 + 2, WIDTH // 14 + 3))[rows // 6, shifted // 14]
    scene[:] = (
        mix(palette.far, palette.haze, 0.4) * tint[..., None] * (0.75 + 0.25 * rows / height)[..., None]
    )
    scene[(rows % 6 == 0) | (shifted % 14 == 0)] *= 0.82
    image = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for x in range(int(rng.integers(10, 60)), WIDTH - 40, 120):
        top = max(8, int(height * 0.22))
        draw.rectangle([x, top, x + 34, top + 40], (132, 170, 190), tuple(int(c) for c in palette.near))
        draw.polygon(
            [(x + 2, top + 38), (x + 20, top + 2), (x + 30, top + 2), (x + 12, top + 38)], (168, 202, 214)
        )
        for i in (12, 23):
            draw.line([(x + i, top), (x + i, top + 40)], tuple(int(c) for c in palette.near), 2)
        draw.line([(x, top + 20), (x + 34, top + 20)], tuple(int(c) for c in palette.near), 2)
        base = height - 8
        for i in range(int(rng.integers(1, 4))):
            left, top = x + 52 + 6 * (i % 2), base - 20 * (i + 1)
            fill, edge = (tuple(int(c) for c in palette.near * shade) for shade in (1.1, 0.6))
            draw.rectangle([left, top, left + 24, top + 19], fill, edge)
    scene[:] = np.asarray(image, dtype=np.float32)


_SCENES = {
    "cave": _cavern, "lava": _cavern, "forest": _forest, "swamp": _forest, "garden": _garden, "coast": _coast,
    "ice": _ice, "moon": _moon, "city": _city, "market": _market, "desert": _desert, "warehouse": _warehouse,
}  # fmt: skip

_PAVED = frozenset({"market", "city", "warehouse", "cave", "moon", "lava"})


def floor(theme: str, palette: Palette, rng: np.random.Generator) -> Floats:
    """(MAP_HEIGHT * TILE, WIDTH, 3) ground seen from above: paving or meadow."""
    height = MAP_HEIGHT * TILE
    grain = noise(rng, 18, height, WIDTH) * 0.5 + noise(rng, 3, height, WIDTH) * 0.4
    base = _floor_colour(theme, palette)
    if theme in _PAVED:
        return _paving(base, grain, rng)
    meadow = np.asarray(base * (1 + 0.14 * np.round(grain * 3) / 3)[..., None], dtype=np.float32)
    ys, xs = rng.integers(1, height - 1, 2600), rng.integers(1, WIDTH - 1, 2600)
    meadow[ys, xs] = meadow[ys - 1, xs] = mix(base, _WHITE, 0.22)
    blooms = slice(0, 260)
    meadow[ys[blooms], xs[blooms]] = palette.accent
    meadow[ys[blooms], xs[blooms] - 1] = meadow[ys[blooms] - 1, xs[blooms]] = mix(palette.accent, _WHITE, 0.5)
    return meadow


def _floor_colour(theme: str, palette: Palette) -> Colour:
    if palette.floor is not None:
        return palette.floor
    if theme in _PAVED:
        return mix(palette.ground, palette.haze, 0.35) * np.float32(0.62)
    sandy = theme in ("desert", "ice")
    return mix(palette.cap, palette.far, 0.4) if sandy else mix(palette.near, palette.cap, 0.3)


def _paving(base: Colour, grain: Floats, rng: np.random.Generator) -> Floats:
    rows, columns = np.mgrid[0 : len(grain), 0:WIDTH]
    tint = rng.uniform(0.92, 1.08, (len(grain) // TILE + 1, MAP_WIDTH + 1))[rows // TILE, columns // TILE]
    shade = tint * (1 + 0.08 * np.round(grain * 3) / 3)
    shade = np.where((rows % TILE == 0) | (columns % TILE == 0), shade * 0.78, shade)
    return np.asarray(base * shade[..., None], dtype=np.float32)
