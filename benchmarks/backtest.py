"""How long a backtest takes: every world of a large store decided again from its findings by two bundles.

    python benchmarks/backtest.py --worlds 10000 --findings 200 --json backtest.json

Worlds and findings are drawn by a fixed seed and written through the store's own tables, each world with a
decision, coverage and a run of every detector on media and play. The new bundle extends the built-in one
with a lower threshold and without one rule. The bar is 60 s for 10,000 worlds of 200 findings on two cores;
``--database`` takes a PostgreSQL URL.

``whole`` makes two whole decisions of some of the worlds in this process, with reasons, bounds and trace, and
must find the same differences as ``backtest``, of which one process does the same worlds beside it: what it
spares. Processor time leaves out what other processes took.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from moderation.policy_changes.backtest import Backtest, Redecider, backtest
from moderation.policy_changes.bundles import keep, restore
from moderation.policy_changes.redecide import Turn, redecide, turn
from moderation.store import Store, open_store, tables
from moderation.store.bundles import StoredBundle, find_bundle
from moderation.store.deciding import load_decided, newest_decisions
from policies import Bundle, Source, Verdict, load_bundle
from policies.cases import sufficient_coverage

BAR = 60.0
"""Seconds."""
BATCH = 250
"""Worlds written in one transaction."""
CREATORS = 500
"""Whose records the policy's quotas ask for."""
SOME = 500
"""Worlds that are decided both ways."""
NEW = """
extends: default
bundle: other
version: "1"
status: draft
disable: [links]
change:
  slurs:
    thresholds: {sure: 0.30}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worlds", type=int, default=10_000)
    parser.add_argument("--findings", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--database", help="URL of an empty database; a SQLite file if left out")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder), given.database)
        old, new = bundles(store, Path(folder))
        started = time.monotonic()
        fill(store, load_bundle(), given.worlds, given.findings)
        filled = time.monotonic() - started
        before = os.times()
        started = time.monotonic()
        found = backtest(store, new, old, given.processes)
        seconds = time.monotonic() - started
        used = sum(os.times()[:4]) - sum(before[:4])
        lean, whole = beside(store, new, old)
    told = _told(given, store, found, filled, seconds, used)
    told |= {"lean_ms_a_world": round(lean, 2), "whole_ms_a_world": round(whole, 2)}
    for name, value in told.items():
        print(f"{name:20} {value}")
    if given.json:
        given.json.write_text(json.dumps(told, indent=2))


def _told(
    given: argparse.Namespace, store: Store, found: Backtest, filled: float, seconds: float, used: float
) -> dict[str, Any]:
    return {
        "database": store.database.kind,
        "worlds": found.worlds,
        "findings": found.worlds * given.findings,
        "processes": given.processes,
        "filled_seconds": round(filled, 1),
        "seconds": round(seconds, 1),
        "processor_seconds": round(used, 1),
        "bar_seconds": BAR,
        "load_average": os.getloadavg()[0],
        "newly": {str(verdict): len(found.newly(verdict)) for verdict in Verdict},
        "turned": len(found.turns),
    }


def beside(store: Store, new: StoredBundle, old: StoredBundle) -> tuple[float, float]:
    """Processor milliseconds a world, by the backtest and by whole decisions, of the first worlds.

    Raises AssertionError where the two differ.
    """
    with store.reading() as connection:
        some = newest_decisions(connection)[:SOME]
    lean, whole = Redecider(store, new.sha256, old.sha256), [restore(one) for one in (old, new)]

    def wholly() -> list[Turn]:
        with store.reading() as connection:
            worlds = load_decided(connection, some)
        turns = (turn(world, *(redecide(bundle, world) for bundle in whole)) for world in worlds)
        return [one for one in turns if one is not None]

    assert lean.turns(some) == wholly()
    ways = [functools.partial(lean.turns, some), wholly]
    return tuple(_processor_seconds(way) * 1000 / len(some) for way in ways)  # type: ignore[return-value]


def _processor_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def bundles(store: Store, folder: Path) -> tuple[StoredBundle, StoredBundle]:
    """The built-in bundle, and another one."""
    default = load_bundle()
    path = folder / "other.yaml"
    path.write_text(NEW)
    other = load_bundle(path)
    with store.writing() as tx:
        keep(tx, default, None)
        keep(tx, other, path)
    with store.reading() as connection:
        return find_bundle(connection, default.sha256), find_bundle(connection, other.sha256)


def fill(store: Store, bundle: Bundle, worlds: int, findings: int) -> None:
    """Worlds with evidence and a decision each."""
    rng = random.Random(0)  # noqa: S311 - worlds, no secrets
    labels = [(name, label) for name, entry in bundle.header.detectors.items() for label in entry.labels]
    for first in range(0, worlds, BATCH):
        numbers = range(first, min(first + BATCH, worlds))
        with store.writing() as tx:
            insert = tx.connection.execute
            insert(tables.worlds.insert(), [_world(n) for n in numbers])
            insert(tables.versions.insert(), [_version(n) for n in numbers])
            insert(
                tables.findings.insert(), [f for n in numbers for f in _findings(n, rng, labels, findings)]
            )
            insert(tables.detector_runs.insert(), [r for n in numbers for r in _runs(n, bundle)])
            insert(tables.decisions.insert(), [_decision(n, bundle) for n in numbers])


def _world(number: int) -> dict[str, Any]:
    return {"id": f"world-{number}", "title": f"World {number}", "created": 0.0}


def _version(number: int) -> dict[str, Any]:
    return {
        "id": f"{number:064x}", "world": f"world-{number}", "creator": f"creator-{number % CREATORS}",
        "prompt": "", "spec": {}, "package": "", "state": "rejected", "revision": 5,
        "exploration": f"e{number}", "created": 0.0, "updated": 0.0, "remix_of": None,
    }  # fmt: skip


def _findings(
    number: int, rng: random.Random, labels: list[tuple[str, str]], count: int
) -> Iterator[dict[str, Any]]:
    quiet = 0.35 if number % 4 else 1.0
    for i in range(count):
        detector, label = rng.choice(labels)
        media = i % 10 == 0
        start = rng.random() * 20
        yield {
            "version": f"{number:064x}", "exploration": "" if media else f"e{number}", "id": f"{i:016x}",
            "detector": detector, "detector_version": "999", "label": label, "score": rng.random() * quiet,
            "source": str(Source.MEDIA if media else Source.PLAYTHROUGH), "start": start, "end": start + 0.1,
            "playthrough": None if media else f"p{rng.randrange(60)}", "media": "prompt" if media else None,
            "box": [1, 2, 30, 40], "text": None,
        }  # fmt: skip


def _runs(number: int, bundle: Bundle) -> Iterator[dict[str, Any]]:
    for name in bundle.header.detectors:
        for source, exploration in ((Source.MEDIA, ""), (Source.PLAYTHROUGH, f"e{number}")):
            for piece in range(1 if source is Source.MEDIA else 5):
                yield {
                    "version": f"{number:064x}", "exploration": exploration, "piece": f"look {piece}",
                    "detector": name, "detector_version": "999", "source": str(source), "items": 10,
                    "ok": True, "error": None, "uncovered": [],
                }  # fmt: skip


def _decision(number: int, bundle: Bundle) -> dict[str, Any]:
    coverage = replace(sufficient_coverage(bundle), stop_reason="nothing new was found")
    return {
        "version": f"{number:064x}", "exploration": f"e{number}", "policy_hash": bundle.sha256,
        "verdict": "rejected", "body": {}, "coverage": asdict(coverage), "evidence": [], "at": 0.0,
    }  # fmt: skip


if __name__ == "__main__":
    main()
