"""Prometheus metrics, read at each scrape: from the store, the same whichever process is asked, and of the
GPUs of the machine that is asked (``firstplay worker --metrics-port`` answers for those of workers)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from moderation.observing.gpus import gpus
from moderation.store import Store
from moderation.store.figures import Figures, figures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class StoreCollector(Collector):
    """What the tables say."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        with self._store.reading() as connection:
            now = figures(connection)
        yield from _jobs(now)
        yield _counted("firstplay_worlds", "World versions by state.", "state", now.worlds, gauge=True)
        yield _counted("firstplay_decisions", "Decisions by verdict.", "verdict", now.decisions)
        found = CounterMetricFamily("firstplay_findings", "Findings by class.", labels=["detector", "label"])
        for (detector, label), count in now.findings.items():
            found.add_metric([detector, label], count)
        yield found
        yield from _costs(now)


class GpuCollector(Collector):
    """What the GPUs of this machine do; no family where there is none to ask."""

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        found = gpus()
        if not found:
            return
        named = ["gpu", "name"]
        busy = GaugeMetricFamily("firstplay_gpu_utilisation_ratio", "Share of time in use.", labels=named)
        used = GaugeMetricFamily("firstplay_gpu_memory_used_bytes", "Memory in use.", labels=named)
        memory = GaugeMetricFamily("firstplay_gpu_memory_bytes", "Memory in all.", labels=named)
        for gpu in found:
            labels = [str(gpu.index), gpu.name]
            busy.add_metric(labels, gpu.utilisation)
            used.add_metric(labels, gpu.memory_used)
            memory.add_metric(labels, gpu.memory)
        yield from (busy, used, memory)


def exposition(store: Store) -> bytes:
    """The metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(store))
    registry.register(GpuCollector())
    return generate_latest(registry)


def serve_gpus(port: int) -> None:
    """Answer scrapes at ``port`` with what this machine's GPUs do. Raises OSError where it is taken."""
    registry = CollectorRegistry()
    registry.register(GpuCollector())
    start_http_server(port, registry=registry)


def _jobs(now: Figures) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("firstplay_jobs", "Jobs by kind and state.", labels=["kind", "state"])
    age = GaugeMetricFamily(
        "firstplay_queue_age_seconds", "How long the oldest ready job has waited.", labels=["kind"]
    )
    latency = GaugeMetricFamily(
        "firstplay_stage_latency_seconds", "From asked for to done, mean over a day.", labels=["kind"]
    )
    for one in now.jobs:
        for state in ("ready", "running", "done", "dead"):
            jobs.add_metric([one.kind, state], one.states.get(state, 0))
        age.add_metric([one.kind], one.oldest)
        latency.add_metric([one.kind], one.latency)
    yield from (jobs, age, latency)


def _counted(name: str, help_: str, label: str, counts: Mapping[str, int], gauge: bool = False) -> Metric:
    family = (GaugeMetricFamily if gauge else CounterMetricFamily)(name, help_, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _costs(now: Figures) -> Iterator[Metric]:
    seconds = CounterMetricFamily(
        "firstplay_work_seconds", "Worked on, by kind of work and detector.", labels=["work", "detector"]
    )
    items = CounterMetricFamily("firstplay_items", "Looked at, by detector.", labels=["work", "detector"])
    for one in now.costs:
        seconds.add_metric([one.work, one.part], one.seconds)
        if one.part:
            items.add_metric([one.work, one.part], one.items)
    yield from (seconds, items)
