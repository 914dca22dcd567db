"""Who looks at what: cases are claimed under a lease, kept by a heartbeat, and given back.

A lease that has run out is worth nothing: whatever its holder still decides is refused, and the case waits
for somebody again. That is seen to at every claim, and by :func:`sweep`. ``now`` (seconds since 1970)
defaults to the clock; ``key`` makes a repeated call change nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from sqlalchemy import Connection

from moderation.accounts import Principal
from moderation.cases.reasons import Reason
from moderation.states import WorldState
from moderation.store import Conflict, LeaseLost, NotFound, Store, Transaction, cases
from moderation.store.cases import Case, Status

LEASE = 15 * 60.0
"""Seconds that a claim holds without a heartbeat."""
_CLAIMABLE = {WorldState.NEEDS_REVIEW, WorldState.ESCALATED, WorldState.SUSPENDED}
_LAPSE = "lease"
"""Actor of what happens when a lease runs out."""


class MayNot(PermissionError):
    """This person may not do this with this case; the message says who may."""


def waiting(store: Store) -> list[Case]:
    """All open cases: the worst first, then those that most people met, then the first that is due."""
    with store.reading() as connection:
        return cases.open_cases(connection)


def claim(
    store: Store,
    person: Principal,
    case: int | None = None,
    *,
    lease: float = LEASE,
    now: float | None = None,
    key: str | None = None,
) -> Case:
    """Take a case, by default the first that this person may take, for ``lease`` seconds.

    Whoever has it already keeps it longer. Raises Conflict where somebody else has it or none waits, MayNot,
    NotFound.
    """
    at = clock(now)
    with store.writing() as tx:
        done = cases.was_done(tx.connection, case, "claimed", key)
        if done is not None:
            return cases.find_case(tx.connection, done)
        _expire(tx, at)
        found = _first(tx, person) if case is None else cases.lock_case(tx.connection, case)
        check_person(tx.connection, person, found)
        if found.status is Status.CLAIMED and found.holder == person.account:
            cases.prolong(tx.connection, found, at + lease)
            cases.add_action(tx.connection, found.id, person.account, "claimed", key, token=found.token)
        else:
            _take(tx, person, found, at, lease, key)
        return cases.find_case(tx.connection, found.id)


def renew(
    store: Store, person: Principal, case: int, token: int, *, lease: float = LEASE, now: float | None = None
) -> Case:
    """The heartbeat of somebody who is still looking. Raises LeaseLost, NotFound."""
    at = clock(now)
    with store.writing() as tx:
        found = in_hand(tx, person, case, token, at)
        cases.prolong(tx.connection, found, at + lease)
        return cases.find_case(tx.connection, case)


def release(
    store: Store,
    person: Principal,
    case: int,
    *,
    token: int | None = None,
    now: float | None = None,
    key: str | None = None,
) -> Case:
    """Give a case back undecided. Raises LeaseLost, NotFound."""
    at = clock(now)
    with store.writing() as tx:
        if cases.was_done(tx.connection, case, "released", key) is None:
            found = in_hand(tx, person, case, token, at)
            _back(tx, found, at, person.account, "given back")
            cases.add_action(tx.connection, case, person.account, "released", key)
        return cases.find_case(tx.connection, case)


def sweep(store: Store, now: float | None = None) -> list[int]:
    """Let cases wait again whose holder's lease has run out; returns them."""
    with store.writing() as tx:
        return _expire(tx, clock(now))


def note(store: Store, person: Principal, case: int, text: str, *, key: str | None = None) -> None:
    """Write something down for whoever looks at the case. Raises MayNot, NotFound, ValueError where empty."""
    if not text.strip():
        raise ValueError("an empty note says nothing: write something")
    with store.writing() as tx:
        if cases.was_done(tx.connection, case, "noted", key) is None:
            check_person(tx.connection, person, cases.lock_case(tx.connection, case))
            cases.add_action(tx.connection, case, person.account, "noted", key, text=text.strip())


def escalate(
    store: Store,
    person: Principal,
    case: int,
    why: str,
    *,
    token: int | None = None,
    now: float | None = None,
    key: str | None = None,
) -> Case:
    """Leave a case to seniors. Raises LeaseLost, MayNot, NotFound."""
    at = clock(now)
    with store.writing() as tx:
        if cases.was_done(tx.connection, case, "escalated", key) is None:
            found = in_hand(tx, person, case, token, at)
            cases.put_back(tx.connection, found, at, senior=True)
            if moves(found):
                tx.transition(found.version, WorldState.ESCALATED, person.account, why)
            cases.add_action(tx.connection, case, person.account, "escalated", key, text=why)
        return cases.find_case(tx.connection, case)


