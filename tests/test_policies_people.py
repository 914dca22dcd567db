"""Age ratings, thresholds for some players, and when a person must look."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import (
    Bundle,
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
from policies.cases import sufficient_coverage
from policies.explain import explain
from policies.guidelines import guidelines
from policies.schemes import AGE_BANDS
from tests.test_policies import SMALL, write

POLICY = """\
bundle: people
version: "1"
status: draft
summary: What this policy is about.
coverage: {min_sample_episodes: 5, min_search_steps: 10, max_discovery_rate: 9}
quality_sampling: 0.25
quotas:
  - {of: prior_rejections, limit: 2, explanation: "Two worlds were rejected before, so a person looks."}
  - {of: submissions_today, limit: 9, then: escalate, explanation: "Ten worlds in a day: a person looks."}
regions: {alps: [AT, CH]}
detectors:
  eye: {labels: [blood, sword], recall: {blood: 0.5}}
categories:
  violence: {title: Violence, dsa: STATEMENT_CATEGORY_VIOLENCE, rating: Violence}
rules:
  - rule: blood
    title: Blood
    category: violence
    severity: S3
    scope: [playthrough, live]
    detectors: [{name: eye}]
    thresholds: {sure: 0.9, seen: 0.5}
    audiences:
      - {age_bands: ["3-6", "7-11"], thresholds: {sure: 0.7, seen: 0.3}}
      - {regions: [alps, DE], thresholds: {sure: 0.8}}
      - {age_bands: ["3-6"], regions: [DE], thresholds: {sure: 0.4}}
    when: max("blood") >= threshold.sure
    rates:
      - {when: max("blood") >= threshold.seen, age: 16, descriptor: Violence}
      - {when: 'count("blood", threshold.seen) >= 3', age: 18, descriptor: Fear}
    four_eyes: true
    explanation: "Blood ({score:.0%}) at {at} in {where}."
    guideline: Worlds show no blood.
  - rule: swords
    title: Swords
    category: violence
    severity: S0
    scope: [playthrough]
    detectors: [{name: eye}]
    rates:
      - {when: max("sword") >= 0.5, age: 7, descriptor: Violence}
    explanation: "A sword ({score:.0%}) at {at} in {where}."
    guideline: Swords may be shown.
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write(tmp_path_factory.mktemp("policy"), POLICY))


def found(label: str, score: float, start: float = 0.0) -> Finding:
    name = hashlib.sha256(f"{label}{score}{start}".encode()).hexdigest()[:16]
    return Finding(name, "eye", "1", label, score, Source.PLAYTHROUGH, start, start, "p1")


def judge(
    bundle: Bundle,
    *findings: Finding,
    context: Context | None = None,
    uncovered: tuple[str, ...] = (),
    version: str | None = None,
    coverage: Coverage | None = None,
) -> Decision:
    runs = [DetectorRun("eye", "1", source, 5, ok=True, uncovered=uncovered) for source in Source]
    return decide(bundle, findings, runs, coverage or sufficient_coverage(bundle), context, version)


# -- thresholds for some players ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_band", "region", "sure"),
    [
        ("", "", 0.9),
        ("16-17", "", 0.9),
        ("7-11", "", 0.7),
        ("16-17", "AT", 0.8),
        ("16-17", "FR", 0.9),
        ("7-11", "CH", 0.8),
        ("3-6", "DE", 0.4),
        ("7-11", "DE", 0.8),
    ],
)
def test_the_last_audience_that_matches_says_the_threshold(
    bundle: Bundle, age_band: str, region: str, sure: float
) -> None:
    context = Context(age_band=age_band, region=region)
    assert judge(bundle, found("blood", sure), context=context).verdict is Verdict.REJECTED
    assert judge(bundle, found("blood", sure - 0.01), context=context).verdict is Verdict.CLEARED
    trace = next(e for e in judge(bundle, context=context).trace if e["rule"] == "blood")
    assert trace["thresholds"]["sure"] == sure  # type: ignore[index]


@given(st.sampled_from(["", *AGE_BANDS]), st.sampled_from(["", "AT", "CH", "DE", "FR", "US"]))
def test_every_audience_has_its_conditions(bundle: Bundle, age_band: str, region: str) -> None:
    conditions = bundle.rule("blood").conditions(Context(age_band=age_band, region=region))
    assert conditions.when is not None
    assert f"at least {conditions.thresholds['sure']:g}" in conditions.when.prose


def test_an_unknown_age_band_is_refused() -> None:
    with pytest.raises(ValueError, match="'under 7' is no age band: choose one of 3-6"):
        Context(age_band="under 7")


# -- age ratings --------------------------------------------------------------------------------------


