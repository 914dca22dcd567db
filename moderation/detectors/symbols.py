"""Hateful symbols in drawn pictures, by a small network trained here.

Every size of a picture is looked at (:mod:`moderation.symbols.looking`); the score is that of the window that
looks most like a symbol. What the symbols are, and how they are told from their look-alikes, is in
:mod:`moderation.symbols.emblems`; error rates by look-alike are in ``weights/symbols.md``. What is larger
than a frame is found on the whole map: :func:`moderation.symbols.maps.whole_map_pictures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard, Picture
from moderation.detectors.sessions import open_session
from moderation.models import ModelMissing
from moderation.symbols.emblems import BACKGROUND, CELTIC, CLASSES, HATE, HOOKED, MANJI
from moderation.symbols.looking import MARGIN, STEP, WINDOW, Pixels, Values, closer, pyramid

WEIGHTS = Path(__file__).parent / "weights" / "symbols.onnx"
SHA256 = "2b866d73713456204e332a2239e934afb89a47018540990aa0988544f8181410"
NOISE = 0.2
"""Scores below this say nothing and are left out: most views of a clean world have one."""
BATCH = 8
"""Pictures of one size per run."""
CANDIDATES = 4
"""Windows of a picture that are looked at again, at most ..."""
DOUBT = 0.2
"""... where the first look says a symbol is at least this likely."""
LABELS = {"hate_symbol": HATE, "ambiguous_symbol": (HOOKED, CELTIC, MANJI)}
"""Labels, and the classes of the network whose probabilities they add up."""
SUGGESTED = {"hate_symbol": 0.772, "ambiguous_symbol": 0.611}
"""Thresholds to reject and to have a person judge, chosen on the development split: see the card."""

_LEAST = 1e-6
"""Probability under which logarithms are cut off."""


class SymbolWeightsMissing(ModelMissing):
    """The weights come with the package: without them nothing was looked at."""

    def __init__(self, path: Path) -> None:
        super().__init__("symbols", (str(path),))
        remedy = (
            "They come with firstplay: install it again, or train them: python -m moderation.symbols.train"
        )
        self.args = (f"the weights of 'symbols' are missing at {path}. {remedy}",)


@dataclass(frozen=True)
class _Window:
    """A window of a picture at one size, and the probabilities of its classes."""

    scale: float
    x: int
    y: int
    classes: NDArray[np.float32]

    @property
    def corner(self) -> tuple[float, float]:
        """Pixels x, y of the picture."""
        return (STEP * self.x - MARGIN) * self.scale, (STEP * self.y - MARGIN) * self.scale

    @property
    def side(self) -> float:
        return WINDOW * self.scale

    @property
    def symbol(self) -> float:
        """Probability of any of them."""
        return 1.0 - float(self.classes[BACKGROUND])

    def score(self, label: str) -> float:
        return float(self.classes[list(LABELS[label])].sum())


class Symbols(Detector[Picture]):
    """``hate_symbol``: a symbol that is hardly ever anything else. ``ambiguous_symbol``: for a person to
    judge, a hooked cross however it stands, since upright ones are also temples' signs, or a Celtic cross."""

    card = DetectorCard(
        name="symbols",
        version="1",
        modality="picture",
        labels=tuple(LABELS),
        licence="Apache-2.0",
        recall=0.81,
        recall_source="342 of 400 held-out drawn symbols at the suggested threshold: lower 95 % limit",
        cost_ms=6.0,
        shipped=((WEIGHTS.name, SHA256),),
    )

    def load(self) -> None:
        if not WEIGHTS.exists():
            raise SymbolWeightsMissing(WEIGHTS)
        self.card.check_shipped(WEIGHTS.parent)
        self._session = open_session(WEIGHTS)

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        found: list[list[Detection]] = [[] for _ in batch]
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(batch):
            by_size.setdefault(picture.pixels.shape, []).append(index)
        for same in by_size.values():
            for start in range(0, len(same), BATCH):
                chosen = same[start : start + BATCH]
                pictures = [batch[index] for index in chosen]
                for index, picture, seen in zip(chosen, pictures, self._look(pictures), strict=True):
                    sure = [self._look_again(picture.pixels, window) for window in seen]
                    found[index] = _detections(picture, sure)
        return found

    def _look(self, pictures: Sequence[Picture]) -> list[list[_Window]]:
        """For each of some pictures of one size the windows that look most like a symbol."""
        seen: list[list[_Window]] = [[] for _ in pictures]
        for levels in zip(*(pyramid(picture.pixels) for picture in pictures), strict=True):
            scores = self.scores(np.stack([level.values for level in levels]))
            for row, windows in zip(scores, seen, strict=True):
                windows.extend(_peaks(row, levels[0].scale))
        return [sorted(windows, key=lambda w: -w.symbol)[:CANDIDATES] for windows in seen]

    def _look_again(self, pixels: Pixels, first: _Window) -> _Window:
        """The same window, by the geometric mean of this look and of others: chance hits do not last."""
        if first.symbol < DOUBT:
            return first
        (left, top), half = first.corner, first.side / 2
        around = self.scores(closer(pixels, left + half, top + half, first.side))[:, :, 0, 0]
        mean = _normalised(np.log(around + _LEAST).mean(0))
        both = np.log(first.classes + _LEAST) + np.log(mean + _LEAST)
        return replace(first, classes=_normalised(both / 2))

    def scores(self, values: Values) -> NDArray[np.float32]:
        """(B, classes, h, w) probabilities of (B, 3, H, W) normalised pixels."""
        found: NDArray[np.float32] = self._session.run(None, {"pixels": values})[0]
        return found


def _normalised(logs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities from logarithms."""
    values = np.exp(logs - logs.max())
    return np.asarray(values / values.sum(), np.float32)


def _peaks(row: NDArray[np.float32], scale: float) -> list[_Window]:
    """The windows of (classes, h, w) probabilities that look more like a symbol than those around them."""
    import cv2

    symbol = 1.0 - row[BACKGROUND]
    highest = symbol >= cv2.dilate(symbol, np.ones((3, 3), np.uint8))
    places = np.argwhere(highest)
    best = places[np.argsort(-symbol[highest])[:CANDIDATES]]
    return [_Window(scale, int(x), int(y), row[:, y, x]) for y, x in best]


def _detections(picture: Picture, seen: Sequence[_Window]) -> list[Detection]:
    found = []
    for label, classes in LABELS.items():
        best = max(seen, key=lambda window: window.score(label))
        if best.score(label) >= NOISE:
            symbol = CLASSES[max(classes, key=lambda c: float(best.classes[c]))]
            score, box = min(1.0, best.score(label)), _box(best, picture.pixels.shape)
            found.append(Detection(label, score, picture.at, picture.at, box=box, text=symbol))
    return found


def _box(window: _Window, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The window inside the picture."""
    (left, top), (height, width) = window.corner, shape[:2]
    right, bottom = left + window.side, top + window.side
    across, down = np.clip(np.round([left, right]), 0, width), np.clip(np.round([top, bottom]), 0, height)
    return int(across[0]), int(down[0]), int(across[1]), int(down[1])
