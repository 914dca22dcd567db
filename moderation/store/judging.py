"""What people ruled, and the newest decisions that it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from moderation.store import tables as t
from moderation.store.case_tables import rulings


@dataclass(frozen=True)
class Ruled:
    """A person's last word on a version."""

    version: str
    cleared: bool
    rules: tuple[str, ...]
    """That it breaks."""


def people_ruled(connection: Connection) -> list[Ruled]:
    """The newest ruling on each version, checks of quality included."""
    query = select(rulings.c.version, rulings.c.outcome, rulings.c.rules).order_by(rulings.c.id)
    newest = {
        row.version: Ruled(row.version, row.outcome == "clear", tuple(row.rules))
        for row in connection.execute(query)
    }
    return list(newest.values())


def newest_decisions(connection: Connection, versions: Sequence[str]) -> list[int]:
    """Numbers of the newest decision on each of some versions."""
    d = t.decisions.c
    query = select(func.max(d.id)).where(d.version.in_(versions)).group_by(d.version)
    return sorted(connection.execute(query).scalars())
