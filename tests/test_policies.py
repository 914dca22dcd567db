"""Decisions: what a bundle says about findings, and when a bundle must not decide at all."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from policies import (
    BundleError,
    Context,
    Coverage,
    Decision,
    DetectorRun,
    Finding,
    Source,
    Verdict,
    decide,
    load_bundle,
)
from policies.bound import upper_bound
from policies.bundle import DEFAULT
from policies.cases import sufficient_coverage
from policies.engine import SEVERITY, Material, outline
from policies.schema import json_schema

BUNDLE = load_bundle()
ENOUGH = sufficient_coverage(BUNDLE)
LABELS = [(name, label) for name, entry in BUNDLE.header.detectors.items() for label in entry.labels]
RUNS = [
    DetectorRun(name, "9", source, 5, ok=True)
    for name in BUNDLE.header.detectors
    for source in (Source.MEDIA, Source.PLAYTHROUGH)
]
counter = itertools.count()


def found(detector: str, label: str, score: float, **more: object) -> Finding:
    values = {"source": Source.PLAYTHROUGH, "playthrough": "p1", **more}
    return Finding(f"f{next(counter)}", detector, "1", label, score, **values)


def judge(*findings: Finding, runs: list[DetectorRun] = RUNS, coverage: Coverage = ENOUGH) -> Decision:
    return decide(BUNDLE, findings, runs, coverage)


# -- verdicts -----------------------------------------------------------------------------------------


def test_nothing_found_and_enough_looked_at_clears() -> None:
    decision = judge()
    assert decision.verdict is Verdict.CLEARED
    assert decision.fired == ()
    assert decision.reasons[0] == "No rule found a violation in what was looked at."


def test_a_slur_rejects_and_says_what_where_and_when() -> None:
    decision = judge(found("text", "slur", 0.97, text="KEEP  OUT\n{x}", start=72.5, end=74))
    assert decision.verdict is Verdict.REJECTED
    assert [f.rule for f in decision.fired] == ["slurs"]
    assert (
        decision.reasons[0] == "“KEEP OUT {x}” contains a slur (97% sure), met at 1:12.5 in playthrough p1."
    )


def test_a_creator_is_told_what_to_change_but_not_where_nothing_was_judged() -> None:
    (flashing,) = judge(found("flash", "general_flash", 1.0)).fired
    assert flashing.remedy.startswith("Let it flash at most three times a second")
    unjudged = judge(runs=[run for run in RUNS if run.detector != "flash"]).fired
    assert {one.remedy for one in unjudged} == {""}


def test_the_most_severe_action_wins_and_all_rules_stay() -> None:
    decision = judge(found("text", "link", 0.9), found("flash", "general_flash", 1.0))
    assert decision.verdict is Verdict.REJECTED
    assert [f.rule for f in decision.fired] == ["flashing", "links"]


def test_a_failed_detector_never_clears() -> None:
    broken = replace(RUNS[0], ok=False, error="out of memory")
    decision = judge(runs=[*RUNS, broken])
    assert decision.verdict is Verdict.NEEDS_REVIEW
    assert "out of memory" in decision.reasons[0]


def test_a_detector_that_never_ran_in_play_never_clears() -> None:
    decision = judge(
        runs=[run for run in RUNS if (run.detector, run.source) != ("flash", Source.PLAYTHROUGH)]
    )
    assert decision.verdict is Verdict.NEEDS_REVIEW
    assert "flash never ran on playthroughs" in decision.reasons[0]


def test_one_cause_is_told_once_for_all_rules_it_leaves_open() -> None:
    decision = judge(runs=[run for run in RUNS if run.detector != "speech"])
    told = [reason for reason in decision.reasons if "speech never ran" in reason]
    assert len(told) == 1
    assert len(decision.fired) > 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sample_episodes": 29}, "only 29 of the 30 independent playthroughs"),
        ({"search_steps": 9_999}, "only 9,999 of the 10,000 search steps"),
        ({"discovery_rate": 30.5}, "still found 30.5 new cells"),
        ({"discovery_rate": float("nan")}, "too short to measure"),
        ({"discovery_rate": float("inf")}, "too short to measure"),
    ],
)
def test_too_little_coverage_never_clears(change: dict[str, float], says: str) -> None:
    decision = judge(coverage=replace(ENOUGH, **change))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert any(says in reason for reason in decision.reasons)


def test_too_little_coverage_does_not_soften_a_rejection() -> None:
    assert judge(found("text", "slur", 0.97), coverage=Coverage()).verdict is Verdict.REJECTED


def test_the_reason_for_stopping_comes_last() -> None:
    decision = judge(coverage=replace(ENOUGH, stop_reason="the budget of 60,000 steps ended"))
    assert decision.reasons[-1] == "Exploration ended: the budget of 60,000 steps ended."


def test_findings_outside_a_rules_scope_do_not_fire_it() -> None:
    decision = judge(found("text", "slur", 0.97, source=Source.MEDIA, playthrough=None, media="prompt"))
    assert [f.rule for f in decision.fired] == ["submitted-words"]
    assert "the submitted prompt" in decision.reasons[0]


def test_live_play_needs_no_coverage_but_fails_closed() -> None:
    live = [replace(run, source=Source.LIVE) for run in RUNS]
    context = Context(stage="live")
    assert decide(BUNDLE, [], live, Coverage(), context).verdict is Verdict.CLEARED
    assert decide(BUNDLE, [], [], Coverage(), context).verdict is Verdict.NEEDS_REVIEW
    bad = found("flash", "red_flash", 1.0, source=Source.LIVE)
    assert decide(BUNDLE, [bad], live, Coverage(), context).verdict is Verdict.REJECTED


def test_the_trace_names_every_rule_with_its_values_and_is_json() -> None:
    decision = judge(found("text", "slur", 0.6))
    assert {entry["rule"] for entry in decision.trace} == {rule.id for rule in BUNDLE.rules}
    slurs = next(entry for entry in decision.trace if entry["rule"] == "slurs")
    assert slurs["values"] == {'max("slur")': 0.6}
    assert slurs["basis"] == "review"
    json.dumps(asdict(decision), allow_nan=False)


def test_evidence_is_listed_strongest_first() -> None:
    weak, strong = found("text", "slur", 0.85), found("text", "slur", 0.95)
    assert judge(weak, strong).fired[0].findings == (strong.id, weak.id)


# -- bounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("episodes", "recall"), [(299, 1.0), (332, 0.9), (498, 0.6), (730, 0.41)])
def test_the_bound_falls_under_one_percent_at_the_known_sample_sizes(episodes: int, recall: float) -> None:
    assert upper_bound(episodes, recall) < 0.0100
    assert upper_bound(episodes - 4, recall) > 0.0100


def test_the_bound_is_capped_and_refuses_nonsense() -> None:
    assert upper_bound(0, 0.9) == upper_bound(1, 0.5) == 1.0
    with pytest.raises(ValueError, match="recall in"):
        upper_bound(10, 0.0)


def test_rules_about_play_that_saw_nothing_are_bounded() -> None:
    bounds = {bound.rule: bound for bound in judge(found("text", "slur", 0.97)).bounds}
    assert "slurs" not in bounds
    assert "nudity-in-media" not in bounds
    assert bounds["flashing"].upper == pytest.approx(upper_bound(30, 0.91))


def test_what_a_detector_misses_by_looking_at_little_widens_the_bound() -> None:
    coverage = replace(ENOUGH, kept={"ocr": 0.8, "text": 0.9})
    bounds = {bound.rule: bound for bound in judge(coverage=coverage).bounds}
    assert bounds["slurs"].recall == pytest.approx(0.42 * 0.8)
    assert bounds["slurs"].upper == pytest.approx(upper_bound(30, 0.42 * 0.8))
    assert bounds["flashing"].recall == 0.91
    nothing = judge(coverage=replace(ENOUGH, kept={"flash": 0.0})).bounds
    assert next(bound.upper for bound in nothing if bound.rule == "flashing") == 1.0


def test_what_was_measured_counts_where_it_is_less_than_what_is_assumed() -> None:
    """A rule about words relies on the reader and on what judges what was read, measured together."""
    measured = {
        "ocr+text": {"slur": 0.35, "threat": 0.99},
        "speech+text": {"threat": 0.4},
        "text": {"slur": 0.1},
    }
    bounds = {one.rule: one for one in judge(coverage=replace(ENOUGH, recall=measured)).bounds}
    assert bounds["slurs"].recall == 0.35
    assert bounds["threats"].recall == 0.4
    assert bounds["flashing"].recall == 0.91


def test_a_rule_without_its_detector_has_no_bound() -> None:
    bounds = judge(runs=[run for run in RUNS if run.detector != "flash"]).bounds
    assert "flashing" not in {bound.rule for bound in bounds}


# -- properties ---------------------------------------------------------------------------------------


def findings() -> st.SearchStrategy[list[Finding]]:
    one = st.tuples(
        st.integers(0, 10**9),
        st.sampled_from(LABELS),
        st.floats(0, 1),
        st.sampled_from(list(Source)),
        st.floats(0, 5),
        st.floats(0, 2),
        st.sampled_from(["p1", "p2"]),
    )
    return st.lists(one, max_size=25).map(
        lambda rows: [
            Finding(f"{i}-{key}", d, "1", label, score, source, start, start + length, play)
            for i, (key, (d, label), score, source, start, length, play) in enumerate(rows)
        ]
    )


@given(findings(), st.randoms(use_true_random=False))
def test_the_order_of_findings_and_runs_changes_nothing(given_: list[Finding], random: object) -> None:
    shuffled, runs = list(given_), list(RUNS)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    random.shuffle(runs)  # type: ignore[attr-defined]
    assert judge(*given_) == judge(*shuffled, runs=runs)


@given(findings(), st.sets(st.sampled_from([run.detector for run in RUNS])), st.integers(0, 40))
def test_an_outline_is_the_decision_without_its_words(
    given_: list[Finding], absent: set[str], episodes: int
) -> None:
    """Also where bundles share what is worked out about the evidence."""
    runs = [run for run in RUNS if run.detector not in absent]
    coverage = replace(sufficient_coverage(BUNDLE), sample_episodes=episodes)
    material = Material(given_, runs)

    for _ in range(2):
        told = outline(BUNDLE, material, coverage, Context())
        decision = decide(BUNDLE, given_, runs, coverage)
        assert told.verdict is decision.verdict
        assert [(f.rule, f.action, f.severity, f.findings) for f in told.fired] == [
            (f.rule, f.action, f.severity, f.findings) for f in decision.fired
        ]


@given(findings())
def test_a_finding_stored_twice_is_one_finding(given_: list[Finding]) -> None:
    assert judge(*given_) == judge(*given_, *given_)


@settings(max_examples=150)
@given(findings(), findings())
def test_one_more_finding_is_never_more_lenient(before: list[Finding], more: list[Finding]) -> None:
    assert all(rule.monotone for rule in BUNDLE.rules)
    added = [replace(f, id=f"more-{f.id}") for f in more]
    assert SEVERITY[judge(*before, *added).verdict] >= SEVERITY[judge(*before).verdict]


# -- loading ------------------------------------------------------------------------------------------

SMALL = """\
bundle: small
version: "1"
status: draft
summary: One rule.
coverage: {min_sample_episodes: 5, min_search_steps: 10, max_discovery_rate: 9}
detectors:
  eye: {labels: [bad], recall: {bad: 0.5}}
