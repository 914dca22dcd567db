"""Whether a picture shows what a policy's own phrases name: an image–text model, without training for it.

A picture is cut into overlapping squares (:func:`windows`), so that a small thing fills enough of one. For
each square and label, a softmax over cosines gives the probability that it shows one of the label's ``show``
phrases rather than one of its ``against`` phrases or of :data:`BACKGROUND`, which names common things and
empty scenes; the label's score is that of the best square. The temperature of the softmax was fitted on
development drawings, where the model's card says so.

The card (``coverage.json`` beside the weights, written by ``python -m moderation.drawings.evaluate``) lists
the concepts that the model was measured on. A label with a phrase that is near none of them, or near one that
was told badly, is ``uncovered``: its silence clears nothing. A model without a card covers nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard, Picture
from moderation.detectors.clip import DRAWN, DRAWN_FOLDER, Clip, Squares, Vectors, load_clip
from moderation.models import cache_dir, model_path

if TYPE_CHECKING:
    from moderation.detectors.registry import Setup
    from policies.schema import Phrases

NAME = "zero-shot"
MODEL_VARIABLE = "FIRSTPLAY_CLIP"
"""The image–text model to use, as ``load_clip`` takes it; our own where it is not set."""
COVERAGE = "coverage.json"
BACKGROUND = DRAWN_FOLDER / "background.txt"
"""One phrase a line: what is in most pictures."""
NOISE = 0.02
"""Scores below this say nothing and are left out."""
PART = 0.5
"""Side of the smaller squares, as a share of the picture's shorter side: 64 of 128 pixels."""
OVERLAP = 0.4
"""Least share of a square that it has in common with the next."""
SAME = 0.5
"""Cosine to a phrase that is looked for from which a background phrase does not speak against it."""

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class CoverageCard:
    """What a model was measured on."""

    concepts: Mapping[str, float]
    """AUROC of each concept, as a phrase, against all others in held-out pictures."""
    nearest: float
    """Least cosine between the meanings of a phrase and of a concept for the concept to speak for it."""
    floor: float
    """Least AUROC of that concept."""
    temperature: float = 1.0
    """Divides the model's scale."""

    @classmethod
    def read(cls, path: Path) -> CoverageCard:
        """From the file that the evaluation writes."""
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(told["concepts"], told["nearest"], told["floor"], told["temperature"])

    def covers(self, phrase: str) -> bool:
        """Whether the concept nearest in meaning is near enough and was told well enough."""
        return self.covering(phrase) is not None

    def covering(self, phrase: str) -> str | None:
        """The measured concept that speaks for a phrase."""
        from worldmodel.text.encoder import embed

        if not self.concepts:
            return None
        names, cosines = list(self.concepts), self._meanings @ embed(phrase)
        best = int(np.argmax(cosines))
        good = cosines[best] >= self.nearest and self.concepts[names[best]] >= self.floor
        return names[best] if good else None

    @cached_property
    def _meanings(self) -> Vectors:
        from worldmodel.text.encoder import embed

        return np.stack([embed(name) for name in self.concepts])


NOTHING = CoverageCard({}, nearest=1.0, floor=1.0)
"""The card of a model that has none."""


def uncovered(phrases: Mapping[str, Phrases], card: CoverageCard) -> tuple[str, ...]:
    """Labels with a phrase to look for that lies outside what the card covers."""
    return tuple(
        label for label, some in phrases.items() if not all(card.covers(phrase) for phrase in some.show)
    )


def windows(height: int, width: int) -> list[Box]:
    """Overlapping squares of a picture: large ones along its longer side, then smaller ones all over."""
    short = min(height, width)
    boxes: list[Box] = []
    for side in (short, max(1, round(short * PART))):
        for y in _starts(height, side):
            boxes += [(x, y, x + side, y + side) for x in _starts(width, side)]
    return boxes


def _starts(length: int, side: int) -> list[int]:
    """Evenly spread places of squares along one side, the first at its start and the last at its end."""
    count = 1 if length == side else 1 + int(np.ceil((length - side) / (side * (1 - OVERLAP))))
    return [round(at) for at in np.linspace(0, length - side, count)]


def cut(pixels: Pixels, boxes: Sequence[Box], side: int) -> Squares:
    """(N, side, side, 3): the squares of a picture at the size that a model looks at."""
    import cv2

    out = np.empty((len(boxes), side, side, 3), np.uint8)
    for row, (x0, y0, x1, y1) in zip(out, boxes, strict=True):
        how = cv2.INTER_AREA if x1 - x0 >= side else cv2.INTER_LINEAR
        row[:] = cv2.resize(pixels[y0:y1, x0:x1], (side, side), interpolation=how)
    return out


def probabilities(vectors: Vectors, show: Vectors, others: Vectors, scale: float) -> NDArray[np.float32]:
    """(N,) that each of (N, D) shows one of ``show`` rather than one of ``others``."""
    logits = scale * (vectors @ np.concatenate([show, others]).T)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float32] = weights[:, : len(show)].sum(axis=1) / weights.sum(axis=1)
    return found


