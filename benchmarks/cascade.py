"""What the cascade of detectors costs and misses, beside every detector on every frame.

    python benchmarks/cascade.py [EXAMPLE ...] [--frames 9000] [--json FILE] [--write]

Human-like players play the example worlds until there are so many frames with sound. The cascade scans all of
it, timed. Then frames drawn at random go through every detector, and playthroughs drawn at random through
speech recognition from end to end: what that takes, times all frames, is the baseline; what it finds that the
cascade does not say is the loss. ``--write`` keeps the counts as ``moderation/scan/audited.json``, from which
the bound takes what a review's own audit is too small to know.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bots.exploration import Budget
from bots.recorder import regenerate_many
from bots.recording import EVIDENCE_BATCH, Recording
from bots.sample import sample_batch
from moderation import scan
from moderation.detectors.base import Detection, Detector, Picture, Sound
from moderation.store import DistinctFrame
from policies.bundle import load_bundle
from policies.types import Finding, Source
from worldmodel.compiled import CompiledWorld
from worldmodel.compiler import compile_world
from worldmodel.constants import FPS, SAMPLE_RATE
from worldmodel.models import load_model
from worldmodel.package import load_package
from worldmodel.protocol import WorldModel

EXAMPLES = Path(__file__).parent.parent / "examples"
WRITTEN = Path(scan.__file__).parent / "audited.json"
TITLES = {
    "cascade_seconds": "the cascade",
    "everything_seconds": "everything on every frame (estimated)",
}
EPISODE = 200
"""Steps, as in a review."""


@dataclass
class Clock:
    """Seconds by what they were spent on."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - begun

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def record(model: WorldModel, world: CompiledWorld, frames: int, seed: int) -> list[Recording]:
    """Episodes of the frozen player until there are enough frames."""
    budget = Budget(search_steps=1, sample_episodes=1, episode_steps=EPISODE)
    plays: list[Recording] = []
    while sum(len(one.frames) for one in plays) < frames:
        numbers = range(len(plays), len(plays) + EVIDENCE_BATCH)
        episodes = sample_batch(model, world, budget, seed=seed, numbers=numbers)
        plays += list(regenerate_many(model, world, [one.playthrough for one in episodes]))
    return plays


@dataclass
class Scanned:
    """What the cascade says of one world's recordings."""

    findings: list[Finding]
    looks: int
    clock: Clock


def cascade(world: CompiledWorld, plays: Sequence[Recording], detectors: scan.Detectors) -> Scanned:
    """As a review scans, without its store."""
    clock = Clock()
    scanner = scan.PlayScanner(world, detectors)
    looked = []
    for number, one in enumerate(plays):
        play = one.playthrough
        with clock("flashing, sound and speech"):
            seen = scanner.look(play.id, number, one.frames, one.sound, play.clips, play.events, one.views)
        looked.append((play, seen))
    fresh = [new for _, seen in looked for new in seen.new_frames]
    rows, pixels = [new.row for new in fresh], [new.pixels for new in fresh]
    chosen = scan.choose_frames(rows, scan.CHEAP_LOOKS)
    with clock("cheap detectors"):
        cheap = _see(pixels, chosen, scan.cheap(detectors))
        _again(plays, rows, cheap, detectors)
    with clock("moderate detectors"):
        moderate = _see(pixels, chosen, scan.moderate(detectors))
    asked = scan.asked_for(rows, cheap, {n: play.events for n, (play, _) in enumerate(looked)})
    with clock("costly detectors"):
        costly = _see(pixels, scan.choose_frames(rows, first=asked), scan.costly(detectors))
    with clock("conclusions"):
        shown = [
            scan.Shown(play.id, seen.shown, tuple(scan.situations_of(world, play.clips, play.events)))
            for play, seen in looked
        ]
        groups = [scan.Looked.of(rows, seen) for seen in (cheap, moderate, costly)]
        report = scan.conclude(shown, groups, scanner.heard, detectors)
    measured = [one for _, seen in looked for one in seen.findings]
    return Scanned(report.findings + measured, len(costly), clock)


def _again(
    plays: Sequence[Recording],
    rows: Sequence[DistinctFrame],
    seen: dict[int, scan.Seen],
    detectors: scan.Detectors,
) -> None:
    """Let what lasts in no playthrough count less. A review draws these frames again; here they are there."""
    for ordinal, some in scan.doubtful(rows, seen).items():
        for one in some:
            before = seen[one.ordinal]
            seen[one.ordinal] = scan.again(one.step, plays[ordinal].frames, before, scan.cheap(detectors))


def _see(
    pixels: Sequence[np.ndarray], chosen: Sequence[int], detectors: Sequence[Detector[Picture]]
) -> dict[int, scan.Seen]:
    seen, _ = scan.see([pixels[ordinal] for ordinal in chosen], detectors)
    return dict(zip(chosen, seen, strict=True))


@dataclass
class Everything:
    """Every detector on moments drawn at random."""

    moments: list[scan.Moment]
    heard: dict[str, list[Detection]]
    listened: float
    """Seconds of sound."""
    clock: Clock


