"""What the feed reads and writes: candidates, cards, sessions, impressions, interactions and snapshots.

The reads are lean: a page of 20 worlds reads 20 rows, and a ranking some thousand, however many are
published. Every read of worlds goes through :func:`_published`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    func,
    select,
)

from moderation.states import WorldState
from moderation.store import tables as t
from moderation.store.database import Database, insert_new

PlayedBy: TypeAlias = Literal["person", "bot", "creator"]
Ended: TypeAlias = Literal["left", "lost", "guarded", "withdrawn", "stopped", "failed"]
"""By the player, a lost connection, the guard, with its world, with the server, or by a fault of ours."""
OURS: tuple[Ended, ...] = ("withdrawn", "stopped", "failed")
"""Endings that say nothing of the world: nobody knows how long the player would have stayed."""
AT_ONCE = 500
"""Values of one IN; older builds of SQLite allow 999 parameters."""
KEPT_SNAPSHOTS = 14 * 24 * 3600.0
"""Seconds for which a snapshot is kept, so that other rankings can be judged by it."""
MOST_SESSIONS = 200_000
"""Newest sessions from which a ranking is made, at most."""
IDS: BindParameter[Any] = bindparam("ids", expanding=True)
"""What :func:`_in_parts` fills in, some at a time."""


@dataclass(frozen=True)
class PlaySession:
    """What somebody did in one session of live play."""

    id: str
    version: str
    player: str
    """Pseudonym."""
    played_by: PlayedBy
    spawn: int
    at: float
    """When it began, seconds since 1970."""
    seconds: float
    first_input: float | None
    """Seconds until the first input; None: there was none."""
    cells: int
    """Places explored."""
    mechanics: float
    """Share 0..1 of the world's mechanics that were used."""
    ended: Ended = "left"
    reported: bool = False
    """By the player, during play."""
    spawn_propensity: float = 1.0
    """Probability 0..1 with which it began at this spawn point."""
    device_seconds: float = 0.0
    sent: int = 0
    """Bytes."""


@dataclass(frozen=True)
class Shown:
    """An item of the feed, as its signed context says."""

    snapshot: str
    position: int
    version: str
    propensity: float


@dataclass(frozen=True)
class Interaction:
    """What a player did with an item of the feed."""

    player: str
    id: str
    """The client's; the same twice is one."""
    kind: str
    shown: Shown
    session: str | None
    at: float


@dataclass(frozen=True)
class Candidate:
    """A published world that might be ranked."""

    world: str
    version: str
    creator: str
    root: str
    """The first ancestor among worlds; itself for what is no remix."""
    published_at: float


@dataclass(frozen=True)
class Look:
    """What tells how a version looks and plays."""

    mechanics: Mapping[str, Any]
    """As in its spec."""
    signature: str | None
    """Blob; see ``moderation.likeness``."""


@dataclass(frozen=True)
class Card:
    """What a page of the feed says of a published world, but for what its decision says."""

    world: str
    version: str
    title: str
    prompt: str
    thumbnail: str | None
    creator: str
    remix_of: str | None
    published_at: float
    decision: int
    """Id of the newest decision on what the version was last explored by."""


@dataclass(frozen=True)
class Verdict:
    """What a card needs of a decision."""

    reasons: list[str]
    bounds: list[dict[str, Any]]
    fired: int
    coverage: dict[str, Any]
    rating: dict[str, Any] | None


@dataclass(frozen=True)
class PlayedSession:
    """A session as the ranking sees it."""

    id: str
    world: str
    player: str
    played_by: str
    spawn: int
    at: float
    seconds: float
    first_input: float | None
    cells: int
    mechanics: float
    snapshot: str | None
    """From which item of the feed it began; None for one that was opened by a link."""
    position: int | None
    remixed: bool
    reported: bool
    """By the player, or it was ended by the guard."""
    spawn_propensity: float = 1.0


@dataclass(frozen=True)
class StoredSnapshot:
    """An ordered list of the feed."""

    id: str
    audience: str
    created: float
    slate: tuple[tuple[str, float, int], ...]
    """Version, propensity, and the page on which it was put; best first."""


@dataclass(frozen=True)
class Impression:
    """An item that a player saw."""

    snapshot: str
    position: int
    player: str
    version: str
    propensity: float


