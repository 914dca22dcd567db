"""Empty databases on a PostgreSQL server, quickly: copies of one that was migrated once."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url

from moderation.store import open_store


class Server:
    """A PostgreSQL server on which this user may create databases."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
        )
        self._template = f"firstplay_template_{uuid.uuid4().hex[:12]}"

    def prepare(self) -> None:
        """Make the database that is copied. Raises OperationalError where no server answers."""
        self._do(f"CREATE DATABASE {self._template}")
        with tempfile.TemporaryDirectory() as home:
            open_store(Path(home), self._named(self._template)).close()

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty, migrated database that is dropped at the end."""
        name = f"firstplay_test_{uuid.uuid4().hex[:12]}"
        self._do(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        try:
            yield self._named(name)
        finally:
            self._do(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._do(f"DROP DATABASE {self._template} WITH (FORCE)")
        self._engine.dispose()

    def _named(self, name: str) -> str:
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def _do(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql(statement)
