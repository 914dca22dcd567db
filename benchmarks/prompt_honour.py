"""How much of what a prompt names is there in the world that is compiled from it.

python benchmarks/prompt_honour.py [PROMPTS.yaml] [--json FILE]

Looks at the compiled world alone: its mechanics, tiles and movers, and the colours of its pictures. The
baseline is the world of a prompt that says nothing, checked against the same list.
"""

from __future__ import annotations

import argparse
import colorsys
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from worldmodel.compiled import CompiledWorld
from worldmodel.compiler import compile_world
from worldmodel.constants import MAX_ENEMIES, TILE, Mover, Tile
from worldmodel.package import WorldPackage
from worldmodel.spec import WorldSpec

KINDS = {
    "walkers": Mover.WALKER, "ghosts": Mover.GHOST, "chasers": Mover.CHASER, "flyers": Mover.FLYER,
    "spiders": Mover.SPIDER,
}  # fmt: skip
HUES = {
    "red": (345, 18), "orange": (14, 44), "brown": (8, 44), "yellow": (42, 68), "green": (70, 168),
    "teal": (155, 200), "turquoise": (155, 200), "blue": (190, 258), "purple": (250, 312),
    "violet": (245, 312), "magenta": (285, 338), "pink": (305, 360),
}  # fmt: skip
"""Degrees; where the first is the greater, the range goes over 360."""
SHARES = {"world": 0.15, "accent": 0.003}
"""Part of the pixels that must have a named colour; saturated or light enough to be called by its name."""


def _tiles(world: CompiledWorld, tile: Tile) -> int:
    return int((world.tiles == tile).sum())


def _enemies(world: CompiledWorld) -> list[int]:
    return [int(k) for k in world.mover_kinds if k not in (Mover.NONE, Mover.PLATFORM)]


def _only(kind: str) -> Callable[[CompiledWorld], bool]:
    if kind == "none":
        return lambda world: not _enemies(world)
    return lambda world: KINDS[kind] in _enemies(world) and set(_enemies(world)) == {int(KINDS[kind])}


CHECKS: dict[str, dict[str, Callable[[CompiledWorld], bool]]] = {
    "view": {"side": lambda w: not w.mechanics.top_view, "top": lambda w: w.mechanics.top_view},
    "gravity": {
        "low": lambda w: w.mechanics.gravity == 1,
        "normal": lambda w: w.mechanics.gravity == 2,
        "high": lambda w: w.mechanics.gravity == 3,
    },
    "speed": {"slow": lambda w: w.mechanics.speed <= 4, "fast": lambda w: w.mechanics.speed >= 7},
    "jump": {
        "low": lambda w: w.mechanics.jump**2 / w.mechanics.gravity < 128,
        "high": lambda w: w.mechanics.jump**2 / w.mechanics.gravity > 148,
    },
    "ice": {"some": lambda w: _tiles(w, Tile.ICE) > 0 or w.mechanics.accel == 1},
    "water": {"some": lambda w: _tiles(w, Tile.WATER) > 0, "none": lambda w: _tiles(w, Tile.WATER) == 0},
    "wind": {
        "some": lambda w: w.mechanics.wind != 0,
        "left": lambda w: w.mechanics.wind < 0,
        "right": lambda w: w.mechanics.wind > 0,
        "none": lambda w: w.mechanics.wind == 0,
    },
    "double_jump": {"yes": lambda w: w.mechanics.air_jumps == 1},
    "platforms": {"some": lambda w: bool((w.mover_kinds == Mover.PLATFORM).any())},
    "enemies": {kind: _only(kind) for kind in (*KINDS, "none")},
    "enemy_count": {
        "few": lambda w: 1 <= len(_enemies(w)) <= 3,
        "many": lambda w: len(_enemies(w)) >= min(6, MAX_ENEMIES),
    },
    "enemy_speed": {"slow": lambda w: w.mechanics.enemy_speed == 1},
    "hazards": {
        "none": lambda w: _tiles(w, Tile.HAZARD) == 0,
        "some": lambda w: _tiles(w, Tile.HAZARD) > 0,
        "many": lambda w: _tiles(w, Tile.HAZARD) >= 8,
    },
    "coins": {"few": lambda w: _tiles(w, Tile.COIN) <= 8, "many": lambda w: _tiles(w, Tile.COIN) >= 25},
    "dark": {"yes": lambda w: w.mechanics.darkness >= 2, "no": lambda w: w.mechanics.darkness == 0},
    "day": {"yes": lambda w: w.mechanics.day_length > 0},
    "coins_needed": {},
}


