"""One vector of how a world looks and plays, for diversity and for families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moderation.likeness import Signature

LOOK, WORDS, PLAY = 0.6, 0.15, 0.25
"""Shares of the three parts in a product of two vectors; they add up to 1."""
RANGES: Mapping[str, tuple[float, float]] = {
    "gravity": (0, 3),
    "jump": (0, 2),
    "speed": (0, 2),
    "friction": (0, 1),
    "hazards": (0, 1),
    "collectibles": (0, 1),
    "darkness": (0, 1),
    "wind": (-1, 1),
    "water": (0, 1),
    "ice": (0, 1),
    "platforms": (0, 1),
    "day_length": (0, 300),
    "coins_needed": (0, 9),
}
"""Numbers of ``mechanics`` in a world's spec, and their limits there."""
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "view": ("side", "top"),
    "enemies": ("none", "walkers", "ghosts", "chasers", "flyers", "spiders"),
    "double_jump": (False, True),
}


def vector(signature: Signature | None, mechanics: Mapping[str, Any]) -> NDArray[np.float32]:
    """A unit vector (D,); all zeros without a signature, which makes a world like nothing."""
    if signature is None:
        return np.zeros(0, np.float32)
    look = _unit(signature.shares @ signature.looks)
    words = np.zeros(0, np.float32) if signature.words is None else _unit(signature.words)
    parts = [LOOK**0.5 * look, WORDS**0.5 * words, PLAY**0.5 * _unit(_played(mechanics))]
    return _unit(np.concatenate(parts).astype(np.float32))


def stack(vectors: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(W, D); vectors of another length than most (other embeddings, or none) become zeros."""
    lengths = [len(one) for one in vectors if len(one)]
    width = max(set(lengths), key=lengths.count) if lengths else 1
    return np.stack([one if len(one) == width else np.zeros(width, np.float32) for one in vectors])


def _played(mechanics: Mapping[str, Any]) -> NDArray[np.float32]:
    numbers = [_scaled(mechanics.get(name), *limits) for name, limits in RANGES.items()]
    chosen = [float(mechanics.get(name) == choice) for name, choices in CHOICES.items() for choice in choices]
    return np.array([*numbers, *chosen, 0.5], np.float32)


def _scaled(value: Any, low: float, high: float) -> float:
    """-1..1; 0 for what the spec leaves to the prompt."""
    return 0.0 if value is None else 2 * (float(value) - low) / (high - low) - 1


def _unit(array: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(array / max(1e-9, float(np.linalg.norm(array))), np.float32)
