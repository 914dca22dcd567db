"""Which job comes next, when a failed one is tried again, and when there is no room for more."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from moderation.jobs import Hopeless, QueueFull, Terms, Work, Worker, check_room
from moderation.jobs.pressure import LIMIT_VARIABLE, pressures
from moderation.jobs.trying import passes, retry_after
from moderation.jobs.worker import in_order
from moderation.store import Job, Store, open_store

pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def enqueue(store: Store, *keys: str, queue: str = "cpu", creator: str | None = None) -> None:
    with store.writing() as tx:
        for key in keys:
            tx.enqueue("k", "s", key, {"key": key}, queue=queue, creator=creator)


def finish(store: Store, queues: tuple[str, ...] = ("cpu",)) -> Job | None:
    job = store.queue.claim("w", 5.0, None, queues)
    if job is not None:
        with store.queue.committing(job, done=True):
            pass
    return job


def order(store: Store, count: int, queues: tuple[str, ...] = ("cpu",)) -> list[str]:
    return [job.payload["key"] for job in (finish(store, queues) for _ in range(count)) if job is not None]


def test_a_flood_by_one_creator_does_not_hold_up_anothers_first_job(store: Store) -> None:
    enqueue(store, *(f"flood-{n}" for n in range(1000)), creator="loud")
    order(store, 10)
    enqueue(store, "quiet-0", "quiet-1", "quiet-2", creator="quiet")

    next_six = order(store, 6)

    assert next_six.index("quiet-0") <= 1
    assert [key for key in next_six if key.startswith("quiet")] == ["quiet-0", "quiet-1", "quiet-2"]


def test_creators_take_turns_for_as_long_as_both_have_jobs(store: Store) -> None:
    for number in range(30):
        enqueue(store, f"a-{number}", creator="a")
    for number in range(30):
        enqueue(store, f"b-{number}", creator="b")

    first = order(store, 40)

    assert sum(key.startswith("a") for key in first) == 20


def test_who_comes_late_is_not_paid_for_the_time_before(store: Store) -> None:
    enqueue(store, *(f"a-{n}" for n in range(60)), creator="a")
    order(store, 40)
    enqueue(store, *(f"b-{n}" for n in range(20)), creator="b")

    assert sum(key.startswith("a") for key in order(store, 20)) == 10


def test_a_job_of_a_version_counts_for_its_creator(store: Store) -> None:
    with store.writing() as tx:
        tx.submit("v", "t", "T", "p", {}, "x", None, creator="ann")
        tx.enqueue("k", "v", "a")

    assert [job.creator for job in store.queue.jobs()] == ["ann"]


def test_queues_are_looked_into_in_the_order_given_but_urgent_first(store: Store) -> None:
    for queue in ("cpu", "gpu", "urgent", "io"):
        enqueue(store, queue, queue=queue)

    assert in_order(["gpu", "urgent", "cpu"]) == ("urgent", "gpu", "cpu")
    assert order(store, 9, in_order(["gpu", "urgent", "cpu"])) == ["urgent", "gpu", "cpu"]
    assert [job.queue for job in store.queue.jobs() if job.state == "ready"] == ["io"]
    with pytest.raises(ValueError, match="no queue tpu"):
        in_order(["tpu"])


def test_a_claim_stays_quick_with_a_hundred_thousand_ready_jobs(store: Store) -> None:
    def claim_ten() -> float:
        took = []
        for _ in range(10):
            begun = time.perf_counter()
            finish(store)
            took.append(time.perf_counter() - begun)
        return min(took)

    enqueue(store, *(f"few-{n}" for n in range(100)))
    few = claim_ten()
    for creator in range(10):
        enqueue(store, *(f"{creator}-{n}" for n in range(10_000)), creator=str(creator))
    many = claim_ten()

    assert many < 4 * few + 0.005


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_how_often_a_job_is_tried_depends_on_what_failed() -> None:
    terms = Terms(failures=3, transient=8)

    def limit(error: Exception) -> int:
        return retry_after(raised(error), 0, terms).limit

    assert limit(Hopeless("fetch the weights")) == 0
    assert limit(ValueError("a bug")) == 3
    assert limit(OperationalError("SELECT 1", {}, Exception("server closed the connection"))) == 8
    assert limit(OSError(errno.ENOSPC, "No space left on device")) == 8
    assert limit(ConnectionResetError()) == 8
    assert not passes(FileNotFoundError(errno.ENOENT, "no such file"))


def test_the_wait_doubles_is_drawn_by_chance_and_has_an_end() -> None:
    terms = Terms(backoff=1.0, longest_backoff=20.0)
    waits = {
        failures: [retry_after(raised(ValueError()), failures, terms).wait for _ in range(50)]
        for failures in (0, 3, 30)
    }

    assert all(0.5 <= wait <= 1.0 for wait in waits[0])
    assert all(4.0 <= wait <= 8.0 for wait in waits[3])
    assert all(10.0 <= wait <= 20.0 for wait in waits[30])
    assert len(set(waits[3])) > 40


def test_a_retry_is_not_claimed_before_its_time_and_a_sweep_lets_it_go(store: Store) -> None:
    enqueue(store, "a")
    job = store.queue.claim("w", 5.0)
    assert job is not None
    store.queue.fail(job, "for now", 0.5, limit=3)

    assert store.queue.sweep(5.0, 3).due == 0
    assert finish(store) is None
    time.sleep(0.6)
    assert store.queue.sweep(5.0, 3).due == 1
    assert finish(store) is not None


def test_a_clock_that_was_put_back_leaves_no_lease_and_no_retry_in_the_far_future(store: Store) -> None:
    enqueue(store, "held", "failed")
    held, failed = (store.queue.claim("w", 3600.0) for _ in range(2))
    assert held is not None
    assert failed is not None
    store.queue.fail(failed, "for now", 3600.0, limit=9)

    swept = store.queue.sweep(0.2, 9, retry=60.0)
    time.sleep(0.3)

    assert swept.due == 1
    assert store.queue.sweep(0.2, 9, retry=60.0).expired == 1


def test_a_lease_that_runs_out_too_often_makes_the_job_dead(store: Store) -> None:
    enqueue(store, "deadly")
    for _ in range(2):
        assert store.queue.claim("another-host-1-abc", 0.02) is not None
        time.sleep(0.1)
        swept = store.queue.sweep(5.0, limit=2)

    assert swept.dead == 1
    (job,) = store.queue.jobs()
    assert job.state == "dead"
    assert "another-host" in (job.error or "")


def test_a_full_queue_says_how_long_to_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def nap(work: Work) -> None:
        time.sleep(0.1)
        with work.commit(done=True):
            pass

    enqueue(store, "measured")
    with Worker(store, {"k": nap}) as worker:
        worker.run_one()
    enqueue(store, *map(str, range(50)))
    for name in ("one", "two"):
        store.queue.heard(name, ("cpu",))
    monkeypatch.setenv(LIMIT_VARIABLE, "50")

    (now,) = pressures(store)
    assert (now.depth, now.workers) == (50, 2)
    assert 2.5 <= now.seconds < 10
    with pytest.raises(QueueFull, match="50 jobs are waiting") as full:
        check_room(store)
    assert full.value.wait == now.seconds
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    check_room(store)