class FeedStore:
    """The feed's part of the store. Threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._standing = _standing()

    # -- worlds -----------------------------------------------------------------------------------

    def candidates(self, since: float, played: int, newest: int, others: int, pivot: str) -> list[Candidate]:
        """Published worlds that might be ranked, the newest version of each, newest first.

        Up to ``played`` of those that were played most since a time, the ``newest``, and ``others`` whose ids
        follow ``pivot`` (hexadecimal): ids are hashes, so a random pivot takes a random sample.
        """
        with self._database.reading() as connection:
            ids = _most_played(connection, since, played)
            ids |= set(connection.execute(_newest().limit(newest)).scalars())
            ids |= _from(connection, pivot, others)
            rows = _in_parts(connection, _candidates(), ids)
            rows.sort(key=lambda row: -row.updated)
            newest_of: dict[str, Row[Any]] = {}
            for row in rows:
                newest_of.setdefault(row.world, row)
            kept = list(newest_of.values())
            roots = _roots(connection, {row.world: row.remix_of for row in kept})
        return [Candidate(r.world, r.id, r.creator, roots[r.world], r.updated) for r in kept]

    def looks(self, versions: Sequence[str]) -> dict[str, Look]:
        """By version."""
        query = select(t.versions.c.id, t.versions.c.spec["mechanics"].label("mechanics"))
        with self._database.reading() as connection:
            rows = _in_parts(connection, query.where(t.versions.c.id.in_(IDS)), versions)
            signatures = _signatures(connection, versions)
        return {row.id: Look(row.mechanics or {}, signatures.get(row.id)) for row in rows}

    def cards(self, versions: Sequence[str]) -> list[Card]:
        """Of those that are published at this moment, in the order that was asked for."""
        with self._database.reading() as connection:
            rows = {row.version: row for row in _in_parts(connection, self._standing, versions)}
        found = [rows[version] for version in versions if version in rows]
        return [Card(*tuple(row)) for row in found if row.decision is not None]

    def verdicts(self, decisions: Sequence[int]) -> dict[int, Verdict]:
        """By id of the decision."""
        query = select(t.decisions.c.id, t.decisions.c.body, t.decisions.c.coverage).where(
            t.decisions.c.id.in_(IDS)
        )
        with self._database.reading() as connection:
            rows = _in_parts(connection, query, decisions)
        return {
            row.id: Verdict(
                row.body["reasons"] or [row.body["verdict"]],
                row.body["bounds"],
                len(row.body["fired"]),
                row.coverage,
                row.body.get("rating"),
            )
            for row in rows
        }

    # -- what people do ---------------------------------------------------------------------------

    def add_session(self, session: PlaySession) -> bool:
        """Keep a session that has ended; False where it is kept already."""
        with self._database.writing() as connection:
            return add_session(connection, session)

    def add_interactions(self, interactions: Sequence[Interaction]) -> int:
        """Keep what clients sent; returns how many were new. What is ``seen`` becomes an impression."""
        with self._database.writing() as connection:
            return add_interactions(connection, interactions)

    def know_creator(self, account: str, player: str, at: float) -> None:
        """Remember that somebody with this account is behind a pseudonym."""
        with self._database.writing() as connection:
            insert_new(connection, t.creator_players, {"account": account, "player": player, "at": at})

    def is_creator(self, account: str, player: str) -> bool:
        """Whether a pseudonym was seen with this account."""
        known = t.creator_players.c
        query = select(known.at).where(known.account == account, known.player == player)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def sessions(self, since: float, most: int = MOST_SESSIONS) -> list[PlayedSession]:
        """The newest since a time, with the item of the feed that each began at.

        Not those that this installation cut off (:data:`OURS`).
        """
        session, played = t.play_sessions.c, t.interactions.c
        began_at = and_(
            played.session == session.id,
            played.player == session.player,
            played.version == session.version,  # the context of one world says nothing of another
            played.kind == "played",
        )
        query = (
            select(t.play_sessions, t.versions.c.world, played.snapshot, played.position)
            .join(t.versions, t.versions.c.id == session.version)
            .outerjoin(t.interactions, began_at)
            .where(session.at >= since, session.ended.not_in(OURS))
            .order_by(session.at.desc(), played.position)
            .limit(most)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            said = _said(connection, since)
        first = {row.id: row for row in reversed(rows)}  # a session is one, however often it was claimed
        return [_played(row, said) for row in first.values()]

    def impressions(self, since: float) -> list[Impression]:
        """What was seen since a time."""
        seen = t.impressions.c
        query = select(seen.snapshot, seen.position, seen.player, seen.version, seen.propensity)
        with self._database.reading() as connection:
            return [Impression(*row) for row in connection.execute(query.where(seen.at >= since))]

    def newest_publication(self) -> float:
        """When a world was published last, seconds since 1970; 0: never."""
        events = t.events.c
        query = select(events.at).where(events.to_state == WorldState.PUBLISHED)
        with self._database.reading() as connection:
            return float(connection.execute(query.order_by(events.id.desc()).limit(1)).scalar() or 0.0)

    # -- snapshots --------------------------------------------------------------------------------

    def add_snapshot(self, snapshot: StoredSnapshot, arms: bytes) -> None:
        """Keep a ranking and what it was drawn from; those that are too old go."""
        old = t.feed_snapshots.c.created < snapshot.created - KEPT_SNAPSHOTS
        with self._database.writing() as connection:
            connection.execute(delete(t.feed_snapshots).where(old))
            insert_new(connection, t.feed_snapshots, asdict(snapshot) | {"arms": arms})

    def snapshot(self, snapshot: str) -> StoredSnapshot | None:
        """By id."""
        return self._snapshot(t.feed_snapshots.c.id == snapshot)

    def newest_snapshot(self, audience: str, since: float) -> StoredSnapshot | None:
        """The newest of an audience, made at a time or later."""
        return self._snapshot(t.feed_snapshots.c.audience == audience, t.feed_snapshots.c.created >= since)

    def arms(self, snapshot: str) -> bytes | None:
        """What a snapshot was drawn from."""
        query = select(t.feed_snapshots.c.arms).where(t.feed_snapshots.c.id == snapshot)
        with self._database.reading() as connection:
            return connection.execute(query).scalar()

    def _snapshot(self, *where: Any) -> StoredSnapshot | None:
        kept = t.feed_snapshots.c
        query = select(kept.id, kept.audience, kept.created, kept.slate).where(*where)
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(kept.created.desc()).limit(1)).first()
        if row is None:
            return None
        slate = tuple((version, propensity, page) for version, propensity, page in row.slate)
        return StoredSnapshot(row.id, row.audience, row.created, slate)


def add_session(connection: Connection, session: PlaySession) -> bool:
    """Keep a session that has ended; False where it is kept already."""
    return bool(insert_new(connection, t.play_sessions, asdict(session)))


def add_interactions(connection: Connection, interactions: Sequence[Interaction]) -> int:
    """Keep what players did; returns how many were new. What is ``seen`` becomes an impression."""
    new = sum(insert_new(connection, t.interactions, _interaction_row(one)) for one in interactions)
    for one in interactions:
        if one.kind == "seen":
            insert_new(connection, t.impressions, _impression_row(one))
    return new


def _published(query: Select[Any], *, by_id: bool = False) -> Select[Any]:
    """Only published versions; ``by_id`` where the query names ids or worlds."""
    state: ColumnElement[Any] = t.versions.c.state
    if by_id:  # else SQLite reads all published ones by the index of states, and looks for the ids among them
        state = func.coalesce(state, "")
    return query.where(state == WorldState.PUBLISHED)


def _newest() -> Select[Any]:
    return _published(select(t.versions.c.id)).order_by(t.versions.c.updated.desc())


def _most_played(connection: Connection, since: float, most: int) -> set[str]:
    """Versions; sessions of a world's older versions count for the one that is published."""
    played = t.versions.alias()
    often = (
        select(played.c.world)
        .select_from(t.play_sessions)
        .join(played, played.c.id == t.play_sessions.c.version)
        .where(t.play_sessions.c.at >= since, t.play_sessions.c.played_by == "person")
        .group_by(played.c.world)
        .order_by(func.count().desc(), played.c.world)
        .limit(most)
    )
    worlds = list(connection.execute(often).scalars())
    query = _published(select(t.versions.c.id), by_id=True).where(t.versions.c.world.in_(IDS))
    return {row.id for row in _in_parts(connection, query, worlds)}


