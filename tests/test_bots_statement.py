"""What a moderator is told, and that it never says more than is known."""

from __future__ import annotations

import numpy as np
import pytest

from bots.coverage import CoverageStats, map_share, open_tiles
from bots.risk import violation_bound
from bots.statement import Inspection, joint_upper, rounded_up, statement
from tests.small_worlds import small_world

COVERAGE = CoverageStats(
    search_steps=60_000,
    sample_steps=12_000,
    sample_episodes=60,
    cells=900,
    discovery_rate=1.25,
    unseen_mass=0.002,
    unseen_mass_upper=0.0611,
    unseen_sessions=0.02,
    unseen_sessions_upper=0.1012,
    surprises=2,
    stop_reason="settled",
)
CURVES = {
    "search": [(10_000, 300), (20_000, 500), (60_000, 800)],
    "sample": [(3_000, 250), (9_000, 400), (12_000, 412)],
}
RECALLS = {"slur": 0.6, "flash": 0.95}


def told(**more: object) -> str:
    values = {"coverage": COVERAGE, "curves": CURVES, "player": "human/1", "recalls": RECALLS}
    return str(statement(Inspection(**{**values, **more})))  # type: ignore[arg-type]


def test_it_tells_the_map_and_each_arms_curve_in_a_sentence() -> None:
    words = told(map_share=0.63)

    assert "63% of the map's open tiles and 900 different situations" in words
    assert "found 800 in 60,000 steps, half of them within the first 20,000" in words
    assert "still found 1.2 new ones per 1,000 steps" in words
    assert "60 independent sessions by human/1 found 412; the last quarter of them added 12." in words


def test_it_tells_what_a_session_may_still_show() -> None:
    words = told()

    assert "2 of 60 sessions showed something that the search had not seen" in words
    assert f"At most {rounded_up(0.1012)} of further sessions" in words
    assert f"{rounded_up(0.0611)} of their steps" in words
    assert f"at most {rounded_up(violation_bound(60, 0.6))} of sessions show any of them" in words
    assert "2 kinds" in words


def test_where_something_was_found_the_rest_is_limited_for_all_kinds_at_once() -> None:
    alone, beside = joint_upper(RECALLS, 60), joint_upper(RECALLS, 60, found=1)

    assert alone == pytest.approx(violation_bound(60, 0.6))
    assert beside == pytest.approx(violation_bound(60, 0.6, 1 - 0.05 / 3))
    assert f"each shows in at most {rounded_up(beside)} of sessions" in told(found=1)
    assert "any of them" not in told(found=1)


def test_a_detector_that_finds_nothing_limits_nothing() -> None:
    assert joint_upper({"slur": 0.6, "cut off": 0.0}, 60) == 1.0


def test_before_detectors_have_looked_it_says_if() -> None:
    words = told(recalls=None)

    assert "If detectors that miss nothing find nothing" in words
    assert rounded_up(violation_bound(60, 0.5)) in words


def test_without_sessions_it_limits_nothing() -> None:
    words = told(coverage=CoverageStats(search_steps=500, cells=80), curves={"search": [(500, 80)]})

    assert "nothing can be said about what is left" in words
    assert "confidence" not in words


def test_it_says_what_it_does_not_cover() -> None:
    words = told()

    for left_out in (
        "unlike human/1",
        "13 s",
        "no rule",
        "made sets",
        "one situation",
        "adapts",
        "nobody knows",
    ):
        assert left_out in words


def test_a_search_too_short_for_a_rate_claims_none() -> None:
    assert "per 1,000" not in told(coverage=CoverageStats(discovery_rate=float("inf")))


def test_the_share_of_the_map_is_of_tiles_that_can_be_entered() -> None:
    open_ = open_tiles(small_world("#######\n#@..#.#\n#######"))
    visited = np.zeros(open_.shape, np.int64)
    visited[1, 1:3] = 7

    assert open_.sum() == 3, "a room without a door is no part of the map"
    assert map_share(open_, visited) == pytest.approx(2 / 3)
