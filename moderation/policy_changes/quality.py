"""How good the rules of a bundle are: held against people, and against worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moderation.evaluation.metrics import Share
from moderation.policy_changes.redecide import redecide, verdict_of
from moderation.store import Store
from moderation.store.deciding import CHUNK, load_decided, newest_decisions
from moderation.store.judging import people_ruled
from policies.bundle import Bundle
from policies.types import Verdict


@dataclass(frozen=True)
class Judgement:
    """Whether a version breaks a rule, by whoever knows."""

    version: str
    rule: str
    broken: bool


@dataclass(frozen=True)
class Said:
    """What a bundle says of a version."""

    verdict: Verdict
    fired: frozenset[str]
    """Rules that something was found against; not those whose detectors were missing."""


@dataclass(frozen=True)
class RuleQuality:
    """One rule against what is known."""

    rule: str
    right: int
    """Fired, and broken."""
    false: int
    """Fired, and not broken."""
    missed: int
    """Broken, and not fired."""
    quiet: int
    """Neither."""

    @property
    def precision(self) -> Share:
        """How often it was right when it fired."""
        return Share(self.right, self.right + self.false)

    @property
    def recall(self) -> Share:
        """How many of the versions that break it made it fire, of those that were judged."""
        return Share(self.right, self.right + self.missed)

    @property
    def agreement(self) -> Share:
        """How often it said what is known."""
        return Share(self.right + self.quiet, self.right + self.false + self.missed + self.quiet)

    def as_json(self) -> dict[str, Any]:
        shares = {"precision": self.precision, "recall": self.recall, "agreement": self.agreement}
        return {"rule": self.rule, **{name: share.as_json() for name, share in shares.items()}}


def quality(judgements: Iterable[Judgement], said: Mapping[str, Said]) -> list[RuleQuality]:
    """Every rule that was judged, by name; judgements on versions without a decision do not count."""
    counted: dict[str, list[int]] = {}
    for one in judgements:
        if one.version in said:
            fired = one.rule in said[one.version].fired
            cell = (0 if one.broken else 1) if fired else (2 if one.broken else 3)
            counted.setdefault(one.rule, [0, 0, 0, 0])[cell] += 1
    return [RuleQuality(rule, *cells) for rule, cells in sorted(counted.items())]


def said_of(store: Store, bundle: Bundle, versions: Collection[str]) -> dict[str, Said]:
    """What a bundle says of versions, by their stored evidence; those never decided are left out."""
    found: dict[str, Said] = {}
    ordered = sorted(versions)
    for first in range(0, len(ordered), CHUNK):
        chunk = ordered[first : first + CHUNK]
        with store.reading() as connection:
            worlds = load_decided(connection, newest_decisions(connection, chunk))
        for world in worlds:
            decision = redecide(bundle, world)
            fired = frozenset(one.rule for one in decision.fired if one.findings)
            found[world.version] = Said(verdict_of(decision, world), fired)
    return found


def human_rows(store: Store) -> list[tuple[str, str, Verdict]]:
    """What people ruled: version, rule, and rejected or cleared.

    A ruling clears every rule that had fired, or names the rules that are broken, which clears the others.
    Where it names none, all that had fired are.
    """
    with store.reading() as connection:
        rulings = people_ruled(connection)
    rows = []
    for one in rulings:
        past = store.decisions(one.version)
        fired = {f.rule for stored in past for f in stored.decision.fired if f.findings}
        broken = set() if one.cleared else set(one.rules) or fired
        rows += [(one.version, rule, Verdict.REJECTED) for rule in sorted(broken)]
        rows += [(one.version, rule, Verdict.CLEARED) for rule in sorted(fired - broken)]
    return rows


def judged(rows: Iterable[Sequence[str]]) -> list[Judgement]:
    """Judgements from rows of version, rule and verdict: what is rejected breaks the rule."""
    return [Judgement(version, rule, verdict == Verdict.REJECTED) for version, rule, verdict in rows]
