"""One claimed job in the hands of a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from moderation.store import Job, LeaseLost, Store, Transaction


class Stopped(RuntimeError):
    """The worker was asked to end; the job goes back and another worker goes on with it."""


class Work:
    """What a handler gets; its methods may be called from the handler's thread only."""

    def __init__(self, store: Store, job: Job, lease: float) -> None:
        self.store = store
        self.job = job
        self._lease = lease
        self._clock = time.monotonic()
        self._progress: dict[str, object] | None = None
        self._lock = threading.Lock()
        self._lost = False
        self._stopping = False

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
            now = time.monotonic()
            worked, self._clock = now - self._clock, now
        return worked


Handler = Callable[[Work], None]
Handlers = Callable[[Store], Mapping[str, Handler]]
"""A module-level function (it is sent to child processes) that gives a handler per kind of job."""
