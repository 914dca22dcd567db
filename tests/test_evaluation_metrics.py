"""Intervals, curves and calibration errors, against counting by hand and published values."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.evaluation.metrics import (
    auroc,
    average_precision,
    precision_recall,
    reliability,
    wilson,
)

SCORED = st.lists(st.tuples(st.integers(0, 8).map(lambda n: n / 8), st.booleans()), min_size=1, max_size=40)


def parts(scored: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [score for score, _ in scored], [truth for _, truth in scored]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (33, 47, 0.5600, 0.8135),  # NIST/SEMATECH e-Handbook, section 7.2.4.1
        (4, 20, 0.0807, 0.4160),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_intervals(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-4)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_the_share_and_mirrors(successes: int, failures: int) -> None:
    trials = successes + failures
    low, high = wilson(successes, trials)
    mirrored = wilson(failures, trials)

    assert 0 <= low <= high <= 1
    assert (1 - high, 1 - low) == pytest.approx(mirrored)
    if trials:
        assert low <= successes / trials <= high
        wider = wilson(successes, trials, z=3.0)
        assert wider[0] <= low <= high <= wider[1]


@pytest.mark.parametrize(("successes", "trials"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match=r"successes must be within 0\.\.3"):
        wilson(successes, trials)


@given(SCORED)
def test_auroc_is_the_share_of_pairs_in_the_right_order(scored: list[tuple[float, bool]]) -> None:
    scores, truth = parts(scored)
    positives = [s for s, t in scored if t]
    others = [s for s, t in scored if not t]
    wins = [(p > o) + (p == o) / 2 for p, o in product(positives, others)]

    found = auroc(scores, truth)

    assert found == (pytest.approx(np.mean(wins)) if wins else None)


@given(SCORED)
def test_every_point_of_the_curve_is_what_its_threshold_gives(scored: list[tuple[float, bool]]) -> None:
    scores, truth = parts(scored)
    if not any(truth):
        assert average_precision(scores, truth) is None
        with pytest.raises(ValueError, match="no recall"):
            precision_recall(scores, truth)
        return

    curve = precision_recall(scores, truth)

    area, last = 0.0, 0.0
    for threshold, precision, recall in zip(curve.thresholds, curve.precision, curve.recall, strict=True):
        flagged = [t for s, t in scored if s >= threshold]
        assert precision == pytest.approx(sum(flagged) / len(flagged))
        assert recall == pytest.approx(sum(flagged) / sum(truth))
        area, last = area + (recall - last) * precision, recall
    assert curve.recall[-1] == 1
    assert average_precision(scores, truth) == pytest.approx(area)


def test_a_perfect_and_a_useless_ranking() -> None:
    truth = [True, True, False, False]
    assert (auroc([4, 3, 2, 1], truth), average_precision([4, 3, 2, 1], truth)) == (1.0, 1.0)
    assert (auroc([1, 1, 1, 1], truth), average_precision([1, 1, 1, 1], truth)) == (0.5, 0.5)
    assert auroc([1, 2, 3, 4], truth) == 0.0


def test_calibration_error_by_hand() -> None:
    scores = [0.05, 0.15, 0.15, 0.95, 0.95]
    truth = [False, False, True, True, True]

    bins = reliability(scores, truth)

    assert bins.scores.tolist() == pytest.approx([0.05, 0.15, 0.95])
    assert bins.shares.tolist() == [0.0, 0.5, 1.0]
    assert bins.counts.tolist() == [1, 2, 2]
    assert bins.error == pytest.approx((0.05 + 2 * 0.35 + 2 * 0.05) / 5)


@given(SCORED)
def test_bins_hold_every_item_once(scored: list[tuple[float, bool]]) -> None:
    scores, truth = parts(scored)
    bins = reliability(scores, truth)
    assert bins.counts.sum() == len(scored)
    assert (bins.counts * bins.shares).sum() == pytest.approx(sum(truth))
    assert 0 <= bins.error <= 1


@pytest.mark.parametrize(
    ("scores", "truth", "said"),
    [
        ([0.1, 0.2], [True], "equal length"),
        ([[0.1]], [[True]], "one row"),
        ([float("nan")], [True], "finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(scores: list, truth: list, said: str) -> None:
    for figure in (auroc, precision_recall, reliability):
        with pytest.raises(ValueError, match=said):
            figure(scores, truth)


@pytest.mark.parametrize(
    ("scores", "said"), [([], "no score"), ([1.2], "within 0..1"), ([-0.1], "within 0..1")]
)
def test_only_probabilities_are_compared(scores: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        reliability(scores, [True] * len(scores))
