"""Moments that people who review played to and filed: their SQL.

Each is a piece of the exploration that holds people's playthroughs of its version, so that it is kept, moved,
erased and collected like everything that was recorded there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from moderation.store import tables as t
from moderation.store.records import Evidence
from moderation.store.rows import evidence_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bots.recording import Playthrough
    from moderation.store.transaction import Transaction

PHASE = "sighting"


@dataclass(frozen=True)
class Sighting:
    """A moment that somebody who reviews a case played to, and what they say that it shows."""

    case: int
    by: str
    at: float
    """Seconds since 1970."""
    text: str
    evidence: Evidence
    """Of the rule that it breaks; its playthrough leads there."""


def add_sighting(tx: Transaction, exploration: str, found: Sighting) -> None:
    """Keep it; call after ``live.add_play``, which holds the exploration's row until the end."""
    rows = (t.pieces.c.exploration == exploration) & (t.pieces.c.phase == PHASE)
    last = tx.connection.execute(select(func.max(t.pieces.c.ordinal)).where(rows)).scalar()
    told = asdict(found)
    clip = told["evidence"].pop("clip")
    tx.add_piece(exploration, PHASE, 0 if last is None else last + 1, told, clip)


def sightings(connection: Connection, version: str) -> list[Sighting]:
    """All of a version, oldest first."""
    p, e = t.pieces.c, t.explorations.c
    query = select(p.result, p.blob).join(t.explorations, e.id == p.exploration)
    rows = connection.execute(query.where(e.version == version, p.phase == PHASE)).all()
    return sorted((_sighting(row.result, row.blob) for row in rows), key=lambda one: one.at)


def keep_hashes(tx: Transaction, exploration: str, play: Playthrough) -> None:
    """Give a playthrough that was kept before it was ever regenerated the hashes to be compared with."""
    p = t.playthroughs.c
    which = (p.exploration == exploration) & (p.id == play.id) & p.frames_sha256.is_(None)
    values = {
        "frames_sha256": play.frames_sha256,
        "sound_sha256": play.sound_sha256,
        "trace": None if play.trace is None else play.trace.to_bytes(),
    }
    tx.connection.execute(update(t.playthroughs).where(which).values(**values))


def _sighting(told: dict[str, Any], clip: str | None) -> Sighting:
    evidence = evidence_of({**told["evidence"], "clip": clip})
    return Sighting(told["case"], told["by"], told["at"], told["text"], evidence)
