"""The one base of all detectors, and what they look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from worldmodel.spec import WorldSpec


@dataclass(frozen=True)
class Picture:
    """One frame or one uploaded image."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    at: float = 0.0
    """Seconds."""


@dataclass(frozen=True)
class Motion:
    """Every frame of one playthrough or video, in order."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3) RGB."""
    fps: float


@dataclass(frozen=True)
class Sound:
    """A stretch of sound."""

    samples: NDArray[np.float32]
    """(N,) mono, -1..1."""
    rate: int
    """Hz."""
    start: float = 0.0
    """Seconds from the start of the playthrough or medium."""


@dataclass(frozen=True)
class Text:
    """Words from the spec, a sign or a transcript."""

    text: str
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class Design:
    """What a creator asked for, as a whole: rules on mechanics look at it."""

    spec: WorldSpec


@dataclass(frozen=True)
class Detection:
    """One thing seen in one item."""

    label: str
    score: float
    """0..1; the card says what it means. No threshold is applied beyond dropping what is noise."""
    start: float = 0.0
    """Seconds, on the item's own clock (its ``at`` or ``start`` included)."""
    end: float = 0.0
    box: tuple[int, int, int, int] | None = None
    """Pixels of the item: x0, y0, x1, y1."""
    text: str | None = None


@dataclass(frozen=True)
class DetectorCard:
    """What a finding must name, and what an operator must know."""

    name: str
    version: str
    modality: Literal["picture", "motion", "sound", "text", "design"]
    labels: tuple[str, ...]
    licence: str
    weights: tuple[str, ...] = ()
    """Names in the model catalogue (``firstplay models list``)."""
    recall: float | None = None
    """Share of real violations found, where measured or published; feeds the bound."""
    recall_source: str = "not measured"
    cost_ms: float = 0.0
    """Rough milliseconds per item on one CPU thread."""


Item = TypeVar("Item", Picture, Motion, Sound, Text, Design)


class Detector(ABC, Generic[Item]):
    """Loads its weights on first use, under a lock; safe to share between threads.

    Subclasses set ``card`` and write ``load`` (raises ``moderation.models.ModelMissing`` when weights are
    not there: never a silent pass) and ``predict``.
    """

    card: DetectorCard

    def __init__(self) -> None:
        self._lock = Lock()
        self._loaded = False

    def ensure_loaded(self) -> None:
        with self._lock:
            if not self._loaded:
                self.load()
                self._loaded = True

    def __call__(self, batch: Sequence[Item]) -> list[list[Detection]]:
        """``predict`` after loading: one list of detections per item, in order."""
        self.ensure_loaded()
        return self.predict(batch)

    @abstractmethod
    def load(self) -> None: ...

    @abstractmethod
    def predict(self, batch: Sequence[Item]) -> list[list[Detection]]: ...
