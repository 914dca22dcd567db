"""Harmless drawings that share strokes with the symbols: what the network must leave alone.

Some kinds are never trained on, so that the card can say how it does on what it has not met.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moderation.symbols.strokes import (
    CANVAS,
    Mask,
    Parts,
    Points,
    arc,
    around,
    box,
    cells,
    disc,
    draw,
    fill,
    line,
    mirrored,
    moved,
    ring,
    star,
    turned,
)

Rng = np.random.Generator
Drawer = Callable[[Rng], Parts | Mask]


# -- things that turn -----------------------------------------------------------------------------


def windmill(rng: Rng) -> Parts:
    """Four sails on a tower."""
    broad, start = rng.uniform(0.15, 0.4), rng.uniform(0.05, 0.3)
    sail = (
        fill([(0, -start), (broad, -start), (broad, -0.75), (0, -0.75)]),
        line([(0, 0), (0, -0.78)], 0.05),
    )
    tower = (fill([(-0.14, -0.15), (0.14, -0.15), (0.3, 1), (-0.3, 1)]),) if rng.random() < 0.7 else ()
    return (*tower, *moved(turned(around(sail, 4), rng.uniform(0, np.pi / 2)), 0, -0.2, 0.95), disc(0.06, 2))


def pinwheel(rng: Rng) -> Parts:
    """Triangles around a pin, often in two colours."""
    count, tip = int(rng.choice([3, 4, 4, 4, 5, 6, 8])), rng.uniform(0.3, 0.75)
    angle = 2 * np.pi / count
    inner = tip * np.array([np.sin(angle / 2), -np.cos(angle / 2)])
    blade: Parts = (fill([(0, 0), (0, -1), (inner[0], inner[1])]),)
    if rng.random() < 0.4:
        blade += (fill([(0, 0), tuple(inner), tuple(0.7 * inner + [0.2 * np.sin(angle), 0])], ink=2),)
    return turned(around(blade, count), rng.uniform(0, np.pi))


def propeller(rng: Rng) -> Parts:
    """Round blades around a hub."""
    count, wide, off = int(rng.choice([2, 3, 4, 4, 5])), rng.uniform(0.14, 0.3), rng.uniform(0, 0.2)
    blade = fill(arc(1.0) * [wide, 0.42] + [off, -0.55])
    return turned(
        (*around((blade,), count), disc(rng.uniform(0.1, 0.25), int(rng.choice([1, 2])))), rng.uniform(0, 3)
    )


def throwing_star(rng: Rng) -> Parts:
    """A star with bent points and a hole."""
    count, bend = int(rng.choice([3, 4, 4, 4, 6])), rng.uniform(-0.5, 0.5)
    angle = 2 * np.pi / count
    notch = rng.uniform(0.25, 0.45)
    points = []
    for i in range(count):
        a = i * angle
        points += [
            (np.sin(a + bend), -np.cos(a + bend)),
            (notch * np.sin(a + angle / 2), -notch * np.cos(a + angle / 2)),
        ]
    return turned((fill(points), disc(rng.uniform(0.08, 0.16), ink=0)), rng.uniform(0, 3))


def gear(rng: Rng) -> Parts:
    """Teeth around a disc with a hole."""
    count, half = int(rng.integers(6, 14)), rng.uniform(0.08, 0.14)
    body = rng.uniform(0.65, 0.8)
    parts = (
        *around((box(-half, -1, half, 0),), count),
        disc(body),
        disc(body * rng.uniform(0.3, 0.6), ink=0),
    )
    return turned(parts, rng.uniform(0, 3))


def saw_blade(rng: Rng) -> Parts:
    """Slanted teeth around a disc."""
    count, base = int(rng.integers(8, 18)), rng.uniform(0.7, 0.85)
    step = 2 * np.pi / count
    points = [
        (r * np.cos(i * step + o), r * np.sin(i * step + o))
        for i in range(count)
        for r, o in ((base, 0), (1, 0.1))
    ]
    return (fill(points), disc(rng.uniform(0.1, 0.4), ink=0))


def wheel(rng: Rng) -> Parts:
    """Straight spokes that end at the rim."""
    count, width = int(rng.choice([4, 4, 6, 8, 8, 10, 12])), rng.uniform(0.05, 0.16)
    parts = (*around((box(-width / 2, -0.9, width / 2, 0),), count), ring(0.9, rng.uniform(0.08, 0.2)))
    hub: Parts = (disc(rng.uniform(0.12, 0.3)),) if rng.random() < 0.7 else ()
    return turned((*parts, *hub), rng.uniform(0, 3))


def helm(rng: Rng) -> Parts:
    """A ship's wheel: spokes with knobs that stand out of the rim."""
    count, width = int(rng.choice([6, 8])), rng.uniform(0.06, 0.1)
    spoke = (box(-width / 2, -0.95, width / 2, 0), *moved((disc(0.1),), 0, -0.92))
    return turned((*around(spoke, count), ring(0.62, rng.uniform(0.1, 0.16)), disc(0.2)), rng.uniform(0, 3))


