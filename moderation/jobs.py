"""Work that survives: jobs in the store, and the processes of this machine that do them.

The truth is the ``jobs`` table; a worker claims a job with a fencing token, works, and commits only while
the token holds, so a job that two workers happen to do is committed once. Each worker is a spawned child
process (a forked one would inherit torch's threads in an undefined state) with a heartbeat thread that
lengthens the lease, notes progress, and ends the process when its parent is gone. It holds a file lock
for as long as it lives; the system drops the lock even on ``kill -9``, so that whoever comes next sees at
once which leases are orphaned and need not wait for them to run out.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from moderation.store import Job, LeaseLost, Store, Transaction, open_store


class Hopeless(RuntimeError):
    """A job cannot succeed by trying again; the message says what to do. Makes it dead at once."""


@dataclass(frozen=True)
class Terms:
    """How patient the carrier is; seconds."""

    lease: float = 30.0
    heartbeat: float = 0.5
    failures: int = 3
    """A job that fails so often is dead."""
    backoff: float = 1.0
    """Wait before the second try; doubles with each failure."""
    poll: float = 0.05


class Work:
    """One claimed job in the hands of a worker; its methods may be called from the handler's thread only."""

    def __init__(self, store: Store, job: Job, lease: float) -> None:
        self.store = store
        self.job = job
        self._lease = lease
        self._clock = time.monotonic()
        self._progress: dict[str, object] | None = None
        self._lock = threading.Lock()
        self._lost = False

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """Say how far it is; shown to whoever waits. Raises LeaseLost where the job was taken over."""
        if self._lost:
            raise LeaseLost(f"job {self.job.id} was taken over")
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

    def _worked(self) -> float:
        with self._lock:
            now = time.monotonic()
            worked, self._clock = now - self._clock, now
        return worked


Handler = Callable[[Work], None]
Handlers = Callable[[Store], Mapping[str, Handler]]
"""A module-level function (it is sent to child processes) that gives a handler per kind of job."""


class Worker:
    """Claims jobs and does them, one after the other, in this thread."""

    def __init__(
        self,
        store: Store,
        handlers: Mapping[str, Handler],
        subjects: Sequence[str] | None = None,
        terms: Terms | None = None,
    ) -> None:
        self.store = store
        self.handlers = handlers
        self.subjects = subjects
        self.terms = terms or Terms()
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._alive = FileLock(_lock_path(store.home, self.name))

    def __enter__(self) -> Self:
        Path(self._alive.lock_file).parent.mkdir(parents=True, exist_ok=True)
        self._alive.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._alive.release()
        Path(self._alive.lock_file).unlink(missing_ok=True)

    def run_one(self) -> bool:
        """Do one job, if there is one to claim."""
        job = self.store.queue.claim(self.name, self.terms.lease, self.subjects)
        if job is None:
            return False
        work = Work(self.store, job, self.terms.lease)
        finished = threading.Event()
        heart = threading.Thread(target=self._beat, args=(work, finished), daemon=True)
        heart.start()
        try:
            self.handlers[job.kind](work)
        except Exception as error:  # noqa: BLE001 - whatever a job raises is kept with the job
            self._failed(job, error)
        finally:
            finished.set()
            heart.join()
        return True

    def _failed(self, job: Job, error: Exception) -> None:
        """Nothing is noted where the lease was lost: whoever took the job over has its own token."""
        if isinstance(error, Hopeless):
            self.store.queue.fail(job, str(error), 0.0, limit=0)
        else:
            told = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
            self.store.queue.fail(job, told, self.terms.backoff * 2**job.failures, self.terms.failures)

    def _beat(self, work: Work, finished: threading.Event) -> None:
        while not finished.wait(self.terms.heartbeat):
            work.renew()


def orphaned(store: Store, job: Job) -> bool:
    """Whether the worker that holds this running job is gone."""
    if job.state != "running" or job.worker is None:
        return False
    path = _lock_path(store.home, job.worker)
    if not path.exists():
        return True
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    lock.release()
    path.unlink(missing_ok=True)
    return True


class Carrier:
    """Keeps worker processes running until the jobs of some subjects are finished."""

    def __init__(
        self,
        home: Path,
        handlers: Handlers,
        subjects: Sequence[str],
        workers: int = 2,
        terms: Terms | None = None,
    ) -> None:
        self.home = home
        self.handlers = handlers
        self.subjects = tuple(subjects)
        self.workers = workers
        self.terms = terms or Terms()
        self._context = get_context("spawn")
        self._stop: Event = self._context.Event()
        self._children: list[BaseProcess] = []

    def run(self, watch: Callable[[list[Job]], None] | None = None, tick: float = 0.2) -> list[Job]:
        """Work until every job is done or dead, and return them; ``watch`` sees them at each tick.

        A job whose worker process died is tried again and counts as failed once; on KeyboardInterrupt the
        workers are ended and their jobs given back.
        """
        store = open_store(self.home)
        patience = 0.0
        try:
            jobs = self._run(store, watch, tick)
            patience = 1.0
            return jobs
        finally:
            self._end(patience)
            self._give_back(store)
            store.close()

    def _run(self, store: Store, watch: Callable[[list[Job]], None] | None, tick: float) -> list[Job]:
        self._give_back(store)
        while True:
            jobs = store.queue.jobs(*self.subjects)
            if watch is not None:
                watch(jobs)
            if not any(job.state in ("ready", "running") for job in jobs):
                return jobs
            self._replace_dead(store)
            time.sleep(tick)

    def _replace_dead(self, store: Store) -> None:
        crashed = [child for child in self._children if not child.is_alive()]
        for child in crashed:
            self._children.remove(child)
        if crashed:
            codes = ", ".join(str(child.exitcode) for child in crashed)
            self._fail_orphans(store, f"the worker process ended with exit code {codes}")
        while len(self._children) < self.workers:
            self._children.append(self._start())

    def _start(self) -> BaseProcess:
        arguments = (self.home, self.handlers, self.subjects, self.terms, self._stop, os.getpid())
        child = self._context.Process(target=_work, args=arguments, name="firstplay-worker", daemon=True)
        child.start()
        return child

    def _fail_orphans(self, store: Store, error: str) -> None:
        for job in store.queue.jobs(*self.subjects):
            if orphaned(store, job):
                store.queue.fail(job, error, self.terms.backoff * 2**job.failures, self.terms.failures)

    def _give_back(self, store: Store) -> None:
        """Jobs of workers that ended with an earlier, interrupted run: no fault of the job."""
        for job in store.queue.jobs(*self.subjects):
            if orphaned(store, job):
                store.queue.release(job)

    def _end(self, patience: float) -> None:
        self._stop.set()
        for child in self._children:
            child.join(timeout=patience)
            if child.is_alive():
                child.terminate()
                child.join()


def _work(
    home: Path, handlers: Handlers, subjects: Sequence[str], terms: Terms, stop: Event, parent: int
) -> None:
    """Body of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    store = open_store(home)
    with Worker(store, handlers(store), subjects, terms) as worker:
        while not stop.is_set():
            if not worker.run_one():
                time.sleep(terms.poll)
    store.close()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: an orphan would hold leases that nobody waits for."""
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(1)


def _lock_path(home: Path, worker: str) -> Path:
    return home / "workers" / f"{worker}.lock"
