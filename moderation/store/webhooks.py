"""Webhooks and their deliveries: their SQL, and the messages that a change of state queues."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, select, update

from moderation.states import WorldState
from moderation.store import tables as t
from moderation.store.records import NotFound

if TYPE_CHECKING:
    from moderation.store.transaction import Transaction

NOTIFY = "notify"
"""Kind of the jobs that deliver."""
TOLD = frozenset(
    {
        WorldState.NEEDS_REVIEW,
        WorldState.REJECTED,
        WorldState.CHANGES_REQUESTED,
        WorldState.INCONCLUSIVE,
        WorldState.PUBLISHED,
        WorldState.SUSPENDED,
        WorldState.TAKEN_DOWN,
        WorldState.UPHELD,
        WorldState.OVERTURNED,
    }
)
"""States of a version that its creator is told of."""


@dataclass(frozen=True)
class Webhook:
    """An address of an account that is told of changes."""

    id: str
    account: str
    url: str
    created: float
    disabled: str | None
    """Why nothing is sent any more."""


@dataclass(frozen=True)
class Delivery:
    """One attempt to tell."""

    event: str
    """Id of the message: the same at every attempt."""
    kind: str
    status: int | None
    """Of the answer; None where there was none."""
    error: str | None
    seconds: float
    at: float


def add_webhook(connection: Connection, webhook: str, account: str, url: str) -> None:
    """Tell an account's address from now on."""
    row = {"id": webhook, "account": account, "url": url, "created": time.time()}
    connection.execute(t.webhooks.insert().values(**row))


def webhooks(connection: Connection, account: str) -> list[Webhook]:
    """Oldest first."""
    query = select(t.webhooks).where(t.webhooks.c.account == account).order_by(t.webhooks.c.created)
    return [Webhook(*row) for row in connection.execute(query)]


def find_webhook(connection: Connection, webhook: str, account: str | None = None) -> Webhook:
    """Raises NotFound, also where it is not of this ``account``."""
    row = connection.execute(select(t.webhooks).where(t.webhooks.c.id == webhook)).first()
    if row is None or account not in (None, row.account):
        raise NotFound(f"no webhook {webhook}")
    return Webhook(*row)


def remove_webhook(connection: Connection, webhook: str, account: str) -> None:
    """Raises NotFound."""
    find_webhook(connection, webhook, account)
    connection.execute(delete(t.webhooks).where(t.webhooks.c.id == webhook))
    connection.execute(delete(t.deliveries).where(t.deliveries.c.webhook == webhook))


def disable_webhook(connection: Connection, webhook: str, why: str) -> None:
    """Send nothing any more."""
    connection.execute(update(t.webhooks).where(t.webhooks.c.id == webhook).values(disabled=why))


def add_delivery(connection: Connection, webhook: str, delivery: Delivery) -> None:
    """Log an attempt."""
    row = {
        "webhook": webhook,
        "event": delivery.event,
        "kind": delivery.kind,
        "status": delivery.status,
        "error": delivery.error,
        "seconds": delivery.seconds,
        "at": delivery.at,
    }
    connection.execute(t.deliveries.insert().values(**row))


def deliveries(connection: Connection, webhook: str, most: int = 100) -> list[Delivery]:
    """Newest first."""
    query = select(t.deliveries).where(t.deliveries.c.webhook == webhook)
    rows = connection.execute(query.order_by(t.deliveries.c.id.desc()).limit(most))
    return [Delivery(r.event, r.kind, r.status, r.error, r.seconds, r.at) for r in rows]


def announce(tx: Transaction, version: Row[Any], state: WorldState, reason: str, revision: int) -> None:
    """Queue a message about a change of state to every webhook of the creator of a version (its row)."""
    if state not in TOLD:
        return
    data = {"world": version.world, "version": version.id, "state": str(state), "reason": reason}
    for one in webhooks(tx.connection, version.creator):
        if one.disabled is None:
            queue_message(tx, one, f"{version.id[:16]}-{revision}", f"version.{state}", data)


def queue_message(tx: Transaction, webhook: Webhook, event: str, kind: str, data: Mapping[str, Any]) -> None:
    """Queue one message; the same event twice is one."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    body = {"type": kind, "timestamp": at, "data": dict(data)}
    payload = {"webhook": webhook.id, "event": f"msg_{event}", "body": body}
    tx.enqueue(NOTIFY, webhook.id, f"{NOTIFY}:{webhook.id}:{event}", payload, queue="io")
