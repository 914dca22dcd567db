"""Statements of reasons: one for every restrictive decision, in the form of the public database."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from moderation.cases import audit, queue
from moderation.cases.decide import Choice, decide
from moderation.cases.reasons import Outcome
from moderation.cases.statements import FIELDS, Basis, csv_lines, json_lines, statement
from moderation.states import WorldState
from moderation.store import Store, case_tables, open_store
from policies import Bundle
from policies.schemes import DSA
from tests.case_worlds import ANNA, CORA, cases_of, found, judge, machine, small_bundle, submit

pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_bundle(tmp_path_factory.mktemp("policy"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    yield store
    store.close()


def told(store: Store) -> list[dict[str, Any]]:
    return list(audit.statements(store))


def test_an_automatic_rejection_states_its_rule_category_and_automation(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, found("slur", 0.95, "call me on 555 1234")))

    (one,) = told(store)
    assert one["decision_visibility"] == ["DECISION_VISIBILITY_CONTENT_DISABLED"]
    assert one["decision_ground"] == "DECISION_GROUND_INCOMPATIBLE_CONTENT"
    assert one["category"] == "STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH"
    assert one["category_specification"] == ["KEYWORD_HATE_SPEECH"]
    assert (one["automated_detection"], one["automated_decision"]) == ("Yes", "AUTOMATED_DECISION_FULLY")
    assert one["incompatible_content_ground"] == "Worlds show no slurs."
    assert one["incompatible_content_explanation"] == "“…” is a slur (95%) at 0:01.0."
    assert "555" not in json.dumps(one)
    assert one["puid"].replace("-", "").replace("_", "").isalnum()


def test_a_persons_decision_is_not_automated_and_may_rest_on_law(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, found("slur", 0.6)))
    case = queue.claim(store, ANNA, cases_of(store)[0].id)
    choice = Choice(Outcome.REJECT, ("slurs",), "It incites hatred.", "§ 130 StGB")
    decide(store, ANNA, case.id, choice, bundle)

    (one,) = told(store)
    assert one["decision_ground"] == "DECISION_GROUND_ILLEGAL_CONTENT"
    assert one["illegal_content_legal_ground"] == "§ 130 StGB"
    assert one["illegal_content_explanation"].startswith("It incites hatred.")
    assert one["incompatible_content_ground"] is None
    assert one["automated_decision"] == "AUTOMATED_DECISION_NOT_AUTOMATED"
    assert one["automated_detection"] == "Yes"


def test_a_rule_that_no_detector_saw_broken_was_not_detected_automatically(
    store: Store, bundle: Bundle
) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, found("slur", 0.6)))
    case = queue.claim(store, ANNA, cases_of(store)[0].id)
    decide(store, ANNA, case.id, Choice(Outcome.REQUEST_CHANGES, ("flashing",), "The lamp flashes."), bundle)

    (one,) = told(store)
    assert (one["automated_detection"], one["category"]) == ("No", "STATEMENT_CATEGORY_VIOLENCE")


def test_suspension_and_take_down_have_one_each(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle))
    with store.writing() as tx:
        tx.transition("v1", WorldState.SUSPENDED, "guard", "players met “a name”")
    queue.claim(store, CORA, cases_of(store)[-1].id)
    decide(store, CORA, cases_of(store)[-1].id, Choice(Outcome.TAKE_DOWN, ("blood",), "Gore."), bundle)

    first, second = told(store)
    assert first["decision_facts"].endswith("players met “…”")
    assert first["decision_visibility"] == ["DECISION_VISIBILITY_CONTENT_DISABLED"]
    assert second["decision_visibility"] == ["DECISION_VISIBILITY_CONTENT_REMOVED"]
    assert len({first["puid"], second["puid"]}) == 2


def test_a_statement_is_in_the_transaction_of_its_decision(store: Store, bundle: Bundle) -> None:
    def reject_and_crash() -> None:
        with store.writing() as tx:
            tx.submit("v9", "w9", "t", "p", {}, "blob", None, "kim")
            tx.transition("v9", WorldState.SCREENING, "policy", "go")
            tx.transition("v9", WorldState.REJECTED, "policy", "a banned picture")
            assert tx.connection.execute(select(case_tables.statements)).one().version == "v9"
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        reject_and_crash()
    assert told(store) == []


def test_every_field_has_a_value_that_the_database_takes() -> None:
    long = "x" * 9000
    basis = Basis(long, (long,), (long,), ("STATEMENT_CATEGORY_VIOLENCE", "STATEMENT_CATEGORY_SELF_HARM"))
    one = statement("v1-3", WorldState.REJECTED, 1764057103.0, 1764000000.0, basis)

    assert tuple(one) == FIELDS
    assert (len(one["decision_facts"]), len(one["incompatible_content_ground"])) == (5000, 500)
    assert len(one["incompatible_content_explanation"]) == 2000
    assert (one["content_date"], one["application_date"]) == ("2025-11-24", "2025-11-25")
    assert one["category_addition"] == ["STATEMENT_CATEGORY_SELF_HARM"]
    assert len(one["territorial_scope"]) == 30
    assert one["category"] in DSA


def test_the_export_has_no_cap_and_both_forms_say_the_same(store: Store, bundle: Bundle) -> None:
    rejection = judge(bundle, found("slur", 0.95))
    for number in range(30):
        submit(store, f"v{number}")
        machine(store, bundle, rejection, f"v{number}")

    lines = [json.loads(line) for line in json_lines(audit.statements(store))]
    rows = list(csv.DictReader(io.StringIO("".join(csv_lines(audit.statements(store))))))
    assert len(lines) == len(rows) == 30
    for line, row in zip(lines, rows, strict=True):
        for field in FIELDS:
            expected = json.dumps(line[field]) if isinstance(line[field], list) else (line[field] or "")
            assert row[field] == expected


def test_statements_since_a_day(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, found("slur", 0.95)))
    at = store.history("v1")[-1].at

    assert len(list(audit.statements(store, at - 60))) == 1
    assert list(audit.statements(store, at + 60)) == []


def test_the_audit_has_every_event_and_action_in_order(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, found("slur", 0.6)))
    case = queue.claim(store, ANNA, cases_of(store)[0].id)
    decide(store, ANNA, case.id, Choice(Outcome.REJECT, ("slurs",), "A slur."), bundle)

    records = [json.loads(line) for line in audit.lines(store)]
    assert [one["at"] for one in records] == sorted(one["at"] for one in records)
    events = [one["to_state"] for one in records if one["kind"] == "event"]
    assert events == [event.to_state for event in store.history("v1")]
    assert [one["action"] for one in records if one["kind"] == "action"] == ["claimed", "decided"]
    assert {"case", "ruling", "statement"} <= {one["kind"] for one in records}
