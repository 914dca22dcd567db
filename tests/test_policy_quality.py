"""Rules held against people and against worlds whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from moderation import cli
from moderation.cases.reasons import Outcome, Reason
from moderation.evaluation.metrics import wilson
from moderation.policy_changes.golden import GoldenError, read_golden
from moderation.policy_changes.quality import Said, human_rows, judged, quality, said_of
from moderation.store import Store, cases, open_store
from policies.bundle import load_bundle
from policies.types import Verdict
from tests.changing_worlds import LOOSER, decided, slur
from tests.feed_home import package

WORLD = """\
title: {title}
prompt: a calm green meadow in the sun
mechanics: {{view: side, gravity: 1, speed: 1, hazards: 0, enemies: none, darkness: 0}}
"""


@pytest.fixture
def store(tmp_path: Path, each_database: str) -> Store:
    return open_store(tmp_path)


def rule(store: Store, version: str, outcome: Outcome, *rules: str) -> None:
    """A person checks a decision and says what is broken."""
    with store.writing() as tx:
        case = cases.find_case(tx.connection, cases.open_case(tx.connection, version, Reason.QUALITY))
        cases.add_ruling(tx.connection, case, cases.Proposal(outcome, rules, "", "", "grace"), None, None)


def said(**fired: str) -> dict[str, Said]:
    return {v: Said(Verdict.CLEARED, frozenset(rules.split())) for v, rules in fired.items()}


def test_precision_recall_and_agreement_count_what_is_known() -> None:
    rows = [
        ("a", "slurs", "rejected"),  # fired, broken
        ("b", "slurs", "cleared"),  # fired, not broken
        ("c", "slurs", "rejected"),  # not fired, broken
        ("d", "slurs", "cleared"),  # neither
        ("e", "slurs", "cleared"),
        ("unknown", "slurs", "rejected"),
    ]

    (slurs,) = quality(judged(rows), said(a="slurs", b="slurs links", c="", d="", e="links"))

    assert (slurs.precision.hits, slurs.precision.of) == (1, 2)
    assert (slurs.recall.hits, slurs.recall.of) == (1, 2)
    assert (slurs.agreement.hits, slurs.agreement.of) == (3, 5)
    assert (slurs.agreement.low, slurs.agreement.high) == wilson(3, 5)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_a_rule_that_says_what_is_known_always_agrees(cases: list[tuple[bool, bool]]) -> None:
    rows = [(str(i), "r", "rejected" if broken else "cleared") for i, (broken, _) in enumerate(cases)]
    right = {str(i): Said(Verdict.CLEARED, frozenset({"r"} if b else ())) for i, (b, _) in enumerate(cases)}

    for rule in quality(judged(rows), right):
        assert rule.agreement.hits == rule.agreement.of == len(cases)
        assert rule.false == rule.missed == 0


def test_a_ruling_names_what_is_broken_and_clears_the_rest(store: Store) -> None:
    decided(store, "rude", slur())
    decided(store, "wrongly", slur())
    decided(store, "alone", slur())
    rule(store, "rude", Outcome.REJECT, "slurs", "links")
    rule(store, "wrongly", Outcome.CLEAR)

    rows = human_rows(store)
    links, slurs = quality(judged(rows), said_of(store, load_bundle(), ["rude", "wrongly", "alone"]))

    assert sorted(rows) == [
        ("rude", "links", "rejected"),
        ("rude", "slurs", "rejected"),
        ("wrongly", "slurs", "cleared"),
    ]
    assert (links.missed, links.right) == (1, 0)
    assert (slurs.precision.hits, slurs.precision.of) == (1, 2)


def golden(folder: Path, lines: str, titles: list[str]) -> Path:
    for title in titles:
        (folder / title).mkdir(parents=True, exist_ok=True)
        (folder / title / "world.yaml").write_text(WORLD.format(title=title))
    (folder / "golden.yaml").write_text(f"worlds:\n{lines}")
    return folder


def test_a_golden_set_is_held_against_the_stored_evidence_of_any_bundle(store: Store, tmp_path: Path) -> None:
    decided(store, package("Rude").sha256, slur())
    decided(store, package("Calm").sha256)
    lines = (
        "  - {path: Rude, verdict: rejected, rules: [slurs]}\n"
        "  - {path: Calm, verdict: cleared}\n"
        "  - {path: Late, verdict: cleared}\n"
    )
    folder = golden(tmp_path / "set", lines, ["Rude", "Calm", "Late"])
    (tmp_path / "looser.yaml").write_text(LOOSER.replace("disable: [slurs]", "disable: [links]"))
    app = typer.Typer()
    cli.register(app)

    def ask(*words: str) -> str:
        wanted = ["policy", "quality", "--golden", str(folder), "--home", str(tmp_path), *words]
        ran = CliRunner().invoke(app, wanted)
        assert ran.exit_code == 0, ran.output
        return ran.output

    told = json.loads(ask("--json"))
    slurs = next(one for one in told["golden"] if one["rule"] == "slurs")
    assert (slurs["precision"]["share"], slurs["recall"]["share"], slurs["agreement"]["of"]) == (1, 1, 2)
    assert (told["verdicts"]["hits"], told["verdicts"]["of"]) == (2, 2)
    assert told["not_reviewed"] == [str(folder / "Late")]
    shown = ask("--bundle", str(tmp_path / "looser.yaml"))
    assert "looser 1, against the golden set" in shown
    assert "not reviewed" in shown


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ("  - {path: Calm, verdict: cleared, rules: [slur]}", "no rule slur.*slurs"),
        ("  - {path: Calm, verdict: fine}", "verdict"),
        ("  - {path: Nowhere, verdict: cleared}", "Nowhere"),
        ("  - {path: Calm, verdict: cleared, rule: x}", "rule"),
    ],
)
def test_a_wrong_golden_set_is_refused_with_the_fault(tmp_path: Path, lines: str, wrong: str) -> None:
    folder = golden(tmp_path, lines, ["Calm"])

    with pytest.raises(GoldenError, match=wrong):
        read_golden(folder, load_bundle())
    with pytest.raises(GoldenError, match=r"golden.yaml cannot be read"):
        read_golden(tmp_path / "Calm", load_bundle())
