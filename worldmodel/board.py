"""A layout in the making: what is wanted of it, and the board on which things are put."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from worldmodel.compiled import Mechanics, Placed
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, MAX_LINKS, UNITS, LeverEffect, Mover, Tile
from worldmodel.terrain import Gate, Terrain

NEAR_SPAWN = 10
"""Tiles of walking within which ``near: spawn`` lies."""

Place: TypeAlias = Literal["near", "mid", "far", "door", "spawn", "any"]
TARGETS = {
    "near": (0.06, 0.3),
    "mid": (0.36, 0.64),
    "far": (0.7, 0.97),
    "door": (0.0, 0.99),
    "any": (0.02, 0.97),
}


class LayoutError(ValueError):
    """An object that cannot be placed where the spec wants it."""

    def __init__(self, index: int, kind: str, reason: str) -> None:
        self.index, self.kind = index, kind
        name = f"objects[{index}] ({kind})" if index >= 0 else f"the {kind}"
        super().__init__(f"{name} {reason}; ask for fewer objects, another place or another seed")


@dataclass(frozen=True)
class Wanted:
    """One object to place."""

    index: int
    """Position in the spec's ``objects``; -1 for what the layout adds by itself."""
    kind: str
    """sign, character, lever, door, portal, key or goal."""
    where: Place = "any"
    effect: LeverEffect = LeverEffect.NONE
    """What a lever does."""
    clip: int = -1
    """What a character says: index into the world's clips."""


@dataclass(frozen=True)
class Plan:
    """What a layout is made from."""

    mechanics: Mechanics = field(default_factory=Mechanics)
    objects: tuple[Wanted, ...] = ()
    hazards: float = 0.3
    """0 none .. 1 as many as stay fair."""
    coins: float = 0.5
    enemies: tuple[Mover, ...] = ()
    cave: bool = True
    """Ceilings follow the ground, else storeys are open to their top."""
    size: float = 1.0
    """Length of the walk, 1 is normal: 20 to 30 seconds without a detour."""
    density: float = 0.5
    """How much stands in the way, 0..1; the four wishes are as in the spec, 0.5 normal."""
    rooms: float = 0.5
    verticality: float = 0.5
    branches: float = 0.5
    secrets: int = 1
    """Hidden rewards."""
    water: float = 0.0
    """Share of pools, 0..1."""
    ice: float = 0.0
    """Share of the ground that is ice, 0..1; side view only."""
    platforms: float = 0.0
    """0 none .. 1 as many moving platforms as fit; side view only."""


@dataclass
class Doorway:
    """A closed gate and what opens it."""

    gate: Gate
    link: int
    door: Wanted
    lever: Wanted | None = None
    """Opens it; a key does where there is none."""


@dataclass
class Board:
    """A layout in the making."""

    terrain: Terrain
    plan: Plan
    rng: np.random.Generator
    steps: NDArray[np.int32]
    """(MAP_HEIGHT, MAP_WIDTH): steps from the start on the bare terrain, -1 where there is no way."""
    links: NDArray[np.uint8] = field(
        default_factory=lambda: np.zeros((MAP_HEIGHT, MAP_WIDTH), dtype=np.uint8)
    )
    effects: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(MAX_LINKS, dtype=np.uint8))
    portals: NDArray[np.int16] = field(default_factory=lambda: np.zeros((MAX_LINKS, 2), dtype=np.int16))
    doorways: list[Doorway] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    shelves: list[tuple[int, int, float]] = field(default_factory=list)
    """Cells on raised platforms with their order."""
    platforms: list[tuple[int, int, int]] = field(default_factory=list)
    """Moving platforms: tile x, y and first heading."""
    secrets: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Boxes of hidden places, in tiles."""

    def __post_init__(self) -> None:
        cells = [
            (x, run.y, run.order + run.along(x)) for run in self.terrain.runs for x in range(run.x0, run.x1)
        ]
        self.cells = np.array([(x, y) for x, y, _ in cells], dtype=np.int64)
        self.orders = np.array([order for _, _, order in cells])
        self.steps_at = self.steps[self.cells[:, 1], self.cells[:, 0]]
        self.farthest = max(1, int(self.steps.max()))
        self.fractions = self.steps_at / self.farthest

    @property
    def tiles(self) -> NDArray[np.uint8]:
        return self.terrain.tiles

    def free(self, x0: int, y0: int, x1: int, y1: int) -> bool:
        """Whether the box (exclusive) holds nothing and is not reserved."""
        if x0 < 0 or y0 < 0 or x1 > MAP_WIDTH or y1 > MAP_HEIGHT:
            return False
        box = np.s_[y0:y1, x0:x1]
        return not self.tiles[box].any() and not self.terrain.reserved[box].any()

    def reserve(self, x0: int, y0: int, x1: int, y1: int) -> None:
        self.terrain.reserved[max(y0, 0) : y1, max(x0, 0) : x1] = True

    def put(self, x: int, y: int, tile: Tile, link: int = 0) -> None:
        """Write a tile and keep its surroundings free: a player has to stand beside it."""
        self.tiles[y, x] = tile
        self.links[y, x] = link
        self.reserve(x - 1, y - 1, x + 2, y + 1)

    def near_steps(self) -> float:
        return NEAR_SPAWN * UNITS / self.plan.mechanics.speed

    def fits(self, where: Place) -> NDArray[np.bool_]:
        """Which cells lie where ``where`` says."""
        if where == "spawn":
            return (self.steps_at > 0) & (self.steps_at <= self.near_steps())
        low, high = TARGETS[where]
        inside = (self.fractions >= low) & (self.fractions <= high)
        if where == "door":
            inside &= self.orders > self.doorways[0].gate.order
        return inside


def floor_below(board: Board, x0: int, x1: int, y: int) -> bool:
    """Whether the tiles x0 .. x1 - 1 of row ``y`` can be stood on; from above they always can."""
    return board.terrain.top_view or bool((board.tiles[y + 1, x0:x1] == Tile.SOLID).all())
