"""Queues, turns of creators, and the workers that are there."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_INDEXES: dict[str, tuple[str, list[Any]]] = {
    "jobs_claimable": (
        "state = 'ready' AND not_before = 0",
        ["queue", sa.text("priority DESC"), "turn", "id"],
    ),
    "jobs_waiting": ("state = 'ready' AND not_before > 0", ["not_before"]),
    "jobs_leased": ("state = 'running'", ["lease_until"]),
    "jobs_turns": ("state IN ('ready', 'running')", ["creator", "queue", "priority", "turn"]),
    "jobs_measured": ("state = 'done'", ["kind", "finished"]),
}


def upgrade() -> None:
    """Open jobs of before go to the queues of their kinds; all are of the same turn."""
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("jobs", sa.Column("queue", sa.String(), nullable=False, server_default="cpu"))
    op.add_column("jobs", sa.Column("creator", sa.String(), nullable=False, server_default="creator"))
    op.add_column("jobs", sa.Column("turn", whole, nullable=False, server_default="0"))
    op.execute("UPDATE jobs SET queue = 'gpu' WHERE kind IN ('explore', 'scan')")
    op.drop_index("jobs_claimable", "jobs")
    for name, (condition, columns) in _INDEXES.items():
        where = sa.text(condition)
        op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "workers",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("queues", sa.String(), nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
    )


def downgrade() -> None:
    """One queue again."""
    op.drop_table("workers")
    for name in _INDEXES:
        op.drop_index(name, "jobs")
    op.create_index("jobs_claimable", "jobs", ["state", "not_before"])
    for name in ("turn", "creator", "queue"):
        op.drop_column("jobs", name)
