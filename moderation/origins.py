"""What a world was made from: the worlds before it, and what it can be compared with or begin with.

As in :mod:`moderation.submitting`, a function that takes an id from outside takes the creator's account too,
and reaches only what is theirs or published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moderation.store import NotPublished, Store, Version, families, unknown_version


@dataclass(frozen=True)
class Forebear:
    """A world that another one was remixed from, directly or not."""

    world: str
    title: str
    published: bool


def forebears(store: Store, version: Version) -> list[Forebear]:
    """What a version was remixed from, its parent first."""
    with store.reading() as connection:
        found = families.ancestors(connection, version.id)
    worlds = list(dict.fromkeys(one.world for one in found))
    return [_forebear(store, world) for world in worlds]


def _forebear(store: Store, world: str) -> Forebear:
    try:
        return Forebear(world, store.published_world(world).title, published=True)
    except NotPublished:
        return Forebear(world, store.find_versions(world)[-1].title, published=False)


@dataclass(frozen=True)
class Compared:
    """A version beside the one that it was made from."""

    called: str
    """What the other one is."""
    before: dict[str, Any]
    """Its document."""
    after: dict[str, Any]


def compared(store: Store, version: Version) -> Compared | None:
    """A version beside the one before it, or else its parent; None where it is the first of its kind."""
    base = _base_of(store, version)
    if base is None:
        return None
    return Compared(base[1], store.spec(base[0].id), store.spec(version.id))


def _base_of(store: Store, version: Version) -> tuple[Version, str] | None:
    earlier = [one for one in store.find_versions(version.world) if one.created < version.created]
    if earlier:
        return earlier[-1], "the version before"
    if version.remix_of is None:
        return None
    try:
        parent = store.published_world(version.remix_of)
    except NotPublished:
        return None
    return store.version(parent.version), f"“{parent.title}”"


def beginning(store: Store, creator: str, version: str) -> Version:
    """A version that this creator may begin with: their own, or a published one. Raises NotFound."""
    found = store.version(version)
    if found.creator != creator and not _published(store, found):
        raise unknown_version(version)
    return found


def document(store: Store, version: Version) -> dict[str, Any]:
    """Its spec, as it was submitted."""
    return store.spec(version.id)


def _published(store: Store, version: Version) -> bool:
    try:
        return store.published_world(version.world).version == version.id
    except NotPublished:
        return False
