"""Seconds and memory of scanning ten minutes of play, with every detector loaded, by the pipeline itself.

    python benchmarks/scan_speed.py [EXAMPLE ...] [--frames 9000] [--workers 2] [--json FILE]

Bots play the example worlds in the world model until there are so many recorded frames with sound, in a
store of its own. Then worker processes, each with all detectors in memory, do the jobs ``scan`` of these
worlds as in a review: they draw every frame and mix every sound again, and show them to the detectors. Each
world is one job, so that there should be at least as many worlds as workers. What every detector would take
on every frame and every second of sound is estimated from its own time per item in the same run.

Memory is sampled over all processes of the benchmark, its own included. Pages that processes share, such as
libraries and weights that are mapped from files, are counted once (proportional set size, Linux only).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from bots.exploration import Budget
from moderation import pipeline, scan
from moderation.detectors.base import Detection, Detector, Motion, Sound
from moderation.jobs import Handler, Hopeless, Local, Work, Worker
from moderation.store import Job, Store, open_store
from worldmodel.constants import FPS
from worldmodel.package import load_package

EXAMPLES = Path(__file__).parent.parent / "examples"
WORLDS = ("lantern-caves", "back-room", "far-voice", "top-garden")
EPISODE = 200
"""Steps, as in a review."""
SEARCH = 1_000
"""Steps of the search arm: it records what it finds, on top of the frames that are asked for."""
MEASURED = "measured"
"""Folder of the store's home for what each worker counted."""
BARS = {"seconds": 90.0, "peak_gib": 3.0, "times_less": 8.0}
MIB = 2**20


@dataclass
class Taken:
    """What one detector took in one process."""

    wall: float = 0.0
    """Seconds."""
    processor: float = 0.0
    """Seconds of all threads."""
    items: float = 0.0
    """Pictures or texts; frames of motion; seconds of sound."""

    def add(self, wall: float, processor: float, items: float) -> None:
        self.wall += wall
        self.processor += processor
        self.items += items


class Watched(Detector[Any]):
    """Another detector, and what it took."""

    def __init__(self, inner: Detector[Any], spent: dict[str, Taken]) -> None:
        super().__init__()
        self.card = inner.card
        self._inner = inner
        self._taken = spent.setdefault(inner.card.name, Taken())

    @property
    def uncovered(self) -> tuple[str, ...]:
        return self._inner.uncovered

    @property
    def loaded(self) -> bool:
        return self._inner.loaded

    def ensure_loaded(self) -> None:
        self._inner.ensure_loaded()

    def unload(self) -> bool:
        return self._inner.unload()

    def idle_seconds(self) -> float:
        return self._inner.idle_seconds()

    def load(self) -> None:
        self._inner.ensure_loaded()

    def predict(self, batch: Sequence[Any]) -> list[list[Detection]]:
        return self._inner(batch)

    def __call__(self, batch: Sequence[Any]) -> list[list[Detection]]:
        wall, processor = time.perf_counter(), time.process_time()
        found = self._inner(batch)
        self._taken.add(time.perf_counter() - wall, time.process_time() - processor, sum(map(_amount, batch)))
        return found


def _amount(item: object) -> float:
    """Of one item, in the units of :class:`Taken`."""
    if isinstance(item, Motion):
        return len(item.frames)
    return len(item.samples) / item.rate if isinstance(item, Sound) else 1.0


# -- in the worker processes --------------------------------------------------------------------------


@dataclass
class Measured:
    """What one worker process took, for all scans that it did."""

    begun: float
    """Seconds since the epoch, of its first scan."""
    ended: float = 0.0
    processor: float = 0.0
    """Seconds in scans."""
    peak_rss: int = 0
    """Bytes, over its whole life."""
    detectors: dict[str, Taken] = field(default_factory=dict)


def handlers(store: Store) -> Mapping[str, Handler]:
    """As the pipeline's, but everything is loaded before the first scan, is timed, and nothing is decided."""
    import torch

    torch.set_num_threads(1)
    measured = Measured(begun=0.0)
    plain = scan.load_detectors(pipeline.policy_bundle())
    uploads = [one.card.name for one in plain.uploads]
    detectors = scan.Detectors.of((Watched(one, measured.detectors) for one in plain), uploads)
    detectors.load()
    pipeline.world_model("neural")
    show = pipeline.Stages(store, detectors).show
    return {"scan": partial(_measure, show, measured), "decide": _leave}


def _measure(show: Handler, measured: Measured, work: Work) -> None:
    measured.begun = measured.begun or time.time()
    before = time.process_time()
    show(work)
    measured.processor += time.process_time() - before
    measured.ended = time.time()
    measured.peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    path = work.store.home / MEASURED / f"{os.getpid()}.json"
    path.write_text(json.dumps(asdict(measured)), encoding="utf-8")


def _leave(_: Work) -> None:
    raise Hopeless("only scans are measured")


