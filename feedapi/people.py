"""Accounts, their keys, and signing in to the console."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from feedapi import services
from feedapi.identity import COOKIE, Manager, met, principal
from feedapi.problems import Problem, responses
from moderation.accounts import (
    ACCOUNT,
    ROLES,
    SIGN_IN_LIFETIME,
    BadAccount,
    Principal,
    Role,
    Scope,
    create_account,
    create_key,
    csrf_token,
    sign_in,
    sign_out,
)
from moderation.store import accounts

router = APIRouter(prefix="/v1", tags=["people"])
Anyone = Annotated[Principal, Depends(principal)]


class Me(BaseModel):
    """Who is signed in."""

    account: str
    roles: list[str]
    scopes: list[str]


class SignIn(BaseModel):
    """The proof of who one is."""

    key: str = Field(max_length=200)


class SignedIn(Me):
    """A console session has begun; its cookie is in the answer."""

    csrf: str
    """What the page sends as X-CSRF-Token with everything that it changes."""


class NewAccount(BaseModel):
    """Who is to be let in."""

    id: str = Field(pattern=f"^{ACCOUNT.pattern}$")
    roles: list[Role] = Field(min_length=1, max_length=len(ROLES))


class AccountItem(BaseModel):
    """Somebody who may do something."""

    id: str
    roles: list[str]
    disabled: bool


class AccountList(BaseModel):
    """Everybody."""

    items: list[AccountItem]


class NewKey(BaseModel):
    """What a key is to be good for; by default for all that its account may do."""

    scopes: list[Scope] = Field(default_factory=list, max_length=20)
    label: str = Field("", max_length=80)
    days: float | None = Field(None, gt=0, le=3650)


class KeyItem(BaseModel):
    """A key without its secret."""

    id: str
    scopes: list[str]
    label: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None


class KeyList(BaseModel):
    """An account's keys, newest first."""

    items: list[KeyItem]


class KeySecret(BaseModel):
    """A new key, shown this once."""

    key: str


@router.get("/me", responses=responses("not-signed-in"))
def me(who: Anyone) -> Me:
    """Who is asking, and what they may do."""
    return Me(account=who.account, roles=sorted(who.roles), scopes=sorted(who.scopes))


@router.post("/sign-in", responses=responses("not-signed-in"))
def begin(request: Request, response: Response, said: SignIn) -> SignedIn:
    """Begin a console session with an API key."""
    cookie, who = sign_in(services.of(request).store, said.key)
    met(request, who)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(SIGN_IN_LIFETIME),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    response.headers["Cache-Control"] = "no-store"
    return SignedIn(
        account=who.account, roles=sorted(who.roles), scopes=sorted(who.scopes), csrf=csrf_token(cookie)
    )


@router.post("/sign-out", status_code=204, responses=responses("not-signed-in", "csrf"))
def end(request: Request, response: Response, who: Anyone) -> None:
    """End the console session."""
    del who
    sign_out(services.of(request).store, request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE)


@router.get("/accounts", responses=responses("not-signed-in", "not-allowed"))
def list_accounts(request: Request, who: Manager) -> AccountList:
    """Everybody who has an account."""
    del who
    with services.of(request).store.reading() as connection:
        found = accounts.accounts(connection)
    items = [AccountItem(id=one.id, roles=sorted(one.roles), disabled=one.disabled) for one in found]
    return AccountList(items=items)


@router.post("/accounts", status_code=201, responses=responses("not-signed-in", "not-allowed", "invalid"))
def add_account(request: Request, who: Manager, new: NewAccount) -> AccountItem:
    """Let somebody in."""
    del who
    try:
        create_account(services.of(request).store, new.id, new.roles)
    except BadAccount as error:
        raise Problem("invalid", str(error)) from None
    return AccountItem(id=new.id, roles=sorted(set(new.roles)), disabled=False)


@router.delete(
    "/accounts/{account}",
    status_code=204,
    responses=responses("not-signed-in", "not-allowed", "not-found", "conflict"),
)
def disable_account(request: Request, who: Manager, account: str) -> None:
    """End all keys and sessions of an account; what it did stays."""
    if account == who.account:
        raise Problem("conflict", "nobody can disable themselves")
    with services.of(request).store.writing() as tx:
        accounts.disable(tx.connection, account)


@router.get("/accounts/{account}/keys", responses=responses("not-signed-in", "not-allowed", "not-found"))
def list_keys(request: Request, who: Anyone, account: str) -> KeyList:
    """An account's keys: one's own, or any with the scope ``accounts``."""
    _own(who, account)
    with services.of(request).store.reading() as connection:
        found = accounts.keys(connection, account)
    items = [
        KeyItem(
            id=one.id,
            scopes=sorted(one.scopes),
            label=one.label,
            created=datetime.fromtimestamp(one.created, UTC),
            expires=_when(one.expires),
            revoked=_when(one.revoked),
        )
        for one in found
    ]
    return KeyList(items=items)


@router.post(
    "/accounts/{account}/keys",
    status_code=201,
    responses=responses("not-signed-in", "not-allowed", "not-found", "invalid"),
)
def add_key(request: Request, response: Response, who: Anyone, account: str, new: NewKey) -> KeySecret:
    """A new key for an account: for one's own within what this key may do, or any with ``accounts``."""
    _own(who, account)
    response.headers["Cache-Control"] = "no-store"
    wanted: Collection[str] = new.scopes or (() if who.may("accounts") else who.scopes)
    beyond = set() if who.may("accounts") else set(wanted) - who.scopes
    if beyond:
        raise Problem("not-allowed", f"this key does not have the scope {min(beyond)!r} itself")
    lifetime = None if new.days is None else new.days * 86_400
    try:
        key = create_key(services.of(request).store, account, wanted, new.label, lifetime)
    except BadAccount as error:
        raise Problem("invalid", str(error)) from None
    return KeySecret(key=key)


@router.delete(
    "/accounts/{account}/keys/{key}",
    status_code=204,
    responses=responses("not-signed-in", "not-allowed", "not-found"),
)
def revoke_key(request: Request, who: Anyone, account: str, key: str) -> None:
    """End a key at once."""
    _own(who, account)
    with services.of(request).store.writing() as tx:
        accounts.revoke(tx.connection, account, key)


def _own(who: Principal, account: str) -> None:
    if account != who.account and not who.may("accounts"):
        raise Problem("not-found", f"no account {account!r}")


def _when(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
