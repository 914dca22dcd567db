"""From what the policy says to a state: a machine overrides no person, and no rule its circuit breaker.

What a person rejected, or took out of the feed, no machine clears; what a person cleared, no machine rejects:
either way it needs a review, and so does what a rule rejects whose breaker has tripped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moderation.cases import breakers
from moderation.cases.reasons import Outcome, Reason
from moderation.lineage import doubt
from moderation.states import WorldState
from moderation.store import Evidence, Transaction, cases
from moderation.store.cases import Ruling
from policies.schema import BreakerLimits
from policies.types import Coverage, Decision, Verdict

POLICY = "policy"
"""Actor of every transition that the pipeline makes by itself."""
_AFTER: Mapping[Verdict, WorldState] = {
    Verdict.CLEARED: WorldState.CLEARED,
    Verdict.NEEDS_REVIEW: WorldState.NEEDS_REVIEW,
    Verdict.REJECTED: WorldState.REJECTED,
    Verdict.INCONCLUSIVE: WorldState.INCONCLUSIVE,
}
_AUTOMATIC = {WorldState.CLEARED, WorldState.REJECTED}


def conclude(
    tx: Transaction,
    version: str,
    exploration: str,
    decision: Decision,
    limits: BreakerLimits | None = None,
) -> None:
    """Bring a version that is being decided to the state that its stored decision leads to.

    Publishes what is cleared; opens a case where people must look, or where the decision was drawn to be
    checked. ``limits`` of the circuit breakers are the usual ones by default.
    """
    why = decision.reasons[0] if decision.reasons else str(decision.verdict)
    state = _AFTER[decision.verdict]
    held = _held(tx, version, exploration, decision, limits)
    if held is not None:
        reason, against = held
        state, why = WorldState.NEEDS_REVIEW, f"{_SAID[decision.verdict]}, but {against}"
        cases.open_case(tx.connection, version, reason)
    tx.transition(version, state, POLICY, why, policy_hash=decision.policy_hash)
    if state is WorldState.CLEARED:
        tx.transition(version, WorldState.PUBLISHED, POLICY, "cleared", policy_hash=decision.policy_hash)
    if decision.sampled and state in _AUTOMATIC:
        cases.open_case(tx.connection, version, Reason.QUALITY)


def condemn(
    tx: Transaction,
    version: str,
    decision: Decision,
    evidence: Sequence[Evidence],
    limits: BreakerLimits | None = None,
) -> bool:
    """Reject a version by its media alone; False, and nothing done, where a breaker has it played first."""
    if breakers.charge(tx.connection, decision, limits) is not None:
        return False
    tx.add_decision(version, None, decision, Coverage(), evidence)
    why = decision.reasons[0]
    tx.transition(version, WorldState.REJECTED, POLICY, why, policy_hash=decision.policy_hash)
    if decision.sampled:
        cases.open_case(tx.connection, version, Reason.QUALITY)
    return True


_SAID: Mapping[Verdict, str] = {
    Verdict.CLEARED: "clear this time",
    Verdict.INCONCLUSIVE: "nothing found in what little was looked at",
    Verdict.REJECTED: "the policy rejects it",
}
_LENIENT = {Verdict.CLEARED, Verdict.INCONCLUSIVE}


def _held(
    tx: Transaction, version: str, exploration: str, decision: Decision, limits: BreakerLimits | None
) -> tuple[Reason, str] | None:
    """What keeps the policy from deciding by itself, and why a person must."""
    ruling = cases.standing_ruling(tx.connection, version)
    stopped = _stopped(tx, version, ruling)
    if stopped is not None and decision.verdict in _LENIENT:
        return stopped
    if ruling is not None and stopped is None and decision.verdict is Verdict.REJECTED:
        return Reason.CONFLICT, f"a person cleared it before{f': {ruling.reason}' if ruling.reason else ''}"
    halted = breakers.charge(tx.connection, decision, limits)
    if halted is not None:
        return Reason.BREAKER, f"a circuit breaker has tripped ({halted})"
    if decision.verdict is not Verdict.CLEARED:
        return None
    since = (ruling.decision or 0) if ruling else 0
    against = tx.verdict_against(version, exploration, decision.policy_hash, since)
    if against is not None:
        return Reason.CONFLICT, f"another exploration said: {against}"
    doubted = doubt(tx, version)
    return None if doubted is None else (Reason.CONFLICT, doubted)


def _stopped(tx: Transaction, version: str, ruling: Ruling | None) -> tuple[Reason, str] | None:
    """Whether a person stopped it, or something took it out of the feed and no person has looked since."""
    suspended = cases.suspension(tx.connection, version)
    if suspended is not None and (ruling is None or suspended[0] > (ruling.event or 0)):
        return Reason.SUSPENDED, f"it was suspended: {suspended[1]}"
    if ruling is None or ruling.outcome is Outcome.CLEAR:
        return None
    return Reason.CONFLICT, f"a person stopped it before: {ruling.reason or ', '.join(ruling.rules)}"
