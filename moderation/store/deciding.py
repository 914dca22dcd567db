"""Evidence of many worlds at once, and what else a policy asks of them: for deciding without any model."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Text, and_, case, cast, func, select

from moderation.states import WorldState
from moderation.store import tables as t
from moderation.store.erasing import NOBODY
from moderation.store.figures import DAY
from moderation.store.reads import MEDIA
from moderation.store.transaction import LOCAL
from policies.types import Context, Coverage, DetectorRun, Finding, Source

CHUNK = 50
"""Decisions whose evidence is read at once."""
_SOURCES = {str(source): source for source in Source}
_REJECTED = (
    WorldState.REJECTED,
    WorldState.TAKEN_DOWN,
    WorldState.APPEALED,
    WorldState.UPHELD,
    WorldState.QUARANTINED,
)
"""In which a rejection or take-down stands."""


@dataclass
class Decided:
    """One version that was decided, with what the newest decision rests on."""

    version: str
    exploration: str
    """Empty where the media alone decided."""
    context: Context
    coverage: Coverage
    findings: list[Finding] = field(default_factory=list)
    """Without their boxes, which no rule reads."""
    runs: list[DetectorRun] = field(default_factory=list)
    """Distinct ones."""


def newest_decisions(connection: Connection, versions: Sequence[str] | None = None) -> list[int]:
    """Numbers of the newest decision on every version, or on each of these."""
    d = t.decisions.c
    query = select(func.max(d.id)).group_by(d.version)
    if versions is not None:
        query = query.where(d.version.in_(versions))
    return sorted(connection.execute(query).scalars())


def load_decided(connection: Connection, decisions: Sequence[int]) -> list[Decided]:
    """The evidence of some decisions, in a few queries however many they are."""
    query = (
        select(t.decisions.c.version, t.decisions.c.exploration, t.decisions.c.coverage)
        .where(t.decisions.c.id.in_(decisions))
        .order_by(t.decisions.c.id)
    )
    rows = connection.execute(query).all()
    known = contexts(connection, [row.version for row in rows])
    worlds = [
        Decided(row.version, row.exploration, known[row.version], Coverage(**row.coverage)) for row in rows
    ]
    findings, runs, again = _rows(connection, worlds)
    for one in worlds:
        key = (one.version, one.exploration)
        looks = {key} if key in again else {(one.version, ""), key}
        for look in looks:
            one.findings += findings.get(look, ())
            one.runs += runs.get(look, ())
    return worlds


def contexts(connection: Connection, versions: Sequence[str]) -> dict[str, Context]:
    """What a policy may ask of versions besides what was found, with its creator's record.

    Counted is what the same creator sent in before: what stands rejected or taken down now, and what came in
    the 24 hours before. Whoever does not sign in is nobody, with no record, and so is an erased creator.
    """
    v, other = t.versions.c, t.versions.alias()
    before = and_(other.c.creator == v.creator, other.c.id != v.id, other.c.created <= v.created)
    rejected = select(func.count(other.c.id)).where(before, other.c.state.in_(_REJECTED))
    today = select(func.count(other.c.id)).where(before, other.c.created > v.created - DAY)
    nobody = v.creator.in_([LOCAL, NOBODY])
    counts = (case((nobody, 0), else_=one.scalar_subquery()) for one in (rejected, today))
    query = select(v.id, v.remix_of.is_not(None), *counts).where(v.id.in_(versions))
    return {
        version: Context(remix=bool(remix), prior_rejections=refused, submissions_today=sent)
        for version, remix, refused, sent in connection.execute(query)
    }


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
