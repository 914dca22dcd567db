"""A creator's pictures in a world: backdrops and figures appear as themselves."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from worldmodel.compiled import CompiledWorld
from worldmodel.compiler import compile_world
from worldmodel.constants import FRAME, TILE, Action, Mover, Tile
from worldmodel.package import WorldPackage
from worldmodel.pictures import cover, cut_out, figure
from worldmodel.simulator import Simulator
from worldmodel.spec import Character, Mechanics, NearSpawn, Sprites, Style, WorldSpec

VOICE = np.zeros(1000, dtype=np.float32)


def rgba(rgb: np.ndarray) -> np.ndarray:
    return np.dstack([rgb, np.full(rgb.shape[:2], 255)]).astype(np.uint8)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(height, width, 4) opaque, smooth and colourful, no plain background."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return rgba(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def hero(size: int = TILE, background: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """(size, size, 4): a many-coloured figure as high as the picture on a plain background, half as wide."""
    rgb = np.full((TILE, TILE, 3), background, dtype=np.uint8)
    rows, columns = np.mgrid[0:TILE, 0:8]
    rgb[:, 4:12] = np.stack([40 + 12 * rows, 20 + 25 * columns, 90 + 0 * rows], axis=-1)
    return rgba(rgb.repeat(size // TILE, axis=0).repeat(size // TILE, axis=1))


def world(style: Style, images: dict[str, np.ndarray], view: str = "side") -> CompiledWorld:
    spec = WorldSpec(
        title="t",
        prompt="a forest with beetles",
        style=style,
        mechanics=Mechanics.model_validate({"view": view, "darkness": 0.0}),
        objects=(Character(kind="character", says="a.wav", where=NearSpawn(near="spawn")),),
    )
    return compile_world(WorldPackage(spec, images, {"a.wav": VOICE}, {}, "aa", {}))


def open_pixels(tiles: np.ndarray) -> np.ndarray:
    return (tiles == Tile.EMPTY).repeat(TILE, axis=0).repeat(TILE, axis=1)


@pytest.mark.parametrize("view", ["side", "top"])
@pytest.mark.parametrize("shape", [(300, 400), (90, 1600), (700, 120), (8, 12)])
def test_a_backdrop_appears_as_itself(view, shape):
    picture = photo(*shape)
    compiled = world(Style(backdrop="b.png"), {"b.png": picture}, view)
    rows = np.flatnonzero((compiled.tiles != Tile.SOLID).any(axis=1))
    top, bottom = int(rows[0]) * TILE, (int(rows[-1]) + 1) * TILE
    expected = np.zeros(compiled.picture.shape)
    expected[top:bottom] = cover(picture, bottom - top, compiled.picture.shape[1])
    seen = open_pixels(compiled.tiles)
    assert np.corrcoef(expected[seen].ravel(), compiled.picture[seen].ravel())[0, 1] >= 0.9


def test_another_backdrop_is_another_world_behind_the_same_ground():
    one, other = (world(Style(backdrop="b.png"), {"b.png": photo(200, 300, seed)}) for seed in (0, 1))
    assert np.array_equal(one.tiles, other.tiles)
    seen = open_pixels(one.tiles)
    correlation = np.corrcoef(one.picture[seen].ravel(), other.picture[seen].ravel())[0, 1]
    assert correlation < 0.5
    ground = (one.tiles == Tile.SOLID).repeat(TILE, axis=0).repeat(TILE, axis=1)
    assert np.array_equal(one.picture[ground], other.picture[ground])


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3), (2400, 3600)])
def test_a_picture_of_any_size_covers(shape):
    paper = cover(rgba(np.full((*shape, 3), 100)), 96, 160)
    assert paper.shape == (96, 160, 3)
    assert np.allclose(paper, 80, atol=1), "dimmed to four fifths"


def test_a_wide_backdrop_is_not_squeezed():
    ring = np.zeros((100, 900, 3), dtype=np.uint8)
    cv2.circle(ring, (450, 50), 40, (255, 255, 255), -1)
    shown = cover(rgba(ring), 200, 600).mean(axis=2) > 100
    height, width = (np.ptp(np.flatnonzero(shown.any(axis=axis))) for axis in (1, 0))
    assert height == pytest.approx(160, abs=3)
    assert width == pytest.approx(160, abs=3)


def in_frame(frame: np.ndarray, sprite: np.ndarray) -> float:
    """Greatest share of the sprite's pixels that the frame (FRAME, FRAME, 3) shows at one place."""
    drawn = sprite[..., 3] > 0
    windows = sliding_window_view(frame.astype(np.int16), (TILE, TILE), axis=(0, 1))
    off = np.abs(windows - sprite[..., :3].transpose(2, 0, 1).astype(np.int16)).max(axis=2)
    return float((off[..., drawn] <= 3).mean(axis=-1).max())


