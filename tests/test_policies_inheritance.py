"""Bundles that change another bundle, and files that are one bundle together."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies import Bundle, BundleError, Verdict, load_bundle
from policies.bundle import DEFAULT
from policies.cases import run
from policies.diff import changes, turned
from policies.schema import CaseSpec
from tests.test_policies import SMALL, write

HEIR = """\
bundle: mine
version: "1"
status: draft
extends: default
"""
SLUR = CaseSpec.model_validate(
    {"name": "slur", "findings": [{"detector": "text", "label": "slur", "score": 0.75}], "expect": "rejected"}
)


def heir(folder: Path, text: str = "", name: str = "mine.yaml") -> Bundle:
    return load_bundle(write(folder, HEIR + text, name))


def decided(bundle: Bundle, case: CaseSpec = SLUR) -> Verdict:
    return run(bundle, case).verdict


def test_an_heir_decides_as_its_parent_until_it_says_otherwise(tmp_path: Path) -> None:
    mine, default = heir(tmp_path), load_bundle()
    assert [rule.spec for rule in mine.rules] == [rule.spec for rule in default.rules]
    assert mine.header.coverage == default.header.coverage
    assert mine.header.detectors == default.header.detectors
    assert decided(mine) is decided(default) is Verdict.NEEDS_REVIEW


def test_a_field_of_an_inherited_rule_can_be_changed(tmp_path: Path) -> None:
    mine = heir(tmp_path, "change:\n  slurs: {severity: S4, thresholds: {sure: 0.7}}\n")
    assert decided(mine) is Verdict.REJECTED
    spec = mine.rule("slurs").spec
    assert (spec.severity, spec.thresholds) == ("S4", {"sure": 0.7, "maybe": 0.5})
    assert spec.guideline == load_bundle().rule("slurs").spec.guideline


def test_a_condition_can_be_taken_away(tmp_path: Path) -> None:
    change = "change:\n  slurs:\n    review: null\n    when: max('slur') >= threshold.sure\n"
    with pytest.raises(BundleError, match="no condition uses the threshold maybe"):
        heir(tmp_path, change)
    mine = heir(tmp_path, change.replace("threshold.sure", "threshold.sure + threshold.maybe - 0.5"))
    assert mine.rule("slurs").review is None


def test_a_rule_of_the_same_name_replaces_the_inherited_one(tmp_path: Path) -> None:
    rule = """
rules:
  - rule: slurs
    title: All slurs
    category: hate
    severity: S4
    scope: [playthrough]
    detectors: [{name: text}]
    when: max("slur") >= 0.1
    explanation: "“{text}” is a slur."
    guideline: No slurs at all.
"""
    mine = heir(tmp_path, rule)
    assert len(mine.rules) == len(load_bundle().rules)
    assert mine.rule("slurs").spec.title == "All slurs"
    assert decided(mine) is Verdict.REJECTED


def test_a_rule_can_be_disabled(tmp_path: Path) -> None:
    assert decided(heir(tmp_path, "disable: [slurs]\n")) is Verdict.CLEARED


def test_the_hash_holds_the_parents_hash(tmp_path: Path) -> None:
    """Two heirs that come to the same rules are two policies if they come from two parents."""
    other = SMALL.replace("Nothing bad is shown", "Nothing that is bad is shown")
    write(tmp_path, SMALL, "one.yaml")
    write(tmp_path, other, "two.yaml")
    change = "change:\n  bad-thing: {guideline: Be good to each other.}\n"
    one = load_bundle(write(tmp_path, HEIR.replace("default", "one.yaml") + change, "a.yaml"))
    two = load_bundle(write(tmp_path, HEIR.replace("default", "two.yaml") + change, "b.yaml"))
    assert [rule.spec for rule in one.rules] == [rule.spec for rule in two.rules]
    assert one.sha256 != two.sha256
    assert one.sha256 != load_bundle(tmp_path / "one.yaml").sha256


def test_where_the_parent_lies_does_not_change_the_hash(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path, SMALL, "parent.yaml")
    write(tmp_path / "deep", SMALL, "parent.yaml")
    near = load_bundle(write(tmp_path, HEIR.replace("default", "parent.yaml"), "heir.yaml"))
    far = load_bundle(write(tmp_path, HEIR.replace("default", "deep/parent.yaml"), "heir.yaml"))
    assert near.sha256 == far.sha256


def test_heirs_can_have_heirs_and_each_fault_is_told_where_it_is_written(tmp_path: Path) -> None:
    write(tmp_path, HEIR + 'change:\n  slurs: {when: max("slur") >= threshold.sure}\n', "first.yaml")
    second = HEIR.replace("default", "first.yaml") + "change:\n  slurs: {thresholds: {sure: 0.6}}\n"
    assert decided(load_bundle(write(tmp_path, second, "second.yaml"))) is Verdict.REJECTED
    wrong = (
        HEIR.replace("default", "first.yaml")
        + "detectors: {}\nchange:\n  slurs: {detectors: [{name: ocr}]}\n"
    )
    with pytest.raises(BundleError) as caught:
        load_bundle(write(tmp_path, wrong, "third.yaml"))
    files = {Path(problem.file).name: problem.line for problem in caught.value.problems}
    assert files["first.yaml"] == 6
    assert files["words.yaml"] > 1


def test_a_parent_that_is_wrong_says_so_itself(tmp_path: Path) -> None:
    parent = write(tmp_path, SMALL.replace("category: harm", "category: ham"), "parent.yaml")
    with pytest.raises(BundleError) as caught:
        load_bundle(write(tmp_path, HEIR.replace("default", "parent.yaml"), "heir.yaml"))
    assert [problem.file for problem in caught.value.problems] == [str(parent)]


def test_bundles_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, HEIR.replace("default", "two.yaml"), "one.yaml")
    with pytest.raises(BundleError, match="extends itself"):
        load_bundle(write(tmp_path, HEIR.replace("default", "one.yaml"), "two.yaml"))


def test_an_heir_adds_labels_and_phrases_to_a_detector(tmp_path: Path) -> None:
    more = """
