"""What a change of state brings with it, in the same transaction, whoever makes it.

A version that people must look at has a case; whoever stops one owes its creator a statement of reasons.
"""

from __future__ import annotations

from sqlalchemy import Connection, Row

from moderation.cases.reasons import reason_of
from moderation.cases.statements import Basis, automatic, statement
from moderation.states import RESTRICTIVE, WITH_PEOPLE, WorldState
from moderation.store import case_tables as c
from moderation.store import cases


def follow(
    connection: Connection,
    event: int,
    version: Row[tuple[object, ...]],
    to: WorldState,
    reason: str,
    at: float,
    basis: Basis | None,
) -> None:
    """After the event with this number; ``version`` is the row before it, ``at`` seconds since 1970.

    ``basis`` is what a restrictive decision rests on, by default the policy's newest decision.
    """
    if to in WITH_PEOPLE:
        _case(connection, version, to)
    elif (open_one := cases.open_case_of(connection, version.id)) is not None:
        cases.close_case(connection, open_one, str(to))
    if to in RESTRICTIVE:
        if basis is None:
            _, decision = cases.newest_decision(connection, version.id) or (0, None)
            basis = automatic(decision, reason)
        puid = f"{version.id}-{version.revision + 1}"
        body = statement(puid, to, at, version.created, basis)
        connection.execute(c.statements.insert().values(event=event, version=version.id, body=body, at=at))


def _case(connection: Connection, version: Row[tuple[object, ...]], to: WorldState) -> None:
    if cases.open_case_of(connection, version.id) is not None:
        return
    _, decision = cases.newest_decision(connection, version.id) or (0, None)
    reason = reason_of(WorldState(version.state), to, decision)
    contested = cases.restriction(connection, version.id) if to is WorldState.APPEALED else None
    cases.open_case(connection, version.id, reason, contested)
