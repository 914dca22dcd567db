"""What can be written, and how."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Table, and_, bindparam, func, select, update

from bots.recording import Playthrough
from moderation.cases.statements import Basis
from moderation.observing import traces
from moderation.states import WorldState, check
from moderation.store import tables as t
from moderation.store.consequences import follow
from moderation.store.database import Database, insert_new, inserting
from moderation.store.records import (
    Conflict,
    DistinctFrame,
    Evidence,
    ExplorationRow,
    NotFound,
    Ready,
    Version,
    unknown_version,
)
from moderation.store.rows import exploration_of, finding_row, playthrough_row, version_of
from moderation.store.webhooks import announce
from policies.types import Coverage, Decision, DetectorRun, Finding, Verdict

LOCAL = "creator"
"""Who submits where nobody signs in."""
Wake = Callable[[Sequence[Ready]], None]
"""Tells workers that jobs can be claimed; may fail to, but never raises."""


class Transaction:
    """What can be written. Every method is idempotent or refuses to do a thing twice."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ready: list[Ready] = []
        """Jobs that can be claimed once this is committed."""

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
        basis: Basis | None = None,
    ) -> int | None:
        """Change a version's state and log it, in this transaction: the only way to change a state.

        ``expected`` is the revision the caller looked at; ``key`` makes a repeated call do nothing; ``basis``
        is what a person's restrictive decision rests on. A case opens or closes with it, and a restrictive
        decision has its statement of reasons. Returns the event's number, None where it was there already.
        The log calls a version's own creator just that: names are for :class:`Version`, where they can be
        erased.
        Raises IllegalTransition, Conflict, NotFound.
        """
        if key is not None and self._event_exists(key):
            return None
        row = self.connection.execute(
            select(t.versions).where(t.versions.c.id == version).with_for_update()
        ).first()
        if row is None:
            raise unknown_version(version)
        if expected is not None and row.revision != expected:
            raise Conflict(
                f"version {version[:12]} is at revision {row.revision}, not {expected}: look again"
            )
        check(WorldState(row.state), to)
        actor = LOCAL if actor == row.creator else actor
        event = self._log(version, row.state, to, actor, reason, policy_hash, row.revision + 1, key)
        now = time.time()
        self.connection.execute(
            update(t.versions)
            .where(t.versions.c.id == version)
            .values(state=to, revision=row.revision + 1, updated=now)
        )
        announce(self, row, to, reason, row.revision + 1)
        follow(self.connection, event, row, to, reason, now, basis)
        return event

    def _insert_new(self, table: Table, **values: Any) -> bool:
        return bool(insert_new(self.connection, table, values))

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
    ) -> int:
        salt = secrets.token_hex(16)
        logged = self.connection.execute(
            t.events.insert().values(
                version=version,
                from_state=before,
                to_state=to,
                actor=actor,
                reason=sealed(salt, reason),
                policy_hash=policy_hash,
                revision=revision,
                key=key,
                at=time.time(),
            )
        )
        (event,) = logged.inserted_primary_key or (0,)
        self.connection.execute(t.event_reasons.insert().values(event=event, salt=salt, text=reason))
        return int(event)

    def state(self, version: str, *, hold: bool = False) -> WorldState:
        """Where a version stands now; ``hold`` keeps it there until the transaction ends. Raises NotFound."""
        query = select(t.versions.c.state).where(t.versions.c.id == version)
        row = self.connection.execute(query.with_for_update() if hold else query).first()
        if row is None:
            raise unknown_version(version)
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
        creator: str = LOCAL,
    ) -> bool:
        """Take in a version in state SUBMITTED; False where it is known already.

        Raises Conflict where that content was erased.
        """
        now = time.time()
        known = self.connection.execute(select(t.versions.c.state).where(t.versions.c.id == version)).first()
        if known is not None and known.state == WorldState.ERASED:
            raise Conflict(f"this content ({version[:12]}) was erased: change it to submit it again")
        self._insert_new(t.worlds, id=slug, title=title, creator=creator, created=now)
        if self.owner(slug) != creator:
            raise Conflict(f"the world {slug!r} is somebody else's: give it another title")
        if not self._insert_new(
            t.versions,
            id=version,
            world=slug,
            creator=creator,
            prompt=prompt,
            spec=dict(spec),
            package=package,
            remix_of=remix_of,
            state=WorldState.SUBMITTED,
            revision=0,
            created=now,
            updated=now,
        ):
            return False
        self._log(version, None, WorldState.SUBMITTED, LOCAL, "submitted", None, 0, f"submit:{version}")
        return True

    def version(self, version: str, *, hold: bool = False) -> Version:
        """As in this transaction; held, nobody else changes it before the end. Raises NotFound."""
        if hold:
            self.connection.execute(
                select(t.versions.c.id).where(t.versions.c.id == version).with_for_update()
            )
        for found in find_versions(self.connection, t.versions.c.id == version):
            return found
        raise unknown_version(version)

    def find_versions(self, world: str) -> list[Version]:
        """The versions of a world, newest last, as in this transaction."""
        return find_versions(self.connection, t.versions.c.world == world)

    def owner(self, world: str) -> str | None:
        """The account that a world belongs to; None where there is no such world."""
        return self.connection.execute(select(t.worlds.c.creator).where(t.worlds.c.id == world)).scalar()

    def is_published(self, world: str) -> bool:
        """Whether players may see some version of it."""
        published = and_(t.versions.c.world == world, t.versions.c.state == WorldState.PUBLISHED)
        return self.connection.execute(select(t.versions.c.id).where(published)).first() is not None

    def exploration(self, exploration: str) -> ExplorationRow:
        """As in this transaction. Raises NotFound."""
        return find_exploration(self.connection, exploration)

    def current_exploration(self, version: str) -> str:
        """The exploration that is being worked on. Raises NotFound."""
        query = select(t.versions.c.exploration).where(t.versions.c.id == version)
        row = self.connection.execute(query).first()
        if row is None or row.exploration is None:
            raise NotFound(f"world version {version} is not being explored")
        return str(row.exploration)

    def is_decided(self, version: str, explorations: Sequence[str | None], policy_hash: str) -> bool:
        """Whether a policy has decided any of these explorations, None for what the media alone says."""
        d = t.decisions.c
        which = d.version == version, d.exploration.in_([one or "" for one in explorations])
        query = select(d.id).where(*which, d.policy_hash == policy_hash)
        return self.connection.execute(query.limit(1)).first() is not None

    def verdict_against(self, version: str, exploration: str, policy_hash: str, since: int = 0) -> str | None:
        """The worst that the same policy said of another exploration of this version, None if nothing.

        ``since`` leaves out decisions up to that number: people have dealt with them.
        """
        query = select(t.decisions.c.body).where(
            t.decisions.c.version == version,
            t.decisions.c.exploration != exploration,
            t.decisions.c.policy_hash == policy_hash,
            t.decisions.c.id > since,
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
        looks: tuple[str, str] | None = None,
    ) -> None:
        """Make the row before the work begins; nothing where it is there.

        ``looks`` are the hashes of what is played and of the detectors that look at it: another exploration
        of the same play may be looked at in its place.
        """
        self._insert_new(
            t.explorations,
            id=exploration,
            version=version,
            seed=seed,
            model=model,
            model_sha256=model_sha256,
            budget=dict(budget),
            scanned=False,
            play=looks and looks[0],
            detectors=looks and looks[1],
            created=time.time(),
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
        rows = [playthrough_row(exploration, i, p) for i, p in enumerate(playthroughs)]
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
        values = playthrough_row(exploration, ordinal, played) | {"shown": shown.astype("<i4").tobytes()}
        self.connection.execute(update(t.playthroughs).where(which).values(**values))

    def add_frames(self, exploration: str, frames: Sequence[DistinctFrame]) -> None:
        if frames:
            self.connection.execute(
                t.frames.insert(), [{"exploration": exploration, **asdict(frame)} for frame in frames]
            )

    def add_piece(
        self,
        exploration: str,
        phase: str,
        ordinal: int,
        result: Any = None,
        blob: str | None = None,
        *,
        again: bool = False,
    ) -> None:
        """Mark a piece of a phase as finished; ``again`` leaves one that is there as it is."""
        piece = {"exploration": exploration, "phase": phase, "ordinal": ordinal, "result": result}
        if again:
            self._insert_new(t.pieces, **piece, blob=blob)
        else:
            self.connection.execute(t.pieces.insert().values(**piece, blob=blob))

    def add_findings(self, version: str, exploration: str | None, findings: Sequence[Finding]) -> None:
        """The same finding twice is one."""
        rows = [finding_row(version, exploration or "", finding) for finding in findings]
        if rows:
            insert_new(self.connection, t.findings, rows)

    def add_run(self, version: str, exploration: str | None, piece: str, run: DetectorRun) -> None:
        """Log that a detector looked at a piece, or failed to."""
        self._insert_new(
            t.detector_runs,
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

    def add_decision(
        self,
        version: str,
        exploration: str | None,
        decision: Decision,
        coverage: Coverage,
        evidence: Sequence[Evidence],
    ) -> None:
        """Keep a decision; one per policy and evidence."""
        self._insert_new(
            t.decisions,
            version=version,
            exploration=exploration or "",
            policy_hash=decision.policy_hash,
            verdict=decision.verdict,
            body=asdict(decision),
            coverage=asdict(coverage),
            evidence=[asdict(one) for one in evidence],
            at=time.time(),
        )

    def enqueue(
        self,
        kind: str,
        subject: str,
        key: str,
        payload: Mapping[str, Any] | None = None,
        priority: int = 0,
        *,
        queue: str = "cpu",
        creator: str | None = None,
    ) -> None:
        """Add a job; the same key twice is one job. The highest priority is claimed first.

        Within a priority creators take turns; ``creator`` defaults to whose version the subject is.
        """
        values = {
            "kind": kind,
            "subject": subject,
            "key": key,
            "payload": dict(payload or {}),
            "priority": priority,
            "queue": queue,
            "creator": creator or self._creator(subject),
            "created": time.time(),
            "trace": traces.current(),
        }
        added = self.connection.execute(_enqueueing(self.connection.dialect.name), values).scalar()
        if added is not None:
            self.ready.append(Ready(added, queue))

    def _creator(self, subject: str) -> str:
        whose = self.connection.execute(select(t.versions.c.creator).where(t.versions.c.id == subject))
        return str(whose.scalar() or LOCAL)

    def cancel_jobs(self, subject: str) -> None:
        """Withdraw what is not finished; running workers lose their lease at their next commit."""
        open_jobs = and_(t.jobs.c.subject == subject, t.jobs.c.state.in_(["ready", "running", "dead"]))
        self.connection.execute(t.jobs.delete().where(open_jobs))


def sealed(salt: str, reason: str) -> str:
    """What the log keeps of a reason: enough to prove it as long as its words are kept, not to guess it."""
    return "sha256:" + hashlib.sha256((salt + reason).encode()).hexdigest()


@lru_cache  # building a statement takes longer than running it
def _enqueueing(dialect: str) -> Any:
    constants = {"state": "ready", "failures": 0, "token": 0, "not_before": 0.0, "seconds": 0.0}
    given = ("kind", "subject", "key", "payload", "priority", "queue", "creator", "created", "trace")
    return (
        inserting(dialect, t.jobs)
        .values(**constants, **{name: bindparam(name) for name in given}, turn=_turn(dialect))
        .on_conflict_do_nothing()
        .returning(t.jobs.c.id)
    )


def _turn(dialect: str) -> ColumnElement[int]:
    """One after the creator's last open job, but not before the job that is next in the queue.

    Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996) with jobs of length one: whoever floods the
    queue pushes only their own jobs back.
    """
    here = and_(t.jobs.c.queue == bindparam("queue"), t.jobs.c.priority == bindparam("priority"))
    ahead = select(t.jobs.c.turn - 1).where(t.CLAIMABLE, here).order_by(t.jobs.c.turn).limit(1)
    own = select(t.jobs.c.turn).where(t.OPEN, here, t.jobs.c.creator == bindparam("creator"))
    last = own.order_by(t.jobs.c.turn.desc()).limit(1)
    larger = func.max if dialect == "sqlite" else func.greatest
    return 1 + larger(func.coalesce(ahead.scalar_subquery(), 0), func.coalesce(last.scalar_subquery(), 0))


@contextmanager
def transacting(database: Database, wake: Wake, *, durable: bool = True) -> Iterator[Transaction]:
    """Commits at the end, or nothing where an exception leaves the block; then wakes workers."""
    with database.writing(durable=durable) as connection:
        transaction = Transaction(connection)
        yield transaction
    if transaction.ready:
        wake(transaction.ready)


def find_versions(connection: Connection, *where: ColumnElement[bool]) -> list[Version]:
    """Oldest first."""
    query = select(t.versions, t.worlds.c.title).join(t.worlds).where(*where)
    return [version_of(row) for row in connection.execute(query.order_by(t.versions.c.created))]


def find_exploration(connection: Connection, exploration: str) -> ExplorationRow:
    """Raises NotFound."""
    row = connection.execute(select(t.explorations).where(t.explorations.c.id == exploration)).first()
    if row is None:
        raise NotFound(f"no exploration {exploration}")
    return exploration_of(row)
