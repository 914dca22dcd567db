"""Everything that is known about worlds, in one SQLite file: all SQL of this layer is in this module.

``open_store(home)`` gives a :class:`Store`; every write happens inside one of its transactions
(``BEGIN IMMEDIATE``, so that two writers queue up instead of failing half way). Threads and processes
may share a home: each opens its own Store.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Row, and_, create_engine, event, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from bots.recording import Playthrough
from bots.trace import Trace
from moderation import tables as t
from moderation.blobs import BlobStore
from moderation.states import WorldState, check
from policies.types import (
    Bound,
    Coverage,
    Decision,
    DetectorRun,
    Finding,
    Fired,
    Ground,
    Rating,
    Source,
    Verdict,
)

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld

SCHEMA = "0004"
"""Newest revision in ``moderation/migrations``."""
EVENTS_PER_STEP = 9


class NotPublished(LookupError):
    """A world that does not exist or that players may not see."""


class NotFound(LookupError):
    """An id that the store does not know."""


class Conflict(RuntimeError):
    """The version has changed since the caller looked at it."""


class LeaseLost(RuntimeError):
    """Another worker holds this job now; whatever was not committed is its to do."""


@dataclass(frozen=True)
class PublishedWorld:
    """What the public may know of a world that passed."""

    id: str
    """Slug; what the address of the world shows."""
    version: str
    """SHA-256 of the content."""
    title: str
    prompt: str
    summary: str
    """The decision in one sentence."""
    coverage: Coverage
    bounds: tuple[Bound, ...]
    found: int
    """Rules that fired, and by which a person let it pass."""
    thumbnail: str | None
    """Blob (PNG) in ``Store.blobs``."""
    remix_of: str | None
    published_at: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Version:
    """One immutable content of a world, and where it stands."""

    id: str
    world: str
    title: str
    prompt: str
    package: str
    """Blob: the clean package as a zip."""
    remix_of: str | None
    state: WorldState
    revision: int
    exploration: str | None
    thumbnail: str | None
    updated: float


@dataclass(frozen=True)
class Event:
    """One change of state, for ever."""

    from_state: str | None
    to_state: str
    actor: str
    reason: str
    policy_hash: str | None
    revision: int
    at: float


@dataclass(frozen=True)
class ExplorationRow:
    """One exploration of one version: by which model, from which seed, with which budget."""

    id: str
    version: str
    seed: int
    model: str
    model_sha256: str
    budget: dict[str, Any]
    coverage: Coverage | None
    chart: dict[str, Any] | None
    scanned: bool


@dataclass(frozen=True)
class StoredPlaythrough:
    """A playthrough and where it stands in its exploration."""

    exploration: str
    ordinal: int
    playthrough: Playthrough
    shown: NDArray[np.int32] | None
    """(T+1,) ordinal of the distinct frame that stands for each frame; None until looked at."""


@dataclass(frozen=True)
class DistinctFrame:
    """A frame that stands for all that look like it."""

    ordinal: int
    playthrough: int
    """Ordinal of the playthrough that showed it first."""
    step: int
    hash: bytes
    view: int
    """Name of the view (:func:`worldmodel.crops.views`)."""


@dataclass(frozen=True)
class Evidence:
    """What shows why a rule fired: a clip and some of its frames."""

    rule: str
    finding: str
    playthrough: str | None
    start: float
    end: float
    clip: str | None
    """Blob: MP4 from ``start`` to ``end``."""
    frames: tuple[tuple[float, str], ...]
    """Seconds into the playthrough, and blob (PNG)."""
    caption: str
    reproduced: bool
    """Whether the clip, played again, was bit-identical to what was scanned."""
    route: tuple[tuple[float, float], ...] = ()
    """Where the player went up to the end of the clip: x, y in tiles."""


@dataclass(frozen=True)
class StoredDecision:
    """A decision, what it rests on, and its evidence."""

    version: str
    exploration: str | None
    decision: Decision
    coverage: Coverage
    evidence: tuple[Evidence, ...]
    at: float


@dataclass(frozen=True)
class Job:
    """A claimed or listed job. ``token`` is what a commit must still hold."""

    id: int
    kind: str
    subject: str
    payload: dict[str, Any]
    state: str
    failures: int
    token: int
    worker: str | None
    progress: dict[str, Any] | None
    seconds: float
    error: str | None


def open_store(home: Path) -> Store:
    """Open (and create or migrate) the store under ``home``."""
    home.mkdir(parents=True, exist_ok=True)
    engine = _engine(home / "firstplay.sqlite3")
    _migrate(engine, home)
    return Store(home, engine)


class Store:
    """Reads, and the transactions that write. One per process; its engine is shared by threads."""

    def __init__(self, home: Path, engine: Engine) -> None:
        self.home = home
        self.blobs = BlobStore(home / "blobs")
        self._engine = engine

    def close(self) -> None:
        self._engine.dispose()

    # -- what the public sees ---------------------------------------------------------------------

    def published(self) -> list[PublishedWorld]:
        """The newest published version of each world, newest first."""
        newest: dict[str, PublishedWorld] = {}
        for world in self._published():
            newest.setdefault(world.id, world)
        return list(newest.values())

    def published_world(self, world_id: str) -> PublishedWorld:
        """Raises NotPublished."""
        for world in self._published(world_id):
            return world
        raise NotPublished(
            f"no published world {world_id!r}: `firstplay worlds` lists them with their states"
        )

    def compiled(self, world_id: str) -> CompiledWorld:
        """The world, ready to play; only of published ones (raises NotPublished)."""
        return self.compile_version(self.published_world(world_id).version)

    def compile_version(self, version: str) -> CompiledWorld:
        """Compile a stored version whatever its state: for workers, never for the public."""
        from moderation.packages import unpack
        from worldmodel.compiler import compile_world

        return compile_world(unpack(self.blobs.read(self.version(version).package)))

    def _published(self, world_id: str | None = None) -> Iterator[PublishedWorld]:
        query = (
            select(t.versions, t.worlds.c.title, t.decisions.c.body, t.decisions.c.coverage, t.decisions.c.at)
            .join(t.worlds, t.worlds.c.id == t.versions.c.world)
            .join(
                t.decisions,
                and_(
                    t.decisions.c.version == t.versions.c.id,
                    t.decisions.c.exploration == t.versions.c.exploration,
                ),
            )
            .where(t.versions.c.state == WorldState.PUBLISHED)
            .order_by(t.versions.c.updated.desc(), t.decisions.c.id.desc())
        )
        if world_id is not None:
            query = query.where(t.versions.c.world == world_id)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        for row in rows:
            decision = _decision(row.body)
            yield PublishedWorld(
                id=row.world,
                version=row.id,
                title=row.title,
                prompt=row.prompt,
                summary=decision.reasons[0] if decision.reasons else str(decision.verdict),
                coverage=Coverage(**row.coverage),
                bounds=decision.bounds,
                found=len(decision.fired),
                thumbnail=row.thumbnail,
                remix_of=row.remix_of,
                published_at=row.updated,
            )

    # -- versions and what is known of them -------------------------------------------------------

    def versions(self) -> list[Version]:
        """All, oldest first."""
        return self._versions()

    def version(self, version: str) -> Version:
        """Raises NotFound."""
        for found in self._versions(t.versions.c.id == version):
            return found
        raise NotFound(f"no world version {version}")

    def find_versions(self, world: str) -> list[Version]:
        """The versions of a world by its slug, newest last."""
        return self._versions(t.versions.c.world == world)

    def _versions(self, *where: Any) -> list[Version]:
        query = select(t.versions, t.worlds.c.title).join(t.worlds).where(*where)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(t.versions.c.created)).all()
        return [_version(row) for row in rows]

    def history(self, version: str) -> list[Event]:
        """Every change of state, oldest first."""
        query = select(t.events).where(t.events.c.version == version).order_by(t.events.c.id)
        with self.reading() as connection:
            return [_event(row) for row in connection.execute(query)]

    def exploration(self, exploration: str) -> ExplorationRow:
        """Raises NotFound."""
        with self.reading() as connection:
            return _find_exploration(connection, exploration)

    def playthroughs(self, exploration: str) -> list[StoredPlaythrough]:
        """In the order in which they were recorded."""
        query = select(t.playthroughs).where(t.playthroughs.c.exploration == exploration)
        with self.reading() as connection:
            return [_playthrough(row) for row in connection.execute(query.order_by(t.playthroughs.c.ordinal))]

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
        return _playthrough(rows[0])

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

    def findings(self, version: str, exploration: str | None = None) -> list[Finding]:
        """Of the media, and where given of one exploration; strongest first."""
        query = select(t.findings).where(
            t.findings.c.version == version, t.findings.c.exploration.in_(["", exploration or ""])
        )
        with self.reading() as connection:
            rows = connection.execute(query.order_by(t.findings.c.score.desc(), t.findings.c.id)).all()
        return [_finding(row) for row in rows]

    def detector_runs(self, version: str, exploration: str | None = None) -> list[DetectorRun]:
        """Every look of every detector at the media, and where given at one exploration."""
        query = select(t.detector_runs).where(
            t.detector_runs.c.version == version,
            t.detector_runs.c.exploration.in_(["", exploration or ""]),
        )
        order = (t.detector_runs.c.exploration, t.detector_runs.c.piece, t.detector_runs.c.detector)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(*order)).all()
        return [_run(r) for r in rows]

    def decision(self, version: str, exploration: str | None, policy_hash: str) -> StoredDecision | None:
        """The decision of this policy on this evidence, if there is one."""
        found = self._decisions(
            t.decisions.c.version == version,
            t.decisions.c.exploration == (exploration or ""),
            t.decisions.c.policy_hash == policy_hash,
        )
        return found[0] if found else None

    def decisions(self, version: str) -> list[StoredDecision]:
        """All on one version, newest first."""
        return self._decisions(t.decisions.c.version == version)

    def _decisions(self, *where: Any) -> list[StoredDecision]:
        query = select(t.decisions).where(*where).order_by(t.decisions.c.id.desc())
        with self.reading() as connection:
            return [_stored_decision(row) for row in connection.execute(query)]

    # -- jobs -------------------------------------------------------------------------------------

    def jobs(self, *subjects: str) -> list[Job]:
        """All jobs, or those of some subjects, oldest first."""
        query = select(t.jobs).order_by(t.jobs.c.id)
        if subjects:
            query = query.where(t.jobs.c.subject.in_(subjects))
        with self.reading() as connection:
            return [_job(row) for row in connection.execute(query)]

    def claim(
        self, worker: str, lease: float, subjects: Sequence[str] | None = None, now: float | None = None
    ) -> Job | None:
        """Take a job that is ready or whose lease has run out, with a new token; None where there is none.

        Of several, the one with the highest priority, then the oldest. ``now`` defaults to the clock.
        """
        now = time.time() if now is None else now
        free = or_(
            and_(t.jobs.c.state == "ready", t.jobs.c.not_before <= now),
            and_(t.jobs.c.state == "running", t.jobs.c.lease_until < now),
        )
        if subjects is not None:
            free = and_(free, t.jobs.c.subject.in_(subjects))
        next_one = select(t.jobs.c.id).where(free).order_by(t.jobs.c.priority.desc(), t.jobs.c.id).limit(1)
        taken = (
            update(t.jobs)
            .where(t.jobs.c.id == next_one.scalar_subquery())
            .values(state="running", token=t.jobs.c.token + 1, worker=worker, lease_until=now + lease)
            .returning(t.jobs)
        )
        with self.writing() as tx:
            row = tx.connection.execute(taken).first()
        return None if row is None else _job(row)

    def renew(self, job: Job, lease: float, worked: float, progress: Mapping[str, Any] | None) -> None:
        """Lengthen the lease and note the progress. Raises LeaseLost."""
        values: dict[str, Any] = {"lease_until": time.time() + lease, "seconds": t.jobs.c.seconds + worked}
        if progress is not None:
            values["progress"] = dict(progress)
        with self.writing() as tx:
            changed = tx.connection.execute(update(t.jobs).where(_held(job)).values(**values)).rowcount
        if not changed:
            raise LeaseLost(f"job {job.id} ({job.kind} of {job.subject}) was taken over")

    @contextmanager
    def committing(self, job: Job, *, done: bool = False, worked: float = 0.0) -> Iterator[Transaction]:
        """A transaction that commits only while the job's token holds (else LeaseLost, nothing written).

        ``done`` finishes the job in the same transaction; ``worked`` seconds are added to it.
        """
        with self.writing() as tx:
            if tx.connection.execute(select(t.jobs.c.id).where(_held(job))).first() is None:
                raise LeaseLost(f"job {job.id} ({job.kind} of {job.subject}) was taken over")
            yield tx
            if done:
                values = {"state": "done", "finished": time.time(), "lease_until": None, "error": None}
                finish = update(t.jobs).where(t.jobs.c.id == job.id)
                tx.connection.execute(finish.values(seconds=t.jobs.c.seconds + worked, **values))

    def fail(self, job: Job, error: str, retry_in: float, limit: int) -> bool:
        """Note a failure; the job is tried again in some seconds, or is dead after ``limit`` failures.

        True if it is dead now.

        Does nothing where the token no longer holds.
        """
        dead = job.failures + 1 >= limit
        values: dict[str, Any] = {
            "state": "dead" if dead else "ready",
            "failures": job.failures + 1,
            "error": error,
            "not_before": time.time() + retry_in,
            "lease_until": None,
        }
        with self.writing() as tx:
            changed = tx.connection.execute(update(t.jobs).where(_held(job)).values(**values)).rowcount
        return dead and bool(changed)

    def release(self, job: Job) -> None:
        """Give a job back whose worker is gone: ready at once, its old token void."""
        values = {"state": "ready", "token": t.jobs.c.token + 1, "lease_until": None}
        with self.writing() as tx:
            tx.connection.execute(update(t.jobs).where(_held(job)).values(**values))

    def revive(self, job: Job) -> None:
        """Let a dead job be tried again."""
        dead = and_(t.jobs.c.id == job.id, t.jobs.c.state == "dead")
        with self.writing() as tx:
            tx.connection.execute(
                update(t.jobs).where(dead).values(state="ready", failures=0, not_before=0.0)
            )

    # -- transactions -----------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot: what is read inside is from one moment."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Commits at the end, or nothing where an exception leaves the block."""
        connection = self._engine.connect().execution_options(firstplay_begin="BEGIN IMMEDIATE")
        with connection, connection.begin():
            yield Transaction(connection)


