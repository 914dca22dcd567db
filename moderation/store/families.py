"""Which world came from which: remixes name their parent's address."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from moderation.states import TAINTED, WorldState
from moderation.store import tables as t

_AFTER = (WorldState.APPEALED, WorldState.UPHELD, WorldState.ERASED)
"""States in which a take-down still stands, if there was one."""
_SETTLING = (WorldState.REJECTED, WorldState.TAKEN_DOWN, WorldState.OVERTURNED)


@dataclass(frozen=True)
class Member:
    """A version in a family."""

    version: str
    world: str
    remix_of: str | None
    state: WorldState
    depth: int
    """Remixes between it and the world that was asked about."""
    down: bool = False
    """Taken down or quarantined, also while an appeal is judged and after it was lost."""


def is_down() -> ColumnElement[bool]:
    """Of a row of versions: whether it was taken down or quarantined, and that stands."""
    v, e = t.versions.c, t.events.alias()
    settled = select(e.c.to_state).where(e.c.version == v.id, e.c.to_state.in_(_SETTLING))
    last = settled.order_by(e.c.id.desc()).limit(1).scalar_subquery()
    return or_(v.state.in_(TAINTED), and_(v.state.in_(_AFTER), last == WorldState.TAKEN_DOWN))


def descendants(connection: Connection, world: str) -> list[Member]:
    """Every version of every remix of a world, and of theirs, the nearest first; never its own."""
    remix, v = t.versions.alias(), t.versions.c
    line = select(t.worlds.c.id.label("world")).where(t.worlds.c.id == world).cte("line", recursive=True)
    line = line.union(select(remix.c.world).where(remix.c.remix_of == line.c.world))
    query = select(v.id, v.world, v.remix_of, v.state, is_down().label("down")).where(
        v.remix_of.in_(select(line.c.world)), v.world != world
    )
    children: defaultdict[str, list[Member]] = defaultdict(list)
    for row in connection.execute(query.order_by(v.id)):
        children[row.remix_of].append(
            Member(row.id, row.world, row.remix_of, WorldState(row.state), 0, row.down)
        )
    return _by_depth(children, world)


def _by_depth(children: defaultdict[str, list[Member]], world: str) -> list[Member]:
    found: list[Member] = []
    seen, level, depth = {world}, [world], 1
    while level:
        born = [one for parent in level for one in children[parent]]
        found += [Member(o.version, o.world, o.remix_of, o.state, depth, o.down) for o in born]
        level = list(dict.fromkeys(one.world for one in born if one.world not in seen))
        seen.update(level)
        depth += 1
    return found


def ancestors(connection: Connection, version: str) -> list[Member]:
    """Every version of the world that a version remixes, and of that one's, the nearest first."""
    v = t.versions.c
    own = connection.execute(select(v.world, v.remix_of).where(v.id == version)).one()
    return _above(connection, {own.remix_of} - {None}, {own.world})


def keep_still(connection: Connection, versions: Sequence[str]) -> None:
    """Nobody changes these until the transaction ends; others may read them, and keep them still as well."""
    for one in versions:  # one after the other: in this order everywhere, so that nobody waits in a ring
        connection.execute(select(t.versions.c.id).where(t.versions.c.id == one).with_for_update(read=True))


def made_from_gone(connection: Connection, parents: Collection[str | None]) -> bool:
    """Whether one of these worlds, or one that it was made from, is down and has nothing else to play."""
    family = _above(connection, set(parents) - {None}, set())
    kept = {one.world for one in family if one.state is WorldState.PUBLISHED}
    return any(one.down and one.world not in kept for one in family)


def _above(connection: Connection, level: set[str | None], seen: set[str | None]) -> list[Member]:
    """Every version of these worlds and of those above them, but for those in ``seen``."""
    v = t.versions.c
    found: list[Member] = []
    level, depth = level - seen, 1
    while level:
        query = select(v.id, v.world, v.remix_of, v.state, is_down().label("down"))
        rows = connection.execute(query.where(v.world.in_(level)).order_by(v.id)).all()
        found += [Member(r.id, r.world, r.remix_of, WorldState(r.state), depth, r.down) for r in rows]
        seen = seen | level
        level, depth = {row.remix_of for row in rows} - {None} - seen, depth + 1
    return found
