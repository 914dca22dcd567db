"""What the search is told of how things look, by somebody who knows what must not be seen.

This package knows no detectors. Who has some hands a :class:`Probe` to :func:`bots.explore.explore`, and the
search then seeks what the probe's scores rise at (:mod:`bots.seekers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Probed:
    """What was seen in N frames."""

    scores: NDArray[np.float32]
    """(N, K) 0..1, of each of the probe's labels."""
    embeddings: NDArray[np.float32]
    """(N, D) of length 1: alike where what was seen is alike."""

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.embeddings):
            raise ValueError(f"{len(self.scores)} rows of scores for {len(self.embeddings)} embeddings")


class Probe(Protocol):
    """Looks at frames. Must say the same of the same frames, or a search cannot be repeated."""

    @property
    def name(self) -> str:
        """Names all that decides the scores: another name is another exploration."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What each of the K scores is of."""

    @property
    def sure(self) -> tuple[float, ...]:
        """(K,) scores from which a label counts as found."""

    @property
    def cost(self) -> float:
        """What drawing and looking at one frame costs, in steps of the search."""

    def __call__(self, frames: NDArray[np.uint8]) -> Probed:
        """Of (N, 3, H, W) RGB."""
