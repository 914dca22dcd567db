"""The numbers that every part of a world agrees on.

Positions and velocities are integers in *units*: half a pixel, 32 to a tile. Integer motion makes
replays exact and lets a network predict it as a class instead of a rounded real number.
"""

from __future__ import annotations

from enum import IntEnum

FRAME = 128
"""Side of a frame in pixels."""
FPS = 15
"""Steps, and so frames, per second."""
TILE = 16
"""Side of a tile in pixels; a frame shows 8 x 8 tiles."""
UNITS = 32
"""Units per tile (half pixels)."""
MAP_HEIGHT, MAP_WIDTH = 24, 64
"""Every canvas in tiles (three screens high, eight wide); smaller layouts are padded with SOLID."""
MOVER_SLOTS = 12
"""Slots for what moves by itself: enemies and platforms."""
MAX_ENEMIES, MAX_PLATFORMS = 8, 4
PLATFORM_HALF = (24, 6)
"""Half width and height of a moving platform's box, in units; who jumps passes it from below."""
PLAYER_HALF = (10, 14)
"""Half width and height of the player's box, in units."""
TERMINAL_SPEED = 16
"""Greatest speed of a fall, units per step."""
SAMPLE_RATE = 24_000
"""Hz, mono float32 in -1..1."""
SAMPLES_PER_STEP = SAMPLE_RATE // FPS
"""1,600 samples of sound belong to each step, exactly."""
MAX_LINKS = 16
"""Link ids 1..15 tie a portal, lever, door or character to what it leads to; 0 is none."""


class Tile(IntEnum):
    """Class of one cell of the canvas. A sign is not a class: it is painted on EMPTY cells."""

    EMPTY = 0
    SOLID = 1
    HAZARD = 2
    COIN = 3
    KEY = 4
    DOOR = 5
    DOOR_OPEN = 6
    PORTAL = 7
    LEVER = 8
    LEVER_ON = 9
    CHARACTER = 10
    GOAL = 11
    WATER = 12
    """Players swim in it: slow falls, UP rises, and jumps out at the surface."""
    ICE = 13
    """As solid as SOLID; who stands on it hardly gets a grip. Side view only."""


TILE_CLASSES = len(Tile)
WALLS = (Tile.SOLID, Tile.ICE)
"""What nothing ever moves through; a closed DOOR is solid too, but opens."""


class Action(IntEnum):
    """What a player can do in one step. UP jumps in side view and walks up in top view."""

    NOOP = 0
    LEFT = 1
    RIGHT = 2
    UP = 3
    DOWN = 4
    UP_LEFT = 5
    UP_RIGHT = 6
    INTERACT = 7


ACTIONS = len(Action)


class Event(IntEnum):
    """What a step can report; the column order of ``Observation.events``."""

    COLLECT = 0
    KEY = 1
    DOOR = 2
    HURT = 3
    PORTAL = 4
    LEVER = 5
    SPEECH = 6
    GOAL = 7
    DIED = 8


EVENTS = len(Event)


class LeverEffect(IntEnum):
    """What pulling a lever does; the entries of ``CompiledWorld.effects`` by link id."""

    NONE = 0
    FLASH = 1
    OPEN = 2


class Mover(IntEnum):
    """What fills a slot for things that move by themselves."""

    NONE = 0
    WALKER = 1
    """Walks; turns at walls and, in side view, at edges."""
    GHOST = 2
    """Drifts at random."""
    CHASER = 3
    """Comes for the player when near."""
    FLYER = 4
    """Flies to and fro between walls, over edges."""
    SPIDER = 5
    """Goes up and down between floor and ceiling."""
    PLATFORM = 6
    """Carries players, in side view; turns at walls, along or up and down."""


MOVERS = len(Mover)
