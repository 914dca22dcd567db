"""Are worlds made of a reference picture recognisably that picture's?

python benchmarks/reference_pictures.py [--set tuning|final] [--json FILE] [--sheet FILE]

Draws 28 pictures (plasma, stripes, bricks, wood, leaves ...), compiles a world of each in side and in top
view, and looks for each world's nearest picture by histograms of colour and of edge directions. Brightness is
left out: worlds step back behind what moves in them. The painting was tuned on one set; the other is for the
report. Also measures how far coins, hazards and the player stand out from what is behind them: the median
CIELAB distance (Delta E 1976) of their pixels, at the tenth of the places where it is least.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from worldmodel.compiled import CompiledWorld
from worldmodel.compiler import compile_world
from worldmodel.constants import TILE, Tile
from worldmodel.package import WorldPackage
from worldmodel.spec import Mechanics, Style, WorldSpec

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]
SETS = {"tuning": 41, "final": 97}
VIEWS: tuple[Literal["side", "top"], ...] = ("side", "top")
PROMPTS = ("a mossy forest", "a dark cave", "a desert", "a city", "a garden", "a frozen mountain")
WIDTH, HEIGHT = 240, 160


def _noise(rng: np.random.Generator, scale: int) -> Floats:
    """(HEIGHT, WIDTH) smooth noise 0..1."""
    small = rng.uniform(0, 1, (HEIGHT // scale + 2, WIDTH // scale + 2)).astype(np.float32)
    large = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(large, 0, 1), dtype=np.float64)


def _blend(share: Floats, *colours: Floats) -> Floats:
    """Colours along a ramp, by a share 0..1 of every pixel."""
    at = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(share, at, [colour[c] for colour in colours]) for c in range(3)], axis=-1)


def _plasma(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    waves = sum(np.sin(f * x + g * y + p) for f, g, p in rng.uniform(-0.09, 0.09, (4, 3)) * (1, 1, 60))
    return _blend((np.asarray(waves) + 4) / 8, *colours[:3])


def _clouds(rng: np.random.Generator, _y: Floats, _x: Floats, colours: Floats) -> Floats:
    share = 0.5 * _noise(rng, 40) + 0.3 * _noise(rng, 16) + 0.2 * _noise(rng, 6)
    return _blend(np.clip((share - 0.3) * 2.5, 0, 1), *colours[:2])


def _stripes(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    angle, width = rng.uniform(0, np.pi), rng.uniform(6, 18)
    return np.asarray(colours[((x * np.cos(angle) + y * np.sin(angle)) // width % 3).astype(int)])


def _checks(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    side = int(rng.integers(8, 24))
    return np.asarray(colours[((x // side + y // side) % 2).astype(int)])


def _dots(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    step = int(rng.integers(12, 28))
    far = np.hypot(x % step - step / 2, y % step - step / 2)
    return np.asarray(colours[np.where(far < step * 0.3, 1, 0)])


def _bricks(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    high, wide = int(rng.integers(8, 14)), int(rng.integers(20, 34))
    shifted = x + (y // high % 2) * wide / 2
    joint = (y % high < 2) | (shifted % wide < 2)
    tint = rng.uniform(0.8, 1.15, (40, 40))[(y // high).astype(int), (shifted // wide).astype(int)]
    return np.asarray(np.where(joint[..., None], colours[1], colours[0] * tint[..., None]))


def _wood(rng: np.random.Generator, y: Floats, _x: Floats, colours: Floats) -> Floats:
    rings = np.sin((y + 14 * _noise(rng, 60) + 3 * _noise(rng, 12)) * rng.uniform(0.4, 0.9)) * 0.5 + 0.5
    return _blend(rings, *colours[:2])


def _gradient(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    angle = rng.uniform(0, np.pi / 2)
    share = x / WIDTH * np.cos(angle) + y / HEIGHT * np.sin(angle)
    return _blend(share / share.max(), *colours[:3])


def _leaves(rng: np.random.Generator, _y: Floats, _x: Floats, colours: Floats) -> Floats:
    canvas = np.tile(colours[0], (HEIGHT, WIDTH, 1))
    for _ in range(90):
        centre = (int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)))
        size, turn = (int(rng.integers(8, 18)), int(rng.integers(3, 6))), float(rng.uniform(0, 180))
        cv2.ellipse(canvas, centre, size, turn, 0, 360, (colours[1] * rng.uniform(0.7, 1.2)).tolist(), -1)
    return canvas


def _rings(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    far = np.hypot(x - rng.uniform(0, WIDTH), y - rng.uniform(0, HEIGHT))
    return np.asarray(colours[(far // rng.uniform(7, 15) % 3).astype(int)])


def _shards(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    seeds = rng.uniform(0, 1, (60, 2)) * (HEIGHT, WIDTH)
    nearest = np.hypot(y[..., None] - seeds[:, 0], x[..., None] - seeds[:, 1]).argmin(axis=2)
    return np.asarray(colours[nearest % 4] * rng.uniform(0.85, 1.1, 60)[nearest][..., None])


def _waves(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    crest = y + 6 * np.sin(x / rng.uniform(6, 14))
    return np.asarray(colours[(crest // int(rng.integers(8, 16)) % 2).astype(int)])


def _hills(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    out = _blend(y / HEIGHT, colours[0], colours[0] * 0.6 + 100)
    for i in range(1, 4):
        line = HEIGHT * (0.25 + 0.2 * i) + 14 * np.sin(x / rng.uniform(16, 40) + rng.uniform(0, 6))
        out = np.where((y > line)[..., None], colours[i] * (0.9 + 0.2 * _noise(rng, 4)[..., None]), out)
    return out


def _weave(rng: np.random.Generator, y: Floats, x: Floats, colours: Floats) -> Floats:
    side = int(rng.integers(8, 14))
    over = (x // side + y // side) % 2 < 1
    light = np.where(over, np.sin(x % side / side * np.pi), np.sin(y % side / side * np.pi))
    return np.asarray(np.where(over[..., None], colours[0], colours[1]) * (0.55 + 0.45 * light[..., None]))


KINDS: tuple[Callable[[np.random.Generator, Floats, Floats, Floats], Floats], ...] = (
    _plasma, _clouds, _stripes, _checks, _dots, _bricks, _wood,
    _gradient, _leaves, _rings, _shards, _waves, _hills, _weave,
)  # fmt: skip


def pictures(seed: int) -> dict[str, Picture]:
    """(HEIGHT, WIDTH, 4) RGBA by name: two of each kind in colours of their own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    found = {}
    for number in range(2):
        for kind in KINDS:
            rgb = kind(rng, y, x, rng.uniform(0, 255, (4, 3))) + rng.normal(0, 3, (HEIGHT, WIDTH, 1))
            alpha = np.full((HEIGHT, WIDTH), 255)
            found[f"{kind.__name__[1:]} {number + 1}"] = np.dstack([rgb.clip(0, 255), alpha]).astype(np.uint8)
    return found


