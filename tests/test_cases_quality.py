"""How well machines decide: what is drawn, how agreement is measured, what it costs people."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.cases import queue
from moderation.cases.appeals import appeal
from moderation.cases.decide import Choice, decide
from moderation.cases.quality import kappa, quality
from moderation.cases.reasons import Outcome, Reason
from moderation.states import WorldState
from moderation.store import Store, open_store
from moderation.store.cases import Status
from policies import Bundle
from tests.case_worlds import ANNA, BEN, cases_of, found, judge, machine, small_bundle, state, submit

CLEAR, SLURS = Choice(Outcome.CLEAR), Choice(Outcome.REJECT, ("slurs",), "A slur.")
FAR = 9e9


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_bundle(tmp_path_factory.mktemp("policy"), "quality_sampling: 1.0\n")


@pytest.fixture
def store(tmp_path: Path, each_database: str) -> Store:
    return open_store(tmp_path)


def checked(store: Store, bundle: Bundle, version: str, says: Choice, *, rejected: bool) -> None:
    submit(store, version)
    findings = [found("slur", 0.95)] if rejected else []
    machine(store, bundle, judge(bundle, *findings, version=version), version)
    case = cases_of(store, version)[0]
    queue.claim(store, ANNA, case.id)
    decide(store, ANNA, case.id, says, bundle)


# -- agreement ------------------------------------------------------------------------------------------


def test_kappa_by_hand() -> None:
    """Observed .7, by chance .5, so .4; variance (.10972 + .10188 - .01) / (50 * .25), done by hand."""
    found = kappa([[20, 5], [10, 15]])

    assert found.n == 50
    assert found.observed == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.low == pytest.approx(0.4 - 1.959964 * 0.126996, abs=1e-5)
    assert found.high == pytest.approx(0.4 + 1.959964 * 0.126996, abs=1e-5)


def test_kappa_of_three_kinds_by_hand() -> None:
    """Observed 145/200; by chance (100*90 + 60*60 + 40*50) / 200²; so (.725 - .365) / (1 - .365)."""
    assert kappa([[75, 15, 10], [10, 40, 10], [5, 5, 30]]).kappa == pytest.approx(0.36 / 0.635)


@pytest.mark.parametrize(
    ("table", "value"),
    [
        ([[5, 0], [0, 5]], 1.0),
        ([[0, 5], [5, 0]], -1.0),
        ([[25, 25], [25, 25]], 0.0),
        ([[9, 0], [0, 0]], None),
    ],
)
def test_kappa_at_its_ends(table: list[list[int]], value: float | None) -> None:
    assert kappa(table).kappa == (value if value is None else pytest.approx(value))


@given(st.lists(st.lists(st.integers(0, 40), min_size=2, max_size=2), min_size=2, max_size=2))
def test_kappa_lies_in_its_interval_and_does_not_care_who_is_who(table: list[list[int]]) -> None:
    if not any(map(sum, table)):
        with pytest.raises(ValueError, match="nobody has judged"):
            kappa(table)
        return
    found, turned = kappa(table), kappa([list(row) for row in zip(*table, strict=True)])
    if found.kappa is None:
        return
    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low <= found.kappa <= found.high <= 1
    assert turned.kappa == pytest.approx(found.kappa)


# -- sampling -------------------------------------------------------------------------------------------


def test_what_is_drawn_has_a_case_and_the_world_does_not_wait(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, version="v1"))

    assert state(store) is WorldState.PUBLISHED
    assert [(one.reason, one.status) for one in cases_of(store)] == [(Reason.QUALITY, Status.WAITING)]
    queue.claim(store, ANNA)
    assert state(store) is WorldState.PUBLISHED


def test_who_agrees_changes_nothing(store: Store, bundle: Bundle) -> None:
    checked(store, bundle, "v1", CLEAR, rejected=False)
    checked(store, bundle, "v2", SLURS, rejected=True)
    events = len(store.history("v2"))

    assert (state(store, "v1"), state(store, "v2")) == (WorldState.PUBLISHED, WorldState.REJECTED)
    assert len(store.history("v2")) == events


def test_who_finds_what_must_not_be_played_suspends_it(store: Store, bundle: Bundle) -> None:
    checked(store, bundle, "v1", SLURS, rejected=False)

    assert state(store) is WorldState.SUSPENDED
    assert [one.reason for one in cases_of(store)] == [Reason.QUALITY, Reason.SUSPENDED]


def test_a_check_binds_no_later_review(store: Store, bundle: Bundle) -> None:
    checked(store, bundle, "v1", CLEAR, rejected=True)

    assert machine(store, bundle, judge(bundle, found("slur", 0.95)), seed=4) is WorldState.REJECTED


# -- figures --------------------------------------------------------------------------------------------


def test_agreement_in_all_and_by_rule(store: Store, bundle: Bundle) -> None:
    for number in range(4):
        checked(store, bundle, f"a{number}", CLEAR, rejected=False)
        checked(store, bundle, f"b{number}", SLURS, rejected=True)
    checked(store, bundle, "c", CLEAR, rejected=True)
    checked(store, bundle, "d", Choice(Outcome.REJECT, ("blood",), "Blood."), rejected=False)
    figures = quality(store, FAR)

    assert figures.in_all is not None
    assert (figures.in_all.n, figures.in_all.observed) == (10, 0.8)
    assert figures.in_all.kappa == pytest.approx(0.6)
    assert set(figures.by_rule) == {"slurs", "blood"}
    assert figures.by_rule["slurs"].observed == 0.9
    assert figures.by_rule["blood"].observed == 0.9
    assert figures.by_rule["blood"].kappa == pytest.approx(0.0)
    assert figures.times[Reason.QUALITY].n == 10


def test_overturned_appeals_and_time_per_case(store: Store, tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path)
    for number, says in enumerate((CLEAR, SLURS, SLURS)):
        version = f"v{number}"
        submit(store, version)
        machine(store, bundle, judge(bundle, found("slur", 0.95)), version)
        case = appeal(store, "kim", version, "it is a plant")
        queue.claim(store, BEN, case.id, now=1000)
        decide(store, BEN, case.id, says, bundle, now=1060 + 10 * number)
    figures = quality(store, FAR)

    assert (figures.appeals.hits, figures.appeals.of) == (1, 3)
    assert 0 < figures.appeals.low < 1 / 3 < figures.appeals.high < 1
    assert (figures.times[Reason.APPEAL].median, figures.times[Reason.APPEAL].late) == (70.0, 0)
    assert figures.in_all is None


def test_what_is_overdue_is_counted(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, version="v1"))

    assert (quality(store, 0.0).overdue, quality(store, FAR).overdue) == (0, 1)
