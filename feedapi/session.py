"""One player's side of live play: the latch that the tick reads, and the slot that it fills.

A :class:`Session` is shared by two threads. The asyncio thread writes keys and takes frames; the tick
thread latches keys and puts frames. Each attribute that both touch is guarded by the session's lock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from feedapi.wire import Close, Frame, Key, Keys, View
from worldmodel.constants import Action

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld

WINDOW = 3
"""Frames sent but not yet drawn, at most: a client that stops reading must not fill kernel buffers."""


def action_of(keys: Key) -> Action:
    """The one action that held keys stand for; interacting comes first, opposite keys cancel out."""
    if Key.INTERACT in keys:
        return Action.INTERACT
    across = (Key.RIGHT in keys) - (Key.LEFT in keys)
    if Key.UP in keys and Key.DOWN not in keys:
        return {-1: Action.UP_LEFT, 0: Action.UP, 1: Action.UP_RIGHT}[across]
    if across:
        return Action.RIGHT if across > 0 else Action.LEFT
    return Action.DOWN if Key.DOWN in keys and Key.UP not in keys else Action.NOOP


@dataclass(frozen=True)
class Latched:
    """What the player wanted at the moment of the tick."""

    action: Action
    echo: float
    """The client's timestamp of the newest input since the last tick, 0 for none."""
    waited_ms: float
    """How long that input waited here."""
    view: View
    """What to show beside the frame, and what to do once."""


@dataclass(frozen=True)
class Ending:
    """Why the arena ended a session."""

    code: Close
    reason: str


class Session:
    """Keys in, frames out. ``wake`` is called (from the tick thread) when there is something to take."""

    def __init__(
        self, world_id: str, world: CompiledWorld, seed: int, wake: Callable[[], None], spawn: int = 0
    ) -> None:
        self.world_id = world_id
        self.world = world
        self.seed = seed
        self.spawn = spawn
        self.ending: Ending | None = None
        self._wake = wake
        self._lock = Lock()
        self._held = Key(0)
        self._tapped = Key(0)
        self._echo = 0.0
        self._arrived = 0.0
        self._view = View(0)
        self._newest: Frame | None = None
        self._in_flight: deque[int] = deque()

    def press(self, keys: Keys) -> None:
        """Take over what the client holds now. A tap between two ticks is not lost."""
        with self._lock:
            self._tapped |= keys.held & ~self._held
            self._held = keys.held
            self._echo = keys.at
            self._arrived = time.monotonic()

    def look(self, view: View) -> None:
        """Take over what the client wants to see; what is done once waits for the next tick."""
        with self._lock:
            self._view = view | (self._view & View.LINE_UP)

    def latch(self) -> Latched:
        """What to do in this tick. Interacting happens once per press, walking as long as a key is held."""
        with self._lock:
            keys = (self._held & ~Key.INTERACT) | self._tapped
            waited = (time.monotonic() - self._arrived) * 1000 if self._echo else 0.0
            latched = Latched(action_of(keys), self._echo, waited, self._view)
            self._tapped = Key(0)
            self._echo = 0.0
            self._view &= ~View.LINE_UP
            return latched

    def put(self, frame: Frame) -> None:
        """Offer the newest frame; one that was not taken yet is dropped, never queued.

        What the dropped frame reported (events, an input's echo) is told by the next one.
        """
        with self._lock:
            self._newest = frame if self._newest is None else frame.after(self._newest)
        self._wake()

    def take(self) -> Frame | None:
        """The newest frame if the client may have one more in flight."""
        with self._lock:
            frame = self._newest
            if frame is None or len(self._in_flight) >= WINDOW:
                return None
            self._newest = None
            self._in_flight.append(frame.tick)
            return frame

    def drawn(self, tick: int) -> None:
        """The client has drawn this frame, and so is done with all before it."""
        with self._lock:
            while self._in_flight and self._in_flight[0] <= tick:
                self._in_flight.popleft()
        self._wake()

    def end(self, ending: Ending) -> None:
        """Say why it is over; the first reason stays."""
        with self._lock:
            self.ending = self.ending or ending
        self._wake()
