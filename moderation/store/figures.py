"""How the installation does, in numbers: counts and ages over the tables, and what work cost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Column, Connection, case, func, select

from moderation.store import tables as t
from moderation.store.database import add_up

DAY, HOUR = 86_400.0, 3600.0


@dataclass(frozen=True)
class JobFigures:
    """Jobs of one kind."""

    kind: str
    states: Mapping[str, int]
    """How many are ready, running, done, dead."""
    oldest: float
    """Seconds that the oldest job which may start now has waited."""
    median: float
    """Seconds of work on those that finished in the last day."""
    latency: float
    """Seconds from being asked for to being done, mean over those."""


@dataclass(frozen=True)
class QueueFigures:
    """Jobs of one queue, of whatever kind."""

    queue: str
    ready: int
    running: int
    oldest: float
    """Seconds that the oldest job which may start now has waited."""


@dataclass(frozen=True)
class Hours:
    """What happened in each of the last hours, the oldest first."""

    jobs: Mapping[str, Sequence[int]]
    """Done, by kind."""
    decisions: Mapping[str, Sequence[int]]
    """By verdict."""


@dataclass(frozen=True)
class Cost:
    """What one part of some kind of work cost."""

    work: str
    part: str
    """A detector, or empty for the whole."""
    items: int
    seconds: float


@dataclass(frozen=True)
class Figures:
    """All of it, at one moment."""

    jobs: tuple[JobFigures, ...]
    worlds: Mapping[str, int]
    """Versions by state."""
    decisions: Mapping[str, int]
    """By verdict."""
    findings: Mapping[tuple[str, str], int]
    """By detector and label."""
    costs: tuple[Cost, ...]


def figures(connection: Connection, now: float | None = None) -> Figures:
    """As of ``now``, by default the clock (seconds since 1970)."""
    now = time.time() if now is None else now
    kinds = connection.execute(select(t.jobs.c.kind).distinct().order_by(t.jobs.c.kind)).scalars().all()
    return Figures(
        jobs=tuple(_jobs(connection, kind, now) for kind in kinds),
        worlds=worlds_by_state(connection),
        decisions=_counts(connection, t.decisions.c.verdict),
        findings={
            (row.detector, row.label): row.n
            for row in connection.execute(
                select(t.findings.c.detector, t.findings.c.label, func.count().label("n")).group_by(
                    t.findings.c.detector, t.findings.c.label
                )
            )
        },
        costs=_costs(connection),
    )


def queues(connection: Connection, now: float | None = None) -> list[QueueFigures]:
    """Every queue that has work, the longest wait first; ``now`` as in :func:`figures`."""
    now = time.time() if now is None else now
    jobs = t.jobs.c
    may_start = (jobs.state == "ready") & (jobs.not_before <= now)
    query = select(
        jobs.queue,
        func.sum(case((jobs.state == "ready", 1), else_=0)),
        func.sum(case((jobs.state == "running", 1), else_=0)),
        func.min(case((may_start, jobs.created))),
    ).where(t.OPEN)
    rows = connection.execute(query.group_by(jobs.queue)).all()
    found = [
        QueueFigures(queue, int(ready), int(running), 0.0 if since is None else max(0.0, now - since))
        for queue, ready, running, since in rows
    ]
    return sorted(found, key=lambda one: (-one.oldest, one.queue))


def hours(connection: Connection, now: float | None = None, count: int = 24) -> Hours:
    """The last ``count`` hours up to ``now``, by default the clock."""
    now = time.time() if now is None else now
    return Hours(
        jobs=_hourly(connection, t.jobs.c.kind, t.jobs.c.finished, now, count),
        decisions=_hourly(connection, t.decisions.c.verdict, t.decisions.c.at, now, count),
    )


def _hourly(
    connection: Connection, what: Column[str], at: Column[float], now: float, count: int
) -> dict[str, list[int]]:
    edges = [now - HOUR * back for back in range(count, -1, -1)]
    spans = [func.sum(case(((at > begin) & (at <= end), 1), else_=0)) for begin, end in pairwise(edges)]
    query = select(what, *spans).where(at > edges[0]).group_by(what).order_by(what)
    return {row[0]: [int(one) for one in row[1:]] for row in connection.execute(query)}


def titles(connection: Connection, versions: Iterable[str]) -> dict[str, str]:
    """Of these versions' worlds, by version; ids of anything else are left out."""
    query = select(t.versions.c.id, t.worlds.c.title).join(t.worlds).where(t.versions.c.id.in_([*versions]))
    return {row.id: row.title for row in connection.execute(query)}


def worlds_by_state(connection: Connection) -> dict[str, int]:
    """Versions by state."""
    return _counts(connection, t.versions.c.state)


def costs_of(connection: Connection, version: str) -> list[Cost]:
    """What one version has cost so far, dearest first."""
    query = select(t.costs).where(t.costs.c.version == version).order_by(t.costs.c.seconds.desc())
    return [Cost(row.work, row.part, row.items, row.seconds) for row in connection.execute(query)]


def add_cost(connection: Connection, version: str, cost: Cost) -> None:
    """Add to what a version has cost."""
    row = {
        "version": version,
        "work": cost.work,
        "part": cost.part,
        "items": cost.items,
        "seconds": cost.seconds,
    }
    add_up(connection, t.costs, row, ["items", "seconds"])


def _counts(connection: Connection, column: Column[str]) -> dict[str, int]:
    query = select(column, func.count().label("count")).group_by(column)
    return {row[0]: row[1] for row in connection.execute(query)}


def _jobs(connection: Connection, kind: str, now: float) -> JobFigures:
    mine = t.jobs.c.kind == kind
    states = connection.execute(
        select(t.jobs.c.state, func.count()).where(mine).group_by(t.jobs.c.state)
    ).all()
    ready = mine & (t.jobs.c.state == "ready") & (t.jobs.c.not_before <= now)
    since = connection.execute(select(func.min(t.jobs.c.created)).where(ready)).scalar()
    lately = mine & (t.jobs.c.state == "done") & (t.jobs.c.finished > now - DAY)
    took = func.avg(t.jobs.c.finished - t.jobs.c.created)
    done, latency = connection.execute(select(func.count(), took).where(lately)).one()
    middle = select(t.jobs.c.seconds).where(lately).order_by(t.jobs.c.seconds).limit(1).offset(done // 2)
    return JobFigures(
        kind=kind,
        states={row[0]: row[1] for row in states},
        oldest=0.0 if since is None else max(0.0, now - since),
        median=float(connection.execute(middle).scalar() or 0.0),
        latency=float(latency or 0.0),
    )


def _costs(connection: Connection) -> tuple[Cost, ...]:
    items, seconds = func.sum(t.costs.c["items"]), func.sum(t.costs.c.seconds)
    query = select(t.costs.c.work, t.costs.c.part, items, seconds).group_by(t.costs.c.work, t.costs.c.part)
    return tuple(Cost(row[0], row[1], int(row[2]), float(row[3])) for row in connection.execute(query))
