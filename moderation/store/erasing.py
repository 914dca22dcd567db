"""Where a creator's content is in the tables, and its removal; the log of states stays.

:data:`KEPT` and :data:`ERASED` name every column of every table that can hold words or bytes: a new column
belongs into one of them, which a test makes sure of.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Text, cast, delete, select, update

from moderation.store import tables as t
from moderation.store.case_tables import cases
from moderation.store.live import live_reports
from moderation.store.webhooks import NOTIFY

KEPT: Mapping[str, str] = {
    "alembic_version": "*",
    "worlds": "id",
    "versions": "id world remix_of state exploration",
    "events": "version from_state to_state actor reason policy_hash key",
    "jobs": "kind subject key state queue worker trace",
    "workers": "*",
    "explorations": "id version model model_sha256 budget coverage play detectors",
    "detector_runs": "version exploration piece detector detector_version source uncovered",
    "decisions": "version exploration policy_hash verdict coverage",
    "erasures": "version kind actor",
    "policy_bundles": "*",
    "policy_events": "*",
    "backtests": "*",
    "shadow_decisions": "*",
    "privileged_reads": "*",
    "costs": "*",
    "charges": "*",
    "cases": "version reason status holder proposal outcome",
    "case_actions": "*",
    "rulings": "*",
    "statements": "*",
    "breakers": "*",
    "breaker_days": "*",
    "breaker_events": "*",
    "live_reports": "key version kind session exploration playthrough rules policy_hash",
    "play_sessions": "*",
    "feed_snapshots": "*",
    "impressions": "*",
    "interactions": "*",
}
"""The skeleton of the audit: names, hashes, numbers and states, what moderators wrote, the statements of
reasons, which quote nothing, and players' own records. An address made from a title is renamed."""
ERASED: Mapping[str, str] = {
    "worlds": "title creator",
    "versions": "creator prompt spec package thumbnail",
    "event_reasons": "*",
    "jobs": "payload progress error creator",
    "explorations": "chart",
    "playthroughs": "*",
    "frames": "*",
    "pieces": "*",
    "findings": "*",
    "detector_runs": "error",
    "decisions": "body evidence",
    "cases": "plea",
    "live_reports": "reasons picture",
    "accounts": "*",
    "creator_players": "*",
    "api_keys": "*",
    "sign_ins": "*",
    "uploads": "*",
    "requests": "*",
    "webhooks": "*",
    "deliveries": "*",
}
NOBODY = "(erased)"
"""Stands where a title or a creator's name was."""
AUDIT = "audit"
"""Phase whose pieces are counts for the whole store, and stay."""


def blobs_of(connection: Connection, version: str) -> set[str]:
    """Every blob that a version's rows name."""
    v, p = t.versions.c, t.pieces.c
    own = connection.execute(select(v.package, v.thumbnail).where(v.id == version)).one()
    pieces = select(p.blob).where(p.exploration.in_(_explorations(version)))
    shown = select(t.decisions.c.evidence).where(t.decisions.c.version == version)
    evidence = [one for row in connection.execute(shown).scalars() for one in row]
    pictures = select(live_reports.c.picture).where(live_reports.c.version == version)
    named = {
        *own,
        *connection.execute(pictures).scalars(),
        *connection.execute(pieces).scalars(),
        *(blob for one in evidence for blob in _shown(one)),
    }
    return {blob for blob in named if blob}


def explorations_of(connection: Connection, version: str) -> list[str]:
    """Names of a version's explorations."""
    return list(connection.execute(_explorations(version)).scalars())


def erase_media(connection: Connection, version: str) -> None:
    """What was submitted: package, picture, prompt and design."""
    blank: dict[str, Any] = {"prompt": "", "spec": {}, "package": "", "thumbnail": None}
    connection.execute(update(t.versions).where(t.versions.c.id == version).values(**blank))


def erase_recordings(connection: Connection, version: str) -> None:
    """What was played and seen: playthroughs, frames, clips, maps."""
    mine = _explorations(version)
    for table in (t.playthroughs, t.frames):
        connection.execute(delete(table).where(table.c.exploration.in_(mine)))
    connection.execute(delete(t.pieces).where(t.pieces.c.exploration.in_(mine), t.pieces.c.phase != AUDIT))
    connection.execute(update(t.explorations).where(t.explorations.c.version == version).values(chart=None))
    connection.execute(update(live_reports).where(live_reports.c.version == version).values(picture=None))
    for number, _, evidence in _decisions(connection, version):
        bare = [one | {"clip": None, "frames": [], "route": []} for one in evidence]
        connection.execute(update(t.decisions).where(t.decisions.c.id == number).values(evidence=bare))


