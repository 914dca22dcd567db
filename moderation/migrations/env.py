"""How Alembic reaches the database that ``open_store`` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Engine

from moderation.store.tables import metadata


def _run() -> None:
    engine = context.config.attributes["engine"]
    if not isinstance(engine, Engine):
        raise TypeError("migrations run through moderation.store.open_store, which passes its engine")
    with engine.connect().execution_options(firstplay_begin="BEGIN IMMEDIATE") as connection:
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()


_run()
