"""A creator's pictures in a world: as its background and as the figures that move through it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worldmodel.constants import TILE
from worldmodel.palette import opaque

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
_SAME = 28
"""Greatest difference in any channel, 0..255, from the corners' colour for a pixel to be background."""
_SEEN = 110
"""Alpha from which a pixel of a figure is drawn."""
_CONTRAST, _LIGHT = 0.85, 0.8
"""What is left of a backdrop's contrast and light, so that whatever is in front stands out."""


def cover(pixels: NDArray[np.uint8], height: int, width: int) -> Floats:
    """(height, width, 3): a picture (H, W, 4) at its own aspect, whole from top to bottom.

    A wider picture loses its sides; a narrower one goes on as its mirror image.
    """
    rgb = opaque(pixels)
    across = max(1, round(rgb.shape[1] * height / rgb.shape[0]))
    # A picture much narrower than high would be a stripe: it is cropped to half the height's width.
    if across < height // 2:
        keep = max(1, round(rgb.shape[1] * 2))
        top = (rgb.shape[0] - keep) // 2
        rgb, across = rgb[top : top + keep], height // 2
    image = Image.fromarray(np.ascontiguousarray(rgb)).resize((across, height), Image.Resampling.LANCZOS)
    paper = np.asarray(image, dtype=np.float32)
    if across >= width:
        left = (across - width) // 2
        paper = paper[:, left : left + width]
    else:
        pair = np.concatenate([paper, paper[:, ::-1]], axis=1)
        paper = np.tile(pair, (1, -(-width // pair.shape[1]), 1))[:, :width]
    return np.asarray(_stepped_back(paper), dtype=np.float32)


def _stepped_back(paper: Floats) -> Floats:
    mean = paper.mean(axis=(0, 1))
    return np.asarray((mean + (paper - mean) * _CONTRAST) * _LIGHT, dtype=np.float32)


def figure(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(TILE, TILE, 4) RGBA of a picture (H, W, 4): its plain background cut away, its feet at the bottom."""
    rgba = cut_out(pixels)
    shown = rgba[..., 3] >= _SEEN
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    rgba = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = TILE / max(rgba.shape[:2])
    size = (max(1, round(rgba.shape[1] * scale)), max(1, round(rgba.shape[0] * scale)))
    small = np.asarray(_resized(rgba, size))
    out = np.zeros((TILE, TILE, 4), dtype=np.uint8)
    left = (TILE - size[0]) // 2
    out[TILE - size[1] :, left : left + size[0]] = small
    out[..., 3] = np.where(out[..., 3] >= _SEEN, 255, 0)
    out[out[..., 3] == 0] = 0
    return out


def _resized(rgba: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    how = Image.Resampling.NEAREST if max(rgba.shape[:2]) <= TILE else Image.Resampling.BOX
    return Image.fromarray(np.ascontiguousarray(rgba)).resize(size, how)  # Pillow premultiplies alpha


def cut_out(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with a plain background made transparent.

    A picture that has transparent parts keeps its own; else what joins the border in the colour of most
    corners goes. A picture that would be nothing but background stays whole.
    """
    seen = pixels[..., 3] >= _SEEN
    if not seen.any():
        return np.dstack([pixels[..., :3], np.full(pixels.shape[:2], 255, np.uint8)])
    if not seen.all():
        return pixels
    background = _background(pixels)
    if background.mean() > 0.98:
        return pixels
    out = pixels.copy()
    out[background] = 0
    return out


def _background(pixels: NDArray[np.uint8]) -> Bools:
    """(H, W) what joins the border in the colour that three of four corners have."""
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1], :3].astype(np.int16)
    colour = np.median(corners, axis=0)
    if (np.abs(corners - colour).max(axis=1) <= _SAME).sum() < len(corners) - 1:
        return np.zeros(pixels.shape[:2], dtype=np.bool_)
    alike = (np.abs(pixels[..., :3] - colour).max(axis=2) <= _SAME).astype(np.uint8)
    count, labels = cv2.connectedComponents(alike, connectivity=4)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    joined = np.zeros(count, dtype=np.bool_)
    joined[border] = True
    joined[0] = False
    return np.asarray(joined[labels], dtype=np.bool_)
