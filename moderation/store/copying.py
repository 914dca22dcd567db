"""Tables from one database to another, row for row, as they are stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    cast,
    func,
    select,
    text,
)

from moderation.store.database import to_json
from moderation.store.tables import metadata

BATCH = 500
"""Rows."""
Key = tuple[Any, ...]


def tables() -> list[Table]:
    """Every table, those first that others name."""
    return list(metadata.sorted_tables)


def count(connection: Connection, table: Table) -> int:
    """Rows in it."""
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def copy(source: Connection, target: Connection, table: Table) -> int:
    """Copy a table in the order of its key; returns how many rows."""
    insert = table.insert().values({one.name: _bound(target, one) for one in table.columns})
    rows = _stored(source, table)
    copied = 0
    while batch := list(islice(rows, BATCH)):
        names = [column.name for column in table.columns]
        target.execute(insert, [dict(zip(names, row, strict=True)) for row in batch])
        copied += len(batch)
    return copied


def hashes(connection: Connection, table: Table) -> Iterator[tuple[Key, str]]:
    """Key and SHA-256 of every row, in the order of the key, the same in every kind of database."""
    keys = [i for i, column in enumerate(table.columns) if column.primary_key]
    for row in _stored(connection, table):
        told = json.dumps([_plain(value) for value in row], ensure_ascii=False)
        yield tuple(row[i] for i in keys), hashlib.sha256(told.encode()).hexdigest()


def set_sequences(connection: Connection, tables: Sequence[Table]) -> None:
    """Let numbers go on after the highest; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        for column in table.primary_key.columns:
            owned = text("SELECT pg_get_serial_sequence(:table, :column)")
            names = {"table": table.name, "column": column.name}
            sequence = connection.execute(owned, names).scalar_one()
            if isinstance(column.type, Integer) and sequence is not None:
                highest = select(func.max(column)).scalar_subquery()
                following = func.coalesce(highest, 0) + 1
                connection.execute(select(func.setval(sequence, following, False)))


def close_to_writers(connection: Connection, tables: Sequence[Table]) -> None:
    """Let nobody write until this transaction ends; SQLite's ``writing`` does so by itself."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(f'"{table.name}"' for table in tables)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE MODE")


def _stored(connection: Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    """Rows in the order of the key, JSON as its text: null, and a value that says null, are not the same."""
    columns = [_read(column) for column in table.columns]
    order = [_ordered(connection, column) for column in table.primary_key.columns]
    query = select(*columns).order_by(*order).execution_options(yield_per=BATCH)
    json_at = [i for i, column in enumerate(table.columns) if isinstance(column.type, JSON)]
    for row in connection.execute(query):
        values = list(row)
        for i in json_at:
            if values[i] is not None and "Infinity" in values[i]:
                values[i] = to_json(json.loads(values[i]))  # as this version writes it
        yield tuple(values)


def _read(column: Column[Any]) -> Any:
    return cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column


def _bound(connection: Connection, column: Column[Any]) -> Any:
    if not isinstance(column.type, JSON):
        return bindparam(column.name, type_=column.type)
    told = bindparam(column.name, type_=Text())
    # SQLite would take a cast to JSON for one to a number
    return cast(told, JSON()) if connection.dialect.name == "postgresql" else told


def _ordered(connection: Connection, column: Column[Any]) -> Any:
    """By bytes: databases sort letters by their own rules."""
    if connection.dialect.name == "postgresql" and isinstance(column.type, String):
        return column.collate("C")
    return column


def _plain(value: Any) -> Any:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value