def test_the_most_mature_content_says_the_age(bundle: Bundle) -> None:
    assert judge(bundle).rating.age == 3  # type: ignore[union-attr]
    rating = judge(bundle, found("sword", 0.6), found("blood", 0.6, 72.5)).rating
    assert rating is not None
    assert (rating.age, rating.descriptors) == (16, ("Violence",))
    assert [(ground.rule, ground.age) for ground in rating.grounds] == [("blood", 16), ("swords", 7)]
    assert rating.grounds[0].explanation == "Blood (60%) at 1:12.5 in playthrough p1."


def test_every_word_for_why_is_told_once_the_most_mature_first(bundle: Bundle) -> None:
    rating = judge(bundle, *(found("blood", 0.6, at) for at in range(3)), found("sword", 0.9)).rating
    assert rating is not None
    assert (rating.age, rating.descriptors) == (18, ("Fear", "Violence"))


def test_a_rating_blocks_nothing(bundle: Bundle) -> None:
    decision = judge(bundle, found("sword", 0.9))
    assert (decision.verdict, decision.fired) == (Verdict.CLEARED, ())
    assert "swords" not in {bound.rule for bound in decision.bounds}


def test_a_rating_is_provisional_while_something_could_still_raise_it(bundle: Bundle) -> None:
    little = replace(sufficient_coverage(bundle), sample_episodes=1)
    assert not judge(bundle).rating.provisional  # type: ignore[union-attr]
    assert judge(bundle, coverage=little).rating.provisional  # type: ignore[union-attr]
    assert judge(bundle, uncovered=("sword",)).rating.provisional  # type: ignore[union-attr]


def test_live_play_is_not_rated(bundle: Bundle) -> None:
    assert judge(bundle, context=Context(stage="live")).rating is None


@given(
    st.lists(st.tuples(st.sampled_from(["blood", "sword"]), st.floats(0, 1)), max_size=8), st.integers(0, 8)
)
def test_one_more_finding_never_lowers_the_age(
    bundle: Bundle, rows: list[tuple[str, float]], split: int
) -> None:
    findings = [found(label, score, at) for at, (label, score) in enumerate(rows)]
    before, after = judge(bundle, *findings[:split]).rating, judge(bundle, *findings).rating
    assert before is not None
    assert after is not None
    assert after.age >= before.age


# -- what a detector cannot judge ---------------------------------------------------------------------


def test_a_label_that_a_detector_cannot_judge_sends_to_a_person(bundle: Bundle) -> None:
    decision = judge(bundle, uncovered=("blood",))
    assert decision.verdict is Verdict.NEEDS_REVIEW
    assert [fired.rule for fired in decision.fired] == ["blood"]
    assert "eye cannot judge blood" in decision.reasons[0]
    assert "blood" not in {bound.rule for bound in decision.bounds}


def test_a_label_that_no_rule_names_may_stay_unjudged(bundle: Bundle) -> None:
    assert judge(bundle, uncovered=("unicorn",)).verdict is Verdict.CLEARED


def test_one_run_that_could_not_judge_is_enough(bundle: Bundle) -> None:
    runs = [DetectorRun("eye", "1", Source.PLAYTHROUGH, 5, ok=True, uncovered=u) for u in ((), ("blood",))]
    for order in (runs, runs[::-1]):
        assert decide(bundle, [], order, sufficient_coverage(bundle)).verdict is Verdict.NEEDS_REVIEW


# -- people -------------------------------------------------------------------------------------------


def test_a_rule_with_four_eyes_asks_for_two_people(bundle: Bundle) -> None:
    decision = judge(bundle, found("blood", 0.95))
    assert (decision.approvals, decision.fired[0].four_eyes) == (2, True)
    assert judge(bundle, found("sword", 0.95)).approvals == 1


def test_a_quota_that_is_used_up_sends_to_a_person(bundle: Bundle) -> None:
    assert judge(bundle, context=Context(prior_rejections=2)).verdict is Verdict.CLEARED
    decision = judge(bundle, context=Context(prior_rejections=3))
    assert (decision.verdict, decision.escalate) == (Verdict.NEEDS_REVIEW, False)
    assert "Two worlds were rejected before, so a person looks." in decision.reasons
    assert judge(bundle, context=Context(submissions_today=10)).escalate


def test_a_quota_does_not_soften_a_rejection(bundle: Bundle) -> None:
    decision = judge(bundle, found("blood", 0.95), context=Context(prior_rejections=9))
    assert decision.verdict is Verdict.REJECTED


def test_quality_samples_are_drawn_by_hash_at_their_rate(bundle: Bundle) -> None:
    versions = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(2000)]
    drawn = [judge(bundle, version=version).sampled for version in versions]
    assert drawn == [judge(bundle, version=version).sampled for version in versions]
    assert 0.22 < sum(drawn) / len(drawn) < 0.28  # 3 standard deviations of 2,000 draws at 0.25


