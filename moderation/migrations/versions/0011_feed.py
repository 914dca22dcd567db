"""What people did in the feed, and what it showed them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Sessions' signals, snapshots of the ranking, impressions and interactions."""
    op.create_index("versions_newest", "versions", ["state", "updated"])
    op.create_table(
        "play_sessions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), sa.ForeignKey("versions.id"), nullable=False),
        sa.Column("player", sa.String(), nullable=False),
        sa.Column("played_by", sa.String(), nullable=False),
        sa.Column("spawn", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("first_input", sa.Float(), nullable=True),
        sa.Column("cells", sa.Integer(), nullable=False),
        sa.Column("mechanics", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_play_sessions_version", "play_sessions", ["version"])
    op.create_index("ix_play_sessions_at", "play_sessions", ["at"])
    op.create_table(
        "feed_snapshots",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("slate", sa.JSON(), nullable=False),
        sa.Column("arms", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("feed_snapshots_newest", "feed_snapshots", ["audience", "created"])
    op.create_table(
        "impressions",
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("player", sa.String(), nullable=False),
        sa.Column("version", sa.String(), sa.ForeignKey("versions.id"), nullable=False),
        sa.Column("propensity", sa.Float(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("snapshot", "position", "player"),
    )
    op.create_index("ix_impressions_at", "impressions", ["at"])
    op.create_table(
        "interactions",
        sa.Column("player", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", sa.String(), sa.ForeignKey("versions.id"), nullable=False),
        sa.Column("session", sa.String(), nullable=True),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("propensity", sa.Float(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("player", "id"),
    )
    op.create_index("ix_interactions_session", "interactions", ["session"])
    op.create_index("interactions_item", "interactions", ["snapshot", "position", "player"])


def downgrade() -> None:
    """Forget all of it."""
    for table in ("interactions", "impressions", "feed_snapshots", "play_sessions"):
        op.drop_table(table)
    op.drop_index("versions_newest", "versions")
