"""Generated worlds with painted pictures: for training the decoder, and, from other words, for evaluation.

Training and evaluation share no theme, no picture, no seed, and no pair of
:data:`worldmodel.practice.HELD_OUT_PAIRS` is in a training world.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from worldmodel.compiled import CompiledWorld
from worldmodel.compiler import compile_world
from worldmodel.constants import SAMPLE_RATE
from worldmodel.package import WorldPackage
from worldmodel.spec import (
    Character,
    Door,
    Lever,
    Mechanics,
    NearSpawn,
    Portal,
    Sign,
    Sprites,
    Style,
    WorldObject,
    WorldSpec,
)

PictureUse: TypeAlias = Literal["reference", "backdrop", "sprites"]
PICTURE_USES: tuple[PictureUse, ...] = ("reference", "backdrop", "sprites")
PICTURED_EVERY = 4
"""One world in so many has a picture of its own."""


def _mechanics(**given: Any) -> Mechanics:
    """Nothing is left to the prompt, so that no theme brings a held-out pair about."""
    plain = {
        "view": "side", "gravity": 1.0, "jump": 1.1, "wind": 0.0, "water": 0.0, "ice": 0.0, "platforms": 0.0,
        "double_jump": False, "darkness": 0.0, "day_length": 0.0, "coins_needed": 0, "collectibles": 0.7,
        "hazards": 0.4,
    }  # fmt: skip
    return Mechanics(**{**plain, **given})


TRAINING_THEMES = (
    "a mossy forest",
    "a burning lava cave",
    "a frozen mountain",
    "a neon city at night",
    "a dark cavern",
    "a muddy swamp",
    "an old warehouse",
)
TRAINING_MECHANICS = (
    _mechanics(enemies="ghosts", collectibles=0.9),
    _mechanics(enemies="flyers", water=0.6, double_jump=True),
    _mechanics(enemies="walkers", ice=0.7, friction=0.5, gravity=0.4),
    _mechanics(enemies="spiders", platforms=0.7, double_jump=True, darkness=0.6),
    _mechanics(enemies="chasers", wind=0.7, hazards=0.7, day_length=40.0),
    _mechanics(enemies="ghosts", view="top", water=0.5),
    _mechanics(enemies="chasers", view="top", wind=-0.6, darkness=0.9),
    _mechanics(enemies="walkers", gravity=1.8, water=0.4, platforms=0.5, coins_needed=3),
)
EVALUATION_THEMES = (
    "a flower garden",
    "a moon base",
    "a sandy desert",
    "a rocky coast with a lighthouse",
    "a paper market",
)
EVALUATION_MECHANICS = (
    _mechanics(enemies="chasers", water=0.7, ice=0.5, collectibles=1.0),
    _mechanics(enemies="ghosts", wind=0.8, double_jump=True),
    _mechanics(enemies="walkers", view="top", water=0.5, wind=0.5, darkness=0.5),
    _mechanics(enemies="flyers", platforms=0.8, wind=-0.6, day_length=30.0),
    _mechanics(enemies="spiders", gravity=0.4, water=0.7, platforms=0.6, coins_needed=2),
    _mechanics(enemies="walkers", gravity=1.8, ice=0.9, hazards=0.7),
    _mechanics(enemies="spiders", platforms=0.8, double_jump=True, day_length=60.0, jump=1.3),
    _mechanics(enemies="ghosts", view="top", speed=1.5),
    _mechanics(enemies="flyers", darkness=0.9, friction=0.2, hazards=0.8, speed=1.4),
)
"""Every mechanic, and every held-out pair."""
VOICE = "hello.wav"
OPENER = Lever(kind="lever", effect="open_door")
"""In every other world; in the rest a key opens the door."""
OBJECTS: tuple[WorldObject, ...] = (
    Door(kind="door"),
    Portal(kind="portal"),
    Lever(kind="lever", effect="lights_flash"),
    Character(kind="character", says=VOICE, where=NearSpawn(near="spawn")),
)


def generated_worlds(count: int, seed: int, *, evaluation: bool = False) -> list[CompiledWorld]:
    """``count`` worlds whose themes, pictures and seeds the other set never uses."""
    return [
        _world(number, seed, evaluation=evaluation, picture=_picture_use(number)) for number in range(count)
    ]


def pictured_worlds(
    use: PictureUse, count: int, seed: int, *, evaluation: bool = False
) -> list[CompiledWorld]:
    """``count`` worlds that all use pictures in this way."""
    return [_world(500 + number, seed, evaluation=evaluation, picture=use) for number in range(count)]


def _picture_use(number: int) -> PictureUse | None:
    turn, last = divmod(number, PICTURED_EVERY)
    return PICTURE_USES[turn % len(PICTURE_USES)] if last == PICTURED_EVERY - 1 else None


def _world(number: int, seed: int, *, evaluation: bool, picture: PictureUse | None) -> CompiledWorld:
    themes, mechanics = (
        (EVALUATION_THEMES, EVALUATION_MECHANICS) if evaluation else (TRAINING_THEMES, TRAINING_MECHANICS)
    )
    own_seed = seed * 1_000 + number + (500_000 if evaluation else 0)
    style, images = _style(picture, np.random.default_rng(own_seed), evaluation=evaluation)
    # the lists' lengths are coprime, so that every theme meets every set of mechanics
    spec = WorldSpec(
        title=f"generated {own_seed}",
        prompt=themes[number % len(themes)],
        mechanics=mechanics[number % len(mechanics)],
        style=style,
        objects=(Sign(kind="sign", text=f"room {own_seed % 97}"), *OBJECTS, *[OPENER] * (number % 2)),
        seed=own_seed,
    )
    digest = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
    sounds = {VOICE: _voice()}
    return compile_world(WorldPackage(spec, images, sounds, videos={}, sha256=digest, raw={}))


def _voice() -> NDArray[np.float32]:
    """A quarter of a second at 330 Hz."""
    time = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    return np.asarray(0.3 * np.sin(2 * np.pi * 330 * time), dtype=np.float32)


def _style(
    use: PictureUse | None, rng: np.random.Generator, *, evaluation: bool
) -> tuple[Style, dict[str, NDArray[np.uint8]]]:
    """The style that uses drawings of this set's families, and the drawings by name."""
    families = (_CHECKS, _RINGS, _BLOBS) if evaluation else (_STRIPES, _SLOPE, _GRAIN)
    family = families[int(rng.integers(len(families)))]
    if use == "reference":
        return Style(reference="reference.png"), {"reference.png": drawing(family, 96, rng)}
    if use == "backdrop":
        return Style(backdrop="backdrop.png"), {"backdrop.png": drawing(family, 192, rng)}
    if use == "sprites":
        names = {"player": "player.png", "enemy": "enemy.png", "character": "character.png"}
        edge = 4 if evaluation else 0.8
        return Style(sprites=Sprites(**names)), {name: figure(edge, rng) for name in names.values()}
    return Style(), {}


