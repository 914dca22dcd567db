"""``firstplay worker``, ``sweep`` and ``jobs``, as an operator meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from feedapi.cli import build_app
from moderation.broker import BROKER_VARIABLE
from moderation.store import Store, open_store


@pytest.fixture
def store() -> Store:
    """With a dead job, one that waits, and a lease that has run out."""
    opened = open_store(Path(os.environ["FIRSTPLAY_HOME"]))
    with opened.writing() as tx:
        for key, queue in (("dead", "gpu"), ("lost", "cpu"), ("waiting", "cpu")):
            tx.enqueue("scan", key, key, queue=queue, creator="ann")
    dead = opened.queue.claim("w", 5.0, ["dead"])
    assert dead is not None
    opened.queue.fail(dead, "ValueError: no such thing\nTraceback", 0.0, limit=1)
    assert opened.queue.claim("w", 0.01, ["lost"]) is not None
    time.sleep(0.05)
    return opened


def firstplay(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), arguments, env={"COLUMNS": "160"})


def test_jobs_are_listed_by_state_queue_and_age(store: Store) -> None:
    shown = firstplay("jobs", "--state", "dead")
    assert "ValueError: no such thing" in shown.stdout
    assert "cpu: 2 open, 0 workers" in shown.stdout

    def subjects(*options: str) -> list[str]:
        return [job["subject"] for job in json.loads(firstplay("jobs", "--json", *options).stdout)["jobs"]]

    assert subjects("--queue", "gpu") == ["dead"]
    assert subjects("--state", "ready") == ["waiting"]
    assert subjects("--older", "3600") == []


def test_a_job_is_shown_with_its_error(store: Store) -> None:
    number = str(store.queue.jobs("dead")[0].id)

    assert "Traceback" in firstplay("jobs", "show", number).stdout
    assert json.loads(firstplay("jobs", "show", number, "--json").stdout)["creator"] == "ann"
    missing = firstplay("jobs", "show", "999")
    assert (missing.exit_code, "no job 999" in missing.stderr) == (2, True)


def test_dead_jobs_are_requeued_one_by_one_or_all(store: Store) -> None:
    waiting = firstplay("jobs", "requeue", str(store.queue.jobs("waiting")[0].id))
    assert (waiting.exit_code, "only dead ones" in waiting.stderr) == (2, True)
    assert firstplay("jobs", "requeue").exit_code == 2

    assert firstplay("jobs", "requeue", "--dead").stdout == "1 requeued\n"
    (job,) = store.queue.jobs("dead")
    assert (job.state, job.failures) == ("ready", 0)


def test_a_sweep_says_what_it_set_going(store: Store) -> None:
    assert json.loads(firstplay("sweep", "--json").stdout)["expired"] == 1
    assert store.queue.jobs("lost")[0].state == "ready"
    assert "0 leases had run out" in firstplay("sweep").stdout


def test_a_worker_is_refused_what_it_cannot_work_with(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = firstplay("worker", "--queues", "tpu")
    assert (unknown.exit_code, "there are urgent, io, cpu, gpu" in unknown.stderr) == (2, True)

    monkeypatch.setenv(BROKER_VARIABLE, "filesystem://")
    losing = firstplay("worker")
    assert (losing.exit_code, "Use redis://" in losing.stderr) == (2, True)


def test_a_worker_works_until_it_is_told_to_stop(tmp_path: Path) -> None:
    store = open_store(Path(os.environ["FIRSTPLAY_HOME"]))
    command = [sys.executable, "-c", "from feedapi.cli import main; main()", "worker", "--queues", "io"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as worker:
        deadline = time.monotonic() + 100
        while list(store.queue.workers().values()) != [("io",)]:
            assert worker.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        worker.send_signal(signal.SIGTERM)
        said = worker.communicate(timeout=60)[1]

    assert worker.returncode == 0, said
    assert store.queue.workers() == {}
