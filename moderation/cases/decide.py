"""What people decide, and what follows: at once, or when a second person agrees.

Two must agree where the policy asks for it, where the matter is as severe as :data:`FOUR_EYES_FROM`, and
where somebody who is no senior takes a published world down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from moderation.accounts import Principal
from moderation.cases.queue import MayNot, check_person, clock, in_hand, moves
from moderation.cases.reasons import FOUR_EYES_FROM, OUTCOMES, Outcome, Reason
from moderation.cases.statements import Basis, by_person, of_rules, unquoted
from moderation.lineage import propagate
from moderation.states import WorldState
from moderation.store import Conflict, Store, Transaction, cases
from moderation.store.cases import Case, Proposal, Status
from policies.types import Fired, Verdict

if TYPE_CHECKING:
    from policies.bundle import Bundle

_STATES = {
    Outcome.CLEAR: WorldState.CLEARED,
    Outcome.REJECT: WorldState.REJECTED,
    Outcome.REQUEST_CHANGES: WorldState.CHANGES_REQUESTED,
    Outcome.TAKE_DOWN: WorldState.TAKEN_DOWN,
}

_WORDS = {
    Outcome.CLEAR: "cleared by a person",
    Outcome.REJECT: "rejected by a person",
    Outcome.REQUEST_CHANGES: "a person asks for changes",
    Outcome.TAKE_DOWN: "taken down by a person",
}
"""For the log, whose reasons the creator sees: who it was stands beside them."""


class BadRuling(ValueError):
    """A decision that cannot be taken like this; the message says how it can."""


@dataclass(frozen=True)
class Choice:
    """What somebody decides."""

    outcome: Outcome
    rules: Sequence[str] = ()
    """Rules of the policy that the world breaks; needed unless it is cleared."""
    reason: str = ""
    """For the creator; no personal data, since it is published."""
    law: str = ""
    """The law that it breaks, where it breaks one."""


def decide(
    store: Store,
    person: Principal,
    case: int,
    choice: Choice,
    bundle: Bundle,
    *,
    token: int | None = None,
    now: float | None = None,
    key: str | None = None,
) -> Case:
    """Take somebody's decision on a case that they hold.

    It counts at once, or waits for a second person (``Case.status`` says which). Raises BadRuling,
    LeaseLost, MayNot, NotFound.
    """
    at = clock(now)
    with store.writing() as tx:
        if cases.was_done(tx.connection, case, "decided", key) is None:
            found = in_hand(tx, person, case, token, at)
            _check(found, choice, bundle)
            proposal = Proposal(
                choice.outcome, tuple(choice.rules), choice.reason.strip(), choice.law.strip(), person.account
            )
            if _needs_second(found, choice.outcome, person):
                _propose(tx, found, proposal, at)
            else:
                cases.spent(tx.connection, found, at)
                _carry_out(tx, found, proposal, None, bundle)
            told = {"outcome": choice.outcome, "rules": list(choice.rules), "reason": proposal.reason}
            cases.add_action(tx.connection, case, person.account, "decided", key, **told)
        return cases.find_case(tx.connection, case)


def approve(store: Store, person: Principal, case: int, bundle: Bundle, *, key: str | None = None) -> Case:
    """Agree with what another person decided: now it counts.

    Raises BadRuling where the policy has lost a rule since, Conflict, MayNot, NotFound.
    """
    with store.writing() as tx:
        if cases.was_done(tx.connection, case, "approved", key) is None:
            found, proposal = _proposed(tx, person, case)
            _check(found, Choice(proposal.outcome, proposal.rules), bundle)
            _carry_out(tx, found, proposal, person.account, bundle)
            cases.add_action(tx.connection, case, person.account, "approved", key)
        return cases.find_case(tx.connection, case)


def disagree(
    store: Store,
    person: Principal,
    case: int,
    why: str,
    *,
    now: float | None = None,
    key: str | None = None,
) -> Case:
    """Do not agree: the case waits in the queue again. Raises Conflict, MayNot, NotFound."""
    with store.writing() as tx:
        if cases.was_done(tx.connection, case, "disagreed", key) is None:
            found, _ = _proposed(tx, person, case)
            cases.put_back(tx.connection, found, clock(now))
            if moves(found):
                said = f"the second person did not agree: {why}"
                tx.transition(found.version, WorldState.NEEDS_REVIEW, person.account, said)
            cases.add_action(tx.connection, case, person.account, "disagreed", key, text=why)
        return cases.find_case(tx.connection, case)


# -- before ---------------------------------------------------------------------------------------------


def _check(case: Case, choice: Choice, bundle: Bundle) -> None:
    allowed = OUTCOMES[case.reason]
    if choice.outcome not in allowed:
        raise BadRuling(
            f"case {case.id} ({case.reason}) cannot end with {choice.outcome}: choose one of "
            f"{', '.join(sorted(allowed))}"
        )
    known = {rule.id for rule in bundle.rules}
    unknown = sorted(set(choice.rules) - known)
    if unknown:
        raise BadRuling(f"the policy has no rule {unknown[0]!r}: it has {', '.join(sorted(known))}")
    clears = choice.outcome is Outcome.CLEAR
    if clears and choice.rules:
        raise BadRuling("a world that is cleared breaks no rule: leave the rules out")
    if not clears and not choice.rules:
        raise BadRuling(f"name the rules that it breaks: {', '.join(sorted(known))}")


def _needs_second(case: Case, outcome: Outcome, person: Principal) -> bool:
    if case.reason is Reason.QUALITY:
        return False
    alone = outcome is not Outcome.TAKE_DOWN or person.may("cases:senior")
    return not alone or case.approvals > 1 or case.severity >= FOUR_EYES_FROM


def _propose(tx: Transaction, case: Case, proposal: Proposal, now: float) -> None:
    cases.propose(tx.connection, case, proposal, now)
    if moves(case):
        said = f"{_WORDS[proposal.outcome]}, if another person agrees"
        tx.transition(case.version, WorldState.AWAITING_SECOND_APPROVAL, proposal.by, said)


def _proposed(tx: Transaction, person: Principal, case: int) -> tuple[Case, Proposal]:
    found = cases.lock_case(tx.connection, case)
    check_person(tx.connection, person, found)
    if found.status is not Status.SECOND or found.proposal is None:
        raise Conflict(f"case {case} is {found.status.replace('_', ' ')}: there is nothing to agree with")
    if not person.may("cases:senior"):
        raise MayNot(f"{person.account} may not approve: that takes the role senior")
    if person.account == found.proposal.by:
        raise MayNot(f"{person.account} decided this: another person must agree")
    return found, found.proposal


# -- what follows -----------------------------------------------------------------------------------------


def _carry_out(tx: Transaction, case: Case, proposal: Proposal, approver: str | None, bundle: Bundle) -> None:
    cases.close_case(tx.connection, case.id, proposal.outcome)
    event = _change(tx, case, proposal, approver, bundle)
    cases.add_ruling(tx.connection, case, proposal, approver, event)


def _change(
    tx: Transaction, case: Case, proposal: Proposal, approver: str | None, bundle: Bundle
) -> int | None:
    """Bring the world into the state that was decided; returns the event that did."""
    actor = approver or proposal.by
    if case.reason is Reason.QUALITY:
        return _checked(tx, case, proposal, bundle)
    if case.reason is Reason.APPEAL:
        return _appealed(tx, case, proposal, actor)
    why = f"{_WORDS[proposal.outcome]}{f': {proposal.reason}' if proposal.reason else ''}"
    cleared = proposal.outcome is Outcome.CLEAR
    basis = None if cleared else _basis(tx, case, proposal, bundle)
    event = tx.transition(
        case.version, _STATES[proposal.outcome], actor, why, policy_hash=bundle.sha256, basis=basis
    )
    if cleared:
        tx.transition(case.version, WorldState.PUBLISHED, actor, why, policy_hash=bundle.sha256)
    if proposal.outcome is Outcome.TAKE_DOWN:
        propagate(tx, case.world, actor, f"{case.world}, from which it was remixed, was taken down")
    return event


def _checked(tx: Transaction, case: Case, proposal: Proposal, bundle: Bundle) -> int | None:
    """A check of quality changes nothing, unless it finds what people must not go on playing."""
    published = tx.state(case.version) is WorldState.PUBLISHED
    if proposal.outcome is Outcome.CLEAR or not published:
        return None
    why = f"a check of quality: {proposal.reason or ', '.join(proposal.rules)}"
    basis = _basis(tx, case, proposal, bundle)
    return tx.transition(case.version, WorldState.SUSPENDED, proposal.by, why, basis=basis)


def _appealed(tx: Transaction, case: Case, proposal: Proposal, actor: str) -> int | None:
    """Whether what was decided blind agrees with what the appeal is against."""
    why = proposal.reason or "another person has judged the appeal"
    if proposal.outcome is not Outcome.CLEAR:
        return tx.transition(case.version, WorldState.UPHELD, actor, why)
    event = tx.transition(case.version, WorldState.OVERTURNED, actor, why)
    if tx.exploration(tx.current_exploration(case.version)).coverage is not None:
        tx.transition(case.version, WorldState.PUBLISHED, actor, why)
    else:
        _explore_first(tx, case.version)
    return event


def _explore_first(tx: Transaction, version: str) -> None:
    """No bot has played what the media alone had stopped: nothing is published unseen."""
    from moderation.pipeline import explore_next

    explore_next(tx, version, "its media may be played after all")


def _basis(tx: Transaction, case: Case, proposal: Proposal, bundle: Bundle) -> Basis:
    """The grounds of the rules that a person named, with what detectors saw of them."""
    decision = cases.decision_of_case(tx.connection, case)
    seen = {one.rule: one for one in decision.fired} if decision else {}
    grounds = [_ground(bundle, rule, seen.get(rule)) for rule in proposal.rules]
    detected = any(rule in seen for rule in proposal.rules)
    return by_person(of_rules(grounds), unquoted(proposal.reason), proposal.law, detected)


def _ground(bundle: Bundle, rule: str, fired: Fired | None) -> Fired:
    spec = bundle.rule(rule).spec
    category = bundle.header.categories[spec.category]
    found = fired or Fired(rule, spec.category, spec.severity, Verdict.REJECTED, (), f"{spec.title}.")
    return replace(
        found, guideline=spec.guideline, dsa=category.dsa, dsa_keywords=tuple(category.dsa_keywords)
    )
