"""Accounts, keys, sign-ins, uploads and answered requests: their SQL."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from moderation.store import tables as t
from moderation.store.database import insert_new
from moderation.store.records import Conflict, NotFound


@dataclass(frozen=True)
class Account:
    """Somebody who may do something."""

    id: str
    roles: frozenset[str]
    disabled: bool


@dataclass(frozen=True)
class Key:
    """An API key without its secret."""

    id: str
    account: str
    scopes: frozenset[str]
    label: str
    created: float
    expires: float | None
    revoked: float | None


@dataclass(frozen=True)
class Credential:
    """What a secret is checked against, and what it is good for."""

    sha256: str
    account: Account
    scopes: frozenset[str]
    valid: bool
    """Neither revoked nor expired, and its account not disabled."""


def add_account(connection: Connection, account: str, roles: Collection[str]) -> bool:
    """False where it is there already."""
    row = {"id": account, "roles": sorted(roles), "created": time.time()}
    return bool(insert_new(connection, t.accounts, row))


def accounts(connection: Connection) -> list[Account]:
    """By name."""
    return [_account(row) for row in connection.execute(select(t.accounts).order_by(t.accounts.c.id))]


def find_account(connection: Connection, account: str) -> Account:
    """Raises NotFound."""
    row = connection.execute(select(t.accounts).where(t.accounts.c.id == account)).first()
    if row is None:
        raise NotFound(f"no account {account!r}: `firstplay accounts` lists them")
    return _account(row)


def set_roles(connection: Connection, account: str, roles: Collection[str]) -> None:
    """Replace the roles. Raises NotFound."""
    changed = connection.execute(
        update(t.accounts).where(t.accounts.c.id == account).values(roles=sorted(roles))
    ).rowcount
    if not changed:
        raise NotFound(f"no account {account!r}: `firstplay accounts` lists them")


def budget_of(connection: Connection, account: str) -> float | None:
    """What an account may spend in 30 days; None where it says nothing, or there is no such account."""
    return connection.execute(select(t.accounts.c.budget).where(t.accounts.c.id == account)).scalar()


def set_budget(connection: Connection, account: str, budget: float | None) -> None:
    """None: what the settings say. Raises NotFound."""
    find_account(connection, account)
    connection.execute(update(t.accounts).where(t.accounts.c.id == account).values(budget=budget))


def disable(connection: Connection, account: str) -> None:
    """End every key and sign-in of an account. Raises NotFound."""
    find_account(connection, account)
    now = time.time()
    connection.execute(update(t.accounts).where(t.accounts.c.id == account).values(disabled=now))
    connection.execute(delete(t.sign_ins).where(t.sign_ins.c.account == account))


def add_key(connection: Connection, key: Key, sha256: str) -> None:
    """Raises Conflict where its public part is taken."""
    row = {
        "id": key.id,
        "account": key.account,
        "sha256": sha256,
        "scopes": sorted(key.scopes),
        "label": key.label,
        "created": key.created,
        "expires": key.expires,
    }
    if not insert_new(connection, t.api_keys, row):
        raise Conflict(f"a key {key.id} exists: make another")


def keys(connection: Connection, account: str) -> list[Key]:
    """Newest first."""
    query = select(t.api_keys).where(t.api_keys.c.account == account).order_by(t.api_keys.c.created.desc())
    return [
        Key(row.id, row.account, frozenset(row.scopes), row.label, row.created, row.expires, row.revoked)
        for row in connection.execute(query)
    ]


def revoke(connection: Connection, account: str, key: str) -> None:
    """Raises NotFound, also for a key of another account."""
    mine = (t.api_keys.c.id == key) & (t.api_keys.c.account == account)
    if not connection.execute(update(t.api_keys).where(mine).values(revoked=time.time())).rowcount:
        raise NotFound(f"{account} has no key {key}")


def credential_of_key(connection: Connection, key: str) -> Credential | None:
    """By the public part."""
    query = select(t.api_keys, t.accounts.c.roles, t.accounts.c.disabled).join(t.accounts)
    row = connection.execute(query.where(t.api_keys.c.id == key)).first()
    if row is None:
        return None
    return _credential(row, row.revoked is None and (row.expires is None or row.expires > time.time()))


def add_sign_in(
    connection: Connection, sha256: str, account: str, scopes: Collection[str], lifetime: float
) -> None:
    """Remember a console session by the hash of its cookie."""
    now = time.time()
    connection.execute(delete(t.sign_ins).where(t.sign_ins.c.expires < now))
    connection.execute(
        t.sign_ins.insert().values(
            sha256=sha256, account=account, scopes=sorted(scopes), created=now, expires=now + lifetime
        )
    )


def end_sign_in(connection: Connection, sha256: str) -> None:
    """Nothing where it has ended."""
    connection.execute(delete(t.sign_ins).where(t.sign_ins.c.sha256 == sha256))


def credential_of_sign_in(connection: Connection, sha256: str) -> Credential | None:
    """By the hash of the cookie."""
    query = select(t.sign_ins, t.accounts.c.roles, t.accounts.c.disabled).join(t.accounts)
    row = connection.execute(query.where(t.sign_ins.c.sha256 == sha256)).first()
    return None if row is None else _credential(row, row.expires > time.time())


def add_upload(connection: Connection, account: str, blob: str, size: int) -> None:
    """The same bytes twice are one upload."""
    insert_new(
        connection, t.uploads, {"account": account, "blob": blob, "size": size, "created": time.time()}
    )


def has_upload(connection: Connection, account: str, blob: str) -> bool:
    """Whether this account uploaded these bytes."""
    mine = (t.uploads.c.account == account) & (t.uploads.c.blob == blob)
    return connection.execute(select(t.uploads.c.blob).where(mine)).first() is not None


def forget_uploads(connection: Connection, before: float) -> int:
    """Remove uploads that were made before then (seconds since 1970); submitted ones live on in packages."""
    return connection.execute(delete(t.uploads).where(t.uploads.c.created < before)).rowcount


@dataclass(frozen=True)
class Before:
    """A request that was answered before."""

    fingerprint: str
    answer: Mapping[str, Any]


def claim_request(connection: Connection, account: str, key: str, fingerprint: str) -> Before | None:
    """None where the request is new, which it is no more after this.

    The row is the lock: a second request with the key waits here until the first has been answered.
    """
    row = {"account": account, "key": key, "fingerprint": fingerprint, "at": time.time()}
    if insert_new(connection, t.requests, row):
        return None
    mine = (t.requests.c.account == account) & (t.requests.c.key == key)
    found = connection.execute(select(t.requests).where(mine)).one()
    return Before(found.fingerprint, found.answer or {})


def answer_request(connection: Connection, account: str, key: str, answer: Mapping[str, Any]) -> None:
    """Keep the answer for when it is asked for again."""
    mine = (t.requests.c.account == account) & (t.requests.c.key == key)
    connection.execute(update(t.requests).where(mine).values(answer=dict(answer)))


def note_read(connection: Connection, account: str, what: str, version: str) -> None:
    """Log that somebody looked at what only some may see."""
    connection.execute(
        t.privileged_reads.insert().values(account=account, what=what, version=version, at=time.time())
    )


@dataclass(frozen=True)
class Read:
    """Somebody looked at what only some may see."""

    id: int
    account: str
    what: str
    version: str
    at: float


def reads(
    connection: Connection, account: str | None, version: str | None, before: int | None, limit: int
) -> list[Read]:
    """Newest first: by an account, of a version, with a number below ``before``; None: any."""
    log = t.privileged_reads
    query = select(log.c.id, log.c.account, log.c.what, log.c.version, log.c.at)
    if account is not None:
        query = query.where(log.c.account == account)
    if version is not None:
        query = query.where(log.c.version == version)
    if before is not None:
        query = query.where(log.c.id < before)
    return [Read(*row) for row in connection.execute(query.order_by(log.c.id.desc()).limit(limit))]


def _account(row: Any) -> Account:
    return Account(row.id, frozenset(row.roles), row.disabled is not None)


def _credential(row: Any, fresh: bool) -> Credential:
    account = Account(row.account, frozenset(row.roles), row.disabled is not None)
    return Credential(row.sha256, account, frozenset(row.scopes), fresh and not account.disabled)
