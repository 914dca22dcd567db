"""Who is asking: the one place where a request's key or session becomes a principal with scopes."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from feedapi import feed, services
from feedapi.problems import Problem
from moderation.accounts import NotAllowed, Principal, check_key, check_sign_in, csrf_token

COOKIE = "firstplay_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110)."""
_bearer = HTTPBearer(auto_error=False, scheme_name="api-key", description="`Bearer fp_...`")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, scheme_name="console-session")


def principal(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
    cookie: Annotated[str | None, Security(_cookie)] = None,
) -> Principal:
    """Whoever the key or the session belongs to. Problems: not-signed-in, csrf."""
    store = services.of(request).store
    if bearer is not None:
        return met(request, check_key(store, bearer.credentials))
    if cookie is None:
        raise NotAllowed("send an API key as `Authorization: Bearer ...`, or sign in")
    found = check_sign_in(store, cookie)
    given = request.headers.get("X-CSRF-Token", "")
    if request.method not in SAFE and not hmac.compare_digest(given.encode(), csrf_token(cookie).encode()):
        raise Problem("csrf", "a page that changes something must send its X-CSRF-Token")
    return met(request, found)


def met(request: Request, who: Principal) -> Principal:
    """Remember from where a creator came: whoever plays their worlds from there is taken for them."""
    if who.may("worlds"):
        feed.of(request).meet(who.account, feed.player_of(request))
    return who


def somebody(request: Request) -> Principal | None:
    """Whoever the key or the session that came along belongs to, if anybody: for what is open to all."""
    store = services.of(request).store
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    cookie = request.cookies.get(COOKIE)
    try:
        if scheme.lower() == "bearer":
            return met(request, check_key(store, key))
        return None if cookie is None else met(request, check_sign_in(store, cookie))
    except NotAllowed:
        return None


def needs(scope: str, known_by: Callable[..., Principal] = principal) -> Callable[[Principal], Principal]:
    """A dependency: who is ``known_by`` another, and has ``scope``. Problem: not-allowed."""

    known: Any = Depends(known_by)

    def check(who: Principal = known) -> Principal:
        if not who.may(scope):
            raise Problem("not-allowed", f"{who.account} does not have the scope {scope!r}")
        return who

    return check


Creator = Annotated[Principal, Depends(needs("worlds"))]
Moderator = Annotated[Principal, Depends(needs("cases"))]
Author = Annotated[Principal, Depends(needs("policies"))]
Operator = Annotated[Principal, Depends(needs("operate"))]
Manager = Annotated[Principal, Depends(needs("accounts"))]
