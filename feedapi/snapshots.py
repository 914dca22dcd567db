"""Rankings in force: read what is known, rank, keep the list for some minutes, and find it again.

A :class:`Shelf` belongs to one server process. Its snapshots are rows of the database, so that processes
share them and a restart loses none. Only the first request of an audience waits for a ranking; later ones
get the last snapshot while a thread of the shelf makes the next.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock, RLock

import numpy as np
from numpy.typing import NDArray

from bots import storage
from feedapi.ranking.families import families
from feedapi.ranking.looks import stack, vector
from feedapi.ranking.posterior import Evidence, choose_spawn, posterior, votes, world_prior
from feedapi.ranking.rank import DRAWS, Arms, Settings, rank
from feedapi.ranking.signals import Sessions
from feedapi.ranking.snapshot import FRESH, KEPT, Item, OldCursor, Snapshot
from moderation.blobs import BlobMissing
from moderation.likeness import Signature
from moderation.store import Store
from moderation.store.feed import Candidate, PlayedSession, StoredSnapshot

WINDOW = 60 * 24 * 3600.0
"""Seconds of sessions that a ranking looks back."""
PLAYED, NEWEST, OTHERS = 6000, 2000, 2000
"""Candidates at most, of each kind: 10,000 arms are ranked in some milliseconds."""
SOON, SHARE = 10.0, 100.0
"""A world that is published is ranked after so many seconds, and after so many times what a ranking takes: in
a small installation at once, in a large one with the next ranking."""
LOOKS_AT_ONCE, LOOKS_WAITED_FOR = 1500, 200
"""Looks of worlds that one ranking reads at most, and one for which somebody waits; others follow later."""
DRAWS_WAITED_FOR = 16
"""As :data:`feedapi.ranking.rank.DRAWS`, for a ranking for which somebody waits."""
KEPT_LOOKS = 12_000
KEPT_SNAPSHOTS = 64


@dataclass(frozen=True)
class Known:
    """What a ranking is made from."""

    versions: list[str]
    arms: Arms
    spawns: dict[str, Evidence]
    """By world, of its spawn points from 0."""
    means: dict[str, float]
    """By world, of its posterior."""


class Looks:
    """Vectors of how worlds look and play, read once. Used by one thread at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def of(self, versions: Sequence[str], at_once: int) -> NDArray[np.float32]:
        """(W, D), the first ``at_once`` of those that are not known read now; zeros for the others."""
        missing = [version for version in versions if version not in self._kept][:at_once]
        for version, look in self._store.feed.looks(missing).items():
            self._kept[version] = vector(self._signature(look.signature), look.mechanics)
        rows = [self._kept.get(version, np.zeros(0, np.float32)) for version in versions]
        while len(self._kept) > KEPT_LOOKS:
            self._kept.popitem(last=False)
        return stack(rows) if rows else np.zeros((0, 1), np.float32)

    def _signature(self, blob: str | None) -> Signature | None:
        try:
            return None if blob is None else Signature.from_bytes(self._store.blobs.read(blob))
        except BlobMissing:
            return None


