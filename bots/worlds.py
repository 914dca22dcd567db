"""Generated worlds for training and measuring players: layouts of every kind, without pictures or sounds.

They come from the generator that lays out creators' worlds (:mod:`worldmodel.layout`), asked for random
mechanics, shapes and objects. A player sees tiles and meters only, so nothing is painted: these worlds can be
played, but not rendered. Training takes numbers under ``TRAINING_NUMBERS``; from ``EVALUATION_NUMBERS`` on
they are for evaluation. The number is the seed of all that is random, so no world is in both.
"""

from __future__ import annotations

import numpy as np

from bots.dice import key_of
from worldmodel.board import LayoutError, Place, Plan, Wanted
from worldmodel.compiled import Clip, CompiledWorld, Mechanics
from worldmodel.constants import MAX_ENEMIES, MOVERS, TILE, TILE_CLASSES, LeverEffect, Mover
from worldmodel.layout import generate
from worldmodel.travel import jump_height

TRAINING_NUMBERS = 1_000_000
EVALUATION_NUMBERS = 9_000_000
TOP_SHARE = 0.4
"""Share of worlds that are seen from above."""
_JUMPS = (60, 105)
"""Heights of jumps, units: just under two tiles to a little over three."""
_OPEN: tuple[Place, ...] = ("near", "mid", "far")
_WHERE: tuple[Place, ...] = (*_OPEN, "far", "door")
_ENEMIES = (Mover.WALKER, Mover.GHOST, Mover.CHASER, Mover.FLYER, Mover.SPIDER)


def generated_world(number: int) -> CompiledWorld:
    """World ``number``: the same number gives the same world."""
    for attempt in range(100):
        rng = np.random.default_rng(key_of(number, attempt))
        try:
            return _laid_out(number, _plan(rng), int(rng.integers(2**31)))
        except LayoutError:
            continue  # that wish cannot be met: another one
    raise RuntimeError(f"no layout for world {number} in 100 tries: the generator's wishes are too hard")


def _plan(rng: np.random.Generator) -> Plan:
    mechanics = _mechanics(rng)
    side = not mechanics.top_view
    return Plan(
        mechanics=mechanics,
        objects=_objects(rng),
        hazards=float(rng.uniform(0, 0.8)),
        coins=float(rng.uniform(0.2, 1)),
        enemies=_enemies(rng),
        cave=bool(rng.random() < 0.5),
        size=float(rng.uniform(0.7, 1.4)),
        density=float(rng.random()),
        rooms=float(rng.random()),
        verticality=float(rng.random()),
        branches=float(rng.random()),
        secrets=int(rng.integers(0, 4)),
        water=_sometimes(rng, 0.3),
        ice=_sometimes(rng, 0.2) * side,
        platforms=_sometimes(rng, 0.3) * side,
    )


def _sometimes(rng: np.random.Generator, share: float) -> float:
    return float(rng.uniform(0.3, 0.9)) if rng.random() < share else 0.0


def _mechanics(rng: np.random.Generator) -> Mechanics:
    gravity = int(rng.choice([1, 2, 3], p=[0.2, 0.6, 0.2]))
    speed = int(rng.choice([4, 5, 6, 7, 8], p=[0.1, 0.2, 0.4, 0.2, 0.1]))
    wind = int(rng.choice([-2, -1, 1, 2])) if rng.random() < 0.25 else 0
    top_view = bool(rng.random() < TOP_SHARE)
    return Mechanics(
        top_view=top_view,
        gravity=gravity,
        jump=int(rng.choice(_jumps(gravity))),
        speed=speed,
        accel=int(rng.integers(2, 5)),
        enemy_speed=int(rng.integers(1, 4)),
        air_jumps=int(rng.random() < 0.25) * (not top_view),
        wind=max(-(speed // 2), min(speed // 2, wind)),
        platform_speed=int(rng.integers(1, 3)),
        coins_needed=int(rng.integers(1, 6)) if rng.random() < 0.2 else 0,
    )


def _jumps(gravity: int) -> list[int]:
    heights = {jump: jump_height(Mechanics(gravity=gravity, jump=jump)) for jump in range(8, 19)}
    return [jump for jump, height in heights.items() if _JUMPS[0] <= height <= _JUMPS[1]]


def _enemies(rng: np.random.Generator) -> tuple[Mover, ...]:
    count = int(rng.integers(0, MAX_ENEMIES - 1))
    return tuple(_ENEMIES[i] for i in rng.integers(0, len(_ENEMIES), count))


def _objects(rng: np.random.Generator) -> tuple[Wanted, ...]:
    doors = int(rng.choice([0, 1, 2, 3], p=[0.2, 0.4, 0.25, 0.15]))
    kinds = ["door"] * doors + ["opener"] * int(rng.integers(0, doors + 1))
    for kind, most in {"portal": 2, "flash": 2, "character": 3, "sign": 3}.items():
        kinds += [kind] * int(rng.integers(0, most + 1))
    return tuple(_wanted(rng, index, kind, doors) for index, kind in enumerate(kinds))


def _wanted(rng: np.random.Generator, index: int, kind: str, doors: int) -> Wanted:
    places = _OPEN if kind in {"door", "opener"} or not doors else _WHERE
    effect = {"opener": LeverEffect.OPEN, "flash": LeverEffect.FLASH}.get(kind, LeverEffect.NONE)
    return Wanted(
        index=index,
        kind="lever" if kind in {"opener", "flash"} else kind,
        where=places[int(rng.integers(len(places)))],
        effect=effect,
        clip=0 if kind == "character" else -1,
    )


def _laid_out(number: int, plan: Plan, seed: int) -> CompiledWorld:
    layout = generate(plan, seed)
    mechanics = plan.mechanics
    needed = min(mechanics.coins_needed, layout.reachable_coins)
    return CompiledWorld(
        key=f"generated:{number}",
        title=f"generated {number}",
        mechanics=Mechanics(**{**vars(mechanics), "coins_needed": needed}),
        tiles=layout.tiles,
        links=layout.links,
        effects=layout.effects,
        portals=layout.portals,
        spawns=layout.spawns,
        mover_kinds=layout.mover_kinds,
        mover_spawns=layout.mover_spawns,
        mover_headings=layout.mover_headings,
        picture=np.zeros((1, 1, 3), np.uint8),
        atlas=np.zeros((TILE_CLASSES, TILE, TILE, 4), np.uint8),
        sprites=np.zeros((MOVERS, TILE, 2 * TILE, 4), np.uint8),
        clips=(Clip("voice", np.zeros(1, np.float32)),),
        placed=layout.placed,
    )
