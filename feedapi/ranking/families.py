"""Which worlds are one for the feed: near-identical worlds of one lineage or of one creator.

A hundred copies of a world would be drawn a hundred times, and the luckiest draw would win. As one family
they are one arm; inside it, each creator has one share.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feedapi.ranking.signals import Indices

ALIKE = 0.97
"""Cosine of two worlds' vectors from which they are taken for the same."""
CHUNK = 1024
"""Rows of a table of likeness that are made at once."""


def families(lineage: Indices, creator: Indices, vectors: NDArray[np.float32]) -> Indices:
    """(W,) number of each world's family.

    ``lineage``: number of the first ancestor; ``creator``: number; ``vectors`` (W, D): unit vectors of how
    worlds look and play, zeros where that is not known. Each world belongs with the first of its lineage, and
    with the first of its creator, that it is like. One of which nothing is known belongs with its lineage: a
    remix without a picture cannot pass for something new.
    """
    parent = np.arange(len(lineage))
    known = np.asarray(vectors.any(axis=1))
    for group in (lineage, creator):
        for members in _groups(group):
            for one, other in _pairs(members[known[members]], vectors):
                _join(parent, one, other)
    for members in _groups(lineage):
        for one in members[~known[members]]:
            _join(parent, int(members[0]), int(one))
    return np.array([_root(parent, i) for i in range(len(parent))], np.intp)


def _groups(group: Indices) -> list[Indices]:
    """Members of each group that has several."""
    order = np.argsort(group, kind="stable")
    cuts = np.flatnonzero(np.diff(group[order])) + 1
    return [members for members in np.split(order, cuts) if len(members) > 1]


def _pairs(members: Indices, vectors: NDArray[np.float32]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start in range(0, len(members), CHUNK):
        alike = vectors[members[start : start + CHUNK]] @ vectors[members].T >= ALIKE
        firsts = alike.argmax(axis=1)
        found += [
            (int(members[first]), int(members[start + row]))
            for row, first in enumerate(firsts)
            if first < start + row
        ]
    return found


def _join(parent: Indices, one: int, other: int) -> None:
    one, other = _root(parent, one), _root(parent, other)
    parent[max(one, other)] = min(one, other)


def _root(parent: Indices, of: int) -> int:
    while parent[of] != of:
        parent[of] = parent[parent[of]]
        of = int(parent[of])
    return of
