"""What changes from one bundle to another: in the text, and in what their test cases come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies.bundle import Bundle
from policies.cases import run
from policies.types import Decision
from policies.wording import quote


@dataclass(frozen=True)
class Change:
    """One difference; None stands for what is not there."""

    subject: str
    """``rule slurs``, ``category hate``, ``detector ocr`` or ``header``."""
    field: str
    """Path of the field; empty where the whole subject was added or removed."""
    before: Any
    after: Any

    def __str__(self) -> str:
        if not self.field:
            return f"{'+' if self.before is None else '-'} {self.subject}"
        return f"~ {self.subject}: {self.field}: {_shown(self.before)} → {_shown(self.after)}"


@dataclass(frozen=True)
class Turned:
    """A test case of either bundle that the two decide otherwise."""

    case: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.case}: {self.before} → {self.after}"


def changes(before: Bundle, after: Bundle) -> list[Change]:
    """Every difference in what the bundles say, whatever they inherit it from."""
    return list(_changes(_subjects(before), _subjects(after)))


def turned(before: Bundle, after: Bundle) -> list[Turned]:
    """Test cases of either bundle that come out otherwise: verdict, rules that fired, age, approvals."""
    cases = {case.name: case for case in (*before.cases, *after.cases)}.values()
    outcomes = ((case.name, _said(run(before, case)), _said(run(after, case))) for case in cases)
    return [Turned(name, one, other) for name, one, other in outcomes if one != other]


def _subjects(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """What a bundle says, by subject, as flat fields."""
    header = bundle.header.model_dump(mode="json", exclude={"bundle", "version", "status", "extends"})
    named = {
        f"{kind} {name}": value
        for kind, key in (("detector", "detectors"), ("category", "categories"))
        for name, value in header.pop(key).items()
    }
    rules = {f"rule {rule.id}": rule.spec.model_dump(mode="json") for rule in bundle.rules}
    return {name: dict(_flat(value)) for name, value in {"header": header, **named, **rules}.items()}


def _flat(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{path}{key}.")
        else:
            yield f"{path}{key}", item


def _changes(before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]) -> Iterator[Change]:
    for subject in sorted(before.keys() | after.keys()):
        old, new = before.get(subject), after.get(subject)
        if old is None or new is None:
            yield Change(subject, "", old, new)
            continue
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield Change(subject, name, old.get(name), new.get(name))


def _said(decision: Decision) -> str:
    rules = ", ".join(fired.rule for fired in decision.fired) or "nothing fired"
    age = f", {decision.rating.age}+" if decision.rating else ""
    two = ", two people" if decision.approvals > 1 else ""
    return f"{decision.verdict.value} ({rules}{age}{two})"


def _shown(value: Any) -> str:
    return "nothing" if value is None else quote(str(value), None)
