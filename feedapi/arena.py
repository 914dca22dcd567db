"""The arena: one world model, one tick loop, every live session a row of one batched state.

The tick thread owns the model, the state and the seats; nothing else touches them. Other threads only
put sessions into lists (``_joining``, ``_leaving`` and the like) under the lock. Each tick latches every
session's keys as late as possible, does one forward for all, shows the batch to the guard while other
threads encode it, and puts the newest frame into each session's slot. Where ticks take too long, every other
row is drawn (:mod:`feedapi.pace`); where the guard lags behind, the worlds of those whom it must look after
first stand still (:meth:`feedapi.guard.Guard.holds`). The model is loaded in that thread when the first
session joins, so that a server that only shows the feed never imports torch.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import TYPE_CHECKING

import numpy as np

from feedapi.encoding import encode_jpegs, encode_sound
from feedapi.guard import Guard, Play, Unguarded
from feedapi.pace import Pace
from feedapi.session import Ending, Latched, Session
from feedapi.tally import Tally, deeds
from feedapi.wire import Beside, Close, Frame
from worldmodel.constants import FPS

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from feedapi.reel import Reel
    from worldmodel.bank import WorldBank
    from worldmodel.protocol import ModelCard, Observation, State, WorldModel
    from worldmodel.sound import Mixer

log = logging.getLogger(__name__)

REST_STEPS = 2 * FPS
"""Steps that a reached goal stays on screen before the world starts again."""
VITALS = ("health", "keys", "coins", "score", "step")
"""What of the state a frame reports."""
BANK_LIMIT = 64
"""Compiled worlds that the model keeps (about 2 MB each) before it forgets those that nobody plays."""
PARKED_FOR = 30.0
"""Seconds for which a dropped player's session is kept."""
ENCODERS = 2
"""Threads that encode a tick's pictures while the guard looks at them."""


class ArenaFull(RuntimeError):
    """No session can be added without slowing the others down; try again later."""


@dataclass
class Seat:
    """One row of the batched state."""

    session: Session
    mixer: Mixer
    reel: Reel
    tally: Tally = field(default_factory=Tally)
    tick: int = 0
    resting: int = 0
    lives: int = 0
    """How often the world was started again."""
    play: Play | None = None
    """As the guard follows it."""
    picture: NDArray[np.uint8] | None = None
    """(H, W, 3) as it was drawn last."""
    untold: Frame | None = None
    """What happened in a tick that was not drawn; the next frame tells it."""


@dataclass
class Parked:
    """A seat whose world stands still, and its row of the state."""

    seat: Seat
    row: State
    until: float | None = None
    """Of the monotonic clock: so long its place is kept for a player who was lost; None where none was."""
    held: bool = False
    """The guard must catch up first."""

    @property
    def waits(self) -> bool:
        return self.held or self.until is not None


