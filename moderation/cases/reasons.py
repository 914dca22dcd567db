"""Why a person must look, how soon, and what can come of it: data, and pure functions of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from moderation.states import WorldState
from policies.types import Decision, Verdict


class Reason(StrEnum):
    """Why a case was opened."""

    POLICY = "policy"
    """A rule asks for a person."""
    INCONCLUSIVE = "inconclusive"
    """Too little was looked at to say."""
    BREAKER = "breaker"
    """A rule would have rejected it, but its circuit breaker has tripped."""
    CONFLICT = "conflict"
    """The policy says otherwise than a person, or than another exploration."""
    SUSPENDED = "suspended"
    """It was published, and taken out of the feed."""
    APPEAL = "appeal"
    """Its creator objects to a decision."""
    QUALITY = "quality"
    """An automatic decision that was drawn to be checked; the world's state does not wait for it."""


class Outcome(StrEnum):
    """What a person decides."""

    CLEAR = "clear"
    REJECT = "reject"
    REQUEST_CHANGES = "request_changes"
    TAKE_DOWN = "take_down"


_HOUR = 3600.0
DUE: Mapping[Reason, float] = {
    Reason.SUSPENDED: 4 * _HOUR,
    Reason.BREAKER: 24 * _HOUR,
    Reason.POLICY: 48 * _HOUR,
    Reason.CONFLICT: 48 * _HOUR,
    Reason.INCONCLUSIVE: 96 * _HOUR,
    Reason.APPEAL: 7 * 24 * _HOUR,
    Reason.QUALITY: 14 * 24 * _HOUR,
}
"""Seconds in which a case is to be decided."""
_USUAL = frozenset({Outcome.CLEAR, Outcome.REJECT, Outcome.REQUEST_CHANGES})
_BLIND = frozenset({Outcome.CLEAR, Outcome.REJECT})
OUTCOMES: Mapping[Reason, frozenset[Outcome]] = {
    **dict.fromkeys(Reason, _USUAL),
    Reason.SUSPENDED: frozenset({Outcome.CLEAR, Outcome.TAKE_DOWN, Outcome.REQUEST_CHANGES}),
    Reason.APPEAL: _BLIND,
    Reason.QUALITY: _BLIND,
}
"""What can be decided: who does not see the first decision says what they would have decided."""
FOUR_EYES_FROM = 4
"""Severity, 0..4, from which two people must agree whatever the rule says."""
_UNKNOWN: Mapping[Reason, int] = {Reason.SUSPENDED: 3}
"""Severity where no rule fired; otherwise 1."""


def reason_of(before: WorldState, to: WorldState, decision: Decision | None) -> Reason:
    """Why a version that comes from ``before`` to ``to`` needs a person."""
    if to is WorldState.APPEALED:
        return Reason.APPEAL
    if WorldState.SUSPENDED in (before, to):
        return Reason.SUSPENDED
    if before is WorldState.INCONCLUSIVE or decision is None:
        return Reason.INCONCLUSIVE
    if any(one.get("halted") for one in decision.trace):
        return Reason.BREAKER
    return Reason.POLICY if decision.verdict is Verdict.NEEDS_REVIEW else Reason.CONFLICT


def severity_of(decision: Decision | None, reason: Reason) -> int:
    """0 (least) to 4, by the worst rule that fired."""
    fired = [int(one.severity[1:]) for one in decision.fired] if decision else []
    return max(fired, default=_UNKNOWN.get(reason, 1))
