"""From a picture to what the network sees of it: a pyramid of sizes, normalised around each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW, STEP = 39, 8
"""Pixels of the side of what the network sees at once, and from one look to the next."""
MARGIN = 12
"""Pixels by which a picture is continued on each side, so that a symbol at its edge is whole in a window."""
AROUND = 31
"""Pixels of the side of the neighbourhood whose mean and spread are taken out."""
STEEPNESS = 1 / 1.4
"""From one size to the next. A symbol of 25 to 36 pixels fills the window well; the next size takes over."""
LARGEST = 512
"""Pixels of the longest side that is looked at; larger pictures are first averaged down to it."""
SMALLEST = 36
"""Pixels of the longest side at the last size; a smaller picture, such as a sprite, is enlarged to it."""
_FLAT = 6.0
"""Grey levels of spread that count as nothing: noise is not blown up."""
CLIP = 4.0

CLOSER = (0.86, 1.0, 1.16)
"""Sizes, to the first look's window, at which a second look is taken ..."""
_ASIDE = 3
"""... and pixels of a window by which each is moved to all four sides of the middle."""

Pixels = NDArray[np.uint8]
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Level:
    """The picture at one size."""

    values: Values
    """(3, h, w) normalised, with its margin."""
    scale: float
    """Pixels of the picture to one of this level."""


def normalised(pixels: Pixels) -> Values:
    """(H, W, 3) each channel less its mean around the pixel, by the channels' common spread there."""
    import cv2

    values = pixels.astype(np.float32)
    side = (AROUND, AROUND)
    mean = cv2.blur(values, side, borderType=cv2.BORDER_REFLECT_101)
    square = cv2.sqrBoxFilter(values, cv2.CV_32F, side, borderType=cv2.BORDER_REFLECT_101)
    variance = cv2.transform(square - mean * mean, np.full((1, 3), 1 / 3, np.float32))
    spread = np.sqrt(np.maximum(variance, 0.0)) + _FLAT
    return np.asarray(np.clip((values - mean) / spread[..., None], -CLIP, CLIP), np.float32)


def pyramid(pixels: Pixels) -> list[Level]:
    """The picture at falling sizes, down to one that a window holds."""
    import cv2

    longest = max(pixels.shape[:2])
    scale = max(longest / LARGEST, min(1.0, longest / SMALLEST))
    levels = []
    while True:
        size = [max(8, round(side / scale)) for side in pixels.shape[1::-1]]
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        right, below = (max(MARGIN, WINDOW - side - MARGIN) for side in size)
        framed = cv2.copyMakeBorder(small, MARGIN, below, MARGIN, right, cv2.BORDER_REPLICATE)
        values = normalised(np.asarray(framed, np.uint8)).transpose(2, 0, 1)
        levels.append(Level(np.ascontiguousarray(values), scale))
        if max(size) <= SMALLEST:
            return levels
        scale /= STEEPNESS


def closer(pixels: Pixels, x: float, y: float, side: float) -> Values:
    """(24, 3, WINDOW, WINDOW) windows around x, y of a picture: larger, smaller, to each side, mirrored."""
    seen = []
    for factor in CLOSER:
        values = window(pixels, x, y, side * factor, WINDOW + 2 * _ASIDE)
        seen += [
            values[top : top + WINDOW, left : left + WINDOW]
            for top in (0, 2 * _ASIDE)
            for left in (0, 2 * _ASIDE)
        ]
    looks = np.stack(seen).transpose(0, 3, 1, 2)
    return np.concatenate([looks, looks[..., ::-1]])


def window(pixels: Pixels, x: float, y: float, side: float, size: int) -> Values:
    """(size, size, 3) normalised pixels around x, y, of a picture in which ``side`` pixels become WINDOW."""
    import cv2

    context = size + AROUND - 1
    reach = max(1, round(side * context / WINDOW / 2))
    left, top = round(x) - reach, round(y) - reach
    right, bottom = left + 2 * reach, top + 2 * reach
    height, width = pixels.shape[:2]
    outside = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    inner = pixels[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    framed = cv2.copyMakeBorder(inner, *outside, cv2.BORDER_REPLICATE)
    how = cv2.INTER_AREA if 2 * reach > context else cv2.INTER_LINEAR
    small = cv2.resize(framed, (context, context), interpolation=how)
    edge = AROUND // 2
    return normalised(np.asarray(small, np.uint8))[edge : edge + size, edge : edge + size]