def first_frame(compiled: CompiledWorld) -> np.ndarray:
    simulator = Simulator()
    _, seen = simulator.step(simulator.spawn([compiled], [0]), torch.tensor([int(Action.NOOP)]))
    assert seen.frames is not None
    frame = seen.frames[0].numpy()
    return frame if frame.shape == (FRAME, FRAME, 3) else frame.transpose(1, 2, 0)


@pytest.mark.parametrize("size", [TILE, 4 * TILE, 64 * TILE])
def test_a_players_picture_is_the_player(size):
    picture = hero(size)
    compiled = world(Style(sprites=Sprites(player="p.png")), {"p.png": picture})
    expected = hero()
    expected[:, :4, 3] = expected[:, 12:, 3] = 0
    assert in_frame(first_frame(compiled), expected) > 0.98
    plain = first_frame(world(Style(), {}))
    assert in_frame(plain, expected) < 0.5


def test_an_enemys_picture_is_every_enemy_and_a_characters_every_character():
    images = {"e.png": hero(32), "c.png": photo(20, 20)}
    compiled = world(Style(sprites=Sprites(enemy="e.png", character="c.png")), images)
    for mover in (Mover.WALKER, Mover.GHOST, Mover.CHASER, Mover.FLYER, Mover.SPIDER):
        assert np.array_equal(compiled.sprites[mover][:, 8:24], figure(images["e.png"]))
    assert np.array_equal(compiled.atlas[Tile.CHARACTER], figure(images["c.png"]))
    assert not np.array_equal(compiled.sprites[0][:, 8:24], figure(images["e.png"]))
    row, column = np.argwhere(compiled.tiles == Tile.CHARACTER)[0]
    beside = next(x for x in (column - 2, column + 2) if compiled.tiles[row, x] == Tile.EMPTY)
    there = replace(compiled, spawns=np.array([[beside, row]], dtype=np.int16))
    assert in_frame(first_frame(there), compiled.atlas[Tile.CHARACTER]) > 0.9


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (20, 220, 30)])
def test_a_plain_background_is_cut_away(background):
    alpha = cut_out(hero(64, background))[..., 3]
    assert not alpha[:, :16].any()
    assert not alpha[:, 48:].any()
    assert alpha[:, 16:48].all()


def test_noise_in_a_plain_background_is_cut_away_too():
    picture = hero(64).astype(np.int16)
    picture[..., :3] -= np.random.default_rng(3).integers(0, 10, (64, 64, 1))
    alpha = cut_out(picture.clip(0, 255).astype(np.uint8))[..., 3]
    assert not alpha[:, :16].any()
    assert alpha[:, 17:47].all()


def test_the_backgrounds_colour_inside_the_figure_stays():
    picture = hero(64)
    picture[30:34, 30:34, :3] = 255
    assert cut_out(picture)[30:34, 30:34, 3].all()


def test_a_photo_without_a_plain_background_stays_whole():
    assert np.array_equal(cut_out(photo(40, 60)), photo(40, 60))
    assert (figure(photo(64, 64))[..., 3] == 255).all()


def test_a_picture_of_one_colour_stays_whole():
    sprite = figure(rgba(np.full((30, 30, 3), 200)))
    assert (sprite == (200, 200, 200, 255)).all()


def test_a_grey_picture_stays_grey():
    ramp = np.linspace(0, 255, 32)[:, None].repeat(32, axis=1)
    sprite = figure(rgba(np.dstack([ramp] * 3)))
    assert (np.ptp(sprite[..., :3], axis=2) == 0).all()


def test_a_pictures_own_alpha_is_kept():
    picture = photo(64, 64)
    picture[:32, :, 3] = 0
    sprite = figure(picture)
    assert not sprite[:8, :, 3].any(), "the lower half is as wide as a tile: it stands at the bottom"
    assert (sprite[8:, :, 3] == 255).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (5, 9), (1500, 1100)])
def test_a_figure_of_any_size_is_one_tile(shape):
    sprite = figure(photo(*shape))
    assert sprite.shape == (TILE, TILE, 4)
    assert sprite[-1, :, 3].any(), "its feet are at the bottom"


def test_a_picture_that_shows_nothing_is_drawn_without_its_alpha():
    sprite = figure(np.full((12, 12, 4), (9, 99, 199, 0), dtype=np.uint8))
    assert (sprite == (9, 99, 199, 255)).all()