def honoured(world: CompiledWorld, name: str, value: object) -> bool:
    """Whether a world has a named mechanic. Raises KeyError for a word that CHECKS does not know."""
    if name == "coins_needed":
        return world.mechanics.coins_needed == value
    return CHECKS[name][str(value)](world)


def colour_share(world: CompiledWorld, part: str, colour: str) -> float:
    """Share of the open part of a world's picture that one would call by a colour's name."""
    open_tiles = world.tiles != Tile.SOLID
    near = np.zeros_like(open_tiles)
    for dy in (-1, 0, 1):  # walls are seen from beside them
        for dx in (-1, 0, 1):
            near |= np.roll(open_tiles, (dy, dx), (0, 1))
    shown = np.kron(near, np.ones((TILE, TILE), dtype=bool))
    pixels = world.picture[shown][:: 5 if part == "world" else 2].astype(np.float64) / 255
    return float(_called(pixels, colour).mean())


def _called(rgb: np.ndarray, colour: str) -> np.ndarray:
    """(N,) bool of (N, 3) in 0..1."""
    high, low = rgb.max(1), rgb.min(1)
    chroma = high - low
    saturation = np.divide(chroma, high, out=np.zeros_like(high), where=high > 0)
    if colour in {"white", "grey", "black"}:
        wanted = {"white": high > 0.72, "grey": (high > 0.2) & (high < 0.8), "black": high < 0.2}[colour]
        return wanted & ((saturation < 0.25) | (high < 0.12))
    hue = np.array([colorsys.rgb_to_hsv(*c)[0] * 360 for c in rgb])
    start, end = HUES[colour]
    inside = (hue >= start) & (hue <= end) if start <= end else (hue >= start) | (hue <= end)
    return inside & (saturation > 0.22) & (high > 0.15)


@dataclass
class Result:
    """One named thing."""

    prompt: str
    name: str
    wanted: str
    honoured: bool
    baseline: bool
    """Whether the world of a prompt that says nothing has it too."""


def check(prompts: list[dict[str, object]]) -> tuple[list[Result], list[float]]:
    """Compile every prompt and the baseline; results, and seconds per prompt."""
    silent = _compile("a world", 0)
    results, seconds = [], []
    for number, entry in enumerate(prompts):
        text = str(entry["prompt"])
        begun = time.perf_counter()
        world = _compile(text, number)
        seconds.append(time.perf_counter() - begun)
        for name, value in dict(entry.get("named", {})).items():  # type: ignore[call-overload]
            results.append(
                Result(text, name, str(value), honoured(world, name, value), honoured(silent, name, value))
            )
        for part, colour in dict(entry.get("colours", {})).items():  # type: ignore[call-overload]
            there, base = (colour_share(w, part, colour) >= SHARES[part] for w in (world, silent))
            results.append(Result(text, part, colour, there, base))
    return results, seconds


def _compile(prompt: str, seed: int) -> CompiledWorld:
    spec = WorldSpec(title=f"prompt {seed}", prompt=prompt, seed=seed)
    return compile_world(WorldPackage(spec, images={}, sounds={}, videos={}, sha256=f"{seed:064x}", raw={}))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prompts", type=Path, nargs="?", default=Path(__file__).with_name("prompts.yaml"))
    parser.add_argument("--json", type=Path, help="write all results here")
    wanted = parser.parse_args()
    prompts = YAML(typ="safe").load(wanted.prompts)
    results, seconds = check(prompts)
    table = Table(title=f"{len(prompts)} prompts; what is missing")
    for heading in ("prompt", "named", "wanted"):
        table.add_column(heading)
    for missed in (r for r in results if not r.honoured):
        table.add_row(missed.prompt, missed.name, missed.wanted)
    Console().print(table)
    share = sum(r.honoured for r in results) / len(results)
    base = sum(r.baseline for r in results) / len(results)
    middle = float(np.median(seconds[1:] or seconds))
    print(f"honoured: {share:.3f} of {len(results)} named things (a silent prompt: {base:.3f})")
    print(f"prompt to compiled world: median {middle:.2f} s, slowest {max(seconds[1:] or seconds):.2f} s")
    if wanted.json:
        told = {"share": share, "baseline": base, "seconds": seconds, "results": [asdict(r) for r in results]}
        wanted.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0 if share >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
