"""Moving a store from one database to another: every row copied and compared, or nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from sqlalchemy import Connection, Table

from moderation.store import Store
from moderation.store.copying import (
    close_to_writers,
    copy,
    count,
    hashes,
    set_sequences,
    tables,
)
from moderation.store.database import Database, database_url


class CannotMove(RuntimeError):
    """A move that did not begin, or that was undone; the message says why and what to do."""


@dataclass(frozen=True)
class Moved:
    """What a move copied."""

    target: str
    """URL without its password."""
    rows: Mapping[str, int]
    """By table; each was read back and compared."""


def move(store: Store, url: str) -> Moved:
    """Copy everything into the empty database at ``url``, and compare it row for row before it counts.

    Nobody can write to the store meanwhile; blobs stay where they are. Raises CannotMove, and BadDatabase
    for a URL that names no database.
    """
    target = Database(database_url(store.home, url))
    shown = target.url.render_as_string()
    if target.url == store.database.url:
        raise CannotMove(f"{shown} is the database that is in use already")
    target.migrate(store.home)
    try:
        with store.database.writing() as old, target.writing() as new:
            close_to_writers(old, tables())
            _check(store, new, shown)
            rows = {table.name: _copied(old, new, table) for table in tables()}
            set_sequences(new, tables())
        return Moved(shown, rows)
    finally:
        target.close()


def _check(store: Store, new: Connection, shown: str) -> None:
    if filled := [table.name for table in tables() if count(new, table)]:
        raise CannotMove(f"{shown} is not empty (table {filled[0]}): give a new database")
    if store.queue.running(""):
        raise CannotMove("jobs are running: stop the workers first")


def _copied(old: Connection, new: Connection, table: Table) -> int:
    copied = copy(old, new, table)
    for before, after in zip_longest(hashes(old, table), hashes(new, table)):
        if before != after:
            key = (before or after or ((),))[0]
            raise CannotMove(f"row {key} of {table.name} came out otherwise: nothing was moved")
    return copied
