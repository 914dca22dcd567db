"""A worker: claims jobs and does them one after the other, while a second thread keeps its leases.

Jobs whose handler can do several of them are claimed several at a time, each with its own lease and token.
The second thread lengthens the leases of the jobs at hand, says that the worker lives, and sweeps. For as
long as it lives, a worker holds a file lock; the system drops the lock even on ``kill -9``, so that workers
of the same host see at once which leases are orphaned and need not wait for them to run out.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from filelock import FileLock
from sqlalchemy.exc import SQLAlchemyError

from moderation.jobs.sweeping import host, lock_path, sweep
from moderation.jobs.trying import Terms, passes, retry_after
from moderation.jobs.work import Handler, Several, Stopped, Work
from moderation.store import QUEUES, Job, Store
from moderation.wake import Bell

_SAY_ALIVE = 10.0
"""Seconds between two notes that a worker lives."""
_log = logging.getLogger(__name__)


class Worker:
    """Does jobs in the thread that calls it; use as a context manager."""

    def __init__(
        self,
        store: Store,
        handlers: Mapping[str, Handler],
        subjects: Sequence[str] | None = None,
        terms: Terms | None = None,
        queues: Sequence[str] = QUEUES,
        batch: int = 1,
    ) -> None:
        """``batch``: jobs that it claims at once at most, where their handler can do several."""
        if batch < 1:
            raise ValueError(f"a batch of {batch} jobs: it must be at least 1")
        self.store = store
        self.batch = batch
        self.handlers = handlers
        self.subjects = subjects
        self.terms = terms or Terms()
        self.queues = in_order(queues)
        self.name = f"{host(store.home)}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._alive = FileLock(lock_path(store.home, self.name), thread_local=False)
        self._works: list[Work] = []
        self._ended = threading.Event()
        self._stopping = False
        self._keeper = threading.Thread(target=self._keep, name="firstplay-keeper", daemon=True)

    def __enter__(self) -> Self:
        lock_path(self.store.home, self.name).parent.mkdir(parents=True, exist_ok=True)
        self._alive.acquire()
        self._bell = Bell(self.store.home, self.queues, self.name.rpartition("-")[2])
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._keeper.join()
        self._bell.close()
        with suppress(SQLAlchemyError):
            self.store.queue.gone(self.name)
        self._alive.release()
        lock_path(self.store.home, self.name).unlink(missing_ok=True)

    def stop(self) -> None:
        """Let ``work`` end soon: the job at hand is given back at its next report of progress."""
        self._stopping = True
        for work in self._works:
            work.stop()
        self._bell.ring()

    def work(self) -> None:
        """Do jobs until ``stop`` is called from another thread; survives the loss of the database."""
        failed = 0
        while not self._stopping:
            try:
                worked = self.run_one()
                failed = 0
            except SQLAlchemyError as error:
                if not passes(error):
                    raise
                _log.warning("the database does not answer, trying again: %s", error)
                failed, worked = failed + 1, False
            if not worked:
                self._bell.wait(min(0.1 * 2**failed, 5.0) if failed else self.terms.poll)

    def run_one(self) -> bool:
        """Do one job, or several at once, if there is one to claim."""
        jobs = self._claim()
        self._works = works = [Work(self.store, job, self.terms.lease) for job in jobs]
        if self._stopping:
            self.stop()
        try:
            if len(works) == 1:
                self.handlers[jobs[0].kind](works[0])
            elif works:
                self._do_together(works)
        except Exception as error:  # noqa: BLE001 - whatever a job raises is kept with the job
            for work in self._works:
                self._failed(work, error)
        finally:
            self._works = []
        return bool(works)

    def _claim(self) -> list[Job]:
        """The next job, and others that can be done with it."""
        job = self.store.queue.claim(self.name, self.terms.lease, self.subjects, self.queues)
        if job is None:
            return []
        if self.batch == 1 or job.failures or not isinstance(self.handlers.get(job.kind), Several):
            return [job]
        try:
            more = self.store.queue.claim_alike(
                job, self.name, self.terms.lease, self.batch - 1, self.subjects
            )
        except SQLAlchemyError as error:
            _log.warning("the database gave no further jobs: %s", error)
            more = []
        return [job, *more]

    def _do_together(self, works: Sequence[Work]) -> None:
        handler = self.handlers[works[0].job.kind]
        assert isinstance(handler, Several)

        def ended(work: Work, error: Exception | None) -> None:
            self._works = [one for one in self._works if one is not work]
            if error is not None:
                self._failed(work, error)

        handler.together(works, ended)

    def _failed(self, work: Work, error: Exception) -> None:
        """Nothing is noted where the lease was lost: whoever took the job over has its own token."""
        if isinstance(error, Stopped):
            self.store.queue.release(work.job)
            return
        retry = retry_after(error, work.job.failures, self.terms)
        self.store.queue.fail(work.job, retry.told, retry.wait, retry.limit)

    def _keep(self) -> None:
        """Body of the second thread: the database may be gone for a while."""
        said, swept = float("-inf"), time.monotonic()
        while not self._ended.wait(min(self.terms.heartbeat, self.terms.sweep)):
            now = time.monotonic()
            try:
                for work in self._works:
                    work.renew()
                if now - swept >= self.terms.sweep:
                    swept = now
                    sweep(self.store, self.terms)
                if now - said >= _SAY_ALIVE:
                    self.store.queue.heard(self.name, self.queues)
                    said = now
            except SQLAlchemyError as error:
                _log.warning("the heartbeat did not reach the database: %s", error)


def in_order(queues: Sequence[str]) -> tuple[str, ...]:
    """As given, but what is urgent first. Raises ValueError for a queue that does not exist."""
    unknown = sorted(set(queues) - set(QUEUES))
    if unknown or not queues:
        raise ValueError(f"no queue {', '.join(unknown) or 'given'}: there are {', '.join(QUEUES)}")
    return tuple(sorted(dict.fromkeys(queues), key=lambda queue: queue != "urgent"))
