"""What a maker changed against what a world was made from, in words: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from feedapi.shapes import Change

_OPEN, _NOTHING = "as the prompt says", "nothing"
"""What a mechanic or wish is that a spec does not name, and what a medium is."""
_PLACES = {"near": "early", "mid": "half way", "far": "far", "door": "behind a door", "spawn": "at the start"}
_TOLD_APART = frozenset({"objects", "remix_of"})


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What differs between two specs, in the order of the document; objects last."""
    old, new = dict(_flat(before)), dict(_flat(after))
    fields = [
        Change(what=name, before=old.get((name, left), left), after=new.get((name, left), left))
        for name, left in dict.fromkeys([*old, *new])
        if old.get((name, left)) != new.get((name, left))
    ]
    return fields + _objects(before, after)


def _flat(spec: Mapping[str, Any], left: str = _NOTHING) -> Iterator[tuple[tuple[str, str], str]]:
    """Each field with what it is where it is left out, and its value."""
    for name, value in spec.items():
        if isinstance(value, Mapping):
            yield from _flat(value, _OPEN if name in {"mechanics", "layout"} else _NOTHING)
        elif name not in _TOLD_APART and value is not None:
            yield (name.replace("_", " "), left), _said(value)


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
