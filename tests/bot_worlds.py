"""A world with something of everything, three screens wide, for tests of players and exploration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.small_worlds import small_world
from worldmodel.compiled import Clip, CompiledWorld, Mechanics, Placed
from worldmodel.constants import SAMPLE_RATE

DRAWING = """
################################
#..............#...............#
#..............#...............#
#......oo......#......o........#
#.....####.....#.....###.......#
#..............D...........C...#
#..............D.........####..#
#@.k....o..L...D..w....o....P..#
##########.#####################
##########..####.......#########
##########...###..p....#########
##########.....####.####.#######
############.................G##
################################
"""
SIGN = (17, 1, 20, 3)
"""Tiles of a picture in the room behind the door."""


def bot_world(*, top_view: bool = False, key: str = "") -> CompiledWorld:
    """The start is left; a door with its key right of it, then a character, a portal and a goal below."""
    world = small_world(DRAWING, Mechanics(top_view=top_view))
    hum = np.sin(np.arange(SAMPLE_RATE * 2) * 0.2).astype(np.float32) * 0.3
    return replace(
        world,
        key=key + world.key,
        spawns=np.array([(1, 7), (20, 7), (13, 12)], dtype=np.int16),
        clips=(Clip("hello", hum),),
        placed=(Placed(0, "sign", SIGN), Placed(1, "sign", (60, 20, 62, 22))),
    )
