"""Textures from a reference: they repeat without a seam and are made of the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, Tile
from worldmodel.painter import Look, paint
from worldmodel.palette import reference_palette, theme_palette
from worldmodel.textures import SIDE, reference_texture, spread


def texture(picture: np.ndarray, seed: int = 0) -> np.ndarray:
    return reference_texture(picture, np.random.default_rng(seed))


def two_colours() -> np.ndarray:
    """(96, 96, 3): a third red, the rest blue."""
    picture = np.zeros((96, 96, 3), dtype=np.uint8)
    picture[:, :32, 0] = picture[:, 32:, 2] = 200
    return picture


def clouds() -> np.ndarray:
    coarse = np.random.default_rng(5).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return cv2.resize(coarse, (144, 96), interpolation=cv2.INTER_CUBIC)


def test_a_texture_has_every_part_of_the_picture():
    for seed in range(5):
        made = texture(two_colours(), seed)
        red = made[..., 0] > made[..., 2]
        assert 0.08 < red.mean() < 0.4, "the least at a border of the picture, where fewer patches reach"
        assert made[..., 1].max() < 1, "and nothing else"


def test_a_texture_repeats_without_a_seam():
    made = texture(clouds())
    steps = np.abs(np.diff(made, axis=1)).mean(axis=(0, 2))
    seam = np.abs(made[:, 0] - made[:, -1]).mean()
    assert seam < 4 * steps.mean()
    assert seam <= steps.max() * 1.5, "no worse than where patches meet"


def test_spreading_repeats():
    made = spread(texture(clouds()), SIDE + 40, 2 * SIDE + 9)
    assert made.shape == (SIDE + 40, 2 * SIDE + 9, 3)
    assert np.array_equal(made[SIDE:, :SIDE], made[:40, :SIDE])


def test_the_same_seed_makes_the_same_texture():
    assert np.array_equal(texture(clouds()), texture(clouds()))
    assert not np.array_equal(texture(clouds()), texture(clouds(), 1))


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 900, 4), (900, 2, 3), (2000, 3000, 3)])
def test_a_picture_of_any_size_makes_one(shape):
    made = texture(np.full(shape, 77, dtype=np.uint8))
    assert made.shape == (SIDE, SIDE, 3)
    assert np.abs(made - 77).max() < 1


def test_transparent_parts_do_not_show():
    picture = np.zeros((96, 96, 4), dtype=np.uint8)
    picture[..., 1] = 255
    picture[20:70, 20:70] = (180, 20, 20, 255)
    assert np.abs(texture(picture) - (180, 20, 20)).max() < 3


@pytest.mark.parametrize("top_view", [False, True])
def test_a_world_of_a_reference_shows_its_texture_in_front_and_behind(top_view):
    tiles = np.full((MAP_HEIGHT, MAP_WIDTH), Tile.SOLID, dtype=np.uint8)
    tiles[4:14, 2:60] = Tile.EMPTY
    stripes = np.zeros((96, 96, 3), dtype=np.uint8)
    stripes[:, ::12] = stripes[:, 1::12] = stripes[:, 2::12] = (250, 90, 90)
    stripes[..., 2] += 60
    palette = reference_palette(theme_palette("forest"), stripes)
    look = Look("forest", palette, top_view=top_view, reference=stripes)
    picture = paint(tiles, look, (), 3).astype(np.float32).mean(axis=2)
    for rows in (slice(6 * 16, 12 * 16), slice(15 * 16, 20 * 16)):
        part = picture[rows, 5 * 16 : 55 * 16]
        across, down = (np.abs(np.diff(part, axis=axis)).mean() for axis in (1, 0))
        assert across > 2 * down, "upright stripes"
