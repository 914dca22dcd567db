"""Who may do what: roles, the scopes that they carry, and the secrets that prove who is asking.

An API key is ``fp_<public part>_<secret part>``; a console session is a random cookie. Of either only the
SHA-256 is stored (both are long and random, so a slow hash would protect nothing), and they are compared in
constant time. A key's scopes are cut down to what its account's roles carry at the moment of use, so that a
role taken away is gone at once.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moderation.store import Store, accounts

Role = Literal["creator", "platform", "moderator", "senior", "policy_author", "operator"]
Scope = Literal["worlds", "feed", "cases", "cases:senior", "policies", "operate", "accounts"]

ROLES: Mapping[str, frozenset[str]] = {
    "creator": frozenset({"worlds"}),
    "platform": frozenset({"worlds", "feed"}),
    "moderator": frozenset({"cases"}),
    "senior": frozenset({"cases", "cases:senior"}),
    "policy_author": frozenset({"policies"}),
    "operator": frozenset({"operate", "accounts", "worlds", "feed", "cases", "cases:senior", "policies"}),
}
"""What each role may do. ``worlds``: submit and see one's own; ``feed``: signals of play; ``cases``: review;
``cases:senior``: escalations, second approval, take-down; ``policies``: propose; ``operate``: jobs, health;
``accounts``: make accounts and keys."""
ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""What an account may be called."""
SIGN_IN_LIFETIME = 12 * 3600.0
"""Seconds that a console session lasts."""
OPERATOR = "operator"
"""The account that an embedded installation makes for itself."""


class NotAllowed(PermissionError):
    """The secret is no good, or its holder may not do this."""


class BadAccount(ValueError):
    """A name, role or scope that does not exist; the message says which do."""


@dataclass(frozen=True)
class Principal:
    """Somebody who has proved who they are."""

    account: str
    roles: frozenset[str]
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether they have this scope."""
        return scope in self.scopes


def create_account(store: Store, account: str, roles: Collection[str]) -> None:
    """Raises BadAccount where the name is taken or unfit, or a role unknown."""
    if not ACCOUNT.fullmatch(account):
        raise BadAccount(
            f"{account!r} cannot be an account's name: use up to 63 of a-z, 0-9 and -, such as anna-k"
        )
    unknown = sorted(set(roles) - ROLES.keys())
    if unknown:
        raise BadAccount(f"no role {unknown[0]!r}: there are {', '.join(ROLES)}")
    with store.writing() as tx:
        if not accounts.add_account(tx.connection, account, roles):
            raise BadAccount(f"there is an account {account} already")


def create_key(
    store: Store, account: str, scopes: Collection[str] = (), label: str = "", lifetime: float | None = None
) -> str:
    """A new key, which is shown this once; by default it can do all that its account can.

    ``lifetime`` is in seconds. Raises BadAccount for scopes that the account does not have,
    ``moderation.store.NotFound`` for an unknown account.
    """
    with store.writing() as tx:
        has = scopes_of(accounts.find_account(tx.connection, account).roles)
        wanted = frozenset(scopes) or has
        beyond = sorted(wanted - has)
        if beyond:
            raise BadAccount(f"{account} may not {beyond[0]!r}: its scopes are {', '.join(sorted(has))}")
        public, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        now = time.time()
        expires = None if lifetime is None else now + lifetime
        key = accounts.Key(public, account, wanted, label, now, expires, None)
        accounts.add_key(tx.connection, key, _digest(secret))
    return f"fp_{public}_{secret}"


def scopes_of(roles: Collection[str]) -> frozenset[str]:
    """Everything that these roles carry."""
    return frozenset().union(*(ROLES[role] for role in roles if role in ROLES))


def check_key(store: Store, key: str) -> Principal:
    """Raises NotAllowed, in the same words whatever is wrong."""
    kind, _, rest = key.partition("_")
    public, _, secret = rest.partition("_")
    with store.reading() as connection:
        found = accounts.credential_of_key(connection, public) if kind == "fp" and secret else None
    return _proved(found, secret, "the API key is unknown, revoked or expired")


def sign_in(store: Store, key: str) -> tuple[str, Principal]:
    """A console session's cookie for the holder of a key. Raises NotAllowed."""
    principal = check_key(store, key)
    cookie = secrets.token_urlsafe(32)
    with store.writing() as tx:
        accounts.add_sign_in(
            tx.connection, _digest(cookie), principal.account, principal.scopes, SIGN_IN_LIFETIME
        )
    return cookie, principal


def check_sign_in(store: Store, cookie: str) -> Principal:
    """Raises NotAllowed where it has ended."""
    with store.reading() as connection:
        found = accounts.credential_of_sign_in(connection, _digest(cookie))
    return _proved(found, cookie, "the session has ended: sign in again")


def sign_out(store: Store, cookie: str) -> None:
    """End a console session."""
    with store.writing() as tx:
        accounts.end_sign_in(tx.connection, _digest(cookie))


def csrf_token(cookie: str) -> str:
    """What a page of this session sends back with whatever it changes (OWASP's HMAC-bound CSRF token)."""
    return hmac.new(cookie.encode(), b"csrf", hashlib.sha256).hexdigest()


def operator_key(home: Path, store: Store) -> Path:
    """Where the key of an embedded installation's operator is; made where there are no accounts yet."""
    path = home / "operator.key"
    with store.reading() as connection:
        known = bool(accounts.accounts(connection))
    if not known:
        create_account(store, OPERATOR, ["operator"])
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(create_key(store, OPERATOR, label="made at the first start") + "\n")
    return path


def _proved(found: accounts.Credential | None, secret: str, fault: str) -> Principal:
    right = hmac.compare_digest(_digest(secret), found.sha256 if found is not None else _digest(""))
    if found is None or not right or not found.valid:
        raise NotAllowed(fault)
    return Principal(found.account.id, found.account.roles, found.scopes & scopes_of(found.account.roles))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
