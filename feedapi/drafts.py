"""Worlds in the making, playable by whoever makes them, before any bot or detector has seen them.

A preview leaves its compiled world here and gets the path of a socket. Drafts have an arena of their own with
few seats and no guard: they neither take places from players nor file findings, and what is shown is what the
creator has just sent, to them alone. A path is a secret, good once and for half a minute.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from feedapi.arena import Arena
from feedapi.session import Ending, Session
from feedapi.wire import Close

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld
    from worldmodel.protocol import WorldModel

SEATS = 3
"""Drafts that play at once: each costs about as much as a player."""
QUEUE = 8
"""Drafts that may wait for a seat."""
KEPT = 16
"""Compiled worlds (about 2 MB each) that wait for their socket."""
WAITS = 30.0
"""Seconds for which one does."""


class UnknownDraft(LookupError):
    """A path that was used, or is too old, or never was."""


@dataclass(frozen=True)
class Draft:
    """A world that waits for its socket."""

    creator: str
    world: CompiledWorld
    until: float
    """Of the clock."""


class Drafts:
    """Compiled worlds that nobody has cleared, and the arena that shows each to its maker. For any thread."""

    def __init__(self, load: Callable[[], WorldModel], clock: Callable[[], float] = time.monotonic) -> None:
        self.arena = Arena(load, SEATS, queue=QUEUE)
        self._clock = clock
        self._waiting: OrderedDict[str, Draft] = OrderedDict()
        self._playing: dict[str, Session] = {}
        self._lock = Lock()

    def keep(self, creator: str, world: CompiledWorld) -> str:
        """Keep a creator's world for a while; the path of the socket that plays it once."""
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._waiting[name] = Draft(creator, world, self._clock() + WAITS)
            if len(self._waiting) > KEPT:
                self._waiting.popitem(last=False)
        return f"/v1/previews/{name}/play"

    def join(self, name: str, wake: Callable[[], None]) -> Session:
        """A session of the draft of this name, which is used up; its maker's last session gives way.

        Raises UnknownDraft, and ArenaFull where too many wait for a seat.
        """
        with self._lock:
            draft = self._waiting.pop(name, None)
            if draft is None or draft.until < self._clock():
                raise UnknownDraft("the preview was not kept so long: make it again")
            session = Session("draft", draft.world, secrets.randbits(31), wake)
            last, self._playing[draft.creator] = self._playing.get(draft.creator), session
        if last is not None:
            last.end(Ending(Close.NOT_PUBLISHED, "a newer preview plays"))
            self.arena.leave(last)
        self.arena.join(session)
        return session

    def leave(self, session: Session) -> None:
        """Free the session's seat; doing it twice is harmless."""
        with self._lock:
            self._playing = {who: one for who, one in self._playing.items() if one is not session}
        self.arena.leave(session)

    def close(self) -> None:
        """End every preview."""
        self.arena.close()