def clock(rng: Rng) -> Parts:
    """A dial with twelve marks and two hands."""
    mark = box(-0.04, -0.85, 0.04, -rng.uniform(0.55, 0.72))
    hands = tuple(
        line([(0, 0), arc(r, a, a, 1)[0]], 0.09)
        for r, a in zip((0.4, 0.6), rng.uniform(0, 6.28, 2), strict=True)
    )
    return (*around((mark,), 12), ring(0.95, rng.uniform(0.05, 0.12)), *hands)


# -- sky, plants and weather ----------------------------------------------------------------------


def sun(rng: Rng) -> Parts:
    """A disc or ring with straight, wavy or pointed rays."""
    count, body = int(rng.choice([8, 10, 12, 12, 16])), rng.uniform(0.3, 0.55)
    core = (disc(body),) if rng.random() < 0.6 else (ring(body, 0.12),)
    style = rng.integers(3)
    if style == 0:
        ray = line([(body + 0.12, 0), (1, 0)], rng.uniform(0.07, 0.14))
    elif style == 1:
        ray = fill([(body, -0.13), (1, 0), (body, 0.13)])
    else:
        ray = line([(body + 0.05, 0), (0.65, 0.08), (0.8, -0.06), (1, 0)], 0.08)
    return turned((*around((ray,), count), *core), rng.uniform(0, 3))


def snowflake(rng: Rng) -> Parts:
    """Six arms with barbs."""
    width, at, long = rng.uniform(0.06, 0.13), rng.uniform(0.4, 0.7), rng.uniform(0.18, 0.35)
    arm: Parts = (line([(0, 0), (0, -1)], width),)
    for place in (at, at - 0.28)[: int(rng.integers(1, 3))]:
        arm += (line([(-long, -place - long * 0.8), (0, -place), (long, -place - long * 0.8)], width),)
    return turned(around(arm, int(rng.choice([6, 6, 8]))), rng.uniform(0, 1))


def bolt(rng: Rng) -> Parts:
    """One lightning bolt, tapered as in cartoons."""
    mid, tip = rng.uniform(0.02, 0.25), rng.uniform(-0.5, -0.1)
    wide = rng.uniform(0.4, 0.7)
    shape = [
        (0.1, -1),
        (-wide, mid),
        (-0.05, mid * 0.7),
        (tip, 1),
        (wide, -0.2),
        (0.1, -0.12),
        (0.1 + wide * 0.8, -1),
    ]
    return mirrored((fill(shape),)) if rng.random() < 0.5 else (fill(shape),)


def bolts(rng: Rng) -> Parts:
    """Two or three tapered bolts: a storm, an energy bar."""
    count = int(rng.choice([2, 2, 3]))
    seed, same = int(rng.integers(2**31)), rng.random() < 0.6
    parts: Parts = ()
    for i in range(count):
        one = bolt(np.random.default_rng(seed if same else seed + i))
        x = (i - (count - 1) / 2) * rng.uniform(0.8, 1.05) * 1.6 / count
        parts += moved(one, x, 0 if same else rng.uniform(-0.15, 0.15), rng.uniform(0.75, 0.9) * 1.7 / count)
    return parts


def storm_cloud(rng: Rng) -> Parts:
    """A cloud over a bolt."""
    puffs = tuple(moved((disc(rng.uniform(0.3, 0.45)),), x, -0.45)[0] for x in (-0.5, 0.0, 0.5))
    return (*puffs, box(-0.6, -0.5, 0.6, -0.15), *moved(bolt(rng), 0, 0.45, 0.5))


def flower(rng: Rng) -> Parts:
    """Petals around a middle."""
    count, wide = int(rng.choice([4, 5, 6, 8, 12])), rng.uniform(0.14, 0.34)
    petal = fill(arc(1.0) * [wide, 0.36] + [0, -0.62])
    return turned((*around((petal,), count), disc(rng.uniform(0.2, 0.35), ink=2)), rng.uniform(0, 3))


