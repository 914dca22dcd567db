"""What sessions and reviews spend, how sessions ended, and from where creators play."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SESSION: tuple[sa.Column[Any], ...] = (
    sa.Column("ended", sa.String(), nullable=False, server_default="left"),
    sa.Column("reported", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("spawn_propensity", sa.Float(), nullable=False, server_default="1"),
    sa.Column("device_seconds", sa.Float(), nullable=False, server_default="0"),
    sa.Column("sent", sa.BigInteger(), nullable=False, server_default="0"),
)


def upgrade() -> None:
    """Charges by version and day, a cap for each account, and more of each session."""
    for column in _SESSION:
        op.add_column("play_sessions", column)
    op.create_table(
        "charges",
        sa.Column("version", sa.String(), sa.ForeignKey("versions.id"), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("work", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", "day", "work", "device"),
    )
    op.create_index("ix_charges_day", "charges", ["day"])
    op.create_table(
        "creator_players",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("player", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account", "player"),
    )
    op.add_column("accounts", sa.Column("budget", sa.Float(), nullable=True))


def downgrade() -> None:
    """Forget all of it."""
    op.drop_column("accounts", "budget")
    op.drop_table("creator_players")
    op.drop_table("charges")
    for column in reversed(_SESSION):
        op.drop_column("play_sessions", column.name)
