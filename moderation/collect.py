"""Removes blobs that no row names: what a crash, a cancelled review or an erasure left behind."""

from __future__ import annotations

from dataclasses import dataclass

from moderation.store import Store

GRACE = 86_400.0
"""Seconds: a younger blob may belong to a row that is about to be written."""


@dataclass(frozen=True)
class Collected:
    """What a collection did."""

    removed: int
    freed: int
    """Bytes."""
    kept: int


def collect(store: Store, grace: float = GRACE) -> Collected:
    """Remove every blob without a row that was last put more than ``grace`` seconds ago."""
    # listed before the rows are read: a blob that is named in between is not removed
    lying = list(store.blobs.kept())
    named = store.named_blobs()
    orphans = [blob for blob in lying if blob.sha256 not in named and blob.age > grace]
    for blob in orphans:
        store.blobs.delete(blob.sha256)
    return Collected(len(orphans), sum(blob.size for blob in orphans), len(lying) - len(orphans))
