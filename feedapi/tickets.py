"""Tickets: a sealed, short-lived, single-use right to play one world."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from feedapi.ranking.snapshot import Context
from feedapi.sealed import opened, sealed
from moderation.store.feed import PlayedBy

LIFETIME = 30.0
"""Seconds between asking for a session and opening its socket."""


class BadTicket(ValueError):
    """A ticket that is forged, expired, used up, or for another world."""


@dataclass(frozen=True)
class Player:
    """Who wants to play, as the ranking knows them."""

    name: str
    """Pseudonym."""
    kind: PlayedBy = "person"


@dataclass(frozen=True)
class Grant:
    """What a ticket says."""

    world: str
    session: str
    expires: float
    """Seconds since 1970."""
    player: Player
    shown: Context | None
    """The item of the feed that led here; None for a link."""


class TicketOffice:
    """Sells and checks tickets. Safe to use from any thread."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self._lock = Lock()
        self._used: dict[str, float] = {}

    def issue(self, world: str, player: Player, shown: Context | None = None) -> tuple[str, Grant]:
        """A new ticket for ``world`` and what it grants."""
        grant = Grant(world, secrets.token_urlsafe(12), self._clock() + LIFETIME, player, shown)
        item = None if shown is None else [shown.snapshot, shown.position, shown.version, shown.propensity]
        note = [grant.world, grant.session, grant.expires, player.name, player.kind, item]
        return sealed(self._secret, note), grant

    def redeem(self, ticket: str, world: str) -> Grant:
        """The grant of a ticket that is good for ``world``, which is used up by this. Raises BadTicket."""
        note = opened(self._secret, ticket)
        if note is None:
            raise BadTicket("the ticket is not genuine")
        issued_for, session, expires, name, kind, item = note
        grant = Grant(issued_for, session, expires, Player(name, kind), Context(*item) if item else None)
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
