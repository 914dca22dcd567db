"""What a world was made from, and what its maker changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from feedapi.shapes import Change
from moderation.store import NotFound, NotPublished, Store, Version, families

LEFT_OPEN = "as the prompt says"
"""What a mechanic is that the spec does not name."""
_PLACES = {"near": "early", "mid": "half way", "far": "far", "door": "behind a door", "spawn": "at the start"}
_TOLD_APART = frozenset({"objects", "remix_of"})


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


def base_of(store: Store, version: Version) -> tuple[Version, str] | None:
    """What a version is compared with, and what that is called: the version before it, or else its parent."""
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


def comparable(store: Store, creator: str, version: str) -> Version:
    """A version that this creator may compare with: their own, or a published one. Raises NotFound."""
    found = store.version(version)
    if found.creator != creator and not _published(store, found):
        raise NotFound(f"no world version {version}")
    return found


def _published(store: Store, version: Version) -> bool:
    try:
        return store.published_world(version.world).version == version.id
    except NotPublished:
        return False


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What differs between two specs, in the order of the document; objects last."""
    old, new = dict(_flat(before)), dict(_flat(after))
    fields = [
        Change(what=name.replace("_", " "), before=old.get(name, LEFT_OPEN), after=new.get(name, LEFT_OPEN))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
    return fields + _objects(before, after)


def _flat(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in spec.items():
        if isinstance(value, Mapping):
            yield from ((part, _said(inner)) for part, inner in value.items() if inner not in (None, {}))
        elif name not in _TOLD_APART and value is not None:
            yield name, _said(value)


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _objects(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    old, new = (Counter(map(_object, spec.get("objects") or ())) for spec in (before, after))
    gone = [Change(what="object", before=one, after="left out") for one in (old - new).elements()]
    return gone + [Change(what="object", before="not there", after=one) for one in (new - old).elements()]


def _object(thing: Mapping[str, Any]) -> str:
    """Such as ``sign “exit this way”, far``."""
    names = ("text", "image", "name", "says", "effect")
    said = next((str(thing[name]) for name in names if thing.get(name)), "")
    where = _PLACES.get(next(iter((thing.get("where") or {"depth": "mid"}).values())), "")
    return f"{thing['kind']}{f' “{said}”' if said else ''}, {where}"
