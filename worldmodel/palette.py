"""Colours of a world: a family for each theme, bent towards a reference picture where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

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
    water: Colour
    floor: Colour | None = None
    """Ground seen from above; None to mix it from the others."""
    player: Colour | None = None
    """Clothes; None for the drawing's own."""
    enemies: Colour | None = None


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
_WATER = {"swamp": "3f8a86", "lava": "3f8f9c", "cave": "2f7fb8", "city": "3a5fd0", "coast": "2fa0d8"}
_BACKDROP = ("sky", "haze", "far", "near")
_APART = 18.0
"""Least difference in lightness (CIELAB, 0..100) between the ground and a backdrop of named colours."""
_NEAR_WHITE = 92.0
"""CIELAB lightness above which a named colour is a white."""


def theme_palette(theme: str) -> Palette:
    """The palette of a theme of :mod:`worldmodel.prompt`. Raises KeyError for one that has none."""
    codes = [*_THEMES[theme].split(), _WATER.get(theme, "3590dc")]
    colours = [np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32) for code in codes]
    return Palette(*colours)


def themes() -> tuple[str, ...]:
    """Every theme with a palette."""
    return tuple(_THEMES)


def reference_palette(base: Palette, pixels: NDArray[np.uint8]) -> Palette:
    """``base`` with the hues of a picture (H, W, 3 or 4) in it.

    Each part takes the picture's colour nearest to its own and keeps most of its own lightness, so that
    the ground stays apart from the backdrop whatever the picture is like.
    """
    colours, shares = dominant(pixels)
    roles = {
        name: _bend(getattr(base, name), colours, shares)
        for name in (*_BACKDROP, "ground", "deep", "cap", "accent")
    }
    roles["accent"] = mix(roles["accent"], base.accent, 0.6)  # lamps and flowers stay bright
    roles["deep"] = mix(roles["deep"], roles["ground"] * 0.38, 0.7)
    return replace(base, **roles)


def dominant(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, 3) main colours, RGB, of a picture (H, W, 3 or 4) and (K,) their shares: k-means in CIELAB."""
    shape = (48, 48)
    small = cv2.resize(opaque(pixels), shape, interpolation=cv2.INTER_AREA)
    points = _lab(small.reshape(-1, 3).astype(np.float32))
    # Starting centres along the picture's own lightness: no chance is needed, so the same picture repeats.
    order = np.argsort(points[:, 0], kind="stable")
    centres = points[order[np.linspace(0, len(points) - 1, REFERENCE_COLOURS).astype(int)]]
    for _ in range(8):
        nearest = ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        counts = np.bincount(nearest, minlength=len(centres))
        sums = np.stack([np.bincount(nearest, points[:, c], len(centres)) for c in range(3)], axis=1)
        used = counts > 0
        centres[used] = (sums[used] / counts[used, None]).astype(np.float32)
    colours = np.asarray(_from_lab(centres[used]), dtype=np.float64)
    return colours, counts[used] / counts.sum()


def opaque(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a picture (H, W, 3 or 4), transparent parts in the mean colour of the others."""
    if pixels.shape[2] == 3:
        return np.ascontiguousarray(pixels)
    share = pixels[..., 3:].astype(np.float32) / 255
    if share.min() == 1:
        return np.ascontiguousarray(pixels[..., :3])
    seen = (pixels[..., :3] * share).sum(axis=(0, 1)) / max(float(share.sum()), 1e-3)
    flat = pixels[..., :3] * share + seen * (1 - share)
    return np.asarray(flat.round(), dtype=np.uint8)


def coloured(palette: Palette, colours: Mapping[str, tuple[int, int, int]]) -> Palette:
    """``palette`` in the colours that a prompt names, keyed as in ``Understanding.colours``."""
    named = {role: np.array(rgb, dtype=np.float32) for role, rgb in colours.items()}
    everything = named.get("all")
    ground, back = named.get("ground", everything), named.get("backdrop", everything)
    if ground is not None:
        palette = _ground_of(palette, ground)
    if back is not None:
        palette = _backdrop_of(palette, back)
    floor = back if back is not None else ground
    return replace(
        palette,
        floor=palette.floor if floor is None else _at_lightness(floor, _lightness(floor) * 0.85),
        accent=named.get("accent", palette.accent),
        water=named.get("water", palette.water),
        player=named.get("player"),
        enemies=named.get("enemies"),
    )


def _ground_of(palette: Palette, named: Colour) -> Palette:
    lightness = float(np.clip(0.8 * _lightness(named) + 0.2 * _lightness(palette.ground), 20, 90))
    inside = 0.85 if _lightness(named) > _NEAR_WHITE else 0.55  # white in shade is grey, no longer white
    return replace(
        palette,
        ground=_at_lightness(named, lightness),
        deep=_at_lightness(named, lightness * inside),
        cap=_at_lightness(named, min(lightness + 16, 96)),
    )


def _backdrop_of(palette: Palette, named: Colour) -> Palette:
    wanted = {role: 0.7 * _lightness(named) + 0.3 * _lightness(getattr(palette, role)) for role in _BACKDROP}
    middle, ground = sum(wanted.values()) / len(wanted), _lightness(palette.ground)
    away = 1 if (ground < 40 if abs(middle - ground) < 6 else middle > ground) else -1
    shift = away * max(0.0, _APART - abs(middle - ground))
    tones = {r: _at_lightness(named, float(np.clip(v + shift, 6, 96))) for r, v in wanted.items()}
    return replace(palette, **tones)


def _at_lightness(colour: Colour, lightness: float) -> Colour:
    """The colour's hue at a CIELAB lightness, as colourful as RGB allows up to its own chroma."""
    a, b = _lab(colour[None])[0, 1:]
    shares = np.linspace(1, 0, 21, dtype=np.float32)
    tries = np.stack([np.full_like(shares, lightness), shares * a, shares * b], axis=1)
    rgb = _from_lab(tries)
    kept = np.abs(_lab(rgb) - tries).max(axis=1) < 1.5
    return np.asarray(rgb[int(kept.argmax())], dtype=np.float32)


def _lightness(colour: Colour) -> float:
    return float(_lab(colour[None])[0, 0])


def _lab(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 3) CIELAB of (N, 3) RGB 0..255."""
    return np.asarray(cv2.cvtColor(colours[None] / np.float32(255), cv2.COLOR_RGB2LAB)[0], np.float32)


def _from_lab(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    rgb = cv2.cvtColor(colours[None].astype(np.float32), cv2.COLOR_LAB2RGB)[0]
    return np.asarray(np.clip(rgb * 255, 0, 255), np.float32)


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


def as_rgb(colour: Colour, shade: float = 1.0) -> tuple[int, int, int]:
    """0..255 integers for PIL, ``shade`` times as bright."""
    r, g, b = np.clip(colour * shade, 0, 255).round().astype(int).tolist()
    return r, g, b
