"""Fit the calibration of the toxicity detector on development data, and store it with the detector.

python benchmarks/fit_toxicity.py

Platt's sigmoid with a term for game talk, one per label, with Platt's targets for few examples and a weak
penalty, on ``toxicity_development.tsv`` and the harmless texts of ``development.tsv``.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from moderation.detectors.toxicity import LABELS, Network, is_game_talk, logit

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ROOT / "tests" / "data" / "text"
STORED = ROOT / "moderation" / "detectors" / "data" / "toxicity.json"
PENALTY = 0.02
"""On the squares of slope - 1 and of the game term."""

Array = NDArray[np.float64]


def main() -> None:
    rows = [*read("toxicity_development"), *(row for row in read("development") if row["label"] == "clean")]
    network = Network()
    logits = np.array([highest(network, row["text"]) for row in rows])  # (texts, labels)
    game = np.array([is_game_talk(row["text"]) for row in rows], dtype=np.float64)
    labels = {}
    for index, label in enumerate(LABELS):
        given = np.array([label in row["label"].split(",") for row in rows])
        slope, talk, bias = fit(logits[:, index], game, given)
        labels[label] = {"slope": round(slope, 4), "game": round(talk, 4), "bias": round(bias, 4)}
        print(f"{label:14} {given.sum():4} of {len(rows)}: {labels[label]}")
    STORED.write_text(json.dumps({"version": "1", "labels": labels}, indent=1) + "\n", encoding="utf-8")


def read(part: str) -> list[dict[str, str]]:
    with (TEXTS / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def highest(network: Network, text: str) -> list[float]:
    """The network's logits; where it knows no word, those of nothing found."""
    scores = [part for _, part in network.parts(text)]
    return [logit(max((float(part[index]) for part in scores), default=0.0)) for index in range(len(LABELS))]


def fit(logits: Array, game: Array, given: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Slope, game term and bias by maximum likelihood."""
    yes, no = int(given.sum()), int((~given).sum())
    target = np.where(given, (yes + 1) / (yes + 2), 1 / (no + 2))
    inputs = np.stack([logits, game, np.ones_like(logits)], axis=1)

    def loss(weights: Array) -> float:
        z = inputs @ weights
        likelihood = np.logaddexp(0, z) - target * z
        return float(likelihood.sum() + PENALTY * len(z) * ((weights[0] - 1) ** 2 + 0.1 * weights[1] ** 2))

    slope, talk, bias = minimize(loss, np.array([1.0, 0.0, 0.0]), method="L-BFGS-B").x
    return float(slope), float(min(talk, 0.0)), float(bias)


if __name__ == "__main__":
    main()
