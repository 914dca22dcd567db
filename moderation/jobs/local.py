"""The local carrier: worker processes on this host, woken through sockets."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from moderation.jobs.processes import Leash, Processes, observed
from moderation.jobs.sweeping import fail_orphans, give_back, surviving
from moderation.jobs.trying import Terms
from moderation.jobs.work import Handlers
from moderation.jobs.worker import Worker
from moderation.observing import traces
from moderation.store import QUEUES, Job, Store, open_store


class Local:
    """Keeps worker processes running: until the jobs of some subjects are finished, or until stopped."""

    def __init__(
        self,
        home: Path,
        handlers: Handlers,
        subjects: Sequence[str] | None = None,
        workers: int = 2,
        terms: Terms | None = None,
        queues: Sequence[str] = QUEUES,
        batch: int = 1,
    ) -> None:
        self.home = home
        self.subjects = None if subjects is None else tuple(subjects)
        self.terms = terms or Terms()
        arguments = (home, handlers, self.subjects, self.terms, tuple(queues), batch)
        self._processes = Processes(_work, arguments, workers, daemon=True)

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
            self._processes.end(patience)
            give_back(store, self.subjects)
            store.close()

    def serve(self, stopped: threading.Event, patience: float = 10.0) -> None:
        """Work until stopped; a job that does not stop within ``patience`` seconds is given back."""
        store = open_store(self.home)
        try:
            surviving(lambda: fail_orphans(store, self.terms, "its worker process is gone"))
            while not stopped.wait(0.1):
                surviving(lambda: self._replace_dead(store))
        finally:
            self._processes.end(patience)
            give_back(store, self.subjects)
            store.close()

    def _run(self, store: Store, watch: Callable[[list[Job]], None] | None, tick: float) -> list[Job]:
        give_back(store, self.subjects)
        while True:
            jobs = store.queue.jobs(*self.subjects or ())
            if watch is not None:
                watch(jobs)
            if not any(job.state in ("ready", "running") for job in jobs):
                return jobs
            self._replace_dead(store)
            time.sleep(tick)

    def _replace_dead(self, store: Store) -> None:
        crashed = self._processes.remove_dead()
        if crashed:
            codes = ", ".join(map(str, crashed))
            fail_orphans(store, self.terms, f"the worker process ended with exit code {codes}")
        self._processes.fill()


def _work(
    home: Path,
    handlers: Handlers,
    subjects: Sequence[str] | None,
    terms: Terms,
    queues: Sequence[str],
    batch: int,
    leash: Leash,
) -> None:
    """Body of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    observed()
    store = open_store(home)
    with Worker(store, handlers(store), subjects, terms, queues, batch) as worker:
        leash.hold(worker.stop)
        worker.work()
    store.close()
    traces.shut_down()  # a child process runs no exit handlers
