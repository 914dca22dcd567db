"""Boxes around writing: which belong together in a row or column, and a column laid out as a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Box: TypeAlias = tuple[int, int, int, int]
"""Pixels: x0, y0, x1, y1, the last two exclusive."""

COVERED = 0.5
"""Share of the smaller of two boxes from which they are of the same writing."""
BESIDE = 1.7
"""Gap between neighbours in a row or column, in letters."""
LIKE = 2.5
"""How many times as thick one of two neighbours in a row may be; narrow letters stand in columns too."""
SMALLEST = 3
"""Pixels of height under which a run of ink is dirt."""


def area(box: Box) -> int:
    """Pixels, 0 where a side is negative."""
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def common(one: Box, other: Box) -> int:
    """Pixels in both."""
    return area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))


def same(one: Box, other: Box) -> bool:
    """Whether half of the smaller lies in the other."""
    return common(one, other) >= COVERED * max(1, min(area(one), area(other)))


def covered(box: Box, others: Iterable[Box]) -> bool:
    """Whether others, which hardly overlap each other, cover the box or lie in it."""
    others = list(others)
    return any(same(box, other) for other in others) or (
        sum(common(box, other) for other in others) >= COVERED * area(box)
    )


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box around some."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def largest(boxes: Iterable[Box]) -> list[Box]:
    """Those that do not lie in a larger one, the largest first."""
    kept: list[Box] = []
    for box in sorted(boxes, key=area, reverse=True):
        if not any(common(box, other) >= COVERED * area(box) for other in kept):
            kept.append(box)
    return kept


def chains(boxes: Iterable[Box], *, down: bool) -> list[list[Box]]:
    """Boxes that follow each other to the right, or down: each is in one chain, perhaps alone."""
    along = 1 if down else 0
    left = sorted(boxes, key=lambda box: (box[along], box))
    found: list[list[Box]] = []
    while left:
        chain = [left.pop(0)]
        for box in list(left):
            if _follows(chain[-1], box, along):
                chain.append(box)
                left.remove(box)
        found.append(chain)
    return found


def _follows(one: Box, other: Box, along: int) -> bool:
    across = 1 - along
    thick = [box[across + 2] - box[across] for box in (one, other)]
    shared = min(one[across + 2], other[across + 2]) - max(one[across], other[across])
    gap = other[along] - one[along + 2]
    return (
        shared >= COVERED * min(thick)
        and max(thick) <= LIKE * min(thick)
        and -COVERED * max(thick) <= gap <= BESIDE * max(thick)
    )


def tall(box: Box) -> bool:
    """Whether it is half again as high as wide."""
    return 2 * (box[3] - box[1]) >= 3 * (box[2] - box[0])


def laid_out(column: Pixels) -> Pixels | None:
    """Letters that stand under each other, (H, W, 3), side by side; None where they are not three or more.

    Ink is what Otsu's threshold parts from the colour of most of the column's edges.
    """
    ink = _ink(column)
    cells = _cells(ink)
    if len(cells) < 3:
        return None
    height = max(bottom - top for top, bottom in cells)
    ground = np.median(np.concatenate([column[:, 0], column[:, -1]]), axis=0)
    return np.hstack([_cell(column, ink, top, bottom, height, ground) for top, bottom in cells])


def _ink(column: Pixels) -> NDArray[np.bool_]:
    import cv2

    grey = cv2.cvtColor(column, cv2.COLOR_BGR2GRAY)
    _, parted = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
    light = np.concatenate([parted[:, 0], parted[:, -1]]).mean() > 127
    return np.asarray(parted == (0 if light else 255))


def _cells(ink: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Rows from and to of each letter; a dot goes with what is right under it."""
    filled = np.concatenate([[0], (ink.sum(axis=1) >= 2).astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(filled)).tolist()
    width = ink.shape[1]
    cells: list[tuple[int, int]] = []
    for top, bottom in zip(edges[::2], edges[1::2], strict=True):
        if cells and bottom - cells[-1][0] <= 0.9 * width and top - cells[-1][1] <= 0.12 * width:
            cells[-1] = (cells[-1][0], bottom)
        elif bottom - top >= SMALLEST:
            cells.append((top, bottom))
    return cells


def _cell(
    column: Pixels, ink: NDArray[np.bool_], top: int, bottom: int, height: int, ground: NDArray[np.float64]
) -> Pixels:
    """One letter at the bottom of a cell with a margin."""
    used = np.flatnonzero(ink[top:bottom].any(axis=0))
    letter = column[top:bottom, used[0] : used[-1] + 1]
    cell = np.empty((height + 8, letter.shape[1] + 4, 3), np.uint8)
    cell[:] = ground.round()
    cell[4 + height - (bottom - top) : 4 + height, 2 : 2 + letter.shape[1]] = letter
    return cell


def in_order(boxes: Sequence[Box], *, from_right: bool) -> list[list[int]]:
    """Indices of tall boxes that stand side by side, group by group, in the order they are read in."""
    order = sorted(range(len(boxes)), key=lambda i: boxes[i][0], reverse=from_right)
    groups: list[list[int]] = []
    for index in order:
        near = next((g for g in groups if _abreast(boxes[g[-1]], boxes[index])), None)
        groups.append([index]) if near is None else near.append(index)
    return groups


def _abreast(one: Box, other: Box) -> bool:
    width = max(one[2] - one[0], other[2] - other[0])
    shared = min(one[3], other[3]) - max(one[1], other[1])
    gap = max(one[0], other[0]) - min(one[2], other[2])
    return gap <= width and shared >= COVERED * min(one[3] - one[1], other[3] - other[1])
