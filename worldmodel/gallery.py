"""Generated worlds with painted pictures: for training the decoder, and, from other words, for evaluation."""

from __future__ import annotations

import hashlib
from itertools import islice, product

from worldmodel.compiled import CompiledWorld
from worldmodel.compiler import compile_world
from worldmodel.package import WorldPackage
from worldmodel.spec import Door, Lever, Portal, Sign, WorldObject, WorldSpec

TRAINING = (
    ("a mossy forest", "a burning lava cave", "a frozen mountain", "a neon city at night", "a dark cavern"),
    ("with many coins", "with slow ghosts", "full of spikes", "with patrolling walkers"),
    ("seen from above", "from the side"),
)
EVALUATION = (
    ("a quiet garden", "a moon base", "a sandy desert", "an icy cave with lanterns"),
    ("with hunting chasers and coins", "with ghosts and low gravity", "with walkers, very fast"),
    ("seen from above", "from the side"),
)

EVALUATION_OBJECTS = (
    Door(kind="door"),
    Portal(kind="portal"),
    Lever(kind="lever", effect="lights_flash"),
)


def generated_worlds(count: int, seed: int, *, evaluation: bool = False) -> list[CompiledWorld]:
    """``count`` worlds whose prompts and seeds the other set never uses."""
    words = list(product(*(EVALUATION if evaluation else TRAINING)))
    step = 7  # coprime with both lists' lengths, so that neighbours differ in every word
    chosen = (words[(i * step) % len(words)] for i in range(count))
    start = seed * 1_000 + (500_000 if evaluation else 0)
    things = EVALUATION_OBJECTS if evaluation else ()
    return [_world(" ".join(parts), start + i, things) for i, parts in enumerate(islice(chosen, count))]


def _world(prompt: str, seed: int, things: tuple[WorldObject, ...]) -> CompiledWorld:
    sign = Sign(kind="sign", text=f"room {seed % 97}")
    spec = WorldSpec(title=f"generated {seed}", prompt=prompt, objects=(sign, *things), seed=seed)
    digest = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
    return compile_world(WorldPackage(spec, images={}, sounds={}, videos={}, sha256=digest, raw={}))
