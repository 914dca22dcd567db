"""Playthroughs that another look is taken at: an exploration that takes over what an earlier one played."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, literal, null, select, update

from moderation.store import tables as t
from moderation.store.records import ExplorationRow, NotFound
from moderation.store.rows import exploration_of

WAYS = "ways"
"""Phase whose piece is how an exploration went, for remixes."""


def played_before(connection: Connection, version: str, play: str | None, but: str) -> str | None:
    """The newest other exploration of a version that played the same and whose recordings are kept."""
    e = t.explorations.c
    recorded = exists().where(t.playthroughs.c.exploration == e.id)
    query = select(e.id).where(e.version == version, e.play == play, e.id != but, e.coverage.is_not(None))
    found = connection.execute(query.where(recorded).order_by(e.created.desc()).limit(1)).first()
    return None if found is None else str(found.id)


def take_over_play(connection: Connection, exploration: str) -> bool:
    """Give an exploration what an earlier one played, to be scanned anew; False where none played the same.

    Playthroughs are copied with what a replay must meet, but not with what was seen in them.
    """
    e = t.explorations.c
    own = connection.execute(select(e.version, e.play).where(e.id == exploration)).one()
    donor = None if own.play is None else played_before(connection, own.version, own.play, exploration)
    if donor is None:
        return False
    told = connection.execute(select(e.coverage, e.chart).where(e.id == donor)).one()
    connection.execute(
        update(t.explorations).where(e.id == exploration).values(coverage=told.coverage, chart=told.chart)
    )
    seen: dict[str, ColumnElement[Any]] = {"exploration": literal(exploration), "shown": null()}
    plays: list[ColumnElement[Any]] = [seen.get(one.name, one).label(one.name) for one in t.playthroughs.c]
    connection.execute(
        t.playthroughs.insert().from_select(
            [column.name for column in t.playthroughs.c],
            select(*plays).where(t.playthroughs.c.exploration == donor),
        )
    )
    p = t.pieces.c
    ways = select(literal(exploration), p.phase, p.ordinal, p.result, p.blob)
    connection.execute(
        t.pieces.insert().from_select(
            ["exploration", "phase", "ordinal", "result", "blob"],
            ways.where(p.exploration == donor, p.phase == WAYS),
        )
    )
    return True


def first_exploration(connection: Connection, version: str) -> ExplorationRow:
    """The one that a version's intake was for. Raises NotFound."""
    query = select(t.explorations).where(t.explorations.c.version == version)
    row = connection.execute(query.order_by(t.explorations.c.created).limit(1)).first()
    if row is None:
        raise NotFound(f"world version {version} was never explored")
    return exploration_of(row)