def stars(rng: Rng) -> Parts:
    """A star with three to twelve points."""
    return (fill(star(int(rng.integers(3, 13)), rng.uniform(0.2, 0.75), turn=rng.uniform(0, 3))),)


# -- crosses --------------------------------------------------------------------------------------


def plus(rng: Rng) -> Parts:
    """A plus or medical cross, free or within a ring, disc or square."""
    half, long = rng.uniform(0.08, 0.33), rng.uniform(0.5, 1.0)
    cross = (box(-half, -long, half, long), box(-long, -half, long, half))
    around_it = rng.integers(4)
    if around_it == 0:
        return (*moved(cross, 0, 0, 0.62), ring(0.9, rng.uniform(0.06, 0.18)))
    if around_it == 1:
        return (disc(1.0, ink=2), *moved(cross, 0, 0, 0.7))
    if around_it == 2:
        return (box(-1, -1, 1, 1, ink=2), *moved(cross, 0, 0, 0.75))
    return turned(cross, rng.choice([0, 0, np.pi / 4]) + rng.normal(0, 0.1))


def church_cross(rng: Rng) -> Parts:
    """Latin, Orthodox and high crosses; the high cross has a ring and a long stem."""
    width, across = rng.uniform(0.1, 0.24), rng.uniform(0.42, 0.62)
    parts: Parts = (
        box(-width / 2, -1, width / 2, 1),
        box(-across, -0.5 - width / 2, across, -0.5 + width / 2),
    )
    style = rng.integers(3)
    if style == 0:
        parts += moved((ring(rng.uniform(0.28, 0.4), width * 0.6),), 0, -0.5)
    elif style == 1:
        parts += (line([(-0.3, 0.35), (0.3, 0.6)], width), box(-0.3, -0.85, 0.3, -0.85 + width * 0.8))
    return parts


def ornate_cross(rng: Rng) -> Parts:
    """Crosses with arms that widen, fork or end in bars."""
    inner, outer = rng.uniform(0.06, 0.2), rng.uniform(0.3, 0.6)
    style = rng.integers(4)
    if style == 0:
        arm: Parts = (fill([(-inner, 0), (-outer, -1), (outer, -1), (inner, 0)]),)
    elif style == 1:
        arm = (fill([(0, 0), (-outer, -1), (0, -0.75), (outer, -1)]),)
    elif style == 2:
        arm = (box(-inner, -1, inner, 0), box(-outer, -1, outer, -1 + 2 * inner))
    else:
        arm = (box(-inner, -0.8, inner, 0), *moved((disc(rng.uniform(0.15, 0.25)),), 0, -0.8))
    return turned(around(arm, 4), rng.choice([0, 0, np.pi / 4]) + rng.normal(0, 0.1))


def mixed_hooks(rng: Rng) -> Parts:
    """A cross whose hooks do not all turn one way, or that lacks some: not the hooked cross."""
    half = rng.uniform(0.12, 0.2)
    ways = rng.choice([-1, 0, 1], 4)
    while abs(ways.sum()) > 1:  # three hooks of four in one direction are too close to call
        ways = rng.choice([-1, 0, 1], 4)
    parts: Parts = ()
    for i, way in enumerate(ways.tolist()):
        arm = (box(-half, -1, half, half), *((box(-half, -1, 1, -1 + 2 * half),) if way else ()))
        parts += turned(mirrored(arm) if way < 0 else arm, i * np.pi / 2)
    return moved(turned(parts, rng.choice([0, np.pi / 4]) + rng.normal(0, 0.08)), 0, 0, 0.78)


def crosshair(rng: Rng) -> Parts:
    """A thin gun sight: long arms through a ring, mostly open in the middle."""
    width, gap = rng.uniform(0.03, 0.09), rng.choice([0.0, 0.15, 0.3])
    arms = around((box(-width / 2, -1, width / 2, -gap),), 4)
    rings = tuple(ring(r, width) for r in ((0.6,), (0.35, 0.7), (0.75,))[int(rng.integers(3))])
    return (*arms, *rings, *((disc(0.07),) if rng.random() < 0.4 else ()))


def compass(rng: Rng) -> Parts:
    """A four- or eight-pointed rose."""
    rose: Parts = (fill(star(4, rng.uniform(0.15, 0.28))),)
    if rng.random() < 0.6:
        rose = (fill(star(4, 0.15, 0.7, np.pi / 4), ink=2), *rose)
    return (*rose, ring(rng.uniform(0.5, 0.95), 0.05)) if rng.random() < 0.5 else rose


