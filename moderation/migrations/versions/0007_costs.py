"""What work cost, and which trace it belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Costs by world, kind of work and what did it; the trace context of each job."""
    op.create_table(
        "costs",
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("work", sa.String(), primary_key=True),
        sa.Column("part", sa.String(), primary_key=True),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
    )
    op.add_column("jobs", sa.Column("trace", sa.String(), nullable=True))


def downgrade() -> None:
    """Forget them."""
    op.drop_column("jobs", "trace")
    op.drop_table("costs")
