"""Regular patterns of stripes, which can cause seizures even where nothing flashes.

The limits, for a pattern that lasts half a second or more and whose light stripes are brighter than 50 cd/m2
(a quarter of the 200 cd/m2 that ITU-R BT.1702 takes for white):

- more than five light-dark pairs over more than 25 % of the picture, where the stripes change direction,
  oscillate, flash or reverse in contrast (BT.1702; Epilepsy Foundation of America, Harding et al. 2005);
- more than five pairs over more than 40 % where they stand still (BT.1702) or drift one way;
- more than eight pairs over more than 25 % where they stand still or drift one way (Harding et al. 2005).

How it is measured here:

- A picture is read along its rows and along its columns. A pixel is light or dark by the mean around it. A
  run of light and the run of dark beside it are a *pair* where their means are at least ``CHANGE`` apart, the
  lighter one is bright enough, and the narrower one takes at least ``DUTY`` of the two: mortar between bricks
  and gaps between planks are lines, not stripes.
- Pairs that follow each other with nearly equal runs are counted. A pixel's count is that of its row plus
  that of its column: across a rectangle, slanted stripes cut as many pairs out of a row and a column together
  as there are. A slant so slight that a column meets fewer than ``LEAST`` pairs is counted along rows alone.
- How the stripes move is their phase from frame to frame.

Sources: ITU-R BT.1702-3, annex 1; Harding, Wilkins, Erba, Barkley, Fisher: Photic- and pattern-induced
seizures, Epilepsia 46 (2005), 1423-1425; Wilkins, Emmett, Harding, Epilepsia 46 (2005), 1212-1218. What is
"clearly discernible" they leave open; the change of a general flash (20 cd/m2) is taken for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import atan2, pi
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CHANGE = 0.1
"""Relative luminance between a light and a dark stripe."""
LIGHT = 0.25
"""Relative luminance that the lighter stripe exceeds."""
PAIRS, CALM_PAIRS = 5, 8
AREA, CALM_AREA = 0.25, 0.40
"""Share of the picture; the calm limits are for stripes that stand still or drift one way."""
LASTS = 0.5
"""Seconds."""
LEAST = 3
"""Pairs in a row below which stripes are no pattern."""
DUTY = 0.25
UNLIKE = 1.5
"""Stripes of one kind that follow each other differ in width by at most this factor and a pixel."""
STILL, REVERSED = 0.2, 0.75 * pi
"""Radians of phase from frame to frame: less is no motion, more is a reversal."""
COHERENT = 0.3
"""Least share by which neighbours along some direction agree, or disagree, more often than not: the stripes
of fine noise are as wide as each other too, but lead nowhere."""
BATCH = 8
"""Frames measured at once."""

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Signs = NDArray[np.int8]
Movement = Literal["steady", "drifting", "changing"]


@dataclass(frozen=True)
class Stripes:
    """What one frame shows of them."""

    pairs: float
    """Light-dark pairs that a tenth of the pattern reaches."""
    share: float
    """Of the picture, 0..1."""
    change: float
    """Mean luminance of the light stripes less that of the dark ones."""
    box: tuple[int, int, int, int]
    """Pixels: x0, y0, x1, y1."""
    phase: float | None = None
    """Radians, -pi..pi, that they moved since the frame before; None where that one showed none."""


@dataclass(frozen=True)
class Pattern:
    """Stripes over a stretch of frames."""

    first: int
    last: int
    """Frames."""
    seconds: float
    """For which they are beyond the limits, or shown at all where they never are."""
    movement: Movement
    worst: Stripes
    score: float
    """1 over the limits; under them 0.75 times how much of the time or of the area is reached."""


def find_pattern(luminance: Callable[[int], Plane], count: int, fps: float) -> Pattern | None:
    """The worst pattern of ``count`` frames, whose relative luminance (H, W) is asked for by number.

    Frames a quarter of a second apart are measured, and all frames between where one shows stripes.
    """
    step = max(1, int(LASTS / 2 * fps))
    striped = [index for index, _ in _looked(luminance, range(0, count, step))]
    near = {i for at in striped for i in range(max(0, at - step), min(count, at + step + 1))}
    shown = dict(_looked(luminance, sorted(near)))
    patterns = [_judged({i: shown[i] for i in group}, fps) for group in _groups(list(shown), LASTS * fps)]
    return max(patterns, key=lambda one: (one.score, one.seconds), default=None)


def _looked(luminance: Callable[[int], Plane], indices: Sequence[int]) -> Iterator[tuple[int, Stripes]]:
    """Those of the frames that show more pairs over more area than any limit allows."""
    before: tuple[int, Signs, int] | None = None
    for start in range(0, len(indices), BATCH):
        some = indices[start : start + BATCH]
        planes = np.stack([luminance(index) for index in some])
        light, counts = _counted(planes)
        for index, plane, bright, count in zip(some, planes, light, counts, strict=True):
            mask = count > 0
            if mask.mean() <= AREA:
                continue
            pairs = float(np.percentile(count[mask], 90))
            signs = np.where(mask, np.where(bright, 1, -1), 0).astype(np.int8)
            if pairs <= PAIRS or coherence(signs) < COHERENT:
                continue
            axis, phase = _across(signs), None
            if before is not None and before[0] == index - 1:
                axis = before[2]
                phase = phase_between(before[1], signs, axis)
            before = index, signs, axis
            yield index, _stripes(plane, signs, pairs, phase)


def _stripes(luminance: Plane, signs: Signs, pairs: float, phase: float | None) -> Stripes:
    change = float(luminance[signs > 0].mean() - luminance[signs < 0].mean())
    rows, columns = (np.flatnonzero((signs != 0).any(axis)) for axis in (1, 0))
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return Stripes(pairs, float((signs != 0).mean()), change, box, phase)


def _counted(planes: Plane) -> tuple[Mask, Plane]:
    """Of (N, H, W): which pixels are light, and in how many pairs each lies, (N, H, W) each."""
    import cv2

    side = max(planes.shape[1:]) // 6 | 1  # the widest period of which six fit
    light = planes > np.stack([cv2.blur(plane, (side, side)) for plane in planes])
    turned = np.ascontiguousarray(planes.swapaxes(1, 2)), np.ascontiguousarray(light.swapaxes(1, 2))
    counts: Plane = pairs_along_rows(planes, light)
    counts += pairs_along_rows(*turned).swapaxes(1, 2)
    return light, counts


def pairs_along_rows(planes: Plane, light: Mask) -> Plane:
    """(N, H, W): how many pairs the regular stretch of its row has in which each pixel lies, or 0."""
    width = planes.shape[-1]
    edges = np.ones((planes.size // width, width + 1), np.bool_)
    rows = light.reshape(-1, width)
    np.not_equal(rows[:, 1:], rows[:, :-1], out=edges[:, 1:-1])
    at = np.flatnonzero(edges)  # the starts of all runs, and the end of each row
    sums = np.zeros(edges.shape, np.float32)
    np.cumsum(planes.reshape(-1, width), axis=1, out=sums[:, 1:])
    lengths = np.diff(at)
    starts, stops = at % (width + 1) == 0, at % (width + 1) == width
    pair = _pairs(lengths, np.diff(sums.ravel()[at]) / lengths) & ~stops[:-2] & ~stops[1:-1]
    begins, ends = _stretches(pair, lengths)
    kept = (ends - begins) / 2 >= LEAST
    begins, ends = begins[kept], ends[kept]
    counts = (ends - begins) / 2.0
    # A stripe that the picture's edge cuts is not counted, but belongs to the pattern.
    before, after = np.maximum(begins - 1, 0), np.minimum(ends, len(lengths) - 1)
    begins = np.where(starts[before] & (lengths[before] <= lengths[begins + 1] + 1), before, begins)
    cut = stops[after + 1] & ~stops[ends] & (lengths[after] <= lengths[ends - 2] + 1)
    ends = np.where(cut, after + 1, ends)
    # Two stretches may share a stripe: it counts for the first.
    begins[1:] = np.maximum(begins[1:], ends[:-1])
    steps = np.zeros(edges.size, np.float32)
    steps[at[begins]] = counts
    steps[at[ends]] -= counts
    return np.cumsum(steps, dtype=np.float32).reshape(edges.shape)[:, :width].reshape(planes.shape)


def _pairs(lengths: NDArray[np.intp], means: NDArray[np.floating]) -> Mask:
    """Whether each run and the next one are a light and a dark stripe."""
    one, other = lengths[:-1], lengths[1:]
    discernible = (np.abs(np.diff(means)) >= CHANGE) & (np.maximum(means[:-1], means[1:]) > LIGHT)
    return np.asarray(discernible & (np.minimum(one, other) >= DUTY * (one + other)), np.bool_)


def _stretches(pair: Mask, lengths: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First run, and the one after the last, of each regular succession of pairs."""
    one, other = lengths[:-2], lengths[2:]
    alike = np.maximum(one, other) <= UNLIKE * np.minimum(one, other) + 1
    joined = pair[:-1] & pair[1:] & alike
    first, last = pair.copy(), pair.copy()
    first[1:] &= ~joined
    last[:-1] &= ~joined
    return np.flatnonzero(first), np.flatnonzero(last) + 2


