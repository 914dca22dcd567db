"""Tickets: a signed, short-lived, single-use right to play one world.

A ticket is ``payload.signature`` in base64url; the signature is HMAC-SHA-256 (RFC 2104).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

LIFETIME = 30.0
"""Seconds between asking for a session and opening its socket."""


class BadTicket(ValueError):
    """A ticket that is forged, expired, used up, or for another world."""


@dataclass(frozen=True)
class Grant:
    """What a ticket says."""

    world: str
    session: str
    expires: float
    """Seconds since 1970."""


class TicketOffice:
    """Sells and checks tickets. Safe to use from any thread."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self._lock = Lock()
        self._used: dict[str, float] = {}

    def issue(self, world: str) -> tuple[str, Grant]:
        """A new ticket for ``world`` and what it grants."""
        grant = Grant(world, secrets.token_urlsafe(12), self._clock() + LIFETIME)
        payload = _encode(json.dumps([grant.world, grant.session, grant.expires]).encode())
        return f"{payload}.{_encode(self._sign(payload))}", grant

    def redeem(self, ticket: str, world: str) -> Grant:
        """The grant of a ticket that is good for ``world``, which is used up by this. Raises BadTicket."""
        payload, _, signature = ticket.partition(".")
        try:
            genuine = hmac.compare_digest(_decode(signature), self._sign(payload))
        except (binascii.Error, ValueError):
            genuine = False
        if not genuine:
            raise BadTicket("the ticket is not genuine")
        grant = Grant(*json.loads(_decode(payload)))
        if grant.world != world:
            raise BadTicket("the ticket is for another world")
        if grant.expires < self._clock():
            raise BadTicket("the ticket has expired")
        self._use_up(grant)
        return grant

    def _use_up(self, grant: Grant) -> None:
        with self._lock:
            now = self._clock()
            self._used = {session: until for session, until in self._used.items() if until >= now}
            if grant.session in self._used:
                raise BadTicket("the ticket was used before")
            self._used[grant.session] = grant.expires

    def _sign(self, payload: str) -> bytes:
        return hmac.new(self._secret, payload.encode(), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
