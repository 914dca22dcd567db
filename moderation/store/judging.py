"""What people ruled."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

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
