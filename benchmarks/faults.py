"""Kills what a running installation is made of, over and over, and counts what was lost: nothing may be.

    python -m benchmarks.faults [--kills 1000] [--seed 0] [--on sqlite redis rabbitmq] [--json faults.json]

Subjects of four trivial stages (each writes a blob, names it in a row and queues the next stage in the same
transaction) run on real worker processes, while faults fall on them in an order that the seed decides:

    worker      SIGKILL to a process that holds a job
    group       SIGKILL to the supervisor and all its workers at once; then it is started again
    broker      every connection to the broker is cut (a proxy stands before it), new ones refused for 0.3 s
    emptied     every message in the broker is deleted
    database    pg_terminate_backend on one of the workers' connections
    disk        writing blobs fails for 0.3 s, as on a full disk (RLIMIT_FSIZE)
    clock       the workers' clock jumps an hour ahead or back

Recovery: for ``worker`` and ``group`` the seconds until the jobs that were held are free again, for the
others those until some job is finished again. Servers are found as the tests find them.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, func, make_url, select

from moderation.broker import BROKER_VARIABLE, PREFIX_VARIABLE, celery_app, queue_name
from moderation.jobs import Handler, Terms, Work, open_carrier
from moderation.states import WorldState
from moderation.store import DATABASE_VARIABLE, Store, open_store
from moderation.store import tables as t
from tests.servers import Server

STATES = (WorldState.SCREENING, WorldState.EXPLORING, WorldState.SCANNING, WorldState.DECIDING)
TERMS = Terms(
    lease=5.0,
    heartbeat=0.5,
    failures=10_000,  # here every failure is one that was made
    transient=10_000,
    backoff=0.02,
    longest_backoff=0.2,
    poll=0.5,
    sweep=0.25,
)
FAULTS = {
    "worker": 30,
    "group": 4,
    "broker": 14,
    "emptied": 12,
    "database": 18,
    "disk": 12,
    "clock": 10,
}
"""How often each comes, relative to the others, where it is possible."""
OPEN = 24
"""Subjects that are under way at any time."""
REDIS = os.environ.get("FIRSTPLAY_TEST_REDIS", "redis://127.0.0.1:6379/13")
RABBITMQ = os.environ.get("FIRSTPLAY_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")
POSTGRESQL = os.environ.get("FIRSTPLAY_TEST_POSTGRESQL", "postgresql://localhost/postgres")


# -- what the workers do ------------------------------------------------------------------------------


def handlers(store: Store) -> Mapping[str, Handler]:
    _follow_clock(store.home / "clock")
    return {"stage": stage}


def stage(work: Work) -> None:
    """One blob, one row that names it, one change of state, and the next stage: all of it or nothing."""
    number, version = int(work.job.payload["number"]), work.job.subject
    time.sleep(random.uniform(0.0, 0.04))  # noqa: S311
    with _full_disk(work.store.home / "disk-full"):
        blob = work.store.blobs.put(f"{version} {number}".encode())
    with work.commit(done=True) as tx:
        tx.add_piece(version, "stage", number, None, blob)
        tx.transition(version, STATES[number], "faults", f"stage {number}")
        if number + 1 < len(STATES):
            tx.enqueue("stage", version, f"{version}:{number + 1}", {"number": number + 1}, number + 1)
        else:
            tx.transition(version, WorldState.CLEARED, "faults", "decided")


def _follow_clock(path: Path) -> None:
    with path.open("r+b") as file:
        offset = mmap.mmap(file.fileno(), 8)
    true = time.time
    time.time = lambda: true() + struct.unpack("d", offset[:8])[0]


@contextmanager
def _full_disk(mark: Path) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if mark.exists():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def serve(home: Path, workers: int) -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    open_carrier(home, handlers, ("cpu",), workers, TERMS).serve(stopped)


# -- a proxy before the broker ------------------------------------------------------------------------


class Proxy:
    """Passes bytes on, until it is told to cut every connection."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._closed_until = 0.0
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, seconds: float) -> None:
        self._closed_until = time.monotonic() + seconds
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut(3600)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if time.monotonic() < self._closed_until:
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                self._open |= {client, server}
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            self._open.discard(one)
            with suppress(OSError):
                one.close()


# -- one installation under fire ----------------------------------------------------------------------


@dataclass
class Result:
    """What became of one installation."""

    on: str
    seed: int
    lease: float
    kills: dict[str, int] = field(default_factory=dict)
    subjects: int = 0
    lost: int = 0
    """Subjects that were not decided in the end."""
    decided_twice: int = 0
    dead: int = 0
    blobs: int = 0
    blobs_missing: int = 0
    recovery: dict[str, float] = field(default_factory=dict)
    """The longest, by kind of fault; seconds."""
    silent: int = 0
    """Times a consumer that heard nothing from its broker any more noticed it, and was started again."""
    seconds: float = 0.0

    @property
    def fine(self) -> bool:
        clean = not (self.lost or self.decided_twice or self.dead or self.blobs_missing)
        return clean and max(self.recovery.values(), default=0.0) <= self.lease + 1


