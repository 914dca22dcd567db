"""The jobs table: what is to be done, who holds it, and what became of it.

A job is ``ready`` (``not_before`` says since when), ``running`` under a lease and a fencing token, ``done``
or ``dead``. Within a queue the highest priority comes first; within a priority creators take turns (the
``turn`` that a job got when it was added). What a worker claims, renews and commits would be done again if
a cut of the power took it back, so none of that waits for the disk.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from moderation.store import tables as t
from moderation.store.database import Database, inserting
from moderation.store.records import Job, LeaseLost, Load, NotFound, Ready, Swept
from moderation.store.rows import job_of
from moderation.store.transaction import Transaction, Wake, transacting

QUEUES = ("urgent", "io", "cpu", "gpu")
"""In the order in which a worker of all of them looks: what is short comes before what is long."""
UNHEARD = 60.0
"""Seconds after which a worker that says nothing is not counted any more."""
_AT_ONCE = 200
"""Jobs that one sweep takes care of at most."""
_MEASURED = 50
"""Jobs over which the seconds of a kind are averaged."""


class Queue:
    """Jobs, and the only ways in which one changes hands. ``Transaction.enqueue`` adds them."""

    def __init__(self, database: Database, wake: Wake) -> None:
        self._database = database
        self._wake = wake

    def jobs(self, *subjects: str) -> list[Job]:
        """All jobs, or those of some subjects, oldest first."""
        query = select(t.jobs).order_by(t.jobs.c.id)
        return self._read(query.where(t.jobs.c.subject.in_(subjects)) if subjects else query)

    def job(self, number: int) -> Job:
        """Raises NotFound."""
        for job in self._read(select(t.jobs).where(t.jobs.c.id == number)):
            return job
        raise NotFound(f"no job {number}")

    def listed(
        self, state: str | None = None, queue: str | None = None, older: float = 0.0, limit: int | None = 100
    ) -> list[Job]:
        """The oldest jobs in a state and a queue that were added at least ``older`` seconds ago."""
        query = select(t.jobs).where(t.jobs.c.created <= time.time() - older)
        if state is not None:
            query = query.where(t.jobs.c.state == state)
        if queue is not None:
            query = query.where(t.jobs.c.queue == queue)
        return self._read(query.order_by(t.jobs.c.id).limit(limit))

    def claim(
        self,
        worker: str,
        lease: float,
        subjects: Sequence[str] | None = None,
        queues: Sequence[str] = QUEUES,
    ) -> Job | None:
        """Take the next job of the first queue that has one, with a new token; None where none has."""
        statement = _claiming(self._database.clock, tuple(queues), subjects is not None)
        values: dict[str, Any] = {"_worker": worker, "_lease": lease}
        if subjects is not None:
            values["_subjects"] = list(subjects)
        with self._writing() as tx:
            row = tx.connection.execute(statement, values).first()
        return None if row is None else job_of(row)

    def claim_alike(
        self, job: Job, worker: str, lease: float, most: int, subjects: Sequence[str] | None = None
    ) -> list[Job]:
        """Take more jobs of a claimed one's kind, which can be done together with it: at most ``most``, and
        no more than this worker's share of what is ready.

        None that failed before is among them: what kills its worker shall take no others along twice.
        """
        alike = and_(
            t.CLAIMABLE, t.jobs.c.queue == job.queue, t.jobs.c.kind == job.kind, t.jobs.c.failures == 0
        )
        if subjects is not None:
            alike = and_(alike, t.jobs.c.subject.in_(subjects))
        serving = max(1, sum(job.queue in queues for queues in self.workers().values()))
        values = {
            "state": "running",
            "token": t.jobs.c.token + 1,
            "worker": worker,
            "lease_until": self._database.clock + lease,
        }
        with self._writing() as tx:
            ready = select(t.jobs.c.id).where(alike).limit((most + 1) * serving).subquery()
            count = tx.connection.execute(select(func.count()).select_from(ready)).scalar_one()
            share = min(most, -(-(count + 1) // serving) - 1)
            chosen = tx.connection.execute(_ordered(alike).limit(share).with_for_update(skip_locked=True))
            taken = update(t.jobs).where(t.jobs.c.id.in_(chosen.scalars().all())).values(**values)
            return [job_of(row) for row in tx.connection.execute(taken.returning(t.jobs))]

    def renew(self, job: Job, lease: float, worked: float, progress: Mapping[str, Any] | None) -> None:
        """Lengthen the lease and note the progress. Raises LeaseLost."""
        values: dict[str, Any] = {
            "lease_until": self._database.clock + lease,
            "seconds": t.jobs.c.seconds + worked,
        }
        if progress is not None:
            values["progress"] = dict(progress)
        with self._writing() as tx:
            changed = tx.connection.execute(update(t.jobs).where(_held(job)).values(**values)).rowcount
        if not changed:
            raise LeaseLost(f"job {job.id} ({job.kind} of {job.subject}) was taken over")

    @contextmanager
    def committing(self, job: Job, *, done: bool = False, worked: float = 0.0) -> Iterator[Transaction]:
        """A transaction that commits only while the job's token holds (else LeaseLost, nothing written).

        ``done`` finishes the job in the same transaction; ``worked`` seconds are added to it.
        """
        which = {"_id": job.id, "_token": job.token}
        with self._writing() as tx:
            if done:
                times = {"_worked": worked, "_finished": time.time()}
                held = bool(tx.connection.execute(_FINISHING, which | times).rowcount)
            else:
                held = tx.connection.execute(_HOLDING, which).first() is not None
            if not held:
                raise LeaseLost(f"job {job.id} ({job.kind} of {job.subject}) was taken over")
            yield tx

    def fail(self, job: Job, error: str, retry_in: float, limit: int) -> bool:
        """Note a failure; the job is tried again in some seconds, or is dead after ``limit`` failures.

        True if it is dead now.

        Does nothing where the token no longer holds.
        """
        dead = job.failures + 1 >= limit
        wait = self._database.clock + retry_in if retry_in > 0 else 0.0
        values = {"state": "dead" if dead else "ready", "failures": job.failures + 1, "error": error}
        with self._writing() as tx:
            freed = self._free(tx, job, not_before=wait, **values)
            if not dead and retry_in <= 0:
                tx.ready += freed
        return dead and bool(freed)

    def release(self, job: Job) -> None:
        """Give a job back whose worker is gone: ready at once, its old token void."""
        with self._writing() as tx:
            tx.ready += self._free(tx, job, state="ready", not_before=0.0)

    def revive(self, *dead: Job) -> int:
        """Let dead jobs be tried again, as if for the first time; returns how many were still dead."""
        values = {"state": "ready", "failures": 0, "not_before": 0.0}
        which = and_(t.jobs.c.id.in_([job.id for job in dead]), t.jobs.c.state == "dead")
        with transacting(self._database, self._wake) as tx:
            tx.ready += self._set(tx, which, values)
            return len(tx.ready)

    def sweep(self, lease: float, limit: int, retry: float = 300.0) -> Swept:
        """Set going again what nobody holds any more: expired leases and retries that are due.

        An expired lease counts as a failure, of which ``limit`` make a job dead: what kills whole machines
        must end too. A lease or a retry further off than ``lease`` and ``retry`` seconds means that a clock
        was put back, and is cut. Any number of workers may sweep at the same time.
        """
        if not self._anything_to_sweep(lease, retry):
            return Swept()
        with self._writing() as tx:
            now = self._database.clock
            expired = self._expired(tx)
            dead = [row for row in expired if self._expire(tx, row, limit)]
            due = self._set(tx, t.jobs.c.id.in_(_some(_due(now, retry))), {"not_before": 0.0})
            tx.ready += due
            ahead = and_(t.LEASED, t.jobs.c.lease_until > now + lease)
            tx.connection.execute(update(t.jobs).where(ahead).values(lease_until=now + lease))
        return Swept(len(expired), len(due), len(dead))

    def _expire(self, tx: Transaction, row: Row[Any], limit: int) -> bool:
        """Whether that made it dead."""
        dead = bool(row.failures + 1 >= limit)
        error = f"the worker {row.worker} was not heard of until its lease ran out"
        values = {"state": "dead" if dead else "ready", "failures": row.failures + 1, "error": error}
        freed = self._free(tx, job_of(row), not_before=0.0, **values)
        if not dead:
            tx.ready += freed
        return dead

    def _anything_to_sweep(self, lease: float, retry: float) -> bool:
        now = self._database.clock
        conditions = (
            and_(t.LEASED, or_(t.jobs.c.lease_until < now, t.jobs.c.lease_until > now + lease)),
            _due(now, retry),
        )
        with self._database.reading() as connection:
            return any(
                connection.execute(select(t.jobs.c.id).where(condition).limit(1)).first() is not None
                for condition in conditions
            )

    def _expired(self, tx: Transaction) -> Sequence[Row[Any]]:
        query = select(t.jobs).where(t.LEASED, t.jobs.c.lease_until < self._database.clock)
        return tx.connection.execute(query.limit(_AT_ONCE).with_for_update(skip_locked=True)).all()

    def running(self, workers: str) -> list[Job]:
        """What is in the hands of workers whose names begin so."""
        return self._read(
            select(t.jobs).where(t.LEASED, t.jobs.c.worker.startswith(workers, autoescape=True))
        )

    def claimable(self, queue: str, limit: int) -> list[Ready]:
        """The next jobs of a queue."""
        query = _ordered(and_(t.CLAIMABLE, t.jobs.c.queue == queue)).limit(limit)
        with self._database.reading() as connection:
            return [Ready(row.id, queue) for row in connection.execute(query)]

    def loads(self) -> list[Load]:
        """What is ready or running, by queue and kind."""
        counted = select(t.jobs.c.queue, t.jobs.c.kind, func.count().label("jobs")).where(t.OPEN)
        with self._database.reading() as connection:
            rows = connection.execute(counted.group_by(t.jobs.c.queue, t.jobs.c.kind)).all()
            means = {row.kind: connection.execute(_mean_seconds(row.kind)).scalar() for row in rows}
        return [Load(row.queue, row.kind, row.jobs, means[row.kind]) for row in rows]

    def heard(self, worker: str, queues: Sequence[str]) -> None:
        """Note that a worker of some queues lives."""
        now = time.time()
        with self._writing() as tx:
            new = inserting(self._database.kind, t.workers).values(
                name=worker, queues=",".join(queues), started=now, seen=now
            )
            tx.connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"seen": now}))
            tx.connection.execute(t.workers.delete().where(t.workers.c.seen < now - UNHEARD))

    def gone(self, worker: str) -> None:
        """Note that a worker ended."""
        with self._writing() as tx:
            tx.connection.execute(t.workers.delete().where(t.workers.c.name == worker))

    def workers(self) -> dict[str, tuple[str, ...]]:
        """The workers that were heard of in the last minute, with the queues each looks into."""
        query = select(t.workers).where(t.workers.c.seen > time.time() - UNHEARD)
        with self._database.reading() as connection:
            return {row.name: tuple(row.queues.split(",")) for row in connection.execute(query)}

    def _free(self, tx: Transaction, job: Job, **values: Any) -> list[Ready]:
        """Take a job out of its worker's hands, where it still is in them."""
        return self._set(tx, _held(job), values | {"token": t.jobs.c.token + 1, "lease_until": None})

    def _set(self, tx: Transaction, which: ColumnElement[bool], values: Mapping[str, Any]) -> list[Ready]:
        changed = update(t.jobs).where(which).values(**values).returning(t.jobs.c.id, t.jobs.c.queue)
        return [Ready(row.id, row.queue) for row in tx.connection.execute(changed)]

    def _read(self, query: Any) -> list[Job]:
        with self._database.reading() as connection:
            return [job_of(row) for row in connection.execute(query)]

    def _writing(self) -> AbstractContextManager[Transaction]:
        return transacting(self._database, self._wake, durable=False)