def _from(connection: Connection, pivot: str, most: int) -> set[str]:
    """Versions whose ids follow ``pivot``, and from the beginning where there are too few."""
    query = _published(select(t.versions.c.id), by_id=True).order_by(t.versions.c.id).limit(most)
    found = set(connection.execute(query.where(t.versions.c.id >= pivot)).scalars())
    if len(found) < most:
        found |= set(connection.execute(query.limit(most - len(found))).scalars())
    return found


def _candidates() -> Select[Any]:
    versions = t.versions.c
    columns = (versions.id, versions.world, versions.creator, versions.remix_of, versions.updated)
    return select(*columns).where(versions.id.in_(IDS))


def _standing() -> Select[Any]:
    """Columns of :class:`Card`, of published versions."""
    decided = (
        select(func.max(t.decisions.c.id))
        .where(
            t.decisions.c.version == t.versions.c.id, t.decisions.c.exploration == t.versions.c.exploration
        )
        .scalar_subquery()
    )
    versions = t.versions.c
    query = select(
        versions.world,
        versions.id.label("version"),
        t.worlds.c.title,
        versions.prompt,
        versions.thumbnail,
        versions.creator,
        versions.remix_of,
        versions.updated,
        decided.label("decision"),
    ).join(t.worlds, t.worlds.c.id == versions.world)
    return _published(query, by_id=True).where(versions.id.in_(IDS))


