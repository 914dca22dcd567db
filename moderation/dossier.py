"""From the store to the HTML report: gathers what :mod:`moderation.report` shows of each world."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bots import storage
from moderation.likeness import Signature, nearest
from moderation.report import (
    Alike,
    ClipShot,
    DetectorRow,
    FrameShot,
    Mark,
    ReviewReport,
    Route,
    StageTime,
    WorldMap,
    WorldReport,
    write_report,
)
from moderation.review import Outcome
from moderation.store import Evidence, ExplorationRow, Store, Version, open_store
from policies.types import DetectorRun, Finding

OTHERS = 100
"""Findings that are listed besides those that fired a rule."""
LIKE = 3
"""Worlds that are named as most like one."""
Signed: TypeAlias = Mapping[str, tuple[Version, Signature]]
"""By id, each version that was scanned and what it looks like."""
FLAGGED = 0.5
"""Share of the strongest score from which a finding's span is marked on a clip."""


def write(home: Path, outcomes: Sequence[Outcome], command: str = "") -> Path:
    """Write the report of a review under ``home`` and return its first page."""
    folder = home / "report"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store = open_store(home)
    signed = signatures(store)
    worlds = [_world(store, folder, one, signed) for one in outcomes if one.decided is not None]
    report = ReviewReport(worlds=worlds, created=datetime.now(UTC), version=_version(), command=command)
    page = write_report(report, folder)
    store.close()
    return page


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("firstplay")
    except PackageNotFoundError:
        return "not installed"


def _world(store: Store, folder: Path, outcome: Outcome, signed: Signed) -> WorldReport:
    decided = outcome.decided
    assert decided is not None
    row = store.version(outcome.version)
    explored = store.exploration(outcome.exploration)
    findings = store.findings(row.id, decided.exploration)
    chart = explored.chart or {"curves": {"search": [], "sample": []}}
    return WorldReport(
        title=row.title,
        sha256=row.id,
        decision=decided.decision,
        coverage=decided.coverage,
        state=str(outcome.state),
        findings=_listed(findings, outcome),
        clips=_clips(store, folder, outcome, findings),
        frames=_frames(store, folder, outcome),
        map=map_of(store, explored, decided.evidence),
        search_curve=[(steps, cells) for steps, cells in chart["curves"]["search"]],
        sample_curve=[(steps, cells) for steps, cells in chart["curves"]["sample"]],
        player=_player(store, explored.id),
        detectors=_detectors(store.detector_runs(row.id, decided.exploration), findings),
        stages=[StageTime(stage, seconds) for stage, seconds in outcome.seconds.items()],
        prompt=row.prompt,
        understood=_atlas(store, explored.id)[0].get("notes", {}),
        remix_of=row.remix_of,
        model=f"{explored.model} {explored.model_sha256[:12]}",
        seed=explored.seed,
        path=outcome.path,
        alike=alike(row, signed),
    )


def signatures(store: Store) -> Signed:
    """Of every world version that was scanned."""
    blobs = store.signatures()
    return {
        one.id: (one, Signature.from_bytes(store.blobs.read(blobs[one.id])))
        for one in store.versions()
        if one.id in blobs
    }


def alike(version: Version, signed: Signed) -> list[Alike]:
    """The worlds that a version resembles most, other versions of it left aside."""
    if version.id not in signed:
        return []
    others = {name: own for name, (one, own) in signed.items() if one.world != version.world}
    near = nearest(signed[version.id][1], others, LIKE)
    found = [(signed[one.world][0], one.likeness) for one in near]
    return [Alike(other.title, likeness, str(other.state)) for other, likeness in found]


def _player(store: Store, exploration: str) -> str:
    """Who played the sample arm."""
    players = {p.playthrough.player for p in store.playthroughs(exploration) if p.playthrough.arm == "sample"}
    return ", ".join(sorted(players)) or "one fixed player"


def _listed(findings: Sequence[Finding], outcome: Outcome) -> list[Finding]:
    """Those that fired a rule, then the strongest others, of each text and label only once."""
    assert outcome.decided is not None
    fired = {name for one in outcome.decided.decision.fired for name in one.findings}
    others: dict[tuple[str, str, str | None], Finding] = {}
    for one in findings:
        if one.id not in fired:
            others.setdefault((one.detector, one.label, one.text), one)
    return [one for one in findings if one.id in fired] + list(others.values())[:OTHERS]


