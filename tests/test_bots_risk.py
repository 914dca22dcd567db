"""Bounds from independent episodes, held against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from bots.risk import clopper_pearson_upper, episodes_needed, mean_upper, unseen_mass, violation_bound


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
        episodes = [player(rng, reach) for _ in range(25)]
        result = unseen_mass(episodes)
        truth = true_unseen(rng, reach, np.concatenate(episodes))
        estimates.append(result.steps)
        truths.append(truth)
        covered.append(result.steps_upper >= truth)

    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.02)
    assert np.mean(covered) >= 0.95


def test_cells_that_the_search_knows_are_not_unseen() -> None:
    episodes = [np.array([1, 1, 2]), np.array([2, 3]), np.array([2])]

    alone = unseen_mass(episodes)
    known = unseen_mass(episodes, known={1})

    assert alone.steps == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert alone.incidence == pytest.approx(2 / 3)
    assert known.steps == pytest.approx((0 + 1 / 2 + 0) / 3)
    assert known.incidence_upper < alone.incidence_upper