categories:
  harm: {title: Harm, dsa: STATEMENT_CATEGORY_VIOLENCE}
rules:
  - rule: bad-thing
    title: A bad thing
    category: harm
    severity: S2
    scope: [playthrough]
    detectors: [{name: eye, min_version: "2"}]
    when: max("bad") >= 0.9
    explanation: "Seen {count} times."
    guideline: Nothing bad is shown.
tests:
  - name: bad
    findings: [{detector: eye, label: bad, score: 1}]
    expect: rejected
"""


def write(folder: Path, text: str, name: str = "small.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_bundle_is_a_file_or_a_folder(tmp_path: Path) -> None:
    head, rules = SMALL.split("rules:\n")
    write(tmp_path, head, "head.yaml")
    write(tmp_path, "rules:\n" + rules, "rules.yaml")
    single = tmp_path / "one"
    single.mkdir()
    assert load_bundle(tmp_path).sha256 == load_bundle(write(single, SMALL)).sha256


def test_comments_layout_and_status_do_not_change_the_hash_but_content_does(tmp_path: Path) -> None:
    plain = load_bundle(write(tmp_path, SMALL)).sha256
    commented = SMALL.replace("status: draft", "# a comment\nstatus: live").replace('"Seen', "'Seen")
    commented = commented.replace('times."', "times.'")
    assert load_bundle(write(tmp_path, commented)).sha256 == plain
    assert load_bundle(write(tmp_path, SMALL.replace("0.9", "0.8"))).sha256 != plain


def test_a_detector_older_than_the_rule_asks_for_counts_as_missing(tmp_path: Path) -> None:
    bundle = load_bundle(write(tmp_path, SMALL))
    for version, verdict in {
        "1.9": Verdict.NEEDS_REVIEW,
        "2": Verdict.CLEARED,
        "2.0.1": Verdict.CLEARED,
    }.items():
        runs = [DetectorRun("eye", version, Source.PLAYTHROUGH, 1, ok=True)]
        assert decide(bundle, [], runs, sufficient_coverage(bundle)).verdict is verdict


def test_a_rule_that_needs_a_person_only_proposes(tmp_path: Path) -> None:
    text = SMALL.replace("    when:", "    requires_human: true\n    when:").replace(
        "rejected", "needs_review"
    )
    bundle = load_bundle(write(tmp_path, text))
    assert bundle.rule("bad-thing").spec.requires_human


def test_detectors_in_scope_where_media_is_optional(tmp_path: Path) -> None:
    text = SMALL.replace("scope: [playthrough]", "scope: [media, playthrough]\n    on_missing: ignore")
    bundle = load_bundle(write(tmp_path, text))
    assert decide(bundle, [], [], sufficient_coverage(bundle)).verdict is Verdict.CLEARED


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "says"),
    [
        ('max("bad") >= 0.9', 'max("bad") >= "0.9"', 17, 25, "cannot compare a number with text"),
        ('max("bad") >= 0.9', 'max("good") >= 0.9', 17, 15, 'has the label "good"'),
        ('max("bad") >= 0.9', "'max(\"good\") >= 0.9'", 17, 16, 'has the label "good"'),
        ('max("bad") >= 0.9', '|\n      true &&\n      max("good") >= 0.9', 19, 11, 'has the label "good"'),
        ('max("bad") >= 0.9', '>-\n      true &&\n      max("good") >= 0.9', 19, 11, 'has the label "good"'),
        ('max("bad") >= 0.9', 'worst("bad") >= 0.9', 17, 11, "there is no function worst"),
        ('    when: max("bad") >= 0.9\n', "", 11, 5, "can never fire"),
        ("{name: eye", "{name: nose", 16, 24, "unknown detector nose"),
        ("category: harm", "category: fun", 13, 15, "unknown category fun"),
        ("severity: S2", "severity: S9", 14, 15, "severity: S9 is not one of the choices"),
        ("    severity: S2\n", "", 11, 5, "severity: this field is missing"),
        ("guideline: Nothing", "guidelines: Nothing", 19, 5, "Did you mean guideline?"),
        ("{count}", "{cuont}", 18, 18, "unknown placeholder {cuont}"),
        ("{count}", "{count", 18, 18, "no valid template"),
        ("{count}", "{text.__class__}", 18, 18, "unknown placeholder {text.__class__}"),
        ("rule: bad-thing", "rule: Bad Thing", 11, 11, "not a valid name"),
        ("status: draft", "status: maybe", 3, 9, "status"),
        ("recall: {bad: 0.5}", "recall: {bad: 0}", 7, 38, "greater than 0"),
        ("rules:", "rules: ]", 10, 8, "not valid YAML"),
        ("version:", "bundle:", 2, 1, "not valid YAML"),
        ("version:", "? {a: {b: c}}\n:", 1, 1, "a key is no name"),
    ],
)
def test_a_wrong_bundle_says_file_line_and_column(
    tmp_path: Path, old: str, new: str, line: int, column: int, says: str
) -> None:
    path = write(tmp_path, SMALL.replace(old, new, 1))
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    problem = next(p for p in caught.value.problems if says in str(p))
    assert (problem.file, problem.line, problem.column) == (str(path), line, column)
    assert problem.remedy


def test_all_problems_of_all_rules_are_told_at_once(tmp_path: Path) -> None:
    rule = SMALL[SMALL.index("  - rule:") : SMALL.index("tests:")]
    worse = rule.replace("max(", "mux(") + rule.replace("bad-thing", "other").replace("harm", "fun")
    with pytest.raises(BundleError) as caught:
        load_bundle(write(tmp_path, SMALL.replace(rule, worse)))
    assert [p.rule for p in caught.value.problems] == ["bad-thing", "other"]


def test_a_bundle_whose_test_case_fails_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="test case 'bad' expects cleared but got rejected"):
        load_bundle(write(tmp_path, SMALL.replace("expect: rejected", "expect: cleared")))


def test_a_case_may_say_exactly_which_rules_fire(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expects no rule to fire but got bad-thing"):
        load_bundle(write(tmp_path, SMALL + "    fired: []\n"))


def test_a_rule_name_is_used_once(tmp_path: Path) -> None:
    rule = SMALL[SMALL.index("  - rule:") : SMALL.index("tests:")]
    with pytest.raises(BundleError, match="already used"):
        load_bundle(write(tmp_path, SMALL.replace(rule, rule + rule)))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BundleError, match="not a mapping"):
        load_bundle(write(tmp_path, text))


def test_files_that_are_not_there_not_text_or_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no policy file"):
        load_bundle(tmp_path)
    with pytest.raises(BundleError, match="no policy file"):
        load_bundle(tmp_path / "nowhere")
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match=r"a\.yaml:1:1: cannot be read as UTF-8"):
        load_bundle(tmp_path)
    write(tmp_path, "# " + "x" * 1_000_001, "a.yaml")
    with pytest.raises(BundleError, match="larger than"):
        load_bundle(tmp_path)


def test_the_header_stands_in_one_file_and_is_whole(tmp_path: Path) -> None:
    write(tmp_path, SMALL, "a.yaml")
    write(tmp_path, "version: '2'\n", "b.yaml")
    with pytest.raises(BundleError, match=r"b\.yaml:1:1: .*not a\.yaml, b\.yaml"):
        load_bundle(tmp_path)
    with pytest.raises(BundleError, match="Add summary"):
        load_bundle(write(tmp_path, SMALL.replace("summary: One rule.\n", ""), "a.yaml").parent / "a.yaml")


def test_a_bundle_without_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="has no rules"):
        load_bundle(write(tmp_path, SMALL[: SMALL.index("rules:")]))


def test_the_default_files_follow_the_published_schema() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for file in DEFAULT.glob("*.yaml"):
        validator.validate(YAML(typ="safe").load(file.read_text(encoding="utf-8")))


def test_every_label_of_the_default_bundle_that_can_harm_has_a_recall() -> None:
    unbounded = [rule.id for rule in BUNDLE.rules if rule.blocks and rule.recall is None]
    assert unbounded == []


def test_every_label_is_used_by_a_rule_or_known_to_be_of_no_use() -> None:
    used = {(name, label) for rule in BUNDLE.rules for name, labels in rule.uses.items() for label in labels}
    unused = {label for _, label in set(LABELS) - used}
    assert unused == {"drawing", "neutral", "text", "speech", "maybe", "toxic", "toxic_threat", "peak"}


def test_every_phrase_has_look_alikes() -> None:
    phrases = BUNDLE.phrases("zero-shot")
    assert set(phrases) == {"gore", "drugs"}
    assert all(one.against for one in phrases.values())


def test_what_a_zero_shot_model_cannot_judge_is_looked_at_by_a_person() -> None:
    runs = [r for r in RUNS if r.detector != "zero-shot"]
    blind = DetectorRun("zero-shot", "9", Source.MEDIA, 5, ok=True, uncovered=("gore",))
    decision = judge(runs=[*runs, blind])
    assert decision.verdict is Verdict.NEEDS_REVIEW
    assert [one.rule for one in decision.fired] == ["gore"]
    assert "zero-shot cannot judge gore" in decision.reasons[0]
