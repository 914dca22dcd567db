"""The arena: one world model, one tick loop, every live session a row of one batched state.

The tick thread owns the model, the state and the seats; nothing else touches them. Other threads only
put sessions into ``_joining`` and ``_leaving`` under the lock. Each tick latches every session's keys as
late as possible, does one forward for all, encodes, and puts the newest frame into each session's slot.
The model is loaded in that thread when the first session joins, so that a server that only shows the
feed never imports torch.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread
from typing import TYPE_CHECKING

import numpy as np

from feedapi.session import Ending, Latched, Session
from feedapi.wire import Beside, Close, Frame
from worldmodel.constants import FPS, SAMPLES_PER_STEP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worldmodel.protocol import Observation, State, WorldModel
    from worldmodel.sound import Mixer

log = logging.getLogger(__name__)

JPEG_QUALITY = 92
"""With colours at full resolution about 7 kB a frame, 38 dB: pixel art shows every halo."""
REST_STEPS = 2 * FPS
"""Steps that a reached goal stays on screen before the world starts again."""
VITALS = ("health", "keys", "coins", "score", "step")
"""What of the state a frame reports."""
BANK_LIMIT = 64
"""Compiled worlds that the model keeps (about 2 MB each) before an idle arena forgets them all."""


class ArenaFull(RuntimeError):
    """No session can be added without slowing the others down; try again later."""


@dataclass
class Seat:
    """One row of the batched state."""

    session: Session
    mixer: Mixer
    tick: int = 0
    resting: int = 0
    lives: int = 0
    """How often the world was started again."""


class Arena:
    """Live play of one world model by at most ``capacity`` players at once."""

    def __init__(self, load: Callable[[], WorldModel], capacity: int, fps: int = FPS) -> None:
        self.capacity = capacity
        self._load = load
        self._period = 1 / fps
        self._lock = Condition()
        self._joining: list[Session] = []
        self._leaving: list[Session] = []
        self._members: list[Session] = []
        self._closing = False
        self._thread: Thread | None = None
        self._model: WorldModel | None = None
        self._state: State | None = None
        self._seats: list[Seat] = []

    # -- called by any thread ---------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._model is not None

    @property
    def players(self) -> int:
        with self._lock:
            return len(self._members)

    def warm_up(self) -> None:
        """Start loading the model, if nobody did yet."""
        with self._lock:
            self._start()

    def join(self, session: Session) -> None:
        """Seat a session from the next tick on. Raises ArenaFull."""
        with self._lock:
            if self._closing or len(self._members) >= self.capacity:
                raise ArenaFull(f"all {self.capacity} places are taken: try again in a minute")
            self._members.append(session)
            self._joining.append(session)
            self._start()
            self._lock.notify()

    def leave(self, session: Session) -> None:
        """Free the session's place; doing it twice is harmless."""
        with self._lock:
            if session in self._members:
                self._members.remove(session)
                self._leaving.append(session)
                self._lock.notify()

    def members(self) -> list[Session]:
        """Who plays now."""
        with self._lock:
            return list(self._members)

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

    def _start(self) -> None:
        if self._thread is None and not self._closing:
            self._thread = Thread(target=self._run, name="arena", daemon=True)
            self._thread.start()

    # -- the tick thread --------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._model = self._load()
            due = time.monotonic()
            while self._admit():
                self._tick()
                due = _sleep_until(due + self._period, self._period)
        except Exception as error:
            log.exception("live play has stopped")
            self._abandon(error)

    def _abandon(self, error: Exception) -> None:
        """A loop that broke serves nobody: end all sessions, so that the next one starts afresh."""
        ending = Ending(Close.INTERNAL_ERROR, f"live play failed ({type(error).__name__})")
        with self._lock:
            for session in self._members:
                session.end(ending)
            self._members, self._joining, self._leaving = [], [], []
            self._thread = self._model = self._state = None
            self._seats = []

    def _admit(self) -> bool:
        """Apply joins and leaves; sleep while nobody plays. False when it is over."""
        with self._lock:
            while not (self._members or self._leaving or self._closing):
                self._lock.wait()
            joining, self._joining = self._joining, []
            leaving, self._leaving = self._leaving, []
            if self._closing:
                return False
        self._unseat(leaving)
        for session in joining:
            if session not in leaving:
                self._seat(session)
        return True

    def _seat(self, session: Session) -> None:
        from worldmodel.protocol import concatenate
        from worldmodel.sound import Mixer

        fresh = self._playing().spawn([session.world], [session.seed], [session.spawn])
        self._state = fresh if self._state is None else concatenate([self._state, fresh])
        self._seats.append(Seat(session, Mixer(session.world)))

    def _unseat(self, leaving: list[Session]) -> None:
        keep = [row for row, seat in enumerate(self._seats) if seat.session not in leaving]
        if len(keep) == len(self._seats):
            return
        self._seats = [self._seats[row] for row in keep]
        self._state = self._state[keep] if keep and self._state is not None else None
        if not keep and _bank_size(self._playing()) > BANK_LIMIT:
            self._model = self._load()

    def _playing(self) -> WorldModel:
        assert self._model is not None
        return self._model

    def _tick(self) -> None:
        import torch

        if self._state is None:
            return
        latched = [seat.session.latch() for seat in self._seats]
        started = time.monotonic()
        actions = torch.tensor([int(each.action) for each in latched], device=self._playing().device)
        self._state, seen = self._playing().step(self._state, actions)
        step_ms = (time.monotonic() - started) * 1000
        self._show(latched, seen, step_ms)
        self._restart_rested()

    def _show(self, latched: list[Latched], seen: Observation, step_ms: float) -> None:
        assert seen.frames is not None
        assert self._state is not None
        # one copy from the device for each tensor, not one per session
        pictures = seen.frames.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        events, clips, done = seen.events.cpu().numpy(), seen.clip.tolist(), seen.done.tolist()
        vitals = {name: getattr(self._state, name).tolist() for name in VITALS}
        for row, seat in enumerate(self._seats):
            beside = self._beside(row, latched[row], pictures[row])
            started = time.monotonic()
            jpeg = encode_jpeg(pictures[row])
            sound = encode_sound(seat.mixer.step(events[row], clips[row]))
            seat.tick += 1
            seat.resting = seat.resting + 1 if done[row] else 0
            seat.session.put(
                Frame(
                    tick=seat.tick,
                    jpeg=jpeg,
                    sound=sound,
                    events=sum(1 << int(bit) for bit in np.flatnonzero(events[row])),
                    done=bool(done[row]),
                    echo=latched[row].echo,
                    waited_ms=latched[row].waited_ms,
                    step_ms=step_ms,
                    encode_ms=(time.monotonic() - started) * 1000,
                    beside=beside,
                    **{name: values[row] for name, values in vitals.items()},
                )
            )

    def _beside(self, row: int, latched: Latched, picture: NDArray[np.uint8]) -> Beside | None:
        """What is shown next to the frame of a row: here nothing; a subclass may know more."""
        del row, latched, picture
        return None

    def _restart_rested(self) -> None:
        import torch

        assert self._state is not None
        for row, seat in enumerate(self._seats):
            if seat.resting >= REST_STEPS:
                seat.lives += 1
                seat.resting = 0
                again = seat.session
                fresh = self._playing().spawn([again.world], [again.seed + seat.lives], [again.spawn])
                self._state.assign(torch.tensor([row], device=fresh.world.device), fresh)


def encode_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) RGB as JPEG."""
    import cv2

    full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    how = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full]
    good, data = cv2.imencode(".jpg", picture[..., ::-1], how)
    if not good:
        raise RuntimeError("OpenCV could not encode a frame")
    return data.tobytes()


def encode_sound(samples: NDArray[np.float32]) -> bytes:
    """SAMPLES_PER_STEP of -1..1 as int16, little-endian; empty when silent."""
    if samples.shape != (SAMPLES_PER_STEP,):
        raise ValueError(f"a step has {SAMPLES_PER_STEP} samples, not {samples.shape}")
    whole = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
    return whole.tobytes() if whole.any() else b""


def _bank_size(model: WorldModel) -> int:
    bank = getattr(model, "bank", None)
    return len(bank.worlds) if bank is not None else 0


def _sleep_until(due: float, period: float) -> float:
    """Sleep until ``due``; when late by more than a tick, forget the lost ticks instead of racing."""
    now = time.monotonic()
    if now > due + period:
        return now
    time.sleep(max(0.0, due - now))
    return due
