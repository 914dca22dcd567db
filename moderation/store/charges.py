"""What every world spends: seconds of devices, bytes sent and bytes stored, by day and kind of work.

Quantities, not money: prices may change, and then all is told in the new ones (``moderation.spending``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from moderation.states import WORKING
from moderation.store import tables as t
from moderation.store.database import add_up
from moderation.store.figures import DAY

LIVE = "live"
"""Work of live play; the other kinds of work are those of jobs."""
SUMS = ("items", "seconds", "sent", "stored")


@dataclass(frozen=True)
class Charge:
    """What some work has taken."""

    work: str
    device: str
    """``cpu`` or ``gpu``."""
    items: int
    """Jobs, or sessions of live play."""
    seconds: float
    """Of the device."""
    sent: int = 0
    """Bytes."""
    stored: int = 0
    """Bytes more than before."""


@dataclass(frozen=True)
class WorldCharges:
    """Of one version."""

    version: str
    world: str
    creator: str
    charges: tuple[Charge, ...]


def add_charge(connection: Connection, version: str, charge: Charge, at: float) -> None:
    """Add to what a version has spent on the day of ``at`` (seconds since 1970)."""
    row = {"version": version, "day": int(at // DAY), **asdict(charge)}
    add_up(connection, t.charges, row, SUMS)


def of_version(connection: Connection, version: str) -> list[Charge]:
    """All that a version has spent, by kind of work."""
    return _charges(connection, _summed().where(t.charges.c.version == version))


def of_creator(connection: Connection, creator: str, since: float) -> list[Charge]:
    """What a creator's versions have spent since the day of a time, by kind of work."""
    query = _summed().join(t.versions, t.versions.c.id == t.charges.c.version)
    return _charges(
        connection, query.where(t.versions.c.creator == creator, t.charges.c.day >= int(since // DAY))
    )


def by_version(
    connection: Connection, creator: str | None, after: str | None, limit: int
) -> list[WorldCharges]:
    """What each version has spent, by version, of those that follow ``after``; of a creator or of all."""
    versions = select(t.versions.c.id, t.versions.c.world, t.versions.c.creator).where(
        t.versions.c.id.in_(select(t.charges.c.version))
    )
    if creator is not None:
        versions = versions.where(t.versions.c.creator == creator)
    if after is not None:
        versions = versions.where(t.versions.c.id > after)
    page = connection.execute(versions.order_by(t.versions.c.id).limit(limit)).all()
    told: dict[str, list[Charge]] = {row.id: [] for row in page}
    each = _summed(t.charges.c.version).where(t.charges.c.version.in_(list(told)))
    for row in connection.execute(each):
        told[row.version].append(_charge(row))
    return [WorldCharges(row.id, row.world, row.creator, tuple(told[row.id])) for row in page]


def of_reviews(connection: Connection, since: float) -> tuple[int, list[Charge]]:
    """How many versions were reviewed since the day of a time, and what that took."""
    lately = (t.charges.c.work != LIVE) & (t.charges.c.day >= int(since // DAY))
    count = connection.execute(select(func.count(t.charges.c.version.distinct())).where(lately)).scalar_one()
    return int(count), _charges(connection, _summed().where(lately))


def open_reviews(connection: Connection, creator: str) -> int:
    """Versions of a creator that are under review."""
    mine = (t.versions.c.creator == creator) & t.versions.c.state.in_(WORKING)
    return int(connection.execute(select(func.count()).select_from(t.versions).where(mine)).scalar_one())


def stored_by(connection: Connection, version: str) -> int:
    """Bytes that a version is charged for so far."""
    query = select(func.coalesce(func.sum(t.charges.c.stored), 0)).where(t.charges.c.version == version)
    return int(connection.execute(query).scalar_one())


def _summed(*by: Any) -> Select[Any]:
    c = t.charges.c
    groups: Sequence[Any] = (*by, c.work, c.device)
    sums = [func.sum(c[name]).label(name) for name in SUMS]
    return select(*groups, *sums).group_by(*groups).order_by(c.work, c.device)


def _charges(connection: Connection, query: Select[Any]) -> list[Charge]:
    return [_charge(row) for row in connection.execute(query)]


def _charge(row: Row[Any]) -> Charge:
    told = row._mapping  # noqa: SLF001  SQLAlchemy's public name for a row as a mapping; `items` is a method
    sums = int(told["items"]), float(row.seconds), int(row.sent), int(row.stored)
    return Charge(row.work, row.device, *sums)
