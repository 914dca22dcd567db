"""``firstplay cases``, ``audit`` and ``policy breakers``, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from feedapi.cli import build_app
from moderation.accounts import create_account
from moderation.cases import breakers
from moderation.pipeline import POLICY_VARIABLE
from moderation.store import Store, open_store
from policies import Bundle
from policies.schema import BreakerLimits
from tests.case_worlds import found, judge, machine, small_bundle, submit


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    bundle = small_bundle(tmp_path, "quality_sampling: 1.0\n")
    monkeypatch.setenv(POLICY_VARIABLE, str(tmp_path / "small.yaml"))
    return bundle


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("FIRSTPLAY_HOME", str(tmp_path / "home"))
    store = open_store(tmp_path / "home")
    for name, role in (
        ("anna", "moderator"),
        ("cora", "senior"),
        ("pia", "policy_author"),
        ("kim", "creator"),
    ):
        create_account(store, name, [role])
    return store


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(build_app(), list(words))


def told(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout)


def needs_review(store: Store, bundle: Bundle, label: str = "slur", version: str = "v1") -> None:
    submit(store, version)
    machine(store, bundle, judge(bundle, found(label, 0.6)), version)


def test_a_case_from_the_queue_to_a_decision(store: Store, bundle: Bundle) -> None:
    needs_review(store, bundle)
    assert "world-v1" in run("cases", "list").stdout
    assert [one["reason"] for one in told("cases", "list")] == ["policy"]

    assert told("cases", "claim", "--as", "anna")["holder"] == "anna"
    assert run("cases", "note", "1", "hard to read", "--as", "anna").exit_code == 0
    shown = told("cases", "show", "1", "--as", "anna")
    assert shown["actions"][1]["detail"] == {"text": "hard to read"}
    assert shown["fired"][0]["rule"] == "slurs"
    result = run("cases", "decide", "1", "reject", "--rule", "slurs", "--reason", "A slur.", "--as", "anna")

    assert result.exit_code == 0
    assert result.stdout == "case 1 (world-v1, policy): closed: reject\n"
    assert "rejected by a person: A slur." in run("worlds").stdout


def test_a_second_person_must_agree(store: Store, bundle: Bundle) -> None:
    needs_review(store, bundle, "blood")
    run("cases", "claim", "1", "--as", "anna")

    assert run("cases", "decide", "1", "clear", "--as", "anna").exit_code == 1
    refused = run("cases", "approve", "1", "--as", "anna")
    assert refused.exit_code == 2
    assert "may not approve: that takes the role senior" in refused.stderr
    assert told("cases", "approve", "1", "--as", "cora")["outcome"] == "clear"
    assert store.version("v1").state == "published"


def test_who_does_not_agree_and_who_gives_it_back_or_up(store: Store, bundle: Bundle) -> None:
    needs_review(store, bundle, "blood")
    run("cases", "claim", "1", "--as", "anna")
    run("cases", "decide", "1", "clear", "--as", "anna")
    assert told("cases", "approve", "1", "--disagree", "it is blood", "--as", "cora")["status"] == "waiting"
    run("cases", "claim", "1", "--as", "anna")
    assert told("cases", "release", "1", "--as", "anna")["status"] == "waiting"
    run("cases", "claim", "1", "--as", "anna")
    assert told("cases", "escalate", "1", "--reason", "unsure", "--as", "anna")["senior"] is True
    assert run("cases", "sweep").stdout == ""


def test_an_appeal_shows_only_the_evidence(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, found("slur", 0.95)))
    assert told("cases", "appeal", "world-v1", "--text", "a plant", "--as", "kim")["reason"] == "appeal"
    run("cases", "claim", "1", "--as", "anna")

    shown = told("cases", "show", "1", "--as", "anna")
    assert shown["plea"] == "a plant"
    assert {"fired", "reasons", "history", "ruling"}.isdisjoint(shown)
    assert "decision" not in told("cases", "list")[0]
    assert told("cases", "decide", "1", "clear", "--as", "anna")["outcome"] == "clear"
    assert store.version("v1").state == "published"


def test_checks_of_quality_and_their_figures(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, version="v1"))
    run("cases", "claim", "1", "--as", "anna")
    run("cases", "decide", "1", "clear", "--as", "anna")

    lines = run("cases", "quality").stdout.splitlines()
    assert lines[:3] == [
        "0 cases open, 0 of them overdue",
        "appeals: 0 of 0 overturned (95 %: 0.00 to 1.00)",
        "checks of automatic decisions: 1 cases, 100% alike; kappa is not defined where all are of one kind",
    ]
    assert told("cases", "quality")["in_all"]["n"] == 1


def test_exports_stream_what_was_stated_and_done(store: Store, bundle: Bundle) -> None:
    submit(store)
    machine(store, bundle, judge(bundle, found("slur", 0.95)))

    (line,) = run("cases", "statements").stdout.splitlines()
    assert json.loads(line)["automated_decision"] == "AUTOMATED_DECISION_FULLY"
    assert run("cases", "statements", "--format", "csv").stdout.startswith("puid,decision_visibility,")
    assert run("cases", "statements", "--since", "2099-01-01").stdout == ""
    kinds = [json.loads(line)["kind"] for line in run("audit", "export").stdout.splitlines()]
    assert kinds.count("event") == len(store.history("v1"))


def test_breakers_are_shown_and_reset(store: Store, bundle: Bundle) -> None:
    decision = judge(bundle, found("slur", 0.95))
    for _ in range(2):
        with store.writing() as tx:
            breakers.charge(tx.connection, decision, BreakerLimits(daily=1))

    assert "tripped: it has rejected 1 worlds" in run("policy", "breakers").stdout
    assert "say who does this" in run("policy", "breakers", "--reset", "slurs").stderr
    refused = run("policy", "breakers", "--reset", "slurs", "--as", "anna", "--reason", "fine")
    assert (refused.exit_code, "anna may not do this" in refused.stderr) == (2, True)
    assert "say why" in run("policy", "breakers", "--reset", "slurs", "--as", "pia").stderr
    shown = told("policy", "breakers", "--reset", "slurs", "--as", "pia", "--reason", "a wave of slurs")
    assert [one["tripped"] for one in shown] == [None, None, None]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["claim", "--as", "anna"], "no case waits for anna"),
        (["claim", "--as", "nobody"], "no account 'nobody'"),
        (["claim", "--as", "kim"], "kim may not do this"),
        (["show", "9", "--as", "anna"], "no case 9"),
        (["appeal", "atlantis", "--text", "x"], "no world 'atlantis'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    store: Store, bundle: Bundle, words: list[str], says: str
) -> None:
    result = run("cases", *words)

    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
