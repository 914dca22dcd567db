"""Reviews by people, their statements of reasons, and circuit breakers of rules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

WAITING = """
INSERT INTO cases (version, reason, severity, reach, opened, due, status, senior, approvals, token, seconds,
                   decision)
SELECT id, CASE WHEN state = 'suspended' THEN 'suspended' ELSE 'policy' END, 2, 0, updated, updated + 172800,
       'waiting', false, 1, 0, 0, (SELECT max(d.id) FROM decisions d WHERE d.version = versions.id)
FROM versions WHERE state IN ('needs_review', 'suspended')
"""
FOR_EVER = ("case_actions", "rulings", "statements", "breaker_events")


def upgrade() -> None:
    """The tables, the triggers that keep records as they were, and a case for whatever waits already."""
    _cases()
    _records()
    _breakers()
    for table in FOR_EVER:
        for trigger in _triggers(table):
            op.execute(trigger)
    op.execute(WAITING)


def _cases() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.Integer(), autoincrement=True, primary_key=True),
        sa.Column("version", sa.String(), sa.ForeignKey("versions.id"), nullable=False, index=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("reach", sa.Integer(), nullable=False),
        sa.Column("opened", sa.Float(), nullable=False),
        sa.Column("due", sa.Float(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("senior", sa.Boolean(), nullable=False),
        sa.Column("approvals", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("claimed", sa.Float(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("proposal", sa.JSON(), nullable=True),
        sa.Column("decision", sa.Integer(), sa.ForeignKey("decisions.id"), nullable=True),
        sa.Column("contested", sa.Integer(), sa.ForeignKey("events.id"), nullable=True, unique=True),
        sa.Column("plea", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("closed", sa.Float(), nullable=True),
    )
    op.create_index("cases_in_order", "cases", ["status", "severity", "reach", "due"])
    op.create_table(
        "case_actions",
        sa.Column("id", sa.Integer(), autoincrement=True, primary_key=True),
        sa.Column("case", sa.Integer(), sa.ForeignKey("cases.id"), nullable=False, index=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("key", sa.String(), nullable=True, unique=True),
        sa.Column("at", sa.Float(), nullable=False),
    )


def _records() -> None:
    op.create_table(
        "rulings",
        sa.Column("id", sa.Integer(), autoincrement=True, primary_key=True),
        sa.Column("case", sa.Integer(), sa.ForeignKey("cases.id"), nullable=False),
        sa.Column("version", sa.String(), sa.ForeignKey("versions.id"), nullable=False, index=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("stands", sa.Boolean(), nullable=False),
        sa.Column("event", sa.Integer(), sa.ForeignKey("events.id"), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.CheckConstraint("approved_by IS NULL OR approved_by <> decided_by", name="second_person_differs"),
    )
    op.create_table(
        "statements",
        sa.Column("event", sa.Integer(), sa.ForeignKey("events.id"), primary_key=True),
        sa.Column("version", sa.String(), sa.ForeignKey("versions.id"), nullable=False, index=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False, index=True),
    )


def _breakers() -> None:
    op.create_table(
        "breakers",
        sa.Column("rule", sa.String(), primary_key=True),
        sa.Column("spell", sa.Integer(), nullable=False),
        sa.Column("tripped", sa.Float(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
    )
    op.create_table(
        "breaker_days",
        sa.Column("rule", sa.String(), primary_key=True),
        sa.Column("day", sa.String(), primary_key=True),
        sa.Column("spell", sa.Integer(), primary_key=True),
        sa.Column("decided", sa.Integer(), nullable=False),
        sa.Column("fired", sa.Integer(), nullable=False),
        sa.Column("restricted", sa.Integer(), nullable=False),
    )
    op.create_table(
        "breaker_events",
        sa.Column("id", sa.Integer(), autoincrement=True, primary_key=True),
        sa.Column("rule", sa.String(), nullable=False, index=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
    )


def _triggers(table: str) -> tuple[str, ...]:
    said = f"{table} are append-only"
    if op.get_bind().dialect.name == "sqlite":
        return tuple(
            f"CREATE TRIGGER {table}_never_{name} BEFORE {event} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{said}'); END"
            for name, event in (("change", "UPDATE"), ("go", "DELETE"))
        )
    return (
        (
            f"CREATE FUNCTION {table}_are_for_ever() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE integrity_constraint_violation USING MESSAGE = '{said}'; END $$"
        ),
        (
            f"CREATE TRIGGER {table}_never_change BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_are_for_ever()"
        ),
        (
            f"CREATE TRIGGER {table}_never_go BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_are_for_ever()"
        ),
    )


def downgrade() -> None:
    """Forget them all."""
    for table in (
        "breaker_events",
        "breaker_days",
        "breakers",
        "statements",
        "rulings",
        "case_actions",
        "cases",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for table in FOR_EVER:
            op.execute(f"DROP FUNCTION {table}_are_for_ever")
