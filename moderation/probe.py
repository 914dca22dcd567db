"""What the bots' search is told of how things look: cheap detectors of a policy behind the bots' protocol.

Only detectors of pictures that are cheap (:data:`moderation.scan.cascade.CHEAP_MS`) and that a rule on play
asks; costly ones see what was recorded. Scores are those of the registry, calibrated where a calibration is
kept. A detector that fails says nothing here: the scan that follows finds it failed, and that never clears.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bots.probe import Probed
from moderation.detectors.base import Detection, Detector, Picture
from moderation.detectors.clip import load_clip
from moderation.scan.cascade import cheap, see
from policies.types import Source

if TYPE_CHECKING:
    from moderation.scan import Detectors
    from policies.bundle import Bundle
    from policies.compiling import Rule

DRAW_MS, EMBED_MS = 3.5, 1.0
"""Of one frame, on one thread, as measured."""
STEP_MS = 0.11
"""Of one step of the search, players included: 9,329 steps a second (docs/exploration-benchmark.md)."""
SURE = 0.5
"""Score from which a label is found where no rule gives a number."""


class DetectorProbe:
    """Asks detectors of pictures. A frame's embedding is that of what was seen best in it."""

    def __init__(self, detectors: Sequence[Detector[Picture]], bundle: Bundle) -> None:
        self._detectors = tuple(detectors)
        self._places = {
            (one.card.name, label): number
            for number, (one, label) in enumerate((d, name) for d in detectors for name in d.card.labels)
        }
        self._sure = tuple(_least(bundle, *place) for place in self._places)
        self._clip = load_clip()

    @property
    def name(self) -> str:
        """A hash of the detectors' fingerprints, of the thresholds and of the embedding."""
        told = [one.card.fingerprint for one in self._detectors] + [str(self._sure), self._clip.key]
        return "detectors-" + hashlib.sha256(" ".join(told).encode()).hexdigest()[:12]

    @property
    def labels(self) -> tuple[str, ...]:
        """``symbols: hate_symbol``."""
        return tuple(f"{detector}: {label}" for detector, label in self._places)

    @property
    def sure(self) -> tuple[float, ...]:
        """For each label the least number of a rule on play that asks for it."""
        return self._sure

    @property
    def cost(self) -> float:
        """In steps, by the detectors' cards."""
        return (DRAW_MS + EMBED_MS + sum(one.card.cost_ms for one in self._detectors)) / STEP_MS

    def __call__(self, frames: NDArray[np.uint8]) -> Probed:
        """Of (N, 3, H, W) RGB."""
        pictures = [np.ascontiguousarray(frame.transpose(1, 2, 0)) for frame in frames]
        scores = np.zeros((len(pictures), len(self._places)), np.float32)
        crops = []
        for row, (picture, seen) in enumerate(zip(pictures, see(pictures, self._detectors)[0], strict=True)):
            found = [(name, one) for name, some in seen.items() for one in some]
            for name, one in found:
                place = self._places.get((name, one.label))
                if place is not None:
                    scores[row, place] = max(scores[row, place], one.score)
            crops.append(self._cut(picture, max((one for _, one in found), key=_score, default=None)))
        squares = np.stack(crops) if crops else np.zeros((0, self._clip.side, self._clip.side, 3), np.uint8)
        return Probed(scores, self._clip.pictures(squares).astype(np.float32))

    def _cut(self, picture: NDArray[np.uint8], best: Detection | None) -> NDArray[np.uint8]:
        """(side, side, 3): what was seen best in a picture, all of it where that has no box."""
        import cv2

        height, width = picture.shape[:2]
        x0, y0, x1, y1 = best.box if best is not None and best.box is not None else (0, 0, width, height)
        part = picture[max(0, y0) : min(height, y1), max(0, x0) : min(width, x1)]
        whole = part if part.size else picture
        return np.asarray(cv2.resize(whole, (self._clip.side, self._clip.side), interpolation=cv2.INTER_AREA))


def probe_of(detectors: Detectors, bundle: Bundle) -> DetectorProbe | None:
    """The probe of a review; None where no cheap detector is asked about play."""
    asked = {use.name for rule in _of_play(bundle) for use in rule.spec.detectors}
    chosen = [one for one in cheap(detectors) if one.card.name in asked]
    return DetectorProbe(chosen, bundle) if chosen else None


def _of_play(bundle: Bundle) -> list[Rule]:
    return [rule for rule in bundle.rules if Source.PLAYTHROUGH in rule.spec.scope]


def _score(found: Detection) -> float:
    return found.score


def _least(bundle: Bundle, detector: str, label: str) -> float:
    """The least threshold of the rules on play that ask a detector for a label."""
    numbers = [
        value
        for rule in _of_play(bundle)
        if any(use.name == detector for use in rule.spec.detectors)
        and f'"{label}"' in f"{rule.spec.when} {rule.spec.review}"
        for value in rule.spec.thresholds.values()
        if 0 < value <= 1
    ]
    return min(numbers, default=SURE)
