"""Textures from a reference picture: patches of it laid side by side until they repeat without a seam.

After Efros and Freeman, "Image quilting for texture synthesis and transfer" (SIGGRAPH 2001), with ragged
edges in place of least-cost cuts.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from worldmodel.constants import FRAME
from worldmodel.palette import opaque

Floats = NDArray[np.float32]
SIDE = FRAME
"""A texture repeats after this many pixels: as many as a frame shows."""
_SOURCE = 96
"""The reference's shorter side, in pixels, before patches are cut from it."""
_PATCH, _OVERLAP = 40, 8
_STEP = _PATCH - _OVERLAP
_TRIES = 20


def reference_texture(pixels: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    """(SIDE, SIDE, 3) RGB 0..255, seamless, made of patches of a picture (H, W, 3 or 4)."""
    source = _source(pixels)
    out = np.zeros((SIDE, SIDE, 3), dtype=np.float32)
    filled = np.zeros((SIDE, SIDE), dtype=np.float32)
    reach = np.arange(_PATCH)
    corners = [(y, x) for y in range(0, SIDE, _STEP) for x in range(0, SIDE, _STEP)]
    # One patch from each part of the picture: its colours keep their shares.
    for (top, left), part in zip(corners, rng.permutation(len(corners)), strict=True):
        where = np.ix_((top + reach) % SIDE, (left + reach) % SIDE)
        there = filled[where][..., None]
        patch = _fitting(source, divmod(int(part), SIDE // _STEP), out[where], there, rng)
        share = np.maximum(1 - there, _mask(rng)[..., None])
        out[where] += (patch - out[where]) * share
        filled[where] = 1
    return out


def _source(pixels: NDArray[np.uint8]) -> Floats:
    rgb = opaque(pixels)
    height, width = rgb.shape[:2]
    scale = _SOURCE / min(height, width)
    size = (max(_PATCH, round(width * scale)), max(_PATCH, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(rgb, size, interpolation=how), dtype=np.float32)


def _fitting(
    source: Floats, part: tuple[int, int], beside: Floats, there: Floats, rng: np.random.Generator
) -> Floats:
    """Of some patches of a part of the source the one that differs least from what is painted where they
    overlap."""
    ys, xs = (_within(part[axis], source.shape[axis] - _PATCH, rng) for axis in (0, 1))
    patches = np.stack([source[y : y + _PATCH, x : x + _PATCH] for y, x in zip(ys, xs, strict=True)])
    difference = np.abs((patches[:, ::2, ::2] - beside[::2, ::2]) * there[::2, ::2]).sum(axis=(1, 2, 3))
    return np.asarray(patches[int(difference.argmin())], dtype=np.float32)


def _within(part: int, last: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(TRIES,) corners 0..``last`` in or beside one of the equal parts of a side."""
    middle, reach = (part + 0.5) * last * _STEP / SIDE, max(6.0, 0.75 * last * _STEP / SIDE)
    return rng.uniform(middle - reach, middle + reach, _TRIES).round().astype(np.int64).clip(0, last)


def _mask(rng: np.random.Generator) -> Floats:
    """(PATCH, PATCH) 1 inside, 0 at the border, by a ragged line through the overlap."""
    distance = np.minimum(np.arange(_PATCH), np.arange(_PATCH)[::-1]).astype(np.float32)
    edge = np.minimum(distance[:, None], distance[None, :])
    ragged = cv2.resize(rng.uniform(-2, 2, (10, 10)).astype(np.float32), (_PATCH, _PATCH))
    return np.asarray(np.clip((edge + ragged - _OVERLAP / 2 + 1) / 2, 0, 1), dtype=np.float32)


def spread(texture: Floats, height: int, width: int) -> Floats:
    """(height, width, 3) of a texture that repeats."""
    down, across = -(-height // len(texture)), -(-width // texture.shape[1])
    return np.tile(texture, (down, across, 1))[:height, :width]