@dataclass(frozen=True)
class _Label:
    show: Vectors
    others: Vectors


class ZeroShot(Detector[Picture]):
    """Scores a policy's labels by its phrases."""

    batch_size = 8

    def __init__(self, phrases: Mapping[str, Phrases], key: str, model: str = DRAWN) -> None:
        """``key`` names the phrases: their embeddings are kept under it. ``model`` is for ``load_clip``."""
        super().__init__()
        self._phrases, self._key, self._model = dict(phrases), key, model
        self.card = replace(CARD, version=f"{CARD.version}+phrases.{key[:8]}", labels=tuple(phrases))

    @property
    def uncovered(self) -> tuple[str, ...]:
        """Labels that the model cannot be relied on for."""
        self.ensure_loaded()
        return self._uncovered

    def load(self) -> None:
        for name in self.card.weights:  # any model needs them, to know what its card covers
            model_path(name)
        self._clip = load_clip(self._model)
        folder = DRAWN_FOLDER if self._model == DRAWN else Path(self._model)
        path = folder / COVERAGE
        card = CoverageCard.read(path) if path.is_file() else NOTHING
        self._temperature = card.temperature
        self._labels = _embedded(self._clip, self._phrases, self._key)
        self._uncovered = uncovered(self._phrases, card)

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        boxes = [windows(*picture.pixels.shape[:2]) for picture in batch]
        squares = [
            cut(picture.pixels, some, self._clip.side) for picture, some in zip(batch, boxes, strict=True)
        ]
        vectors = self._clip.pictures(np.concatenate(squares))
        ends = np.cumsum([len(some) for some in boxes])[:-1]
        return [
            self._detections(picture, some, own)
            for picture, some, own in zip(batch, boxes, np.split(vectors, ends), strict=True)
        ]

    def scores(self, label: str, vectors: Vectors, temperature: float | None = None) -> NDArray[np.float32]:
        """(K,) probability that each of a picture's windows (K, D) shows the label."""
        self.ensure_loaded()
        texts = self._labels[label]
        scale = self._clip.scale / (self._temperature if temperature is None else temperature)
        return probabilities(vectors, texts.show, texts.others, scale)

    def _detections(self, picture: Picture, boxes: Sequence[Box], vectors: Vectors) -> list[Detection]:
        found = []
        for name in self._labels:
            scores = self.scores(name, vectors)
            best = int(np.argmax(scores))
            if scores[best] >= NOISE:
                found.append(Detection(name, float(scores[best]), picture.at, picture.at, boxes[best]))
        return found


CARD = DetectorCard(
    name=NAME,
    version="1",
    modality="picture",
    labels=(),
    licence="Apache-2.0 (weights, trained on drawings under MIT, ISC, Apache-2.0, CC0 and CC-BY)",
    weights=("text-encoder", "text-tokens"),
    cost_ms=8.0,
)
"""Each detector adds its phrases' key and labels."""


def zero_shot(setup: Setup) -> ZeroShot:
    """As the registry makes it: a policy's phrases, and the model that :data:`MODEL_VARIABLE` names."""
    phrases, key = setup.phrases.get(NAME, {}), setup.phrase_keys.get(NAME, "none")
    return ZeroShot(phrases, key, os.environ.get(MODEL_VARIABLE) or DRAWN)


@lru_cache(maxsize=1)
def background() -> tuple[str, ...]:
    """The phrases of :data:`BACKGROUND`."""
    return tuple(BACKGROUND.read_text(encoding="utf-8").splitlines())


def _embedded(clip: Clip, phrases: Mapping[str, Phrases], key: str) -> dict[str, _Label]:
    """Embeddings of each label's phrases, from the cache folder if they were made before."""
    wanted = {label: (list(some.show), _others(some)) for label, some in phrases.items()}
    texts = sorted({text for both in wanted.values() for some in both for text in some})
    if not texts:
        return {}
    known = dict(zip(texts, _vectors(clip, texts, key), strict=True))
    return {
        label: _Label(*(np.stack([known[text] for text in some]) for some in both))
        for label, both in wanted.items()
    }


def _others(phrases: Phrases) -> list[str]:
    """What speaks against a label: its own look-alikes, and the background that does not mean the same."""
    from worldmodel.text.encoder import embed

    show = np.stack([embed(phrase) for phrase in phrases.show])
    apart = [text for text in background() if (show @ embed(text)).max() < SAME]
    return [*phrases.against, *apart]


def _vectors(clip: Clip, texts: Sequence[str], key: str) -> Vectors:
    """(N, D), kept under the phrases' key and the model's."""
    path = cache_dir() / NAME / f"{key}-{clip.key[:16]}.npz"
    if path.is_file():
        kept = np.load(path)
        if list(kept["texts"]) == list(texts):
            found: Vectors = kept["vectors"]
            return found
    made = clip.phrases(texts)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(scratch, texts=np.array(texts), vectors=made)
    scratch.replace(path)
    return made
