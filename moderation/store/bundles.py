"""Policy bundles with their lives, what a change of policy would turn, and what shadows say."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from moderation.store import tables as t
from moderation.store.database import insert_new
from moderation.store.records import NotFound


@dataclass(frozen=True)
class StoredBundle:
    """A bundle as text, and where it stands."""

    sha256: str
    name: str
    status: str
    """``draft``, ``shadow``, ``live`` or ``retired``."""
    entry: str
    """Which of the files, or their folder, is the bundle."""
    files: Mapping[str, str]
    """Path to text."""
    proposer: str | None
    changed: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class StoredBacktest:
    """What a bundle would have changed, when it was held against the one that was live."""

    id: int
    bundle: str
    against: str
    worlds: int
    turned: list[dict[str, Any]]
    at: float


@dataclass(frozen=True)
class ShadowTurn:
    """A decision that a shadow would have made otherwise."""

    version: str
    exploration: str
    live: str
    turn: dict[str, Any]
    at: float


def add_bundle(connection: Connection, sha256: str, name: str, entry: str, files: Mapping[str, str]) -> None:
    """Keep a bundle as a draft; nothing where it is known."""
    row = {
        "sha256": sha256,
        "name": name,
        "status": "draft",
        "entry": entry,
        "files": dict(files),
        "changed": time.time(),
    }
    insert_new(connection, t.policy_bundles, row)


def find_bundles(connection: Connection, *statuses: str, begins: str = "") -> list[StoredBundle]:
    """Those in some of the statuses (all if none is given) whose hash begins so, newest change first."""
    query = select(t.policy_bundles).where(t.policy_bundles.c.sha256.startswith(begins, autoescape=True))
    if statuses:
        query = query.where(t.policy_bundles.c.status.in_(statuses))
    rows = connection.execute(query.order_by(t.policy_bundles.c.changed.desc(), t.policy_bundles.c.sha256))
    return [_bundle(row) for row in rows]


def find_bundle(connection: Connection, begins: str) -> StoredBundle:
    """By its hash or how it begins. Raises NotFound, also where several begin so."""
    found = find_bundles(connection, begins=begins)
    if len(found) != 1:
        what = "several bundles have" if found else "no bundle has"
        raise NotFound(f"{what} a hash that begins with {begins!r}: `firstplay policy bundles` lists them")
    return found[0]


def bundle_status(connection: Connection, sha256: str) -> str:
    """Now, kept so until the transaction ends. Raises NotFound."""
    query = select(t.policy_bundles.c.status).where(t.policy_bundles.c.sha256 == sha256)
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        raise NotFound(f"no bundle {sha256[:12]}")
    return str(row.status)


def set_bundle_status(
    connection: Connection, sha256: str, to: str, actor: str, *, proposer: bool = False, backtest: int | None
) -> None:
    """Change where a bundle stands, and log it; ``proposer`` makes the actor the one who proposed it."""
    before = bundle_status(connection, sha256)
    values: dict[str, Any] = {"status": to, "changed": time.time()}
    if proposer:
        values["proposer"] = actor
    connection.execute(update(t.policy_bundles).where(t.policy_bundles.c.sha256 == sha256).values(**values))
    connection.execute(
        t.policy_events.insert().values(
            bundle=sha256, from_status=before, to_status=to, actor=actor, backtest=backtest, at=time.time()
        )
    )


def policy_log(connection: Connection) -> list[tuple[str, str | None, str, str]]:
    """Every change of a bundle's status, oldest first: bundle, from, to, actor."""
    columns = (
        t.policy_events.c.bundle,
        t.policy_events.c.from_status,
        t.policy_events.c.to_status,
        t.policy_events.c.actor,
    )
    return [tuple(row) for row in connection.execute(select(*columns).order_by(t.policy_events.c.id))]


def add_backtest(
    connection: Connection, bundle: str, against: str, worlds: int, turned: Sequence[Mapping[str, Any]]
) -> int:
    """Keep what a backtest found; returns its number."""
    values = {
        "bundle": bundle,
        "against": against,
        "worlds": worlds,
        "turned": list(turned),
        "at": time.time(),
    }
    key = connection.execute(t.backtests.insert().values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def last_backtest(connection: Connection, bundle: str) -> StoredBacktest | None:
    """The newest of a bundle."""
    query = select(t.backtests).where(t.backtests.c.bundle == bundle).order_by(t.backtests.c.id.desc())
    row = connection.execute(query.limit(1)).first()
    if row is None:
        return None
    return StoredBacktest(row.id, row.bundle, row.against, row.worlds, row.turned, row.at)


def add_shadow(
    connection: Connection,
    version: str,
    exploration: str | None,
    live: str,
    shadow: str,
    turn: Mapping[str, Any] | None,
) -> None:
    """Keep that a shadow decided as well; ``turn`` where it differs."""
    row = {
        "version": version,
        "exploration": exploration or "",
        "live": live,
        "shadow": shadow,
        "turn": turn,
        "at": time.time(),
    }
    insert_new(connection, t.shadow_decisions, row)


def count_shadows(connection: Connection, shadow: str) -> int:
    """Decisions that a shadow made beside the live bundle."""
    query = select(func.count()).where(t.shadow_decisions.c.shadow == shadow)
    return int(connection.execute(query).scalar_one())


def shadow_turns(connection: Connection, shadow: str) -> list[ShadowTurn]:
    """The decisions that a shadow would have made otherwise, oldest first."""
    query = select(t.shadow_decisions).where(
        t.shadow_decisions.c.shadow == shadow, t.shadow_decisions.c.turn.is_not(None)
    )
    rows = connection.execute(query.order_by(t.shadow_decisions.c.at))
    return [ShadowTurn(row.version, row.exploration, row.live, row.turn, row.at) for row in rows]


def _bundle(row: Row[Any]) -> StoredBundle:
    return StoredBundle(row.sha256, row.name, row.status, row.entry, row.files, row.proposer, row.changed)