def erase_findings(connection: Connection, version: str) -> None:
    """What was found and said of it: findings, transcripts, reasons, and all but the names in decisions."""
    mine = select(t.events.c.id).where(t.events.c.version == version)
    connection.execute(delete(t.event_reasons).where(t.event_reasons.c.event.in_(mine)))
    connection.execute(delete(t.findings).where(t.findings.c.version == version))
    connection.execute(update(t.detector_runs).where(t.detector_runs.c.version == version).values(error=None))
    connection.execute(update(t.jobs).where(t.jobs.c.subject == version).values(error=None, progress=None))
    connection.execute(update(live_reports).where(live_reports.c.version == version).values(reasons=[]))
    connection.execute(update(cases).where(cases.c.version == version).values(plea=None))
    told = cast(t.jobs.c.payload, Text).contains(version, autoescape=True)
    connection.execute(update(t.jobs).where(t.jobs.c.kind == NOTIFY, told).values(payload={}, error=None))
    for number, body, _ in _decisions(connection, version):
        values = {"body": skeleton(body), "evidence": []}
        connection.execute(update(t.decisions).where(t.decisions.c.id == number).values(**values))


def erase_owner(connection: Connection, version: str) -> None:
    """Whose it is, and what they were answered about it."""
    answers = cast(t.requests.c.answer, Text).contains(version, autoescape=True)
    connection.execute(delete(t.requests).where(answers))
    connection.execute(update(t.versions).where(t.versions.c.id == version).values(creator=NOBODY))
    connection.execute(update(t.jobs).where(t.jobs.c.subject == version).values(creator=NOBODY))


def take_uploads(connection: Connection, account: str) -> set[str]:
    """Remove what an account uploaded for submissions yet to come; returns the blobs."""
    mine = t.uploads.c.account == account
    blobs = set(connection.execute(select(t.uploads.c.blob).where(mine)).scalars())
    connection.execute(delete(t.uploads).where(mine))
    return blobs


def erase_account(connection: Connection, account: str) -> bool:
    """The account itself with its keys, sign-ins and webhooks; False where there is none."""
    hooks = list(connection.execute(select(t.webhooks.c.id).where(t.webhooks.c.account == account)).scalars())
    connection.execute(delete(t.jobs).where(t.jobs.c.subject.in_(hooks)))
    connection.execute(delete(t.deliveries).where(t.deliveries.c.webhook.in_(hooks)))
    for table in (t.requests, t.webhooks, t.sign_ins, t.api_keys, t.creator_players):
        connection.execute(delete(table).where(table.c.account == account))
    return bool(connection.execute(delete(t.accounts).where(t.accounts.c.id == account)).rowcount)


def erase_address(connection: Connection, world: str, versions: Sequence[str]) -> str:
    """Give versions an address that says nothing, and return it; the old one goes with its last version."""
    new = f"erased-{secrets.token_hex(6)}"
    created = connection.execute(select(t.worlds.c.created).where(t.worlds.c.id == world)).scalar_one()
    connection.execute(t.worlds.insert().values(id=new, title=NOBODY, creator=NOBODY, created=created))
    connection.execute(update(t.versions).where(t.versions.c.id.in_(versions)).values(world=new))
    if connection.execute(select(t.versions.c.id).where(t.versions.c.world == world)).first() is None:
        _rename_in_remixes(connection, world, new)
        connection.execute(delete(t.worlds).where(t.worlds.c.id == world))
    return new


def _rename_in_remixes(connection: Connection, world: str, new: str) -> None:
    v = t.versions.c
    for row in connection.execute(select(v.id, v.spec).where(v.remix_of == world)).all():
        spec = row.spec | {"remix_of": new} if "remix_of" in row.spec else row.spec
        connection.execute(update(t.versions).where(v.id == row.id).values(remix_of=new, spec=spec))


def log_erasure(connection: Connection, version: str, kind: str, actor: str, at: float) -> None:
    """Note that something was erased, for ever."""
    connection.execute(t.erasures.insert().values(version=version, kind=kind, actor=actor, at=at))


def erased(connection: Connection) -> set[tuple[str, str]]:
    """Version and kind of everything that was erased."""
    rows = connection.execute(select(t.erasures.c.version, t.erasures.c.kind))
    return {(row.version, row.kind) for row in rows}


def skeleton(body: Mapping[str, Any]) -> dict[str, Any]:
    """A decision without a word that could be the creator's: rules, outcomes, hashes and numbers."""
    quiet = {"explanation": "", "title": "", "guideline": "", "remedy": ""}
    trace = [{key: one.get(key) for key in ("rule", "outcome", "basis", "halted")} for one in body["trace"]]
    rating = body.get("rating")
    if rating is not None:
        rating = rating | {"grounds": [one | {"explanation": ""} for one in rating["grounds"]]}
    fired = [one | quiet for one in body["fired"]]
    return {**body, "fired": fired, "reasons": [], "trace": trace, "rating": rating}


def _explorations(version: str) -> Any:
    return select(t.explorations.c.id).where(t.explorations.c.version == version)


def _decisions(connection: Connection, version: str) -> Iterator[tuple[int, dict[str, Any], list[Any]]]:
    d = t.decisions.c
    rows = connection.execute(select(d.id, d.body, d.evidence).where(d.version == version)).all()
    yield from ((row.id, row.body, row.evidence) for row in rows)


def _shown(evidence: Mapping[str, Any]) -> Iterator[str | None]:
    yield evidence["clip"]
    yield from (blob for _, blob in evidence["frames"])
