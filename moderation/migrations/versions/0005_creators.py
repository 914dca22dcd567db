"""Whose a version is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Versions of before are everybody's: of the one creator of an embedded store."""
    op.add_column("versions", sa.Column("creator", sa.String(), nullable=False, server_default="creator"))
    op.create_index("ix_versions_creator", "versions", ["creator"])


def downgrade() -> None:
    """Forget the creators."""
    op.drop_index("ix_versions_creator", "versions")
    op.drop_column("versions", "creator")
