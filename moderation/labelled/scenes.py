"""Harmless pictures without any writing: frames of generated worlds, and drawings as creators upload them.

They are what picture detectors must leave alone: look-alikes of writing (bricks, strokes, grids), of flesh
(drawings in the colours of skin) and of nothing in particular. Themes are those that no network of the
world model was trained on. Everything is drawn by script from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from moderation.labelled.flashes import scene

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld
    from worldmodel.protocol import WorldModel

PER_WORLD = 10
"""Frames of each world."""
SIDE = 384
"""Pixels of a drawing's side."""
SKIN = np.array([(255, 224, 196), (234, 192, 160), (198, 134, 96), (141, 85, 54), (92, 58, 40)])
"""Light to dark."""

Picture: TypeAlias = NDArray[np.uint8]
Drawing: TypeAlias = Callable[[np.random.Generator], Picture]


def frames(count: int, model: WorldModel, seed: int = 0) -> list[tuple[str, Picture]]:
    """``count`` themes with a frame (FRAME, FRAME, 3) each, the player somewhere in the open."""
    import torch

    from worldmodel.constants import TILE, Tile
    from worldmodel.gallery import EVALUATION_THEMES

    rng = np.random.default_rng(seed)
    found: list[tuple[str, Picture]] = []
    for number in range(-(-count // PER_WORLD)):
        theme = EVALUATION_THEMES[number % len(EVALUATION_THEMES)]
        world = _world(theme, 1_000 * seed + number)
        rows, columns = np.nonzero(world.tiles == Tile.EMPTY)
        chosen = rng.choice(len(rows), PER_WORLD, replace=False)
        middles = np.stack([columns[chosen], rows[chosen]], 1) * TILE + TILE // 2
        state = model.spawn([world] * PER_WORLD, list(range(PER_WORLD)))
        state = state.updated(position=torch.tensor(2 * middles, dtype=torch.int32))
        shown = model.render(state).permute(0, 2, 3, 1).numpy()
        found += [(theme, np.ascontiguousarray(frame)) for frame in shown]
    return found[:count]


def _world(theme: str, seed: int) -> CompiledWorld:
    from worldmodel.compiler import compile_world
    from worldmodel.package import WorldPackage
    from worldmodel.spec import WorldSpec

    spec = WorldSpec(title=f"scene {seed}", prompt=theme, seed=seed)
    digest = f"{seed:064x}"
    return compile_world(WorldPackage(spec, images={}, sounds={}, videos={}, sha256=digest, raw={}))


def drawings(count: int, seed: int = 0) -> list[tuple[str, Picture]]:
    """``count`` kinds with a drawing (SIDE, SIDE, 3) each, every kind in turn."""
    rng = np.random.default_rng([seed, 1])
    kinds = list(DRAWINGS)
    return [(kind, DRAWINGS[kind](rng)) for kind in (kinds[n % len(kinds)] for n in range(count))]


def _pattern(rng: np.random.Generator) -> Picture:
    from worldmodel.gallery import drawing

    return drawing(int(rng.integers(6)), SIDE, rng)[..., :3]


def _skin(rng: np.random.Generator) -> Picture:
    """A pattern of the brightness of another, in the colours of skin."""
    grey = _pattern(rng).mean(axis=2)
    ramp = np.interp(grey, (grey.min(), grey.max()), (0, len(SKIN) - 1))
    mixed = np.stack([np.interp(ramp, range(len(SKIN)), SKIN[:, band]) for band in range(3)], -1)
    return mixed.astype(np.uint8)


def _figure(rng: np.random.Generator) -> Picture:
    """A large creature on a plain ground."""
    from worldmodel.gallery import figure

    rgba = figure(float(rng.choice([0.8, 2.0, 4.0])), rng).repeat(SIDE // 32, 0).repeat(SIDE // 32, 1)
    ground = np.full((SIDE, SIDE, 3), rng.integers(0, 256, 3), np.uint8)
    return np.where(rgba[..., 3:] > 0, rgba[..., :3], ground)


def _strokes(rng: np.random.Generator) -> Picture:
    """Short straight lines in all directions, as grass, rain and scratches are drawn."""
    import cv2

    picture = np.full((SIDE, SIDE, 3), rng.integers(120, 256, 3), np.uint8)
    ink = tuple(int(value) for value in rng.integers(0, 120, 3))
    for x, y in rng.integers(0, SIDE, (60, 2)):
        turn, length = rng.uniform(0, np.pi), rng.uniform(8, 40)
        end = (int(x + length * np.cos(turn)), int(y + length * np.sin(turn)))
        cv2.line(picture, (int(x), int(y)), end, ink, int(rng.integers(1, 5)), cv2.LINE_AA)
    return picture


def _bricks(rng: np.random.Generator) -> Picture:
    tint = rng.uniform(0.5, 1.2, 3)
    wall = scene("bricks", 128).repeat(SIDE // 128, 0).repeat(SIDE // 128, 1)
    return np.asarray((wall * tint).clip(0, 255), np.uint8)


def _windows(rng: np.random.Generator) -> Picture:
    """A house front: rows of lit and dark windows."""
    wall, lit, dark = rng.integers(0, 256, (3, 3))
    step, size = int(rng.integers(24, 56)), int(rng.integers(10, 22))
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    inside = (rows % step < size) & (columns % step < size)
    on = rng.random((SIDE // step + 1, SIDE // step + 1))[rows // step, columns // step] < 0.5
    return np.asarray(np.where(inside[..., None], np.where(on[..., None], lit, dark), wall), np.uint8)


DRAWINGS: Mapping[str, Drawing] = {
    "pattern": _pattern,
    "colours of skin": _skin,
    "creature": _figure,
    "strokes": _strokes,
    "bricks": _bricks,
    "windows": _windows,
}
