"""How often rules fire, and which of them have tripped: their SQL."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Update, and_, func, or_, select, tuple_, update

from moderation.store import case_tables as c
from moderation.store.database import insert_new
from moderation.store.records import NotFound


@dataclass(frozen=True)
class Breaker:
    """The circuit breaker of one rule."""

    rule: str
    spell: int
    """Counts resets."""
    tripped: float | None
    """Seconds since 1970."""
    why: str | None


@dataclass(frozen=True)
class Tally:
    """How often a rule fired."""

    decided: int
    """Worlds that it was asked about."""
    fired: int
    """Of those, that it would reject."""
    restricted: int
    """Of those, that were rejected without a person."""


def breakers(connection: Connection) -> list[Breaker]:
    """Of every rule that was ever asked, by name."""
    rows = connection.execute(select(c.breakers).order_by(c.breakers.c.rule))
    return [Breaker(row.rule, row.spell, row.tripped, row.why) for row in rows]


def lock(connection: Connection, rules: Sequence[str]) -> dict[str, Breaker]:
    """The breakers of some rules, in order, which nobody else changes until the end of the transaction."""
    insert_new(connection, c.breakers, [{"rule": rule, "spell": 0} for rule in rules])
    query = select(c.breakers).where(c.breakers.c.rule.in_(rules)).order_by(c.breakers.c.rule)
    rows = connection.execute(query.with_for_update())
    return {row.rule: Breaker(row.rule, row.spell, row.tripped, row.why) for row in rows}


def count(connection: Connection, day: str, rules: Mapping[str, Breaker], firing: Collection[str]) -> None:
    """Count one decision of every rule, and a firing of some."""
    rows = [
        {"rule": one.rule, "day": day, "spell": one.spell, "decided": 0, "fired": 0, "restricted": 0}
        for one in rules.values()
    ]
    insert_new(connection, c.breaker_days, rows)
    days = c.breaker_days.c
    connection.execute(_of(day, rules.values()).values(decided=days.decided + 1))
    fired = [one for one in rules.values() if one.rule in firing]
    if fired:
        connection.execute(_of(day, fired).values(fired=days.fired + 1))


def count_restricted(connection: Connection, day: str, rules: Collection[Breaker]) -> None:
    """Count a rejection by some rules."""
    connection.execute(_of(day, rules).values(restricted=c.breaker_days.c.restricted + 1))


def tallies(connection: Connection, breaker: Breaker, day: str, first: str) -> tuple[Tally, Tally]:
    """Of a rule: since the day began or the breaker was reset, and from the day ``first`` until then."""
    days = c.breaker_days.c
    now = and_(days.day == day, days.spell == breaker.spell)
    before = and_(days.day >= first, or_(days.day != day, days.spell != breaker.spell))
    return _sum(connection, breaker.rule, now), _sum(connection, breaker.rule, before)


def trip(connection: Connection, rule: str, why: str, now: float) -> None:
    """From now on the rule may only send to people."""
    connection.execute(update(c.breakers).where(c.breakers.c.rule == rule).values(tripped=now, why=why))
    _log(connection, rule, "tripped", "policy", why)


def reset(connection: Connection, rule: str, actor: str, reason: str) -> None:
    """Let the rule reject again, with a new quota. Raises NotFound where it has not tripped."""
    which = and_(c.breakers.c.rule == rule, c.breakers.c.tripped.is_not(None))
    values = {"tripped": None, "why": None, "spell": c.breakers.c.spell + 1}
    if not connection.execute(update(c.breakers).where(which).values(**values)).rowcount:
        raise NotFound(f"the breaker of {rule!r} has not tripped: `firstplay policy breakers` shows them")
    _log(connection, rule, "reset", actor, reason)


def _of(day: str, rules: Collection[Breaker]) -> Update:
    days = c.breaker_days.c
    keys = [(one.rule, one.spell) for one in rules]
    return update(c.breaker_days).where(days.day == day, tuple_(days.rule, days.spell).in_(keys))


def _sum(connection: Connection, rule: str, which: ColumnElement[bool]) -> Tally:
    days = c.breaker_days.c
    sums = [func.coalesce(func.sum(column), 0) for column in (days.decided, days.fired, days.restricted)]
    row = connection.execute(select(*sums).where(days.rule == rule, which)).one()
    return Tally(*(int(value) for value in row))


def _log(connection: Connection, rule: str, action: str, actor: str, reason: str) -> None:
    connection.execute(
        c.breaker_events.insert().values(rule=rule, action=action, actor=actor, reason=reason, at=time.time())
    )