class Installation:
    """A store, a supervisor with its workers, and the hands that break them."""

    def __init__(self, home: Path, result: Result, proxy: Proxy | None, workers: int) -> None:
        self.home = home
        self.result = result
        self.proxy = proxy
        self.workers = workers
        self.random = random.Random(result.seed)  # noqa: S311
        (home / "clock").write_bytes(struct.pack("d", 0.0))
        self.store = open_store(home)
        self.database = make_url(os.environ[DATABASE_VARIABLE]) if result.on != "sqlite" else None
        self._start()

    def _start(self) -> None:
        environment = dict(os.environ)
        if self.database is not None:
            named = self.database.update_query_dict({"application_name": "faults"})
            environment[DATABASE_VARIABLE] = named.render_as_string(hide_password=False)
        command = [sys.executable, "-m", "benchmarks.faults", "--serve", str(self.home)]
        with (self.home / "log").open("ab") as log:
            self.supervisor = subprocess.Popen(  # noqa: S603
                [*command, "--workers", str(self.workers)],
                cwd=Path(__file__).parent.parent,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.supervisor.pid, signal.SIGKILL)
        self.supervisor.wait()
        self.store.close()

    # what can happen to it

    def break_something(self) -> None:
        kinds = [kind for kind in FAULTS if self._possible(kind)]
        (kind,) = self.random.choices(kinds, [FAULTS[kind] for kind in kinds])
        breaking: Callable[[], Callable[[], bool]] = getattr(self, f"_{kind}")
        self._wait(lambda: bool(self._running()), 60.0)
        recovered = breaking()
        seconds = self._wait(recovered, 60.0)
        self.result.kills[kind] = self.result.kills.get(kind, 0) + 1
        self.result.recovery[kind] = max(self.result.recovery.get(kind, 0.0), seconds)

    def _possible(self, kind: str) -> bool:
        if kind in ("broker", "emptied"):
            return self.proxy is not None
        return kind != "database" or self.database is not None

    def _worker(self) -> Callable[[], bool]:
        held = self._running()
        victim = self.random.choice(held).worker if held else None
        if victim is not None:
            with suppress(ProcessLookupError):
                os.kill(int(victim.split("-")[-2]), signal.SIGKILL)
        return self._freed({job.id: job.token for job in held if job.worker == victim})

    def _group(self) -> Callable[[], bool]:
        os.killpg(self.supervisor.pid, signal.SIGKILL)
        self.supervisor.wait()
        held = self._running()
        self._start()
        return self._freed({job.id: job.token for job in held})

    def _broker(self) -> Callable[[], bool]:
        assert self.proxy is not None
        self.proxy.cut(0.3)
        return self._goes_on()

    def _emptied(self) -> Callable[[], bool]:
        app = celery_app(os.environ[BROKER_VARIABLE])
        with suppress(Exception), app.connection_for_write() as connection:
            connection.default_channel.queue_purge(queue_name("cpu"))
        return self._goes_on()

    def _database(self) -> Callable[[], bool]:
        assert self.database is not None
        engine = create_engine(self.database.set(drivername="postgresql+psycopg"))
        with engine.connect() as connection:
            backends = connection.exec_driver_sql(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'faults' "
                "AND datname = current_database() ORDER BY pid"
            ).scalars()
            found = list(backends)
            if found:
                connection.exec_driver_sql(f"SELECT pg_terminate_backend({self.random.choice(found)})")
        engine.dispose()
        return self._goes_on()

    def _disk(self) -> Callable[[], bool]:
        mark = self.home / "disk-full"
        mark.touch()
        time.sleep(0.3)
        mark.unlink()
        return self._goes_on()

    def _clock(self) -> Callable[[], bool]:
        (now,) = struct.unpack("d", (self.home / "clock").read_bytes())
        jump = 0.0 if now else self.random.choice([-3600.0, 3600.0])
        with (self.home / "clock").open("r+b") as file:
            file.write(struct.pack("d", jump))
        return self._goes_on()

    # what can be seen of it

    def _running(self) -> list[object]:
        return self.store.queue.running("")

    def _freed(self, held: Mapping[int, int]) -> Callable[[], bool]:
        def freed() -> bool:
            still = {job.id: job.token for job in self._running()}
            return not any(still.get(number) == token for number, token in held.items())

        return freed

    def _goes_on(self) -> Callable[[], bool]:
        before = self._done()
        return lambda: self._done() > before

    def _done(self) -> int:
        with self.store.database.reading() as connection:
            return int(connection.execute(select(func.count()).where(t.jobs.c.state == "done")).scalar_one())

    def _wait(self, condition: Callable[[], bool], seconds: float) -> float:
        begun = time.monotonic()
        while not condition():
            if time.monotonic() - begun > seconds:
                raise TimeoutError(f"nothing moved for {seconds:.0f} s: see {self.home / 'log'}")
            self.refill()
            time.sleep(0.02)
        return time.monotonic() - begun

    def refill(self) -> None:
        """Keep subjects under way."""
        with self.store.database.reading() as connection:
            count = select(func.count()).select_from(t.jobs).where(t.OPEN)
            missing = OPEN - int(connection.execute(count).scalar_one())
        for _ in range(missing):
            version = uuid.UUID(int=self.random.getrandbits(128)).hex * 2
            with self.store.writing() as tx:
                tx.submit(version, version[:12], "T", "p", {}, "x", None, creator=version[0])
                tx.add_exploration(version, version, 0, "none", "none", {})
                tx.enqueue("stage", version, f"{version}:0", {"number": 0})
            self.result.subjects += 1

    def drain(self) -> None:
        """Let what is under way end."""
        begun = time.monotonic()
        while any(load.jobs for load in self.store.queue.loads()):
            if time.monotonic() - begun > 90:
                return
            time.sleep(0.05)

    def count(self) -> None:
        """What was lost, done twice, or is missing."""
        cleared = select(t.events.c.version, func.count().label("times")).where(
            t.events.c.to_state == WorldState.CLEARED
        )
        with self.store.database.reading() as connection:
            times = dict(connection.execute(cleared.group_by(t.events.c.version)).all())
            versions = list(connection.execute(select(t.versions.c.id)).scalars())
            blobs = list(connection.execute(select(t.pieces.c.blob)).scalars())
            dead = select(func.count()).select_from(t.jobs).where(t.jobs.c.state == "dead")
            self.result.dead = int(connection.execute(dead).scalar_one())
        self.result.silent = (self.home / "log").read_text(errors="replace").count("delivers nothing")
        kept = {blob.sha256 for blob in self.store.blobs.kept()}
        self.result.lost = sum(version not in times for version in versions)
        self.result.lost += self.result.subjects - len(versions)
        self.result.decided_twice = sum(count > 1 for count in times.values())
        self.result.blobs = len(blobs)
        self.result.blobs_missing = sum(blob not in kept for blob in blobs)