def features(rgb: Picture) -> NDArray[np.float32]:
    """Histograms of chroma (a*, b*) and of edge directions, at one mean brightness."""
    level = rgb[..., :3].astype(np.float64)
    level = (level / max(level.mean(), 1) * 110).clip(0, 255)
    lab = cv2.cvtColor((level / 255).astype(np.float32), cv2.COLOR_RGB2LAB)
    chroma, _, _ = np.histogram2d(lab[..., 1].ravel(), lab[..., 2].ravel(), 16, [[-100, 100], [-100, 100]])
    chroma = cv2.GaussianBlur((chroma / chroma.sum()).astype(np.float32), (7, 7), 1.6).ravel()
    dx, dy = cv2.Sobel(lab[..., 0], cv2.CV_32F, 1, 0), cv2.Sobel(lab[..., 0], cv2.CV_32F, 0, 1)
    edges, _ = np.histogram(np.arctan2(dy, dx) % np.pi, 8, (0, np.pi), weights=np.hypot(dx, dy))
    edges /= edges.sum() + 1e-6
    return np.concatenate([np.sqrt(chroma), 0.5 * np.sqrt(edges)]).astype(np.float32)


def world_of(picture: Picture, prompt: str, view: Literal["side", "top"], seed: int) -> CompiledWorld:
    spec = WorldSpec(
        title="Reference",
        prompt=prompt,
        seed=seed,
        style=Style(reference="reference.png"),
        mechanics=Mechanics(view=view),
    )
    digest = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
    return compile_world(WorldPackage(spec, {"reference.png": picture}, {}, {}, digest, {}))


def seen(world: CompiledWorld) -> Picture:
    """The part of the picture that a player comes to see: what is open, and one tile around it."""
    # Frames show rows and columns of solid ground only where something open is near.
    inside = world.tiles != Tile.SOLID
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    top, left = max(0, rows[0] - 1) * TILE, max(0, columns[0] - 1) * TILE
    return world.picture[top : (rows[-1] + 2) * TILE, left : (columns[-1] + 2) * TILE]


