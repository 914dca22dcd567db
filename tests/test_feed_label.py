"""What the label of a world promises, and what it must never promise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedapi.label import at_most, duration, label_of, percent
from policies.types import Bound, Coverage

COVERAGE = Coverage(
    search_steps=20_000,
    sample_steps=7_000,
    sample_episodes=60,
    cells=812,
    unseen_mass=0.02,
    unseen_mass_upper=0.051,
)
BOUNDS = (Bound("hate-slur", 0.9, 60, 0.055), Bound("threat", 0.58, 60, 0.086))


def test_the_label_states_the_loosest_bound() -> None:
    label = label_of(COVERAGE, BOUNDS)

    assert label.short == f"Bots played 30 min · {at_most(0.051)} unseen · risk {at_most(0.086)}"
    assert [row.name for row in label.bounds] == ["threat", "hate slur"]


def test_without_a_bound_the_label_says_so() -> None:
    label = label_of(COVERAGE, ())

    assert label.short == f"Bots played 30 min · {at_most(0.051)} unseen · risk not bounded"
    assert label.rows[-1].value == "not bounded"


def test_the_label_says_what_is_known_of_flashing_lights() -> None:
    measured = (*BOUNDS, Bound("flashing", 0.93, 60, 0.052), Bound("extended-flashing", 0.9, 60, 0.055))

    assert label_of(COVERAGE, BOUNDS).flashing == "Flashing lights: not bounded"
    assert (
        label_of(COVERAGE, measured).flashing
        == f"Flashing lights: none found, {at_most(0.055)} of sessions may show some"
    )


def test_the_label_counts_what_was_watched() -> None:
    values = {row.name: row.value for row in label_of(COVERAGE, BOUNDS).rows}

    assert values["Watched in full"] == "60 episodes"
    assert values["Not seen by them"] == at_most(0.051)


@given(st.floats(1e-9, 1, exclude_max=True))
def test_an_estimate_is_never_rounded_to_certainty(share: float) -> None:
    assert percent(share) not in {"0 %", "0.00 %", "100 %"}


@given(st.floats(0, 1))
def test_a_limit_is_only_ever_rounded_up(share: float) -> None:
    shown = float(at_most(share).strip("≤%\N{NO-BREAK SPACE}")) / 100

    assert share - 1e-8 <= shown <= share + 0.0101


@pytest.mark.parametrize(
    ("steps", "words"), [(150, "10 s"), (15 * 600, "10 min"), (15 * 3600 * 5, "5.0 h"), (0, "0 s")]
)
def test_durations(steps: int, words: str) -> None:
    assert duration(steps) == words