def _roots(connection: Connection, parents: dict[str, str | None]) -> dict[str, str]:
    """Each world's first ancestor; ``parents`` by world, of those that are known so far."""
    asked = set(parents)
    known = dict(parents)
    while unknown := {parent for parent in known.values() if parent is not None} - set(known):
        query = select(t.versions.c.world, t.versions.c.remix_of).where(t.versions.c.world.in_(IDS))
        known |= dict.fromkeys(unknown)
        known |= {row.world: row.remix_of for row in _in_parts(connection, query, unknown)}
    return {world: _climb(world, known) for world in asked}


def _climb(world: str, parents: Mapping[str, str | None]) -> str:
    seen = {world}
    while (parent := parents.get(world)) is not None and parent not in seen:
        seen.add(parent)
        world = parent
    return world


def _signatures(connection: Connection, versions: Sequence[str]) -> dict[str, str]:
    """By version, the blob of its newest signature."""
    query = (
        select(t.explorations.c.version, t.pieces.c.blob)
        .join(t.explorations, t.explorations.c.id == t.pieces.c.exploration)
        .where(
            func.coalesce(t.pieces.c.phase, "") == "signature",  # as in _published: not by its index
            t.explorations.c.version.in_(IDS),
        )
        .order_by(t.explorations.c.created)
    )
    return {row.version: row.blob for row in _in_parts(connection, query, versions)}


def _in_parts(connection: Connection, query: Select[Any], ids: Sequence[Any] | set[Any]) -> list[Row[Any]]:
    return [row for part in _parts(list(ids)) for row in connection.execute(query, {"ids": part})]


def _parts(ids: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def _said(connection: Connection, since: float) -> set[tuple[str, str, str]]:
    """(kind, player, version) of remixes and reports."""
    told = t.interactions.c
    query = select(told.kind, told.player, told.version).where(
        told.kind.in_(["remixed", "reported"]), told.at >= since
    )
    return {(kind, player, version) for kind, player, version in connection.execute(query)}


def _played(row: Row[Any], said: set[tuple[str, str, str]]) -> PlayedSession:
    return PlayedSession(
        id=row.id,
        world=row.world,
        player=row.player,
        played_by=row.played_by,
        spawn=row.spawn,
        at=row.at,
        seconds=row.seconds,
        first_input=row.first_input,
        cells=row.cells,
        mechanics=row.mechanics,
        snapshot=row.snapshot,
        position=row.position,
        remixed=("remixed", row.player, row.version) in said,
        reported=row.reported or row.ended == "guarded" or ("reported", row.player, row.version) in said,
        spawn_propensity=row.spawn_propensity,
    )


def _interaction_row(one: Interaction) -> dict[str, Any]:
    row = asdict(one)
    shown: dict[str, Any] = row.pop("shown")
    return row | shown


def _impression_row(one: Interaction) -> dict[str, Any]:
    return asdict(one.shown) | {"player": one.player, "at": one.at}
