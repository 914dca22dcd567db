"""Symbols and harmless patterns built out of a world's own tiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moderation.symbols.emblems import (
    CELTIC,
    HOOKED,
    MANJI,
    SIGS,
    WOLFSANGEL,
    Rng,
    celtic_cross,
    hooked_cross,
)
from moderation.symbols.lookalikes import pattern
from moderation.symbols.strokes import CANVAS, REACH, draw
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, Tile

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld

Grid = NDArray[np.bool_]
"""(H, W) which cells of a pattern are blocks."""

MATERIALS = (
    Tile.SOLID,
    Tile.COIN,
    Tile.HAZARD,
    Tile.SOLID,
    Tile.COIN,
    Tile.KEY,
    Tile.DOOR,
    Tile.PORTAL,
    Tile.WATER,
)
"""What patterns are built of, the likely ones twice."""
_PAIRS = (
    ("..#", ".#.", "#..", "###", "..#", ".#.", "#.."),
    ("..##", ".##.", "##..", "####", "..##", ".##.", "##.."),
    ("..#", ".##", "##.", ".##", "##.", "#.."),
)
_ANGELS = (
    ("..###", "..#..", "..#..", "#####", "..#..", "..#..", "###.."),
    ("...####", "...#..#", "...#...", ".#####.", "...#...", "#..#...", "####..."),
)
_CELTIC = ("...#...", "..###..", ".#.#.#.", "#######", ".#.#.#.", "..###..", "...#...")


def grid_of(rows: tuple[str, ...]) -> Grid:
    """Rows of ``#`` and ``.`` as a grid."""
    return np.array([[c == "#" for c in row] for row in rows])


def upright_hooks(size: int) -> Grid:
    """A hooked cross of one block's width on an odd number of blocks across and down."""
    grid = np.zeros((size, size), bool)
    middle = size // 2
    grid[middle] = grid[:, middle] = True
    grid[0, middle:] = grid[-1, : middle + 1] = True
    grid[middle:, -1] = grid[: middle + 1, 0] = True
    return grid


def rastered(mask: NDArray[np.uint8], size: int) -> Grid:
    """A drawing on size x size blocks: those at least half covered."""
    import cv2

    edge = round(CANVAS / 2 * (1 - 1 / REACH))
    inner = mask[edge:-edge, edge:-edge, 0].astype(np.float32)
    return np.asarray(cv2.resize(inner, (size, size), interpolation=cv2.INTER_AREA) > 118)


def built_emblem(kind: str, rng: Rng) -> Grid:
    """One of ``BUILT``'s symbols on 5 x 5 to 11 x 11 blocks, either hand."""
    if kind == "upright hooked cross":
        grid = upright_hooks(int(rng.choice([5, 5, 7, 9, 11])))
        if len(grid) == 5 and rng.random() < 0.3:
            grid = grid.repeat(2, 0).repeat(2, 1)
    elif kind == "hooked cross on its point":
        grid = rastered(draw(hooked_cross(np.random.default_rng(_STEADY))), int(rng.choice([9, 10, 11])))
    elif kind == "sig runes":
        one = grid_of(_PAIRS[int(rng.integers(len(_PAIRS)))])
        gap = np.zeros((len(one), int(rng.choice([0, 1])) if one.shape[1] > 2 else 1), bool)
        grid = np.hstack([one, gap, one])
    elif kind == "Celtic cross":
        small = rng.random() < 0.5
        grid = grid_of(_CELTIC) if small else rastered(draw(celtic_cross(rng)), int(rng.choice([9, 11])))
    else:
        grid = grid_of(_ANGELS[int(rng.integers(len(_ANGELS)))])
        grid = np.rot90(grid) if rng.random() < 0.5 else grid
    return grid[:, ::-1] if rng.random() < 0.5 else grid


_STEADY = 5
BUILT = {
    "upright hooked cross": MANJI,
    "hooked cross on its point": HOOKED,
    "sig runes": SIGS,
    "Celtic cross": CELTIC,
    "wolfsangel": WOLFSANGEL,
}
"""Symbols that blocks can show, and their class. Upright, a hooked cross is for a person to judge."""


