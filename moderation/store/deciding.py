"""Evidence of many worlds at once, for deciding them again without any model."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Text, cast, func, select

from moderation.store import tables as t
from moderation.store.reads import MEDIA
from policies.types import Coverage, DetectorRun, Finding, Source

_SOURCES = {str(source): source for source in Source}


@dataclass
class Decided:
    """One version that was decided, with what the newest decision rests on."""

    version: str
    exploration: str
    """Empty where the media alone decided."""
    remix: bool
    coverage: Coverage
    findings: list[Finding] = field(default_factory=list)
    """Without their boxes, which no rule reads."""
    runs: list[DetectorRun] = field(default_factory=list)
    """Distinct ones."""


def decided_versions(connection: Connection) -> list[int]:
    """The newest decision of every version, by number."""
    newest = select(func.max(t.decisions.c.id)).group_by(t.decisions.c.version)
    return sorted(connection.execute(newest).scalars())


def load_decided(connection: Connection, decisions: Sequence[int]) -> list[Decided]:
    """The evidence of some decisions, in a few queries however many they are."""
    query = (
        select(
            t.decisions.c.version, t.decisions.c.exploration, t.decisions.c.coverage, t.versions.c.remix_of
        )
        .join(t.versions)
        .where(t.decisions.c.id.in_(decisions))
        .order_by(t.decisions.c.id)
    )
    worlds = [
        Decided(row.version, row.exploration, row.remix_of is not None, Coverage(**row.coverage))
        for row in connection.execute(query)
    ]
    findings, runs, again = _rows(connection, worlds)
    for one in worlds:
        key = (one.version, one.exploration)
        looks = {key} if key in again else {(one.version, ""), key}
        for look in looks:
            one.findings += findings.get(look, ())
            one.runs += runs.get(look, ())
    return worlds


_Look = tuple[str, str]


def _rows(
    connection: Connection, worlds: Sequence[Decided]
) -> tuple[dict[_Look, list[Finding]], dict[_Look, list[DetectorRun]], set[_Look]]:
    """Findings and runs by version and exploration, and which explorations looked at the media again."""
    versions = [one.version for one in worlds]
    looks = {(one.version, one.exploration) for one in worlds} | {(version, "") for version in versions}
    return (
        _findings(connection, versions, looks),
        _runs(connection, versions, looks),
        _again(connection, versions) & looks,
    )


def _findings(
    connection: Connection, versions: Sequence[str], looks: set[_Look]
) -> dict[_Look, list[Finding]]:
    f = t.findings.c
    columns = (
        f.version, f.exploration, f.id, f.detector, f.detector_version, f.label, f.score, f.source, f.start,
        f.end, f.playthrough, f.media, f.text,
    )  # fmt: skip
    found: defaultdict[_Look, list[Finding]] = defaultdict(list)
    for row in connection.execute(select(*columns).where(f.version.in_(versions))).all():
        version, exploration, id_, detector, own, label, score, source, start, end, play, media, text = row
        if (version, exploration) in looks:
            found[version, exploration].append(
                Finding(
                    id_, detector, own, label, score, _SOURCES[source], start, end, play, media, None, text
                )
            )
    return found


def _runs(
    connection: Connection, versions: Sequence[str], looks: set[_Look]
) -> dict[_Look, list[DetectorRun]]:
    r = t.detector_runs.c
    uncovered = cast(r.uncovered, Text).label("told")  # JSON itself cannot be compared
    columns = (r.version, r.exploration, r.detector, r.detector_version, r.source, r.ok, r.error, uncovered)
    found: defaultdict[_Look, list[DetectorRun]] = defaultdict(list)
    for row in connection.execute(select(*columns).where(r.version.in_(versions)).distinct()).all():
        if (row.version, row.exploration) in looks:
            found[row.version, row.exploration].append(_run(row))
    return found


def _run(row: Any) -> DetectorRun:
    labels = () if row.told == "[]" else tuple(json.loads(row.told))
    source = _SOURCES[row.source]
    return DetectorRun(row.detector, row.detector_version, source, 0, row.ok, row.error, labels)


def _again(connection: Connection, versions: Sequence[str]) -> set[_Look]:
    r = t.detector_runs.c
    query = select(r.version, r.exploration).where(
        r.version.in_(versions), r.piece == MEDIA, r.exploration != ""
    )
    return {(row.version, row.exploration) for row in connection.execute(query)}
