"""Bounds from independent episodes, held against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from benchmarks import bounds
from bots.risk import (
    Labelled,
    clopper_pearson_lower,
    clopper_pearson_upper,
    episodes_needed,
    joint_bound,
    mean_upper,
    unseen_mass,
    violation_bound,
)


@pytest.mark.parametrize(
    ("bound", "recall", "episodes"), [(0.01, 1.0, 299), (0.01, 0.9, 332), (0.01, 0.6, 498)]
)
def test_clean_episodes_needed_for_one_percent(bound: float, recall: float, episodes: int) -> None:
    assert episodes_needed(bound, recall) == episodes
    assert violation_bound(episodes, recall) <= bound < violation_bound(episodes - 1, recall)


def test_no_hit_bound_is_the_closed_form() -> None:
    assert violation_bound(32) == pytest.approx(1 - 0.05 ** (1 / 32))
    assert violation_bound(32, 0.5) == pytest.approx(2 * (1 - 0.05 ** (1 / 32)))


def test_without_episodes_nothing_is_excluded() -> None:
    assert violation_bound(0) == 1.0
    assert violation_bound(1, 0.1) == 1.0
    assert mean_upper(np.zeros(0)) == 1.0
    assert unseen_mass([]).steps_upper == 1.0


@given(hits=st.integers(0, 60), more=st.integers(0, 60), confidence=st.floats(0.5, 0.99))
def test_clopper_pearson_is_the_largest_probability_that_explains_the_hits(
    hits: int, more: int, confidence: float
) -> None:
    upper = clopper_pearson_upper(hits, hits + more, confidence)

    assert hits / max(hits + more, 1) <= upper <= 1
    if more:
        assert binom.cdf(hits, hits + more, upper) == pytest.approx(1 - confidence, abs=1e-6)


@pytest.mark.parametrize("wrong", [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        clopper_pearson_upper(*wrong)


@pytest.mark.parametrize("recall", [0.0, -0.1, 1.1])
def test_impossible_recall_is_refused(recall: float) -> None:
    with pytest.raises(ValueError, match="recall"):
        violation_bound(10, recall)


def test_thinned_bound_covers_the_truth_in_95_of_100_worlds() -> None:
    """Where a violation shows in 12 % of episodes and is seen in 60 % of those, silence in 40 is rare."""
    rng = np.random.default_rng(0)
    truth, recall, episodes, worlds = 0.12, 0.6, 40, 20_000
    seen = rng.binomial(episodes, truth * recall, worlds)
    wrong = np.mean([clopper_pearson_upper(k, episodes) / recall < truth for k in seen])

    assert wrong <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)


@pytest.mark.parametrize("shape", [(0.2, 8.0), (0.5, 0.5), (5.0, 20.0)])
def test_mean_bound_covers_whatever_the_distribution(shape: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    truth = shape[0] / sum(shape)
    limits = np.array([mean_upper(rng.beta(*shape, 30)) for _ in range(400)])

    assert (limits >= truth).mean() >= 0.95
    assert limits.mean() < truth + 0.25, "and it must say something"


def player(rng: np.random.Generator, reach: np.ndarray, steps: int = 60) -> np.ndarray:
    """An episode whose steps depend on one another: it lingers in a few places that it happened to choose."""
    places = rng.choice(len(reach), size=6, p=reach)
    return places[np.sort(rng.integers(0, 6, steps))]


def true_unseen(rng: np.random.Generator, reach: np.ndarray, seen: np.ndarray) -> float:
    return float(np.mean([~np.isin(player(rng, reach), seen) for _ in range(300)]))


def test_unseen_mass_agrees_with_what_further_episodes_show() -> None:
    rng = np.random.default_rng(2)
    reach = rng.dirichlet(np.full(80, 0.3))
    estimates, truths, covered = [], [], []
    for _ in range(60):
        known = np.concatenate([player(rng, reach) for _ in range(10)])
        episodes = [player(rng, reach) for _ in range(25)]
        result = unseen_mass(episodes, known.tolist())
        truth = true_unseen(rng, reach, np.concatenate([known, *episodes]))
        estimates.append(result.steps)
        truths.append(truth)
        covered.append(result.steps_upper >= truth)

    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.02)
    assert np.mean(covered) >= 0.95


def test_what_the_search_knows_surprises_nobody() -> None:
    episodes = [np.array([1, 1, 2]), np.array([2, 3]), np.array([2])]

    alone = unseen_mass(episodes)
    known = unseen_mass(episodes, known={1, 2})

    assert alone.steps == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert alone.incidence == pytest.approx(2 / 3)
    assert known.steps == pytest.approx((0 + 1 / 2 + 0) / 3)
    assert (alone.surprises, known.surprises) == (3, 1)
    assert known.incidence_upper == pytest.approx(clopper_pearson_upper(1, 3))
    assert alone.incidence_upper == alone.steps_upper == 1.0, "without a search the limits say nothing"


# ---- several kinds of violation --------------------------------------------------------------------------

FLASH, SLUR = 0.95, 0.6


def test_one_kind_with_a_known_recall_is_the_plain_bound() -> None:
    assert joint_bound(60, {"slur": SLUR}).any == pytest.approx(violation_bound(60, SLUR))


def test_kinds_that_are_all_clean_cost_nothing_to_state_together() -> None:
    joint = joint_bound(60, {"slur": SLUR, "flash": FLASH})

    assert joint.kinds == {"slur": violation_bound(60, SLUR), "flash": violation_bound(60, FLASH)}
    assert joint.any == joint.kinds["slur"], "the worst detector limits what may show of any kind"


def test_what_was_flagged_widens_every_limit() -> None:
    clean, flagged = (joint_bound(60, {"slur": SLUR, "flash": FLASH}, n) for n in (0, 3))

    assert all(flagged.kinds[kind] > clean.kinds[kind] for kind in clean.kinds)
    assert flagged.kinds["flash"] == pytest.approx(clopper_pearson_upper(3, 60) / FLASH)


def test_a_counted_recall_costs_confidence_that_shrinks_with_its_items() -> None:
    known = joint_bound(60, {"slur": 0.8}).any
    few, many = (joint_bound(60, {"slur": Labelled(8 * n, 10 * n)}).any for n in (1, 100))

    assert known < many < few
    assert many < 1.2 * known
    assert joint_bound(60, {"slur": Labelled(0, 10)}).any == 1.0


@pytest.mark.parametrize("wrong", [{}, {"slur": 0.0}, {"slur": 1.1}, {"slur": Labelled(3, 2)}])
def test_a_joint_bound_refuses_what_bounds_nothing(wrong: dict[str, float | Labelled]) -> None:
    with pytest.raises(ValueError, match=r"kinds|recall|hits"):
        joint_bound(10, wrong)


@given(hits=st.integers(0, 40), more=st.integers(0, 40))
def test_the_lower_limit_mirrors_the_upper_one(hits: int, more: int) -> None:
    lower = clopper_pearson_lower(hits, hits + more)

    assert 0 <= lower <= hits / max(hits + more, 1)
    assert lower == pytest.approx(1 - clopper_pearson_upper(more, hits + more))


# ---- against simulation ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def claims() -> list[bounds.Row]:
    """All claims in 500 worlds with a known truth; see ``benchmarks/bounds.py``."""
    return bounds.table(worlds=500, seed=7)


def test_every_limit_that_is_stated_covers_the_truth_in_95_of_100_worlds(claims: list[bounds.Row]) -> None:
    stated = [row for row in claims if row.right]

    assert len(stated) == 9
    assert [row for row in stated if row.covered < 0.95] == []
    assert [row for row in stated if not row.holds] == []


def test_bounds_that_only_look_right_fail_the_same_test(claims: list[bounds.Row]) -> None:
    wrong = [row for row in claims if not row.right]

    assert {"steps for episodes", "recall left out", "Good-Turing on steps"} <= {row.bound for row in wrong}
    assert [row for row in wrong if row.holds] == []


def test_the_tolerance_is_that_of_a_bound_that_is_right_in_exactly_95_percent() -> None:
    assert binom.sf(bounds.allowed(500), 500, 0.05) <= bounds.TOLERANCE
    assert binom.sf(bounds.allowed(500) - 1, 500, 0.05) > bounds.TOLERANCE