def crossed_swords(rng: Rng) -> Parts:
    """Two blades with guards."""
    width = rng.uniform(0.08, 0.15)
    blade = (line([(0, -1), (0, 0.9)], width), line([(-0.26, 0.45), (0.26, 0.45)], width))
    angle = rng.uniform(0.5, 0.9)
    return (*turned(blade, angle), *turned(blade, -angle))


# -- patterns -------------------------------------------------------------------------------------


def square_tiling(rng: Rng) -> Parts:
    """Large and small squares in turn, as on floors (the Pythagorean tiling)."""
    small = rng.uniform(0.3, 0.6)
    side = rng.uniform(0.35, 0.6)
    parts: Parts = ()
    for i in range(-4, 5):
        for j in range(-4, 5):
            x, y = side * (i - small * j), side * (j + small * i)
            if max(abs(x), abs(y)) < 1.2:
                parts += (
                    box(x, y, x + side, y + side),
                    box(x + side, y, x + side * (1 + small), y + side * small, 2),
                )
    if rng.random() < 0.4:
        parts = tuple(line(p.points, 0.05, closed=True) for p in parts)
    return turned(parts, rng.uniform(0, 3) if rng.random() < 0.4 else 0)


def greek_key(rng: Rng) -> Parts:
    """A meander band."""
    width = rng.uniform(0.05, 0.09)
    step = np.array([(0, 1), (0, 0), (0.8, 0), (0.8, 0.75), (0.3, 0.75), (0.3, 0.4), (0.55, 0.4)])
    key = (
        np.vstack([step, [(0.55, 0.55), (0.45, 0.55), (0.45, 0.6), (0.95, 0.6), (0.95, 1)]])
        if rng.random() < 0.3
        else step
    )
    parts: Parts = ()
    scale = rng.uniform(0.4, 0.75)
    for i in range(-2, 3):
        parts += moved((line(key, width / scale),), i * scale * 1.02 - scale / 2, -scale / 2, scale)
    parts += (line([(-1.2, scale / 2), (1.2, scale / 2)], width),)
    return mirrored(parts) if rng.random() < 0.5 else parts


def spiral(rng: Rng) -> Parts:
    """A square or round spiral."""
    turns, width = int(rng.integers(2, 5)), rng.uniform(0.08, 0.16)
    if rng.random() < 0.5:
        angle = np.linspace(0, 2 * np.pi * turns, 40 * turns)
        points = (angle / angle[-1])[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    else:
        corner = np.array([(1, -1), (1, 1), (-1, 1), (-1, -1)])
        count = 4 * turns
        points = np.array([corner[i % 4] * (i + 2) / (count + 2) for i in range(count)], float)
    return turned((line(points, width),), rng.choice([0, rng.uniform(0, 3)]))


def pinwheel_tiling(rng: Rng) -> Parts:
    """Rectangles laid around small squares."""
    long, side = 2.0, rng.uniform(0.22, 0.34)
    tile = (
        box(0, 0, long - 0.12, 0.88),
        box(long, 0, long + 0.88, long - 0.12),
        box(1, long, 1 + long - 0.12, long + 0.88),
        box(0, 1, 0.88, 1 + long - 0.12),
        box(1, 1, 1.88, 1.88, 2),
    )
    return tuple(
        part
        for i in range(-2, 3)
        for j in range(-2, 3)
        for part in moved(tile, i * 3 * side - side, j * 3 * side, side)
    )


def brick_wall(rng: Rng) -> Parts:
    """Courses of bricks."""
    high = rng.uniform(0.18, 0.4)
    wide, joint = high * rng.uniform(1.6, 2.4), high * rng.uniform(0.1, 0.22)
    parts: Parts = ()
    for row in range(int(2.4 / high) + 1):
        for column in range(int(2.4 / wide) + 2):
            x, y = -1.2 + (column - 0.5 * (row % 2)) * wide, -1.2 + row * high
            parts += (box(x, y, x + wide - joint, y + high - joint),)
    return parts


def maze(rng: Rng) -> Parts:
    """A maze carved by a random walk with backtracking."""
    size = int(rng.integers(4, 9))
    grid = np.ones((2 * size + 1, 2 * size + 1), bool)
    path = [(int(rng.integers(size)), int(rng.integers(size)))]
    grid[2 * path[0][0] + 1, 2 * path[0][1] + 1] = False
    while path:
        y, x = path[-1]
        ways = [(dy, dx) for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)) if _walled(grid, y + dy, x + dx)]
        if not ways:
            path.pop()
            continue
        dy, dx = ways[int(rng.integers(len(ways)))]
        grid[2 * y + 1 + dy, 2 * x + 1 + dx] = grid[2 * (y + dy) + 1, 2 * (x + dx) + 1] = False
        path.append((y + dy, x + dx))
    return cells(grid)