_STRIPES, _SLOPE, _GRAIN, _CHECKS, _RINGS, _BLOBS = range(6)


def drawing(family: int, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(side, side, 4) RGBA, opaque: a pattern in three random colours."""
    y, x = np.mgrid[0:side, 0:side] / side
    turn, scale = rng.uniform(0, np.pi), rng.uniform(3, 7)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    spots = rng.uniform(0, 1, (6, 2))
    nearest = np.min([np.hypot(x - a, y - b) for a, b in spots], axis=0)
    value = {
        _STRIPES: np.floor(along * scale * 2) % 3 / 2,
        _SLOPE: along - along.min(),
        _GRAIN: rng.uniform(0, 1, (side // 4, side // 4)).repeat(4, 0).repeat(4, 1),
        _CHECKS: (np.floor(along * scale * 2) + np.floor(across * scale * 2)) % 2,
        _RINGS: np.floor(np.hypot(x - 0.5, y - 0.5) * scale * 3) % 3 / 2,
        _BLOBS: (nearest < 0.12) * 0.5 + (nearest < 0.2) * 0.5,
    }[family]
    colours = rng.integers(20, 236, (3, 3))
    mixed = np.stack([np.interp(value, (0, 0.5, 1), colours[:, band]) for band in range(3)], -1)
    return np.dstack([mixed, np.full((side, side), 255)]).astype(np.uint8)


def figure(power: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(32, 32, 4) RGBA: a superellipse, a star for powers under 1 and nearly a square over 3, with eyes."""
    y, x = (np.mgrid[0:32, 0:32] - 15.5) / 15
    inside = np.abs(x) ** power + np.abs(y) ** power < 1
    eyes = (np.abs(np.abs(x) - 0.25) < 0.1) & (np.abs(y + 0.15) < 0.15)
    rgba = np.zeros((32, 32, 4), dtype=np.uint8)
    rgba[inside] = (*rng.integers(60, 256, 3), 255)
    rgba[inside & eyes] = (10, 10, 20, 255)
    return rgba
