"""Circuit breakers: a rule that rejects too often may only send to people, until somebody resets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scipy.stats import binom

from bots.risk import clopper_pearson_upper
from moderation.cases import audit, breakers
from moderation.cases.breakers import Tally, surprise
from moderation.cases.reasons import Reason
from moderation.states import WorldState
from moderation.store import NotFound, Store, open_store
from policies import Bundle, BundleError, Verdict
from policies.prose import bundle_in_words
from policies.schema import BreakerLimits
from tests.case_worlds import cases_of, found, judge, machine, small_bundle, state, submit

pytestmark = pytest.mark.usefixtures("each_database")
DAY = 86_400.0
NOON = 1_764_072_000.0  # 2025-11-25


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_bundle(tmp_path_factory.mktemp("policy"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    yield store
    store.close()


def charge(
    store: Store,
    bundle: Bundle,
    label: str = "",
    times: int = 1,
    now: float = NOON,
    limits: BreakerLimits | None = None,
) -> str | None:
    why = None
    halted = breakers.tripped(store)
    decision = judge(bundle, *([found(label, 0.95)] if label else []), halted=halted)
    for _ in range(times):
        with store.writing() as tx:
            why = breakers.charge(tx.connection, decision, limits, now)
    return why


def test_a_rule_rejects_no_more_than_its_quota_of_a_day(store: Store, bundle: Bundle) -> None:
    limits = BreakerLimits(daily=3)

    assert charge(store, bundle, "slur", 3, limits=limits) is None
    why = charge(store, bundle, "slur", limits=limits)
    assert why == "slurs: it has rejected 3 worlds without a person since the day began or it was reset"
    assert breakers.tripped(store) == {"slurs"}


def test_a_new_day_has_a_new_quota_but_what_has_tripped_stays_so(store: Store, bundle: Bundle) -> None:
    limits = BreakerLimits(daily=3)
    charge(store, bundle, "slur", 3, limits=limits)
    assert charge(store, bundle, "slur", now=NOON + DAY, limits=limits) is None

    charge(store, bundle, "blood", 4, limits=limits)
    assert breakers.tripped(store) == {"blood"}
    late = judge(bundle, found("blood", 0.95))  # decided before it had tripped
    with store.writing() as tx:
        assert "rejected 3 worlds" in (breakers.charge(tx.connection, late, limits, NOON + DAY) or "")


def test_a_rule_that_fires_far_more_often_than_before_trips(store: Store, bundle: Bundle) -> None:
    charge(store, bundle, times=200, now=NOON - DAY)
    charge(store, bundle, "slur", 2, now=NOON - DAY)

    assert charge(store, bundle, "slur", 4) is None
    why = charge(store, bundle, "slur")
    assert why is not None
    assert why.startswith("slurs: it fires on 5 of 5 worlds, and did on 2 of 202 before (p ")


def test_without_a_history_nothing_is_surprising(store: Store, bundle: Bundle) -> None:
    assert charge(store, bundle, "slur", 20) is None


@pytest.mark.parametrize(
    ("today", "before"),
    [
        (Tally(40, 9, 9), Tally(1000, 20, 20)),
        (Tally(5, 5, 5), Tally(10, 1, 1)),
        (Tally(9, 0, 0), Tally(9, 3, 3)),
    ],
)
def test_the_surprise_is_the_binomial_tail_at_the_upper_limit(today: Tally, before: Tally) -> None:
    rate = clopper_pearson_upper(before.fired, before.decided)
    tail = sum(binom.pmf(k, today.decided, rate) for k in range(today.fired, today.decided + 1))

    assert surprise(today, before) == pytest.approx(tail)


def test_nothing_fired_is_no_surprise() -> None:
    assert surprise(Tally(9, 0, 0), Tally(0, 0, 0)) == 1.0


def test_a_rejection_stands_while_one_of_its_rules_may_reject(store: Store, bundle: Bundle) -> None:
    limits = BreakerLimits(daily=1)
    charge(store, bundle, "slur", 2, limits=limits)
    both = judge(bundle, found("slur", 0.95), found("blood", 0.95))
    with store.writing() as tx:
        assert breakers.charge(tx.connection, both, limits, NOON) is None
    with store.writing() as tx:
        assert "blood: " in (breakers.charge(tx.connection, both, limits, NOON) or "")


def test_what_a_tripped_rule_would_reject_needs_a_review_and_says_so(
    store: Store, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breakers, "LIMITS", BreakerLimits(daily=1))
    submit(store, "v1")
    submit(store, "v2")
    submit(store, "v3")
    rejection = judge(bundle, found("slur", 0.95))

    assert machine(store, bundle, rejection, "v1") is WorldState.REJECTED
    assert machine(store, bundle, rejection, "v2") is WorldState.NEEDS_REVIEW  # decided before it tripped
    assert "a circuit breaker has tripped (slurs: it has rejected 1 worlds" in store.history("v2")[-1].reason
    assert cases_of(store, "v2")[0].reason is Reason.BREAKER

    after = judge(bundle, found("slur", 0.95), halted=breakers.tripped(store))
    assert (after.verdict, after.fired[0].action) == (Verdict.NEEDS_REVIEW, Verdict.NEEDS_REVIEW)
    assert "Slurs: rejected too often of late, so a person decides." in after.reasons
    assert machine(store, bundle, after, "v3") is WorldState.NEEDS_REVIEW
    assert cases_of(store, "v3")[0].reason is Reason.BREAKER
    assert not [one for one in audit.statements(store) if "v3" in one["puid"]]


def test_a_reset_lets_the_rule_reject_again_with_a_new_quota(store: Store, bundle: Bundle) -> None:
    limits = BreakerLimits(daily=2)
    charge(store, bundle, "slur", 3, limits=limits)
    with pytest.raises(ValueError, match="say why"):
        breakers.reset(store, "slurs", "cora", " ")
    breakers.reset(store, "slurs", "cora", "a wave of real slurs")

    assert charge(store, bundle, "slur", 2, limits=limits) is None
    assert charge(store, bundle, "slur", limits=limits) is not None
    with pytest.raises(NotFound, match="has not tripped"):
        breakers.reset(store, "blood", "cora", "why not")
    logged = [
        (one["rule"], one["action"], one["actor"]) for one in audit.records(store) if one["kind"] == "breaker"
    ]
    assert logged == [
        ("slurs", "tripped", "policy"),
        ("slurs", "reset", "cora"),
        ("slurs", "tripped", "policy"),
    ]


def test_readings_show_today_and_before(store: Store, bundle: Bundle) -> None:
    charge(store, bundle, times=10, now=NOON - DAY)
    charge(store, bundle, "slur", 2)
    first = {one.rule: one for one in breakers.readings(store, now=NOON)}["slurs"]

    assert (first.today, first.before) == (Tally(2, 2, 2), Tally(10, 0, 0))
    assert first.tripped is None
    assert 0 < first.surprise < 1


def test_what_happened_long_ago_does_not_count(store: Store, bundle: Bundle) -> None:
    charge(store, bundle, "slur", 5, now=NOON - 40 * DAY)

    assert {one.rule: one.before for one in breakers.readings(store, now=NOON)}["slurs"] == Tally(0, 0, 0)


def test_worlds_that_people_decide_are_not_counted(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle))
    with store.writing() as tx:
        tx.transition("v1", WorldState.SUSPENDED, "guard", "seen in play")
        tx.transition("v1", WorldState.NEEDS_REVIEW, "guard", "seen in play")
    before = breakers.readings(store)
    machine(store, bundle, judge(bundle), seed=3)

    assert state(store) is WorldState.NEEDS_REVIEW
    assert breakers.readings(store) == before


# -- limits of the policy -------------------------------------------------------------------------------


def test_a_policy_says_its_own_limits_rule_by_rule(store: Store, tmp_path: Path) -> None:
    strict = small_bundle(tmp_path, "breakers: {daily: 5, rules: {slurs: 1, flashing: 0}}\n")
    limits = breakers.limits_of(strict)

    assert charge(store, strict, "slur", limits=limits) is None
    assert "rejected 1 worlds" in (charge(store, strict, "slur", limits=limits) or "")
    assert charge(store, strict, "blood", 5, limits=limits) is None
    assert charge(store, strict, "flash", limits=limits) is not None
    assert "a day without a person (0 by flashing and 1 by slurs)" in " ".join(bundle_in_words(strict))


def test_without_limits_the_usual_ones_hold_and_the_hash_is_as_before(bundle: Bundle) -> None:
    assert breakers.limits_of(bundle) == BreakerLimits()
    assert bundle.sha256 == "78cec65ff017cf9cab14aee9ef87094245aa0925d7aa837412d27e0e7103c68b"


def test_a_quota_for_a_rule_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="a quota for a rule that there is not: slur"):
        small_bundle(tmp_path, "breakers: {rules: {slur: 1}}\n")
