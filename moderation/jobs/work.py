"""One claimed job in the hands of a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from moderation.store import Job, LeaseLost, Store, Transaction


class Stopped(RuntimeError):
    """The worker was asked to end; the job goes back and another worker goes on with it."""


class Work:
    """What a handler gets; its methods may be called from the handler's thread only."""

    def __init__(self, store: Store, job: Job, lease: float) -> None:
        self.store = store
        self.job = job
        self._lease = lease
        self._clock: Callable[[], float] = time.monotonic
        self._counted = self._clock()
        self._progress: dict[str, object] | None = None
        self._lock = threading.Lock()
        self._lost = False
        self._stopping = False

    def measure(self, clock: Callable[[], float]) -> None:
        """Count the time worked by another clock (seconds, from any thread): by default, all that passes."""
        with self._lock:
            self._clock, self._counted = clock, clock()

    def clock(self) -> float:
        """By which its time is counted, seconds."""
        return self._clock()

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """Say how far it is; shown to whoever waits.

        Raises LeaseLost where the job was taken over, Stopped where the worker is to end.
        """
        if self._lost:
            raise LeaseLost(f"job {self.job.id} was taken over")
        if self._stopping:
            raise Stopped(f"job {self.job.id} is given back: its worker ends")
        self._progress = {"done": done, "total": total, "unit": unit}

    def commit(self, *, done: bool = False) -> AbstractContextManager[Transaction]:
        """A transaction that only the holder of the job may commit."""
        return self.store.queue.committing(self.job, done=done, worked=self._worked() if done else 0.0)

    def renew(self) -> None:
        """Lengthen the lease; called by the heartbeat."""
        try:
            self.store.queue.renew(self.job, self._lease, self._worked(), self._progress)
        except LeaseLost:
            self._lost = True

    def stop(self) -> None:
        """Let the next report of progress raise Stopped; callable from any thread."""
        self._stopping = True

    def _worked(self) -> float:
        with self._lock:
            now = self._clock()
            worked, self._counted = now - self._counted, now
        return worked


Handler = Callable[[Work], None]
Ended = Callable[[Work, Exception | None], None]
"""Told of each job when it ends, with the error that ended it, if any; from any thread."""


@runtime_checkable
class Several(Protocol):
    """A handler that can also do several jobs of its kind at once."""

    def __call__(self, work: Work) -> None: ...

    def together(self, works: Sequence[Work], ended: Ended) -> None:
        """Do them; each commits for itself, and the failure of one is not that of another.

        What was not ``ended`` when this raises fails by what it raised.
        """
        ...


Handlers = Callable[[Store], Mapping[str, Handler]]
"""A module-level function (it is sent to child processes) that gives a handler per kind of job."""