detectors:
  ocr: {labels: [logo], recall: {logo: 0.5}, recall_source: measured on 90 signs}
  zero-shot:
    phrases: {weapon: {show: [a pistol], against: [a drill]}}
"""
    mine = heir(tmp_path, more)
    assert mine.header.detectors["ocr"].labels == ("text", "logo")
    assert mine.header.detectors["ocr"].recall == {"text": 0.8, "logo": 0.5}
    assert mine.header.detectors["zero-shot"].labels == ("gore", "drugs", "weapon")


def test_phrases_have_a_hash_of_their_own(tmp_path: Path) -> None:
    def bundle(against: str, summary: str = "") -> Bundle:
        phrases = (
            f"detectors: {{eye2: {{phrases: {{weapon: {{show: [a pistol], against: [{against}]}}}}}}}}\n"
        )
        return heir(tmp_path, summary + phrases)

    drill = bundle("a drill")
    assert drill.phrases("eye2")["weapon"].against == ("a drill",)
    assert drill.phrases("ocr") == drill.phrases("nobody") == {}
    assert drill.phrases_sha256("eye2") != bundle("a hammer").phrases_sha256("eye2")
    assert drill.phrases_sha256("eye2") == bundle("a drill", "summary: Else.\n").phrases_sha256("eye2")
    assert drill.sha256 != bundle("a hammer").sha256


def test_files_of_a_bundle_bring_their_own_detectors_and_categories(tmp_path: Path) -> None:
    extra = """
detectors: {ear: {labels: [shout]}}
categories: {noise: {title: Noise, dsa: STATEMENT_CATEGORY_OTHER_VIOLATION_TC}}
rules:
  - rule: shouting
    title: Shouting
    category: noise
    severity: S1
    scope: [playthrough]
    detectors: [{name: ear}]
    review: max("shout") >= 0.5
    explanation: Somebody shouts at {at}.
    guideline: Nobody shouts.
"""
    write(tmp_path, SMALL)
    write(tmp_path, extra, "extra.yaml")
    bundle = load_bundle(tmp_path)
    assert {rule.id for rule in bundle.rules} == {"bad-thing", "shouting"}
    write(tmp_path, extra.replace("shouting", "screaming"), "twice.yaml")
    with pytest.raises(BundleError) as caught:
        load_bundle(tmp_path)
    told = "\n".join(str(problem) for problem in caught.value.problems)
    assert "twice.yaml:2:13: the label shout of ear stands in two files" in told
    assert "twice.yaml:3:14: the category noise stands in two files" in told


# -- differences --------------------------------------------------------------------------------------


def test_a_bundle_does_not_differ_from_itself_or_from_an_heir_that_says_nothing(tmp_path: Path) -> None:
    default = load_bundle()
    assert changes(default, default) == []
    assert turned(default, default) == []
    assert changes(default, heir(tmp_path)) == []


def test_a_difference_names_the_field_and_the_cases_it_turns(tmp_path: Path) -> None:
    mine = heir(tmp_path, "disable: [links]\nchange:\n  slurs: {thresholds: {maybe: 0.7}}\n")
    assert [str(change) for change in changes(load_bundle(), mine)] == [
        "- rule links",
        "~ rule slurs: thresholds.maybe: 0.5 → 0.7",
    ]
    assert str(changes(mine, load_bundle())[0]) == "+ rule links"
    cases = {one.case: one for one in turned(load_bundle(), mine)}
    assert cases["perhaps a slur"].before == "needs_review (slurs, 3+)"
    assert cases["perhaps a slur"].after == "cleared (nothing fired, 3+)"
    assert "a slur on a sign that bots found" not in cases


def test_the_default_bundle_can_be_read_by_its_folder() -> None:
    assert load_bundle(DEFAULT).sha256 == load_bundle().sha256
