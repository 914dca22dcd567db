"""Rows to records, and records to rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import Row

from bots.recording import Playthrough
from bots.trace import Trace
from moderation.states import WorldState
from moderation.store.records import (
    Event,
    Evidence,
    ExplorationRow,
    Job,
    StoredDecision,
    StoredPlaythrough,
    Version,
)
from policies.types import (
    Bound,
    Coverage,
    Decision,
    DetectorRun,
    Finding,
    Fired,
    Ground,
    Rating,
    Source,
    Verdict,
)

EVENTS = 9
"""Kinds of events in a step."""
ERASED_REASON = "(erased)"
"""Stands for the words of an event that are no longer kept."""


def version_of(row: Row[Any]) -> Version:
    """From ``versions`` joined with its world."""
    return Version(
        row.id,
        row.world,
        row.creator,
        row.title,
        row.prompt,
        row.package,
        row.remix_of,
        WorldState(row.state),
        row.revision,
        row.exploration,
        row.thumbnail,
        row.created,
        row.updated,
    )


def event_of(row: Row[Any]) -> Event:
    """From ``events`` joined with the ``text`` of its reason, null once that is erased."""
    reason = ERASED_REASON if row.text is None else row.text
    return Event(row.from_state, row.to_state, row.actor, reason, row.policy_hash, row.revision, row.at)


def exploration_of(row: Row[Any]) -> ExplorationRow:
    """From ``explorations``."""
    coverage = None if row.coverage is None else Coverage(**row.coverage)
    return ExplorationRow(
        row.id,
        row.version,
        row.seed,
        row.model,
        row.model_sha256,
        row.budget,
        coverage,
        row.chart,
        row.scanned,
        row.play,
        row.detectors,
    )


def playthrough_row(exploration: str, ordinal: int, play: Playthrough) -> dict[str, Any]:
    """Columns of ``playthroughs``."""
    return {
        "exploration": exploration,
        "ordinal": ordinal,
        "id": play.id,
        "world_key": play.world,
        "model_sha256": play.model,
        "arm": play.arm,
        "player": play.player,
        "seed": play.seed,
        "spawn": play.spawn,
        "actions": play.actions.astype(np.uint8).tobytes(),
        "events": play.events.astype(np.bool_).tobytes(),
        "clips": play.clips.astype("<i2").tobytes(),
        "frames_sha256": play.frames_sha256,
        "sound_sha256": play.sound_sha256,
        "trace": play.trace.to_bytes() if play.trace is not None else None,
    }


def playthrough_of(row: Row[Any]) -> StoredPlaythrough:
    """From ``playthroughs``."""
    play = Playthrough(
        world=row.world_key,
        model=row.model_sha256,
        arm=row.arm,
        player=row.player,
        seed=row.seed,
        spawn=row.spawn,
        actions=np.frombuffer(row.actions, np.uint8),
        events=np.frombuffer(row.events, np.bool_).reshape(-1, EVENTS),
        clips=np.frombuffer(row.clips, "<i2").astype(np.int16),
        frames_sha256=row.frames_sha256,
        sound_sha256=row.sound_sha256,
        trace=Trace.from_bytes(row.trace) if row.trace is not None else None,
    )
    shown = None if row.shown is None else np.frombuffer(row.shown, "<i4").astype(np.int32)
    return StoredPlaythrough(row.exploration, row.ordinal, play, shown)


def finding_row(version: str, exploration: str, finding: Finding) -> dict[str, Any]:
    """Columns of ``findings``."""
    row = asdict(finding) | {"detector_version": finding.version}
    return row | {"version": version, "exploration": exploration}


def finding_of(row: Row[Any]) -> Finding:
    """From ``findings``."""
    return Finding(
        row.id,
        row.detector,
        row.detector_version,
        row.label,
        row.score,
        Source(row.source),
        row.start,
        row.end,
        row.playthrough,
        row.media,
        None if row.box is None else (row.box[0], row.box[1], row.box[2], row.box[3]),
        row.text,
    )


def decision_of(body: Mapping[str, Any]) -> Decision:
    """From the body that ``decisions`` keeps."""
    fired = tuple(_fired(one) for one in body["fired"])
    return Decision(
        Verdict(body["verdict"]),
        body["policy"],
        body["policy_hash"],
        fired,
        tuple(body["reasons"]),
        tuple(Bound(**one) for one in body["bounds"]),
        tuple(body["trace"]),
        rating=_rating(body.get("rating")),
        approvals=body.get("approvals", 1),
        escalate=body.get("escalate", False),
        sampled=body.get("sampled", False),
    )


def _fired(body: Mapping[str, Any]) -> Fired:
    lists = {name: tuple(body.get(name, ())) for name in ("findings", "dsa_keywords")}
    return Fired(**{**body, "action": Verdict(body["action"]), **lists})


def run_of(row: Row[Any]) -> DetectorRun:
    """From ``detector_runs``."""
    source, uncovered = Source(row.source), tuple(row.uncovered)
    return DetectorRun(row.detector, row.detector_version, source, row.items, row.ok, row.error, uncovered)


def _rating(body: Mapping[str, Any] | None) -> Rating | None:
    if body is None:
        return None
    grounds = tuple(Ground(**{**one, "findings": tuple(one["findings"])}) for one in body["grounds"])
    return Rating(**{**body, "descriptors": tuple(body["descriptors"]), "grounds": grounds})


def stored_decision_of(row: Row[Any]) -> StoredDecision:
    """From ``decisions``."""
    return StoredDecision(
        row.version,
        row.exploration or None,
        decision_of(row.body),
        Coverage(**row.coverage),
        tuple(evidence_of(one) for one in row.evidence),
        row.at,
    )


def evidence_of(data: Mapping[str, Any]) -> Evidence:
    """From the JSON of ``decisions`` and of sightings."""
    frames = tuple((at, blob) for at, blob in data["frames"])
    return Evidence(**{**data, "frames": frames, "route": tuple((x, y) for x, y in data["route"])})


def job_of(row: Row[Any]) -> Job:
    """From ``jobs``."""
    return Job(
        row.id,
        row.kind,
        row.subject,
        row.payload,
        row.state,
        row.failures,
        row.token,
        row.worker,
        row.progress,
        row.seconds,
        row.error,
        row.queue,
        row.creator,
        row.priority,
        row.not_before,
        row.created,
        row.finished,
        row.trace,
    )
