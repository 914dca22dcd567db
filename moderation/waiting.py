"""How long a review will still take: what is before it in the queue, and how long others took from there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy import Connection, and_, func, or_, select

from moderation.states import DECIDED, WORKING, WorldState
from moderation.store import Job, Store, Version
from moderation.store import tables as t

MEASURED = 40
"""Reviews, the newest ones, over which the median is taken."""


@dataclass(frozen=True)
class Outlook:
    """What can be said of a review that goes on."""

    ahead: int | None
    """Other worlds whose work comes before its own in the queue; None where it is being worked on."""
    left: float | None
    """Seconds until it is decided, if it goes as with others; None where none has been decided yet."""


def open_jobs_of(store: Store, version: str) -> list[Job]:
    """What is being done for a version, or waits to be."""
    return [job for job in store.queue.jobs(version) if job.state in {"ready", "running"}]


def outlook(
    store: Store, version: Version, now: float | None = None, jobs: Sequence[Job] | None = None
) -> Outlook | None:
    """None where nothing is left to be done. ``now`` is in seconds since 1970, by default the clock.

    ``jobs`` are its open ones, where they have been read.
    """
    if version.state not in WORKING:
        return None
    now = time.time() if now is None else now
    open_jobs = open_jobs_of(store, version.id) if jobs is None else jobs
    running = any(job.state == "running" for job in open_jobs)
    with store.reading() as connection:
        ahead = None if running or not open_jobs else _ahead(connection, open_jobs[0])
        took = _took(connection, version.state)
    if not took:
        return Outlook(ahead, None)
    return Outlook(ahead, max(0.0, version.updated + median(took) - now))


def _ahead(connection: Connection, job: Job) -> int:
    """Worlds with a job that a worker of its queue would take first, retries that are not due left out."""
    jobs = t.jobs.c
    turn = select(jobs.turn).where(jobs.id == job.id).scalar_subquery()
    sooner = or_(
        jobs.priority > job.priority,
        and_(jobs.priority == job.priority, or_(jobs.turn < turn, and_(jobs.turn == turn, jobs.id < job.id))),
    )
    others = select(func.count(func.distinct(jobs.subject))).where(
        t.CLAIMABLE, jobs.queue == job.queue, jobs.subject != job.subject, sooner
    )
    return int(connection.execute(others).scalar() or 0)


def _took(connection: Connection, state: WorldState) -> list[float]:
    """Seconds from entering a state to the decision, of the reviews that were decided last."""
    entered, decided = t.events.alias(), t.events.alias()
    began = (
        select(func.max(entered.c.at))
        .where(
            entered.c.version == decided.c.version, entered.c.to_state == state, entered.c.id < decided.c.id
        )
        .scalar_subquery()
    )
    query = (
        select(decided.c.at, began.label("began"))
        .where(decided.c.from_state.in_(WORKING), decided.c.to_state.in_(DECIDED - {WorldState.WITHDRAWN}))
        .order_by(decided.c.id.desc())
        .limit(MEASURED)
    )
    return [row.at - row.began for row in connection.execute(query) if row.began is not None]
