"""Views that nobody should see again: what made worlds of one family fail, as perceptual hashes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from moderation import novelty
from moderation.blobs import BlobMissing
from moderation.store import Store
from moderation.store.families import ancestors
from moderation.store.live import ReportKind, reports
from policies.types import Verdict

MOST = 2048
"""Hashes of one world, at most."""
PLAIN = 64
"""Bits of 480: a view with fewer edges looks like any other flat one, and stands for none."""


def flagged_views(store: Store, version: str) -> list[bytes]:
    """Hashes (60 bytes each, :func:`moderation.novelty.difference_hash`) of flagged views, in a fixed order.

    Of other versions of the world and of those that it was made from: the evidence of rules that rejected
    them. Of these and of the version itself: what ended a session of live play. What a person let pass in
    the version itself is not among them.
    """
    world = store.version(version).world
    with store.reading() as connection:
        family = [member.version for member in ancestors(connection, version)]
    others = [one.id for one in store.find_versions(world) if one.id != version] + family
    found: dict[bytes, None] = {}
    for picture in (*_rejected(store, others), *_ended(store, [version, *others])):
        hashed = _hash(store, picture)
        if hashed is not None:
            found[hashed] = None
    return list(found)[:MOST]


def _rejected(store: Store, versions: list[str]) -> Iterator[str]:
    for version in versions:
        for stored in store.decisions(version):
            rules = {fired.rule for fired in stored.decision.fired if fired.action is Verdict.REJECTED}
            for evidence in stored.evidence:
                if evidence.rule in rules:
                    yield from (picture for _, picture in evidence.frames)


def _ended(store: Store, versions: list[str]) -> Iterator[str]:
    for version in versions:
        for report in reports(store, version):
            if report.kind is ReportKind.VIOLATION and report.picture is not None:
                yield report.picture


@lru_cache(maxsize=8192)
def _hash(store: Store, picture: str) -> bytes | None:
    """Of a stored picture; None where it is gone or shows hardly anything."""
    import cv2

    try:
        data = np.frombuffer(store.blobs.read(picture), np.uint8)
    except BlobMissing:
        return None
    frame = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if frame is None:
        return None
    hashed = novelty.difference_hash(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8))
    return hashed.tobytes() if int(np.bitwise_count(hashed).sum()) >= PLAIN else None