def _walled(grid: NDArray[np.bool_], y: int, x: int) -> bool:
    size = len(grid) // 2
    return 0 <= y < size and 0 <= x < size and bool(grid[2 * y + 1, 2 * x + 1])


def stairs(rng: Rng) -> Parts:
    """Steps, filled or as a line."""
    count = int(rng.integers(3, 8))
    side = 2 / count
    corners = [(-1 + side * (i // 2), 1 - side * ((i + 1) // 2)) for i in range(2 * count + 1)]
    if rng.random() < 0.5:
        return (line(corners, rng.uniform(0.08, 0.2)),)
    return (fill([*corners, (1, 1), (-1, 1)]),)


def checkers(rng: Rng) -> Parts:
    """A chessboard."""
    size = int(rng.integers(3, 9))
    return cells(np.indices((size, size)).sum(0) % 2 == 0)


def windows(rng: Rng) -> Parts:
    """A window or table: lines across and down."""
    width, count = rng.uniform(0.08, 0.2), int(rng.integers(2, 5))
    at = np.linspace(-0.9, 0.9, count + 1)
    lines = [line([(v, -0.9), (v, 0.9)], width) for v in at] + [
        line([(-0.9, v), (0.9, v)], width) for v in at
    ]
    return tuple(lines)


# -- arrows and signs -----------------------------------------------------------------------------


def _arrow_head(at: Points, along: Points, size: float) -> Points:
    along = along / np.hypot(*along)
    across = np.array([-along[1], along[0]])
    return np.array([at + size * along, at + size * 0.8 * across, at - size * 0.8 * across])


def turning_arrows(rng: Rng) -> Parts:
    """Arrows that follow each other in a circle: refresh, recycle, rotate."""
    count, width = int(rng.choice([1, 2, 3, 3, 4])), rng.uniform(0.12, 0.24)
    sweep = 2 * np.pi / count * rng.uniform(0.6, 0.75)
    path = arc(0.75, 0, sweep, 24)
    head = _arrow_head(path[-1], path[-1] - path[-2], width * 1.6)
    parts = turned(around((line(path, width), fill(head)), count), rng.uniform(0, 6))
    return mirrored(parts) if rng.random() < 0.5 else parts


def recycling(rng: Rng) -> Parts:
    """Three bent arrows in a triangle."""
    width = rng.uniform(0.18, 0.3)
    path = np.array([(-0.42, 0.1), (-0.1, -0.52), (0.12, -0.52), (0.3, -0.2)])
    head = _arrow_head(path[-1], path[-1] - path[-2], width * 1.2)
    parts = around((line(path, width), fill(head)), 3)
    return mirrored(parts) if rng.random() < 0.5 else parts


def arrows(rng: Rng) -> Parts:
    """One, two or four straight arrows."""
    count, width = int(rng.choice([1, 2, 4])), rng.uniform(0.12, 0.3)
    path = np.array([(0, -0.05), (0, -0.6)])
    head = _arrow_head(path[-1], path[-1] - path[0], width * 1.4)
    return turned(around((line(path, width), fill(head)), count), rng.choice([0, np.pi / 4, np.pi / 2]))


def icons(rng: Rng) -> Parts:
    """Signs of menus: play, home, heart, dice, smile."""
    style = rng.integers(5)
    if style == 0:
        return (disc(1.0, 2), fill([(-0.35, -0.55), (0.6, 0), (-0.35, 0.55)]))
    if style == 1:
        return (
            fill([(-0.9, 0), (0, -0.9), (0.9, 0)]),
            box(-0.6, 0, 0.6, 0.85),
            box(-0.18, 0.3, 0.18, 0.85, 0),
        )
    if style == 2:
        angle = np.linspace(0, 2 * np.pi, 60)
        curve = [
            16 * np.sin(angle) ** 3,
            -(13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle)),
        ]
        return (fill(np.stack(curve, 1) / 17),)
    if style == 3:
        pips = [(x, y) for x in (-0.5, 0, 0.5) for y in (-0.5, 0, 0.5) if rng.random() < 0.5]
        return (box(-0.9, -0.9, 0.9, 0.9), *(moved((disc(0.17, 0),), x, y)[0] for x, y in pips))
    eyes = (*moved((disc(0.12, 0),), -0.35, -0.3), *moved((disc(0.12, 0),), 0.35, -0.3))
    return (disc(0.95), *eyes, fill(np.vstack([arc(0.55, 0.3, 2.8), arc(0.4, 2.8, 0.3)]), 0))


# -- letters --------------------------------------------------------------------------------------

_RUNES: dict[str, list[list[tuple[float, float]]]] = {
    "fehu": [[(-0.3, 1), (-0.3, -1)], [(-0.3, -0.3), (0.4, -0.9)], [(-0.3, 0.15), (0.4, -0.45)]],
    "uruz": [[(-0.4, 1), (-0.4, -1), (0.4, -0.4), (0.4, 1)]],
    "thurisaz": [[(-0.3, 1), (-0.3, -1)], [(-0.3, -0.5), (0.35, 0), (-0.3, 0.5)]],
    "ansuz": [[(-0.3, 1), (-0.3, -1), (0.4, -0.5)], [(-0.3, -0.4), (0.4, 0.1)]],
    "raido": [[(-0.4, 1), (-0.4, -1), (0.3, -0.5), (-0.4, 0), (0.4, 1)]],
    "kenaz": [[(0.4, -0.8), (-0.4, 0), (0.4, 0.8)]],
    "gebo": [[(-0.6, -0.9), (0.6, 0.9)], [(0.6, -0.9), (-0.6, 0.9)]],
    "wunjo": [[(-0.3, 1), (-0.3, -1), (0.35, -0.55), (-0.3, -0.1)]],
    "hagalaz": [[(-0.45, -1), (-0.45, 1)], [(0.45, -1), (0.45, 1)], [(-0.45, -0.3), (0.45, 0.3)]],
    "nauthiz": [[(0, -1), (0, 1)], [(-0.4, -0.25), (0.4, 0.25)]],
    "jera": [[(0.1, -0.8), (-0.5, -0.2), (0.1, 0.3)], [(-0.1, -0.3), (0.5, 0.2), (-0.1, 0.8)]],
    "eihwaz": [[(0.4, -0.7), (0, -1), (0, 1), (-0.4, 0.7)]],
    "sowilo": [[(0.25, -1), (-0.3, -0.2), (0.3, 0.2), (-0.25, 1)]],
    "berkano": [[(-0.3, 1), (-0.3, -1), (0.4, -0.5), (-0.3, 0), (0.4, 0.5), (-0.3, 1)]],
    "ehwaz": [[(-0.5, 1), (-0.5, -1), (0, -0.4), (0.5, -1), (0.5, 1)]],
    "mannaz": [[(-0.5, 1), (-0.5, -1), (0.5, 0)], [(0.5, 1), (0.5, -1), (-0.5, 0)]],
    "laguz": [[(-0.2, 1), (-0.2, -1), (0.4, -0.4)]],
    "ingwaz": [[(0, -0.6), (0.5, 0), (0, 0.6), (-0.5, 0), (0, -0.6)]],
    "dagaz": [[(-0.6, 0.9), (-0.6, -0.9), (0.6, 0.9), (0.6, -0.9), (-0.6, 0.9)]],
}


def runes(rng: Rng) -> Parts:
    """One to three different letters of the elder futhark, at most one of them a sowilo."""
    count = int(rng.integers(1, 4))
    width = rng.uniform(0.12, 0.26)
    parts: Parts = ()
    for i, name in enumerate(rng.choice(list(_RUNES), count, replace=False).tolist()):
        strokes = tuple(line(points, width) for points in _RUNES[name])
        parts += moved(strokes, (i - (count - 1) / 2) * 1.9 / count, 0, 0.95 if count == 1 else 1.5 / count)
    return parts


def barred(rng: Rng) -> Parts:
    """Barred letters and daggers: Z, I, S and a double dagger, with a bar or two."""
    width, bar = rng.uniform(0.1, 0.22), rng.uniform(0.25, 0.5)
    style = rng.integers(4)
    if style == 0:
        wide = rng.uniform(0.6, 0.8)
        stem = [(-wide, -0.9), (wide, -0.9), (-wide, 0.9), (wide, 0.9)]
    elif style == 1:
        stem = [(0, -1), (0, 1)]
        return (
            line(stem, width),
            line([(-bar, -0.4), (bar, -0.4)], width),
            line([(-bar, 0.3), (bar, 0.3)], width),
        )
    elif style == 2:
        upper = arc(0.45, -0.4, -np.pi * 1.5, 24) + np.array([0, -0.45])
        lower = arc(0.45, -np.pi / 2, np.pi - 0.4, 24) + np.array([0, 0.45])
        return (line(np.vstack([upper, lower]), width), line([(0, -1), (0, 1)], width * 0.8))
    else:
        stem = [(-0.6, -0.9), (0.6, -0.9), (0, 1)]
    return (line(stem, width), line([(-bar, 0), (bar, 0)], width))


_FONTS = (0, 2, 3, 4, 6)
"""OpenCV's built-in faces that training draws letters with."""
_HARD = (
    "S",
    "Z",
    "N",
    "H",
    "L",
    "X",
    "SS",
    "ZZ",
    "NZ",
    "#",
    "%",
    "&",
    "SZ",
    "HH",
    "XX",
    "LL",
    "S5",
    "25",
    "22",
)
_WORDS = (
    "EXIT",
    "BOSS",
    "GLASS",
    "PRESS",
    "LEVEL 2",
    "SHOP",
    "PIZZA",
    "START",
    "KEY",
    "MISS",
    "GO!",
    "1492",
    "HIT",
)


def letters(rng: Rng) -> Mask:
    """One or two letters or signs."""
    return _written(rng, str(rng.choice(_HARD)) if rng.random() < 0.7 else chr(int(rng.integers(33, 127))))


def words(rng: Rng) -> Mask:
    """A short word."""
    return _written(rng, str(rng.choice(_WORDS)))


def _written(rng: Rng, text: str) -> Mask:
    import cv2

    font, thick = int(rng.choice(_FONTS)), int(rng.integers(4, 12))
    (width, height), _ = cv2.getTextSize(text, font, 3.0, thick)
    mask = np.zeros((height + 60, width + 60, 3), np.uint8)
    cv2.putText(mask, text, (30, height + 30), font, 3.0, (255, 0, 0), thick, cv2.LINE_AA)
    return _fitted(mask)


def other_letters(rng: Rng) -> Mask:
    """The same letters and words in the face that worlds' signs are written in."""
    from PIL import Image, ImageDraw, ImageFont

    text = str(rng.choice(_HARD)) if rng.random() < 0.6 else str(rng.choice(_WORDS))
    font = ImageFont.load_default(90)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 8, int(bottom - top) + 8))
    ImageDraw.Draw(image).text((4 - left, 4 - top), text, 255, font=font)
    ink = np.asarray(image)
    return _fitted(np.dstack([ink, np.zeros_like(ink), np.zeros_like(ink)]))