def _held(job: Job) -> ColumnElement[bool]:
    return and_(t.jobs.c.id == job.id, t.jobs.c.token == job.token, t.jobs.c.state == "running")


@lru_cache(maxsize=64)  # building a statement takes longer than running it
def _claiming(
    clock: ColumnElement[float], queues: tuple[str, ...], some_subjects: bool
) -> ReturningUpdate[Any]:
    nexts = [_next(queue, some_subjects) for queue in queues]
    return (
        update(t.jobs)
        .where(t.jobs.c.id == (nexts[0] if len(nexts) == 1 else func.coalesce(*nexts)))
        .values(
            state="running",
            token=t.jobs.c.token + 1,
            worker=bindparam("_worker"),
            lease_until=clock + bindparam("_lease", type_=Float),
        )
        .returning(t.jobs)
    )


def _next(queue: str, some_subjects: bool) -> ScalarSelect[int]:
    free = and_(t.CLAIMABLE, t.jobs.c.queue == queue)
    if some_subjects:
        free = and_(free, t.jobs.c.subject.in_(bindparam("_subjects", expanding=True)))
    return _ordered(free).limit(1).with_for_update(skip_locked=True).scalar_subquery()


def _ordered(which: ColumnElement[bool]) -> Select[tuple[int]]:
    """Jobs in the order in which they are claimed."""
    jobs = select(t.jobs.c.id).where(which)
    return jobs.order_by(t.jobs.c.priority.desc(), t.jobs.c.turn, t.jobs.c.id)


_MINE = and_(
    t.jobs.c.id == bindparam("_id"), t.jobs.c.token == bindparam("_token"), t.jobs.c.state == "running"
)
_HOLDING = select(t.jobs.c.id).where(_MINE).with_for_update()
_FINISHING = (
    update(t.jobs)
    .where(_MINE)
    .values(
        state="done",
        finished=bindparam("_finished"),
        seconds=t.jobs.c.seconds + bindparam("_worked"),
        lease_until=None,
        error=None,
    )
)


def _due(now: ColumnElement[float], retry: float) -> ColumnElement[bool]:
    return and_(t.WAITING, or_(t.jobs.c.not_before <= now, t.jobs.c.not_before > now + retry))


def _some(condition: ColumnElement[bool]) -> Select[tuple[int]]:
    query = select(t.jobs.c.id).where(condition)
    return query.limit(_AT_ONCE).with_for_update(skip_locked=True)


def _mean_seconds(kind: str) -> Any:
    last = select(t.jobs.c.seconds).where(t.DONE, t.jobs.c.kind == kind)
    recent = last.order_by(t.jobs.c.finished.desc()).limit(_MEASURED).subquery()
    return select(func.avg(recent.c.seconds))
