"""One player's side of live play: the latch that the tick reads, and the slot that it fills.

A :class:`Session` is shared by two threads. The asyncio thread writes keys and takes frames; the tick
thread latches keys and puts frames; the guard's threads may end it. Each attribute that several touch is
guarded by a lock, but for ``position``, ``holds``, ``video`` and ``ending``, which are written whole.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from feedapi.wire import Close, Frame, Key, Keys, View
from worldmodel.constants import Action

if TYPE_CHECKING:
    from feedapi.tickets import Grant
    from worldmodel.compiled import CompiledWorld

WINDOW = 3
"""Frames sent but not yet drawn, at most: a client that stops reading must not fill kernel buffers."""
WATCHERS = 64
"""People who may watch one session."""


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
    reported: bool = False
    """The player reports this moment."""


@dataclass(frozen=True)
class Ending:
    """Why the arena ended a session."""

    code: Close
    reason: str
    blank: bool = False
    """The picture goes dark first: what is on screen must not stay there."""


class Slot:
    """The newest frame on its way to one socket. ``wake`` is called when there is something to take."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self._lock = Lock()
        self._newest: Frame | None = None
        self._in_flight: deque[int] = deque()

    def put(self, frame: Frame) -> None:
        """Offer the newest frame; one that was not taken yet is dropped, never queued.

        What the dropped frame reported (events, an input's echo, sound) is told by the next one.
        """
        with self._lock:
            self._newest = frame if self._newest is None else frame.after(self._newest)
        self.wake()

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
        self.wake()

    def clear(self) -> None:
        """Another socket goes on from here, or nobody may see what waits."""
        with self._lock:
            self._newest = None
            self._in_flight.clear()


class Session:
    """Keys in, frames out. ``wake`` is called (from any thread) when there is something to take."""

    def __init__(
        self,
        world_id: str,
        world: CompiledWorld,
        seed: int,
        wake: Callable[[], None],
        spawn: int = 0,
        version: str = "",
        grant: Grant | None = None,
        *,
        video: bool = False,
    ) -> None:
        self.world_id = world_id
        self.world = world
        self.version = version
        """Of the world, as the store names it; empty where there is no store."""
        self.seed = seed
        self.spawn = spawn
        self.grant = grant
        """The ticket's, by which the session is kept when it is over; None: it is not kept."""
        self.spawn_propensity = 1.0
        """Probability with which the ranking let it begin at this spawn point."""
        self.sent = 0
        """Bytes that have gone to the player and to who watches."""
        self.ending: Ending | None = None
        self.position = 0
        """Place in the queue, from 1; 0 plays."""
        self.holds = 0
        """How often its world stood still to wait for the guard."""
        self.video = video
        """The player's own frames go out as H.264, made by the socket that sends them."""
        self.name = secrets.token_hex(6)
        """What reports call it; no secret."""
        self.token = secrets.token_urlsafe(18)
        """With it a dropped player takes the session up again."""
        self.watch_token = secrets.token_urlsafe(18)
        """With it others look on."""
        self.own = Slot(wake)
        self._lock = Lock()
        self._watching: list[Slot] = []
        self._held = Key(0)
        self._tapped = Key(0)
        self._echo = 0.0
        self._arrived = 0.0
        self._view = View(0)
        self._reported = False

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

    def report(self) -> None:
        """The player reports what is on screen; kept at the next tick."""
        with self._lock:
            self._reported = True

    def latch(self) -> Latched:
        """What to do in this tick. Interacting happens once per press, walking as long as a key is held."""
        with self._lock:
            keys = (self._held & ~Key.INTERACT) | self._tapped
            waited = (time.monotonic() - self._arrived) * 1000 if self._echo else 0.0
            latched = Latched(action_of(keys), self._echo, waited, self._view, self._reported)
            self._tapped = Key(0)
            self._echo = 0.0
            self._view &= ~View.LINE_UP
            self._reported = False
            return latched

    def put(self, frame: Frame) -> None:
        """Offer the newest frame to the player and to all who watch; nothing once it is over."""
        if self.ending is None:
            for slot in self._slots():
                slot.put(frame)

    def take(self) -> Frame | None:
        """The player's newest frame, if one more may be in flight."""
        return self.own.take()

    def drawn(self, tick: int) -> None:
        """The player has drawn this frame."""
        self.own.drawn(tick)

    def watched_by(self, slot: Slot) -> None:
        """Show every frame there too. Raises ValueError where ``WATCHERS`` look on already."""
        with self._lock:
            if len(self._watching) >= WATCHERS:
                raise ValueError(f"{WATCHERS} people watch this session already")
            self._watching.append(slot)

    def unwatched_by(self, slot: Slot) -> None:
        """The watcher has gone."""
        with self._lock:
            self._watching.remove(slot)

    @property
    def wants_jpeg(self) -> bool:
        """Whether somebody gets its frames as JPEG: all who watch do."""
        with self._lock:
            return not self.video or bool(self._watching)

    def taken_up(self, wake: Callable[[], None], *, video: bool = False) -> None:
        """Another socket goes on with it: no key is held, nothing is in flight."""
        with self._lock:
            self._held = self._tapped = Key(0)
        self.video = video
        self.own.wake = wake
        self.own.clear()

    def queued(self, position: int) -> None:
        """Say which place in the queue it has."""
        if position != self.position:
            self.position = position
            self.own.wake()

    def hold(self) -> None:
        """Say that its world stands still until the guard has caught up."""
        self.holds += 1
        for slot in self._slots():
            slot.wake()

    def end(self, ending: Ending) -> None:
        """Say why it is over; the first reason stays. A blank one takes back what was not sent."""
        with self._lock:
            self.ending = self.ending or ending
        for slot in self._slots():
            if ending.blank:
                slot.clear()
            slot.wake()

    def _slots(self) -> list[Slot]:
        with self._lock:
            return [self.own, *self._watching]
