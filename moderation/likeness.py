"""How alike two worlds are, by what they show and by what they are called.

It finds what a hash of the content cannot: a rejected world that comes back with another seed or a changed
sign, and worlds of one kind that would fill a feed. It is a hint of where to look and never decides alone:
two honest worlds may both be green caves.

A world's *signature* is a few typical looks among its distinct frames, as vectors of whatever function embeds
pictures, and a vector of its words. :func:`describe` embeds by colour and structure and needs no weights; the
picture tower of an image-text model can stand in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bots import storage

LOOKS = 8
"""Typical looks of a signature at most."""
WORDS = 0.25
"""Weight of the words where both worlds have some: they can be changed at no cost."""
HUES, SHADES, DIRECTIONS, SCALES = 12, 4, 8, 3
COLOUR = 0.7
"""Weight of colour against structure in :func:`describe`."""

Vectors: TypeAlias = NDArray[np.float32]
Embed: TypeAlias = Callable[[NDArray[np.uint8]], Vectors]
"""Pictures (N, H, W, 3) RGB to unit vectors (N, D)."""


@dataclass(frozen=True)
class Signature:
    """What a world looks like and is called. Only signatures of one embedding can be compared."""

    looks: Vectors
    """(K, D) unit vectors."""
    shares: Vectors
    """(K,) of the frames each stands for; they add up to 1."""
    words: Vectors | None = None
    """(W,) unit vector."""

    def to_bytes(self) -> bytes:
        """For :meth:`from_bytes`."""
        words = np.zeros(0, np.float32) if self.words is None else self.words
        return storage.to_bytes({"looks": self.looks, "shares": self.shares, "words": words})

    @classmethod
    def from_bytes(cls, data: bytes) -> Signature:
        """What :meth:`to_bytes` wrote."""
        arrays = storage.from_bytes(data)
        words = arrays["words"]
        return cls(arrays["looks"], arrays["shares"], words if len(words) else None)


@dataclass(frozen=True)
class Near:
    """One of the most similar worlds."""

    world: str
    likeness: float


def signature(pictures: NDArray[np.uint8], embed: Embed | None = None, words: str = "") -> Signature:
    """Of distinct frames (N, H, W, 3) and, where given, the title and the prompt.

    Raises ValueError without pictures, ``worldmodel.store.ModelMissing`` for words without the text encoder.
    """
    if not len(pictures):
        raise ValueError("a signature needs at least one picture: let the world be played first")
    vectors = (embed or describe)(pictures)
    typical = _spread(vectors, LOOKS)
    belongs = (vectors @ vectors[typical].T).argmax(axis=1)
    shares = np.bincount(belongs, minlength=len(typical)) / len(pictures)
    said = _said(words) if words.strip() else None
    return Signature(vectors[typical], shares.astype(np.float32), said)


def likeness(one: Signature, other: Signature) -> float:
    """0..1. Each look is compared with the nearest look of the other world, in both directions.

    Raises ValueError for signatures of different embeddings.
    """
    if one.looks.shape[1] != other.looks.shape[1]:
        raise ValueError(
            f"signatures of {one.looks.shape[1]} and {other.looks.shape[1]} dimensions cannot be compared:"
            " make both with the same embedding"
        )
    table = one.looks @ other.looks.T
    seen = (one.shares @ table.max(axis=1) + other.shares @ table.max(axis=0)) / 2
    if one.words is None or other.words is None:
        return float(np.clip(seen, 0, 1))
    return float(np.clip((1 - WORDS) * seen + WORDS * (one.words @ other.words), 0, 1))


def nearest(signature: Signature, others: Mapping[str, Signature], count: int = 5) -> list[Near]:
    """The ``count`` most similar worlds, most similar first; ties by name."""
    found = [Near(world, likeness(signature, other)) for world, other in others.items()]
    return sorted(found, key=lambda near: (-near.likeness, near.world))[:count]


def describe(pictures: NDArray[np.uint8]) -> Vectors:
    """Unit vectors (N, D) of colours and structure, wherever in the picture they are: cameras move."""
    return np.stack([_described(picture) for picture in pictures])


def _described(picture: NDArray[np.uint8]) -> Vectors:
    import cv2

    small = np.asarray(cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA), np.uint8)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)
    scales = [cv2.resize(grey, (64 >> n, 64 >> n), interpolation=cv2.INTER_AREA) for n in range(SCALES)]
    structure = np.concatenate([_directions(np.asarray(scale, np.float32)) for scale in scales])
    # Roots of shares: the product of two such vectors is their Bhattacharyya coefficient.
    colour, structure = (
        np.sqrt(part / max(1e-9, float(part.sum()))) for part in (_colours(small), structure)
    )
    return np.concatenate([COLOUR**0.5 * colour, (1 - COLOUR) ** 0.5 * structure]).astype(np.float32)


def _colours(picture: NDArray[np.uint8]) -> Vectors:
    """Shares of hue, saturation and value."""
    import cv2

    hue, saturation, value = (
        plane.astype(np.intp) for plane in cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
    )
    place = (hue * HUES // 180 * SHADES + saturation * SHADES // 256) * SHADES + value * SHADES // 256
    return np.bincount(place.ravel(), minlength=HUES * SHADES * SHADES).astype(np.float32)


def _directions(grey: Vectors) -> Vectors:
    """How much gradient there is in each direction, and how much there could be more."""
    down, across = np.gradient(grey)
    size = np.hypot(down, across)
    place = ((np.arctan2(down, across) % np.pi) / np.pi * DIRECTIONS).astype(np.intp) % DIRECTIONS
    found = np.bincount(place.ravel(), size.ravel(), DIRECTIONS)
    return np.append(found, max(0.0, 32.0 * size.size - found.sum())).astype(np.float32)


def _spread(vectors: Vectors, count: int) -> NDArray[np.intp]:
    """Up to ``count`` vectors far from each other: the most central first, then always the farthest."""
    chosen = [int((vectors @ vectors.mean(axis=0)).argmax())]
    closeness = vectors @ vectors[chosen[0]]
    while len(chosen) < count and closeness.min() < 1 - 1e-6:
        chosen.append(int(closeness.argmin()))
        closeness = np.maximum(closeness, vectors @ vectors[chosen[-1]])
    return np.array(chosen, np.intp)


def _said(words: str) -> Vectors:
    from worldmodel.text.encoder import embed

    return embed(words)