def _fitted(mask: NDArray[np.uint8]) -> Mask:
    """What is drawn, as large as it fits the canvas."""
    import cv2

    ys, xs = np.nonzero(mask[..., 0])
    if not len(ys):
        return np.zeros((CANVAS, CANVAS, 3), np.uint8)
    inner = mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    scale = 0.9 * CANVAS / max(inner.shape[:2])
    size = [max(1, round(side * scale)) for side in inner.shape[1::-1]]
    inner = np.asarray(cv2.resize(inner, size, interpolation=cv2.INTER_AREA), np.uint8)
    canvas = np.zeros((CANVAS, CANVAS, 3), np.uint8)
    y, x = (CANVAS - size[1]) // 2, (CANVAS - size[0]) // 2
    canvas[y : y + size[1], x : x + size[0]] = inner
    return canvas


# -- blocks ---------------------------------------------------------------------------------------

BLOCKS = (
    "##./.##", ".##/##.", "#./##/.#", ".#/##/#.", "##.../.##../..##.", "###/.#.", "###/#..", ".#./###/.#.",
    "#.#/###/#.#", "#...#/.#.#./..#../.#.#./#...#", "#####/#...#/#...#/#...#/#####",
    "#####/#..../#.###/#...#/#####", "..#../.###./#####/.###./..#..", "#..../##.../###../####./#####",
    "#.#.#/.#.#./#.#.#", "#.#.#/#####/#.#.#/#####/#.#.#", "####/...#/####/#.../####",
    "####/#.../####/...#/####", "#...#/##..#/#.#.#/#..##/#...#", "#...#/#...#/#####/#...#/#...#",
    "#####/..#../..#../..#../#####", "##.##/##.##/...../##.##/##.##", "###../#.#../#####/..#.#/..###",
    ".###./#...#/#...#/#...#/.###.", "#####/#.#.#/#####/#.#.#/#####", "#####/..#../..#../..#../..#..",
    "#..#..#/.#.#.#./..###../#######/..###../.#.#.#./#..#..#", "##...../.##..../..##.../...##../....##.",
    "#.###/#.#.#/###.#", "#.#.#.#/#.#.#.#/#######", "#...###/##..#.#/.#..###/.##....",
    "###.###/#.#.#.#/#.###.#", "###..../..###../....###", "#......#/.#....#./..#..#../...##...",
)  # fmt: skip
"""Harmless patterns of blocks, rows parted by slashes: pieces of falling-block games, steps, letters, rooms,
arrows, keys. Every third is kept for the held-out split."""