class Transaction:
    """What can be written. Every method is idempotent or refuses to do a thing twice."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def transition(
        self,
        version: str,
        to: WorldState,
        actor: str,
        reason: str,
        *,
        policy_hash: str | None = None,
        expected: int | None = None,
        key: str | None = None,
    ) -> None:
        """Change a version's state and log it, in this transaction: the only way to change a state.

        ``expected`` is the revision the caller looked at; ``key`` makes a repeated call do nothing.
        Raises IllegalTransition, Conflict, NotFound.
        """
        if key is not None and self._event_exists(key):
            return
        row = self.connection.execute(select(t.versions).where(t.versions.c.id == version)).first()
        if row is None:
            raise NotFound(f"no world version {version}")
        if expected is not None and row.revision != expected:
            raise Conflict(
                f"version {version[:12]} is at revision {row.revision}, not {expected}: look again"
            )
        check(WorldState(row.state), to)
        self._log(version, row.state, to, actor, reason, policy_hash, row.revision + 1, key)
        self.connection.execute(
            update(t.versions)
            .where(t.versions.c.id == version)
            .values(state=to, revision=row.revision + 1, updated=time.time())
        )

    def _event_exists(self, key: str) -> bool:
        return self.connection.execute(select(t.events.c.id).where(t.events.c.key == key)).first() is not None

    def _log(
        self,
        version: str,
        before: str | None,
        to: WorldState,
        actor: str,
        reason: str,
        policy_hash: str | None,
        revision: int,
        key: str | None,
    ) -> None:
        self.connection.execute(
            t.events.insert().values(
                version=version,
                from_state=before,
                to_state=to,
                actor=actor,
                reason=reason,
                policy_hash=policy_hash,
                revision=revision,
                key=key,
                at=time.time(),
            )
        )

    def state(self, version: str) -> WorldState:
        """Where a version stands now. Raises NotFound."""
        row = self.connection.execute(select(t.versions.c.state).where(t.versions.c.id == version)).first()
        if row is None:
            raise NotFound(f"no world version {version}")
        return WorldState(row.state)

    def submit(
        self,
        version: str,
        slug: str,
        title: str,
        prompt: str,
        spec: Mapping[str, Any],
        package: str,
        remix_of: str | None,
    ) -> bool:
        """Take in a version in state SUBMITTED; False where it is known already."""
        now = time.time()
        known = self.connection.execute(select(t.versions.c.id).where(t.versions.c.id == version)).first()
        if known is not None:
            return False
        self.connection.execute(
            insert(t.worlds).values(id=slug, title=title, created=now).on_conflict_do_nothing()
        )
        self.connection.execute(
            t.versions.insert().values(
                id=version,
                world=slug,
                prompt=prompt,
                spec=dict(spec),
                package=package,
                remix_of=remix_of,
                state=WorldState.SUBMITTED,
                revision=0,
                created=now,
                updated=now,
            )
        )
        self._log(version, None, WorldState.SUBMITTED, "creator", "submitted", None, 0, f"submit:{version}")
        return True

    def exploration(self, exploration: str) -> ExplorationRow:
        """As in this transaction. Raises NotFound."""
        return _find_exploration(self.connection, exploration)

    def current_exploration(self, version: str) -> str:
        """The exploration that is being worked on. Raises NotFound."""
        query = select(t.versions.c.exploration).where(t.versions.c.id == version)
        row = self.connection.execute(query).first()
        if row is None or row.exploration is None:
            raise NotFound(f"world version {version} is not being explored")
        return str(row.exploration)

    def verdict_against(self, version: str, exploration: str, policy_hash: str) -> str | None:
        """The worst that the same policy said of another exploration of this version, None if nothing."""
        query = select(t.decisions.c.body).where(
            t.decisions.c.version == version,
            t.decisions.c.exploration != exploration,
            t.decisions.c.policy_hash == policy_hash,
            t.decisions.c.verdict.in_([Verdict.REJECTED, Verdict.NEEDS_REVIEW]),
        )
        bodies = self.connection.execute(query.order_by(t.decisions.c.verdict.desc())).scalars().all()
        reasons = [str((body["reasons"] or [body["verdict"]])[0]) for body in bodies]
        return reasons[0] if reasons else None

    def set_exploration(self, version: str, exploration: str) -> None:
        """Name the exploration that is being worked on."""
        self._set_version(version, exploration=exploration)

    def set_thumbnail(self, version: str, blob: str) -> None:
        self._set_version(version, thumbnail=blob)

    def _set_version(self, version: str, **values: Any) -> None:
        self.connection.execute(update(t.versions).where(t.versions.c.id == version).values(**values))

    def add_exploration(
        self,
        exploration: str,
        version: str,
        seed: int,
        model: str,
        model_sha256: str,
        budget: Mapping[str, Any],
    ) -> None:
        """Make the row before the work begins; nothing where it is there."""
        self.connection.execute(
            insert(t.explorations)
            .values(
                id=exploration,
                version=version,
                seed=seed,
                model=model,
                model_sha256=model_sha256,
                budget=dict(budget),
                scanned=False,
                created=time.time(),
            )
            .on_conflict_do_nothing()
        )

    def explored(
        self,
        exploration: str,
        coverage: Coverage,
        chart: Mapping[str, Any],
        playthroughs: Sequence[Playthrough],
    ) -> None:
        """Keep what an exploration gave."""
        self._set_exploration(exploration, coverage=asdict(coverage), chart=dict(chart))
        rows = [_playthrough_row(exploration, i, p) for i, p in enumerate(playthroughs)]
        if rows:
            self.connection.execute(t.playthroughs.insert(), rows)

    def scanned(self, exploration: str) -> None:
        self._set_exploration(exploration, scanned=True)

    def _set_exploration(self, exploration: str, **values: Any) -> None:
        self.connection.execute(
            update(t.explorations).where(t.explorations.c.id == exploration).values(**values)
        )

    def looked_at(
        self, exploration: str, ordinal: int, played: Playthrough, shown: NDArray[np.int32]
    ) -> None:
        """Keep which distinct frames (T+1,) a playthrough shows, and what a replay of it must meet."""
        which = and_(t.playthroughs.c.exploration == exploration, t.playthroughs.c.ordinal == ordinal)
        values = _playthrough_row(exploration, ordinal, played) | {"shown": shown.astype("<i4").tobytes()}
        self.connection.execute(update(t.playthroughs).where(which).values(**values))

    def add_frames(self, exploration: str, frames: Sequence[DistinctFrame]) -> None:
        if frames:
            self.connection.execute(
                t.frames.insert(), [{"exploration": exploration, **asdict(frame)} for frame in frames]
            )

    def add_piece(
        self, exploration: str, phase: str, ordinal: int, result: Any = None, blob: str | None = None
    ) -> None:
        """Mark a piece of a phase as finished."""
        self.connection.execute(
            t.pieces.insert().values(
                exploration=exploration, phase=phase, ordinal=ordinal, result=result, blob=blob
            )
        )

    def add_findings(self, version: str, exploration: str | None, findings: Sequence[Finding]) -> None:
        """The same finding twice is one."""
        rows = [_finding_row(version, exploration or "", finding) for finding in findings]
        if rows:
            self.connection.execute(insert(t.findings).on_conflict_do_nothing(), rows)

    def add_run(self, version: str, exploration: str | None, piece: str, run: DetectorRun) -> None:
        """Log that a detector looked at a piece, or failed to."""
        self.connection.execute(
            insert(t.detector_runs)
            .values(
                version=version,
                exploration=exploration or "",
                piece=piece,
                detector=run.detector,
                detector_version=run.version,
                source=run.source,
                items=run.items,
                ok=run.ok,
                error=run.error,
                uncovered=list(run.uncovered),
            )
            .on_conflict_do_nothing()
        )

    def add_decision(
        self,
        version: str,
        exploration: str | None,
        decision: Decision,
        coverage: Coverage,
        evidence: Sequence[Evidence],
    ) -> None:
        """Keep a decision; one per policy and evidence."""
        self.connection.execute(
            insert(t.decisions)
            .values(
                version=version,
                exploration=exploration or "",
                policy_hash=decision.policy_hash,
                verdict=decision.verdict,
                body=asdict(decision),
                coverage=asdict(coverage),
                evidence=[asdict(one) for one in evidence],
                at=time.time(),
            )
            .on_conflict_do_nothing()
        )

    def enqueue(
        self, kind: str, subject: str, key: str, payload: Mapping[str, Any] | None = None, priority: int = 0
    ) -> None:
        """Add a job; the same key twice is one job. The highest priority is claimed first."""
        self.connection.execute(
            insert(t.jobs)
            .values(
                kind=kind,
                subject=subject,
                key=key,
                payload=dict(payload or {}),
                priority=priority,
                state="ready",
                failures=0,
                token=0,
                not_before=0.0,
                seconds=0.0,
                created=time.time(),
            )
            .on_conflict_do_nothing()
        )

    def cancel_jobs(self, subject: str) -> None:
        """Withdraw what is not finished; running workers lose their lease at their next commit."""
        open_jobs = and_(t.jobs.c.subject == subject, t.jobs.c.state.in_(["ready", "running", "dead"]))
        self.connection.execute(t.jobs.delete().where(open_jobs))


# -- the engine and its schema ------------------------------------------------------------------------


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30, "check_same_thread": False})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not open transactions of its own
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=30000", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("firstplay_begin", "BEGIN"))


def _migrate(engine: Engine, home: Path) -> None:
    if _schema(engine) == SCHEMA:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    with FileLock(home / "migrate.lock"):
        command.upgrade(config, "head")


def _schema(engine: Engine) -> str | None:
    with engine.connect() as connection:
        there = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
        if there.first() is None:
            return None
        row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])


# -- rows to records and back -------------------------------------------------------------------------


def _held(job: Job) -> Any:
    return and_(t.jobs.c.id == job.id, t.jobs.c.token == job.token, t.jobs.c.state == "running")


def _version(row: Row[Any]) -> Version:
    return Version(
        row.id,
        row.world,
        row.title,
        row.prompt,
        row.package,
        row.remix_of,
        WorldState(row.state),
        row.revision,
        row.exploration,
        row.thumbnail,
        row.updated,
    )


def _event(row: Row[Any]) -> Event:
    return Event(row.from_state, row.to_state, row.actor, row.reason, row.policy_hash, row.revision, row.at)


def _exploration(row: Row[Any]) -> ExplorationRow:
    coverage = None if row.coverage is None else Coverage(**row.coverage)
    return ExplorationRow(
        row.id,
        row.version,
        row.seed,
        row.model,
        row.model_sha256,
        row.budget,
        coverage,
        row.chart,
        row.scanned,
    )


def _find_exploration(connection: Connection, exploration: str) -> ExplorationRow:
    row = connection.execute(select(t.explorations).where(t.explorations.c.id == exploration)).first()
    if row is None:
        raise NotFound(f"no exploration {exploration}")
    return _exploration(row)


def _playthrough_row(exploration: str, ordinal: int, play: Playthrough) -> dict[str, Any]:
    return {
        "exploration": exploration,
        "ordinal": ordinal,
        "id": play.id,
        "world_key": play.world,
        "model_sha256": play.model,
        "arm": play.arm,
        "player": play.player,
        "seed": play.seed,
        "spawn": play.spawn,
        "actions": play.actions.astype(np.uint8).tobytes(),
        "events": play.events.astype(np.bool_).tobytes(),
        "clips": play.clips.astype("<i2").tobytes(),
        "frames_sha256": play.frames_sha256,
        "sound_sha256": play.sound_sha256,
        "trace": play.trace.to_bytes() if play.trace is not None else None,
    }


def _playthrough(row: Row[Any]) -> StoredPlaythrough:
    play = Playthrough(
        world=row.world_key,
        model=row.model_sha256,
        arm=row.arm,
        player=row.player,
        seed=row.seed,
        spawn=row.spawn,
        actions=np.frombuffer(row.actions, np.uint8),
        events=np.frombuffer(row.events, np.bool_).reshape(-1, EVENTS_PER_STEP),
        clips=np.frombuffer(row.clips, "<i2").astype(np.int16),
        frames_sha256=row.frames_sha256,
        sound_sha256=row.sound_sha256,
        trace=Trace.from_bytes(row.trace) if row.trace is not None else None,
    )
    shown = None if row.shown is None else np.frombuffer(row.shown, "<i4").astype(np.int32)
    return StoredPlaythrough(row.exploration, row.ordinal, play, shown)


def _finding_row(version: str, exploration: str, finding: Finding) -> dict[str, Any]:
    row = asdict(finding) | {"detector_version": finding.version}
    return row | {"version": version, "exploration": exploration}


def _finding(row: Row[Any]) -> Finding:
    return Finding(
        row.id,
        row.detector,
        row.detector_version,
        row.label,
        row.score,
        Source(row.source),
        row.start,
        row.end,
        row.playthrough,
        row.media,
        None if row.box is None else (row.box[0], row.box[1], row.box[2], row.box[3]),
        row.text,
    )


def _decision(body: Mapping[str, Any]) -> Decision:
    fired = tuple(
        Fired(**{**one, "action": Verdict(one["action"]), "findings": tuple(one["findings"])})
        for one in body["fired"]
    )
    return Decision(
        Verdict(body["verdict"]),
        body["policy"],
        body["policy_hash"],
        fired,
        tuple(body["reasons"]),
        tuple(Bound(**one) for one in body["bounds"]),
        tuple(body["trace"]),
        rating=_rating(body.get("rating")),
        approvals=body.get("approvals", 1),
        escalate=body.get("escalate", False),
        sampled=body.get("sampled", False),
    )


def _run(row: Row[Any]) -> DetectorRun:
    source, uncovered = Source(row.source), tuple(row.uncovered)
    return DetectorRun(row.detector, row.detector_version, source, row.items, row.ok, row.error, uncovered)


def _rating(body: Mapping[str, Any] | None) -> Rating | None:
    if body is None:
        return None
    grounds = tuple(Ground(**{**one, "findings": tuple(one["findings"])}) for one in body["grounds"])
    return Rating(**{**body, "descriptors": tuple(body["descriptors"]), "grounds": grounds})


def _stored_decision(row: Row[Any]) -> StoredDecision:
    return StoredDecision(
        row.version,
        row.exploration or None,
        _decision(row.body),
        Coverage(**row.coverage),
        tuple(_evidence(one) for one in row.evidence),
        row.at,
    )


def _evidence(data: Mapping[str, Any]) -> Evidence:
    frames = tuple((at, blob) for at, blob in data["frames"])
    return Evidence(**{**data, "frames": frames, "route": tuple((x, y) for x, y in data["route"])})


def _job(row: Row[Any]) -> Job:
    return Job(
        row.id,
        row.kind,
        row.subject,
        row.payload,
        row.state,
        row.failures,
        row.token,
        row.worker,
        row.progress,
        row.seconds,
        row.error,
    )