def coherence(signs: Signs) -> float:
    """How strongly a pixel of a pattern foretells its neighbour in the best of four directions, 0..1."""
    import cv2

    plane = signs.astype(np.float32)
    steps = ((0, 1), (1, 0), (1, 1), (1, -1))
    products = [plane * np.roll(plane, step, axis=(0, 1)) for step in steps]
    agreement = np.max([np.abs(cv2.blur(product, (9, 9))) for product in products], axis=0)
    return float(agreement[signs != 0].mean())


def _across(signs: Signs) -> int:
    """The axis along which more stripes are crossed."""
    return int(np.argmax([np.count_nonzero(_crossings(signs, axis)) for axis in (0, 1)]))


def _crossings(signs: Signs, axis: int) -> Mask:
    turned = np.moveaxis(signs, axis, -1)
    return np.asarray(turned[:, 1:] * turned[:, :-1] < 0, np.bool_)


def phase_between(before: Signs, now: Signs, axis: int) -> float:
    """By how much stripes moved along ``axis``, in radians of their period, -pi..pi.

    Both are (H, W) with 1 in light, -1 in dark stripes and 0 elsewhere. The overlap of two square waves falls
    evenly with their distance, so that overlaps a quarter of a period to either side give the direction.
    """
    one, other = np.moveaxis(before, axis, -1), np.moveaxis(now, axis, -1)
    crossings = max(1, int(np.count_nonzero(_crossings(now, axis))))
    quarter = max(1, round(np.count_nonzero(now) / 2 / crossings))
    ahead = np.sum(one[:, :-quarter] * other[:, quarter:], dtype=np.int64)
    behind = np.sum(one[:, quarter:] * other[:, :-quarter], dtype=np.int64)
    return atan2(float(ahead - behind), 2.0 * float(np.sum(one * other, dtype=np.int64)))


