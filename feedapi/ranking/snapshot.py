"""A ranking that is kept for some minutes, and the sealed notes about it that clients carry back.

A *cursor* says after which place of which snapshot the next page begins. A *context* says which item of it
was shown, and with which propensity; it comes back with what the player did. Both are opaque, versioned and
signed (HMAC-SHA-256, RFC 2104), each with a key of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from feedapi.sealed import opened, sealed
from moderation.secret import derived

VERSION = 1
FRESH = 300.0
"""Seconds for which a snapshot is given to those who begin to page."""
KEPT = 3600.0
"""Seconds for which those who have begun can page on."""
AGES = (3, 7, 12, 16, 18)


class BadCursor(ValueError):
    """A cursor that leads nowhere: begin again without one."""


class ForgedCursor(BadCursor):
    """Not made here, or changed on the way."""


class OldCursor(BadCursor):
    """Its snapshot is gone, or it is from another version of the software."""


class ForeignCursor(BadCursor):
    """Made for another audience."""


class BadContext(ValueError):
    """A context that was not made here, or was changed on the way."""


@dataclass(frozen=True)
class Item:
    """A place of a snapshot."""

    version: str
    propensity: float
    """Probability 0..1 with which it was put on its page."""
    page: int
    """Where the ranking put it, before the filters."""


@dataclass(frozen=True)
class Snapshot:
    """An ordered list for one audience; never changes."""

    id: str
    audience: str
    created: float
    """Seconds since 1970."""
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Context:
    """Which item was shown."""

    snapshot: str
    position: int
    version: str
    propensity: float


def audience_of(age: int) -> str:
    """Players who may see the same: by the highest rating age that is not above theirs."""
    return f"age-{max((limit for limit in AGES if limit <= age), default=0)}"


class Seal:
    """Makes and opens cursors and contexts. Immutable; threads may share it."""

    def __init__(self, secret: bytes) -> None:
        self._cursor = derived(secret, "feed cursor")
        self._context = derived(secret, "feed context")

    def cursor(self, snapshot: Snapshot, after: int) -> str:
        """Leads to what follows place ``after``."""
        return sealed(self._cursor, [VERSION, snapshot.id, snapshot.audience, after])

    def open_cursor(self, cursor: str, audience: str) -> tuple[str, int]:
        """Id of the snapshot, and the place after which to go on.

        Raises ForgedCursor, OldCursor, ForeignCursor.
        """
        note = opened(self._cursor, cursor)
        if note is None:
            raise ForgedCursor("the cursor is not genuine: take `next` from a page, unchanged")
        version, *rest = note
        if version != VERSION:
            raise OldCursor("the cursor is of another version: begin again without one")
        snapshot, made_for, after = rest
        if made_for != audience:
            raise ForeignCursor(f"the cursor is for {made_for}, not for {audience}: begin again without one")
        return str(snapshot), int(after)

    def context(self, snapshot: Snapshot, position: int) -> str:
        """To be sent back with what the player does with this item."""
        item = snapshot.items[position]
        note = [VERSION, snapshot.id, position, item.version, round(item.propensity, 6)]
        return sealed(self._context, note)

    def open_context(self, context: str) -> Context:
        """Raises BadContext."""
        note = opened(self._context, context)
        if note is None or note[0] != VERSION:
            raise BadContext("the context is not genuine: send the item's `context` back unchanged")
        _, snapshot, position, version, propensity = note
        return Context(str(snapshot), int(position), str(version), float(propensity))
