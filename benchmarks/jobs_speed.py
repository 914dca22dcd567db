"""How fast jobs start, and how many get done: local and Celery.

    python -m benchmarks.jobs_speed [--on sqlite postgresql redis rabbitmq] [--json jobs.json]

``start``: milliseconds from before the enqueueing transaction until the handler runs, one job at a time, on
idle workers. ``rate``: trivial jobs per second that two worker processes finish. ``claim``: milliseconds of a
claim with 100,000 ready jobs. CPU seconds per job are printed too: on a shared machine they say more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import func, select

from benchmarks.faults import POSTGRESQL, RABBITMQ, REDIS, setting
from moderation.broker import BROKER_VARIABLE, PREFIX_VARIABLE
from moderation.jobs import Handler, Work, open_carrier
from moderation.store import DATABASE_VARIABLE, Store, open_store
from moderation.store import tables as t
from tests.servers import Server

WORKERS = 2


def note(work: Work) -> None:
    """Keep when it began."""
    with (work.store.home / "started").open("a") as file:
        file.write(f"{time.time() - work.job.payload['at']}\n")
    with work.commit(done=True):
        pass


def trivial(work: Work) -> None:
    with work.commit(done=True):
        pass


def handlers(_: Store) -> Mapping[str, Handler]:
    return {"note": note, "trivial": trivial}


@dataclass(frozen=True)
class Speed:
    on: str
    start_p50: float
    start_p95: float
    """Milliseconds."""
    rate: float
    """Jobs per second."""
    cpu: float
    """Milliseconds of CPU per job, all workers together."""
    claim: float | None
    """Milliseconds, median, with 100,000 ready jobs of 100 creators."""


def measure(on: str, starts: int, many: int, ready: int) -> Speed:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobs-speed-", dir=Path.cwd())))
        if on != "sqlite":
            server = Server(POSTGRESQL)
            server.prepare()
            stack.callback(server.close)
            stack.enter_context(setting(DATABASE_VARIABLE, stack.enter_context(server.database())))
        claim = _claim(home / "claim", ready) if on in ("sqlite", "postgresql") else None
        if on in ("redis", "rabbitmq"):
            stack.enter_context(setting(BROKER_VARIABLE, REDIS if on == "redis" else RABBITMQ))
            stack.enter_context(setting(PREFIX_VARIABLE, f"speed-{os.getpid()}"))
        store = open_store(home / "store")
        stack.callback(store.close)
        stopped = threading.Event()
        carrier = open_carrier(store.home, handlers, ("cpu",), WORKERS)
        serving = threading.Thread(target=carrier.serve, args=(stopped,))
        serving.start()
        try:
            while len(store.queue.workers()) < WORKERS:
                time.sleep(0.1)
            time.sleep(1.0)
            started = _starts(store, starts)
            used = _cpu(store)
            rate = _rate(store, many)
            used = _cpu(store) - used
        finally:
            stopped.set()
            serving.join()
    p50, p95 = (float(np.percentile(started, q)) * 1e3 for q in (50, 95))
    return Speed(on, p50, p95, rate, used / many * 1e3, claim)


def _starts(store: Store, count: int) -> list[float]:
    for number in range(count):
        at = time.time()
        with store.writing() as tx:
            tx.enqueue("note", "s", f"note:{number}", {"at": at})
        time.sleep(0.03)
    _until_empty(store)
    return [float(line) for line in (store.home / "started").read_text().split()]


def _rate(store: Store, count: int) -> float:
    with store.writing() as tx:
        for number in range(count):
            tx.enqueue("trivial", "s", f"trivial:{number}")
    _until_empty(store)
    finished = select(func.max(t.jobs.c.finished) - func.min(t.jobs.c.finished))
    with store.database.reading() as connection:
        return count / connection.execute(finished.where(t.jobs.c.kind == "trivial")).scalar_one()


def _cpu(store: Store) -> float:
    """Seconds that the worker processes have used."""
    ticks = 0
    for worker in store.queue.workers():
        fields = Path(f"/proc/{worker.split('-')[-2]}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _until_empty(store: Store) -> None:
    while store.queue.claimable("cpu", 1) or store.queue.running(""):
        time.sleep(0.02)


def _claim(home: Path, ready: int) -> float:
    """Alone in this process, without handlers."""
    store = open_store(home)
    with store.writing() as tx:
        for number in range(ready):
            tx.enqueue("trivial", "s", f"claim:{number}", creator=f"c{number % 100}")
    taken = []
    for _ in range(200):
        begun = time.perf_counter()
        store.queue.claim("w", 60.0)
        taken.append(time.perf_counter() - begun)
    with store.writing() as tx:
        tx.cancel_jobs("s")
    store.close()
    return statistics.median(taken) * 1e3


def table(speeds: list[Speed]) -> str:
    lines = [f"{'on':12} {'start p50':>10} {'p95, ms':>8} {'jobs/s':>8} {'CPU ms/job':>11} {'claim, ms':>10}"]
    for one in speeds:
        claim = "" if one.claim is None else f"{one.claim:.2f}"
        lines.append(
            f"{one.on:12} {one.start_p50:10.1f} {one.start_p95:8.1f} {one.rate:8.0f} "
            f"{one.cpu:11.2f} {claim:>10}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--on", nargs="+", default=["sqlite", "postgresql", "redis", "rabbitmq"])
    parser.add_argument("--starts", type=int, default=200)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--ready", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    speeds = [measure(on, asked.starts, asked.many, asked.ready) for on in asked.on]
    print(table(speeds))
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(one) for one in speeds], indent=2) + "\n")


if __name__ == "__main__":
    main()
