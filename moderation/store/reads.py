"""What is known: every read of the store but those of jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Select, exists, func, select, tuple_

from moderation.blobs import open_blobs
from moderation.states import WorldState
from moderation.store import live
from moderation.store import tables as t
from moderation.store.database import Database, database_url
from moderation.store.feed import FeedStore
from moderation.store.queue import Queue
from moderation.store.records import (
    DistinctFrame,
    Event,
    ExplorationRow,
    NotFound,
    NotPublished,
    PublishedWorld,
    Quarantined,
    StoredDecision,
    StoredPlaythrough,
    Version,
    unknown_version,
)
from moderation.store.rows import (
    decision_of,
    event_of,
    finding_of,
    playthrough_of,
    run_of,
    stored_decision_of,
    version_of,
)
from moderation.store.transaction import Transaction, find_exploration, find_versions, transacting
from moderation.wake import open_waker
from policies.types import Coverage, DetectorRun, Finding

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld

MEDIA = "media"
"""Piece of a look at what was submitted, rather than at play."""


def open_store(home: Path, database: str | None = None) -> Store:
    """Open (and create or migrate) the store whose files are under ``home``.

    ``database`` is a URL; by default ``$FIRSTPLAY_DATABASE``, else a SQLite file under ``home``. Blobs are in
    ``$FIRSTPLAY_BLOBS``, else in a folder there. Raises BadDatabase, ``moderation.blobs.BadBlobs``.
    """
    home.mkdir(parents=True, exist_ok=True)
    opened = Database(database_url(home, database))
    opened.migrate(home)
    return Store(home, opened)


class Store:
    """Reads, and the transactions that write. One per process; threads may share it."""

    def __init__(self, home: Path, database: Database) -> None:
        self.home = home
        self.blobs = open_blobs(home)
        self.database = database
        self.wake = open_waker(home)
        self.queue = Queue(database, self.wake)
        self.feed = FeedStore(database)

    def close(self) -> None:
        """Close the connections."""
        self.wake.close()
        self.database.close()

    # -- what the public sees ---------------------------------------------------------------------

    def published(
        self, after: tuple[float, str] | None = None, limit: int | None = None
    ) -> list[PublishedWorld]:
        """The newest published version of each world, newest first.

        ``after``: (``published_at``, ``version``) of the last one of the page before.
        """
        v, newer = t.versions.c, t.versions.alias()
        replaced = exists().where(
            newer.c.world == v.world, newer.c.state == WorldState.PUBLISHED, newer.c.updated > v.updated
        )
        query = _published().where(~replaced)
        if after is not None:
            query = query.where(tuple_(v.updated, v.id) < after)
        return self._worlds(query.limit(limit))

    def published_world(self, world_id: str) -> PublishedWorld:
        """Raises NotPublished."""
        query = _published().where(t.versions.c.world == world_id).limit(1)
        for world in self._worlds(query):
            return world
        raise NotPublished(
            f"no published world {world_id!r}: `firstplay worlds` lists them with their states"
        )

    def compiled(self, world_id: str) -> CompiledWorld:
        """The world, ready to play; only of published ones (raises NotPublished)."""
        return self.compile_version(self.published_world(world_id).version)

    def compile_version(self, version: str) -> CompiledWorld:
        """Compile a stored version whatever its state: for workers, never for the public.

        Raises Quarantined, and NotFound where its media was erased.
        """
        from moderation.packages import unpack
        from worldmodel.compiler import compile_world

        return compile_world(unpack(self.package(version)))

    def package(self, version: str) -> bytes:
        """The clean package as a zip, for workers. Raises as :meth:`compile_version`."""
        row = self.version(version)
        if row.state is WorldState.QUARANTINED:
            raise Quarantined(f"version {version[:12]} is quarantined: it is kept, and not to be looked at")
        if not row.package:
            raise NotFound(f"the media of version {version[:12]} was erased")
        return self.blobs.read(row.package)

    def _worlds(self, query: Select[Any]) -> list[PublishedWorld]:
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return [_world(row) for row in rows]

    # -- versions and what is known of them -------------------------------------------------------

    def versions(self) -> list[Version]:
        """All, oldest first."""
        return self._versions()

    def version(self, version: str) -> Version:
        """Raises NotFound."""
        for found in self._versions(t.versions.c.id == version):
            return found
        raise unknown_version(version)

    def spec(self, version: str) -> dict[str, Any]:
        """The document of a version, as it was submitted. Raises NotFound."""
        with self.reading() as connection:
            found = connection.execute(select(t.versions.c.spec).where(t.versions.c.id == version)).scalar()
        if found is None:
            raise unknown_version(version)
        return dict(found)

    def find_versions(self, world: str) -> list[Version]:
        """The versions of a world by its slug, newest last."""
        return self._versions(t.versions.c.world == world)

    def versions_by(self, creator: str, before: float | None = None, most: int = 50) -> list[Version]:
        """One creator's, newest first, from those made before some time (seconds since 1970)."""
        query = select(t.versions, t.worlds.c.title).join(t.worlds).where(t.versions.c.creator == creator)
        if before is not None:
            query = query.where(t.versions.c.created < before)
        query = query.order_by(t.versions.c.created.desc()).limit(most)
        with self.reading() as connection:
            return [version_of(row) for row in connection.execute(query)]

    def _versions(self, *where: Any) -> list[Version]:
        with self.reading() as connection:
            return find_versions(connection, *where)

    def history(self, version: str) -> list[Event]:
        """Every change of state, oldest first."""
        query = (
            select(t.events, t.event_reasons.c.text)
            .outerjoin(t.event_reasons)
            .where(t.events.c.version == version)
            .order_by(t.events.c.id)
        )
        with self.reading() as connection:
            return [event_of(row) for row in connection.execute(query)]

    def exploration(self, exploration: str) -> ExplorationRow:
        """Raises NotFound."""
        with self.reading() as connection:
            return find_exploration(connection, exploration)

    def playthroughs(self, exploration: str) -> list[StoredPlaythrough]:
        """In the order in which they were recorded."""
        query = select(t.playthroughs).where(t.playthroughs.c.exploration == exploration)
        with self.reading() as connection:
            return [
                playthrough_of(row) for row in connection.execute(query.order_by(t.playthroughs.c.ordinal))
            ]

    def find_playthrough(self, playthrough: str) -> StoredPlaythrough:
        """By id or the first characters of it, as recorded last.

        Raises NotFound, also where several ids begin so.
        """
        query = (
            select(t.playthroughs)
            .join(t.explorations, t.explorations.c.id == t.playthroughs.c.exploration)
            .where(t.playthroughs.c.id.startswith(playthrough, autoescape=True))
            .order_by(t.explorations.c.created.desc(), t.playthroughs.c.ordinal)
        )
        with self.reading() as connection:
            rows = connection.execute(query).all()
        if len({row.id for row in rows}) != 1:
            what = "no playthrough has" if not rows else "several playthroughs have"
            raise NotFound(f"{what} an id that begins with {playthrough!r}")
        return playthrough_of(rows[0])

    def frames(self, exploration: str) -> list[DistinctFrame]:
        """The distinct frames of an exploration, in order."""
        query = select(t.frames).where(t.frames.c.exploration == exploration).order_by(t.frames.c.ordinal)
        with self.reading() as connection:
            return [
                DistinctFrame(row.ordinal, row.playthrough, row.step, row.hash, row.view)
                for row in connection.execute(query)
            ]

    def pieces(self, exploration: str, phase: str) -> dict[int, tuple[Any, str | None]]:
        """Finished pieces of a phase: ordinal to (result, blob)."""
        query = select(t.pieces).where(t.pieces.c.exploration == exploration, t.pieces.c.phase == phase)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(t.pieces.c.ordinal)).all()
        return {row.ordinal: (row.result, row.blob) for row in rows}

    def results(self, phase: str) -> list[Any]:
        """Of all finished pieces of a phase, in every exploration."""
        query = select(t.pieces.c.result).where(t.pieces.c.phase == phase)
        with self.reading() as connection:
            return list(connection.execute(query).scalars())

    def signatures(self) -> dict[str, str]:
        """By version, the blob of the newest signature of what it looks like."""
        query = (
            select(t.explorations.c.version, t.pieces.c.blob)
            .join(t.explorations, t.explorations.c.id == t.pieces.c.exploration)
            .where(t.pieces.c.phase == "signature")
            .order_by(t.explorations.c.created)
        )
        with self.reading() as connection:
            return {row.version: row.blob for row in connection.execute(query)}

    def named_blobs(self) -> set[str]:
        """Every blob that some row names."""
        with self.reading() as connection:
            named = set(connection.execute(select(t.versions.c.package)).scalars())
            named |= set(connection.execute(select(t.versions.c.thumbnail)).scalars())
            named |= set(connection.execute(select(t.pieces.c.blob)).scalars())
            named |= set(connection.execute(select(t.uploads.c.blob)).scalars())
            named |= set(live.pictures(connection))
            for evidence in connection.execute(select(t.decisions.c.evidence)).scalars():
                for one in evidence:
                    named |= {one["clip"], *(blob for _, blob in one["frames"])}
        return named - {None, ""}

    def findings(self, version: str, exploration: str | None = None) -> list[Finding]:
        """Of the media, and where given of one exploration; strongest first."""
        with self.reading() as connection:
            looks = looks_of(connection, version, exploration)
            query = select(t.findings).where(
                t.findings.c.version == version, t.findings.c.exploration.in_(looks)
            )
            rows = connection.execute(query.order_by(t.findings.c.score.desc(), t.findings.c.id)).all()
        return [finding_of(row) for row in rows]

    def detector_runs(self, version: str, exploration: str | None = None) -> list[DetectorRun]:
        """Every look of every detector at the media, and where given at one exploration."""
        order = (t.detector_runs.c.exploration, t.detector_runs.c.piece, t.detector_runs.c.detector)
        with self.reading() as connection:
            looks = looks_of(connection, version, exploration)
            query = select(t.detector_runs).where(
                t.detector_runs.c.version == version, t.detector_runs.c.exploration.in_(looks)
            )
            rows = connection.execute(query.order_by(*order)).all()
        return [run_of(r) for r in rows]

    def decision(self, version: str, exploration: str | None, policy_hash: str) -> StoredDecision | None:
        """The decision of this policy on this evidence, if there is one."""
        found = self._decisions(
            t.decisions.c.version == version,
            t.decisions.c.exploration == (exploration or ""),
            t.decisions.c.policy_hash == policy_hash,
            limit=1,
        )
        return found[0] if found else None

    def newest_decision(self, version: str) -> StoredDecision | None:
        """The newest on one version, if there is one."""
        return next(iter(self._decisions(t.decisions.c.version == version, limit=1)), None)

    def decisions(self, version: str) -> list[StoredDecision]:
        """All on one version, newest first."""
        return self._decisions(t.decisions.c.version == version)

    def _decisions(self, *where: Any, limit: int | None = None) -> list[StoredDecision]:
        query = select(t.decisions).where(*where).order_by(t.decisions.c.id.desc()).limit(limit)
        with self.reading() as connection:
            return [stored_decision_of(row) for row in connection.execute(query)]

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot: what is read inside is from one moment."""
        with self.database.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Commits at the end, or nothing where an exception leaves the block."""
        with transacting(self.database, self.wake) as transaction:
            yield transaction


