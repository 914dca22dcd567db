"""What live play leaves in the store: reports with their replays, and who may still play."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Integer,
    Select,
    String,
    Table,
    func,
    select,
)

from bots.recording import Playthrough
from moderation.states import WorldState
from moderation.store import tables as t
from moderation.store.database import insert_new
from moderation.store.families import made_from_gone
from moderation.store.rows import playthrough_of, playthrough_row
from moderation.store.transaction import Transaction

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moderation.store.reads import Store

live_reports = Table(
    "live_reports",
    t.metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String, nullable=False, unique=True),  # the same report twice is one
    Column("version", ForeignKey("versions.id"), nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("session", String, nullable=False),
    Column("exploration", String, nullable=False),  # which holds the playthrough
    Column("playthrough", String, nullable=False),
    Column("step", Integer, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("policy_hash", String),
    Column("picture", String),  # blob: PNG
    Column("at", Float, nullable=False),
)

MOST_SEEDS = 64
"""Playthroughs of people that an exploration repeats."""


class ReportKind(StrEnum):
    """Why a moment of live play is kept."""

    VIOLATION = "violation"
    """A rule ended the session."""
    MODERATOR = "moderator"
    """Somebody who reviews the world played there and filed what they found."""
    NEAR_MISS = "near_miss"
    """A rule asks for a person."""
    NEW_VIEWS = "new_views"
    """It went where no bot had been."""
    PLAYER = "player"
    """The player reported it."""


@dataclass(frozen=True)
class LiveReport:
    """A moment of live play, and how to come to it again."""

    version: str
    kind: ReportKind
    session: str
    playthrough: str
    step: int
    """Of the playthrough, which ends there."""
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    policy_hash: str | None = None
    picture: str | None = None
    """Blob (PNG)."""
    at: float = 0.0
    """Seconds since 1970."""


def live_exploration(version: str, model_sha256: str) -> str:
    """Id of the exploration under which people's playthroughs of a version are kept."""
    return hashlib.sha256(f"live:{version}:{model_sha256}".encode()).hexdigest()[:16]


def add_play(tx: Transaction, version: str, model: str, play: Playthrough) -> str:
    """Keep a person's playthrough, once; returns the exploration that holds it."""
    exploration = live_exploration(version, play.model)
    tx.add_exploration(exploration, version, 0, model, play.model, {"live": True})
    held = select(t.explorations.c.id).where(t.explorations.c.id == exploration).with_for_update()
    tx.connection.execute(held)
    rows = t.playthroughs.c.exploration == exploration
    if tx.connection.execute(select(t.playthroughs.c.id).where(rows, t.playthroughs.c.id == play.id)).first():
        return exploration
    last = tx.connection.execute(select(func.max(t.playthroughs.c.ordinal)).where(rows)).scalar()
    ordinal = 0 if last is None else last + 1
    tx.connection.execute(t.playthroughs.insert().values(playthrough_row(exploration, ordinal, play)))
    return exploration


def add_report(tx: Transaction, exploration: str, report: LiveReport) -> bool:
    """Keep a report; False where this session made it before."""
    told = ":".join([report.session, report.kind, report.playthrough, *report.rules])
    row = {
        "key": hashlib.sha256(told.encode()).hexdigest(),
        "version": report.version,
        "kind": report.kind,
        "session": report.session,
        "exploration": exploration,
        "playthrough": report.playthrough,
        "step": report.step,
        "rules": list(report.rules),
        "reasons": list(report.reasons),
        "policy_hash": report.policy_hash,
        "picture": report.picture,
        "at": time.time(),
    }
    return bool(insert_new(tx.connection, live_reports, row))


def count_sessions(tx: Transaction, version: str, kind: ReportKind) -> int:
    """Sessions of a version with such a report."""
    which = live_reports.c.version == version, live_reports.c.kind == kind
    query = select(func.count(live_reports.c.session.distinct())).where(*which)
    return int(tx.connection.execute(query).scalar_one())


# -- reads --------------------------------------------------------------------------------------------


def newest_event(store: Store) -> int:
    """Number of the newest change of any version's state: while it stays, nobody's right to play changed."""
    with store.reading() as connection:
        return int(connection.execute(select(func.max(t.events.c.id))).scalar() or 0)


def newest_policy_event(store: Store) -> int:
    """Number of the newest change of any policy bundle's status: while it stays, the same one is in force."""
    with store.reading() as connection:
        return int(connection.execute(select(func.max(t.policy_events.c.id))).scalar() or 0)


def playable(store: Store, worlds: Collection[str]) -> set[str]:
    """Those of the worlds that are published, and made from none that was taken down."""
    with store.reading() as connection:
        rows = connection.execute(_published(t.versions.c.world.in_(worlds))).all()
        parents = {row.world: row.remix_of for row in rows}
        return {world for world, parent in parents.items() if not made_from_gone(connection, [parent])}


def still_playable(store: Store, versions: Collection[str]) -> set[str]:
    """The same of versions: another one of the world that is published does not keep this one in play."""
    with store.reading() as connection:
        rows = connection.execute(_published(t.versions.c.id.in_(versions))).all()
        return {row.id for row in rows if not made_from_gone(connection, [row.remix_of])}


def _published(which: ColumnElement[bool]) -> Select[tuple[str, str, str | None]]:
    """Of a world the newest one last, which is what its address plays."""
    v = t.versions.c
    query = select(v.id, v.world, v.remix_of).where(which, v.state == WorldState.PUBLISHED)
    return query.order_by(v.updated)


def reports(store: Store, version: str) -> list[LiveReport]:
    """What live play of a version reported, oldest first."""
    query = select(live_reports).where(live_reports.c.version == version).order_by(live_reports.c.id)
    with store.reading() as connection:
        return [_report_of(row) for row in connection.execute(query)]


def seeds(store: Store, versions: Sequence[str], exploration: str) -> list[Playthrough]:
    """People's playthroughs that an exploration of a version, or of a remix of it, is to repeat first.

    Only those that were there when the exploration was asked for, so that one that was interrupted goes on
    with the same; violations before near misses, then the newest.
    """
    weight = {kind: place for place, kind in enumerate(ReportKind)}
    begun = select(t.explorations.c.created).where(t.explorations.c.id == exploration).scalar_subquery()
    query = (
        select(live_reports.c.kind, live_reports.c.at, t.playthroughs)
        .join(
            t.playthroughs,
            (t.playthroughs.c.exploration == live_reports.c.exploration)
            & (t.playthroughs.c.id == live_reports.c.playthrough),
        )
        .where(live_reports.c.version.in_(versions), live_reports.c.at < begun)
    )
    with store.reading() as connection:
        rows = sorted(connection.execute(query).all(), key=lambda row: (weight[row.kind], -row.at))
    found = {row.id: playthrough_of(row).playthrough for row in rows}
    return list(found.values())[:MOST_SEEDS]


def pictures(connection: Connection) -> Iterator[str | None]:
    """Every blob that a report names."""
    yield from connection.execute(select(live_reports.c.picture)).scalars()


def _report_of(row: Any) -> LiveReport:
    return LiveReport(
        version=row.version,
        kind=ReportKind(row.kind),
        session=row.session,
        playthrough=row.playthrough,
        step=row.step,
        rules=tuple(row.rules),
        reasons=tuple(row.reasons),
        policy_hash=row.policy_hash,
        picture=row.picture,
        at=row.at,
    )
