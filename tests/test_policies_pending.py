"""Rules that wait for their detector: ready to be moved into the default bundle, one by one or all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from policies import load_bundle
from policies.bundle import DEFAULT, read_bundle
from policies.cases import failures
from policies.schemes import DSA

PENDING = sorted((DEFAULT.parent / "pending").glob("*.yaml"))


def default_with(folder: Path, files: list[Path]) -> Path:
    for file in (*DEFAULT.glob("*.yaml"), *files):
        shutil.copy(file, folder)
    return folder


@pytest.mark.parametrize("file", PENDING, ids=lambda file: file.stem)
def test_moving_a_file_is_all_that_it_takes(tmp_path: Path, file: Path) -> None:
    bundle = read_bundle(default_with(tmp_path, [file]))
    assert failures(bundle) == []


def test_all_of_them_together_are_a_policy(tmp_path: Path) -> None:
    bundle = load_bundle(default_with(tmp_path, PENDING))
    assert len(bundle.rules) > len(load_bundle().rules) + len(PENDING)
    assert all(rule.monotone for rule in bundle.rules)
    assert [rule.id for rule in bundle.rules if rule.blocks and rule.recall is None] == []
    assert {category.dsa for category in bundle.header.categories.values()} <= DSA.keys()
    phrases = bundle.phrases("zero-shot")
    assert set(phrases) == {"weapon", "gore", "drugs", "gambling", "alcohol", "tobacco"}
    assert all(one.against for one in phrases.values())


def test_every_label_is_used_by_a_rule_or_known_to_be_of_no_use(tmp_path: Path) -> None:
    bundle = read_bundle(default_with(tmp_path, PENDING))
    used = {(name, label) for rule in bundle.rules for name, labels in rule.uses.items() for label in labels}
    declared = {(n, label) for n, entry in bundle.header.detectors.items() for label in entry.labels}
    unused = {label for _, label in declared - used}
    assert unused == {"drawing", "neutral", "text", "speech", "toxic", "toxic_threat", "peak"}
