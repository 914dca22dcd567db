"""What a world passes on to its remixes: doubts and tests, never clearance.

A take-down or a quarantine sends every descendant that players may see back to people, in the same
transaction; one that is still with the pipeline goes there when it is decided.
"""

from __future__ import annotations

from dataclasses import dataclass

from moderation.cases.statements import Basis, by_person, unquoted
from moderation.states import TRANSITIONS, WorldState
from moderation.store import Conflict, NotFound, Store, Transaction, Version
from moderation.store.families import Member, ancestors, descendants, keep_still
from policies.types import Finding

_SERVED = frozenset({WorldState.PUBLISHED, WorldState.SUSPENDED})
_OPEN = WorldState.INCONCLUSIVE
_DOWN = (WorldState.SUSPENDED, WorldState.TAKEN_DOWN)
_BACK = (WorldState.SUSPENDED, WorldState.NEEDS_REVIEW)


@dataclass(frozen=True)
class Inherited:
    """Something that was found in an ancestor, as a test of its remix."""

    world: str
    """The ancestor."""
    rule: str
    detector: str
    label: str
    text: str | None
    playthrough: str | None
    """What a replay in the remix begins with, where it was met in play."""
    met: bool | None
    """Whether the remix shows it too; None while it has not been scanned."""


def take_down(store: Store, world: str, actor: str, reason: str) -> list[Member]:
    """Take every version of a world that players may see out of the feed for good.

    Returns the descendants that people have to look at now. Raises NotFound, and Conflict where no version
    is published or suspended.
    """
    with store.writing() as tx:
        versions = _known(tx, world)
        served = [one for one in versions if tx.state(one.id, hold=True) in _SERVED]
        basis = by_person(Basis(""), unquoted(reason), "", detected=False)
        down = [one for one in served if _walk(tx, one.id, _DOWN, actor, reason, basis)]
        if not down:
            states = ", ".join(sorted({str(one.state) for one in versions}))
            raise Conflict(f"no version of {world} is published or suspended: {states}")
        return propagate(tx, world, actor, f"{world}, from which it was remixed, was taken down")


def quarantine(store: Store, world: str, actor: str, reason: str) -> list[Member]:
    """Keep every version of a world for the law: nobody sees or plays it, and nothing erases it.

    Returns the descendants that people have to look at now. Raises NotFound, and Conflict where there is
    nothing to keep.
    """
    with store.writing() as tx:
        versions = _known(tx, world)
        kept = [one for one in versions if _walk(tx, one.id, (WorldState.QUARANTINED,), actor, reason)]
        if not kept:
            raise Conflict(f"{world} is quarantined already, or its content was erased")
        for one in kept:
            tx.cancel_jobs(one.id)
        return propagate(tx, world, actor, f"{world}, from which it was remixed, was quarantined")


def propagate(tx: Transaction, world: str, actor: str, why: str) -> list[Member]:
    """Send every descendant of a world that players may see, or that nobody could decide, to people.

    Call it in the transaction that takes the world away. Returns those that moved.
    """
    family = [one for one in descendants(tx.connection, world) if one.state in _SERVED | {_OPEN}]
    return [one for one in family if _walk(tx, one.version, _BACK, actor, why)]


def suspend(tx: Transaction, version: str, actor: str, reason: str, policy_hash: str | None) -> list[str]:
    """Take a published version and its published descendants off the feed, to be looked at by a person.

    Returns the versions that were published until now; nothing happens to any other.
    """
    world = tx.version(version).world
    reasons = {version: reason} | {
        one.version: f"a remix of {world}: {reason}" for one in descendants(tx.connection, world)
    }
    return [
        one
        for one, why in reasons.items()
        if tx.state(one, hold=True) is WorldState.PUBLISHED
        and _walk(tx, one, _BACK, actor, why, policy_hash=policy_hash)
    ]


def hold(tx: Transaction, version: str) -> list[Member]:
    """The ancestors of a version, which nobody takes down before the transaction ends; the nearest first.

    Call it before anything of the version itself is changed: whoever takes a world down changes that first,
    and its remixes after it.
    """
    above = ancestors(tx.connection, version)
    if not above:
        return []
    keep_still(tx.connection, [one.version for one in reversed(above)])
    return ancestors(tx.connection, version)  # as they stand now that nobody changes them


def doubt(tx: Transaction, version: str) -> str | None:
    """Why a version may not be published without people, by where it comes from; that stays so meanwhile."""
    for one in hold(tx, version):
        if one.down:
            state = "quarantined" if one.state is WorldState.QUARANTINED else "taken down"
            return f"{one.world}, from which it was remixed, is {state}"
    return None


def inherited(store: Store, version: str) -> list[Inherited]:
    """What fired rules in the ancestors, and whether this version shows it too."""
    own = store.version(version)
    with store.reading() as connection:
        family = ancestors(connection, version)
    scanned = own.exploration is not None and store.exploration(own.exploration).scanned
    shown = {_kind(one) for one in store.findings(version, own.exploration)}
    tests: dict[tuple[str, str, str, str, str | None], Inherited] = {}
    for one in family:
        by_exploration: dict[str | None, dict[str, Finding]] = {}
        for stored in store.decisions(one.version):
            if stored.exploration not in by_exploration:
                found_there = store.findings(one.version, stored.exploration)
                by_exploration[stored.exploration] = {finding.id: finding for finding in found_there}
            findings = by_exploration[stored.exploration]
            for fired in stored.decision.fired:
                for found in (findings[name] for name in fired.findings if name in findings):
                    met = _kind(found) in shown if scanned else None
                    key = (one.world, fired.rule, *_kind(found))
                    tests.setdefault(key, Inherited(*key, found.playthrough, met))
    return list(tests.values())


def _kind(found: Finding) -> tuple[str, str, str | None]:
    return found.detector, found.label, found.text


def _known(tx: Transaction, world: str) -> list[Version]:
    versions = tx.find_versions(world)
    if not versions:
        raise NotFound(f"no world {world!r}: `firstplay worlds` lists them")
    return versions


def _walk(
    tx: Transaction,
    version: str,
    road: tuple[WorldState, ...],
    actor: str,
    reason: str,
    basis: Basis | None = None,
    policy_hash: str | None = None,
) -> bool:
    """Take a version along a road, from the first step that may follow its state; False where none may."""
    state = tx.state(version, hold=True)
    first = next((i for i, step in enumerate(road) if step in TRANSITIONS[state]), len(road))
    for step in road[first:]:
        tx.transition(version, step, actor, reason, basis=basis, policy_hash=policy_hash)
    return first < len(road)
