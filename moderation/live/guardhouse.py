"""The process in which the guard's detectors run, and the two threads that talk to it.

A :class:`Guardhouse` is used by the tick thread, which only appends to a list under a lock. The sending
thread pickles moments into the pipe, the receiving one hands verdicts to ``told``; the child reads in a
thread of its own, so that sending never waits for a detector. Moments are answered in order: the number of
the last one that was answered says how far the guard lags behind. What fails, the process included, is told
once by ``failed`` and stays so until :meth:`Guardhouse.start` is called again.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeAlias

from moderation import scan
from moderation.live.inspector import Inspector, Moment, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from policies.bundle import Bundle

MakeInspector: TypeAlias = Callable[[], Inspector]
"""Called in the child, so it must be importable there."""
Item: TypeAlias = tuple[int, Moment] | None
"""A moment with its number, or None: take the policy anew."""
NEW_AT_ONCE = 6
"""New frames that detectors see together, at most: more would be cheaper, and the first verdict would come
later."""
MOST_AT_ONCE = 60
"""Moments that are judged together, at most."""
ANSWER_WITHIN = 1.0
"""Seconds that a look should take: on a machine that has too much to do, fewer frames go together. The first
goes alone, since nobody knows yet."""
LOAD_OVER = 10.0
"""Seconds over which the load is measured."""
START_WITHIN = 120.0
"""Seconds in which all weights must be loaded."""
STOP_WITHIN = 5.0
POLITE = 2
"""Niceness of the process: where cores are short, ticks come before verdicts, which may wait for a while. Not
more than that: at 5 it got a twentieth of a core on a machine with twenty other busy threads."""

log = logging.getLogger(__name__)


class GuardFailed(RuntimeError):
    """Nobody watches live play; it must end. The text says why."""


def live_detectors(bundle: Bundle) -> scan.Detectors:
    """Those that the rules for live play name, with the reader and the listener."""
    rules = [rule for rule in bundle.rules if "live" in rule.spec.scope]
    named = {use.name for rule in rules for use in rule.spec.detectors} | {"ocr", "speech"}
    return scan.Detectors.of(one for one in scan.load_detectors(bundle) if one.card.name in named)


def by_policy(home: Path | None = None) -> Inspector:
    """The inspector of the policy that is in force (``moderation.pipeline.policy_bundle``) in a home."""
    import torch

    from moderation.pipeline import policy_bundle
    from moderation.store import open_store

    torch.set_num_threads(1)
    store = None if home is None else open_store(home)
    try:
        bundle = policy_bundle(store)
    finally:
        if store is not None:
            store.close()
    return Inspector(live_detectors(bundle), bundle)


class Guardhouse:
    """Sends moments to a process that judges them. One per server; restarted after it failed."""

    def __init__(self, make: MakeInspector = by_policy) -> None:
        self._make = make
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._sent_at: deque[tuple[int, float]] = deque()
        self._worked: deque[tuple[float, float]] = deque()
        """When an answer came, and the seconds of work behind it: the last LOAD_OVER."""
        self._heard_at = 0.0
        self.generation = 0
        """Counts the processes, and what made one forget: what the last has seen, the next does not know."""
        self._numbers = 0
        self._answered = 0
        self._ready = False
        self._failure: str | None = None
        self._process: Any = None
        self._pipe: Connection | None = None
        self._stopping = False
        self.told: Callable[[Verdict], None] = _ignore
        """Called in the receiving thread with every verdict that says something."""
        self.failed: Callable[[str], None] = _ignore
        """Called once, in any thread, when the guard has failed."""

    # -- called by any thread ---------------------------------------------------------------------

    def start(self) -> None:
        """Start the process, unless it runs."""
        with self._changed:
            if self._process is not None and self._failure is None:
                return
            if self._process is not None:
                self._process.kill()
            self._waiting.clear()
            self._sent_at.clear()
            self._worked.clear()
            self._ready, self._failure, self._stopping = False, None, False
            self.generation += 1
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(
                target=_work, args=(theirs, self._make), name="guard", daemon=True
            )
            self._process.start()
            theirs.close()
            for run in (self._send, self._receive):
                threading.Thread(target=run, args=[self._pipe], name="guard", daemon=True).start()

    def wait_until_ready(self, seconds: float = START_WITHIN) -> None:
        """Return when all detectors are loaded. Raises GuardFailed."""
        self.start()
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._failure is not None, seconds)
            if not self._ready:
                raise GuardFailed(self._failure or f"the detectors were not loaded within {seconds:.0f} s")

    def submit(self, moment: Moment) -> int:
        """Queue a moment and return its number. Raises GuardFailed."""
        with self._changed:
            if self._failure is not None:
                raise GuardFailed(self._failure)
            self._numbers += 1
            self._waiting.append((self._numbers, moment))
            self._sent_at.append((self._numbers, time.monotonic()))
            self._changed.notify_all()
            return self._numbers

    def renew(self) -> None:
        """Let a process that runs judge by the policy that is in force now, as soon as it has loaded it.

        It remembers what it has seen, unless other detectors must look: then all is new again.
        """
        with self._changed:
            if self._process is not None and self._failure is None:
                self._waiting.append(None)
                self._changed.notify_all()

    @property
    def answered(self) -> int:
        """Number of the last moment that was judged."""
        return self._answered

    @property
    def process(self) -> int | None:
        """Process id, None before the start."""
        return None if self._process is None else self._process.pid

    def lag(self) -> float:
        """Seconds since the oldest moment that waits for its verdict was submitted."""
        with self._changed:
            return time.monotonic() - self._sent_at[0][1] if self._sent_at else 0.0

    def silence(self) -> float:
        """Seconds without an answer while a moment waits for one."""
        with self._changed:
            return time.monotonic() - max(self._sent_at[0][1], self._heard_at) if self._sent_at else 0.0

    def load(self) -> float:
        """Share of the last LOAD_OVER seconds that the process worked."""
        with self._changed:
            begin = time.monotonic() - LOAD_OVER
            return sum(seconds for at, seconds in self._worked if at > begin) / LOAD_OVER

    def stop(self) -> None:
        """End the process; nothing is told after that."""
        with self._changed:
            self._stopping = True
            process, self._process = self._process, None
            self._changed.notify_all()
        if process is not None:
            process.terminate()
            process.join(STOP_WITHIN)
            if process.is_alive():
                process.kill()
                process.join()

    # -- the two threads --------------------------------------------------------------------------

    def _send(self, pipe: Connection) -> None:
        try:
            while (batch := self._next(pipe)) is not None:
                for item in batch:
                    pipe.send(item)
        except (OSError, ValueError):
            self._lost(pipe, "the guard's process has ended")

    def _next(self, pipe: Connection) -> list[Item] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over(pipe))
            if self._over(pipe):
                return None
            batch = list(self._waiting)
            self._waiting.clear()
            return batch

    def _over(self, pipe: Connection) -> bool:
        return self._stopping or pipe is not self._pipe or self._failure is not None

    def _receive(self, pipe: Connection) -> None:
        try:
            while not self._over(pipe):
                number, verdict, took = pipe.recv()
                if verdict.error is not None:
                    self._lost(pipe, verdict.error)
                    return
                if verdict.forgot:
                    self.generation += 1
                if verdict.judgements:
                    self.told(verdict)
                self._answer(number, took)
        except (EOFError, OSError):
            self._lost(pipe, "the guard's process has ended")
        except Exception as error:
            log.exception("a verdict could not be carried out")
            self._lost(pipe, f"{type(error).__name__}: {error}")

    def _answer(self, number: int, took: float) -> None:
        with self._changed:
            self._ready = True
            self._answered = number
            self._heard_at = time.monotonic()
            self._worked.append((self._heard_at, took))
            while self._worked[0][0] < self._heard_at - LOAD_OVER:
                self._worked.popleft()
            while self._sent_at and self._sent_at[0][0] <= number:
                self._sent_at.popleft()
            self._changed.notify_all()

    def _lost(self, pipe: Connection, why: str) -> None:
        with self._changed:
            if self._over(pipe):
                return
            self._failure = why
            self._changed.notify_all()
        log.error("the guard has failed: %s", why)
        self.failed(why)


def _ignore(_: object) -> None:
    """Until somebody wants to know."""


# -- the process --------------------------------------------------------------------------------------


def _work(pipe: Connection, make: MakeInspector) -> None:
    """Load, say so with an empty verdict on moment 0, and judge what comes until the pipe closes."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group: the server ends this one
    os.nice(POLITE)
    try:
        inspector = make()
        inspector.load()
    except Exception as error:  # noqa: BLE001 - whatever it is, the server must know
        pipe.send((0, Verdict((), f"{type(error).__name__}: {error}"), 0.0))
        return
    renewal = _Renewal(make, inspector)
    inbox = _Inbox(pipe, renewal.begin)
    pipe.send((0, Verdict(()), 0.0))
    most = 1
    while batch := inbox.take(most):
        numbers, moments = zip(*batch, strict=True)
        began = time.monotonic()
        verdict = renewal.inspector().inspect(moments)
        took = time.monotonic() - began
        pipe.send((numbers[-1], verdict, took))
        if new := sum(glance.new for moment in moments for glance in moment.glances):
            most = max(1, min(NEW_AT_ONCE, int(ANSWER_WITHIN * new / took)))


