"""The tables. Times are seconds since 1970, UTC."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()
Whole = BigInteger().with_variant(Integer, "sqlite")  # 64 bits everywhere

worlds = Table(
    "worlds",
    metadata,
    Column("id", String, primary_key=True),  # slug of the title
    Column("title", String, nullable=False),
    Column("creator", String, nullable=False, server_default="creator"),  # account of the first version
    Column("created", Float, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("id", String, primary_key=True),  # SHA-256 of the content
    Column("world", ForeignKey("worlds.id"), nullable=False, index=True),
    Column("creator", String, nullable=False, index=True, server_default="creator"),
    Column("prompt", Text, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("package", String, nullable=False),  # blob: the clean package
    Column("remix_of", String),
    Column("state", String, nullable=False, index=True),
    Column("revision", Integer, nullable=False),  # counts transitions; what "expected" compares with
    Column("exploration", String),  # the one that is being worked on, or was decided last
    Column("thumbnail", String),  # blob: PNG
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("version", ForeignKey("versions.id"), nullable=False, index=True),
    Column("from_state", String),
    Column("to_state", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("reason", Text, nullable=False),  # salted digest; the words are in event_reasons
    Column("policy_hash", String),
    Column("revision", Integer, nullable=False),  # of the version after this event
    Column("key", String, unique=True),  # idempotency key
    Column("at", Float, nullable=False),
)

event_reasons = Table(
    "event_reasons",  # apart from the log, which is for ever: words may quote what a creator has erased
    metadata,
    Column("event", ForeignKey("events.id"), primary_key=True, autoincrement=False),
    Column("salt", String, nullable=False),
    Column("text", Text, nullable=False),
)

erasures = Table(
    "erasures",  # append-only
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("version", ForeignKey("versions.id"), nullable=False, index=True),
    Column("kind", String, nullable=False),  # moderation.erasure.Kind
    Column("actor", String, nullable=False),
    Column("at", Float, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),
    Column("queue", String, nullable=False, server_default="cpu"),
    Column("creator", String, nullable=False, server_default="creator"),
    Column("turn", Whole, nullable=False, server_default="0"),  # moderation.store.queue: fairness
    Column("subject", String, nullable=False, index=True),
    Column("key", String, nullable=False, unique=True),
    Column("payload", JSON, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("token", Integer, nullable=False),  # fencing: counts claims
    Column("worker", String),
    Column("lease_until", Float),
    Column("not_before", Float, nullable=False),  # 0: may be claimed; else a retry that is not due yet
    Column("progress", JSON),
    Column("seconds", Float, nullable=False),  # worked on, over all claims
    Column("error", Text),
    Column("created", Float, nullable=False),
    Column("finished", Float),
    Column("trace", String),  # W3C traceparent of whoever asked for it
)
# The very texts that queries use: a partial index serves only a query that states its condition.
CLAIMABLE = text("state = 'ready' AND not_before = 0")
WAITING = text("state = 'ready' AND not_before > 0")
LEASED = text("state = 'running'")
OPEN = text("state IN ('ready', 'running')")
DONE = text("state = 'done'")
for _name, _where, _columns in (
    ("jobs_claimable", CLAIMABLE, (jobs.c.queue, jobs.c.priority.desc(), jobs.c.turn, jobs.c.id)),
    ("jobs_waiting", WAITING, (jobs.c.not_before,)),
    ("jobs_leased", LEASED, (jobs.c.lease_until,)),
    ("jobs_turns", OPEN, (jobs.c.creator, jobs.c.queue, jobs.c.priority, jobs.c.turn)),
    ("jobs_measured", DONE, (jobs.c.kind, jobs.c.finished)),
):
    Index(_name, *_columns, sqlite_where=_where, postgresql_where=_where)

workers = Table(
    "workers",
    metadata,
    Column("name", String, primary_key=True),
    Column("queues", String, nullable=False),  # separated by commas
    Column("started", Float, nullable=False),
    Column("seen", Float, nullable=False),  # when it was last heard of
)

explorations = Table(
    "explorations",
    metadata,
    Column("id", String, primary_key=True),  # hash of the next five
    Column("version", ForeignKey("versions.id"), nullable=False, index=True),
    Column("seed", Whole, nullable=False),
    Column("model", String, nullable=False),
    Column("model_sha256", String, nullable=False),
    Column("budget", JSON, nullable=False),
    Column("coverage", JSON),  # null until explored
    Column("chart", JSON),  # discovery curve and map, for the report
    Column("scanned", Boolean, nullable=False),
    Column("play", String, index=True),  # hash of the same without the detectors; null before 0012
    Column("detectors", String),  # their hash; null before 0012
    Column("created", Float, nullable=False),
)

playthroughs = Table(
    "playthroughs",
    metadata,
    Column("exploration", ForeignKey("explorations.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("id", String, nullable=False, index=True),
    Column("world_key", String, nullable=False),
    Column("model_sha256", String, nullable=False),
    Column("arm", String, nullable=False),
    Column("player", String, nullable=False),
    Column("seed", Whole, nullable=False),
    Column("spawn", Integer, nullable=False),
    Column("actions", LargeBinary, nullable=False),
    Column("events", LargeBinary, nullable=False),
    Column("clips", LargeBinary, nullable=False),
    Column("frames_sha256", String),
    Column("sound_sha256", String),
    Column("trace", LargeBinary),  # bots.trace.Trace
    Column("shown", LargeBinary),  # (T+1,) int32: ordinal of the distinct frame that stands for each frame
)

frames = Table(
    "frames",
    metadata,
    Column("exploration", ForeignKey("explorations.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("playthrough", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),  # perceptual
    Column("view", BigInteger, nullable=False),
)

pieces = Table(
    "pieces",
    metadata,
    Column("exploration", ForeignKey("explorations.id"), primary_key=True),
    Column("phase", String, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("result", JSON),
    Column("blob", String),
    Index("pieces_phase", "phase"),
)

findings = Table(
    "findings",
    metadata,
    Column("version", ForeignKey("versions.id"), primary_key=True),
    Column("exploration", String, primary_key=True),  # empty for what intake found
    Column("id", String, primary_key=True),
    Column("detector", String, nullable=False),
    Column("detector_version", String, nullable=False),
    Column("label", String, nullable=False),
    Column("score", Float, nullable=False),
    Column("source", String, nullable=False),
    Column("start", Float, nullable=False),
    Column("end", Float, nullable=False),
    Column("playthrough", String),
    Column("media", String),
    Column("box", JSON),
    Column("text", Text),
)

detector_runs = Table(
    "detector_runs",
    metadata,
    Column("version", ForeignKey("versions.id"), primary_key=True),
    Column("exploration", String, primary_key=True),  # empty for intake
    Column("piece", String, primary_key=True),
    Column("detector", String, primary_key=True),
    Column("detector_version", String, nullable=False),
    Column("source", String, nullable=False),
    Column("items", Integer, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("error", Text),
    Column("uncovered", JSON, nullable=False, server_default="[]"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("version", ForeignKey("versions.id"), nullable=False, index=True),
    Column("exploration", String, nullable=False),  # empty when the media alone decided
    Column("policy_hash", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("body", JSON, nullable=False),
    Column("coverage", JSON, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("version", "exploration", "policy_hash"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", String, primary_key=True),
    Column("roles", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("disabled", Float),
    Column("budget", Float),  # money for 30 days; null: what the settings say
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),  # the public part, by which it is found
    Column("account", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("sha256", String, nullable=False),  # of the secret part
    Column("scopes", JSON, nullable=False),
    Column("label", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("revoked", Float),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("sha256", String, primary_key=True),  # of the cookie
    Column("account", ForeignKey("accounts.id"), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("account", ForeignKey("accounts.id"), primary_key=True),
    Column("blob", String, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("created", Float, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("account", String, primary_key=True),
    Column("key", String, primary_key=True),  # the client's Idempotency-Key
    Column("fingerprint", String, nullable=False),  # SHA-256 of what was asked
    Column("answer", JSON),
    Column("at", Float, nullable=False),
)

privileged_reads = Table(
    "privileged_reads",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("account", String, nullable=False),
    Column("what", String, nullable=False),
    Column("version", String, nullable=False, index=True),
    Column("at", Float, nullable=False),
)

costs = Table(
    "costs",
    metadata,
    Column("version", String, primary_key=True),
    Column("work", String, primary_key=True),  # kind of job, or live
    Column("part", String, primary_key=True),  # detector, or empty for the whole
    Column("items", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
)

charges = Table(
    "charges",
    metadata,
    Column("version", ForeignKey("versions.id"), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970
    Column("work", String, primary_key=True),  # kind of job, or live
    Column("device", String, primary_key=True),  # cpu or gpu
    Column("items", BigInteger, nullable=False),  # jobs or sessions
    Column("seconds", Float, nullable=False),  # of the device
    Column("sent", BigInteger, nullable=False),  # bytes
    Column("stored", BigInteger, nullable=False),  # bytes more than before
    Index("ix_charges_day", "day"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("url", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("disabled", String),  # why nothing is sent any more
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("webhook", String, nullable=False, index=True),
    Column("event", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("status", Integer),  # of the answer; null where there was none
    Column("error", Text),
    Column("seconds", Float, nullable=False),
    Column("at", Float, nullable=False),
)

Index("versions_newest", versions.c.state, versions.c.updated)

play_sessions = Table(
    "play_sessions",
    metadata,
    Column("id", String, primary_key=True),  # of the ticket's grant
    Column("version", ForeignKey("versions.id"), nullable=False, index=True),
    Column("player", String, nullable=False),  # pseudonym
    Column("played_by", String, nullable=False),  # person, bot or creator
    Column("spawn", Integer, nullable=False),
    Column("at", Float, nullable=False, index=True),
    Column("seconds", Float, nullable=False),
    Column("first_input", Float),  # seconds; null: none
    Column("cells", Integer, nullable=False),
    Column("mechanics", Float, nullable=False),  # share 0..1 of the world's mechanics
    Column("ended", String, nullable=False, server_default="left"),  # moderation.store.feed.Ended
    Column("reported", Boolean, nullable=False, server_default=false()),  # with the key in play
    Column("spawn_propensity", Float, nullable=False, server_default="1"),  # with which it began there
    Column("device_seconds", Float, nullable=False, server_default="0"),
    Column("sent", BigInteger, nullable=False, server_default="0"),  # bytes
)

creator_players = Table(
    "creator_players",  # who has been signed in at an address plays their own worlds from there
    metadata,
    Column("account", String, primary_key=True),
    Column("player", String, primary_key=True),  # pseudonym
    Column("at", Float, nullable=False),
)

feed_snapshots = Table(
    "feed_snapshots",
    metadata,
    Column("id", String, primary_key=True),
    Column("audience", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("slate", JSON, nullable=False),  # [[version, propensity, page], ...], best first
    Column("arms", LargeBinary, nullable=False),  # what was known of the candidates, for evaluation
    Index("feed_snapshots_newest", "audience", "created"),
)

impressions = Table(
    "impressions",
    metadata,
    Column("snapshot", String, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("player", String, primary_key=True),
    Column("version", ForeignKey("versions.id"), nullable=False),
    Column("propensity", Float, nullable=False),
    Column("at", Float, nullable=False, index=True),
)

interactions = Table(
    "interactions",
    metadata,
    Column("player", String, primary_key=True),
    Column("id", String, primary_key=True),  # the client's
    Column("kind", String, nullable=False),
    Column("version", ForeignKey("versions.id"), nullable=False),
    Column("session", String, index=True),
    Column("snapshot", String, nullable=False),
    Column("position", Integer, nullable=False),
    Column("propensity", Float, nullable=False),
    Column("at", Float, nullable=False),
    Index("interactions_item", "snapshot", "position", "player"),
)

policy_bundles = Table(
    "policy_bundles",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("status", String, nullable=False),  # moderation.policy_changes.bundles.Standing
    Column("entry", String, nullable=False),  # which of the files, or their folder, is the bundle
    Column("files", JSON, nullable=False),  # path to text
    Column("proposer", String),
    Column("changed", Float, nullable=False),
)
_live = policy_bundles.c.status == "live"
Index("one_live_bundle", policy_bundles.c.status, unique=True, sqlite_where=_live, postgresql_where=_live)

policy_events = Table(
    "policy_events",  # append-only
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("bundle", ForeignKey("policy_bundles.sha256"), nullable=False),
    Column("from_status", String),
    Column("to_status", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("backtest", ForeignKey("backtests.id")),
    Column("at", Float, nullable=False),
)

backtests = Table(
    "backtests",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("bundle", ForeignKey("policy_bundles.sha256"), nullable=False, index=True),
    Column("against", String, nullable=False),  # hash of the bundle that was live
    Column("worlds", Integer, nullable=False),  # decided again
    Column("turned", JSON, nullable=False),  # moderation.policy_changes.redecide.Turn of each that differs
    Column("at", Float, nullable=False),
)

shadow_decisions = Table(
    "shadow_decisions",
    metadata,
    Column("version", ForeignKey("versions.id"), primary_key=True),
    Column("exploration", String, primary_key=True),
    Column("live", String, primary_key=True),  # hash of the bundle that decided
    Column("shadow", ForeignKey("policy_bundles.sha256"), primary_key=True, index=True),
    Column("turn", JSON(none_as_null=True)),  # null where both say the same
    Column("at", Float, nullable=False),
)
