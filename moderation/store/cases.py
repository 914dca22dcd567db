"""Cases, what was done about them, and what people decided: their SQL.

Whoever changes a case holds its world version's row first (:func:`lock_case`), as whoever changes a state.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, select, update

from moderation.cases.reasons import DUE, Outcome, Reason, severity_of
from moderation.states import RESTRICTIVE, WorldState
from moderation.store import case_tables as c
from moderation.store import tables as t
from moderation.store.records import Conflict, NotFound
from moderation.store.rows import ERASED_REASON, decision_of
from policies.types import Decision


class Status(StrEnum):
    """Where a case stands."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    SECOND = "awaiting_second_approval"
    CLOSED = "closed"


@dataclass(frozen=True)
class Proposal:
    """What somebody decided, and a second person has not agreed to yet."""

    outcome: Outcome
    rules: tuple[str, ...]
    reason: str
    law: str
    by: str


@dataclass(frozen=True)
class Case:
    """Something that a person must look at."""

    id: int
    version: str
    world: str
    """Slug."""
    creator: str
    reason: Reason
    severity: int
    """0 (least) to 4."""
    reach: int
    """Plays, as far as known."""
    opened: float
    """Seconds since 1970."""
    due: float
    status: Status
    senior: bool
    """Only for seniors."""
    approvals: int
    """People who must agree, by the policy."""
    holder: str | None
    token: int
    lease_until: float | None
    claimed: float | None
    seconds: float
    """Held by people, over all claims."""
    proposal: Proposal | None
    decision: int | None
    """Number of the policy's decision."""
    contested: int | None
    """Number of the event that an appeal is against."""
    plea: str | None
    outcome: str | None
    closed: float | None


@dataclass(frozen=True)
class Action:
    """Something that was done about a case."""

    case: int
    actor: str
    action: str
    detail: Mapping[str, Any]
    at: float


@dataclass(frozen=True)
class Ruling:
    """What a person decided, for good."""

    outcome: Outcome
    rules: tuple[str, ...]
    reason: str
    decided_by: str
    approved_by: str | None
    event: int | None
    """Number of the change of state that it brought about."""
    decision: int | None
    """Number of the policy's decision that was on the table."""
    at: float


# -- opening and closing ------------------------------------------------------------------------------


def open_case(connection: Connection, version: str, reason: Reason, contested: int | None = None) -> int:
    """Open a case now, as urgent as the newest decision of the policy says; returns its number.

    Nothing but the number where such a case is open: a quality check, or any other.
    """
    known = open_case_of(connection, version, quality=reason is Reason.QUALITY)
    if known is not None:
        return known
    number, decision = newest_decision(connection, version) or (None, None)
    now = time.time()
    added = connection.execute(
        c.cases.insert().values(
            version=version,
            reason=reason,
            severity=severity_of(decision, reason),
            reach=0,
            opened=now,
            due=now + DUE[reason],
            status=Status.WAITING,
            senior=bool(decision and decision.escalate),
            approvals=decision.approvals if decision else 1,
            token=0,
            seconds=0.0,
            decision=number,
            contested=contested,
        )
    )
    (case,) = added.inserted_primary_key or (0,)
    return int(case)


def open_case_of(connection: Connection, version: str, *, quality: bool = False) -> int | None:
    """The open case of a version: its check of quality, or the one that it waits for."""
    kind = c.cases.c.reason == Reason.QUALITY if quality else c.cases.c.reason != Reason.QUALITY
    open_one = and_(c.cases.c.version == version, c.cases.c.status != Status.CLOSED, kind)
    return connection.execute(select(c.cases.c.id).where(open_one)).scalar()


def close_case(connection: Connection, case: int, outcome: str) -> None:
    """Nobody needs to look any more."""
    _update(connection, case, status=Status.CLOSED, outcome=outcome, closed=time.time(), **_FREE)


_FREE: Mapping[str, Any] = {"holder": None, "lease_until": None, "claimed": None}


# -- changing hands -----------------------------------------------------------------------------------


def lock_case(connection: Connection, case: int) -> Case:
    """The case, and until the end of the transaction nobody else changes it or its version.

    Raises NotFound.
    """
    version = connection.execute(select(c.cases.c.version).where(c.cases.c.id == case)).scalar()
    if version is None:
        raise NotFound(f"no case {case}: `firstplay cases list` shows those that are open")
    connection.execute(select(t.versions.c.id).where(t.versions.c.id == version).with_for_update())
    return find_case(connection, case)


def hold(connection: Connection, case: Case, holder: str, now: float, until: float) -> None:
    """Give a case to somebody, under a new token."""
    _update(
        connection,
        case.id,
        status=Status.CLAIMED,
        holder=holder,
        token=case.token + 1,
        claimed=now,
        lease_until=until,
    )


def prolong(connection: Connection, case: Case, until: float) -> None:
    """Lengthen a lease."""
    _update(connection, case.id, lease_until=until)


