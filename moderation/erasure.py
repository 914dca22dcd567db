"""Erasing what is a creator's: at their wish, or when its time is over. What the law wants kept stays.

Rows first, in one transaction, then the blobs that no row names any more, then the files of this machine,
then what the database itself still holds of deleted rows. Interrupted in between, the same command again, or
``firstplay store collect``, ends it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection

from moderation.states import WorldState
from moderation.store import NotFound, Store, Transaction, Version
from moderation.store import erasing as rows

PERIODS = Path(__file__).parent / "retention.yaml"
DAY = 86_400.0
RETENTION = "retention"
"""Who erases when a time is over."""


class Kind(StrEnum):
    """Kinds of content that are kept for different times."""

    MEDIA = "media"
    RECORDINGS = "recordings"
    FINDINGS = "findings"


_ERASE: Mapping[Kind, Callable[[Connection, str], None]] = {
    Kind.MEDIA: rows.erase_media,
    Kind.RECORDINGS: rows.erase_recordings,
    Kind.FINDINGS: rows.erase_findings,
}


@dataclass(frozen=True)
class Period:
    """How long one kind is kept of versions in some states, from their last change of state."""

    kind: Kind
    days: float
    states: frozenset[WorldState]


@dataclass(frozen=True)
class Erased:
    """What an erasure did."""

    versions: tuple[str, ...]
    withheld: tuple[str, ...]
    """Versions that are quarantined, and kept."""
    blobs: int


def erase(store: Store, actor: str, *, creator: str | None = None, world: str | None = None) -> Erased:
    """Erase everything that is a creator's, or everything of a world; the log of states stays.

    Open work on it is withdrawn. Raises NotFound where there is nothing of that name, and ``StillOpen``
    where the rows are gone but another process keeps the database from forgetting them.
    """
    asked = [one for one in store.versions() if one.creator == creator or one.world == world]
    gone = [one for one in asked if one.state is not WorldState.QUARANTINED]
    with store.writing() as tx:
        blobs, explorations = _erase_rows(tx, gone, actor)
        for account in {one.creator for one in gone}.union([creator] if creator else []):
            blobs |= rows.take_uploads(tx.connection, account)
        closed = creator is not None and rows.erase_account(tx.connection, creator)
        if not asked and not closed:
            raise NotFound(f"nothing of {creator or world!r} is stored: `firstplay worlds` lists what is")
    removed = _remove_blobs(store, blobs)
    _remove_files(store.home, [one.id for one in gone], explorations)
    store.database.scrub()
    kept = tuple(one.id for one in asked if one not in gone)
    return Erased(tuple(one.id for one in gone), kept, removed)


def _erase_rows(tx: Transaction, gone: Sequence[Version], actor: str) -> tuple[set[str], list[str]]:
    """Returns the blobs that may have lost their rows, and the explorations."""
    blobs: set[str] = set()
    explorations: list[str] = []
    for one in gone:
        blobs |= rows.blobs_of(tx.connection, one.id)
        explorations += rows.explorations_of(tx.connection, one.id)
        tx.cancel_jobs(one.id)
        for kind in Kind:
            _ERASE[kind](tx.connection, one.id)
            rows.log_erasure(tx.connection, one.id, kind, actor, time.time())
        rows.erase_owner(tx.connection, one.id)
        if tx.state(one.id) is not WorldState.ERASED:
            tx.transition(one.id, WorldState.ERASED, actor, "its content was erased")
    for world in sorted({one.world for one in gone}):
        rows.erase_address(tx.connection, world, [one.id for one in gone if one.world == world])
    return blobs, explorations


def _remove_blobs(store: Store, blobs: Iterable[str]) -> int:
    """Remove those that no row names; the same bytes may be somebody else's too."""
    orphans = set(blobs) - store.named_blobs()
    for blob in sorted(orphans):
        store.blobs.delete(blob)
    return len(orphans)


def _remove_files(home: Path, versions: Iterable[str], explorations: Iterable[str]) -> None:
    """What was packed for devices, half-done searches, and the report, which shows several worlds and is made
    again by a review."""
    for version in versions:
        for path in (home / "device").glob(f"*/{version}.*"):
            path.unlink(missing_ok=True)
    for exploration in explorations:
        for path in (home / "checkpoints").glob(f"{exploration}.*"):
            path.unlink(missing_ok=True)
    shutil.rmtree(home / "report", ignore_errors=True)


def read_periods(path: Path = PERIODS) -> list[Period]:
    """How long what is kept. Raises ValueError, also KeyError, for an entry that cannot be read."""
    from ruamel.yaml import YAML

    entries = YAML(typ="safe").load(path.read_text("utf-8"))
    return [
        Period(Kind(one["kind"]), float(one["days"]), frozenset(map(WorldState, one["states"])))
        for one in entries
    ]


def due(store: Store, periods: Sequence[Period], now: float | None = None) -> list[tuple[Version, Kind]]:
    """What is past its time and still there, oldest version first."""
    now = time.time() if now is None else now
    with store.reading() as connection:
        erased = rows.erased(connection)
    return [
        (version, period.kind)
        for version in store.versions()
        for period in periods
        if version.state in period.states
        and now - version.updated > period.days * DAY
        and (version.id, str(period.kind)) not in erased
    ]


def retain(store: Store, periods: Sequence[Period], now: float | None = None) -> list[tuple[Version, Kind]]:
    """Erase what is past its time, and return it. Raises as :func:`erase`."""
    past = due(store, periods, now)
    blobs: set[str] = set()
    for version, kind in past:
        with store.writing() as tx:
            if tx.state(version.id) is not version.state:
                continue  # it changed meanwhile, which begins its time anew
            blobs |= rows.blobs_of(tx.connection, version.id)
            _ERASE[kind](tx.connection, version.id)
            rows.log_erasure(tx.connection, version.id, kind, RETENTION, time.time())
    if past:
        _remove_blobs(store, blobs)
        _remove_files(store.home, [version.id for version, _ in past], ())
        store.database.scrub()
    return past