def _copy(store: Store, folder: Path, blob: str, suffix: str) -> str:
    name = f"media/{blob[:24]}{suffix}"
    target = folder / name
    target.parent.mkdir(exist_ok=True)
    if not target.exists():
        target.write_bytes(store.blobs.read(blob))
    return name


def _clips(store: Store, folder: Path, outcome: Outcome, findings: Sequence[Finding]) -> list[ClipShot]:
    assert outcome.decided is not None
    by_id = {one.id: one for one in findings}
    shots = []
    for one in outcome.decided.evidence:
        if one.clip is None or one.playthrough is None:
            continue
        play = store.find_playthrough(one.playthrough).playthrough
        shots.append(
            ClipShot(
                file=_copy(store, folder, one.clip, ".mp4"),
                playthrough=play.id,
                rules=(one.rule,),
                flagged=_flagged(one, by_id, findings),
                offset=one.start,
                seconds=one.end - one.start,
                player=play.player,
                arm=play.arm,
                replay=f"firstplay replay {play.id}",
                reproduced=one.reproduced,
            )
        )
    return shots


def _flagged(
    one: Evidence, by_id: dict[str, Finding], findings: Sequence[Finding]
) -> tuple[tuple[float, float], ...]:
    """Spans, on the clip's clock, in which what fired the rule shows."""
    best = by_id.get(one.finding)
    if best is None:
        return ()
    alike = [
        f
        for f in findings
        if (f.playthrough, f.detector, f.label) == (best.playthrough, best.detector, best.label)
        and f.score >= FLAGGED * best.score
        and f.start < one.end
        and f.end > one.start
    ]
    spans = {(max(0.0, f.start - one.start), min(one.end, f.end) - one.start) for f in alike}
    return tuple(sorted(spans))


def _frames(store: Store, folder: Path, outcome: Outcome) -> list[FrameShot]:
    assert outcome.decided is not None
    shots = [
        FrameShot(_copy(store, folder, blob, ".png"), at, one.playthrough or "", flagged=True)
        for one in outcome.decided.evidence
        for at, blob in one.frames
    ]
    thumbnail = store.version(outcome.version).thumbnail
    if not shots and thumbnail is not None:
        shots.append(FrameShot(_copy(store, folder, thumbnail, ".png")))
    return list({shot.file: shot for shot in shots}.values())


def map_of(store: Store, explored: ExplorationRow, evidence: Sequence[Evidence]) -> WorldMap | None:
    """The world's map with where bots were and the ways of the evidence; None where none was drawn."""
    atlas, picture = _atlas(store, explored.id)
    if picture is None or explored.chart is None:
        return None
    visits = sum(np.array(grid, np.int64) for grid in explored.chart["visited"].values())
    routes = tuple(
        Route(np.array(one.route, np.float32), one.playthrough)
        for one in evidence
        if one.playthrough is not None and one.route
    )
    marks = tuple(Mark(x, y, text) for x, y, text in atlas["marks"])
    ground = np.array(atlas["open"], bool)
    return WorldMap(picture=picture, visits=np.asarray(visits), routes=routes, marks=marks, open=ground)


def _atlas(store: Store, exploration: str) -> tuple[dict[str, Any], NDArray[np.uint8] | None]:
    """What the scan kept of the compiled world: notes and marks, and its picture."""
    for result, blob in store.pieces(exploration, "atlas").values():
        return result, storage.from_bytes(store.blobs.read(blob or ""))["frames"][0]
    return {}, None


def _detectors(runs: Sequence[DetectorRun], findings: Sequence[Finding]) -> list[DetectorRow]:
    """One row per detector and source; failed where any of its runs failed."""
    rows: dict[tuple[str, str], list[DetectorRun]] = {}
    for run in runs:
        rows.setdefault((run.detector, str(run.source)), []).append(run)
    return [
        DetectorRow(
            name=name,
            version=group[0].version,
            source=source,
            items=sum(run.items for run in group),
            findings=sum(1 for f in findings if (f.detector, str(f.source)) == (name, source)),
            ok=all(run.ok for run in group),
            error=next((run.error for run in group if run.error), None),
        )
        for (name, source), group in rows.items()
    ]
