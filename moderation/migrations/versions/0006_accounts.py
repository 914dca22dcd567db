"""Who may do what, and what was asked of the API before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Accounts, their keys and sign-ins; uploads; answers to idempotent requests; whose a world is."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("disabled", sa.Float(), nullable=True),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("account", sa.String(), sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=True),
        sa.Column("revoked", sa.Float(), nullable=True),
    )
    op.create_table(
        "sign_ins",
        sa.Column("sha256", sa.String(), primary_key=True),
        sa.Column("account", sa.String(), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
    )
    op.create_table(
        "uploads",
        sa.Column("account", sa.String(), sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("blob", sa.String(), primary_key=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
    )
    op.create_table(
        "requests",
        sa.Column("account", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
    )
    op.create_table(
        "privileged_reads",
        sa.Column("id", sa.Integer(), autoincrement=True, primary_key=True),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False, index=True),
        sa.Column("at", sa.Float(), nullable=False),
    )
    op.add_column("worlds", sa.Column("creator", sa.String(), nullable=False, server_default="creator"))


def downgrade() -> None:
    """Forget them all."""
    op.drop_column("worlds", "creator")
    for table in ("privileged_reads", "requests", "uploads", "sign_ins", "api_keys", "accounts"):
        op.drop_table(table)