def play(home: Path, name: str, frames: int) -> str:
    """Submit an example and let bots record so many frames of it; the version's id.

    In a process of its own, so that its memory is not counted.
    """
    import torch

    torch.set_num_threads(1)
    store, package = open_store(home), load_package(EXAMPLES / name)
    episodes = -(-frames // (EPISODE + 1))
    budget = Budget(search_steps=SEARCH, sample_episodes=episodes, episode_steps=EPISODE)
    card = pipeline.world_model("neural").card
    request = pipeline.Request(0, "neural", card.sha256, asdict(budget), "measured")
    version = pipeline.submit(store, package, request, pipeline.policy_bundle().sha256)
    with Worker(store, pipeline.handlers(store), [version]) as worker:
        while not _waits_for_scan(store.queue.jobs(version)):
            worker.run_one()
    store.close()
    return version


def _waits_for_scan(jobs: Sequence[Job]) -> bool:
    """Raises RuntimeError where it never will."""
    if stopped := [job for job in jobs if job.state == "dead"]:
        raise RuntimeError(f"{stopped[0].kind}: {stopped[0].error}")
    return any(job.kind == "scan" and job.state == "ready" for job in jobs)


# -- memory -------------------------------------------------------------------------------------------


@dataclass
class Memory:
    """The most that was held at once, in bytes."""

    together: int = 0
    """By all processes, shared pages once."""
    rss: int = 0
    """By all processes, shared pages once for each."""

    def sample(self, pids: Iterable[int]) -> None:
        told = [_rollup(pid) for pid in pids]
        self.together = max(self.together, sum(one.get("Pss", 0) for one in told))
        self.rss = max(self.rss, sum(one.get("Rss", 0) for one in told))


def _rollup(pid: int) -> dict[str, int]:
    """Bytes by kind, of a process; nothing where it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return {}
    rows = (line.split() for line in text.splitlines()[1:])
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}


# -- the whole ----------------------------------------------------------------------------------------


def measure(home: Path, names: Sequence[str], frames: int, workers: int) -> dict[str, Any]:
    """Record and scan; figures as the JSON has them."""
    with get_context("spawn").Pool(1) as pool:
        versions = [pool.apply(play, (home, name, frames // len(names))) for name in names]
    store = open_store(home)
    rows = [store.exploration(store.version(version).exploration or "") for version in versions]
    recorded = sum(len(one.playthrough.actions) + 1 for row in rows for one in store.playthroughs(row.id))
    (home / MEASURED).mkdir()
    load, memory = os.getloadavg()[0], Memory()

    def watch(_: list[Job]) -> None:
        memory.sample([os.getpid(), *(child.pid for child in active_children() if child.pid)])

    jobs = Local(home, handlers, versions, workers).run(watch)
    if failed := [job for job in jobs if job.kind == "scan" and job.state == "dead"]:
        raise SystemExit(f"a scan failed: {failed[0].error}")
    told = [json.loads(path.read_text("utf-8")) for path in sorted((home / MEASURED).iterdir())]
    seen = sum(len(store.frames(row.id)) for row in rows)
    return {"worlds": list(names), "frames": recorded, "distinct": seen, "workers": workers} | _figures(
        told, memory, recorded, load
    )


def _figures(told: Sequence[dict[str, Any]], memory: Memory, frames: int, load: float) -> dict[str, Any]:
    spent: dict[str, Taken] = defaultdict(Taken)
    for one in told:
        for name, own in one["detectors"].items():
            spent[name].add(**own)
    whole = _on_everything(spent, frames)
    taken = sum(one.processor for one in spent.values())
    return {
        "seconds": max(one["ended"] for one in told) - min(one["begun"] for one in told),
        "processor_seconds": sum(one["processor"] for one in told),
        "load_before": load,
        "peak_gib": memory.together / 2**30,
        "peak_rss_gib": memory.rss / 2**30,
        "worker_peak_mib": [one["peak_rss"] / MIB for one in told],
        "detectors": {name: asdict(one) for name, one in spent.items()},
        "everything_processor_seconds": whole,
        "times_less": sum(whole.values()) / taken,
    }


def _on_everything(spent: Mapping[str, Taken], frames: int) -> dict[str, float]:
    """Processor seconds of each detector of play, were it shown every frame or all sound.

    Detectors of words count as they were used: how many texts more frames would give is not known.
    """
    everywhere = {}
    detectors = scan.load_detectors(pipeline.policy_bundle())
    pictures = {one.card.name for one in scan.every(detectors)}
    for name, one in spent.items():
        amount = one.items
        if name in pictures:
            amount = frames
        elif name == detectors.speech.card.name:
            amount = frames / FPS
        everywhere[name] = one.processor * amount / one.items if one.items else 0.0
    return everywhere


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("examples", nargs="*", default=list(WORLDS))
    parser.add_argument("--frames", type=int, default=9000, help="of all examples together")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as home:
        told = measure(Path(home), given.examples, given.frames, given.workers)
    _print(told)
    if given.json:
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _print(told: Mapping[str, Any]) -> None:
    title = f"{told['frames']:,} frames of {len(told['worlds'])} worlds, {told['distinct']:,} distinct"
    table = Table(title=title)
    for heading in ("detector", "processor s", "wall s", "items", "on everything, processor s"):
        table.add_column(heading, justify="left" if heading == "detector" else "right")
    whole = told["everything_processor_seconds"]
    for name, one in sorted(told["detectors"].items(), key=lambda pair: -pair[1]["processor"]):
        cells = (f"{one['processor']:.1f}", f"{one['wall']:.1f}", f"{one['items']:,.0f}")
        table.add_row(name, *cells, f"{whole[name]:.1f}")
    console = Console()
    console.print(table)
    console.print(
        f"scanned in {told['seconds']:.1f} s by {told['workers']} processes (bar {BARS['seconds']:.0f}), "
        f"{told['processor_seconds']:.1f} processor seconds, load before {told['load_before']:.1f}"
    )
    workers = " and ".join(f"{one:,.0f}" for one in told["worker_peak_mib"])
    console.print(
        f"peak memory of all processes {told['peak_gib']:.2f} GiB with shared pages once (bar "
        f"{BARS['peak_gib']:.0f}), {told['peak_rss_gib']:.2f} GiB as resident; workers {workers} MiB resident"
    )
    less = f"{told['times_less']:.1f} times less"
    console.print(f"detectors take {less} than on everything (bar {BARS['times_less']:.0f})")


if __name__ == "__main__":
    main()