@dataclass(frozen=True)
class Built:
    """A pattern in a world."""

    kind: str
    label: int
    box: tuple[int, int, int, int]
    """Tiles: x0, y0, x1, y1, the last two exclusive."""
    material: Tile

    @property
    def side(self) -> int:
        """The longer side in tiles."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclass(frozen=True)
class BuiltWorld:
    """A generated world with patterns built into its map."""

    world: CompiledWorld
    built: tuple[Built, ...]


def build_in(
    tiles: NDArray[np.uint8], grid: Grid, material: Tile, rng: Rng, taken: list[tuple[int, int, int, int]]
) -> tuple[int, int, int, int] | None:
    """Put a pattern at a random free place of ``tiles``, with a cell left around it: its box, or None.

    A solid pattern stands in the open or, one time in three, is carved out of solid ground.
    """
    height, width = grid.shape
    for _ in range(20):
        x, y = int(rng.integers(1, MAP_WIDTH - width)), int(rng.integers(1, MAP_HEIGHT - height))
        box = (x, y, x + width, y + height)
        if any(
            box[0] < b[2] + 2 and b[0] < box[2] + 2 and box[1] < b[3] + 2 and b[1] < box[3] + 2 for b in taken
        ):
            continue
        carved = material == Tile.SOLID and rng.random() < 1 / 3
        around, inside = (Tile.SOLID, Tile.EMPTY) if carved else (Tile.EMPTY, material)
        tiles[y - 1 : y + height + 1, x - 1 : x + width + 1] = around
        tiles[y : y + height, x : x + width][grid] = inside
        taken.append(box)
        return box
    return None


@lru_cache(maxsize=4)
def plain_worlds(count: int, seed: int, *, evaluation: bool) -> tuple[CompiledWorld, ...]:
    """Worlds of the world model's own gallery, of its training or its evaluation themes."""
    from worldmodel.gallery import generated_worlds

    return tuple(generated_worlds(count, seed, evaluation=evaluation))


THEMES = ("forest", "lava", "ice", "city", "cave", "swamp", "warehouse")
"""Of training worlds, as the gallery's; the others are for evaluation."""
EVALUATION_THEMES = ("garden", "moon", "desert", "coast", "market")


def arrange(
    tiles: NDArray[np.uint8], rng: Rng, *, emblems: int, patterns: int, held_out: bool
) -> tuple[NDArray[np.uint8], tuple[Built, ...]]:
    """The map with so many symbols and harmless patterns built in, symbols first."""
    tiles = tiles.copy()
    taken: list[tuple[int, int, int, int]] = []
    built: list[Built] = []
    for number in range(emblems + patterns):
        kind = str(rng.choice(list(BUILT))) if number < emblems else "pattern"
        grid = built_emblem(kind, rng) if number < emblems else pattern(rng, held_out=held_out)
        material = MATERIALS[int(rng.integers(len(MATERIALS)))]
        found = build_in(tiles, grid, material, rng, taken)
        if found is not None:
            built.append(Built(kind, BUILT.get(kind, 0), found, material))
    return tiles, tuple(built)


def built_world(
    world: CompiledWorld,
    rng: Rng,
    *,
    emblems: int,
    patterns: int,
    held_out: bool,
    backdrop: NDArray[np.uint8] | None = None,
) -> BuiltWorld:
    """The world with so many symbols and harmless patterns in its map, painted anew in a theme of its split.

    ``backdrop`` is (H, W, 4) RGBA behind everything.
    """
    from worldmodel.painter import Look, paint
    from worldmodel.palette import theme_palette
    from worldmodel.sprites import atlas

    tiles, built = arrange(world.tiles, rng, emblems=emblems, patterns=patterns, held_out=held_out)
    theme = str(rng.choice(EVALUATION_THEMES if held_out else THEMES))
    look = Look(theme, theme_palette(theme), top_view=bool(world.mechanics.top_view), backdrop=backdrop)
    picture = paint(tiles, look, (), int(rng.integers(2**31)))
    drawn = atlas(look.palette, burning=theme == "lava")
    return BuiltWorld(replace(world, tiles=tiles, picture=picture, atlas=drawn), built)
