"""A world version compiled to arrays: what a world model plays and what a painter draws from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mechanics:
    """How a world moves, in integers of :mod:`worldmodel.constants` units and steps."""

    top_view: bool = False
    gravity: int = 2
    """Added to vertical speed each step in side view, 1 (moon) to 3 (heavy)."""
    jump: int = 16
    """Upward speed of a jump, 8..18 units per step."""
    speed: int = 6
    """Greatest walking speed, 2..8 units per step."""
    accel: int = 3
    """Change of walking speed per step, 1 (ice) to 4 (grip)."""
    darkness: int = 0
    """0 is daylight, 3 leaves little but the light around the player."""
    enemy_speed: int = 2
    """Units per step, 1..3."""
    air_jumps: int = 0
    """Jumps that can be made in the air, 0 or 1; side view only."""
    wind: int = 0
    """-2 (to the left) .. 2 units per step: drift in the air, in top view everywhere but in water."""
    platform_speed: int = 1
    """Units per step of moving platforms, 1 or 2."""
    day_length: int = 0
    """Steps of a day and a night together, 0 for none; then the light falls to ``NIGHTFALL`` and back."""
    coins_needed: int = 0
    """Coins, 0..9, without which the goal does not count."""
    look_ahead: int = 0
    """Pixels, 0..16, by which the camera leads the player in the direction it faces."""


@dataclass(frozen=True)
class Clip:
    """A sound of the world: a character's voice, music or an effect."""

    name: str
    samples: NDArray[np.float32]
    """(N,) mono at SAMPLE_RATE, -1..1."""


@dataclass(frozen=True)
class Placed:
    """Where an object of the spec ended up."""

    index: int
    """Position in the spec's ``objects`` list."""
    kind: str
    box: tuple[int, int, int, int]
    """Tiles: x0, y0, x1, y1, the last two exclusive."""


@dataclass(frozen=True)
class CompiledWorld:
    """Everything of one world version that a world model needs. Arrays are never changed."""

    key: str
    """SHA-256 over the version's content and the compiler's version: two equal keys play alike."""
    title: str
    mechanics: Mechanics
    tiles: NDArray[np.uint8]
    """(MAP_HEIGHT, MAP_WIDTH) of Tile."""
    links: NDArray[np.uint8]
    """(MAP_HEIGHT, MAP_WIDTH): link id of portals (index into ``portals``), levers and doors
    (door group and index into ``effects``), characters (1 + index into ``clips``)."""
    effects: NDArray[np.uint8]
    """(MAX_LINKS,) of LeverEffect by link id."""
    portals: NDArray[np.int16]
    """(MAX_LINKS, 2): tile (x, y) where a portal with this link id puts the player, free of portals."""
    spawns: NDArray[np.int16]
    """(S >= 1, 2): free tiles (x, y); the first is the true start."""
    mover_kinds: NDArray[np.uint8]
    """(MOVER_SLOTS,) of Mover: at most MAX_ENEMIES enemies and MAX_PLATFORMS platforms."""
    mover_spawns: NDArray[np.int16]
    """(MOVER_SLOTS, 2): tile (x, y). A platform's top is the tile's top."""
    mover_headings: NDArray[np.uint8]
    """(MOVER_SLOTS,): first heading, 0 right, 1 left, 2 up, 3 down."""
    picture: NDArray[np.uint8]
    """(MAP_HEIGHT*TILE, MAP_WIDTH*TILE, 3) RGB: backdrop, ground, signs; all that never changes."""
    atlas: NDArray[np.uint8]
    """(TILE_CLASSES, TILE, TILE, 4) RGBA of what can change; alpha 0 where ``picture`` already shows it."""
    sprites: NDArray[np.uint8]
    """(MOVERS, TILE, 2*TILE, 4) RGBA facing right: the player, then by Mover. All but the platform lie in
    the middle 16 columns; a platform is 24 pixels wide and 6 high, its top on row 0, in columns 4..27."""
    clips: tuple[Clip, ...] = ()
    music: Clip | None = None
    effect_clips: dict[int, Clip] = field(default_factory=dict)
    """The creator's own sounds by Event; other events keep the synthesised ones."""
    placed: tuple[Placed, ...] = ()
    notes: dict[str, list[str]] = field(default_factory=dict)
    """``understood``, ``inferred`` and ``style`` words of the prompt, to show to the creator."""
