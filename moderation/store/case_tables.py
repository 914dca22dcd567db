"""Tables of what people decide. Rows of ``case_actions``, ``rulings``, ``statements`` and ``breaker_events``
never change."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from moderation.store.tables import metadata

cases = Table(
    "cases",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("version", ForeignKey("versions.id"), nullable=False, index=True),
    Column("reason", String, nullable=False),
    Column("severity", Integer, nullable=False),  # 0..4
    Column("reach", Integer, nullable=False),  # plays, as far as known
    Column("opened", Float, nullable=False),
    Column("due", Float, nullable=False),
    Column("status", String, nullable=False),
    Column("senior", Boolean, nullable=False),  # only for seniors
    Column("approvals", Integer, nullable=False),  # people who must agree
    Column("holder", String),
    Column("token", Integer, nullable=False),  # fencing: counts claims
    Column("lease_until", Float),
    Column("claimed", Float),
    Column("seconds", Float, nullable=False),  # held by people, over all claims
    Column("proposal", JSON),  # a decision that waits for a second person
    Column("decision", ForeignKey("decisions.id")),  # of the policy
    Column("contested", ForeignKey("events.id"), unique=True),  # what an appeal is against
    Column("plea", Text),  # what the creator says against it
    Column("outcome", String),
    Column("closed", Float),
)
Index("cases_in_order", cases.c.status, cases.c.severity, cases.c.reach, cases.c.due)

case_actions = Table(
    "case_actions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("case", ForeignKey("cases.id"), nullable=False, index=True),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("key", String, unique=True),  # idempotency key
    Column("at", Float, nullable=False),
)

rulings = Table(
    "rulings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("case", ForeignKey("cases.id"), nullable=False),
    Column("version", ForeignKey("versions.id"), nullable=False, index=True),
    Column("outcome", String, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_by", String, nullable=False),
    Column("approved_by", String),
    Column("stands", Boolean, nullable=False),  # binds machines; not so for a check of quality
    Column("event", ForeignKey("events.id")),  # which it brought about
    Column("at", Float, nullable=False),
    CheckConstraint("approved_by IS NULL OR approved_by <> decided_by", name="second_person_differs"),
)

statements = Table(
    "statements",
    metadata,
    Column("event", ForeignKey("events.id"), primary_key=True),
    Column("version", ForeignKey("versions.id"), nullable=False, index=True),
    Column("body", JSON, nullable=False),
    Column("at", Float, nullable=False, index=True),
)

breakers = Table(
    "breakers",
    metadata,
    Column("rule", String, primary_key=True),
    Column("spell", Integer, nullable=False),  # counts resets: quotas begin anew
    Column("tripped", Float),
    Column("why", Text),
)

breaker_days = Table(
    "breaker_days",
    metadata,
    Column("rule", String, primary_key=True),
    Column("day", String, primary_key=True),  # YYYY-MM-DD, UTC
    Column("spell", Integer, primary_key=True),
    Column("decided", Integer, nullable=False),  # worlds that the rule was asked about
    Column("fired", Integer, nullable=False),  # of those, it would reject
    Column("restricted", Integer, nullable=False),  # of those, were rejected without a person
)

breaker_events = Table(
    "breaker_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("rule", String, nullable=False, index=True),
    Column("action", String, nullable=False),  # tripped, reset
    Column("actor", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
)
