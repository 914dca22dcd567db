"""What live play reported: violations, near misses, what was new, and what players reported."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; nothing was reported before."""
    op.create_table(
        "live_reports",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(), nullable=False, unique=True),
        sa.Column("version", sa.String(), sa.ForeignKey("versions.id"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("session", sa.String(), nullable=False),
        sa.Column("exploration", sa.String(), nullable=False),
        sa.Column("playthrough", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("policy_hash", sa.String()),
        sa.Column("picture", sa.String()),
        sa.Column("at", sa.Float(), nullable=False),
    )
    op.create_index("ix_live_reports_version", "live_reports", ["version"])


def downgrade() -> None:
    """Forget what live play reported; the playthroughs stay."""
    op.drop_index("ix_live_reports_version", "live_reports")
    op.drop_table("live_reports")