def put_back(connection: Connection, case: Case, now: float, *, senior: bool | None = None) -> None:
    """Let it wait for somebody again, ``senior`` or as before."""
    wanted = case.senior if senior is None else senior
    _update(
        connection,
        case.id,
        status=Status.WAITING,
        senior=wanted,
        seconds=case.seconds + held(case, now),
        proposal=None,
        **_FREE,
    )


def propose(connection: Connection, case: Case, proposal: Proposal, now: float) -> None:
    """Keep a decision until a second person has agreed."""
    body = {
        "outcome": proposal.outcome,
        "rules": list(proposal.rules),
        "reason": proposal.reason,
        "law": proposal.law,
        "by": proposal.by,
    }
    spent = case.seconds + held(case, now)
    _update(connection, case.id, status=Status.SECOND, proposal=body, seconds=spent, **_FREE)


def spent(connection: Connection, case: Case, now: float) -> None:
    """Note how long its last holder had it."""
    _update(connection, case.id, seconds=case.seconds + held(case, now))


def held(case: Case, now: float) -> float:
    """Seconds since it was claimed, no more than its lease allowed."""
    if case.claimed is None or case.lease_until is None:
        return 0.0
    return max(0.0, min(now, case.lease_until) - case.claimed)


def complain(connection: Connection, case: int, plea: str) -> None:
    """Keep what the creator says against a decision."""
    _update(connection, case, plea=plea)


def reached(connection: Connection, version: str, plays: int) -> None:
    """Say how many people played a version: its open cases move up."""
    open_ones = and_(c.cases.c.version == version, c.cases.c.status != Status.CLOSED)
    connection.execute(update(c.cases).where(open_ones).values(reach=plays))


def _update(connection: Connection, case: int, **values: Any) -> None:
    connection.execute(update(c.cases).where(c.cases.c.id == case).values(**values))


# -- reading ------------------------------------------------------------------------------------------


def find_case(connection: Connection, case: int) -> Case:
    """Raises NotFound."""
    row = connection.execute(_cases().where(c.cases.c.id == case)).first()
    if row is None:
        raise NotFound(f"no case {case}: `firstplay cases list` shows those that are open")
    return _case_of(row)


def open_cases(connection: Connection, most: int | None = None) -> list[Case]:
    """Those that are not closed: worst first, then by reach, then by due time."""
    query = _cases().where(c.cases.c.status != Status.CLOSED).order_by(*_ORDER)
    return [_case_of(row) for row in connection.execute(query.limit(most))]


def cases_of(connection: Connection, version: str) -> list[Case]:
    """All of a version, oldest first."""
    query = _cases().where(c.cases.c.version == version).order_by(c.cases.c.id)
    return [_case_of(row) for row in connection.execute(query)]


def lapsed(connection: Connection, now: float) -> list[int]:
    """Cases whose holder's lease has run out."""
    late = and_(c.cases.c.status == Status.CLAIMED, c.cases.c.lease_until < now)
    return list(connection.execute(select(c.cases.c.id).where(late).order_by(c.cases.c.id)).scalars())


def closed_cases(connection: Connection, since: float) -> Iterator[Case]:
    """Decided since then (seconds since 1970), streamed."""
    query = _cases().where(c.cases.c.closed >= since).order_by(c.cases.c.id)
    for row in connection.execution_options(yield_per=1000).execute(query):
        yield _case_of(row)


_ORDER = (c.cases.c.severity.desc(), c.cases.c.reach.desc(), c.cases.c.due, c.cases.c.id)


def _cases() -> Select[Any]:
    return select(c.cases, t.versions.c.world, t.versions.c.creator).join(t.versions)


def _case_of(row: Any) -> Case:
    body = row.proposal
    proposal = body and Proposal(
        Outcome(body["outcome"]), tuple(body["rules"]), body["reason"], body["law"], body["by"]
    )
    fields = {name: getattr(row, name) for name in Case.__dataclass_fields__}
    return Case(
        **{**fields, "reason": Reason(row.reason), "status": Status(row.status), "proposal": proposal}
    )


# -- what was done ------------------------------------------------------------------------------------


def add_action(
    connection: Connection, case: int, actor: str, action: str, key: str | None, **detail: Any
) -> None:
    """Log something that was done about a case."""
    connection.execute(
        c.case_actions.insert().values(
            case=case, actor=actor, action=action, detail=detail, key=key, at=time.time()
        )
    )


def was_done(connection: Connection, case: int | None, action: str, key: str | None) -> int | None:
    """The case about which a request with this key was carried out before, None if it was not.

    Raises Conflict where the key was used for something else.
    """
    if key is None:
        return None
    row = connection.execute(select(c.case_actions).where(c.case_actions.c.key == key)).first()
    if row is None:
        return None
    if row.action != action or case not in (None, row.case):
        raise Conflict(f"the key {key!r} was used before ({row.action} case {row.case}): use another")
    return int(row.case)


def actions(connection: Connection, case: int) -> list[Action]:
    """In order."""
    query = select(c.case_actions).where(c.case_actions.c.case == case).order_by(c.case_actions.c.id)
    return [Action(row.case, row.actor, row.action, row.detail, row.at) for row in connection.execute(query)]


# -- what was decided ---------------------------------------------------------------------------------


