"""Flat drawings out of polygons and strokes, in a square from -1 to 1 with y pointing down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(N, 2)."""
Mask = NDArray[np.uint8]
"""(CANVAS, CANVAS, 3): how much of the first and the second ink a pixel has, 0..255; the last is unused."""

CANVAS = 224
"""Pixels of the side of the canvas on which everything is drawn before it is warped into a scene."""
REACH = 1.12
"""Units from the canvas' middle to its edge: strokes may stand out a little."""
_SHIFT = 4
"""Fractional bits of OpenCV's coordinates."""
_INKS = {0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 255, 0)}


@dataclass(frozen=True)
class Part:
    """A filled polygon, or a stroke with round joints."""

    points: Points
    width: float = 0.0
    """Of the stroke, in units; 0 fills the polygon."""
    closed: bool = False
    ink: int = 1
    """1 or 2; 0 takes away what was drawn before."""


Parts = tuple[Part, ...]


def fill(points: Sequence[Sequence[float]] | Points, ink: int = 1) -> Part:
    """A filled polygon."""
    return Part(np.asarray(points, np.float64), ink=ink)


def line(points: Sequence[Sequence[float]] | Points, width: float, *, closed: bool = False) -> Part:
    """A stroke along the points."""
    return Part(np.asarray(points, np.float64), width=width, closed=closed)


def box(x0: float, y0: float, x1: float, y1: float, ink: int = 1) -> Part:
    """A filled rectangle."""
    return fill([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], ink)


def arc(radius: float, start: float = 0.0, end: float = 2 * np.pi, count: int = 48) -> Points:
    """Points on a circle around the origin, angles in radians."""
    angle = np.linspace(start, end, count)
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def disc(radius: float, ink: int = 1) -> Part:
    """A filled circle around the origin."""
    return fill(arc(radius), ink)


def ring(radius: float, width: float) -> Part:
    """A circle's stroke around the origin."""
    return line(arc(radius), width, closed=True)


def star(spikes: int, inner: float, outer: float = 1.0, turn: float = 0.0) -> Points:
    """A star polygon: its points and notches in turn."""
    angle = turn + np.pi * np.arange(2 * spikes) / spikes
    radius = np.where(np.arange(2 * spikes) % 2 == 0, outer, inner)
    return np.asarray(radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1))


def _mapped(parts: Parts, matrix: Points, shift: Points, scale: float = 1.0) -> Parts:
    return tuple(replace(p, points=p.points @ matrix.T + shift, width=p.width * scale) for p in parts)


def turned(parts: Parts, angle: float) -> Parts:
    """Clockwise as seen, in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return _mapped(parts, np.array([[cos, -sin], [sin, cos]]), np.zeros(2))


def moved(parts: Parts, x: float, y: float, scale: float = 1.0) -> Parts:
    """Scaled around the origin, then moved."""
    return _mapped(parts, np.eye(2) * scale, np.array([x, y]), scale)


def mirrored(parts: Parts) -> Parts:
    """Left and right exchanged."""
    return _mapped(parts, np.diag([-1.0, 1.0]), np.zeros(2))


def around(parts: Parts, count: int) -> Parts:
    """The parts ``count`` times around the origin."""
    return tuple(part for i in range(count) for part in turned(parts, 2 * np.pi * i / count))


def shaky(parts: Parts, rng: np.random.Generator, amount: float) -> Parts:
    """As by an unsteady hand: strokes and outlines bend by up to about ``amount`` units."""
    phase, speed = rng.uniform(0, 2 * np.pi, (2, 2)), rng.uniform(2.0, 6.0, (2, 2))
    return tuple(replace(p, points=_bent(_dense(p), phase, speed, amount)) for p in parts)


def _dense(part: Part) -> Points:
    """The same outline with a point at least every tenth of a unit."""
    points = part.points if not (part.closed or not part.width) else np.vstack([part.points, part.points[:1]])
    pieces = []
    for start, end in pairwise(points):
        count = max(1, int(np.ceil(np.hypot(*(end - start)) / 0.1)))
        pieces.append(start + (end - start) * (np.arange(count) / count)[:, None])
    return np.vstack([*pieces, points[-1:]])


def _bent(points: Points, phase: Points, speed: Points, amount: float) -> Points:
    waves = np.sin(points @ speed.T + phase[0]) + 0.6 * np.sin(2.3 * points[:, ::-1] @ speed.T + phase[1])
    return np.asarray(points + amount * waves)


def draw(parts: Parts) -> Mask:
    """The drawing on its canvas, later parts over earlier ones."""
    import cv2

    mask = np.zeros((CANVAS, CANVAS, 3), np.uint8)
    scale = CANVAS / (2 * REACH)
    for part in parts:
        pixels = np.round((part.points * scale + CANVAS / 2 - 0.5) * (1 << _SHIFT)).astype(np.int32)
        colour = _INKS[part.ink]
        if part.width:
            thick = max(1, round(part.width * scale))
            cv2.polylines(mask, [pixels], part.closed, colour, thick, cv2.LINE_AA, _SHIFT)
        else:
            cv2.fillPoly(mask, [pixels], colour, cv2.LINE_AA, _SHIFT)
    return mask


def cells(rows: Sequence[str] | NDArray[np.bool_], gap: float = 0.0) -> Parts:
    """A grid of blocks as squares, ``#`` or True for a block, ``gap`` of a block's side left open."""
    grid = np.asarray([[c == "#" for c in row] for row in rows] if isinstance(rows[0], str) else rows, bool)
    side = 2.0 / max(grid.shape)
    top, left = -side * grid.shape[0] / 2, -side * grid.shape[1] / 2
    inset = side * gap / 2
    return tuple(
        box(
            left + x * side + inset,
            top + y * side + inset,
            left + (x + 1) * side - inset,
            top + (y + 1) * side - inset,
        )
        for y, x in np.argwhere(grid)
    )
