"""Which drawings train, and which are held out: a family, concepts, and drawings of what policies look for.

Held-out concepts are drawn in no training picture, in no family: neither those concepts nor anything whose
name holds their words or means nearly the same. All choices are by fixed seeds or hashes of names.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moderation.drawings.families import FAMILIES, OBJECT_GROUPS, Drawing, fetch_family
from worldmodel.store import cache_dir

HELD_OUT_FAMILY = "twemoji"
SEED = 20
NAMED, UNSEEN = 200, 50
"""Concepts that are told apart in the evaluation: drawn in training by other hands, and never drawn there."""
_ALIKE = 0.8
"""Cosine of two concepts' embeddings from which they are not both asked for."""
_NEAR = 0.7
"""Cosine to a held-out concept from which a drawing stays out of training."""
_STANDALONE = ("game-icons", "streamline-kameleon-color", "temaki")
"""Icon sets whose names are all of things; of the others, what two families draw is kept."""
_PHRASES = "drawings-phrases.npz"
Side = Literal["drawn", "alike"]


@dataclass(frozen=True)
class LookAlikes:
    """One category of what is looked for, and what looks like it."""

    show: tuple[str, ...]
    against: tuple[str, ...]
    drawn: tuple[str, ...]
    alike: tuple[str, ...]
    exclude: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]]

    def side(self, concept: str) -> Side | None:
        """What a drawing of that name is for this category."""
        if concept in self.alike:
            return "alike"
        padded = f" {concept} "
        if any(f" {words} " in padded for words in self.exclude):
            return None
        return "drawn" if any(f" {words} " in padded for words in self.drawn) else None


@lru_cache(maxsize=1)
def look_alikes() -> Mapping[str, LookAlikes]:
    """The categories of ``data/lookalikes.yaml`` by name."""
    from ruamel.yaml import YAML

    text = files(__package__).joinpath("data/lookalikes.yaml").read_text(encoding="utf-8")
    loaded = YAML(typ="safe", pure=True).load(text)
    return {
        name: LookAlikes(
            show=tuple(body["show"]),
            against=tuple(body["against"]),
            drawn=tuple(body["drawn"]),
            alike=tuple(body["alike"]),
            exclude=tuple(body["not"]),
            synonyms={word: tuple(others) for word, others in body["synonyms"].items()},
        )
        for name, body in loaded.items()
    }


@dataclass(frozen=True)
class Split:
    """Every drawing at its place."""

    training: tuple[Drawing, ...]
    held_out: tuple[Drawing, ...]
    """Drawings of held-out families, and of what policies look for by others: never in training."""
    named: tuple[str, ...]
    unseen: tuple[str, ...]

    def test_drawings(self, concepts: Sequence[str], family: str) -> list[Drawing]:
        """One held-out drawing of each concept by a family, where it has one."""
        first: dict[str, Drawing] = {}
        for drawing in self.held_out:
            if drawing.family == family:
                first.setdefault(drawing.concept, drawing)
        return [first[concept] for concept in concepts if concept in first]


@lru_cache(maxsize=1)
def split() -> Split:
    """The split of all families, fetched where they are not here."""
    use = {family.prefix: family.use for family in FAMILIES}
    drawings = [drawing for family in FAMILIES for drawing in fetch_family(family)]
    trained = [drawing for drawing in drawings if use[drawing.family] == "train"]
    kept = _things(trained)
    unseen = _unseen(kept, drawings)
    near = _near(sorted({drawing.concept for drawing in drawings}), unseen)
    training = [d for d in kept if d.concept not in near and not _kept_back(d)]
    named = _named(training, drawings, unseen)
    placed = set(map(id, training))
    held_out = [d for d in drawings if id(d) not in placed]
    return Split(tuple(training), tuple(held_out), named, unseen)


