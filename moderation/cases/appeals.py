"""Appeals: a creator objects, and somebody who had no part in the decision judges without seeing it.

Whoever judges gets what detectors and bots found, and what the creator says: not what was decided, why, or by
whom, until they have decided themselves (:func:`evidence`). A decision can be appealed once; what people
decide on an appeal stands.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from moderation.accounts import Principal
from moderation.cases.queue import check_person
from moderation.cases.reasons import Reason
from moderation.states import WorldState
from moderation.store import Conflict, Store, cases, unknown_version
from moderation.store.cases import Case, Ruling, Status
from moderation.store.sightings import sightings
from moderation.store.transaction import LOCAL


@dataclass(frozen=True)
class Sight:
    """A moment of play or of a medium that somebody who judges should see."""

    playthrough: str | None
    start: float
    """Seconds."""
    end: float
    clip: str | None
    """Blob: MP4."""
    frames: tuple[tuple[float, str], ...]
    """Seconds, and blob (PNG)."""


@dataclass(frozen=True)
class Blind:
    """All that may be known of a case before it is decided without prejudice."""

    case: int
    reason: Reason
    world: str
    title: str
    prompt: str
    plea: str | None
    sights: tuple[Sight, ...]
    findings: tuple[dict[str, Any], ...]
    """What detectors saw, strongest first, without any threshold."""
    explored: dict[str, Any]
    """How much was looked at."""


def appeal(store: Store, creator: str, version: str, plea: str, *, key: str | None = None) -> Case:
    """Object to a rejection or a take-down; ``plea`` says why.

    Raises Conflict where there is nothing to object to or it was objected to before, NotFound where the
    version is not this creator's, ValueError without a plea.
    """
    if not plea.strip():
        raise ValueError("an appeal without a reason cannot be judged: say what is wrong with the decision")
    with store.writing() as tx:
        done = cases.was_done(tx.connection, None, "appealed", key)
        if done is None:
            found = tx.version(version)
            if found.creator != creator:
                raise unknown_version(version)
            if found.state not in (WorldState.REJECTED, WorldState.TAKEN_DOWN):
                raise Conflict(
                    f"{found.world} is {found.state}: only what was rejected or taken down can be "
                    "appealed, and once"
                )
            tx.transition(version, WorldState.APPEALED, creator, "appealed", expected=found.revision)
            done = cases.open_case_of(tx.connection, version)
            assert done is not None  # the change of state has opened it
            cases.complain(tx.connection, done, plea.strip())
            cases.add_action(tx.connection, done, LOCAL, "appealed", key)
        return cases.find_case(tx.connection, done)


def is_blind(case: Case) -> bool:
    """Whether what was decided before must not be seen yet."""
    return case.reason in (Reason.APPEAL, Reason.QUALITY) and case.status is not Status.CLOSED


def shows(store: Store, person: Principal, case: int, blob: str) -> str | None:
    """The media type of a blob that a case shows; None where it shows none such. Raises MayNot, NotFound."""
    with store.reading() as connection:
        found = cases.find_case(connection, case)
        check_person(connection, person, found)
        filed = [one.evidence for one in sightings(connection, found.version)]
    stored = store.newest_decision(found.version)
    for one in (*(stored.evidence if stored else ()), *filed):
        if blob == one.clip:
            return "video/mp4"
        if blob in (frame for _, frame in one.frames):
            return "image/png"
    return None


def evidence(store: Store, person: Principal, case: int) -> Blind:
    """What somebody sees who judges a case blind. Raises MayNot, NotFound."""
    with store.reading() as connection:
        found = cases.find_case(connection, case)
        check_person(connection, person, found)
        filed = [one.evidence for one in sightings(connection, found.version)]
    version = store.version(found.version)
    stored = store.newest_decision(found.version)
    moments = (*(stored.evidence if stored else ()), *filed)
    exploration = stored.exploration if stored else None
    return Blind(
        case=case,
        reason=found.reason,
        world=version.world,
        title=version.title,
        prompt=version.prompt,
        plea=found.plea,
        sights=tuple(Sight(e.playthrough, e.start, e.end, e.clip, e.frames) for e in moments),
        findings=tuple(asdict(one) for one in store.findings(found.version, exploration)),
        explored={} if stored is None else asdict(stored.coverage),
    )


def first_decision(store: Store, case: int) -> Ruling | None:
    """Who made the decision that an appeal was against, and why; None where a machine did.

    Raises Conflict until the appeal has been decided, NotFound.
    """
    with store.reading() as connection:
        found = cases.find_case(connection, case)
        if is_blind(found):
            raise Conflict(f"case {case} is judged without the first decision: decide it first")
        return None if found.contested is None else cases.ruling_of_event(connection, found.contested)