def pattern(rng: Rng, *, held_out: bool = False) -> NDArray[np.bool_]:
    """(H, W) one of ``BLOCKS``, turned or mirrored; or random blocks, a third of which are symmetric."""
    if rng.random() < 0.45:
        size = int(rng.integers(4, 9))
        grid = rng.random((size, size)) < rng.uniform(0.3, 0.6)
        style = rng.integers(3)
        if style == 0:
            grid |= grid[:, ::-1]
        return grid
    chosen = BLOCKS[2::3] if held_out else [rows for i, rows in enumerate(BLOCKS) if i % 3 != 2]
    rows = chosen[int(rng.integers(len(chosen)))]
    grid = np.array([[c == "#" for c in row] for row in rows.split("/")])
    grid = np.rot90(grid, int(rng.integers(4)))
    return grid[:, ::-1] if rng.random() < 0.5 else grid


def blocks(rng: Rng) -> Parts:
    """A pattern of blocks drawn as a picture."""
    return cells(pattern(rng), gap=float(rng.choice([0.0, 0.0, 0.1, 0.2])))


def other_blocks(rng: Rng) -> Parts:
    """Patterns of blocks that are kept for the held-out split."""
    return cells(pattern(rng, held_out=True), gap=float(rng.choice([0.0, 0.0, 0.1, 0.2])))