# -- what every change of a case asks ---------------------------------------------------------------------


def in_hand(tx: Transaction, person: Principal, case: int, token: int | None, now: float) -> Case:
    """The case, if this person holds it; ``token`` as the claim gave it, None for whatever it is.

    Raises LeaseLost, MayNot, NotFound.
    """
    found = cases.lock_case(tx.connection, case)
    check_person(tx.connection, person, found)
    mine = found.status is Status.CLAIMED and found.holder == person.account
    if not mine or (token is not None and token != found.token):
        raise LeaseLost(f"{person.account} does not hold case {case}: claim it first")
    if found.lease_until is None or found.lease_until < now:
        raise LeaseLost(f"{person.account}'s lease on case {case} has run out: claim it again")
    return found


def check_person(connection: Connection, person: Principal, case: Case) -> None:
    """Raises MayNot where this person may have nothing to do with the case."""
    if not person.may("cases"):
        raise MayNot(f"{person.account} may not review: that takes the role moderator or senior")
    if person.account == case.creator:
        raise MayNot(f"{person.account} made {case.world}: somebody else must look at it")
    if case.senior and not person.may("cases:senior"):
        raise MayNot(f"case {case.id} is for seniors, which {person.account} is not")
    if case.contested is not None:
        first = cases.ruling_of_event(connection, case.contested)
        if first is not None and person.account in (first.decided_by, first.approved_by):
            raise MayNot(f"{person.account} cannot decide case {case.id}: somebody else must")


def moves(case: Case) -> bool:
    """Whether the world's state goes along with the case; appeals and checks of quality are beside it."""
    return case.reason not in (Reason.APPEAL, Reason.QUALITY)


def clock(now: float | None) -> float:
    """Seconds since 1970: as given, else now."""
    return time.time() if now is None else now


# -- parts ----------------------------------------------------------------------------------------------


def _first(tx: Transaction, person: Principal) -> Case:
    for one in _unclaimed(cases.open_cases(tx.connection)):
        try:
            check_person(tx.connection, person, one)
        except MayNot:
            continue
        found = cases.lock_case(tx.connection, one.id)
        if found.status is Status.WAITING:
            return found
    raise NotFound(f"no case waits for {person.account}")


def _unclaimed(some: Iterable[Case]) -> list[Case]:
    return [one for one in some if one.status is Status.WAITING]


def _take(tx: Transaction, person: Principal, case: Case, now: float, lease: float, key: str | None) -> None:
    if case.status is not Status.WAITING:
        holder = f" by {case.holder}" if case.holder else ""
        raise Conflict(f"case {case.id} is {case.status.replace('_', ' ')}{holder}: take another")
    cases.hold(tx.connection, case, person.account, now, now + lease)
    if moves(case):
        state = tx.state(case.version)
        if state not in _CLAIMABLE:
            raise Conflict(f"{case.world} is {state}: nobody can look at it now")
        why = "a person looks at it"
        if state is WorldState.SUSPENDED:
            tx.transition(case.version, WorldState.NEEDS_REVIEW, person.account, why)
        tx.transition(case.version, WorldState.IN_REVIEW, person.account, why)
    cases.add_action(tx.connection, case.id, person.account, "claimed", key, token=case.token + 1)


def _expire(tx: Transaction, now: float) -> list[int]:
    expired = []
    for number in cases.lapsed(tx.connection, now):
        case = cases.lock_case(tx.connection, number)
        if case.status is not Status.CLAIMED or case.lease_until is None or case.lease_until >= now:
            continue
        _back(tx, case, now, _LAPSE, "the lease of whoever had it ran out")
        cases.add_action(tx.connection, number, _LAPSE, "expired", None, holder=case.holder)
        expired.append(number)
    return expired


def _back(tx: Transaction, case: Case, now: float, actor: str, why: str) -> None:
    cases.put_back(tx.connection, case, now)
    if moves(case):
        state = WorldState.ESCALATED if case.senior else WorldState.NEEDS_REVIEW
        tx.transition(case.version, state, actor, why)
