"""What a detector could not judge."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep the labels that a run could not judge; runs before this judged all of theirs."""
    op.add_column("detector_runs", sa.Column("uncovered", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    """Forget those labels."""
    op.drop_column("detector_runs", "uncovered")