def sprite(rng: Rng) -> Parts:
    """A random mirrored figure of 5 to 12 pixels' width, in two colours."""
    size = int(rng.integers(6, 13))
    half = rng.random((size, (size + 1) // 2)) < 0.5
    grid = np.concatenate([half, half[:, : size // 2][:, ::-1]], 1)
    inside = grid & (rng.random(grid.shape) < 0.3)
    return (*cells(grid), *(replace(p, ink=2) for p in cells(inside)))


LOOK_ALIKES: dict[str, Drawer] = {
    "windmill": windmill, "pinwheel": pinwheel, "throwing star": throwing_star, "gear": gear, "wheel": wheel,
    "clock": clock, "sun": sun, "single bolt": bolt, "two or three bolts": bolts, "flower": flower,
    "star": stars, "plus or medical cross": plus, "church cross": church_cross, "ornate cross": ornate_cross,
    "cross with mixed hooks": mixed_hooks, "crosshair": crosshair, "crossed swords": crossed_swords,
    "square tiling": square_tiling, "Greek key": greek_key, "spiral": spiral, "brick wall": brick_wall,
    "maze": maze, "stairs": stairs, "checkers": checkers, "window": windows, "turning arrows": turning_arrows,
    "arrows": arrows, "menu icon": icons, "runes": runes, "barred letter": barred, "letters": letters,
    "word": words, "blocks": blocks, "sprite": sprite,
}  # fmt: skip
"""Kinds that training, development and the held-out split all draw."""
NEAREST = (
    "two or three bolts", "cross with mixed hooks", "crosshair", "plus or medical cross", "barred letter",
    "wheel", "throwing star", "letters", "runes", "checkers", "church cross", "square tiling", "stairs",
)  # fmt: skip
"""Kinds that are nearest to a symbol: training draws them more often."""
DEV_LOOK_ALIKES: dict[str, Drawer] = {"compass rose": compass, "storm cloud": storm_cloud}
"""Kinds that only the choice of thresholds sees."""
HELD_OUT_LOOK_ALIKES: dict[str, Drawer] = {
    "propeller or fan": propeller, "ship's helm": helm, "snowflake": snowflake, "saw blade": saw_blade,
    "recycling sign": recycling, "pinwheel tiling": pinwheel_tiling, "letters of signs": other_letters,
    "other blocks": other_blocks,
}  # fmt: skip
"""Kinds that are met in the held-out split only."""


def look_alike(drawer: Drawer, rng: Rng) -> Mask:
    """One drawing on its canvas."""
    drawn = drawer(rng)
    return draw(drawn) if isinstance(drawn, tuple) else drawn
