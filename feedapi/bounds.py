"""How much a client may ask: requests per key and address, and bytes per request.

Limits are moving windows kept in this process's memory, or in Redis where ``FIRSTPLAY_LIMITS`` names one
(``redis://host``), so that several API processes count together. Answers carry the fields of the IETF draft
``RateLimit headers for HTTP``.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from http import HTTPStatus

from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedapi.problems import Problem

VARIABLE = "FIRSTPLAY_LIMITS"
READS, WRITES, SIGN_INS, ANY = "reads", "writes", "sign-ins", "requests of one address"
USUAL: Mapping[str, str] = {
    READS: "1200/minute",
    WRITES: "240/minute",
    SIGN_INS: "10/minute",
    ANY: "6000/minute",
}
"""Requests per client and window, by what they do; the last counts whatever an address sends, so that
nobody gets around the others by making up keys."""
USUAL_BYTES = 256 * 1024
UPLOAD_BYTES = 33 * 1024 * 1024
"""A package of 32 MB and what is around it."""


class Bounds:
    """Refuses what is too much with a problem document, before any route sees it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._rates: Mapping[str, RateLimitItem] = {name: parse(rate) for name, rate in USUAL.items()}
        self._limiter = MovingWindowRateLimiter(storage_from_string(os.environ.get(VARIABLE, "memory://")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1"):
            await self._app(scope, receive, send)
            return
        name, address = _name(scope), str((scope.get("client") or ("unknown", 0))[0])
        buckets = [(name, f"{name}:{_client(scope) or address}"), (ANY, f"{ANY}:{address}")]
        over = [one for one in buckets if not self._limiter.hit(self._rates[one[0]], one[1])]
        told, wait = self._told(*(over or buckets)[0])
        if over:
            rate = self._rates[over[0][0]]
            detail = f"more than {rate.amount} {over[0][0]} in {rate.get_expiry()} s"
            await Problem("too-many", detail, {"Retry-After": wait} | told).response()(scope, receive, send)
            return
        await self._within(scope, receive, _telling(send, told))

    def _told(self, name: str, bucket: str) -> tuple[dict[str, str], str]:
        """The headers of a bucket, and the seconds until it has room again."""
        reset, left = self._limiter.get_window_stats(self._rates[name], bucket)
        wait = str(max(1, round(reset - time.time())))
        limit = str(self._rates[name].amount)
        return {"RateLimit-Limit": limit, "RateLimit-Remaining": str(left), "RateLimit-Reset": wait}, wait

    async def _within(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, whose body may be only so long."""
        most = UPLOAD_BYTES if scope["path"] in UPLOADS else USUAL_BYTES
        said = Headers(scope=scope).get("content-length", "0")
        detail = f"the body may have at most {most:,} bytes"
        if not said.isdecimal() or int(said) > most:
            await Problem("too-large", detail).response()(scope, receive, send)
            return
        read = 0

        async def counting() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
            return message

        await self._app(scope, counting, send)


UPLOADS = frozenset({"/v1/uploads", "/v1/worlds"})
"""Paths that take media or whole packages."""


def _name(scope: Scope) -> str:
    if scope["path"] == "/v1/sign-in":
        return SIGN_INS
    return READS if scope["method"] in {"GET", "HEAD", "OPTIONS"} else WRITES


def _client(scope: Scope) -> str | None:
    """The key that is sent, as a hash: it goes to shared storage."""
    key = Headers(scope=scope).get("authorization")
    return hashlib.sha256(key.encode()).hexdigest()[:24] if key else None


def _telling(send: Send, told: Mapping[str, str]) -> Send:
    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in told.items():
                headers[name] = value
        await send(message)

    return telling