def looks_of(connection: Connection, version: str, exploration: str | None) -> list[str]:
    """Under which names the findings of an exploration are kept: its own, and of the media, intake's.

    A scan that looked at the media again, with newer detectors, replaces what intake found.
    """
    if not exploration:
        return [""]
    again = select(t.detector_runs.c.piece).where(
        t.detector_runs.c.version == version,
        t.detector_runs.c.exploration == exploration,
        t.detector_runs.c.piece == MEDIA,
    )
    return [exploration] if connection.execute(again.limit(1)).first() else ["", exploration]


def _published() -> Select[Any]:
    """Rows of :class:`PublishedWorld`, newest first, with the newest decision on what it was explored by."""
    v, d = t.versions.c, t.decisions.c
    of_version = t.decisions.alias()
    newest = select(func.max(of_version.c.id)).where(
        of_version.c.version == v.id, of_version.c.exploration == v.exploration
    )
    return (
        select(t.versions, t.worlds.c.title, d.body, d.coverage)
        .join(t.worlds, t.worlds.c.id == v.world)
        .join(t.decisions, d.id == newest.scalar_subquery())
        .where(v.state == WorldState.PUBLISHED)
        .order_by(v.updated.desc(), v.id.desc())
    )


def _world(row: Row[Any]) -> PublishedWorld:
    decision = decision_of(row.body)
    return PublishedWorld(
        id=row.world,
        version=row.id,
        title=row.title,
        prompt=row.prompt,
        creator=row.creator,
        summary=decision.reasons[0] if decision.reasons else str(decision.verdict),
        coverage=Coverage(**row.coverage),
        bounds=decision.bounds,
        found=len(decision.fired),
        thumbnail=row.thumbnail,
        remix_of=row.remix_of,
        published_at=row.updated,
    )