class Arena:
    """Live play of one world model by at most ``capacity`` players at once; ``queue`` more may wait.

    Fewer play where ticks take too long (:class:`feedapi.pace.Pace`) or the guard lags behind. ``guard``
    watches them; ``report`` keeps what a player reports: seat, the model's card, and the picture (H, W, 3)
    that was shown; ``over`` is told in the tick thread of every session that has ended: what was done in it,
    and on which kind of device.
    """

    def __init__(
        self,
        load: Callable[[], WorldModel],
        capacity: int,
        fps: int = FPS,
        queue: int = 0,
        guard: Guard | None = None,
        report: Callable[[Seat, ModelCard, NDArray[np.uint8]], None] | None = None,
        over: Callable[[Session, Tally, str], None] | None = None,
    ) -> None:
        self.capacity = capacity
        self.pace = Pace(1 / FPS)
        self._period = 1 / fps
        self._load = load
        self._queue = queue
        self._guard = guard
        self._report = report
        self._over = over
        self._lock = Condition()
        self._joining: list[Session] = []
        self._leaving: list[Session] = []
        self._parking: list[Session] = []
        self._returning: list[Session] = []
        self._members: list[Session] = []
        """Who plays, and who is parked."""
        self._waiting: list[Session] = []
        self._closing = False
        self._thread: Thread | None = None
        self._model: WorldModel | None = None
        self._state: State | None = None
        self._seats: list[Seat] = []
        self._parked: dict[Session, Parked] = {}
        self.encoders = ThreadPoolExecutor(ENCODERS, thread_name_prefix="encode")

    # -- called by any thread ---------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._model is not None

    @property
    def players(self) -> int:
        """Who plays, and who may come back."""
        with self._lock:
            return len(self._members)

    @property
    def full(self) -> bool:
        """Whether whoever comes now could not even wait."""
        with self._lock:
            return not self._has_room() and len(self._waiting) >= self._queue

    def warm_up(self) -> None:
        """Start loading the model, if nobody did yet."""
        with self._lock:
            self._start()

    def join(self, session: Session) -> None:
        """Seat a session from the next tick on, or let it wait for a place. Raises ArenaFull."""
        with self._lock:
            if self._closing:
                raise ArenaFull("the server is stopping")
            if self._has_room() and not self._waiting:
                self._take_in(session)
            elif len(self._waiting) < self._queue:
                self._waiting.append(session)
                self._tell_positions()
            else:
                raise ArenaFull(f"all {len(self._members)} places are taken: try again in a minute")
            self._start()
            self._lock.notify()

    def leave(self, session: Session) -> None:
        """Free the session's place; doing it twice is harmless."""
        with self._lock:
            if session in self._waiting:
                self._waiting.remove(session)
                self._tell_positions()
            if session in self._members:
                self._members.remove(session)
                self._leaving.append(session)
                self._lock.notify()

    def park(self, session: Session) -> None:
        """The connection was lost: stop the session's world and keep its place for ``PARKED_FOR``."""
        with self._lock:
            if session in self._members and session.ending is None:
                self._parking.append(session)
                self._lock.notify()
                return
        self.leave(session)

    def find(self, token: str) -> Session | None:
        """The session of a player who comes back with a token; it plays on after :meth:`come_back`."""
        with self._lock:
            return next((s for s in self._members if secrets.compare_digest(s.token, token)), None)

    def watched(self, token: str) -> Session | None:
        """The session that a token lets others watch."""
        with self._lock:
            return next((s for s in self._members if secrets.compare_digest(s.watch_token, token)), None)

    def come_back(self, session: Session) -> None:
        """Go on with a parked session. Raises ArenaFull where its time was up."""
        with self._lock:
            if session not in self._members:
                raise ArenaFull("the session was not kept so long")
            self._returning.append(session)
            self._lock.notify()

    def members(self) -> list[Session]:
        """Who plays or waits now."""
        with self._lock:
            return [*self._members, *self._waiting]

    def close(self, timeout: float = 10.0) -> None:
        """End every session and the thread."""
        with self._lock:
            self._closing = True
            thread = self._thread
            self._lock.notify()
        for session in self.members():
            session.end(Ending(Close.TRY_AGAIN_LATER, "the server is stopping"))
        if thread is not None:
            thread.join(timeout)
        self.encoders.shutdown(wait=False)
        if self._guard is not None:
            self._guard.stop()

    def _has_room(self) -> bool:
        players = len(self._members)
        if players >= self.capacity:
            return False
        watched = self._guard is None or self._guard.has_room()
        return players == 0 or (watched and self.pace.fits(players + 1))

    def _take_in(self, session: Session) -> None:
        session.queued(0)
        self._members.append(session)
        self._joining.append(session)

    def _tell_positions(self) -> None:
        for place, session in enumerate(self._waiting, 1):
            session.queued(place)

    def _start(self) -> None:
        if self._thread is None and not self._closing:
            self._thread = Thread(target=self._run, name="arena", daemon=True)
            self._thread.start()

    # -- the tick thread --------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            if self._guard is not None:
                self._guard.start()
            self._model = self._load()
            if self._guard is not None:
                self._guard.wait_until_ready()
            due = time.monotonic()
            while self._admit():
                self._tick()
                due = _sleep_until(due + self._period, self._period)
            self._forget_all()
        except Unguarded as error:
            log.error("live play has stopped: %s", error)  # noqa: TRY400  the cause was logged by the guard
            self._abandon(Ending(Close.UNGUARDED, "nobody can watch over play now: try again in a minute"))
        except Exception as error:
            log.exception("live play has stopped")
            self._abandon(Ending(Close.INTERNAL_ERROR, f"live play failed ({type(error).__name__})"))

    def _abandon(self, ending: Ending) -> None:
        """A loop that broke serves nobody: end all sessions, so that the next one starts afresh."""
        with self._lock:
            for session in (*self._members, *self._waiting):
                session.end(ending)
            self._forget_all()
            self._members, self._joining, self._leaving = [], [], []
            self._waiting, self._parking, self._returning = [], [], []
            self._thread = self._model = self._state = None
            self._seats, self._parked = [], {}

    def _admit(self) -> bool:
        """Apply joins, leaves, parkings and returns; sleep while nobody plays. False when it is over."""
        with self._lock:
            while not (self._members or self._leaving or self._waiting or self._closing):
                self._lock.wait()
            while self._waiting and self._has_room():
                self._take_in(self._waiting.pop(0))
                self._tell_positions()
            joining, self._joining = self._joining, []
            leaving, self._leaving = self._leaving, []
            parking, self._parking = self._parking, []
            returning, self._returning = self._returning, []
            if self._closing:
                return False
        self._unseat(leaving)
        for session in joining:
            if session not in leaving:
                self._seat(session)
        self._set_aside([one for one in parking if one not in returning], until=time.monotonic() + PARKED_FOR)
        for session in returning:
            if session in self._parked:  # else the player was back before the loss was noticed
                self._parked[session].until = None
                self._parked[session].seat.tally.lost = False
        self._heed_guard()
        self._bring_back()
        self._give_up_waiting()
        return True

    def _seat(self, session: Session) -> None:
        from feedapi.reel import Reel
        from worldmodel.sound import Mixer

        seat = Seat(session, Mixer(session.world), Reel(session.seed))
        if self._guard is not None:
            self._guard.seated(seat, self._playing().card)
        self._forget_worlds()
        self._add(seat, self._playing().spawn([session.world], [session.seed], [session.spawn]))

    def _add(self, seat: Seat, row: State) -> None:
        from worldmodel.protocol import concatenate

        self._state = row if self._state is None else concatenate([self._state, row])
        self._seats.append(seat)

    def _forget_worlds(self) -> None:
        """Let go of worlds that nobody plays, where the model keeps too many."""
        bank: WorldBank | None = getattr(self._playing(), "bank", None)
        if bank is None or bank.kept < BANK_LIMIT:
            return
        rows = [*([] if self._state is None else [self._state]), *(one.row for one in self._parked.values())]
        bank.release({int(slot) for row in rows for slot in row.world})

    def _unseat(self, leaving: list[Session]) -> None:
        gone = [seat for seat in self._seats if seat.session in leaving]
        gone += [self._parked.pop(session).seat for session in leaving if session in self._parked]
        for seat in gone:
            self._forget(seat)
        self._keep_rows([row for row, seat in enumerate(self._seats) if seat.session not in leaving])

    def _forget(self, seat: Seat) -> None:
        if self._guard is not None:
            self._guard.left(seat)
        if self._over is not None:
            gpu = self._model is not None and self._model.device.type != "cpu"
            self._over(seat.session, seat.tally, "gpu" if gpu else "cpu")

    def _forget_all(self) -> None:
        for seat in (*self._seats, *(parked.seat for parked in self._parked.values())):
            self._forget(seat)

    def _keep_rows(self, keep: list[int]) -> None:
        if len(keep) == len(self._seats):
            return
        self._seats = [self._seats[row] for row in keep]
        self._state = self._state[keep] if keep and self._state is not None else None

    def _set_aside(self, these: list[Session], until: float | None = None, *, held: bool = False) -> None:
        """Take the rows of lost or held players out of the batch, and keep them."""
        for row, seat in enumerate(self._seats):
            if seat.session in these and self._state is not None:
                self._parked[seat.session] = Parked(seat, self._state[[row]].clone())
        self._keep_rows([row for row, seat in enumerate(self._seats) if seat.session not in these])
        for session in these:
            if (parked := self._parked.get(session)) is not None:
                parked.seat.tally.lost |= until is not None
                parked.until = until or parked.until
                parked.held = held or parked.held

    def _heed_guard(self) -> None:
        """Stop the worlds of those whom a guard that lags behind must look after first, until it has."""
        if self._guard is None:
            return
        self._guard.check()
        for parked in self._parked.values():
            parked.held = parked.held and self._guard.awaited(parked.seat)
        held = [seat.session for seat in self._seats if self._guard.holds(seat)]
        self._set_aside(held, held=True)
        for session in held:
            session.hold()

    def _bring_back(self) -> None:
        for session in [one for one, parked in self._parked.items() if not parked.waits]:
            parked = self._parked.pop(session)
            self._add(parked.seat, parked.row)

    def _give_up_waiting(self) -> None:
        """Let go of sessions whose players did not come back in time, or may not."""
        now = time.monotonic()
        for session, parked in list(self._parked.items()):
            if session.ending is not None or (parked.until is not None and now >= parked.until):
                self.leave(session)

    def _playing(self) -> WorldModel:
        assert self._model is not None
        return self._model

    def _tick(self) -> None:
        import torch

        if self._state is None:
            return
        began = time.monotonic()
        latched = [seat.session.latch() for seat in self._seats]
        actions = torch.tensor([int(each.action) for each in latched], device=self._playing().device)
        thin = self.pace.thin
        self._state, seen = self._playing().step(self._state, actions, render=not thin)
        drawn = self._draw(seen, thin=thin)
        step_ms = (time.monotonic() - began) * 1000
        guarded = self._show(latched, seen, drawn, step_ms)
        taken = time.monotonic() - began
        self.pace.took(taken, len(self._seats), guarded)
        for seat in self._seats:
            seat.tally.device_seconds += taken / len(self._seats)
        self._restart_rested()

    def _draw(self, seen: Observation, *, thin: bool) -> list[bool]:
        """Put the newest picture into each seat, in a thin tick into every other one; which got one."""
        import cv2
        import torch

        assert self._state is not None
        # a seat's first frame is always drawn: nothing else could be shown
        drawn = [
            not thin or (self.pace.ticks + row) % 2 == 0 or seat.picture is None
            for row, seat in enumerate(self._seats)
        ]
        frames = seen.frames
        if not any(drawn):
            return drawn
        if frames is None:
            rows = torch.tensor([row for row, draw in enumerate(drawn) if draw])
            frames = self._playing().render(self._state[rows.to(self._state.world.device)])
        # one copy from the device, not one per session
        planes = iter(frames.cpu().numpy())
        for seat, draw in zip(self._seats, drawn, strict=True):
            if draw:
                seat.picture = np.asarray(cv2.merge(list(next(planes))), np.uint8)
        return drawn

    def _encode(self, drawn: list[bool]) -> list[Future[dict[int, tuple[bytes, float]]]]:
        """Begin to encode what was drawn and is sent as JPEG, on all encoders; by row."""
        pictures = {
            row: seat.picture
            for row, seat in enumerate(self._seats)
            if drawn[row] and seat.picture is not None and seat.session.wants_jpeg
        }
        parts = [dict(list(pictures.items())[first::ENCODERS]) for first in range(ENCODERS)]
        return [self.encoders.submit(encode_jpegs, part) for part in parts if part]

    def _show(self, latched: list[Latched], seen: Observation, drawn: list[bool], step_ms: float) -> float:
        """Hand every row's frame on; returns the seconds that the guard took."""
        assert self._state is not None
        encoding = self._encode(drawn)
        events, clips, done = seen.events.cpu().numpy(), seen.clip.tolist(), seen.done.tolist()
        vitals = {name: getattr(self._state, name).tolist() for name in VITALS}
        sounds = np.stack([s.mixer.step(e, c) for s, e, c in zip(self._seats, events, clips, strict=True)])
        does = deeds(events, self._state.position.cpu().numpy())
        for row, seat in enumerate(self._seats):
            seat.reel.add(int(latched[row].action), events[row].copy(), clips[row])
            seat.tally.add(int(latched[row].action), *does[row])
        guarded = self._watch(drawn, sounds, clips)
        jpegs = {row: one for part in encoding for row, one in part.result().items()}
        frames: list[Frame] = []
        for row, seat in enumerate(self._seats):
            assert seat.picture is not None
            seat.tally.reported |= latched[row].reported
            if latched[row].reported and self._report is not None:
                self._report(seat, self._playing().card, seat.picture)
            seat.tick += 1
            seat.resting = seat.resting + 1 if done[row] else 0
            jpeg, encode_ms = jpegs.get(row, (b"", 0.0))
            one = Frame(
                tick=seat.tick,
                jpeg=jpeg,
                sound=encode_sound(sounds[row]),
                events=sum(1 << int(bit) for bit in np.flatnonzero(events[row])),
                done=bool(done[row]),
                echo=latched[row].echo,
                waited_ms=latched[row].waited_ms,
                step_ms=step_ms,
                encode_ms=encode_ms,
                beside=self._beside(row, latched[row], seat.picture),
                picture=seat.picture if drawn[row] else None,
                **{name: values[row] for name, values in vitals.items()},
            )
            frames.append(one)
        # at the end: they wake the sockets' thread, which would fight this one for the interpreter
        for seat, frame, whole in zip(self._seats, frames, drawn, strict=True):
            self._hand_on(seat, frame, whole=whole)
        return guarded

    def _watch(self, drawn: list[bool], sounds: NDArray[np.float32], clips: list[int]) -> float:
        """Show the tick to the guard; the seconds that took."""
        if self._guard is None or self._state is None:
            return 0.0
        started = time.monotonic()
        self._guard.watch(self._seats, self._state, drawn, sounds, clips)
        return time.monotonic() - started

    def _hand_on(self, seat: Seat, frame: Frame, *, whole: bool) -> None:
        told = frame if seat.untold is None else frame.after(seat.untold)
        seat.untold = None if whole else told
        if not whole:
            return
        if self._guard is None:
            seat.session.put(told)
        else:
            self._guard.show(seat, told)

    def _beside(self, row: int, latched: Latched, picture: NDArray[np.uint8]) -> Beside | None:
        """What is shown next to the frame of a row: here nothing; a subclass may know more."""
        del row, latched, picture
        return None

    def _restart_rested(self) -> None:
        import torch

        from feedapi.reel import Reel

        assert self._state is not None
        for row, seat in enumerate(self._seats):
            if seat.resting >= REST_STEPS:
                seat.lives += 1
                seat.resting = 0
                again = seat.session
                seat.reel = Reel(again.seed + seat.lives)
                if self._guard is not None:
                    self._guard.seated(seat, self._playing().card)
                fresh = self._playing().spawn([again.world], [seat.reel.seed], [again.spawn])
                self._state.assign(torch.tensor([row], device=fresh.world.device), fresh)


def _sleep_until(due: float, period: float) -> float:
    """Sleep until ``due``; when late by more than a tick, forget the lost ticks instead of racing."""
    now = time.monotonic()
    if now > due + period:
        return now
    time.sleep(max(0.0, due - now))
    return due