def run(on: str, kills: int, seed: int, workers: int = 3) -> Result:
    """``on``: sqlite (local carrier), redis or rabbitmq (Celery, PostgreSQL)."""
    result = Result(on, seed, TERMS.lease)
    begun = time.monotonic()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        proxy = None
        if on != "sqlite":
            proxy = _before_broker(stack, REDIS if on == "redis" else RABBITMQ)
            server = Server(POSTGRESQL)
            server.prepare()
            stack.callback(server.close)
            stack.enter_context(setting(DATABASE_VARIABLE, stack.enter_context(server.database())))
        installation = Installation(home, result, proxy, workers)
        stack.callback(installation.close)
        installation.refill()
        for _ in range(kills):
            installation.break_something()
            time.sleep(installation.random.uniform(0.0, 0.1))
        installation.drain()
        installation.count()
    result.seconds = time.monotonic() - begun
    return result


def _before_broker(stack: ExitStack, url: str) -> Proxy:
    from celery.app.base import Celery

    where = make_url(url)
    assert where.host is not None
    proxy = Proxy(where.host, where.port or (6379 if url.startswith("redis") else 5672))
    stack.callback(proxy.close)
    through = where.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
    if url.endswith("//"):
        through = through.rstrip("/") + "//"
    stack.enter_context(setting(BROKER_VARIABLE, through))
    stack.enter_context(setting(PREFIX_VARIABLE, f"faults-{uuid.uuid4().hex[:8]}"))
    app: Celery = celery_app(through)

    def forget() -> None:
        with suppress(Exception), app.connection_for_write() as connection:
            connection.default_channel.queue_delete(queue_name("cpu"))

    stack.callback(forget)
    return proxy


@contextmanager
def setting(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def table(results: list[Result]) -> str:
    names = f"{'on':10} {'kills':>6} {'subjects':>9} {'lost':>5} {'twice':>6} {'blobs':>7} {'missing':>8}"
    lines = [f"{names} {'dead':>5}  longest recovery, s (bar {TERMS.lease + 1:.0f})"]
    for one in results:
        recovery = ", ".join(
            f"{kind} {one.recovery[kind]:.1f} ({one.kills[kind]})" for kind in FAULTS if kind in one.kills
        )
        lines.append(
            f"{one.on:10} {sum(one.kills.values()):6} {one.subjects:9} {one.lost:5} {one.decided_twice:6} "
            f"{one.blobs:7} {one.blobs_missing:8} {one.dead:5}  {recovery}; {one.silent} silent consumers"
        )
    total: dict[str, int] = defaultdict(int)
    for one in results:
        for kind, count in one.kills.items():
            total[kind] += count
    lines.append(f"{sum(total.values())} kills in {sum(one.seconds for one in results):.0f} s")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--on", nargs="+", default=["sqlite", "redis", "rabbitmq"])
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve is not None:
        serve(asked.serve, asked.workers)
        return
    share = -(-asked.kills // len(asked.on))
    results = [run(on, share, asked.seed, asked.workers) for on in asked.on]
    print(table(results))
    if asked.json is not None:
        told = [asdict(one) | {"fine": one.fine} for one in results]
        asked.json.write_text(json.dumps(told, indent=2) + "\n")
    sys.exit(0 if all(one.fine for one in results) else 1)


if __name__ == "__main__":
    main()
