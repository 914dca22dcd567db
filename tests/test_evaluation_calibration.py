"""Calibrated scores are probabilities, are kept with the version, and never applied to other weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.detectors.base import Detection, Detector, DetectorCard, Text
from moderation.evaluation import calibration
from moderation.evaluation.calibration import (
    Calibration,
    CalibrationError,
    Isotonic,
    Platt,
    calibrated,
    fit,
    fit_isotonic,
    fit_platt,
    out_of_fold,
    path_of,
    store,
)
from moderation.evaluation.labelled import LabelledItem, LabelledSet, Part
from moderation.evaluation.metrics import reliability

SHARES = st.floats(0, 1)
SCORED = st.lists(st.tuples(SHARES, st.booleans()), min_size=4, max_size=60)


def drawn(count: int, seed: int, power: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose true probability is the score to a power: over-confident for powers over 1."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.01, 0.99, count)
    return scores, rng.random(count) < scores**power


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_fit_makes_scores_nearer_to_probabilities_on_other_data(method: calibration.Method) -> None:
    fitted = calibration.FITS[method](*drawn(1500, 1, 3.0))
    scores, truth = drawn(4000, 2, 3.0)
    after = np.array([fitted(score) for score in scores])

    assert reliability(scores, truth).error > 0.2
    assert reliability(after, truth).error < 0.05


def test_platt_leaves_probabilities_as_they_are() -> None:
    curve = fit_platt(*drawn(20_000, 3, 1.0))
    assert curve.slope == pytest.approx(1, abs=0.05)
    assert curve.shift == pytest.approx(0, abs=0.05)


def test_platt_finds_the_sigmoid_that_made_the_data() -> None:
    rng = np.random.default_rng(4)
    scores = rng.uniform(0.01, 0.99, 20_000)
    made = Platt(slope=0.7, shift=-1.5)
    truth = rng.random(len(scores)) < [made(score) for score in scores]
    found = fit_platt(scores, truth)
    assert (found.slope, found.shift) == (pytest.approx(0.7, abs=0.05), pytest.approx(-1.5, abs=0.06))


def test_separable_scores_give_no_certainty() -> None:
    curve = fit_platt([0.1] * 20 + [0.9] * 20, [False] * 20 + [True] * 20)
    assert 0.9 < curve(0.9) < 0.99
    assert 0.01 < curve(0.1) < 0.1
    steps = fit_isotonic([0.1] * 20 + [0.9] * 20, [False] * 20 + [True] * 20)
    assert (steps(0.9), steps(0.1)) == (pytest.approx(41 / 42), pytest.approx(1 / 42))


def test_isotonic_pools_what_goes_down() -> None:
    curve = fit_isotonic([0.1, 0.2, 0.3, 0.4], [False, True, False, True])
    assert curve.probabilities == pytest.approx((1 / 6, 0.5, 0.5, 5 / 6))
    assert curve(0.25) == pytest.approx(0.5)
    assert curve(0.35) == pytest.approx((0.5 + 5 / 6) / 2)


@given(SCORED, st.sampled_from(["platt", "isotonic"]), SHARES, SHARES)
def test_curves_stay_within_0_and_1_and_never_fall(
    scored: list[tuple[float, bool]], method: calibration.Method, one: float, other: float
) -> None:
    curve = calibration.FITS[method]([score for score, _ in scored], [truth for _, truth in scored])
    low, high = sorted((one, other))
    assert 0 <= curve(low) <= curve(high) + 1e-12 <= 1 + 1e-12


def test_each_fold_is_judged_by_the_others() -> None:
    """A score that is only right on the items it was fitted on looks right in sample and not out of fold."""
    rng = np.random.default_rng(5)
    scores, truth = rng.random(60), rng.random(60) < 0.5
    inside = np.array([fit_isotonic(scores, truth)(score) for score in scores])
    outside = out_of_fold(scores, truth, "isotonic")
    assert reliability(inside, truth).error < 0.01
    assert reliability(outside, truth).error > 0.05


class Digits(Detector[Text]):
    """Score: the number that the text is."""

    card = DetectorCard("digits", "3", "text", ("digit", "other"), "MIT", cost_ms=0.1)

    def load(self) -> None: ...

    def predict(self, batch: Sequence[Text]) -> list[list[Detection]]:
        values = [float(item.text) for item in batch]
        return [[Detection("digit", value)] if value > 0 else [] for value in values]


def numbers(count: int, *, part: Part = "development", name: str = "digits") -> LabelledSet:
    scores, truth = drawn(count, 6, 3.0)
    items = [
        LabelledItem(Text(str(score)), frozenset({"digit"} if holds else ()), "plain", "upload", part)
        for score, holds in zip(scores, truth, strict=True)
    ]
    unseen = [LabelledItem(Text("0"), frozenset({"digit"}), "unseen", "upload", part)] * 30
    return LabelledSet(name, "drawn", "Apache-2.0", {name: {"digit": 0.5, "other": 0.5}}, (*items, *unseen))


def test_a_detector_is_fitted_kept_and_calibrated(tmp_path: Path) -> None:
    fitted = fit(Digits(), numbers(400))
    path = store(fitted, Digits.card, tmp_path)
    detector = calibrated(Digits(), tmp_path)

    assert path == tmp_path / "digits-3.json"
    assert Calibration.model_validate_json(path.read_text()) == fitted
    assert list(fitted.labels) == ["digit"]
    digit = fitted.labels["digit"]
    assert digit.positives + digit.lookalikes == 400  # what got no score is not calibrated
    assert digit.error_after < digit.error_before
    assert detector.card.version == f"3+cal.{fitted.id}"
    (found,) = detector([Text("0.8")])
    assert found[0].score == pytest.approx(digit.curve(0.8))
    assert found[0].score < 0.7


def test_labels_without_a_curve_keep_their_scores() -> None:
    assert fit(Digits(), numbers(400))("other", 0.4) == 0.4


def test_the_version_names_the_curves() -> None:
    one, same, other = (fit(Digits(), numbers(count)) for count in (400, 400, 300))
    assert one.id == same.id != other.id


def test_isotonic_curves_are_kept_as_well(tmp_path: Path) -> None:
    fitted = fit(Digits(), numbers(400), "isotonic")
    store(fitted, Digits.card, tmp_path)
    curve = fitted.labels["digit"].curve
    assert isinstance(curve, Isotonic)
    assert calibrated(Digits(), tmp_path)([Text("0.8")])[0][0].score == pytest.approx(curve(0.8))


def test_without_a_kept_calibration_nothing_changes(tmp_path: Path) -> None:
    assert calibrated(Digits(), tmp_path).card == Digits.card


@pytest.mark.parametrize(
    ("labelled", "said"),
    [
        (numbers(400, name="letters"), "letters is not for digits: add it under 'detectors'"),
        (numbers(12), "for no label of digits 20 items with it and 20 without it"),
        (numbers(400, part="heldout"), "the development part of digits has for no label"),
    ],
)
def test_sets_that_do_not_serve_are_refused(labelled: LabelledSet, said: str) -> None:
    with pytest.raises(CalibrationError) as caught:
        fit(Digits(), labelled)
    assert said in str(caught.value)


def test_what_is_calibrated_is_not_calibrated_again(tmp_path: Path) -> None:
    store(fit(Digits(), numbers(400)), Digits.card, tmp_path)
    with pytest.raises(CalibrationError, match="is calibrated already"):
        fit(calibrated(Digits(), tmp_path), numbers(400))


def test_other_weights_need_another_calibration(tmp_path: Path) -> None:
    path = store(fit(Digits(), numbers(400)), Digits.card, tmp_path)
    path.write_text(path.read_text().replace(Digits.card.fingerprint, "0" * 16))
    with pytest.raises(CalibrationError, match="fitted for other weights of digits: calibrate again"):
        calibrated(Digits(), tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path_of(Digits.card, tmp_path).write_text("{")
    with pytest.raises(CalibrationError, match=r"digits-3\.json is damaged"):
        calibrated(Digits(), tmp_path)
