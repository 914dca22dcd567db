"""What it saves to show stored play to new detectors, rather than to explore and scan again.

    python benchmarks/rescan.py examples/lantern-caves --budget small --model simulator --json rescan.json

Worlds are reviewed; then the policy names another phrase for the detector of drawings, which makes it another
detector, and the same worlds are rescanned. Seconds are those that workers worked on each stage; ``again`` is
what a second review from the start takes: intake, explore, scan and decide as measured the first time.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from moderation import pipeline
from moderation.jobs import Local
from moderation.rescan import Step, plan, queue
from moderation.review import Asked, review
from moderation.store import Job, open_store
from worldmodel.package import load_package

NEWER = """
extends: default
bundle: newer-phrases
version: "1"
status: draft
detectors:
  zero-shot:
    labels: [gore]
    phrases:
      gore: {show: [a skull, bones], against: [ketchup, a red heart]}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("worlds", type=Path, nargs="+")
    parser.add_argument("--budget", default="small", choices=["small", "default", "large"])
    parser.add_argument("--model", default="neural", choices=["neural", "simulator"])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FIRSTPLAY_HOME"] = folder
        packages = [(str(path), load_package(path)) for path in given.worlds]
        review(Path(folder), packages, Asked(0, given.model, given.budget, workers=1))
        rows = rescan(Path(folder))
    print(f"{'world':20} {'explore':>8} {'scan':>8} {'again':>8} {'rescan':>8} {'saved':>6}")
    for row in rows:
        print(
            f"{row['world']:20} {row['explore']:8.1f} {row['scan']:8.1f} {row['again']:8.1f} "
            f"{row['rescan']:8.1f} {row['saved']:6.0%}"
        )
    if given.json:
        told = {"budget": given.budget, "model": given.model, "load": os.getloadavg()[0], "worlds": rows}
        given.json.write_text(json.dumps(told, indent=2))


def rescan(home: Path) -> list[dict[str, Any]]:
    """Seconds of each world, the first time and with the newer detectors."""
    store = open_store(home)
    first = {job.id for job in store.queue.jobs()}
    policy = home / "newer.yaml"
    policy.write_text(NEWER)
    os.environ[pipeline.POLICY_VARIABLE] = str(policy)
    planned = plan(store)
    assert {one.step for one in planned} == {Step.RESCAN}, planned
    jobs = Local(home, pipeline.handlers, queue(store, planned), workers=1).run()
    assert all(job.state == "done" for job in jobs), [job.error for job in jobs if job.error]
    return [_row(one.version.world, jobs, one.version.id, first) for one in planned]


def _row(world: str, jobs: list[Job], version: str, first: set[int]) -> dict[str, Any]:
    mine = [job for job in jobs if job.subject == version]
    before = {job.kind: job.seconds for job in mine if job.id in first}
    again, after = sum(before.values()), sum(job.seconds for job in mine if job.id not in first)
    return {"world": world, **before, "again": again, "rescan": after, "saved": 1 - after / again}


if __name__ == "__main__":
    main()
