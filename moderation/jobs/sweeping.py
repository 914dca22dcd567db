"""Finds what nobody holds or nobody came for, and sets it going again.

A worker that died on this host is found at once by its file lock. That of another host, or of another home
folder on this one, cannot be judged by it: there the lease has to run out.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy.exc import SQLAlchemyError

from moderation import broker
from moderation.jobs.trying import Terms, passes
from moderation.store import QUEUES, Job, Ready, Store, Swept
from moderation.wake import bells

_AT_ONCE = 64
"""Messages that one sweep sends again at most, per queue."""
_REMIND = 1.0
"""Seconds between two looks at the broker, for all workers of a host."""
_log = logging.getLogger(__name__)


def sweep(store: Store, terms: Terms) -> Swept:
    """Free orphans of this host, expired leases and retries that are due; wake again for what is ready."""
    fail_orphans(store, terms, "its worker process is gone")
    swept = store.queue.sweep(terms.lease, terms.transient, terms.longest_backoff)
    if broker.broker_url() is not None and _my_turn(store.home):
        remind(store)
    return swept


def fail_orphans(store: Store, terms: Terms, error: str) -> None:
    """The death of its worker is a failure of the job, which is tried again at once."""
    for job in store.queue.running(host(store.home)):
        if orphaned(store, job):
            store.queue.fail(job, error, 0.0, terms.failures)


def surviving(action: Callable[[], object]) -> bool:
    """Do it, unless the database is gone for a while; whether it was done."""
    try:
        action()
    except SQLAlchemyError as error:
        if not passes(error):
            raise
        _log.warning("the database does not answer: %s", error)
        return False
    return True


def give_back(store: Store, subjects: Sequence[str] | None = None) -> None:
    """Jobs of workers that were ended, or died with an interrupted run: no fault of the job."""
    for job in store.queue.running(host(store.home)):
        if (subjects is None or job.subject in subjects) and orphaned(store, job):
            store.queue.release(job)


def remind(store: Store) -> int:
    """Send messages again where the broker has fewer than there are jobs; returns how many."""
    url = broker.broker_url()
    if url is None:
        return 0
    missing: list[Ready] = []
    try:
        for queue in QUEUES:
            ready = store.queue.claimable(queue, _AT_ONCE)
            if ready:
                missing += ready[broker.waiting(url, queue) :]
    except SQLAlchemyError:
        raise
    except Exception as error:  # noqa: BLE001 - every transport has its own
        _log.warning("the broker does not say what it holds: %s", error)
        return 0  # one that does not answer for one queue is not asked for the others
    if missing:
        store.wake(missing)
    return len(missing)


def _my_turn(home: Path) -> bool:
    """Whether this call is the one of its second, among all workers under this home."""
    mark = bells(home) / "reminded"
    lock = FileLock(bells(home) / "reminding.lock")
    try:
        with lock.acquire(timeout=0):
            if mark.exists() and 0 <= time.time() - mark.stat().st_mtime < _REMIND:
                return False
            mark.touch()
            return True
    except Timeout:
        return False


def host(home: Path) -> str:
    """How the names begin of workers whose file locks can be seen here."""
    return f"{socket.gethostname()}-{hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:8]}"


def lock_path(home: Path, worker: str) -> Path:
    """What a worker locks for as long as it lives."""
    return bells(home) / f"{worker}.lock"


def orphaned(store: Store, job: Job) -> bool:
    """Whether the worker that holds this running job is known to be gone; only for workers of this host."""
    if job.state != "running" or job.worker is None or not job.worker.startswith(host(store.home)):
        return False
    path = lock_path(store.home, job.worker)
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