def add_ruling(
    connection: Connection, case: Case, proposal: Proposal, approved_by: str | None, event: int | None
) -> None:
    """Keep what was decided; checks of quality bind nobody."""
    connection.execute(
        c.rulings.insert().values(
            case=case.id,
            version=case.version,
            outcome=proposal.outcome,
            rules=list(proposal.rules),
            reason=proposal.reason,
            decided_by=proposal.by,
            approved_by=approved_by,
            stands=case.reason is not Reason.QUALITY,
            event=event,
            at=time.time(),
        )
    )


def standing_ruling(connection: Connection, version: str) -> Ruling | None:
    """What people decided last about a version: it binds machines."""
    return _ruling(connection, c.rulings.c.version == version, c.rulings.c.stands)


def ruling_of_event(connection: Connection, event: int) -> Ruling | None:
    """The ruling that brought an event about; None where a machine did."""
    return _ruling(connection, c.rulings.c.event == event)


def ruling_of_case(connection: Connection, case: int) -> Ruling | None:
    """What came of a case."""
    return _ruling(connection, c.rulings.c.case == case)


def suspension(connection: Connection, version: str) -> tuple[int, str] | None:
    """The event by which a version was last suspended, and why."""
    which = and_(t.events.c.version == version, t.events.c.to_state == WorldState.SUSPENDED)
    query = select(t.events.c.id, t.event_reasons.c.text).outerjoin(t.event_reasons).where(which)
    row = connection.execute(query.order_by(t.events.c.id.desc()).limit(1)).first()
    return None if row is None else (row.id, ERASED_REASON if row.text is None else row.text)


def restriction(connection: Connection, version: str) -> int | None:
    """The event that last stopped a version: what an appeal is against."""
    stops = RESTRICTIVE - {WorldState.SUSPENDED, WorldState.CHANGES_REQUESTED}
    which = and_(t.events.c.version == version, t.events.c.to_state.in_(stops))
    query = select(t.events.c.id).where(which).order_by(t.events.c.id.desc()).limit(1)
    return connection.execute(query).scalar()


def newest_decision(connection: Connection, version: str) -> tuple[int, Decision] | None:
    """The policy's last decision on a version, with its number."""
    query = select(t.decisions.c.id, t.decisions.c.body).where(t.decisions.c.version == version)
    row = connection.execute(query.order_by(t.decisions.c.id.desc()).limit(1)).first()
    return None if row is None else (row.id, decision_of(row.body))


def decision_of_case(connection: Connection, case: Case) -> Decision | None:
    """What the policy had decided when the case was opened."""
    body = connection.execute(select(t.decisions.c.body).where(t.decisions.c.id == case.decision)).scalar()
    return None if body is None else decision_of(body)


def _ruling(connection: Connection, *where: ColumnElement[bool]) -> Ruling | None:
    """The newest of some rulings."""
    query = select(c.rulings, c.cases.c.decision).join(c.cases, c.cases.c.id == c.rulings.c.case)
    row = connection.execute(query.where(*where).order_by(c.rulings.c.id.desc()).limit(1)).first()
    if row is None:
        return None
    return Ruling(
        Outcome(row.outcome),
        tuple(row.rules),
        row.reason,
        row.decided_by,
        row.approved_by,
        row.event,
        row.decision,
        row.at,
    )


# -- everything, for those who check --------------------------------------------------------------------

_LOGS = {
    "event": t.events,
    "case": c.cases,
    "action": c.case_actions,
    "ruling": c.rulings,
    "statement": c.statements,
    "breaker": c.breaker_events,
    "read": t.privileged_reads,
}


def statements(connection: Connection, since: float) -> Iterator[dict[str, Any]]:
    """Statements of reasons from ``since`` (seconds since 1970) on, oldest first, streamed."""
    query = select(c.statements.c.body).where(c.statements.c.at >= since)
    ordered = query.order_by(c.statements.c.at, c.statements.c.event)
    yield from connection.execution_options(yield_per=1000).execute(ordered).scalars()


def logged(connection: Connection, kind: str) -> Iterator[dict[str, Any]]:
    """Every record of a kind with its ``kind`` and ``at``, in order of time, streamed."""
    table = _LOGS[kind]
    at = table.c.opened if kind == "case" else table.c.at
    order = [at, *table.primary_key.columns]
    query = select(table).order_by(*order)
    if kind == "event":
        query = query.add_columns(t.event_reasons.c.text.label("words")).outerjoin(t.event_reasons)
    for row in connection.execution_options(yield_per=1000).execute(query).mappings():
        yield {"kind": kind, "at": row[at.name], **(_worded(row) if kind == "event" else row)}


def _worded(row: RowMapping) -> dict[str, Any]:
    """An event with its reason in words, as long as they are kept, and the digest that proves them."""
    told = {name: value for name, value in row.items() if name != "words"}
    words = ERASED_REASON if row["words"] is None else row["words"]
    return told | {"reason": words, "reason_digest": row["reason"]}


LOGS: Sequence[str] = tuple(_LOGS)
"""Kinds of records."""
