"""Drawings as pixels."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from moderation.drawings.families import Drawing
from worldmodel.store import cache_dir

SIDE = 64
"""Pixels of a drawing's side in training."""
_EDGE = 2
"""Transparent pixels around a drawing, of _FINE."""
_FINE = 96


def rasterise(drawing: Drawing, side: int = SIDE) -> NDArray[np.uint8]:
    """(side, side, 4) RGBA: the drawing alone, as large as it fits, in the middle.

    Raises ValueError for a drawing of which nothing is seen.
    """
    import cv2
    import resvg_py
    from PIL import Image

    png = resvg_py.svg_to_bytes(svg_string=drawing.svg, width=_FINE, height=_FINE, skip_system_fonts=True)
    image = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    box = image.getbbox(alpha_only=True)
    if box is None:
        raise ValueError(f"{drawing.family}/{drawing.name} draws nothing")
    image = image.crop(box)
    whole = max(image.size) + 2 * _EDGE
    square = Image.new("RGBA", (whole, whole))
    square.paste(image, ((whole - image.width) // 2, (whole - image.height) // 2))
    premultiplied = np.asarray(square, np.float32) / 255.0
    premultiplied[..., :3] *= premultiplied[..., 3:]
    how = cv2.INTER_AREA if whole > side else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(premultiplied, (side, side), interpolation=how), np.float32)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-4)
    return np.asarray(np.clip(small * 255.0 + 0.5, 0, 255), np.uint8)


def rasterise_all(drawings: Sequence[Drawing]) -> NDArray[np.uint8]:
    """(N, 4, SIDE, SIDE): about a millisecond each, and kept for the next call with the same drawings."""
    digest = hashlib.sha256(str(SIDE).encode())
    for drawing in drawings:
        digest.update(drawing.svg.encode())
    path = cache_dir() / f"drawings-pixels-{digest.hexdigest()[:16]}.npy"
    if path.is_file():
        kept: NDArray[np.uint8] = np.load(path)
        return kept
    out = np.empty((len(drawings), 4, SIDE, SIDE), np.uint8)
    for row, drawing in zip(out, drawings, strict=True):
        row[:] = rasterise(drawing).transpose(2, 0, 1)
    scratch = path.with_suffix(f".{os.getpid()}.npy")
    np.save(scratch, out)
    scratch.replace(path)
    return out
