"""How workers are woken: at once on one host, through Redis and RabbitMQ across hosts, and without either."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from moderation.broker import BROKER_VARIABLE, BadBroker, celery_app, queue_name, waiting
from moderation.jobs import Handler, Local, Terms, Work, Worker, open_carrier
from moderation.jobs.on_celery import OnCelery
from moderation.jobs.sweeping import remind
from moderation.store import QUEUES, Store, open_store
from tests.servers import Server

TERMS = Terms(lease=20.0, heartbeat=0.2, sweep=0.2, poll=30.0)  # so that only a bell or a sweep can wake


def note(work: Work) -> None:
    with (work.store.home / "started").open("a") as file:
        file.write(f"{time.time() - work.job.payload['at']}\n")
    with work.commit(done=True):
        pass


def slow(work: Work) -> None:
    for step in range(100):
        work.progress(step, 100)
        time.sleep(0.1)
    with work.commit(done=True):
        pass


def handlers(_: Store) -> Mapping[str, Handler]:
    return {"note": note, "slow": slow}


def enqueue(store: Store, key: str, kind: str = "note") -> None:
    with store.writing() as tx:
        tx.enqueue(kind, "s", key, {"at": time.time()})


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@contextmanager
def workers(store: Store, count: int = 2) -> Iterator[None]:
    stopped = threading.Event()
    carrier = open_carrier(store.home, handlers, ("cpu",), count, TERMS)
    assert isinstance(carrier, OnCelery if os.environ.get(BROKER_VARIABLE) else Local)
    serving = threading.Thread(target=carrier.serve, args=(stopped, 2.0))
    serving.start()
    try:
        wait_for(lambda: len(store.queue.workers()) == count)
        yield
    finally:
        stopped.set()
        serving.join()


def done(store: Store, count: int) -> Callable[[], bool]:
    return lambda: [job.state for job in store.queue.jobs()].count("done") == count


def starts(home: Path) -> list[float]:
    return sorted(float(line) for line in (home / "started").read_text().split())


@pytest.mark.usefixtures("each_database")
def test_idle_workers_of_this_host_are_woken_at_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with workers(store):
        for number in range(40):
            enqueue(store, str(number))
            time.sleep(0.02)
        wait_for(done(store, 40))

    assert starts(tmp_path)[20] < 0.1, "nobody was woken: the workers' own look is every 30 s"


def test_workers_that_are_stopped_give_back_what_they_hold(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with workers(store, 1):
        enqueue(store, "a", "slow")
        wait_for(lambda: store.queue.jobs()[0].state == "running")

    (job,) = store.queue.jobs()
    assert (job.state, job.failures) == ("ready", 0)
    assert store.queue.workers() == {}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("filesystem://", "loses tasks"),
        ("sqla+sqlite:///x", "loses tasks"),
        ("memory://", "ends with its process"),
        ("sqs://", "not tested"),
    ],
)
def test_brokers_that_lose_work_are_refused(
    url: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BROKER_VARIABLE, url)

    with pytest.raises(BadBroker, match=why) as refused:
        open_store(tmp_path)
    assert "redis://" in str(refused.value)


@pytest.fixture
def distributed(each_broker: str, postgresql: Server, tmp_path: Path) -> Iterator[Store]:
    with postgresql.database() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTPLAY_DATABASE", url)
        store = open_store(tmp_path)
        yield store
        store.close()


def test_celery_workers_do_every_job_and_start_soon(distributed: Store, tmp_path: Path) -> None:
    with workers(distributed):
        for number in range(40):
            enqueue(distributed, str(number))
            time.sleep(0.02)
        wait_for(done(distributed, 40))

    assert len(starts(tmp_path)) == 40
    assert starts(tmp_path)[20] < 0.5


def test_a_broker_that_was_emptied_loses_nothing(distributed: Store, each_broker: str) -> None:
    for number in range(20):
        enqueue(distributed, str(number))
    assert waiting(each_broker, "cpu") == 20
    with celery_app(each_broker).connection_for_write() as connection:
        connection.default_channel.queue_purge(queue_name("cpu"))
    assert waiting(each_broker, "cpu") == 0

    with workers(distributed):
        wait_for(done(distributed, 20))


def test_a_sweep_sends_again_only_what_the_broker_lacks(distributed: Store, each_broker: str) -> None:
    for number in range(5):
        enqueue(distributed, str(number))

    assert remind(distributed) == 0
    with celery_app(each_broker).connection_for_write() as connection:
        connection.default_channel.queue_purge(queue_name("cpu"))
    assert remind(distributed) == 5
    assert waiting(each_broker, "cpu") == 5


def test_a_broker_that_is_gone_holds_up_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BROKER_VARIABLE, "redis://127.0.0.1:1/0")
    store = open_store(tmp_path)

    begun = time.monotonic()
    for number in range(50):
        enqueue(store, str(number))

    assert len(store.queue.jobs()) == 50
    assert time.monotonic() - begun < 10


def test_a_broker_that_accepts_and_never_answers_costs_no_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(BROKER_VARIABLE, f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        store = open_store(tmp_path)
        with store.writing() as tx:
            for queue in QUEUES:
                tx.enqueue("slow", "s", queue, queue=queue)
        terms = Terms(lease=5.0, heartbeat=0.2, sweep=0.2)
        with Worker(store, {"slow": slow}, None, terms, ("cpu",)) as worker:
            working = threading.Thread(target=worker.run_one)
            working.start()
            while working.is_alive():
                assert store.queue.sweep(terms.lease, 9).expired == 0
                time.sleep(0.1)

    assert [job.state for job in store.queue.jobs()].count("done") == 1


def test_a_killed_celery_process_costs_one_try(distributed: Store) -> None:
    with workers(distributed, 1):
        enqueue(distributed, "a", "slow")
        wait_for(lambda: distributed.queue.jobs()[0].state == "running")
        worker = distributed.queue.jobs()[0].worker
        assert worker is not None
        os.kill(int(worker.split("-")[-2]), signal.SIGKILL)
        wait_for(lambda: distributed.queue.jobs()[0].failures == 1)
        wait_for(lambda: distributed.queue.jobs()[0].state == "running")

    assert distributed.queue.jobs()[0].failures == 1
    assert multiprocessing.active_children() == []
