"""Pieces are asked for by phase."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let all audits be found without reading every piece."""
    op.create_index("pieces_phase", "pieces", ["phase"])


def downgrade() -> None:
    """Read every piece again."""
    op.drop_index("pieces_phase", "pieces")
