"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQLITE = (
    (
        "CREATE TRIGGER events_never_change BEFORE UPDATE ON events "
        "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
    ),
    (
        "CREATE TRIGGER events_never_go BEFORE DELETE ON events "
        "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
    ),
    (
        "CREATE TRIGGER state_needs_event BEFORE UPDATE OF state, revision ON versions "
        "WHEN NOT EXISTS (SELECT 1 FROM events WHERE version = NEW.id AND from_state = OLD.state "
        "AND to_state = NEW.state AND revision = NEW.revision AND NEW.revision = OLD.revision + 1) "
        "BEGIN SELECT RAISE(ABORT, 'a change of state needs its event'); END"
    ),
)
POSTGRESQL = (
    (
        "CREATE FUNCTION events_are_for_ever() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE integrity_constraint_violation USING MESSAGE = 'events are append-only'; END $$"
    ),
    (
        "CREATE TRIGGER events_never_change BEFORE UPDATE OR DELETE ON events "
        "FOR EACH ROW EXECUTE FUNCTION events_are_for_ever()"
    ),
    (
        "CREATE TRIGGER events_never_go BEFORE TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_are_for_ever()"
    ),
    (
        "CREATE FUNCTION state_needs_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF (NEW.state, NEW.revision) IS DISTINCT FROM (OLD.state, OLD.revision) AND NOT EXISTS "
        "(SELECT 1 FROM events WHERE version = NEW.id AND from_state = OLD.state AND to_state = NEW.state "
        "AND revision = NEW.revision AND NEW.revision = OLD.revision + 1) THEN "
        "RAISE integrity_constraint_violation USING MESSAGE = 'a change of state needs its event'; "
        "END IF; RETURN NEW; END $$"
    ),
    (
        "CREATE TRIGGER state_needs_event BEFORE UPDATE ON versions "
        "FOR EACH ROW EXECUTE FUNCTION state_needs_event()"
    ),
)
TRIGGERS = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table, and the triggers that guard the log."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=True),
        sa.Column("not_before", sa.Float(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("finished", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_jobs_subject"), ["subject"], unique=False)
        batch_op.create_index("jobs_claimable", ["state", "not_before"], unique=False)

    op.create_table(
        "worlds",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("world", sa.String(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("remix_of", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("exploration", sa.String(), nullable=True),
        sa.Column("thumbnail", sa.String(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["world"],
            ["worlds.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("versions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_versions_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_versions_world"), ["world"], unique=False)

    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("exploration", sa.String(), nullable=False),
        sa.Column("policy_hash", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("coverage", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"],
            ["versions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("version", "exploration", "policy_hash"),
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decisions_version"), ["version"], unique=False)

    op.create_table(
        "detector_runs",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("exploration", sa.String(), nullable=False),
        sa.Column("piece", sa.String(), nullable=False),
        sa.Column("detector", sa.String(), nullable=False),
        sa.Column("detector_version", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version"],
            ["versions.id"],
        ),
        sa.PrimaryKeyConstraint("version", "exploration", "piece", "detector"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("policy_hash", sa.String(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"],
            ["versions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_version"), ["version"], unique=False)

    op.create_table(
        "explorations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("seed", WHOLE, nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("model_sha256", sa.String(), nullable=False),
        sa.Column("budget", sa.JSON(), nullable=False),
        sa.Column("coverage", sa.JSON(), nullable=True),
        sa.Column("chart", sa.JSON(), nullable=True),
        sa.Column("scanned", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"],
            ["versions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("explorations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_explorations_version"), ["version"], unique=False)

    op.create_table(
        "findings",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("exploration", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("detector", sa.String(), nullable=False),
        sa.Column("detector_version", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("start", sa.Float(), nullable=False),
        sa.Column("end", sa.Float(), nullable=False),
        sa.Column("playthrough", sa.String(), nullable=True),
        sa.Column("media", sa.String(), nullable=True),
        sa.Column("box", sa.JSON(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version"],
            ["versions.id"],
        ),
        sa.PrimaryKeyConstraint("version", "exploration", "id"),
    )
    op.create_table(
        "frames",
        sa.Column("exploration", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("playthrough", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("view", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["exploration"],
            ["explorations.id"],
        ),
        sa.PrimaryKeyConstraint("exploration", "ordinal"),
    )
    op.create_table(
        "pieces",
        sa.Column("exploration", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("blob", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["exploration"],
            ["explorations.id"],
        ),
        sa.PrimaryKeyConstraint("exploration", "phase", "ordinal"),
    )
    op.create_table(
        "playthroughs",
        sa.Column("exploration", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("world_key", sa.String(), nullable=False),
        sa.Column("model_sha256", sa.String(), nullable=False),
        sa.Column("arm", sa.String(), nullable=False),
        sa.Column("player", sa.String(), nullable=False),
        sa.Column("seed", WHOLE, nullable=False),
        sa.Column("spawn", sa.Integer(), nullable=False),
        sa.Column("actions", sa.LargeBinary(), nullable=False),
        sa.Column("events", sa.LargeBinary(), nullable=False),
        sa.Column("clips", sa.LargeBinary(), nullable=False),
        sa.Column("frames_sha256", sa.String(), nullable=True),
        sa.Column("sound_sha256", sa.String(), nullable=True),
        sa.Column("shown", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["exploration"],
            ["explorations.id"],
        ),
        sa.PrimaryKeyConstraint("exploration", "ordinal"),
    )
    with op.batch_alter_table("playthroughs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_playthroughs_id"), ["id"], unique=False)

    for trigger in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(trigger)


def downgrade() -> None:
    """Drop everything."""
    with op.batch_alter_table("playthroughs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_playthroughs_id"))

    op.drop_table("playthroughs")
    op.drop_table("pieces")
    op.drop_table("frames")
    op.drop_table("findings")
    with op.batch_alter_table("explorations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_explorations_version"))

    op.drop_table("explorations")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_version"))

    op.drop_table("events")
    op.drop_table("detector_runs")
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_decisions_version"))

    op.drop_table("decisions")
    with op.batch_alter_table("versions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_versions_world"))
        batch_op.drop_index(batch_op.f("ix_versions_state"))

    op.drop_table("versions")
    op.drop_table("worlds")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("jobs_claimable")
        batch_op.drop_index(batch_op.f("ix_jobs_subject"))

    op.drop_table("jobs")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION events_are_for_ever")
        op.execute("DROP FUNCTION state_needs_event")