def everything(
    plays: Sequence[Recording], detectors: scan.Detectors, moments: int, listened: int
) -> Everything:
    """Look at random frames and listen to random playthroughs."""
    rng, clock = np.random.default_rng(0), Clock()
    places = [(n, step) for n, one in enumerate(plays) for step in range(len(one.frames))]
    places = [places[i] for i in np.sort(rng.choice(len(places), moments, replace=False))]
    pictures = [Picture(plays[n].frames[step]) for n, step in places]
    seen: list[scan.Seen] = [{} for _ in pictures]
    for detector in scan.every(detectors):
        with clock(detector.card.name):
            found, run = scan.look(detector, pictures, Source.PLAYTHROUGH)
        assert run.ok, run.error
        for one, detections in zip(seen, found, strict=True):
            one[detector.card.name] = detections
    told = [
        scan.Moment(plays[n].playthrough.id, step, one) for (n, step), one in zip(places, seen, strict=True)
    ]
    chosen = [plays[n] for n in rng.choice(len(plays), min(listened, len(plays)), replace=False)]
    sounds = [Sound(one.sound, SAMPLE_RATE) for one in chosen]
    with clock(detectors.speech.card.name):
        found, run = scan.look(detectors.speech, sounds, Source.PLAYTHROUGH)
    assert run.ok, run.error
    heard = {one.playthrough.id: said for one, said in zip(chosen, found, strict=True)}
    return Everything(told, heard, sum(len(s.samples) / s.rate for s in sounds), clock)


def by_label(
    moments: Sequence[scan.Moment], findings: Sequence[Finding], detectors: scan.Detectors
) -> dict[str, scan.Tally]:
    """What of each label of the detectors of pictures was found in moments and told by the cascade."""
    said: dict[str, list[Finding]] = defaultdict(list)
    for one in findings:
        said[one.playthrough or ""].append(one)
    tallies: dict[str, scan.Tally] = defaultdict(scan.Tally)
    for moment in moments:
        for name, label, _, kept in scan.pictures(moment, said[moment.playthrough], detectors):
            tallies[f"{name} {label}"] += scan.Tally(1, int(kept))
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "examples", nargs="*", default=["lantern-caves", "back-room", "far-voice", "top-garden"]
    )
    parser.add_argument("--frames", type=int, default=9000, help="of all examples together")
    parser.add_argument(
        "--moments", type=int, default=240, help="frames drawn for the audit, of all examples"
    )
    parser.add_argument("--listened", type=int, default=24, help="playthroughs drawn, of all examples")
    parser.add_argument("--seed", type=int, default=7, help="of the players")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the audit's counts in the package")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model, detectors, share = load_model("neural"), scan.load_detectors(load_bundle()), len(given.examples)
    detectors.load()
    spent, base, tallies, labels = Clock(), Clock(), {}, {}
    frames = looks = 0
    for name in given.examples:
        world = compile_world(load_package(EXAMPLES / name))
        plays = record(model, world, given.frames // share, given.seed)
        scanned = cascade(world, plays, detectors)
        drawn = everything(plays, detectors, given.moments // share, given.listened // share)
        own = sum(len(one.frames) for one in plays)
        frames, looks = frames + own, looks + scanned.looks
        for what, seconds in scanned.clock.seconds.items():
            spent.seconds[what] += seconds
        for what, seconds in drawn.clock.seconds.items():
            speech = what == detectors.speech.card.name
            base.seconds[what] += seconds * (
                own / FPS / drawn.listened if speech else own / len(drawn.moments)
            )
        for kind, tally in scan.audit(drawn.moments, drawn.heard, scanned.findings, detectors).items():
            tallies[kind] = tallies.get(kind, scan.Tally()) + tally
        for label, tally in by_label(drawn.moments, scanned.findings, detectors).items():
            labels[label] = labels.get(label, scan.Tally()) + tally
    told = {
        "frames": frames,
        "looks": looks,
        "cascade_seconds": dict(spent.seconds),
        "everything_seconds": dict(base.seconds),
        "times_less": base.total / spent.total,
        "tallies": scan.tallies_json(tallies),
        "labels": scan.tallies_json(labels),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    _print(told)
    if given.json:
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    if given.write:
        source = f"python benchmarks/cascade.py {' '.join(given.examples)} --frames {given.frames} --write"
        kept = {"source": source, "frames": frames, "tallies": told["tallies"]}
        WRITTEN.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _print(told: dict[str, Any]) -> None:
    looked = f"{told['looks']} looked at by costly detectors"
    table = Table(title=f"{told['frames']:,} frames, {looked}; one thread")
    for heading in ("", "seconds"):
        table.add_column(heading, justify="right")
    for name, title in TITLES.items():
        for what, seconds in told[name].items():
            table.add_row(what, f"{seconds:.1f}")
        total = f"{sum(told[name].values()):.1f}"
        table.add_row(title, total, style="bold", end_section=True)
    console = Console()
    console.print(table)
    for kind, (found, kept) in told["tallies"].items():
        lost = f"{1 - kept / found:.1%} lost" if found else "nothing to find"
        console.print(f"{kind}: {found} found in the audit, {kept} told by the cascade: {lost}")
    for label, (found, kept) in sorted(told["labels"].items()):
        console.print(f"  {label}: {kept} of {found}")
    console.print(
        f"{told['times_less']:.1f} times less than everything; peak memory {told['peak_mib']:,.0f} MiB"
    )


if __name__ == "__main__":
    main()
