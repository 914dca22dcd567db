"""Circuit breakers: a rule that rejects too often without a person may only send to people.

A breaker trips when a rule has used up its rejections of the day, or fires so often that its own history
cannot explain it. Then whatever it would reject needs a review, and says so, until somebody resets it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from moderation.store import Store
from moderation.store import breakers as stored
from moderation.store.breakers import Breaker, Tally
from policies.bundle import Bundle
from policies.schema import BreakerLimits
from policies.types import Decision, Verdict

LIMITS = BreakerLimits()
"""Where the policy does not say others."""


@dataclass(frozen=True)
class Reading:
    """What a breaker shows."""

    rule: str
    tripped: float | None
    """Seconds since 1970; None while the rule may reject."""
    why: str | None
    today: Tally
    """Since the day began or the breaker was reset."""
    before: Tally
    surprise: float
    """Probability of so many firings today, if the rule fired as it did before."""


def surprise(today: Tally, before: Tally) -> float:
    """Probability 0..1 that a rule fires at least as often as today, if it fires as it did before.

    The exact binomial tail at the upper 95 % limit (Clopper and Pearson) of the rate before, so that a short
    history raises no alarm. 1.0 without any firing.
    """
    from scipy.stats import binom

    from bots.risk import clopper_pearson_upper

    rate = clopper_pearson_upper(before.fired, before.decided)
    return float(binom.sf(today.fired - 1, today.decided, rate))


def limits_of(bundle: Bundle) -> BreakerLimits:
    """The policy's limits, else the usual ones."""
    return bundle.header.breakers or LIMITS


def tripped(store: Store) -> frozenset[str]:
    """Rules that may only send to people now."""
    with store.reading() as connection:
        return frozenset(one.rule for one in stored.breakers(connection) if one.tripped is not None)


def charge(
    connection: Connection, decision: Decision, limits: BreakerLimits | None = None, now: float | None = None
) -> str | None:
    """Count an automatic decision; why it may not stand, if it is a rejection that goes too far.

    A rejection stands as long as one of the rules that ask for it may reject. Call it in the transaction
    that keeps the decision: the rules' rows are locked until its end, so that no quota is overrun.
    """
    at = time.time() if now is None else now
    rules = {str(one["rule"]): bool(one.get("halted")) for one in decision.trace}
    rejecting = [one.rule for one in decision.fired if one.action is Verdict.REJECTED]
    if not rules:
        return None
    known = stored.lock(connection, sorted(rules))
    day = _day(at)
    firing = {rule for rule, halted in rules.items() if halted} | set(rejecting)
    stored.count(connection, day, known, firing)
    halted = {rule: _halted(connection, known[rule], day, limits or LIMITS, at) for rule in sorted(rejecting)}
    free = [rule for rule, why in halted.items() if why is None]
    if free:
        stored.count_restricted(connection, day, [known[rule] for rule in free])
        return None
    return "; ".join(f"{rule}: {why}" for rule, why in halted.items()) or None


def readings(store: Store, limits: BreakerLimits = LIMITS, now: float | None = None) -> list[Reading]:
    """Every rule that was asked of late, those that have tripped first."""
    day = _day(time.time() if now is None else now)
    with store.reading() as connection:
        known = stored.breakers(connection)
        found = [_reading(connection, one, day, limits) for one in known]
    return sorted(found, key=lambda one: (one.tripped is None, one.rule))


def reset(store: Store, rule: str, actor: str, reason: str) -> None:
    """Let a rule reject again, with a new quota.

    Raises ValueError without a reason, NotFound where it has not tripped.
    """
    if not reason.strip():
        raise ValueError("say why the rule may reject again: the log keeps it")
    with store.writing() as tx:
        stored.reset(tx.connection, rule, actor, reason.strip())


def _halted(
    connection: Connection, breaker: Breaker, day: str, limits: BreakerLimits, now: float
) -> str | None:
    """Why a rule may not reject, which trips its breaker unless it has tripped before."""
    if breaker.tripped is not None:
        return breaker.why
    why = _beyond(_reading(connection, breaker, day, limits), limits)
    if why is not None:
        stored.trip(connection, breaker.rule, why, now)
    return why


def _beyond(reading: Reading, limits: BreakerLimits) -> str | None:
    today, before = reading.today, reading.before
    if today.restricted >= limits.daily_of(reading.rule):
        return (
            f"it has rejected {today.restricted} worlds without a person since the day began or it was reset"
        )
    if today.fired >= limits.least and reading.surprise < limits.alarm:
        return (
            f"it fires on {today.fired} of {today.decided} worlds, and did on {before.fired} of "
            f"{before.decided} before (p {reading.surprise:.1g})"
        )
    return None


def _reading(connection: Connection, breaker: Breaker, day: str, limits: BreakerLimits) -> Reading:
    first = (datetime.fromisoformat(day) - timedelta(days=limits.history_days)).strftime("%Y-%m-%d")
    today, before = stored.tallies(connection, breaker, day, first)
    return Reading(breaker.rule, breaker.tripped, breaker.why, today, before, surprise(today, before))


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
