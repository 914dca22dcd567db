"""How long reviews take with one worker process and with two, stage by stage.

    python -m benchmarks.pipeline [--worlds examples/*] [--budget default] [--workers 1 2] [--json FILE]

Each number of workers reviews the same worlds in an empty store of its own, one after the other in the same
run. ``all`` is the time from the first job to the last, over that with the first number of workers; a stage's
seconds are those worked on it, all worlds together, so that they show what gets slower when two are at work.
``idle`` is the share of the workers' time in which they had nothing to do: start-up, and the last worlds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, as in the Makefile

from moderation.pipeline import STAGES
from moderation.review import Asked, review
from worldmodel.package import WorldPackage, load_package

BAR = 0.6
"""Most of the time with one worker that two may take."""


@dataclass(frozen=True)
class Timed:
    """One number of workers."""

    workers: int
    seconds: float
    share: float
    """Of the seconds with the first number of workers."""
    stages: dict[str, float]
    """Seconds worked on each."""
    idle: float
    states: dict[str, str]
    """By world: the same however many work."""


def measure(
    packages: Sequence[tuple[str, WorldPackage]], budget: str, workers: int, first: float | None
) -> Timed:
    with tempfile.TemporaryDirectory(prefix="pipeline-") as folder:
        began = time.monotonic()
        outcomes = review(Path(folder), packages, Asked(budget=budget, workers=workers))
        seconds = time.monotonic() - began
    failed = [f"{one.world}: {one.error}" for one in outcomes if one.error]
    if failed:
        sys.exit("\n".join(failed))
    stages = {stage: sum(one.seconds[stage] for one in outcomes) for stage in STAGES}
    return Timed(
        workers=workers,
        seconds=seconds,
        share=seconds / (first or seconds),
        stages=stages,
        idle=1 - sum(stages.values()) / (workers * seconds),
        states={one.world: str(one.state) for one in outcomes},
    )


def table(timed: Sequence[Timed]) -> str:
    lines = [f"{'workers':>7} {'all, s':>8} {'share':>6} {'idle':>6} " + " ".join(f"{s:>9}" for s in STAGES)]
    for one in timed:
        stages = " ".join(f"{one.stages[stage]:9.1f}" for stage in STAGES)
        lines.append(f"{one.workers:7} {one.seconds:8.1f} {one.share:6.2f} {one.idle:6.0%} {stages}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    examples = sorted(path.parent for path in Path("examples").glob("*/world.yaml"))
    parser.add_argument("--worlds", nargs="+", type=Path, default=examples)
    parser.add_argument("--budget", default="default", choices=("small", "default", "large"))
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    packages = [(str(path), load_package(path)) for path in asked.worlds]
    timed: list[Timed] = []
    for workers in asked.workers:
        timed.append(measure(packages, asked.budget, workers, timed[0].seconds if timed else None))
        print(table(timed[-1:]), flush=True)
    print()
    print(table(timed))
    same = all(one.states == timed[0].states for one in timed)
    quick = all(one.share <= BAR for one in timed if one.workers >= 2 * timed[0].workers)
    told = {
        "worlds": len(packages),
        "budget": asked.budget,
        "bar": BAR,
        "same decisions": same,
        "runs": [asdict(one) for one in timed],
    }
    if asked.json is not None:
        asked.json.write_text(json.dumps(told, indent=2) + "\n")
    print(f"bar {BAR}: {'met' if quick else 'not met'}; decisions {'agree' if same else 'DIFFER'}")
    sys.exit(0 if quick and same else 1)


if __name__ == "__main__":
    main()
