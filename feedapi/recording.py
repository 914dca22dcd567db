"""Keeps every session of live play when it is over: for the ranking, and for the account of its world.

The tick thread says that a session is over; a thread of the recorder writes it, in one transaction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from feedapi.ranking.snapshot import Context
from feedapi.session import Session
from feedapi.tally import Tally
from feedapi.tickets import Grant
from feedapi.wire import Close
from moderation.store import Store
from moderation.store.charges import LIVE, Charge, add_charge
from moderation.store.feed import Ended, Interaction, PlaySession, Shown, add_interactions, add_session
from worldmodel.constants import FPS

log = logging.getLogger(__name__)

ENDINGS: Mapping[Close, Ended] = {
    Close.GUARDED: "guarded",
    Close.NOT_PUBLISHED: "withdrawn",
    Close.TRY_AGAIN_LATER: "stopped",
    Close.INTERNAL_ERROR: "failed",
    Close.UNGUARDED: "failed",
}
"""How a session ended, by the code with which the arena ended it."""


class Recorder:
    """Writes into a store. ``over`` may be called by any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="recording")

    def over(self, session: Session, tally: Tally, device: str) -> None:
        """Keep a session that has ended on a ``device``; what is played without a ticket is not kept."""
        if session.grant is not None and tally.ticks:
            at = time.time() - tally.seconds
            self._writer.submit(self._write, session, session.grant, tally, device, at)

    def close(self) -> None:
        """Write what is left."""
        self._writer.shutdown()

    def _write(self, session: Session, grant: Grant, tally: Tally, device: str, at: float) -> None:
        spent = Charge(LIVE, device, 1, tally.device_seconds, sent=session.sent)
        try:
            with self._store.writing() as tx:
                if not add_session(tx.connection, played(session, grant, tally, at)):
                    return
                if grant.shown is not None:
                    add_interactions(tx.connection, [_from_the_feed(grant, grant.shown, at)])
                add_charge(tx.connection, session.version, spent, at)
        except Exception:
            log.exception("a session of %s could not be kept", session.world_id)


def played(session: Session, grant: Grant, tally: Tally, at: float) -> PlaySession:
    """A session as the ranking is told of it."""
    first = tally.first_input
    return PlaySession(
        id=grant.session,
        version=session.version,
        player=grant.player.name,
        played_by=grant.player.kind,
        spawn=session.spawn,
        at=at,
        seconds=tally.seconds,
        first_input=None if first is None else first / FPS,
        cells=len(tally.tiles),
        mechanics=tally.used(session.world),
        ended=_ended(session, tally),
        reported=tally.reported,
        spawn_propensity=session.spawn_propensity,
        device_seconds=tally.device_seconds,
        sent=session.sent,
    )


def _ended(session: Session, tally: Tally) -> Ended:
    if session.ending is not None:
        return ENDINGS.get(session.ending.code, "left")
    return "lost" if tally.lost else "left"


def _from_the_feed(grant: Grant, shown: Context, at: float) -> Interaction:
    item = Shown(shown.snapshot, shown.position, shown.version, shown.propensity)
    return Interaction(grant.player.name, f"session:{grant.session}", "played", item, grant.session, at)