class _Renewal:
    """The inspector in use. Another is made and loaded in a thread, while this one goes on."""

    def __init__(self, make: MakeInspector, inspector: Inspector) -> None:
        self._make = make
        self._inspector = inspector
        self._next: Inspector | None = None
        self._making = threading.Lock()

    def begin(self) -> None:
        """Make the next one."""
        threading.Thread(target=self._run, name="renewal", daemon=True).start()

    def inspector(self) -> Inspector:
        """The newest that is ready; it knows what the one before has seen."""
        following, self._next = self._next, None
        if following is not None:
            following.take_over(self._inspector)
            self._inspector = following
        return self._inspector

    def _run(self) -> None:
        with self._making:
            try:
                following = self._make()
                following.load(self._inspector)
            except Exception as error:
                log.exception("the new policy could not be loaded")
                self._inspector.refuse(f"the new policy: {type(error).__name__}: {error}")
            else:
                self._next = following


class _Inbox:
    """Empties the pipe in a thread, so that the server can always send."""

    def __init__(self, pipe: Connection, renew: Callable[[], None]) -> None:
        self._pipe = pipe
        self._renew = renew
        self._changed = threading.Condition()
        self._items: deque[tuple[int, Moment]] = deque()
        self._closed = False
        threading.Thread(target=self._fill, daemon=True).start()

    def _fill(self) -> None:
        try:
            while True:
                item: Item = self._pipe.recv()
                if item is None:
                    self._renew()
                    continue
                with self._changed:
                    self._items.append(item)
                    self._changed.notify()
        except (EOFError, OSError):
            with self._changed:
                self._closed = True
                self._changed.notify()

    def take(self, most: int) -> Sequence[tuple[int, Moment]]:
        """The next moments in order, up to so many new frames; none when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            taken: list[tuple[int, Moment]] = []
            new = 0
            while self._items and new < most and len(taken) < MOST_AT_ONCE:
                taken.append(self._items.popleft())
                new += sum(glance.new for glance in taken[-1][1].glances)
            return taken