def _groups(indices: Sequence[int], gap: float) -> list[list[int]]:
    """Frames that follow each other, or return within ``gap`` frames."""
    groups: list[list[int]] = []
    for index in indices:
        if groups and index - groups[-1][-1] <= gap:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _size(seen: Stripes) -> float:
    return seen.pairs * seen.share


def _movement(shown: Mapping[int, Stripes]) -> Movement:
    flashes = any(b - a > 1 for a, b in pairwise(shown))
    moves = [one.phase for one in shown.values() if one.phase is not None and abs(one.phase) > STILL]
    reverses = any(abs(move) > REVERSED for move in moves)
    if flashes or reverses or (any(move < 0 for move in moves) and any(move > 0 for move in moves)):
        return "changing"
    return "drifting" if moves else "steady"


def _judged(shown: Mapping[int, Stripes], fps: float) -> Pattern:
    movement = _movement(shown)
    changing = movement == "changing"
    beyond = [i for i, s in shown.items() if changing or s.share > CALM_AREA or s.pairs > CALM_PAIRS]
    longest: list[int] = max(_groups(beyond, LASTS * fps if changing else 1), key=len, default=[])
    worst = max(shown.values(), key=_size)
    if len(longest) / fps >= LASTS:
        return Pattern(longest[0], longest[-1], len(longest) / fps, movement, worst, 1.0)
    seconds, first, last = len(shown) / fps, min(shown), max(shown)
    reached = min(1.0, seconds / LASTS, worst.share / (AREA if changing else CALM_AREA))
    return Pattern(first, last, seconds, movement, worst, 0.75 * reached)
