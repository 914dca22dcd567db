"""What a server needs to watch over play: the guard, its process, and what keeps reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from feedapi.guard import Guard, replay_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from feedapi.arena import Seat
    from moderation.live import Filing, Inspector
    from moderation.store import Store
    from policies.schema import LivePlay
    from worldmodel.protocol import ModelCard


@dataclass(frozen=True)
class Guarded:
    """A guard and a filing over one store."""

    guard: Guard
    filing: Filing
    forget: Callable[[], object] = lambda: None
    """Drops what was kept of the policy."""

    def renew(self) -> None:
        """Another policy is in force: guard by it."""
        self.forget()
        self.guard.renew()

    def report(self, seat: Seat, card: ModelCard, picture: NDArray[np.uint8]) -> None:
        """Keep what a player reports, with the replay; called in the tick thread, written in another."""
        from moderation.store.live import ReportKind

        replay = replay_of(seat.session, seat.reel, card)
        self.filing.later(self.filing.keep, replay, ReportKind.PLAYER, None, picture.copy())

    def close(self) -> None:
        """End the guard's process and write what is left."""
        self.guard.stop()
        self.filing.close()


def by_policy(store: Store) -> Guarded:
    """Guarded by the policy in force and the detectors that it names."""
    from moderation.live.guardhouse import by_policy as inspector

    @cache
    def live() -> LivePlay:
        from moderation.pipeline import policy_bundle

        return policy_bundle(store).header.live

    return guarded(store, partial(inspector, store.home), live, live.cache_clear)


def guarded(
    store: Store,
    make: Callable[[], Inspector],
    live: Callable[[], LivePlay],
    forget: Callable[[], object] = lambda: None,
) -> Guarded:
    """Guarded by an inspector, which ``make`` makes in the guard's process, and what ``live`` says.

    ``forget`` drops what either keeps of the policy in this process.
    """
    from moderation.live import Filing, Guardhouse

    filing = Filing(store, lambda: live().suspend_after)
    return Guarded(Guard(store, Guardhouse(make), filing, live), filing, forget)