def stands_out(world: CompiledWorld) -> dict[str, float]:
    """By thing, its distance in colour from what is behind, at the tenth of open tiles with the least."""
    things = {
        "coin": world.atlas[Tile.COIN],
        "hazard": world.atlas[Tile.HAZARD],
        "player": world.sprites[0][:, TILE // 2 : TILE // 2 + TILE],
    }
    cells = np.argwhere(world.tiles == Tile.EMPTY)[::7]
    tiles = world.picture.reshape(len(world.tiles), TILE, -1, TILE, 3).swapaxes(1, 2)
    behind = _lab(tiles[cells[:, 0], cells[:, 1]].reshape(len(cells), TILE * TILE, 3))
    return {name: _told(thing, behind) for name, thing in things.items()}


def _told(thing: Picture, behind: NDArray[np.float32]) -> float:
    drawn = thing[..., 3].ravel() > 0
    own = _lab(thing[..., :3].reshape(1, TILE * TILE, 3))[:, drawn]
    apart = np.linalg.norm(behind[:, drawn] - own, axis=2)
    return float(np.quantile(np.median(apart, axis=1), 0.1))


def _lab(rgb: Picture) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), dtype=np.float32)


def measure(references: dict[str, Picture], view: Literal["side", "top"]) -> dict[str, object]:
    """Top-1 share, what was taken for what, how things stand out, and seconds to compile."""
    known = np.stack([features(picture) for picture in references.values()])
    names, wrong, times = list(references), {}, []
    apart_by: dict[str, list[float]] = {}
    for index, (name, picture) in enumerate(references.items()):
        began = time.process_time()
        world = world_of(picture, PROMPTS[index % len(PROMPTS)], view, index + 1)
        times.append(time.process_time() - began)
        nearest = names[int(((features(seen(world)) - known) ** 2).sum(axis=1).argmin())]
        if nearest != name:
            wrong[name] = nearest
        for thing, apart in stands_out(world).items():
            apart_by.setdefault(thing, []).append(apart)
    return {
        "view": view,
        "top1": 1 - len(wrong) / len(names),
        "wrong": wrong,
        "stands_out": {thing: float(np.mean(found)) for thing, found in apart_by.items()},
        "stands_out_least": {thing: float(np.min(found)) for thing, found in apart_by.items()},
        "compile_seconds": float(np.median(times)),
    }


def sheet(references: dict[str, Picture]) -> Picture:
    """Every picture beside a piece of its world in both views."""
    rows = []
    for index, picture in enumerate(references.values()):
        worlds = [world_of(picture, PROMPTS[index % len(PROMPTS)], view, index + 1) for view in VIEWS]
        rows.append(np.hstack([picture[..., :3], *(_around_start(world) for world in worlds)]))
    half = len(rows) // 2
    return np.hstack([np.vstack(rows[:half]), np.vstack(rows[half : 2 * half])])


def _around_start(world: CompiledWorld) -> Picture:
    image, (column, row) = Image.fromarray(world.picture), world.spawns[0]
    for (y, x), kind in np.ndenumerate(world.tiles):
        tile = Image.fromarray(world.atlas[kind])
        image.paste(tile, (x * TILE, y * TILE), tile)
    player = Image.fromarray(world.sprites[0])
    image.paste(player, (int(column) * TILE - TILE // 2, int(row) * TILE), player)
    left = min(max(0, int(column) * TILE - 40), image.width - WIDTH)
    top = min(max(0, int(row) * TILE - HEIGHT // 2), image.height - HEIGHT)
    return np.asarray(image.crop((left, top, left + WIDTH, top + HEIGHT)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--set", choices=list(SETS), default="final")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path, help="write a picture of every reference and its worlds")
    arguments = parser.parse_args()
    references = pictures(SETS[arguments.set])
    results = [measure(references, view) for view in VIEWS]
    table = Table("view", "nearest is its own", "taken for another", "stand out, mean (least)", "compile, s")
    for result in results:
        table.add_row(*_cells(result))
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"set": arguments.set, "results": results}, indent=2))
    if arguments.sheet:
        Image.fromarray(sheet(references)).save(arguments.sheet)


def _cells(result: dict[str, object]) -> list[str]:
    wrong, mean, least = (dict(result[key]) for key in ("wrong", "stands_out", "stands_out_least"))  # type: ignore[call-overload]
    things = ", ".join(f"{thing} {share:.0f} ({least[thing]:.0f})" for thing, share in mean.items())
    mistaken = ", ".join(f"{name}: {other}" for name, other in wrong.items())
    return [
        str(result["view"]),
        f"{result['top1']:.3f}",
        mistaken,
        things,
        f"{result['compile_seconds']:.2f}",
    ]


if __name__ == "__main__":
    main()
