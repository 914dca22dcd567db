"""How an installation is seen: figures that are true, logs that name their world, one trace for one wish."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typer.testing import CliRunner

from feedapi.cli import build_app
from moderation.accounts import create_account, create_key
from moderation.jobs import Handler, Local, Work, Worker
from moderation.observing import logs, traces
from moderation.observing.doctor import examine
from moderation.observing.gpus import Gpu, gpus
from moderation.observing.metrics import exposition
from moderation.store import DATABASE_VARIABLE, Store, open_store
from moderation.store.figures import Cost, add_cost, costs_of, figures, hours, queues
from policies.types import Finding, Source
from tests.feed_home import add_world, running


@pytest.fixture
def store(each_database: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def spans() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def busy(store: Store) -> str:
    """One rejected world with a finding, a ready job and a dead one; returns the version."""
    version = add_world(store, "Busy Meadow", "rejected")
    finding = Finding("f1", "ocr", "1", "slur", 0.9, Source.PLAYTHROUGH)
    with store.writing() as tx:
        tx.add_findings(version, "e", [finding])
        tx.enqueue("scan", version, "one")
        tx.enqueue("explore", version, "two")
        add_cost(tx.connection, version, Cost("scan", "ocr", 10, 0.5))
        add_cost(tx.connection, version, Cost("scan", "ocr", 30, 1.5))
    job = store.queue.claim("w", 5.0)
    assert job is not None
    store.queue.fail(job, "no such thing", 0.0, limit=0)
    return version


def test_figures_count_what_there_is(store: Store) -> None:
    version = busy(store)

    with store.reading() as connection:
        now = figures(connection, time.time() + 60)
        costs = costs_of(connection, version)

    states = {one.kind: dict(one.states) for one in now.jobs}
    assert states == {"scan": {"dead": 1}, "explore": {"ready": 1}}
    assert 59 <= next(one.oldest for one in now.jobs if one.kind == "explore") <= 62
    assert now.worlds == {"rejected": 1}
    assert now.decisions == {"rejected": 1}
    assert now.findings == {("ocr", "slur"): 1}
    assert costs == [Cost("scan", "ocr", 40, 2.0)]


def test_metrics_are_in_prometheus_format(store: Store) -> None:
    busy(store)

    lines = exposition(store).decode().splitlines()

    assert 'firstplay_jobs{kind="scan",state="dead"} 1.0' in lines
    assert 'firstplay_findings_total{detector="ocr",label="slur"} 1.0' in lines
    assert 'firstplay_work_seconds_total{detector="ocr",work="scan"} 2.0' in lines
    assert any(line.startswith('firstplay_queue_age_seconds{kind="explore"}') for line in lines)


class Nvml(ModuleType):
    """As ``pynvml`` answers on a machine with two GPUs, of which the second is divided and says nothing."""

    class NVMLError(Exception): ...

    def __init__(self, driver: bool = True) -> None:
        super().__init__("pynvml")
        self.driver, self.open = driver, 0

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.driver:
            raise self.NVMLError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> bytes:  # noqa: N802
        return f"GPU number {handle}".encode()

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:  # noqa: N802
        if handle:
            raise self.NVMLError("Not Supported")
        return SimpleNamespace(gpu=37, memory=5)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        del handle
        return SimpleNamespace(used=3 * 1024**3, total=80 * 1024**3)


def test_the_metrics_say_what_gpus_do_where_there_are_any(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)

    lines = exposition(store).decode().splitlines()

    assert gpus() == [Gpu(0, "GPU number 0", 0.37, 3 * 1024**3, 80 * 1024**3)]
    assert 'firstplay_gpu_utilisation_ratio{gpu="0",name="GPU number 0"} 0.37' in lines
    assert not any('gpu="1"' in line for line in lines)
    assert nvml.open == 0, "the library is let go of"


@pytest.mark.parametrize("nvml", [None, Nvml(driver=False)], ids=["no library", "no driver"])
def test_the_metrics_say_nothing_of_gpus_that_nobody_can_ask(
    store: Store, monkeypatch: pytest.MonkeyPatch, nvml: Nvml | None
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)

    assert gpus() == []
    assert b"gpu" not in exposition(store)


def test_a_worker_that_has_no_such_device_says_so(tmp_path: Path) -> None:
    told = CliRunner().invoke(build_app(), ["worker", "--device", "cuda:99", "--home", str(tmp_path)])

    assert told.exit_code == 2
    assert "the device 'cuda:99' cannot be used" in told.output


def test_only_an_operator_reads_the_metrics(tmp_path: Path) -> None:
    with running(tmp_path / "home") as here:
        create_account(here.services.store, "olga", ["operator"])
        create_account(here.services.store, "anna", ["creator"])
        answers = {
            name: httpx.get(
                f"{here.url}/metrics",
                headers={"Authorization": f"Bearer {create_key(here.services.store, name)}"},
            )
            for name in ("olga", "anna")
        }

    assert answers["olga"].headers["content-type"].startswith("text/plain")
    assert "firstplay_worlds" in answers["olga"].text
    assert answers["anna"].status_code == 403


def test_a_job_belongs_to_the_trace_of_whoever_asked_for_it(
    store: Store, spans: InMemorySpanExporter
) -> None:
    spans.clear()
    with traces.span("submission"), store.writing() as tx:
        tx.enqueue("note", "v1", "one")

    def note(work: object) -> None:
        with traces.span("work", parent=work.job.trace):  # type: ignore[attr-defined]
            pass
        with work.commit(done=True):  # type: ignore[attr-defined]
            pass

    with Worker(store, {"note": note}) as worker:
        worker.run_one()

    asked, done = spans.get_finished_spans()
    assert asked.context.trace_id == done.context.trace_id
    assert done.parent is not None
    assert done.parent.span_id == asked.context.span_id


def traced(_: Store) -> dict[str, Handler]:
    def note(work: Work) -> None:
        with traces.span("work in a process", parent=work.job.trace):
            logs.logger("stage").warning("seen", stage="note")
        with work.commit(done=True):
            pass

    return {"note": note}


class Collected(BaseHTTPRequestHandler):
    """What an OpenTelemetry collector gets."""

    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_worker_processes_send_their_spans_and_log_to_stderr(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Collected) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        monkeypatch.setenv(traces.ENDPOINT, f"http://127.0.0.1:{collector.server_port}")
        with store.writing() as tx:
            tx.enqueue("note", "s", "one")
        Local(tmp_path, traced, ["s"], workers=1).run()
        collector.shutdown()

    assert any(b"work in a process" in body and b"firstplay-worker" in body for body in Collected.bodies)
    said = capfd.readouterr()
    assert said.out == ""
    assert json.loads(said.err.splitlines()[-1])["event"] == "seen"


def test_a_request_goes_on_the_callers_trace(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    spans.clear()
    with running(tmp_path / "home") as here:
        parent = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
        httpx.get(f"{here.url}/healthz", headers=parent)

    found = [one for one in spans.get_finished_spans() if one.name == "GET /healthz"]
    assert [f"{one.context.trace_id:032x}" for one in found] == ["ab" * 16]


def test_every_line_of_a_log_says_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers, root.level
    try:
        logs.set_up()
        with logs.about(world="v1", job=7):
            logs.logger("test").info("begun", stage="scan")
            logging.getLogger("library").warning("slow %s", "disk")
        logs.logger("test").info("after")
    finally:
        root.handlers, root.level = before

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(one["event"], one.get("world"), one.get("job")) for one in lines] == [
        ("begun", "v1", 7),
        ("slow disk", "v1", 7),
        ("after", None, None),
    ]
    assert lines[0]["stage"] == "scan"


def test_the_doctor_names_what_is_broken_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTPLAY_BLOBS", "ftp://nowhere")
    monkeypatch.setenv("FIRSTPLAY_BROKER", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("FIRSTPLAY_MODELS_DIR", str(tmp_path / "no-models"))

    found = {one.name: one for one in examine(tmp_path)}

    assert {name for name, one in found.items() if one.state == "broken"} >= {"blobs", "broker"}
    assert "ftp://nowhere" in found["blobs"].detail
    assert found["database"].state == "ok"
    assert all(one.remedy for one in found.values() if one.state == "broken")


def test_the_doctor_says_so_where_the_database_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, "mysql://somewhere/db")

    first = next(iter(examine(tmp_path)))

    assert (first.name, first.state) == ("database", "broken")
    assert "postgresql://" in first.detail


def test_status_says_how_many_worlds_and_jobs_there_are(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    busy(store)
    store.close()
    run = CliRunner()

    told = run.invoke(build_app(), ["status", "--home", str(tmp_path)])
    machine = run.invoke(build_app(), ["status", "--home", str(tmp_path), "--json"])

    assert "1 rejected" in told.stdout
    assert json.loads(machine.stdout)["worlds"] == {"rejected": 1}


def test_queues_and_hours_count_what_waits_and_what_was_done(store: Store) -> None:
    busy(store)
    at = time.time()
    with store.writing() as tx:
        tx.enqueue("decide", "x", "three")
    job = store.queue.claim("w", 5.0)
    assert job is not None
    with store.queue.committing(job, done=True):
        pass

    with store.reading() as connection:
        waiting = queues(connection, at + 60)
        done = hours(connection, time.time() + 1)
        yesterday = hours(connection, time.time() + 90_000)

    assert [(one.ready, one.running) for one in waiting] == [(1, 0)]
    assert 58 <= waiting[0].oldest <= 62
    assert {kind: list(counts) for kind, counts in done.jobs.items()} == {job.kind: [0] * 23 + [1]}
    assert {verdict: sum(counts) for verdict, counts in done.decisions.items()} == {"rejected": 1}
    assert (yesterday.jobs, yesterday.decisions) == ({}, {})
