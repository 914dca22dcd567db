"""Who is asking: the one place where a request's key or session becomes a principal with scopes."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from feedapi import services
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
        return check_key(store, bearer.credentials)
    if cookie is None:
        raise NotAllowed("send an API key as `Authorization: Bearer ...`, or sign in")
    found = check_sign_in(store, cookie)
    given = request.headers.get("X-CSRF-Token", "")
    if request.method not in SAFE and not hmac.compare_digest(given.encode(), csrf_token(cookie).encode()):
        raise Problem("csrf", "a page that changes something must send its X-CSRF-Token")
    return found


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
