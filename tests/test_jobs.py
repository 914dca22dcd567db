"""What jobs promise: done once, taken over when a worker is gone, dead when hopeless, never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moderation.jobs import Ended, Handler, Hopeless, Local, Terms, Work, Worker, orphaned
from moderation.store import Job, LeaseLost, Store, open_store

QUICK = Terms(lease=5.0, heartbeat=0.05, failures=3, backoff=0.01, poll=0.05, sweep=0.02)


pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def enqueue(store: Store, *keys: str, kind: str = "note", subject: str = "s", priority: int = 0) -> None:
    with store.writing() as tx:
        for key in keys:
            tx.enqueue(kind, subject, key, {"key": key}, priority)


def claim(store: Store, lease: float = 5.0) -> Job:
    job = store.queue.claim("w", lease)
    assert job is not None
    return job


def take_over(store: Store, lease: float = 5.0) -> Job:
    """As a worker of another host does it: the lease runs out, a sweep notices."""
    wait_for(lambda: store.queue.sweep(lease, 9).expired == 1)
    return claim(store)


def wait_for(condition: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def note(work: Work) -> None:
    """Leave one line per time the job was worked on, then finish."""
    with (work.store.home / "notes").open("a") as file:
        file.write(f"{work.job.payload['key']}\n")
    with work.commit(done=True):
        pass


def poison(work: Work) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def handlers(_: Store) -> Mapping[str, Handler]:
    return {"note": note, "poison": poison, "slow": slow}


def slow(work: Work) -> None:
    done = len(work.store.pieces("e", "slow"))
    for piece in range(done, 30):
        time.sleep(0.1)
        with work.commit() as tx:
            tx.add_piece("e", "slow", piece, os.getpid())
        work.progress(piece + 1, 30, "pieces")
    with work.commit(done=True):
        pass


def notes(home: Path) -> list[str]:
    return sorted((home / "notes").read_text().split())


def test_the_same_key_twice_is_one_job(store: Store) -> None:
    enqueue(store, "a", "a")

    assert len(store.queue.jobs()) == 1


def test_a_claimed_job_is_nobody_elses_until_its_lease_ends(store: Store) -> None:
    enqueue(store, "a")
    first = claim(store, lease=0.3)

    assert store.queue.claim("other", 5.0) is None
    second = take_over(store)
    assert second.id == first.id
    assert second.token > first.token
    assert second.failures == 1


def test_higher_priority_first_then_oldest_and_only_the_subjects_asked_for(store: Store) -> None:
    enqueue(store, "a", "b")
    enqueue(store, "c", priority=1)
    enqueue(store, "d", subject="other", priority=9)

    order = []
    while (job := store.queue.claim("w", 5.0, ["s"])) is not None:
        order.append(job.payload["key"])

    assert order == ["c", "a", "b"]


def test_many_threads_claim_each_job_once(store: Store, tmp_path: Path) -> None:
    enqueue(store, *map(str, range(60)))
    claimed: list[int] = []

    def drain() -> None:
        mine = open_store(tmp_path)
        while (job := mine.queue.claim("w", 30.0)) is not None:
            claimed.append(job.id)

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claimed) == sorted(job.id for job in store.queue.jobs())


def test_whoever_lost_the_lease_commits_nothing(store: Store) -> None:
    enqueue(store, "a")
    old = claim(store, lease=0.05)
    new = take_over(store)

    with pytest.raises(LeaseLost), store.queue.committing(old, done=True) as tx:
        tx.enqueue("note", "s", "written by the loser")
    with store.queue.committing(new, done=True) as tx:
        tx.enqueue("note", "s", "written by the holder")

    assert [(job.payload, job.state) for job in store.queue.jobs()] == [({"key": "a"}, "done"), ({}, "ready")]
    with pytest.raises(LeaseLost):
        store.queue.renew(old, 5.0, 0.0, None)


def test_an_error_is_kept_and_tried_again_until_the_job_is_dead(store: Store) -> None:
    enqueue(store, "a", kind="broken")

    def broken(_: Work) -> None:
        raise ValueError("no such thing")

    tries = 0
    with Worker(store, {"broken": broken}, terms=QUICK) as worker:
        deadline = time.monotonic() + 20
        while store.queue.jobs()[0].state != "dead" and time.monotonic() < deadline:
            tries += worker.run_one()

    (job,) = store.queue.jobs()
    assert (job.state, job.failures, tries) == ("dead", 3, 3)
    assert job.error is not None
    assert job.error.startswith("ValueError: no such thing")


def test_a_hopeless_job_is_dead_at_once_and_can_be_revived(store: Store) -> None:
    enqueue(store, "a", kind="hopeless")

    def hopeless(_: Work) -> None:
        raise Hopeless("fetch the weights first")

    with Worker(store, {"hopeless": hopeless}, terms=QUICK) as worker:
        worker.run_one()

    (job,) = store.queue.jobs()
    assert (job.state, job.error) == ("dead", "fetch the weights first")
    store.queue.revive(job)
    assert store.queue.jobs()[0].state == "ready"


def test_the_heartbeat_keeps_a_long_job(store: Store) -> None:
    enqueue(store, "a", kind="long")

    def long(work: Work) -> None:
        work.progress(1, 2, "halves")
        time.sleep(0.6)
        assert store.queue.claim("other", 5.0) is None
        with work.commit(done=True):
            pass

    terms = Terms(lease=0.3, heartbeat=0.05)
    with Worker(store, {"long": long}, terms=terms) as worker:
        worker.run_one()

    (job,) = store.queue.jobs()
    assert (job.state, job.progress) == ("done", {"done": 1, "total": 2, "unit": "halves"})
    assert job.seconds >= 0.6


def test_a_job_whose_lease_was_taken_over_learns_it_at_its_next_report(store: Store) -> None:
    enqueue(store, "a", kind="late")
    seen: list[str] = []

    def late(work: Work) -> None:
        take_over(store)
        work.renew()
        try:
            work.progress(1, 1)
        except LeaseLost:
            seen.append("lost")
            raise

    with Worker(store, {"late": late}, terms=Terms(lease=0.05, heartbeat=30)) as worker:
        worker.run_one()

    (job,) = store.queue.jobs()
    assert seen == ["lost"]
    assert (job.state, job.failures) == ("running", 1)


class Pairs:
    """Does several jobs at once, in one thread each; notes how many those were."""

    def __init__(self, one: Handler) -> None:
        self.one = one
        self.sizes: list[int] = []

    def __call__(self, work: Work) -> None:
        self.sizes.append(1)
        self.one(work)

    def together(self, works: Sequence[Work], ended: Ended) -> None:
        self.sizes.append(len(works))

        def run(work: Work) -> None:
            try:
                self.one(work)
            except Exception as error:  # noqa: BLE001 - as a handler must
                ended(work, error)
            else:
                ended(work, None)

        with ThreadPoolExecutor(len(works)) as pool:
            list(pool.map(run, works))


def test_several_are_done_at_once_and_one_that_fails_fails_alone(store: Store) -> None:
    enqueue(store, "a", "bad", "b", "c")
    enqueue(store, "other", kind="other")

    def picky(work: Work) -> None:
        time.sleep(0.7)  # longer than the lease: every one of them must be kept
        if work.job.payload["key"] == "bad" and not work.job.failures:
            raise ValueError("a bad world")
        with work.commit(done=True):
            pass

    pairs = Pairs(picky)
    handlers = {"note": pairs, "other": note}
    with Worker(
        store, handlers, terms=Terms(lease=0.4, heartbeat=0.05, sweep=9, backoff=0), batch=3
    ) as worker:
        assert store.queue.sweep(0.4, 9).expired == 0
        while worker.run_one():
            pass

    jobs = store.queue.jobs()
    assert pairs.sizes == [3, 1, 1], (
        "what failed is tried again alone, and what is of another kind is not taken"
    )
    assert [(job.state, job.failures) for job in jobs] == [("done", int(n == 1)) for n in range(5)]
    assert jobs[1].token == 3


def test_a_worker_takes_no_more_at_once_than_its_share(store: Store) -> None:
    enqueue(store, *"abcdefg")
    for name in ("one", "two"):
        store.queue.heard(name, ("cpu", "gpu"))
    store.queue.heard("elsewhere", ("io",))
    first = claim(store)

    more = store.queue.claim_alike(first, "one", 5.0, 9)
    assert [job.payload["key"] for job in more] == ["b", "c", "d"]
    assert store.queue.claim_alike(first, "one", 5.0, 1, ["another subject"]) == []
    store.queue.gone("two")
    assert len(store.queue.claim_alike(first, "one", 5.0, 2)) == 2
    assert len({job.id for job in store.queue.running("")}) == 6


def test_many_threads_that_claim_several_claim_each_job_once(store: Store, tmp_path: Path) -> None:
    enqueue(store, *map(str, range(60)))
    claimed: list[int] = []

    def drain() -> None:
        mine = open_store(tmp_path)
        while (job := mine.queue.claim("w", 30.0)) is not None:
            claimed.extend(one.id for one in [job, *mine.queue.claim_alike(job, "w", 30.0, 4)])
        mine.close()

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(drain)

    assert sorted(claimed) == sorted(job.id for job in store.queue.jobs())


def test_a_worker_that_stops_gives_all_of_them_back(store: Store) -> None:
    enqueue(store, "a", "b", "c")
    begun = threading.Barrier(4)

    def endless(work: Work) -> None:
        begun.wait(20)
        while True:
            work.progress(1, 2)
            time.sleep(0.01)

    with Worker(store, {"note": Pairs(endless)}, terms=QUICK, batch=3) as worker:
        working = threading.Thread(target=worker.run_one)
        working.start()
        begun.wait(20)
        worker.stop()
        working.join(20)

    assert [(job.state, job.failures) for job in store.queue.jobs()] == [("ready", 0)] * 3


def test_what_ends_all_of_them_is_a_failure_of_those_that_had_not_ended(store: Store) -> None:
    enqueue(store, "a", "b")

    class Broken(Pairs):
        def together(self, works: Sequence[Work], ended: Ended) -> None:
            with works[0].commit(done=True):
                pass
            ended(works[0], None)
            raise TimeoutError("too long")

    with Worker(store, {"note": Broken(note)}, terms=QUICK, batch=2) as worker:
        worker.run_one()

    assert [(job.state, job.failures) for job in store.queue.jobs()] == [("done", 0), ("ready", 1)]


def test_child_processes_do_every_job_once(store: Store, tmp_path: Path) -> None:
    keys = [f"job-{n}" for n in range(20)]
    enqueue(store, *keys)

    jobs = Local(tmp_path, handlers, ["s"], workers=2, terms=QUICK).run()

    assert {job.state for job in jobs} == {"done"}
    assert notes(tmp_path) == sorted(keys)
    assert list((tmp_path / "workers").iterdir()) == []


def test_a_job_that_kills_its_worker_is_dead_in_the_end_and_the_others_are_done(
    store: Store, tmp_path: Path
) -> None:
    enqueue(store, "p", kind="poison", priority=1)
    enqueue(store, "a")

    jobs = Local(tmp_path, handlers, ["s"], workers=1, terms=QUICK).run()

    assert [job.state for job in jobs] == ["dead", "done"]
    assert "exit code -9" in (jobs[0].error or "")


SCRIPT = """
import signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_jobs import QUICK, handlers
from moderation.jobs import Local
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    Local(Path({home!r}), handlers, ["s"], workers=1, terms=QUICK).run()
"""


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_after_a_killed_run_the_next_one_goes_on_at_once(
    store: Store, tmp_path: Path, blow: signal.Signals
) -> None:
    with store.writing() as tx:
        tx.submit("v", "t", "T", "p", {}, "x", None)
        tx.add_exploration("e", "v", 0, "m", "m", {})
    enqueue(store, "a", kind="slow")
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), home=str(tmp_path)))
    first = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: len(store.pieces("e", "slow")) > 3)

    if blow == signal.SIGKILL:
        first.kill()
    else:
        os.killpg(first.pid, signal.SIGINT)
    first.wait()
    wait_for(lambda: store.queue.jobs()[0].state == "ready" or orphaned(store, store.queue.jobs()[0]))
    before = len(store.pieces("e", "slow"))
    started = time.monotonic()
    (job,) = Local(tmp_path, handlers, ["s"], workers=1, terms=Terms(lease=600.0)).run()

    pieces = store.pieces("e", "slow")
    assert (job.state, job.failures, len(pieces)) == ("done", 0, 30)
    assert 0 < before < 30
    assert len({result for result, _ in pieces.values()}) == 2
    assert time.monotonic() - started < 300, (
        "it waited for the lease instead of seeing that the worker was gone"
    )
