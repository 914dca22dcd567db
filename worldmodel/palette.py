"""Colours of a world: a family for each theme, bent towards a reference picture where there is one."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Colour = NDArray[np.float32]
"""(3,) RGB, 0..255."""
_LUMA = np.array([0.299, 0.587, 0.114])
REFERENCE_COLOURS = 12


@dataclass(frozen=True)
class Palette:
    """What each part of a picture is painted with."""

    sky: Colour
    """Backdrop at the top."""
    haze: Colour
    """Backdrop at the horizon."""
    far: Colour
    near: Colour
    """Silhouettes."""
    ground: Colour
    deep: Colour
    """Ground far from any surface."""
    cap: Colour
    """Grass, snow or light on the ground's upper edge."""
    accent: Colour
    """Lamps, flowers, signs' frames."""


_THEMES = {
    "cave": "0b0d1c 20264a 323a66 191d3a 54546e 15152a 9a9fc4 ffb347",
    "forest": "4a9fdb c4ecdf 84c3a4 4a9468 80573a 38241a 6fc84a ffd24a",
    "ice": "4c86cc dcf0fc a9cbe8 7aa5d6 78aedb 274a82 f6fcff 4fe0ff",
    "moon": "04050e 20244a 3d4370 262b50 8d8fa0 343649 cfd1de f5d76e",
    "market": "17123c 7a4584 412b6c 291b4c 73505a 2c1d32 d29a6c ff86a6",
    "city": "120d2b 643687 332a63 1c173c 414868 15172a 6ff0ff ff4fd8",
    "lava": "160404 8a2410 571a10 2c0c0a 54413f 190e10 a37a66 ff8a22",
    "garden": "74c4f2 ecf7d6 a3d38c 66ab58 8d6c47 483423 83d65c ff8fb6",
    "desert": "63b0e8 ffe6ae f2cf98 e6b67a c48a48 76491f f8dc94 ff6a4a",
    "coast": "4fb0ec dcf4ff 84c0dc 569e8a 9c8b70 4a4540 90d46a ffd84a",
    "swamp": "263829 87944f 556840 34452c 554f32 232118 86a83c ccf24a",
    "warehouse": "2a201c 574236 6a4e3e 45332a 845f4a 2e211b bd9269 ffd070",
}


def theme_palette(theme: str) -> Palette:
    """The palette of a theme of :mod:`worldmodel.prompt`. Raises KeyError for one that has none."""
    colours = [
        np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32) for code in _THEMES[theme].split()
    ]
    return Palette(*colours)


def themes() -> tuple[str, ...]:
    """Every theme with a palette."""
    return tuple(_THEMES)


def reference_palette(base: Palette, pixels: NDArray[np.uint8]) -> Palette:
    """``base`` with the hues of a picture (H, W, 3 or 4) in it.

    Each part takes the picture's colour nearest to its own and keeps most of its own lightness, so that
    the ground stays apart from the backdrop whatever the picture is like.
    """
    colours, shares = _dominant(pixels)
    roles = {f.name: _bend(getattr(base, f.name), colours, shares) for f in fields(Palette)}
    roles["accent"] = mix(roles["accent"], base.accent, 0.6)  # lamps and flowers stay bright
    roles["deep"] = mix(roles["deep"], roles["ground"] * 0.38, 0.7)
    return Palette(**roles)


def _dominant(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, 3) main colours of a picture and (K,) their shares, by median cut."""
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3])).resize((96, 96), Image.Resampling.BOX)
    indexed = image.quantize(REFERENCE_COLOURS, Image.Quantize.MEDIANCUT)
    counts = np.bincount(np.asarray(indexed).ravel(), minlength=REFERENCE_COLOURS)[:REFERENCE_COLOURS]
    flat = (indexed.getpalette() or [])[: 3 * REFERENCE_COLOURS]
    table = np.array(flat, float).reshape(-1, 3)
    shares = counts[: len(table)] / counts.sum()
    used = shares > 0
    return table[used], shares[used]


def _bend(own: Colour, colours: NDArray[np.float64], shares: NDArray[np.float64]) -> Colour:
    lightness, others = own @ _LUMA, colours @ _LUMA
    tint, tints = own - lightness, colours - others[:, None]
    distance = np.abs(others - lightness) + 0.35 * np.linalg.norm(tints - tint, axis=1) - 40 * shares
    nearest = int(distance.argmin())
    wanted = 0.6 * lightness + 0.4 * others[nearest]
    bent = np.clip(colours[nearest] + wanted - others[nearest], 0, 255)
    return np.asarray(bent, dtype=np.float32)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """``share`` of ``b`` in ``a``."""
    return np.asarray(a + (b - a) * share, dtype=np.float32)
