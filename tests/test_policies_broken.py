"""Broken bundles: whatever is wrong is said with file, line, column and remedy.

Each file of ``tests/data/policies/broken`` says in its first lines what must be said about it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies import BundleError, Problem, load_bundle
from tests.test_policies import SMALL, write

BROKEN = sorted((Path(__file__).parent / "data" / "policies" / "broken").glob("*.yaml"))


def expected(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()[:3]
    return dict(line.removeprefix("# ").split(": ", 1) for line in lines)


def problems_of(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    return caught.value.problems


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_bundle_says_where_and_what_to_do(path: Path) -> None:
    wanted, problems = expected(path), problems_of(path)
    told = [
        problem
        for problem in problems
        if wanted["problem"] in problem.problem and wanted["remedy"] in problem.remedy
    ]
    assert [f"{one.line}:{one.column}" for one in told] == [wanted["place"]], problems
    for problem in problems:
        assert str(problem).startswith(f"{path}:{problem.line}:{problem.column}: ")
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.remedy


def test_the_corpus_is_large() -> None:
    assert len(BROKEN) >= 40


def test_the_place_of_every_fault_holds_what_is_wrong() -> None:
    """Guards the corpus: a place that points at the wrong text is no help, even if it is always the same."""
    for path in BROKEN:
        line, column = map(int, expected(path)["place"].split(":"))
        rows = path.read_text(encoding="utf-8").splitlines()
        assert rows[line - 1][column - 1 : column] not in {"", " "}, path.name


def slips() -> st.SearchStrategy[str]:
    """The small bundle with a few slips of the pen: lost, doubled, swapped and mistyped pieces."""
    words = st.sampled_from(
        ["", "null", "0", "-1", "1e999", "[]", "{}", "true", "- x", "*a", "&a", "'", '"', ":", "#", "(", "\t"]
    )
    slip = st.tuples(st.integers(0, len(SMALL)), st.integers(0, 20), words)
    return st.lists(slip, min_size=1, max_size=3).map(_slipped)


def _slipped(edits: list[tuple[int, int, str]]) -> str:
    text = SMALL
    for at, length, word in edits:
        text = text[:at] + word + text[at + length :]
    return text


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(slips())
def test_whatever_slips_a_bundle_loads_or_says_where_it_is_wrong(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    try:
        load_bundle(path)
    except BundleError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(one.line >= 1 and one.column >= 1 and one.remedy for one in problems), problems