class Shelf:
    """Snapshots by audience and by id. Threads may share it."""

    def __init__(
        self,
        store: Store,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
        fresh: float = FRESH,
    ) -> None:
        self._store = store
        self._settings = settings or Settings()
        self._clock = clock
        self._fresh = fresh
        self._looks = Looks(store)
        self._known: Known | None = None
        self._took = 0.0
        """Seconds that the last ranking of this process took."""
        self._ranking = RLock()
        self._lock = Lock()
        self._newest: dict[str, Snapshot] = {}
        self._by_id: OrderedDict[str, Snapshot] = OrderedDict()
        self._worker = ThreadPoolExecutor(1, "feed-ranking")
        self._waiting: set[str] = set()

    def close(self) -> None:
        """Finish the ranking in hand."""
        self._worker.shutdown(cancel_futures=True)

    def current(self, audience: str) -> Snapshot:
        """What somebody who begins to page gets now; an older one while the next is being made."""
        snapshot = self._usable(audience) or self._shared(audience)
        if snapshot is None:
            return self._waited_for(audience)
        if snapshot.created < self._clock() - self._fresh or self._lacks_new_worlds(snapshot):
            self._renew(audience)
        return snapshot

    def find(self, snapshot_id: str) -> Snapshot:
        """Of somebody who pages on. Raises OldCursor."""
        found = self._by_id.get(snapshot_id)
        if found is None:
            stored = self._store.feed.snapshot(snapshot_id)
            found = None if stored is None else self._keep(stored)
        if found is None or found.created < self._clock() - KEPT:
            raise OldCursor("the cursor's ranking is gone: begin again without one")
        return found

    def spawn(self, world: str, spawns: int) -> tuple[int, float]:
        """Where the next player should start in a world, of so many spawn points, and how probably so."""
        rng = np.random.default_rng(secrets.randbits(64))
        known = self._known
        if known is None:  # the ranking in force was made before a restart
            self._worker.submit(self._learn_first)
        if known is None or world not in known.spawns:
            return int(rng.integers(spawns)), 1 / spawns
        played = known.spawns[world]
        good, bad = _resized(played.good, spawns), _resized(played.bad, spawns)
        return choose_spawn(good, bad, known.means[world], rng)

    def _learn_first(self) -> None:
        if self._known is None:
            self._learn()

    def _learn(self) -> None:
        """What is known now, for spawn points; no look is read, since nothing is ranked by it."""
        with self._ranking:
            self._known = learn(self._store, self._looks, self._clock(), 0)

    def _shared(self, audience: str) -> Snapshot | None:
        """What another process, or this one before a restart, has made."""
        stored = self._store.feed.newest_snapshot(audience, self._clock() - KEPT / 2)
        return None if stored is None else self._keep(stored)

    def _renew(self, audience: str) -> None:
        with self._lock:
            if audience in self._waiting:
                return
            self._waiting.add(audience)
        self._worker.submit(self._renewed, audience)

    def _lacks_new_worlds(self, snapshot: Snapshot) -> bool:
        if self._clock() < snapshot.created + max(SOON, SHARE * self._took):
            return False
        return self._store.feed.newest_publication() > snapshot.created

    def _renewed(self, audience: str) -> None:
        try:
            since = max(self._clock() - self._fresh, self._store.feed.newest_publication())
            made_elsewhere = self._store.feed.newest_snapshot(audience, since)
            if made_elsewhere is None:
                self._make(audience)
            else:
                self._keep(made_elsewhere)
                self._learn()
        finally:
            self._waiting.discard(audience)

    def _usable(self, audience: str) -> Snapshot | None:
        """The newest in this process, unless those who begin with it could not page on for long."""
        newest = self._newest.get(audience)
        return None if newest is None or newest.created < self._clock() - KEPT / 2 else newest

    def _waited_for(self, audience: str) -> Snapshot:
        """The first of an audience, made once however many ask for it, and quickly."""
        with self._ranking:
            return self._usable(audience) or self._make(audience, LOOKS_WAITED_FOR, DRAWS_WAITED_FOR)

    def _make(self, audience: str, looks: int = LOOKS_AT_ONCE, draws: int = DRAWS) -> Snapshot:
        with self._ranking:
            now, seed, began = self._clock(), secrets.randbits(60), time.monotonic()
            self._known = known = learn(self._store, self._looks, now, looks)
            ranked = rank(known.arms, self._settings, seed, draws)
            columns = zip(ranked.world, ranked.propensity, ranked.page, strict=True)
            items = tuple((known.versions[w], round(float(p), 6), int(page)) for w, p, page in columns)
            made = StoredSnapshot(secrets.token_urlsafe(9), audience, now, items)
            self._store.feed.add_snapshot(made, pack(known))
            self._took = time.monotonic() - began
            return self._keep(made)

    def _keep(self, stored: StoredSnapshot) -> Snapshot:
        items = tuple(Item(*item) for item in stored.slate)
        snapshot = Snapshot(stored.id, stored.audience, stored.created, items)
        with self._lock:
            self._by_id[snapshot.id] = snapshot
            newest = self._newest.get(snapshot.audience)
            if newest is None or newest.created <= snapshot.created:
                self._newest[snapshot.audience] = snapshot
            while len(self._by_id) > KEPT_SNAPSHOTS:
                self._by_id.popitem(last=False)
        return snapshot


