"""Tiny worlds drawn in text, for tests of play.

``#`` wall, ``.`` empty, ``^`` hazard, ``o`` coin, ``k`` key, ``D`` door (group 1), ``P`` portal (link 2,
leads to the tile marked ``p``), ``L`` lever (link 3), ``C`` character (clip 0), ``G`` goal, ``@`` start,
``w`` walker, ``g`` ghost, ``c`` chaser. Everything outside the drawing is wall.
"""

from __future__ import annotations

import hashlib

import numpy as np

from worldmodel.compiled import Clip, CompiledWorld, Mechanics
from worldmodel.constants import (
    ENEMY_SLOTS,
    MAP_HEIGHT,
    MAP_WIDTH,
    MAX_LINKS,
    SAMPLE_RATE,
    TILE,
    TILE_CLASSES,
    Enemy,
    LeverEffect,
    Tile,
)

_TILES = {
    "#": Tile.SOLID, "^": Tile.HAZARD, "o": Tile.COIN, "k": Tile.KEY, "D": Tile.DOOR,
    "P": Tile.PORTAL, "L": Tile.LEVER, "C": Tile.CHARACTER, "G": Tile.GOAL,
}  # fmt: skip
_LINKS = {"D": 1, "P": 2, "L": 3, "C": 1}
_ENEMIES = {"w": Enemy.WALKER, "g": Enemy.GHOST, "c": Enemy.CHASER}


def small_world(
    drawing: str, mechanics: Mechanics | None = None, *, lever: LeverEffect = LeverEffect.FLASH
) -> CompiledWorld:
    """Compile a drawing, placed at the map's upper left corner."""
    rows = [line.strip() for line in drawing.strip().splitlines()]
    tiles = np.full((MAP_HEIGHT, MAP_WIDTH), Tile.SOLID, dtype=np.uint8)
    links = np.zeros_like(tiles)
    portals = np.ones((MAX_LINKS, 2), dtype=np.int16)
    enemy_kinds = np.zeros(ENEMY_SLOTS, dtype=np.uint8)
    enemy_spawns = np.zeros((ENEMY_SLOTS, 2), dtype=np.int16)
    start, slot = (1, 1), 0
    for y, row in enumerate(rows):
        for x, mark in enumerate(row):
            tiles[y, x] = _TILES.get(mark, Tile.EMPTY)
            links[y, x] = _LINKS.get(mark, 0)
            if mark == "@":
                start = (x, y)
            if mark == "p":
                portals[_LINKS["P"]] = (x, y)
            if mark in _ENEMIES:
                enemy_kinds[slot], enemy_spawns[slot] = _ENEMIES[mark], (x, y)
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
        enemy_kinds=enemy_kinds,
        enemy_spawns=enemy_spawns,
        picture=rng.integers(0, 255, (MAP_HEIGHT * TILE, MAP_WIDTH * TILE, 3), dtype=np.uint8),
        atlas=rng.integers(0, 255, (TILE_CLASSES, TILE, TILE, 4), dtype=np.uint8),
        sprites=np.full((4, TILE, TILE, 4), 255, dtype=np.uint8),
        clips=(Clip("hello", np.zeros(SAMPLE_RATE, dtype=np.float32)),),
    )
