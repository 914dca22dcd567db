"""Nudity in pictures: Yahoo's open_nsfw, and nsfwjs, which also knows drawings.

Both run on ONNX Runtime with one thread; the weights come from ``moderation.models``.
"""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard, Picture
from moderation.detectors.sessions import open_session
from moderation.models import model_path

if TYPE_CHECKING:
    pass

BATCH = 2
"""Pictures per run: more would cost memory and save no time on one thread."""
NOISE = 0.02
"""Scores below this say nothing and are left out."""
SIDE = 224
"""Pixels of the side of both networks' input."""

Pixels = NDArray[np.uint8]
Input = NDArray[np.float32]


class _Classifier(Detector[Picture]):
    """A whole-picture classifier: (N, 224, 224, 3) in, (N, classes) probabilities out."""

    classes: ClassVar[tuple[str | None, ...]]
    """Label of each output column; None for one that is not reported."""

    def load(self) -> None:
        self._session = open_session(model_path(self.card.weights[0]))
        self._input = self._session.get_inputs()[0].name

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        found: list[list[Detection]] = []
        for start in range(0, len(batch), BATCH):
            pictures = batch[start : start + BATCH]
            rows = self.scores([picture.pixels for picture in pictures])
            found += [self._detections(picture, row) for picture, row in zip(pictures, rows, strict=True)]
        return found

    def scores(self, pictures: Sequence[Pixels]) -> Input:
        """(N, classes) probabilities for (H, W, 3) RGB pictures of any size."""
        inputs = np.stack([self.prepare(pixels) for pixels in pictures])
        scores: Input = self._session.run(None, {self._input: inputs})[0]
        return scores

    def _detections(self, picture: Picture, row: Input) -> list[Detection]:
        named = ((label, float(score)) for label, score in zip(self.classes, row, strict=True) if label)
        return [
            Detection(label, min(1.0, score), picture.at, picture.at)
            for label, score in named
            if score >= NOISE
        ]

    @staticmethod
    @abstractmethod
    def prepare(pixels: Pixels) -> Input:
        """(224, 224, 3) float32 input of the network for an (H, W, 3) RGB picture."""


class OpenNsfw(_Classifier):
    """Probability that a picture is pornographic. Trained on photographs; weak on drawings."""

    card = DetectorCard(
        name="nsfw-open",
        version="1",
        modality="picture",
        labels=("nsfw",),
        licence="BSD-2-Clause (weights), Apache-2.0",
        weights=("opennsfw",),
        cost_ms=20.0,
        input_size=(SIDE, SIDE),
    )
    classes = (None, "nsfw")

    @staticmethod
    def prepare(pixels: Pixels) -> Input:
        """Yahoo's preprocessing: stretch to 256, cut the middle 224, through JPEG, BGR less its mean.

        The network saw JPEG-compressed pictures in training (https://github.com/yahoo/open_nsfw,
        ``classify_nsfw.py``), so lossless ones go through JPEG too.
        """
        from PIL import Image

        edge = (256 - SIDE) // 2
        image = Image.fromarray(pixels).resize((256, 256), Image.Resampling.BILINEAR)
        image = image.crop((edge, edge, edge + SIDE, edge + SIDE))
        with io.BytesIO() as buffer:
            image.save(buffer, format="JPEG")
            decoded = np.asarray(Image.open(buffer), np.float32)
        return np.ascontiguousarray(decoded[:, :, ::-1] - np.array([104, 117, 123], np.float32))


class NsfwJs(_Classifier):
    """Five classes; ``drawing`` and ``neutral`` are the harmless ones, and the five add up to 1."""

    card = DetectorCard(
        name="nsfw-js",
        version="1",
        modality="picture",
        labels=("drawing", "hentai", "neutral", "porn", "sexy"),
        licence="MIT",
        weights=("nsfwjs",),
        cost_ms=20.0,
        input_size=(SIDE, SIDE),
    )
    classes = card.labels

    @staticmethod
    def prepare(pixels: Pixels) -> Input:
        """RGB 0..1, stretched to 224 by bilinear interpolation that aligns the corner pixels.

        As nsfwjs does it, but a picture of more than twice that size is first averaged down: plain
        bilinear interpolation would skip pixels.
        """
        import cv2

        height, width = pixels.shape[:2]
        small = (min(width, 2 * SIDE), min(height, 2 * SIDE))
        if small != (width, height):
            pixels = np.asarray(cv2.resize(pixels, small, interpolation=cv2.INTER_AREA), np.uint8)
        values = pixels.astype(np.float32) / 255.0
        if pixels.shape[:2] == (SIDE, SIDE):
            return values
        rows, columns = (np.linspace(0, size - 1, SIDE, dtype=np.float32) for size in pixels.shape[:2])
        across, down = np.meshgrid(columns, rows)
        resized = cv2.remap(values, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(resized, np.float32)
