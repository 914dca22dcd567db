"""Policies with their lives, reasons that can be erased, and which play an exploration is."""

from __future__ import annotations

import hashlib
import importlib
import secrets

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

GUARDED = ("policy_events", "erasures")
_LOG = ("events_never_change", "events_never_go")


def upgrade() -> None:
    """The reasons of events move to a table of their own; what the log keeps is a digest of each."""
    op.add_column("explorations", sa.Column("play", sa.String(), nullable=True))
    op.add_column("explorations", sa.Column("detectors", sa.String(), nullable=True))
    op.create_index("ix_explorations_play", "explorations", ["play"])
    _policies()
    _reasons()
    op.create_table(
        "erasures",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["versions.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_erasures_version", "erasures", ["version"])
    for table in GUARDED:
        _guard(table)


def _policies() -> None:
    op.create_table(
        "policy_bundles",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("entry", sa.String(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("proposer", sa.String(), nullable=True),
        sa.Column("changed", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    live = sa.text("status = 'live'")
    op.create_index(
        "one_live_bundle", "policy_bundles", ["status"], unique=True, sqlite_where=live, postgresql_where=live
    )
    op.create_table(
        "backtests",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("against", sa.String(), nullable=False),
        sa.Column("worlds", sa.Integer(), nullable=False),
        sa.Column("turned", sa.JSON(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["bundle"], ["policy_bundles.sha256"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_backtests_bundle", "backtests", ["bundle"])
    op.create_table(
        "shadow_decisions",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("exploration", sa.String(), nullable=False),
        sa.Column("live", sa.String(), nullable=False),
        sa.Column("shadow", sa.String(), nullable=False),
        sa.Column("turn", sa.JSON(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["shadow"], ["policy_bundles.sha256"]),
        sa.ForeignKeyConstraint(["version"], ["versions.id"]),
        sa.PrimaryKeyConstraint("version", "exploration", "live", "shadow"),
    )
    op.create_index("ix_shadow_decisions_shadow", "shadow_decisions", ["shadow"])
    op.create_table(
        "policy_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("from_status", sa.String(), nullable=True),
        sa.Column("to_status", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("backtest", sa.Integer(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["backtest"], ["backtests.id"]),
        sa.ForeignKeyConstraint(["bundle"], ["policy_bundles.sha256"]),
        sa.PrimaryKeyConstraint("id"),
    )


def _reasons() -> None:
    reasons = op.create_table(
        "event_reasons",
        sa.Column("event", sa.Integer(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["event"], ["events.id"]),
        sa.PrimaryKeyConstraint("event"),
    )
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, reason FROM events")).all()
    _open_log()
    for event, reason in rows:
        salt = secrets.token_hex(16)
        op.execute(reasons.insert().values(event=event, salt=salt, text=reason))
        sealed = "sha256:" + hashlib.sha256((salt + reason).encode()).hexdigest()
        seal = sa.text("UPDATE events SET reason = :sealed WHERE id = :event")
        connection.execute(seal, {"sealed": sealed, "event": event})
    _close_log()


def _open_log() -> None:
    for trigger in _LOG:
        postgresql = op.get_bind().dialect.name == "postgresql"
        op.execute(f"DROP TRIGGER {trigger}" + (" ON events" if postgresql else ""))


def _close_log() -> None:
    first = importlib.import_module("moderation.migrations.versions.0001_first")
    for trigger in first.TRIGGERS[op.get_bind().dialect.name]:
        if any(f"CREATE TRIGGER {name} " in trigger for name in _LOG):
            op.execute(trigger)


def _guard(table: str) -> None:
    """Rows of a log never change and never go."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION {table}_are_for_ever() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"RAISE integrity_constraint_violation USING MESSAGE = '{table} are append-only'; END $$"
        )
        for name, what, each in (
            ("change", "UPDATE OR DELETE", "ROW"),
            ("go", "TRUNCATE", "STATEMENT"),
        ):
            op.execute(
                f"CREATE TRIGGER {table}_never_{name} BEFORE {what} ON {table} "
                f"FOR EACH {each} EXECUTE FUNCTION {table}_are_for_ever()"
            )
        return
    for name, what in (("change", "UPDATE"), ("go", "DELETE")):
        op.execute(
            f"CREATE TRIGGER {table}_never_{name} BEFORE {what} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
        )


def downgrade() -> None:
    """The reasons go back into the log; the lives of policies and the log of erasures are lost."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT event, text FROM event_reasons")).all()
    _open_log()
    for event, reason in rows:
        unseal = sa.text("UPDATE events SET reason = :reason WHERE id = :event")
        connection.execute(unseal, {"reason": reason, "event": event})
    _close_log()
    for table in ("event_reasons", "erasures", "policy_events", "shadow_decisions", "backtests"):
        op.drop_table(table)
    op.drop_table("policy_bundles")
    if connection.dialect.name == "postgresql":
        for table in GUARDED:
            op.execute(f"DROP FUNCTION {table}_are_for_ever")
    op.drop_index("ix_explorations_play", "explorations")
    op.drop_column("explorations", "detectors")
    op.drop_column("explorations", "play")
