"""A small trained layer on the text encoder: from a phrase to what it asks for, by its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from worldmodel.text.encoder import embed

WEIGHTS = Path(__file__).parent / "weights" / "heads.safetensors"
GRAIN = 32
"""Scores are rounded to 1 / GRAIN: 8-bit sums differ a little between processors, guesses should not."""


@dataclass(frozen=True)
class Heads:
    """A linear layer and a softmax over the labels and "nothing", the last."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    """(L + 1, WIDTH)."""
    bias: NDArray[np.float32]
    """(L + 1,)."""
    threshold: float
    """Probability from which on nine of ten guesses were right on validation."""

    def scores(self, piece: str) -> NDArray[np.float64]:
        """(L + 1,) probabilities in steps of 1 / GRAIN."""
        logits = (self.weights @ embed(piece) + self.bias).astype(np.float64)
        powers = np.exp(logits - logits.max())
        found: NDArray[np.float64] = np.round(GRAIN * powers / powers.sum()) / GRAIN
        return found

    def guess(self, piece: str) -> str | None:
        """The label that is sure enough, None where there is none."""
        scores = self.scores(piece)
        best = int(scores.argmax())
        return self.labels[best] if best < len(self.labels) and scores[best] >= self.threshold else None


def load_heads(path: Path = WEIGHTS) -> Heads:
    """Heads from a file that ``firstplay worldmodel train-prompt`` wrote."""
    with safe_open(path, framework="np") as file:
        about = file.metadata()
        labels, threshold = tuple(about["labels"].split("\n")), float(about["threshold"])
        return Heads(labels, file.get_tensor("weights"), file.get_tensor("bias"), threshold)


@lru_cache(maxsize=1)
def heads() -> Heads:
    """The heads of the package, loaded once."""
    return load_heads()
