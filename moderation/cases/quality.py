"""How well machines decide, by what people say of a sample that was drawn by hash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median, quantiles

from moderation.cases.reasons import Outcome, Reason
from moderation.evaluation.metrics import Z95, Share
from moderation.store import Store, cases
from moderation.store.cases import Case, Ruling
from policies.types import Decision, Verdict


@dataclass(frozen=True)
class Agreement:
    """How far two judges agree beyond chance."""

    n: int
    observed: float
    """Share of what they agree on, 0..1."""
    kappa: float | None
    """Cohen's kappa, at most 1; None where chance alone would have them agree on everything."""
    low: float | None
    """Its 95 % interval by the large-sample standard error: too narrow for a handful of cases."""
    high: float | None


def kappa(table: Sequence[Sequence[int]]) -> Agreement:
    """Agreement of two judges from a square table of counts: row, what one says; column, what the other.

    J. Cohen, Educational and Psychological Measurement 20 (1960); standard error of J. L. Fleiss, J. Cohen,
    B. S. Everitt, Psychological Bulletin 72 (1969), equation 13. Raises ValueError for an empty table.
    """
    n = sum(map(sum, table))
    if not n:
        raise ValueError("nobody has judged anything: there is no agreement to measure")
    kinds = range(len(table))
    share = [[cell / n for cell in row] for row in table]
    rows = [sum(row) for row in share]
    columns = [sum(share[i][j] for i in kinds) for j in kinds]
    observed = sum(share[i][i] for i in kinds)
    chance = sum(rows[i] * columns[i] for i in kinds)
    if chance >= 1:
        return Agreement(n, observed, None, None, None)
    value = (observed - chance) / (1 - chance)
    same = sum(share[i][i] * (1 - (rows[i] + columns[i]) * (1 - value)) ** 2 for i in kinds)
    other = sum(share[i][j] * (columns[i] + rows[j]) ** 2 for i in kinds for j in kinds if i != j)
    variance = same + (1 - value) ** 2 * other - (value - chance * (1 - value)) ** 2
    half = Z95 * sqrt(max(0.0, variance) / n) / (1 - chance)
    return Agreement(n, observed, value, max(-1.0, value - half), min(1.0, value + half))


@dataclass(frozen=True)
class Times:
    """How long people held cases of a kind until they were decided."""

    n: int
    median: float
    """Seconds."""
    p90: float
    late: int
    """Closed after they were due."""


@dataclass(frozen=True)
class Quality:
    """What people say of automatic decisions."""

    in_all: Agreement | None
    """Reject or clear; None before anybody checked one."""
    by_rule: Mapping[str, Agreement]
    """For each rule that either side saw broken."""
    appeals: Share
    """Overturned, of those that were decided."""
    times: Mapping[Reason, Times]
    waiting: int
    overdue: int


def quality(store: Store, now: float, since: float = 0.0) -> Quality:
    """Of cases closed from ``since`` to ``now`` (seconds since 1970)."""
    with store.reading() as connection:
        closed = [one for one in cases.closed_cases(connection, since) if one.outcome in set(Outcome)]
        waiting = cases.open_cases(connection)
        checked = [
            (decision, ruling)
            for one in closed
            if one.reason is Reason.QUALITY
            and (ruling := cases.ruling_of_case(connection, one.id)) is not None
            and (decision := cases.decision_of_case(connection, one)) is not None
        ]
    appeals = [one.outcome == Outcome.CLEAR for one in closed if one.reason is Reason.APPEAL]
    return Quality(
        in_all=_agreement((_rejects(decision), _stops(ruling)) for decision, ruling in checked),
        by_rule=_by_rule(checked),
        appeals=Share(sum(appeals), len(appeals)),
        times=_times(closed),
        waiting=len(waiting),
        overdue=sum(one.due < now for one in waiting),
    )


def _by_rule(checked: Sequence[tuple[Decision, Ruling]]) -> dict[str, Agreement]:
    rules = {rule for decision, ruling in checked for rule in (*_broken(decision), *ruling.rules)}
    pairs = {
        rule: [(rule in _broken(decision), rule in ruling.rules) for decision, ruling in checked]
        for rule in sorted(rules)
    }
    return {rule: found for rule, some in pairs.items() if (found := _agreement(some)) is not None}


def _agreement(pairs: Iterable[tuple[bool, bool]]) -> Agreement | None:
    table = [[0, 0], [0, 0]]
    for machine, person in pairs:
        table[machine][person] += 1
    return kappa(table) if any(map(any, table)) else None


def _rejects(decision: Decision) -> bool:
    return decision.verdict is Verdict.REJECTED


def _stops(ruling: Ruling) -> bool:
    return ruling.outcome is not Outcome.CLEAR


def _broken(decision: Decision) -> set[str]:
    return {one.rule for one in decision.fired if one.action is Verdict.REJECTED}


def _times(closed: Sequence[Case]) -> dict[Reason, Times]:
    return {
        reason: _spent([one for one in closed if one.reason is reason])
        for reason in Reason
        if any(one.reason is reason for one in closed)
    }


def _spent(some: Sequence[Case]) -> Times:
    seconds = [one.seconds for one in some]
    p90 = quantiles(seconds, n=10, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    late = sum(one.closed is not None and one.closed > one.due for one in some)
    return Times(len(some), median(seconds), p90, late)
