"""The jobs table: what is to be done, who holds it, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import and_, or_, select, update

from moderation.store import tables as t
from moderation.store.database import Database
from moderation.store.records import Job, LeaseLost
from moderation.store.rows import job_of
from moderation.store.transaction import Transaction


class Queue:
    """Jobs, and the only ways in which one changes hands. ``Transaction.enqueue`` adds them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def jobs(self, *subjects: str) -> list[Job]:
        """All jobs, or those of some subjects, oldest first."""
        query = select(t.jobs).order_by(t.jobs.c.id)
        if subjects:
            query = query.where(t.jobs.c.subject.in_(subjects))
        with self._database.reading() as connection:
            return [job_of(row) for row in connection.execute(query)]

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
        next_one = (
            select(t.jobs.c.id)
            .where(free)
            .order_by(t.jobs.c.priority.desc(), t.jobs.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        taken = (
            update(t.jobs)
            .where(t.jobs.c.id == next_one.scalar_subquery())
            .values(state="running", token=t.jobs.c.token + 1, worker=worker, lease_until=now + lease)
            .returning(t.jobs)
        )
        with self._writing() as tx:
            row = tx.connection.execute(taken).first()
        return None if row is None else job_of(row)

    def renew(self, job: Job, lease: float, worked: float, progress: Mapping[str, Any] | None) -> None:
        """Lengthen the lease and note the progress. Raises LeaseLost."""
        values: dict[str, Any] = {"lease_until": time.time() + lease, "seconds": t.jobs.c.seconds + worked}
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
        with self._writing() as tx:
            if tx.connection.execute(select(t.jobs.c.id).where(_held(job)).with_for_update()).first() is None:
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
        with self._writing() as tx:
            changed = tx.connection.execute(update(t.jobs).where(_held(job)).values(**values)).rowcount
        return dead and bool(changed)

    def release(self, job: Job) -> None:
        """Give a job back whose worker is gone: ready at once, its old token void."""
        values = {"state": "ready", "token": t.jobs.c.token + 1, "lease_until": None}
        with self._writing() as tx:
            tx.connection.execute(update(t.jobs).where(_held(job)).values(**values))

    def revive(self, job: Job) -> None:
        """Let a dead job be tried again."""
        dead = and_(t.jobs.c.id == job.id, t.jobs.c.state == "dead")
        with self._writing() as tx:
            tx.connection.execute(
                update(t.jobs).where(dead).values(state="ready", failures=0, not_before=0.0)
            )

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        with self._database.writing() as connection:
            yield Transaction(connection)


def _held(job: Job) -> Any:
    return and_(t.jobs.c.id == job.id, t.jobs.c.token == job.token, t.jobs.c.state == "running")
