"""Pictures: legible signs, ground that stands out, colours of the reference."""

from __future__ import annotations

import numpy as np
import pytest

from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, MOVERS, TILE, TILE_CLASSES, Mover, Tile
from worldmodel.painter import Look, paint
from worldmodel.palette import reference_palette, theme_palette, themes
from worldmodel.signs import Board, paint_board
from worldmodel.sprites import atlas, draw, sprites

BOX = (10, 7, 16, 10)
STILL = [Tile.EMPTY, Tile.SOLID, Tile.WATER, Tile.ICE]
"""Classes that are in the picture."""


def tiles() -> np.ndarray:
    out = np.full((MAP_HEIGHT, MAP_WIDTH), Tile.SOLID, dtype=np.uint8)
    out[2:10, 1:40] = Tile.EMPTY
    out[14:22, 1:50] = Tile.EMPTY
    return out


def painted(
    theme: str = "forest", *, top_view: bool = False, seed: int = 1, boards: tuple[Board, ...] = ()
) -> np.ndarray:
    return paint(tiles(), Look(theme, theme_palette(theme), top_view=top_view), boards, seed)


@pytest.mark.parametrize("theme", themes())
@pytest.mark.parametrize("top_view", [False, True])
def test_every_theme_paints_ground_that_stands_out(theme, top_view):
    picture = painted(theme, top_view=top_view)
    assert picture.shape == (MAP_HEIGHT * TILE, MAP_WIDTH * TILE, 3)
    assert picture.dtype == np.uint8
    above = picture[8 * TILE + 4 : 10 * TILE - 4, 3 * TILE : 38 * TILE].reshape(-1, 3).mean(0)
    below = picture[10 * TILE : 10 * TILE + 8, 3 * TILE : 38 * TILE].reshape(-1, 3).mean(0)
    assert np.abs(above - below).max() > 12
    assert picture[::4, ::4].std() > 8, "textured"


def test_the_same_seed_paints_the_same():
    assert np.array_equal(painted(), painted())
    assert not np.array_equal(painted(), painted(seed=2))


def test_a_text_is_dark_on_light_with_high_letters():
    board = paint_board(Board(BOX, text="HELLO"), theme_palette("cave"))
    assert board.shape == (48, 96, 3)
    inner = board[4:-4, 4:-4].mean(axis=2)
    ink = inner < 90
    assert inner[0, 0] > 220
    rows = np.flatnonzero(ink.any(axis=1))
    assert rows[-1] - rows[0] + 1 >= 14


@pytest.mark.parametrize(
    "text",
    [
        "please do not feed the dragon after midnight or it will sing",
        "W" * 60,
        "antidisestablishmentarianism",
    ],
)
def test_long_texts_are_wrapped_inside_the_frame(text):
    board = paint_board(Board(BOX, text=text), theme_palette("cave"))
    ink = board.mean(axis=2) < 170
    frame = np.ones_like(ink)
    frame[3:-3, 3:-3] = False
    assert ink[~frame].sum() > 100
    assert np.array_equal(board[frame], paint_board(Board(BOX, text="a"), theme_palette("cave"))[frame])


@pytest.mark.parametrize("shape", [(100, 100), (20, 300), (300, 20), (48, 96)])
def test_a_picture_keeps_its_shape(shape):
    image = np.zeros((*shape, 4), dtype=np.uint8)
    image[..., 0], image[..., 3] = 255, 255
    board = paint_board(Board(BOX, image=image), theme_palette("cave"))
    red = (board[..., 0] > 200) & (board[..., 1] < 60)
    height, width = (int(np.ptp(np.flatnonzero(red.any(axis=axis)))) + 1 for axis in (1, 0))
    scale = min(96 / shape[1], 48 / shape[0])
    assert abs(height - shape[0] * scale) <= 1.5
    assert abs(width - shape[1] * scale) <= 1.5


def test_a_picture_with_holes_shows_the_board_through_them():
    board = paint_board(Board(BOX, image=np.zeros((48, 96, 4), dtype=np.uint8)), theme_palette("cave"))
    assert (board > 200).all()


def test_accents_do_not_become_boxes():
    plain, accented = (paint_board(Board(BOX, text=t), theme_palette("cave")) for t in ("cafe", "café"))
    assert np.array_equal(plain, accented)


def test_signs_are_painted_where_they_were_placed():
    board = Board(BOX, text="exit")
    picture = painted(boards=(board,))
    expected = paint_board(board, theme_palette("forest"))
    assert np.array_equal(picture[7 * TILE : 10 * TILE, 10 * TILE : 16 * TILE], expected)


def test_a_reference_brings_its_colours():
    base = theme_palette("forest")
    for channel in range(3):
        picture = np.zeros((40, 40, 3), dtype=np.uint8)
        picture[..., channel] = np.linspace(40, 230, 40, dtype=np.uint8)[:, None]
        palette = reference_palette(base, picture)
        for role in (palette.ground, palette.far, palette.haze):
            assert role.argmax() == channel


def test_a_reference_keeps_ground_and_sky_apart():
    flat = np.full((40, 40, 3), 128, dtype=np.uint8)
    palette = reference_palette(theme_palette("forest"), flat)
    assert abs(palette.haze.mean() - palette.ground.mean()) > 30


def test_sprites_are_whole_and_differ():
    palette = theme_palette("ice")
    parts = [*atlas(palette), *sprites(palette)]
    assert atlas(palette).shape == (TILE_CLASSES, TILE, TILE, 4)
    assert sprites(palette).shape == (MOVERS, TILE, 2 * TILE, 4)
    drawn = [part.tobytes() for part in parts if part[..., 3].any()]
    assert len(drawn) == len(set(drawn)) == TILE_CLASSES - len(STILL) + MOVERS
    assert not atlas(palette)[STILL, ..., 3].any()


def test_a_platform_lies_where_players_land_on_it():
    alpha = sprites(theme_palette("forest"))[Mover.PLATFORM, ..., 3] > 0
    assert alpha[0, 4:28].all()
    assert not alpha[6:].any()
    assert not alpha[:, :4].any()
    assert not alpha[:, 28:].any()


@pytest.mark.parametrize("theme", themes())
@pytest.mark.parametrize("top_view", [False, True])
def test_water_is_told_from_what_is_around_it(theme, top_view):
    wet = tiles()
    wet[7:10, 20:30] = Tile.WATER
    look = Look(theme, theme_palette(theme), top_view=top_view)
    dry, pool = (paint(cells, look, (), 1).astype(int) for cells in (tiles(), wet))
    change = np.abs(pool - dry).max(axis=2)
    inside = change[7 * TILE : 10 * TILE, 20 * TILE : 30 * TILE]
    assert np.median(inside) > 12


@pytest.mark.parametrize("theme", themes())
def test_ice_is_told_from_other_ground(theme):
    frozen = tiles()
    frozen[10, 20:30] = Tile.ICE
    look = Look(theme, theme_palette(theme))
    bare, ice = (paint(cells, look, (), 1).astype(int) for cells in (tiles(), frozen))
    change = np.abs(ice - bare)[10 * TILE : 11 * TILE, 20 * TILE : 30 * TILE].max(axis=2)
    assert np.median(change) > 30


def test_a_drawing_of_the_wrong_size_is_refused():
    with pytest.raises(ValueError, match="16 rows"):
        draw("##\n##", theme_palette("ice"))
