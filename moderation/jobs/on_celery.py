"""The Celery carrier: a Celery worker with forked processes, woken by messages, watched by a supervisor.

Three kinds of processes. The supervisor (the one that called ``serve``) starts the Celery worker again when
it dies or stops consuming. The Celery worker holds the connection to the broker and forks; it imports no
torch and opens no database, so that forks start clean. Each forked process has one ``Worker`` whose second
thread keeps leases and sweeps; for each message it claims jobs until there are none or a second is over.

A consumer that has lost its broker can sit there with a living process (celery #8030, #8384, #10205), so
what is probed is consumption: a message through a queue of its own must come back, else the Celery worker
ends and is started again.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moderation.broker import PROBE, TASK, celery_app, queue_name
from moderation.jobs.processes import Leash, Processes, end_with, observed
from moderation.jobs.sweeping import fail_orphans, give_back, host, surviving
from moderation.jobs.trying import Terms
from moderation.jobs.work import Handlers
from moderation.jobs.worker import Worker, in_order
from moderation.observing import traces
from moderation.store import QUEUES, open_store

if TYPE_CHECKING:
    from celery import Celery

_TURN = 1.0
"""Seconds for which one message may keep claiming; more is left to the next message."""
_PROBE_EVERY, _PROBE_PATIENCE = 1 / 10, 1 / 3
"""Of a lease: so that a silent consumer costs less time than a machine that is gone, with what it takes to
start another one."""
_log = logging.getLogger(__name__)


class OnCelery:
    """Keeps one Celery worker running."""

    def __init__(
        self,
        home: Path,
        handlers: Handlers,
        url: str,
        workers: int = 2,
        terms: Terms | None = None,
        queues: Sequence[str] = QUEUES,
        batch: int = 1,
    ) -> None:
        self.home = home
        self.terms = terms or Terms()
        settings = _Settings(home, handlers, url, workers, self.terms, in_order(queues), batch)
        self._processes = Processes(_celery_worker, (settings,), 1, daemon=False)

    def serve(self, stopped: threading.Event, patience: float = 10.0) -> None:
        """Work until stopped; a job that does not stop within ``patience`` seconds is given back."""
        store = open_store(self.home)
        try:
            surviving(lambda: fail_orphans(store, self.terms, "its worker process is gone"))
            while not stopped.wait(0.1):
                for code in self._processes.remove_dead():
                    _log.warning("the Celery worker ended with exit code %s and is started again", code)
                self._processes.fill()
        finally:
            self._processes.end(patience)
            surviving(lambda: give_back(store))
            store.close()


@dataclass(frozen=True)
class _Settings:
    home: Path
    handlers: Handlers
    url: str
    processes: int
    terms: Terms
    queues: tuple[str, ...]
    batch: int


def _celery_worker(settings: _Settings, leash: Leash) -> None:
    """Body of the process that holds the connection to the broker."""
    from kombu.entity import Exchange, Queue

    app = celery_app(settings.url, listens=True)
    probe = queue_name(f"probe.{uuid.uuid4().hex[:12]}")
    names = [*map(queue_name, settings.queues), probe]
    options = {probe: {"auto_delete": True, "expires": 600}}
    app.conf.task_queues = [
        Queue(name, Exchange(name), name, **options.get(name, {}))  # type: ignore[no-untyped-call]
        for name in names
    ]
    _add_tasks(app, settings)
    consumer = app.Worker(
        pool="prefork",
        concurrency=settings.processes,
        hostname=f"firstplay-{os.getpid()}@{host(settings.home)}",
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
    )
    leash.hold(lambda: os.kill(os.getpid(), signal.SIGTERM))  # Celery's warm shutdown
    threading.Thread(target=_Probe(app, probe, settings).run, daemon=True).start()
    consumer.start()
    raise SystemExit(consumer.exitcode)


def _add_tasks(app: Celery, settings: _Settings) -> None:
    from celery.signals import worker_process_init, worker_process_shutdown

    started: list[Worker] = []

    def start(**_: Any) -> None:
        end_with(os.getppid())
        observed()
        store = open_store(settings.home)
        made = settings.handlers(store)
        worker = Worker(store, made, None, settings.terms, settings.queues, settings.batch)
        started.append(worker.__enter__())

    def end(**_: Any) -> None:
        for worker in started:
            worker.__exit__()
        traces.shut_down()

    def work(*_: object) -> None:
        """Queue Q has job J: whoever hears it claims what is next, which may be another job."""
        until = time.monotonic() + _TURN
        while started[0].run_one() and time.monotonic() < until:
            pass

    def probe(_: str) -> None:
        """Nothing: that it came is all."""

    worker_process_init.connect(start, weak=False)
    worker_process_shutdown.connect(end, weak=False)
    app.task(work, name=TASK, shared=False)
    app.task(probe, name=PROBE, shared=False)


class _Probe:
    """Sends itself a message from time to time and ends the process when none comes back."""

    def __init__(self, app: Celery, queue: str, settings: _Settings) -> None:
        self._app = app
        self._queue = queue
        self._processes = settings.processes
        self._every = settings.terms.lease * _PROBE_EVERY
        self._patience = settings.terms.lease * _PROBE_PATIENCE
        self._heard = time.monotonic()
        self._ready = threading.Event()

    def run(self) -> None:
        from celery.signals import task_received, worker_ready
        from celery.worker import state

        task_received.connect(self._received, weak=False)
        worker_ready.connect(lambda **_: self._ready.set(), weak=False)
        self._ready.wait()
        asked: float | None = None
        while True:
            time.sleep(self._every)
            if len(state.reserved_requests) >= self._processes:
                self._heard, asked = time.monotonic(), None  # all are busy: that is no silence
            elif asked is not None and self._heard < asked:
                if time.monotonic() - asked > self._patience:
                    _log.error("the broker delivers nothing to this worker: starting it again")
                    os._exit(70)
            elif self._ask():
                asked = time.monotonic()

    def _received(self, **_: Any) -> None:
        self._heard = time.monotonic()

    def _ask(self) -> bool:
        try:
            self._app.send_task(PROBE, ("",), queue=self._queue, retry=False, ignore_result=True)
        except Exception as error:  # noqa: BLE001 - every transport has its own
            _log.warning("the broker took no probe: %s", error)
            return False
        return True
