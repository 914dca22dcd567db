"""Which world came from which: remixes name their parent's address."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, select

from moderation.states import WorldState
from moderation.store import tables as t


@dataclass(frozen=True)
class Member:
    """A version in a family."""

    version: str
    world: str
    remix_of: str | None
    state: WorldState
    depth: int
    """Remixes between it and the world that was asked about."""


def descendants(connection: Connection, world: str) -> list[Member]:
    """Every version of every remix of a world, and of theirs, the nearest first; never its own."""
    children: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
    v = t.versions.c
    query = select(v.id, v.world, v.remix_of, v.state).where(v.remix_of.is_not(None)).order_by(v.id)
    for row in connection.execute(query):
        children[row.remix_of].append((row.id, row.world, row.state))
    found: list[Member] = []
    seen, level, depth = {world}, [world], 1
    while level:
        following: dict[str, None] = {}
        for parent in level:
            for version, slug, state in children[parent]:
                if slug != world:
                    found.append(Member(version, slug, parent, WorldState(state), depth))
                if slug not in seen:
                    following[slug] = None
        seen |= following.keys()
        level, depth = list(following), depth + 1
    return list({one.version: one for one in reversed(found)}.values())[::-1]


def ancestors(connection: Connection, version: str) -> list[Member]:
    """Every version of the world that a version remixes, and of that one's, the nearest first."""
    v = t.versions.c
    own = connection.execute(select(v.world, v.remix_of).where(v.id == version)).one()
    found: list[Member] = []
    seen, level, depth = {own.world}, {own.remix_of} - {None, own.world}, 1
    while level:
        query = select(v.id, v.world, v.remix_of, v.state).where(v.world.in_(level)).order_by(v.id)
        rows = connection.execute(query).all()
        found += [Member(row.id, row.world, row.remix_of, WorldState(row.state), depth) for row in rows]
        seen |= level
        level, depth = {row.remix_of for row in rows} - {None} - seen, depth + 1
    return found
