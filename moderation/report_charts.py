"""What the report draws: the lit map of a world, and discovery curves as SVG paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from moderation.report import Mark, Route, WorldMap

MARGIN = 2
"""Tiles around what is shown of a map."""
_UNSEEN = 0.22
"""Brightness of tiles that nobody reached."""
_WARM = np.array([255, 176, 32], np.float32)


@dataclass(frozen=True)
class DrawnMap:
    """A lit map, cropped to what matters; coordinates are pixels of the picture."""

    picture: Image.Image
    routes: tuple[tuple[str, str], ...]
    """(SVG path, playthrough)."""
    marks: tuple[tuple[float, float, str], ...]
    seen: float
    """Share of the open tiles (of all shown tiles where they are not known) that were visited."""
    of_open: bool


def draw_map(world: WorldMap) -> DrawnMap:
    """Light what was visited, warmer where players were more often; leave the rest in the dark."""
    rows, columns = world.visits.shape
    tile = world.picture.shape[1] // columns
    y0, x0, y1, x1 = _crop(world)
    lit = _lit(world, tile)[y0 * tile : y1 * tile, x0 * tile : x1 * tile]
    visited = world.visits > 0
    ground = world.open if world.open is not None else np.ones((rows, columns), bool)
    return DrawnMap(
        picture=Image.fromarray(lit),
        routes=tuple((_route(r, x0, y0, tile), r.playthrough) for r in world.routes if len(r.points)),
        marks=tuple(_mark(m, x0, y0, tile) for m in world.marks),
        seen=float((visited & ground).sum() / max(1, ground.sum())),
        of_open=world.open is not None,
    )


def _crop(world: WorldMap) -> tuple[int, int, int, int]:
    """Rows and columns to show: all that is open, or everything where that is not known."""
    rows, columns = world.visits.shape
    if world.open is None:
        return 0, 0, rows, columns
    shown = world.open | (world.visits > 0)
    ys, xs = np.nonzero(shown)
    if not len(ys):
        return 0, 0, rows, columns
    top, left = max(0, int(ys.min()) - MARGIN), max(0, int(xs.min()) - MARGIN)
    return top, left, min(rows, int(ys.max()) + 1 + MARGIN), min(columns, int(xs.max()) + 1 + MARGIN)


def _lit(world: WorldMap, tile: int) -> NDArray[np.uint8]:
    heat = np.log1p(world.visits.astype(np.float32))
    heat /= max(float(heat.max()), 1e-9)
    light = np.where(world.visits > 0, 1.0, _UNSEEN).astype(np.float32)
    size = (world.picture.shape[1], world.picture.shape[0])
    brightness = _soft(light, size, tile)[..., None]
    warmth = 0.5 * _soft(heat, size, tile)[..., None] ** 2
    grey = world.picture.mean(axis=2, keepdims=True)
    picture = world.picture * (brightness > 0.5) + (0.5 * grey + 0.5 * world.picture) * (brightness <= 0.5)
    mixed = picture * brightness * (1 - warmth) + _WARM * warmth
    lit: NDArray[np.uint8] = np.clip(mixed, 0, 255).astype(np.uint8)
    return lit


def _soft(grid: NDArray[np.float32], size: tuple[int, int], tile: int) -> NDArray[np.float32]:
    """A grid of tiles as pixels, with edges softened over a third of a tile."""
    sharp = Image.fromarray((grid * 255).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    blurred = sharp.filter(ImageFilter.GaussianBlur(tile / 3))
    return np.asarray(blurred, np.float32) / np.float32(255)


def _route(route: Route, x0: int, y0: int, tile: int) -> str:
    points = (np.asarray(route.points, np.float32) - (x0, y0)) * tile
    steps = np.abs(np.diff(points, axis=0, prepend=points[:1])).max(axis=1)
    commands = np.where(steps > 3 * tile, "M", "L")  # a portal is a jump, not a walk
    commands[0] = "M"
    return " ".join(f"{c}{x:.0f} {y:.0f}" for c, (x, y) in zip(commands, points, strict=True))


def _mark(mark: Mark, x0: int, y0: int, tile: int) -> tuple[float, float, str]:
    return (mark.x - x0) * tile, (mark.y - y0) * tile, mark.text


@dataclass(frozen=True)
class Axis:
    """Round numbers along one side of a chart."""

    top: float
    ticks: tuple[float, ...]


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    path: str
    end: tuple[float, float]
    last: tuple[int, int]


@dataclass(frozen=True)
class Curves:
    """Discovery curves in a plot of ``width`` by ``height`` SVG units, origin at the upper left."""

    width: float
    height: float
    x: Axis
    y: Axis
    series: tuple[Series, ...]


def draw_curves(
    named: Sequence[tuple[str, Sequence[tuple[int, int]]]], width: float = 640, height: float = 260
) -> Curves | None:
    """Cells over steps for each arm, from nothing on; None where no arm has two points."""
    drawn = [(name, [(0, 0), *points]) for name, points in named if len(points) > 1]
    if not drawn:
        return None
    x = _axis(max(step for _, points in drawn for step, _ in points))
    y = _axis(max(cells for _, points in drawn for _, cells in points))

    def place(point: tuple[int, int]) -> tuple[float, float]:
        return width * point[0] / x.top, height * (1 - point[1] / y.top)

    series = tuple(
        Series(name, _path([place(p) for p in points]), place(points[-1]), (points[-1][0], points[-1][1]))
        for name, points in drawn
    )
    return Curves(width, height, x, y, series)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _axis(highest: float) -> Axis:
    """About four ticks at 1, 2 or 5 times a power of ten."""
    rough = max(highest, 1) / 4
    power = 10 ** floor(log10(rough)) if rough >= 1 else 1
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough)
    count = int(np.ceil(max(highest, 1) / step))
    return Axis(step * count, tuple(step * i for i in range(count + 1)))
