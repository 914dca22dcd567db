"""Scores made into probabilities: Platt's sigmoid or isotonic regression, kept by detector and version.

A calibration is fitted once, on the development part of a labelled set (``firstplay detectors calibrate``),
and lies beside the detectors as ``data/calibration/NAME-VERSION.json``. A detector that has one says so in
its version (``1+cal.3f09ab2c``), so that every finding names the calibration that its score went through.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from math import exp, log
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moderation import detectors
from moderation.detectors.base import Detector, DetectorCard, Item
from moderation.evaluation.labelled import LabelledSet, of_modality
from moderation.evaluation.metrics import reliability

FOLDER = Path(detectors.__file__).parent / "data" / "calibration"
LEAST = 20
"""Items with and without a label that a fit needs at least; fewer say nothing of its ends. Only items that
got a score count: where nothing is detected there is no score to calibrate."""
FOLDS = 5
EDGE = 1e-4
"""Scores are kept this far from 0 and 1, whose log-odds are infinite."""
SEED = 20_240_607

Method: TypeAlias = Literal["platt", "isotonic"]
Floats = NDArray[np.float64]


class CalibrationError(ValueError):
    """A calibration cannot be fitted or does not belong to the detector; the message says which and why."""


class _Curve(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Platt(_Curve):
    """Probability = 1 / (1 + exp(-(slope * log-odds of the score + shift)))."""

    method: Literal["platt"] = "platt"
    slope: Annotated[float, Field(ge=0)]
    shift: float

    def __call__(self, score: float) -> float:
        clipped = min(1 - EDGE, max(EDGE, score))
        odds = self.slope * log(clipped / (1 - clipped)) + self.shift
        return 1 / (1 + exp(-odds)) if odds > -500 else 0.0


class Isotonic(_Curve):
    """Probability on straight lines between points that never fall."""

    method: Literal["isotonic"] = "isotonic"
    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __call__(self, score: float) -> float:
        return float(np.interp(score, self.scores, self.probabilities))


class LabelCalibration(BaseModel):
    """One label's curve, and what it was fitted on."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    curve: Annotated[Platt | Isotonic, Field(discriminator="method")]
    positives: int
    lookalikes: int
    error_before: float
    """Expected calibration error of the plain scores."""
    error_after: float
    """Of scores calibrated by curves that were fitted without them, in 5 folds."""


class Calibration(BaseModel):
    """Of all labels of one version of a detector."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    detector: str
    version: str
    """Of the detector, without the calibration's part."""
    fingerprint: str
    """Of the card: other weights need another calibration."""
    fitted_on: str
    """Name of the labelled set."""
    set_sha256: str
    labels: dict[str, LabelCalibration]

    @property
    def id(self) -> str:
        """Eight hexadecimal digits that name the curves."""
        curves = {label: one.curve.model_dump() for label, one in self.labels.items()}
        return hashlib.sha256(json.dumps(curves, sort_keys=True).encode()).hexdigest()[:8]

    def __call__(self, label: str, score: float) -> float:
        """Labels without a curve keep their scores."""
        known = self.labels.get(label)
        return score if known is None else known.curve(score)


def fit_platt(scores: ArrayLike, truth: ArrayLike) -> Platt:
    """The sigmoid of most likelihood.

    Targets are those of J. Platt (Advances in Large Margin Classifiers, 1999), (n+ + 1) / (n+ + 2) and
    1 / (n- + 2), so that separable data give no infinite slope. It is fitted to log-odds of the score, so
    that a score that is a probability already needs slope 1 and shift 0.
    """
    from scipy.optimize import minimize

    values, positive = np.asarray(scores, float), np.asarray(truth, bool)
    clipped = np.clip(values, EDGE, 1 - EDGE)
    odds = np.log(clipped / (1 - clipped))
    many, few = positive.sum(), (~positive).sum()
    target = np.where(positive, (many + 1) / (many + 2), 1 / (few + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        at = parameters[0] * odds + parameters[1]
        probability = 1 / (1 + np.exp(-at))
        value = np.sum(np.logaddexp(0, at) - target * at)
        return float(value), np.array([np.sum((probability - target) * odds), np.sum(probability - target)])

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]
    )
    return Platt(slope=float(found.x[0]), shift=float(found.x[1]))


