"""One database behind the store, SQLite or PostgreSQL, and its schema.

SQLite: every write begins with ``BEGIN IMMEDIATE``, so that two writers queue up instead of failing half
way. PostgreSQL: writes are READ COMMITTED and lock the rows that they decide by (``FOR UPDATE``), reads are
REPEATABLE READ, so both see what SQLite would show them.
"""

from __future__ import annotations

import json
import os
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Table,
    cast,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError

SCHEMA = "0014"
"""Newest revision in ``moderation/migrations``."""
DATABASE_VARIABLE = "FIRSTPLAY_DATABASE"
"""Environment variable with the database's URL; worker processes inherit it."""
_MIGRATING = 0x66697273  # any number, the same for all: names the lock under which the schema changes


class BadDatabase(ValueError):
    """The URL names no database that firstplay can use; the message says which it can."""


def database_url(home: Path, given: str | None = None) -> URL:
    """``given``, else ``$FIRSTPLAY_DATABASE``, else a SQLite file under ``home``. Raises BadDatabase."""
    asked = given or os.environ.get(DATABASE_VARIABLE) or f"sqlite:///{home / 'firstplay.sqlite3'}"
    try:
        url = make_url(asked)
    except ArgumentError:
        raise BadDatabase(_wanted("a URL that cannot be read")) from None
    kind = url.get_backend_name()
    if kind == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise BadDatabase(_wanted(f"a {kind} database"))
    return url


def _wanted(got: str) -> str:
    return (
        f"{DATABASE_VARIABLE} names {got}: use postgresql://user@host/name or sqlite:////absolute/path, "
        "or leave it unset for a file under the home folder"
    )


class StillOpen(RuntimeError):
    """Another process keeps the database from forgetting what was deleted; the message says what to do."""


class Database:
    """Connections and transactions; shared by the threads of one process.

    Idle connections are closed by ``close``, else when nobody refers to the database any more.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self._engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
        weakref.finalize(self, self._engine.dispose)

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    def close(self) -> None:
        """Close every idle connection."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot: what is read inside is from one moment."""
        with self._engine.connect() as connection:
            if self.kind == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """Commits at the end, or nothing where an exception leaves the block.

        Not ``durable`` is for what would be done again by itself: a cut of the power may take such a
        transaction back (never a part of it, and none before it), but it does not wait for the disk.
        """
        connection = self._engine.connect().execution_options(
            firstplay_begin="BEGIN IMMEDIATE", firstplay_durable=durable
        )
        with connection, connection.begin():
            if self.kind == "postgresql" and not durable:
                connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
            yield connection

    @cached_property
    def clock(self) -> ColumnElement[float]:
        """Now, in seconds since 1970: by the server's clock, so that workers' clocks need not agree."""
        if self.kind == "postgresql":
            return cast(func.extract("epoch", func.clock_timestamp()), Float)
        return func.firstplay_now(type_=Float)

    def migrate(self, home: Path) -> None:
        """Bring the schema to the newest revision; processes that do so at once wait for each other."""
        if self._schema() == SCHEMA:
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
        config.attributes["engine"] = self._engine
        with self._alone(home):
            command.upgrade(config, "head")

    @contextmanager
    def _alone(self, home: Path) -> Iterator[None]:
        if self.kind == "sqlite":
            with FileLock(home / "migrate.lock"):
                yield
            return
        with self._engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _MIGRATING})
            yield
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _MIGRATING})

    def scrub(self, patience: float = 30.0) -> None:
        """Let the database's own files forget what was deleted: SQLite's file and its log, PostgreSQL's dead
        rows. Raises StillOpen where another process reads the SQLite file for ``patience`` seconds.
        """
        if self.kind == "postgresql":
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM")
            return
        raw = self._engine.raw_connection()
        try:
            _scrub(raw, patience)
        finally:
            raw.close()

    def _schema(self) -> str | None:
        if not inspect(self._engine).has_table("alembic_version"):
            return None
        with self._engine.connect() as connection:
            row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
        return None if row is None else str(row[0])


def insert_new(connection: Connection, table: Table, rows: Mapping[str, Any] | Sequence[Any]) -> int:
    """Insert a row or several, but none whose key is there already; returns how many went in."""
    if not rows:
        return 0
    statement = inserting(connection.dialect.name, table).on_conflict_do_nothing()
    return connection.execute(statement.execution_options(preserve_rowcount=True), rows).rowcount


def inserting(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say what becomes of a row whose key is there already."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def add_up(connection: Connection, table: Table, row: Mapping[str, Any], sums: Sequence[str]) -> None:
    """Insert a row, or add its ``sums`` to those of the row with the same primary key."""
    new = inserting(connection.dialect.name, table).values(**row)
    added = {name: table.c[name] + new.excluded[name] for name in sums}
    keys = [column.name for column in table.primary_key]
    connection.execute(new.on_conflict_do_update(index_elements=keys, set_=added))


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url, connect_args={"timeout": 30, "check_same_thread": False}, json_serializer=to_json
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(
            url, pool_pre_ping=True, connect_args={"connect_timeout": 10}, json_serializer=to_json
        )
    except ModuleNotFoundError:
        raise BadDatabase(
            "PostgreSQL needs its driver: pip install 'firstplay[distributed]' (package psycopg)"
        ) from None


def _configure(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not open transactions of its own
    connection.create_function("firstplay_now", 0, _now)  # SQLite 3.40 has no such clock
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=30000", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _scrub(raw: Any, patience: float) -> None:
    """Rebuild the file, and empty the log into it: pages keep deleted rows until they are used again."""
    raw.execute("VACUUM").close()
    deadline = time.monotonic() + patience
    while True:
        cursor = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (busy, *_) = cursor.fetchone()
        cursor.close()
        if not busy:
            return
        if time.monotonic() > deadline:
            raise StillOpen("another process reads the database: stop servers and workers, and do it again")
        time.sleep(0.1)


def _now() -> float:
    return time.time()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if "firstplay_durable" in options:
        level = "FULL" if options["firstplay_durable"] else "NORMAL"
        connection.connection.execute(f"PRAGMA synchronous={level}").close()
    connection.exec_driver_sql(options.get("firstplay_begin", "BEGIN"))


_ENDLESS = {inf: "+inf\0", -inf: "-inf\0"}


def to_json(value: Any) -> str:
    """JSON has no infinity, and PostgreSQL refuses Python's word for it: every reader takes 1e999 as it."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        told = json.dumps(_marked(value), allow_nan=False)
        return told.replace('"+inf\\u0000"', "1e999").replace('"-inf\\u0000"', "-1e999")


def _marked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(item) for item in value]
    return _ENDLESS.get(value, value) if isinstance(value, float) else value