def learn(store: Store, looks: Looks, now: float, most_looks: int = LOOKS_AT_ONCE) -> Known:
    """Read what is known of the candidates at this moment."""
    since = now - WINDOW
    candidates = store.feed.candidates(since, PLAYED, NEWEST, OTHERS, secrets.token_hex(8))
    number = {candidate.world: i for i, candidate in enumerate(candidates)}
    sessions = columns([s for s in store.feed.sessions(since) if s.world in number], number)
    told = votes(sessions, len(candidates), now)
    of_worlds = told.of_worlds(len(candidates))
    versions = [candidate.version for candidate in candidates]
    arms = _arms(candidates, of_worlds, looks.of(versions, most_looks), now)
    means = posterior(of_worlds, arms.prior).mean
    return Known(
        versions,
        arms,
        {candidates[world].world: played for world, played in told.of_spawns().items()},
        {candidate.world: float(mean) for candidate, mean in zip(candidates, means, strict=True)},
    )


def columns(sessions: Sequence[PlayedSession], number: dict[str, int]) -> Sessions:
    """Rows to columns; ``number`` by world."""
    player = {name: i for i, name in enumerate({session.player for session in sessions})}
    return Sessions(
        world=np.array([number[s.world] for s in sessions], np.intp),
        player=np.array([player[s.player] for s in sessions], np.intp),
        spawn=np.array([s.spawn for s in sessions], np.intp),
        at=np.array([s.at for s in sessions], np.float64),
        seconds=np.array([s.seconds for s in sessions], np.float64),
        first_input=np.array([np.nan if s.first_input is None else s.first_input for s in sessions]),
        cells=np.array([s.cells for s in sessions], np.float64),
        mechanics=np.array([s.mechanics for s in sessions], np.float64),
        remixed=np.array([s.remixed for s in sessions], np.bool_),
        reported=np.array([s.reported for s in sessions], np.bool_),
        person=np.array([s.played_by == "person" for s in sessions], np.bool_),
        shown=np.array([s.snapshot is not None for s in sessions], np.bool_),
    )


def pack(known: Known) -> bytes:
    """What was known, without what can be read again, for :func:`unpack`."""
    arms = known.arms
    return storage.to_bytes(
        {
            "version": np.array(known.versions, "S"),
            "creator": arms.creator.astype(np.int32),
            "family": arms.family.astype(np.int32),
            "good": arms.evidence.good.astype(np.float32),
            "bad": arms.evidence.bad.astype(np.float32),
            "prior": arms.prior.astype(np.float32),
            "age": arms.age.astype(np.float32),
        }
    )


def unpack(packed: bytes, looks: Looks) -> tuple[list[str], Arms]:
    """Versions and arms, their vectors read anew."""
    kept = storage.from_bytes(packed)
    versions = [version.decode() for version in kept["version"]]
    numbers = {name: kept[name].astype(np.float64) for name in ("good", "bad", "prior", "age")}
    arms = Arms(
        creator=kept["creator"].astype(np.intp),
        family=kept["family"].astype(np.intp),
        evidence=Evidence(numbers["good"], numbers["bad"]),
        prior=numbers["prior"],
        age=numbers["age"],
        vectors=looks.of(versions, at_once=len(versions)),
    )
    return versions, arms


def _arms(
    candidates: Sequence[Candidate], of_worlds: Evidence, vectors: NDArray[np.float32], now: float
) -> Arms:
    creator = _numbered([candidate.creator for candidate in candidates])
    return Arms(
        creator=creator,
        family=families(_numbered([candidate.root for candidate in candidates]), creator, vectors),
        evidence=of_worlds,
        prior=world_prior(of_worlds, creator),
        age=np.array([now - candidate.published_at for candidate in candidates]),
        vectors=vectors,
    )


def _resized(column: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    return np.append(column, np.zeros(max(0, length - len(column))))[:length]


def _numbered(names: Sequence[str]) -> NDArray[np.intp]:
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], np.intp)
