"""The symbols that are looked for, as plain geometry; what each is and how it is told from its look-alikes.

The set follows the Anti-Defamation League's public database of hate symbols
(https://www.adl.org/resources/hate-symbols/search). It is kept to what a few strokes define; pictures are
not collected. The drawings serve detection only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from moderation.symbols.strokes import (
    Part,
    Parts,
    around,
    box,
    disc,
    fill,
    line,
    mirrored,
    moved,
    ring,
    turned,
)

Rng = np.random.Generator


def _hooked(rng: Rng, thin: float, thick: float) -> Parts:
    """Four arms with hooks in one direction, either hand; ``thin`` .. ``thick`` is the width of an arm."""
    cross = _cross(rng, rng.uniform(thin, thick))
    return mirrored(cross) if rng.random() < 0.5 else cross


def _cross(rng: Rng, width: float) -> Parts:
    hook = 1.0 if rng.random() < 0.6 else rng.uniform(0.7, 1.0)
    lean = rng.uniform(-0.12, 0.12) if rng.random() < 0.3 else 0.0
    half = width / 2
    arm: Parts = (
        box(-half, -1, half, half),
        fill([(-half, -1), (hook, -1 + lean), (hook, -1 + width + lean), (-half, -1 + width)]),
    )
    return around(arm, 4)


def hooked_cross(rng: Rng) -> Parts:
    """A hooked cross that stands on a point: turned by 22.5 to 67.5 degrees."""
    angle = np.pi / 4 + (rng.uniform(-np.pi / 8, np.pi / 8) if rng.random() < 0.4 else rng.normal(0, 0.05))
    return moved(turned(_hooked(rng, 0.24, 0.46), angle), 0, 0, 0.78)


def hooked_cross_on_disc(rng: Rng) -> Parts:
    """A hooked cross, turned by any angle, on a disc of another colour, mostly on a field of a third."""
    angle = np.pi / 4 if rng.random() < 0.5 else rng.uniform(0, np.pi / 2)
    disc_radius = rng.uniform(0.92, 1.0)
    cross = moved(turned(_hooked(rng, 0.26, 0.46), angle), 0, 0, disc_radius * rng.uniform(0.5, 0.62))
    return (disc(disc_radius, ink=2), *cross)


def manji(rng: Rng) -> Parts:
    """The same cross upright and without a disc: a temple on a map, or else. A person has to look."""
    thin = rng.random() < 0.5
    cross = _hooked(rng, 0.1, 0.24) if thin else _hooked(rng, 0.24, 0.44)
    return turned(moved(cross, 0, 0, 0.95), rng.normal(0, 0.05))


def temple_sign(rng: Rng) -> Parts:
    """The sign of Buddhist temples on maps: thin and upright, mostly with its hooks to the left."""
    return moved(mirrored(_cross(rng, rng.uniform(0.1, 0.24))), 0, 0, 0.95)


def _sig(rng: Rng, width: float, lean: float, bend: float, kink: float) -> Part:
    """One sig rune: three strokes, cut level or drawn with a pen."""
    path = np.array([(lean, -1), (-bend, kink), (bend, -kink), (-lean, 1)], np.float64)
    if rng.random() < 0.65:
        right = path + np.array([width, 0])
        return fill(np.vstack([path, right[::-1]]) - [width / 2, 0])
    return line(path, width * 0.85)


def sig_pair(rng: Rng) -> Parts:
    """Two equal sig runes side by side, close and parallel."""
    width, lean = rng.uniform(0.2, 0.32), rng.uniform(0.0, 0.22)
    bend, kink = rng.uniform(0.2, 0.34), rng.uniform(0.02, 0.2)
    seed = int(rng.integers(2**31))
    one = _sig(np.random.default_rng(seed), width, lean, bend, kink)
    apart = bend + width / 2 + rng.uniform(0.06, 0.2)
    pair = (*moved((one,), -apart, 0), *moved((one,), apart, 0))
    return moved(mirrored(pair) if rng.random() < 0.25 else pair, 0, 0, rng.uniform(0.8, 1.0))


def sonnenrad(rng: Rng) -> Parts:
    """Twelve bent rays between an inner and an outer ring."""
    inner, outer, width = rng.uniform(0.2, 0.36), rng.uniform(0.84, 0.95), rng.uniform(0.07, 0.13)
    bend = rng.uniform(0.12, 0.24)
    middle, knee = (inner + outer) / 2, rng.uniform(0.0, 0.1)
    ray = line([(inner, 0), (middle + knee, -bend * 0.5), (middle - knee, bend), (outer, bend * 0.6)], width)
    parts: Parts = around((ray,), 12)
    parts += (ring(outer, width * rng.uniform(0.9, 1.6)),)
    parts += (disc(inner),) if rng.random() < 0.4 else (ring(inner, width * rng.uniform(0.9, 1.5)),)
    return mirrored(parts) if rng.random() < 0.5 else parts


def celtic_cross(rng: Rng) -> Parts:
    """The short, thick, equal-armed cross through a ring; not the long-stemmed cross of churches.

    The database notes that most uses of Celtic crosses are harmless, so it is for a person to judge.
    """
    width = rng.uniform(0.17, 0.3)
    radius = rng.uniform(0.55, 0.72)
    cross = (box(-width / 2, -1, width / 2, 1), box(-1, -width / 2, 1, width / 2))
    return (*cross, ring(radius, width * rng.uniform(0.7, 1.05)))


def wolfsangel(rng: Rng) -> Parts:
    """A shaft with a hook to either side at its ends and a bar across its middle."""
    width, hook = rng.uniform(0.14, 0.24), rng.uniform(0.4, 0.62)
    back = rng.uniform(-0.05, 0.3)
    shaft = [(hook, -0.9 + back), (0, -0.9), (0, 0.9), (-hook, 0.9 - back)]
    bar = rng.uniform(0.36, 0.6)
    tilt = rng.uniform(-0.15, 0.15)
    parts: Parts = (line(shaft, width), line([(-bar, tilt), (bar, -tilt)], width))
    parts = turned(parts, rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.15))
    return mirrored(parts) if rng.random() < 0.5 else parts


@dataclass(frozen=True)
class Emblem:
    """A symbol, the class that the network gives it, and how far it is turned in scenes."""

    draw: Callable[[Rng], Parts]
    label: int
    turn: float = 0.0
    """Degrees to either side; more is another symbol or none."""
    smallest: int = 24
    """Pixels of the side under which the strokes run together."""


BACKGROUND, HOOKED, SIGS, SONNENRAD, CELTIC, WOLFSANGEL, MANJI = range(7)
CLASSES = (
    "background",
    "hooked cross",
    "sig runes",
    "sonnenrad",
    "Celtic cross",
    "wolfsangel",
    "upright manji",
)
"""Output columns of the network."""
HATE = (HOOKED, SIGS, SONNENRAD, WOLFSANGEL)
JUDGED = (CELTIC, MANJI)
"""Context decides what these mean: most Celtic crosses and upright manji are harmless, so a person looks."""

EMBLEMS = {
    "hooked cross": Emblem(hooked_cross, HOOKED),
    "hooked cross on a disc": Emblem(hooked_cross_on_disc, HOOKED, turn=5),
    "sig runes": Emblem(sig_pair, SIGS, turn=25),
    "sonnenrad": Emblem(sonnenrad, SONNENRAD, turn=180, smallest=36),
    "Celtic cross": Emblem(celtic_cross, CELTIC, turn=18),
    "wolfsangel": Emblem(wolfsangel, WOLFSANGEL, turn=12),
    "upright manji": Emblem(manji, MANJI),
}


def _between(rng: Rng) -> Parts:
    return moved(turned(_hooked(rng, 0.24, 0.46), np.deg2rad(rng.uniform(10, 22))), 0, 0, 0.85)


BETWEEN = {"hooked cross turned by 10 to 22 degrees": Emblem(_between, HOOKED)}
"""Neither upright nor on its point: training has none, evaluation tells what becomes of them."""