def fit_isotonic(scores: ArrayLike, truth: ArrayLike) -> Isotonic:
    """The rising step function of least squares (pool adjacent violators), lines between its steps.

    Its ends stay within 1 / (n + 2) of 0 and 1 for n items, since no finite set proves certainty.
    """
    from scipy.optimize import isotonic_regression

    values, positive = np.asarray(scores, float), np.asarray(truth, float)
    points, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    shares = np.bincount(which, positive) / counts
    fitted = isotonic_regression(shares, weights=counts).x
    edge = 1 / (len(values) + 2)
    return Isotonic(scores=tuple(points), probabilities=tuple(np.clip(fitted, edge, 1 - edge)))


FITS: Mapping[Method, Callable[[Any, Any], Platt | Isotonic]] = {"platt": fit_platt, "isotonic": fit_isotonic}


def fit(detector: Detector[Any], labelled: LabelledSet, method: Method = "platt") -> Calibration:
    """Calibrate every label that the set's development part has enough items of.

    Raises:
        CalibrationError: it is calibrated already, the set is not for it, or no label has enough items.
    """
    from moderation.evaluation.runner import score_of

    card = detector.card
    if "+cal." in card.version:
        raise CalibrationError(f"{card.name} {card.version} is calibrated already; fit its plain scores")
    if card.name not in labelled.detectors:
        raise CalibrationError(f"the set {labelled.name} is not for {card.name}: add it under 'detectors'")
    items = of_modality(labelled.part("development").items, card.modality)
    found = detector([item.content for item in items])
    labels = {}
    for label in labelled.detectors[card.name]:
        scores = np.array([score_of(item, seen, label) for item, seen in zip(items, found, strict=True)])
        truth = np.array([label in item.labels for item in items], bool)
        scored, right = scores[scores > 0], truth[scores > 0]
        if min(right.sum(), (~right).sum()) >= LEAST:
            labels[label] = _fit_label(scored, right, method)
    if not labels:
        raise CalibrationError(
            f"the development part of {labelled.name} has for no label of {card.name} {LEAST} items with it "
            f"and {LEAST} without it that got a score: add items"
        )
    return Calibration(
        detector=card.name,
        version=card.version,
        fingerprint=card.fingerprint,
        fitted_on=labelled.name,
        set_sha256=labelled.sha256,
        labels=labels,
    )


def _fit_label(scores: Floats, truth: NDArray[np.bool_], method: Method) -> LabelCalibration:
    return LabelCalibration(
        curve=FITS[method](scores, truth),
        positives=int(truth.sum()),
        lookalikes=int((~truth).sum()),
        error_before=round(reliability(scores, truth).error, 4),
        error_after=round(reliability(out_of_fold(scores, truth, method), truth).error, 4),
    )


def out_of_fold(scores: Floats, truth: NDArray[np.bool_], method: Method) -> Floats:
    """Each score (N,) through a curve that was fitted without its fold; folds have like shares of truth."""
    folds = np.empty(len(scores), int)
    rng = np.random.default_rng(SEED)
    for kind in (truth, ~truth):
        folds[kind] = rng.permutation(np.arange(kind.sum()) % FOLDS)
    calibrated = np.empty(len(scores))
    for fold in range(FOLDS):
        held = folds == fold
        curve = FITS[method](scores[~held], truth[~held])
        calibrated[held] = [curve(score) for score in scores[held]]
    return calibrated


def path_of(card: DetectorCard, folder: Path | None = None) -> Path:
    """Where the calibration of a plain (not yet calibrated) detector is kept."""
    return (folder or FOLDER) / f"{card.name}-{card.version}.json"


def store(calibration: Calibration, card: DetectorCard, folder: Path | None = None) -> Path:
    """Keep it for the detector; the file it is in."""
    path = path_of(card, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(calibration.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path


def calibrated(detector: Detector[Item], folder: Path | None = None) -> Detector[Item]:
    """The detector itself; where a calibration is kept for its version, scores go through it from now on.

    Raises:
        CalibrationError: what is kept is damaged, or was fitted for other weights.
    """
    card = detector.card
    path = path_of(card, folder)
    if not path.is_file():
        return detector
    try:
        kept = Calibration.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise CalibrationError(f"{path} is damaged ({error.errors()[0]['msg']}): calibrate again") from error
    if kept.fingerprint != card.fingerprint:
        raise CalibrationError(f"{path} was fitted for other weights of {card.name}: calibrate again")
    detector.rescale(f"{card.version}+cal.{kept.id}", kept)
    return detector
