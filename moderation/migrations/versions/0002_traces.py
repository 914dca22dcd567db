"""Where a replay leaves its playthrough."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep the trace of each playthrough; those recorded before have none."""
    op.add_column("playthroughs", sa.Column("trace", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Forget the traces."""
    op.drop_column("playthroughs", "trace")