def _things(trained: Sequence[Drawing]) -> list[Drawing]:
    """Without names that only one set of user-interface icons has."""
    families: dict[str, set[str]] = {}
    for drawing in trained:
        families.setdefault(drawing.concept, set()).add(drawing.family)
    return [
        d
        for d in trained
        if d.group is not None
        or d.family in _STANDALONE
        or len(families[d.concept]) > 1
        or any(one.side(d.concept) for one in look_alikes().values())
    ]


def _coloured_families(drawings: Sequence[Drawing]) -> dict[str, set[str]]:
    """Families that draw each thing among the emoji in colour."""
    found: dict[str, set[str]] = {}
    for drawing in drawings:
        if drawing.group in OBJECT_GROUPS and drawing.coloured:
            found.setdefault(drawing.concept, set()).add(drawing.family)
    return found


def _unseen(kept: Sequence[Drawing], drawings: Sequence[Drawing]) -> tuple[str, ...]:
    tested = {d.concept for d in drawings if d.family == HELD_OUT_FAMILY}
    free = [
        concept
        for concept, families in _coloured_families(kept).items()
        if concept in tested
        and len(families) >= 3
        and not any(one.side(concept) for one in look_alikes().values())
    ]
    return _apart(sorted(free), UNSEEN, np.random.default_rng(SEED))


def _named(
    training: Sequence[Drawing], drawings: Sequence[Drawing], unseen: Sequence[str]
) -> tuple[str, ...]:
    tested = {d.concept for d in drawings if d.family == HELD_OUT_FAMILY}
    free = [
        concept
        for concept, families in _coloured_families(training).items()
        if concept in tested and len(families) >= 2 and concept not in unseen
    ]
    return _apart(sorted(free), NAMED, np.random.default_rng(SEED + 1))


def _apart(concepts: Sequence[str], count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Concepts in random order, each with another meaning than those before."""
    vectors = embeddings(concepts)
    chosen: list[int] = []
    for index in rng.permutation(len(concepts)):
        if len(chosen) < count and (not chosen or (vectors[chosen] @ vectors[index]).max() < _ALIKE):
            chosen.append(int(index))
    return tuple(concepts[index] for index in chosen)


def _near(concepts: Sequence[str], unseen: Sequence[str]) -> set[str]:
    """Concepts that hold a held-out one's words or mean nearly the same."""
    alike = (embeddings(concepts) @ embeddings(unseen).T).max(axis=1) >= _NEAR
    return {
        concept
        for concept, close in zip(concepts, alike, strict=True)
        if close or any(f" {one} " in f" {concept} " for one in unseen)
    }


def _kept_back(drawing: Drawing) -> bool:
    """Whether a drawing of what a policy looks for, or of its look-alikes, only serves the evaluation.

    A third of those that are no emoji: for many things no held-out family has more than a drawing or two.
    """
    if drawing.group is not None or not any(one.side(drawing.concept) for one in look_alikes().values()):
        return False
    return hashlib.sha256(f"{drawing.family}/{drawing.concept}".encode()).digest()[0] % 3 == 0


def embeddings(phrases: Sequence[str]) -> NDArray[np.float32]:
    """(N, 384) of length 1. Those that are made here are kept for the next call."""
    known = _kept()
    if new := [phrase for phrase in dict.fromkeys(phrases) if phrase not in known]:
        from worldmodel.text.encoder import embed

        known.update({phrase: embed(phrase) for phrase in new})
        scratch = cache_dir() / f"drawings-phrases.{os.getpid()}.npz"
        np.savez(scratch, phrases=np.array(list(known)), vectors=np.stack(list(known.values())))
        scratch.replace(cache_dir() / _PHRASES)
    return np.stack([known[phrase] for phrase in phrases])


@lru_cache(maxsize=1)
def _kept() -> dict[str, NDArray[np.float32]]:
    path = cache_dir() / _PHRASES
    if not path.is_file():
        return {}
    kept = np.load(path)
    return dict(zip(kept["phrases"].tolist(), kept["vectors"], strict=True))
