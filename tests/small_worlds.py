"""Tiny worlds drawn in text, for tests of play.

``#`` wall, ``.`` empty, ``^`` hazard, ``o`` coin, ``k`` key, ``D`` door (group 1), ``P`` portal (link 2,
leads to the tile marked ``p``), ``L`` lever (link 3), ``C`` character (clip 0), ``G`` goal, ``@`` start,
``w`` walker, ``g`` ghost, ``c`` chaser, ``f`` flyer, ``s`` spider, ``-`` platform that goes along, ``|`` one
that goes up and down, ``~`` water, ``%`` ice. Everything outside the drawing is wall.
"""

from __future__ import annotations

import hashlib

import numpy as np

from worldmodel.compiled import Clip, CompiledWorld, Mechanics
from worldmodel.constants import (
    MAP_HEIGHT,
    MAP_WIDTH,
    MAX_LINKS,
    MOVER_SLOTS,
    MOVERS,
    SAMPLE_RATE,
    TILE,
    TILE_CLASSES,
    LeverEffect,
    Mover,
    Tile,
)

_TILES = {
    "#": Tile.SOLID, "^": Tile.HAZARD, "o": Tile.COIN, "k": Tile.KEY, "D": Tile.DOOR,
    "~": Tile.WATER, "%": Tile.ICE, "P": Tile.PORTAL, "L": Tile.LEVER, "C": Tile.CHARACTER, "G": Tile.GOAL,
}  # fmt: skip
_LINKS = {"D": 1, "P": 2, "L": 3, "C": 1}
_MOVERS = {
    "w": (Mover.WALKER, 0), "g": (Mover.GHOST, 0), "c": (Mover.CHASER, 0), "f": (Mover.FLYER, 0),
    "s": (Mover.SPIDER, 3), "-": (Mover.PLATFORM, 0), "|": (Mover.PLATFORM, 2),
}  # fmt: skip


def small_world(
    drawing: str, mechanics: Mechanics | None = None, *, lever: LeverEffect = LeverEffect.FLASH
) -> CompiledWorld:
    """Compile a drawing, placed at the map's upper left corner."""
    rows = [line.strip() for line in drawing.strip().splitlines()]
    tiles = np.full((MAP_HEIGHT, MAP_WIDTH), Tile.SOLID, dtype=np.uint8)
    links = np.zeros_like(tiles)
    portals = np.ones((MAX_LINKS, 2), dtype=np.int16)
    mover_kinds = np.zeros(MOVER_SLOTS, dtype=np.uint8)
    mover_spawns = np.zeros((MOVER_SLOTS, 2), dtype=np.int16)
    mover_headings = np.zeros(MOVER_SLOTS, dtype=np.uint8)
    start, slot = (1, 1), 0
    for y, row in enumerate(rows):
        for x, mark in enumerate(row):
            tiles[y, x] = _TILES.get(mark, Tile.EMPTY)
            links[y, x] = _LINKS.get(mark, 0)
            if mark == "@":
                start = (x, y)
            if mark == "p":
                portals[_LINKS["P"]] = (x, y)
            if mark in _MOVERS:
                mover_kinds[slot], mover_headings[slot] = _MOVERS[mark]
                mover_spawns[slot] = (x, y)
                slot += 1
    effects = np.zeros(MAX_LINKS, dtype=np.uint8)
    effects[_LINKS["L"]] = lever
    effects[_LINKS["D"]] = LeverEffect.NONE
    rng = np.random.default_rng(0)
    mechanics = mechanics or Mechanics()
    return CompiledWorld(
        key=hashlib.sha256(f"{drawing}{mechanics}{lever}".encode()).hexdigest(),
        title="small",
        mechanics=mechanics,
        tiles=tiles,
        links=links,
        effects=effects,
        portals=portals,
        spawns=np.array([start], dtype=np.int16),
        mover_kinds=mover_kinds,
        mover_spawns=mover_spawns,
        mover_headings=mover_headings,
        picture=rng.integers(0, 255, (MAP_HEIGHT * TILE, MAP_WIDTH * TILE, 3), dtype=np.uint8),
        atlas=rng.integers(0, 255, (TILE_CLASSES, TILE, TILE, 4), dtype=np.uint8),
        sprites=np.full((MOVERS, TILE, 2 * TILE, 4), 255, dtype=np.uint8),
        clips=(Clip("hello", np.zeros(SAMPLE_RATE, dtype=np.float32)),),
    )
