"""Names of what there is to see: one look stands for all frames of a view."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.small_worlds import small_world
from worldmodel.constants import FRAME, MAP_HEIGHT, MAP_WIDTH, TILE, UNITS, Tile
from worldmodel.crops import VIEW_STEP, camera, views
from worldmodel.protocol import State, concatenate
from worldmodel.simulator import Simulator

SIGN = (96, 48)
"""Pixels of a board."""


def standing_at(x: int, y: int) -> State:
    """A player with its centre at a pixel of an empty hall."""
    state = Simulator().spawn([small_world("####\n#@.#\n####")], [1])
    state.canvas[:] = int(Tile.EMPTY)
    return state.updated(position=torch.tensor([[2 * x, 2 * y]], dtype=torch.int32))


def test_small_steps_keep_the_view_and_large_ones_do_not() -> None:
    x, y = 24 * TILE, 12 * TILE
    here = views(standing_at(x, y))

    assert torch.equal(views(standing_at(x + VIEW_STEP[0] - 1, y)), here)
    assert not torch.equal(views(standing_at(x + VIEW_STEP[0], y)), here)
    assert not torch.equal(views(standing_at(x, y + VIEW_STEP[1])), here)


def test_a_pulled_lever_an_opened_door_and_flashing_lights_are_new_views_and_a_taken_coin_is_not() -> None:
    base = standing_at(24 * TILE, 12 * TILE)
    rows = [base.clone() for _ in range(6)]
    for row, tile in enumerate((Tile.DOOR, Tile.DOOR_OPEN, Tile.LEVER, Tile.LEVER_ON)):
        rows[row].canvas[0, 12, 25] = int(tile)
    rows[4].canvas[0, 12, 25] = int(Tile.COIN)
    rows[5] = base.updated(flash=torch.tensor([7], dtype=torch.int32))
    names = views(concatenate([*rows, base]))

    assert len(set(names[[0, 1, 2, 3, 5]].tolist())) == 5
    assert names[4] == names[6]


@given(
    left=st.integers(FRAME, MAP_WIDTH * TILE - 2 * FRAME),
    top=st.integers(FRAME, MAP_HEIGHT * TILE - 2 * FRAME),
)
def test_every_board_is_whole_in_every_frame_of_some_view(left: int, top: int) -> None:
    """Whatever frame stands for that view, the board can be read on it."""
    x = -(-(left + SIGN[0] - FRAME) // VIEW_STEP[0]) * VIEW_STEP[0]
    y = -(-(top + SIGN[1] - FRAME) // VIEW_STEP[1]) * VIEW_STEP[1]

    for dx in (0, VIEW_STEP[0] - 1):
        for dy in (0, VIEW_STEP[1] - 1):
            assert x + dx <= left
            assert y + dy <= top
            assert left + SIGN[0] <= x + dx + FRAME
            assert top + SIGN[1] <= y + dy + FRAME


def test_the_camera_keeps_the_player_in_the_middle_and_the_frame_in_the_map() -> None:
    places = [[0, 0], [40 * UNITS, 12 * UNITS], [64 * UNITS, 24 * UNITS]]
    states = concatenate([standing_at(0, 0)] * 3)
    corners = camera(states.updated(position=torch.tensor(places, dtype=torch.int32)))

    assert corners.tolist() == [
        [0, 0],
        [40 * TILE - FRAME // 2, 12 * TILE - FRAME // 2],
        [MAP_WIDTH * TILE - FRAME, MAP_HEIGHT * TILE - FRAME],
    ]
