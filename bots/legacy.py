"""What an exploration leaves to the remixes of its world: its ways, and how often it went on from where."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bots import storage
from bots.archive import Archive
from bots.view import WINDOW
from worldmodel.compiled import CompiledWorld


@dataclass(frozen=True)
class Legacy:
    """Ways of an archive, without its states: those are regained by carrying the ways out."""

    parent: NDArray[np.int64]
    """(S,) segment before, -1 for none; always of a smaller number."""
    at: NDArray[np.int64]
    """(S,) steps of the one before that come first."""
    seed: NDArray[np.int64]
    spawn: NDArray[np.int64]
    length: NDArray[np.int64]
    """(S,) steps; all that something still stands on."""
    actions: NDArray[np.uint8]
    """(sum of lengths,)."""
    cell: NDArray[np.int64]
    """(N,) cells with, as their entries counted,"""
    tile: NDArray[np.int64]
    visits: NDArray[np.int64]
    chosen: NDArray[np.int64]
    tiles: NDArray[np.uint8]
    """(MAP_HEIGHT, MAP_WIDTH) of the world."""
    links: NDArray[np.uint8]
    mechanics: NDArray[np.int64]
    """Every number of ``Mechanics``, in its order."""

    @property
    def steps(self) -> int:
        """What carrying it out costs."""
        return int(self.length.sum())

    @property
    def sha256(self) -> str:
        whole = hashlib.sha256()
        for array in self.arrays().values():
            whole.update(np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()

    def segment_actions(self) -> list[NDArray[np.uint8]]:
        return np.split(self.actions, np.cumsum(self.length)[:-1]) if len(self.length) else []

    def arrays(self) -> dict[str, NDArray[Any]]:
        """To be kept; ``Legacy(**arrays)`` is the same again."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def to_bytes(self) -> bytes:
        """For :meth:`from_bytes`."""
        return storage.to_bytes(self.arrays())

    @classmethod
    def from_bytes(cls, data: bytes) -> Legacy:
        """What :meth:`to_bytes` wrote."""
        return cls(**storage.from_bytes(data))


def legacy_of(world: CompiledWorld, archive: Archive) -> Legacy:
    """What the best ways to all cells stand on."""
    entries, segments = archive.entries, archive.tree.segments
    needed = np.full(len(segments), -1, np.int64)
    np.maximum.at(needed, entries.segment, entries.offset)
    for number in range(len(segments) - 1, -1, -1):
        before = segments[number].parent
        if needed[number] >= 0 and before >= 0:
            needed[before] = max(needed[before], segments[number].at)
    kept = np.nonzero(needed >= 0)[0]
    place = np.full(len(segments) + 1, -1, np.int64)  # the last is that of parent -1
    place[kept] = np.arange(len(kept))
    chosen = [segments[number] for number in kept]
    return Legacy(
        parent=place[[s.parent for s in chosen]],
        at=np.array([s.at for s in chosen], np.int64),
        seed=np.array([s.seed for s in chosen], np.int64),
        spawn=np.array([s.spawn for s in chosen], np.int64),
        length=needed[kept],
        actions=np.concatenate(
            [np.zeros(0, np.uint8), *[s.actions[:n] for s, n in zip(chosen, needed[kept], strict=True)]]
        ),
        cell=entries.cell,
        tile=entries.tile,
        visits=entries.visits,
        chosen=entries.chosen,
        tiles=world.tiles,
        links=world.links,
        mechanics=_numbers(world),
    )


def _numbers(world: CompiledWorld) -> NDArray[np.int64]:
    return np.array([int(value) for value in asdict(world.mechanics).values()], np.int64)


def unchanged(legacy: Legacy, world: CompiledWorld) -> NDArray[np.bool_]:
    """(MAP_HEIGHT, MAP_WIDTH) tiles from which the screen and the mechanics are the parent's."""
    if not np.array_equal(legacy.mechanics, _numbers(world)):
        return np.zeros(world.tiles.shape, np.bool_)
    changed = (legacy.tiles != world.tiles) | (legacy.links != world.links)
    near: NDArray[np.bool_] = ndimage.binary_dilation(changed, np.ones((WINDOW, WINDOW), np.bool_))
    return ~near