def test_only_what_no_person_saw_is_drawn(bundle: Bundle) -> None:
    versions = [str(i) for i in range(50)]
    waiting = Context(prior_rejections=3)
    assert not any(judge(bundle, version=v, context=waiting).sampled for v in versions)
    assert any(judge(bundle, found("blood", 0.95), version=v).sampled for v in versions)
    assert not judge(bundle).sampled


def test_another_policy_draws_other_worlds(tmp_path: Path, bundle: Bundle) -> None:
    other = load_bundle(write(tmp_path, POLICY.replace('version: "1"', 'version: "2"')))
    versions = [str(i) for i in range(100)]
    assert [judge(bundle, version=v).sampled for v in versions] != [
        judge(other, version=v).sampled for v in versions
    ]


def test_a_decision_with_all_of_it_is_json(bundle: Bundle) -> None:
    told = json.dumps(asdict(judge(bundle, found("blood", 0.95), version="v")), allow_nan=False)
    assert json.loads(told)["rating"]["age"] == 16


# -- test cases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("age_band: 3-6, findings: [{detector: eye, label: blood, score: 0.7}], expect: rejected", ""),
        ("region: DE, findings: [{detector: eye, label: blood, score: 0.8}], expect: rejected", ""),
        ("prior_rejections: 3, expect: cleared", "expects cleared but got needs_review (no rule fired)"),
        ("uncovered: {eye: [blood]}, expect: cleared", "expects cleared but got needs_review (blood)"),
        (
            "findings: [{detector: eye, label: sword, score: 1}], expect: cleared, rating: 12",
            "expects an age rating of 12 but got 7",
        ),
        (
            "findings: [{detector: eye, label: blood, score: 1}], expect: rejected, approvals: 1",
            "expects 1 people to agree but got 2",
        ),
    ],
)
def test_cases_can_say_who_plays_and_what_people_must_do(tmp_path: Path, case: str, says: str) -> None:
    path = write(tmp_path, f"{POLICY}tests:\n  - {{name: one, {case}}}\n")
    if not says:
        load_bundle(path)
        return
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    assert says in str(caught.value)
    assert f":{len(POLICY.splitlines()) + 2}:12: " in str(caught.value)


# -- words --------------------------------------------------------------------------------------------


def test_an_explanation_shows_rules_thresholds_values_and_evidence(bundle: Bundle) -> None:
    seen = [found("blood", 0.95, 72.5), found("sword", 0.6)]
    context = Context(age_band="3-6", region="DE", prior_rejections=5)
    told = explain(judge(bundle, *seen, context=context), seen)
    for line in (
        "rejected by people 1 (sha256",
        "2 people must agree on what a person decides about this.",
        "- Blood (95%) at 1:12.5 in playthrough p1.",
        "rated 16+: Violence",
        "Blood [blood], severity S3: rejected (when)",
        '  when max("blood") >= threshold.sure',
        "  with threshold.sure = 0.4, threshold.seen = 0.3",
        '  max("blood") = 0.95',
        "    eye 1: blood 0.95 at 1:12.5 in playthrough p1",
        '  swords: max("sword") = 0.6',
    ):
        assert line in told


def test_an_explanation_without_the_findings_names_them(bundle: Bundle) -> None:
    seen = found("blood", 0.95)
    assert f"    {seen.id}" in explain(judge(bundle, seen)).splitlines()


def test_an_explanation_counts_what_it_does_not_show(bundle: Bundle) -> None:
    seen = [found("blood", 0.95, at) for at in range(9)]
    assert "    and 4 more" in explain(judge(bundle, *seen), seen)


def test_an_explanation_says_what_is_missing(bundle: Bundle) -> None:
    told = explain(judge(bundle, uncovered=("blood",)))
    assert "  missing: eye cannot judge blood" in told
    assert "(provisional:" in told


def test_the_guidelines_say_what_follows_and_nothing_that_helps_to_evade(bundle: Bundle) -> None:
    told = guidelines(bundle)
    assert "## Violence" in told
    assert "- Worlds show no blood. *Such a world is not published." in told
    assert "Judged otherwise for ages 3-6 and 7-11 and players in alps and DE." in told
    assert "- **7+** (Violence): Swords" in told
    assert "- Two worlds were rejected before, so a person looks." in told
    assert bundle.sha256 in told
    for secret in ("0.9", "0.4", "threshold", "eye"):
        assert secret not in told.replace(bundle.sha256, "")


def test_the_guidelines_of_a_small_bundle_leave_out_what_it_does_not_say(tmp_path: Path) -> None:
    told = guidelines(load_bundle(write(tmp_path, SMALL)))
    assert "Age ratings" not in told
    assert "while people play" not in told
    assert "drawn by chance" not in told
