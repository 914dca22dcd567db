"""Reviews by people: who may look, how long a claim holds, what follows from a decision, and appeals."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from moderation.accounts import Principal
from moderation.cases import queue
from moderation.cases.appeals import appeal, evidence, first_decision
from moderation.cases.decide import BadRuling, Choice, approve, decide, disagree
from moderation.cases.queue import MayNot
from moderation.cases.reading import dossier
from moderation.cases.reasons import DUE, Outcome, Reason
from moderation.states import WorldState
from moderation.store import Conflict, LeaseLost, NotFound, Store, case_tables, open_store
from moderation.store import cases as stored
from moderation.store.cases import Case, Status
from policies import Bundle
from tests.case_worlds import (
    ANNA,
    BEN,
    CORA,
    DAN,
    NOBODY,
    cases_of,
    found,
    judge,
    machine,
    small_bundle,
    state,
    submit,
)

pytestmark = pytest.mark.usefixtures("each_database")
CLEAR = Choice(Outcome.CLEAR)
REJECT = Choice(Outcome.REJECT, ("slurs",), "A slur is on the sign at the door.")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_bundle(tmp_path_factory.mktemp("policy"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def waiting(store: Store, bundle: Bundle, version: str = "v1", label: str = "slur") -> Case:
    """A case that the policy asks for."""
    submit(store, version)
    machine(store, bundle, judge(bundle, found(label, 0.6)), version)
    return cases_of(store, version)[-1]


def claimed(store: Store, bundle: Bundle, version: str = "v1", label: str = "slur") -> Case:
    return queue.claim(store, ANNA, waiting(store, bundle, version, label).id)


def suspended(store: Store, bundle: Bundle) -> Case:
    submit(store)
    machine(store, bundle, judge(bundle))
    with store.writing() as tx:
        tx.transition("v1", WorldState.SUSPENDED, "guard", "players met a slur")
    return cases_of(store)[-1]


def rejected(store: Store, bundle: Bundle) -> Case:
    """By a machine, and appealed by its creator."""
    submit(store)
    machine(store, bundle, judge(bundle, found("slur", 0.95, "secretword")))
    return appeal(store, "kim", "v1", "it is a name of a plant")


# -- the queue ------------------------------------------------------------------------------------------


def test_what_needs_a_review_has_a_case_that_says_why_and_until_when(store: Store, bundle: Bundle) -> None:
    case = waiting(store, bundle)

    assert (case.reason, case.severity, case.reach, case.status) == (Reason.POLICY, 2, 0, Status.WAITING)
    assert case.due - case.opened == DUE[Reason.POLICY]
    assert case.decision is not None


def test_whoever_changes_the_state_a_case_opens_and_closes(store: Store, bundle: Bundle) -> None:
    case = suspended(store, bundle)
    assert (case.reason, case.severity) == (Reason.SUSPENDED, 3)

    with store.writing() as tx:
        tx.transition("v1", WorldState.QUARANTINED, "counsel", "kept for the law")
    assert [one.outcome for one in cases_of(store)] == ["quarantined"]


def test_another_review_closes_a_case_that_waits(store: Store, bundle: Bundle) -> None:
    waiting(store, bundle)
    machine(store, bundle, judge(bundle, found("slur", 0.95)), seed=2)

    assert state(store) is WorldState.REJECTED
    assert [one.status for one in cases_of(store)] == [Status.CLOSED]


def test_the_worst_come_first_then_what_most_people_met_then_what_is_due(
    store: Store, bundle: Bundle
) -> None:
    for version, label in (("v1", "slur"), ("v2", "blood"), ("v3", "slur"), ("v4", "slur")):
        waiting(store, bundle, version, label)
    with store.writing() as tx:
        stored.reached(tx.connection, "v4", 900)

    assert [one.version for one in queue.waiting(store)] == ["v2", "v4", "v1", "v3"]
    assert queue.claim(store, ANNA).version == "v2"
    assert queue.claim(store, BEN).version == "v4"


def test_a_claim_gives_one_person_the_case(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle)

    assert (case.holder, case.status, state(store)) == ("anna", Status.CLAIMED, WorldState.IN_REVIEW)
    with pytest.raises(Conflict, match="claimed by anna"):
        queue.claim(store, BEN, case.id)
    with pytest.raises(NotFound, match="no case waits for ben"):
        queue.claim(store, BEN)


def test_of_many_who_claim_at_once_one_has_the_case(store: Store, bundle: Bundle) -> None:
    case = waiting(store, bundle)
    got: list[str] = []

    def take(person: Principal) -> None:
        with contextlib.suppress(Conflict):
            got.append(str(queue.claim(store, person, case.id).holder))

    threads = [threading.Thread(target=take, args=(one,)) for one in (ANNA, BEN, CORA, DAN)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(got) == 1
    assert cases_of(store)[0].holder == got[0]


def test_a_heartbeat_keeps_a_claim(store: Store, bundle: Bundle) -> None:
    case = queue.claim(store, ANNA, waiting(store, bundle).id, lease=60, now=1000)
    queue.renew(store, ANNA, case.id, case.token, lease=60, now=1050)

    assert queue.sweep(store, now=1100) == []
    assert queue.sweep(store, now=1111) == [case.id]
    assert state(store) is WorldState.NEEDS_REVIEW


def test_whoever_claims_their_own_case_keeps_it_longer(store: Store, bundle: Bundle) -> None:
    case = queue.claim(store, ANNA, waiting(store, bundle).id, lease=60, now=1000)
    again = queue.claim(store, ANNA, case.id, lease=60, now=1030)

    assert (again.token, again.lease_until) == (case.token, 1090)


def test_a_longer_claim_that_is_asked_for_twice_is_one(store: Store, bundle: Bundle) -> None:
    case = queue.claim(store, ANNA, waiting(store, bundle).id, lease=60, now=1000)
    queue.claim(store, ANNA, case.id, lease=60, now=1030, key="k1")

    assert queue.claim(store, ANNA, case.id, lease=60, now=1050, key="k1").lease_until == 1090


def test_a_decision_under_a_lease_that_ran_out_is_refused(store: Store, bundle: Bundle) -> None:
    case = queue.claim(store, ANNA, waiting(store, bundle).id, lease=60, now=1000)

    with pytest.raises(LeaseLost, match="has run out: claim it again"):
        decide(store, ANNA, case.id, CLEAR, bundle, now=1061)
    taken = queue.claim(store, BEN, case.id, now=1061)
    with pytest.raises(LeaseLost, match="anna does not hold"):
        decide(store, ANNA, case.id, CLEAR, bundle, token=case.token, now=1062)

    assert taken.holder == "ben"
    assert state(store) is WorldState.IN_REVIEW


def test_a_token_from_before_is_refused_even_of_the_same_person(store: Store, bundle: Bundle) -> None:
    case = queue.claim(store, ANNA, waiting(store, bundle).id, lease=60, now=1000)
    queue.claim(store, ANNA, case.id, lease=60, now=1100)

    with pytest.raises(LeaseLost):
        decide(store, ANNA, case.id, CLEAR, bundle, token=case.token, now=1101)


def test_a_case_that_is_given_back_waits_again(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle)
    queue.release(store, ANNA, case.id)

    assert state(store) is WorldState.NEEDS_REVIEW
    assert queue.claim(store, BEN).id == case.id


def test_notes_and_everything_done_are_kept_in_order(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle)
    queue.note(store, ANNA, case.id, "the sign is hard to read")
    queue.escalate(store, ANNA, case.id, "not sure about the language")

    actions = dossier(store, CORA, case.id)["actions"]
    assert [(one["actor"], one["action"]) for one in actions] == [
        ("anna", "claimed"),
        ("anna", "noted"),
        ("anna", "escalated"),
    ]
    assert actions[1]["detail"] == {"text": "the sign is hard to read"}
    with pytest.raises(ValueError, match="empty note"):
        queue.note(store, CORA, case.id, "  ")


def test_what_was_escalated_is_for_seniors_until_it_is_decided(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle)
    queue.escalate(store, ANNA, case.id, "not sure")

    assert state(store) is WorldState.ESCALATED
    with pytest.raises(MayNot, match="is for seniors"):
        queue.claim(store, BEN, case.id)
    queue.claim(store, CORA, case.id, lease=60, now=1000)
    queue.sweep(store, now=2000)
    assert state(store) is WorldState.ESCALATED
    queue.claim(store, DAN, case.id)
    decide(store, DAN, case.id, CLEAR, bundle)
    assert state(store) is WorldState.PUBLISHED


def test_what_the_policy_leaves_to_seniors_is_for_them_from_the_start(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, replace(judge(bundle, found("slur", 0.6)), escalate=True))
    (case,) = cases_of(store)

    with pytest.raises(MayNot, match="is for seniors"):
        queue.claim(store, ANNA, case.id)
    assert queue.claim(store, CORA).id == case.id


def test_only_reviewers_and_never_the_creator_may_look(store: Store, bundle: Bundle) -> None:
    submit(store, creator="anna")
    machine(store, bundle, judge(bundle, found("slur", 0.6)))
    (case,) = cases_of(store)

    with pytest.raises(MayNot, match="anna made world-v1"):
        queue.claim(store, ANNA, case.id)
    with pytest.raises(MayNot, match="takes the role moderator"):
        queue.claim(store, NOBODY, case.id)
    with pytest.raises(NotFound):
        queue.claim(store, ANNA)


# -- decisions ------------------------------------------------------------------------------------------


def test_who_clears_a_world_publishes_it(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle)
    decide(store, ANNA, case.id, CLEAR, bundle)

    assert state(store) is WorldState.PUBLISHED
    assert [world.id for world in store.published()] == ["world-v1"]
    assert store.history("v1")[-1].actor == "anna"


@pytest.mark.parametrize(
    ("outcome", "becomes"),
    [(Outcome.REJECT, WorldState.REJECTED), (Outcome.REQUEST_CHANGES, WorldState.CHANGES_REQUESTED)],
)
def test_who_stops_a_world_says_by_which_rule(
    store: Store, bundle: Bundle, outcome: Outcome, becomes: WorldState
) -> None:
    case = claimed(store, bundle)
    with pytest.raises(BadRuling, match="name the rules that it breaks: blood, flashing, slurs"):
        decide(store, ANNA, case.id, Choice(outcome), bundle)
    with pytest.raises(BadRuling, match="no rule 'rudeness'"):
        decide(store, ANNA, case.id, Choice(outcome, ("rudeness",)), bundle)
    decide(store, ANNA, case.id, Choice(outcome, ("slurs",), "the sign at the door"), bundle)

    assert state(store) is becomes
    assert store.history("v1")[-1].reason.endswith(": the sign at the door")
    assert store.history("v1")[-1].actor == "anna"


def test_what_was_never_published_cannot_be_taken_down(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle)

    with pytest.raises(BadRuling, match="cannot end with take_down: choose one of clear, reject"):
        decide(store, ANNA, case.id, Choice(Outcome.TAKE_DOWN, ("slurs",)), bundle)


def test_what_was_suspended_is_cleared_or_taken_down(store: Store, bundle: Bundle) -> None:
    case = suspended(store, bundle)
    queue.claim(store, CORA, case.id)
    decide(store, CORA, case.id, Choice(Outcome.TAKE_DOWN, ("slurs",), "players met it"), bundle)

    assert state(store) is WorldState.TAKEN_DOWN
    assert [event.to_state for event in store.history("v1")][-4:] == [
        "suspended",
        "needs_review",
        "in_review",
        "taken_down",
    ]


def test_a_take_down_by_a_moderator_waits_for_a_senior(store: Store, bundle: Bundle) -> None:
    case = suspended(store, bundle)
    queue.claim(store, ANNA, case.id)
    decide(store, ANNA, case.id, Choice(Outcome.TAKE_DOWN, ("slurs",)), bundle)

    assert state(store) is WorldState.AWAITING_SECOND_APPROVAL
    approve(store, CORA, case.id, bundle)
    assert state(store) is WorldState.TAKEN_DOWN


@pytest.mark.parametrize("label", ["blood", "flash"])
def test_severe_matters_take_two_people(store: Store, bundle: Bundle, label: str) -> None:
    submit(store)
    halted = frozenset({"flashing"})
    score = 0.95 if label == "flash" else 0.6
    machine(store, bundle, judge(bundle, found(label, score), halted=halted))
    case = queue.claim(store, CORA, cases_of(store)[0].id)
    decide(store, CORA, case.id, CLEAR, bundle)

    assert state(store) is WorldState.AWAITING_SECOND_APPROVAL
    with pytest.raises(MayNot, match="cora decided this: another person must agree"):
        approve(store, CORA, case.id, bundle)
    with pytest.raises(MayNot, match="takes the role senior"):
        approve(store, BEN, case.id, bundle)
    approve(store, DAN, case.id, bundle)

    assert state(store) is WorldState.PUBLISHED
    with store.reading() as connection:
        ruling = stored.ruling_of_case(connection, case.id)
    assert ruling is not None
    assert (ruling.decided_by, ruling.approved_by) == ("cora", "dan")


def test_who_does_not_agree_sends_it_back_to_the_queue(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle, label="blood")
    decide(store, ANNA, case.id, Choice(Outcome.REJECT, ("blood",)), bundle)
    disagree(store, CORA, case.id, "that is ketchup")

    assert state(store) is WorldState.NEEDS_REVIEW
    with pytest.raises(Conflict, match="nothing to agree with"):
        approve(store, CORA, case.id, bundle)
    assert queue.claim(store, BEN).proposal is None


def test_nobody_approves_by_a_rule_that_the_policy_has_lost(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle, label="blood")
    decide(store, ANNA, case.id, Choice(Outcome.REJECT, ("blood",)), bundle)
    other = replace(bundle, rules=tuple(rule for rule in bundle.rules if rule.id != "blood"))

    with pytest.raises(BadRuling, match="has no rule 'blood'"):
        approve(store, CORA, case.id, other)
    assert state(store) is WorldState.AWAITING_SECOND_APPROVAL


def test_the_database_itself_refuses_one_person_twice(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle)
    decide(store, ANNA, case.id, CLEAR, bundle)

    row = {"case": case.id, "version": "v1", "outcome": "clear", "rules": [], "reason": "", "stands": True}
    insert = case_tables.rulings.insert().values(**row, decided_by="anna", approved_by="anna", at=0.0)
    with pytest.raises(IntegrityError, match="second_person_differs"), store.writing() as tx:
        tx.connection.execute(insert)


@pytest.mark.parametrize("table", ["case_actions", "rulings", "statements"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = 0", "DELETE FROM {}"])
def test_what_was_done_and_decided_cannot_be_changed(
    store: Store, bundle: Bundle, table: str, statement: str
) -> None:
    case = claimed(store, bundle)
    decide(store, ANNA, case.id, REJECT, bundle)

    with pytest.raises(IntegrityError, match="append-only"), store.writing() as tx:
        tx.connection.exec_driver_sql(statement.format(table))


def test_a_request_that_comes_twice_changes_nothing(store: Store, bundle: Bundle) -> None:
    case = waiting(store, bundle, label="blood")

    def all_of_it() -> None:
        queue.claim(store, ANNA, case.id, key="k1")
        queue.note(store, ANNA, case.id, "hm", key="k2")
        decide(store, ANNA, case.id, Choice(Outcome.REJECT, ("blood",)), bundle, key="k3")
        approve(store, CORA, case.id, bundle, key="k4")
        appeal(store, "kim", "v1", "it is ketchup", key="k5")

    all_of_it()
    before = (cases_of(store), store.history("v1"))
    all_of_it()

    assert (cases_of(store), store.history("v1")) == before
    with pytest.raises(Conflict, match="the key 'k1' was used before"):
        queue.note(store, ANNA, case.id, "hm", key="k1")


# -- what a person decided stands ------------------------------------------------------------------------


def test_no_later_review_clears_what_a_person_rejected(store: Store, bundle: Bundle, tmp_path: Path) -> None:
    case = claimed(store, bundle)
    decide(store, ANNA, case.id, REJECT, bundle)
    (tmp_path / "other").mkdir()
    other = small_bundle(tmp_path / "other", "quality_sampling: 0.5\n")

    assert other.sha256 != bundle.sha256
    assert machine(store, other, judge(other), seed=5) is WorldState.NEEDS_REVIEW
    assert store.history("v1")[-1].reason == (
        "clear this time, but a person stopped it before: A slur is on the sign at the door."
    )
    assert cases_of(store)[-1].reason is Reason.CONFLICT


def test_no_later_review_rejects_what_a_person_cleared(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle)
    decide(store, ANNA, case.id, Choice(Outcome.CLEAR, reason="a plant's name"), bundle)

    assert machine(store, bundle, judge(bundle, found("slur", 0.95)), seed=5) is WorldState.NEEDS_REVIEW
    assert store.history("v1")[-1].reason.endswith("a person cleared it before: a plant's name")


def test_what_a_person_cleared_stays_clear_though_a_review_before_it_was_not(
    store: Store, bundle: Bundle
) -> None:
    case = claimed(store, bundle)
    decide(store, ANNA, case.id, CLEAR, bundle)

    assert machine(store, bundle, judge(bundle), seed=5) is WorldState.PUBLISHED


def test_no_review_puts_back_what_was_suspended(store: Store, bundle: Bundle) -> None:
    suspended(store, bundle)
    with store.writing() as tx:
        tx.transition("v1", WorldState.NEEDS_REVIEW, "guard", "a person must look")

    assert machine(store, bundle, judge(bundle), seed=5) is WorldState.NEEDS_REVIEW
    assert cases_of(store)[-1].reason is Reason.SUSPENDED


# -- appeals --------------------------------------------------------------------------------------------


def test_only_the_creator_appeals_and_once(store: Store, bundle: Bundle) -> None:
    case = rejected(store, bundle)

    assert (case.reason, state(store)) == (Reason.APPEAL, WorldState.APPEALED)
    with pytest.raises(Conflict, match="and once"):
        appeal(store, "kim", "v1", "again")
    with pytest.raises(NotFound):
        appeal(store, "somebody", "v1", "mine")
    queue.claim(store, ANNA, case.id)
    decide(store, ANNA, case.id, REJECT, bundle)
    assert state(store) is WorldState.UPHELD
    with pytest.raises(Conflict, match="is upheld"):
        appeal(store, "kim", "v1", "again")


def test_who_judges_an_appeal_sees_the_evidence_and_not_the_decision(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle)
    decide(store, ANNA, case.id, Choice(Outcome.REJECT, ("slurs",), "the sign by the door"), bundle)
    second = appeal(store, "kim", "v1", "it is the name of a plant")
    queue.claim(store, BEN, second.id)

    seen = repr(evidence(store, BEN, second.id))
    assert "it is the name of a plant" in seen
    for secret in ("anna", "slurs", "the sign by the door", "reject"):
        assert secret not in seen
    with pytest.raises(Conflict, match="judged without"):
        dossier(store, BEN, second.id)
    with pytest.raises(Conflict, match="decide it first"):
        first_decision(store, second.id)

    decide(store, BEN, second.id, CLEAR, bundle)
    first = first_decision(store, second.id)
    assert first is not None
    assert (first.decided_by, first.reason) == ("anna", "the sign by the door")
    assert state(store) is WorldState.PUBLISHED
    assert [event.to_state for event in store.history("v1")][-2:] == ["overturned", "published"]


def test_nobody_judges_an_appeal_against_themselves(store: Store, bundle: Bundle) -> None:
    case = queue.claim(store, CORA, waiting(store, bundle, label="blood").id)
    decide(store, CORA, case.id, Choice(Outcome.REJECT, ("blood",)), bundle)
    approve(store, DAN, case.id, bundle)
    second = appeal(store, "kim", "v1", "ketchup")

    for person in (CORA, DAN):
        with pytest.raises(MayNot, match="somebody else must"):
            queue.claim(store, person, second.id)
    assert queue.claim(store, ANNA).id == second.id


def test_an_appeal_in_a_severe_matter_takes_two_people(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, found("blood", 0.95)))
    case = appeal(store, "kim", "v1", "ketchup")
    queue.claim(store, ANNA, case.id)
    decide(store, ANNA, case.id, CLEAR, bundle)

    assert state(store) is WorldState.APPEALED
    approve(store, CORA, case.id, bundle)
    assert state(store) is WorldState.PUBLISHED


def test_an_appeal_that_nobody_keeps_waits_again(store: Store, bundle: Bundle) -> None:
    case = rejected(store, bundle)
    queue.claim(store, ANNA, case.id, lease=60, now=1000)

    assert queue.sweep(store, now=2000) == [case.id]
    assert (state(store), cases_of(store)[-1].status) == (WorldState.APPEALED, Status.WAITING)


def test_what_no_bot_has_played_is_played_before_it_is_published(store: Store, bundle: Bundle) -> None:
    with store.writing() as tx:
        tx.submit("v1", "world-v1", "Lantern Caves", "a cave", {}, "package-blob", None, "kim")
        tx.add_exploration("e1", "v1", 7, "simulator", "m" * 64, {})
        tx.set_exploration("v1", "e1")
        tx.transition("v1", WorldState.SCREENING, "policy", "looking")
        tx.transition("v1", WorldState.REJECTED, "policy", "a banned picture")
    case = appeal(store, "kim", "v1", "it is my own drawing")
    queue.claim(store, ANNA, case.id)
    decide(store, ANNA, case.id, CLEAR, bundle)

    assert state(store) is WorldState.EXPLORING
    assert [job.kind for job in store.queue.jobs("v1")] == ["explore"]


def test_the_reasons_that_a_creator_sees_name_nobody(store: Store, bundle: Bundle) -> None:
    case = claimed(store, bundle, label="blood")
    queue.release(store, ANNA, case.id)
    queue.claim(store, ANNA, case.id, lease=60, now=1000)
    queue.claim(store, BEN, case.id)
    decide(store, BEN, case.id, Choice(Outcome.REJECT, ("blood",), "Blood."), bundle)
    disagree(store, CORA, case.id, "ketchup")
    queue.claim(store, BEN, case.id)
    decide(store, BEN, case.id, Choice(Outcome.REJECT, ("blood",), "Blood."), bundle)
    approve(store, DAN, case.id, bundle)
    second = appeal(store, "kim", "v1", "it is ketchup")
    queue.claim(store, ANNA, second.id)
    decide(store, ANNA, second.id, Choice(Outcome.REJECT, ("blood",)), bundle)
    approve(store, CORA, second.id, bundle)

    told = " ".join(event.reason for event in store.history("v1"))
    assert not [one for one in ("anna", "ben", "cora", "dan") if one in told.split()]
    assert state(store) is WorldState.UPHELD
