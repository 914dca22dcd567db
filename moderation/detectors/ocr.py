"""Writing in pictures, by PP-OCRv6 (small) through RapidOCR.

A frame of play is enlarged a little; only where the detection network finds writing does the larger
recognition network run. An uploaded picture is read whole, at up to 2 million pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard, Picture
from moderation.models import model_path

if TYPE_CHECKING:
    from rapidocr import RapidOCR

SMALL_SIDE = 320
"""Pictures up to this side are frames or thumbnails and are enlarged."""
ENLARGED = 1.5
"""Compared with 1 and 2 on signs in recorded play and on 96 x 48 boards in textured 128 x 128 scenes: as
many characters read as at 2 in three quarters of the time; at 1 a tenth of the boards were misread."""
OVERVIEW_SIDE = 960
"""Larger pictures are read at this longest side, where large letters fit the network's field of view ..."""
DETAIL_PIXELS = 2_000_000
"""... and once more at full size, or at this many pixels if they have more: this bounds the time."""
MINIMUM_SIDE = 64
"""The detector needs multiples of 32 pixels; a narrower picture is padded to this."""
MAX_LINES = 64
"""Lines read per picture at most, again to bound the time."""
SAME_LINE = 0.5
"""Share of the smaller of two boxes that the other covers, from which they are one line."""
NOISE = 0.4
"""Mean character probability under which a reading is of a texture."""
SHORTEST = 2
"""Characters: sprites and bricks are often taken for one, and one alone says nothing."""

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]


class Ocr(Detector[Picture]):
    """Lines of writing with their boxes; the score is the mean probability of the characters read."""

    card = DetectorCard(
        name="ocr",
        version="1",
        modality="picture",
        labels=("text",),
        licence="Apache-2.0",
        weights=("ocr-detection", "ocr-recognition"),
        recall=0.92,
        recall_source="40 of 40 painted signs of 14 to 20 pixels read whole: lower 95 % limit",
        cost_ms=80.0,
    )

    def load(self) -> None:
        self._reader = _engine()

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [self._read_picture(picture) for picture in batch]

    def _read_picture(self, picture: Picture) -> list[Detection]:
        pixels = np.ascontiguousarray(picture.pixels)
        found: list[Detection] = []
        for factor in scales(*pixels.shape[:2]):
            lines = self._read(pixels, factor, picture.at)
            found += [line for line in lines if not any(_same(line, other) for other in found)]
        return found

    def _read(self, pixels: Pixels, factor: float, at: float) -> list[Detection]:
        result: Any = self._reader(_prepared(pixels, factor))
        if result.txts is None:
            return []
        height, width = pixels.shape[:2]
        return [
            Detection(
                "text", min(1.0, float(score)), at, at, _box(corners / factor, width, height), text.strip()
            )
            for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True)
            if score >= NOISE and len(text.strip()) >= SHORTEST
        ]


def scales(height: int, width: int) -> list[float]:
    """The factors by which a picture is resized to be read, coarse first."""
    longest = max(height, width)
    if longest <= SMALL_SIDE:
        return [ENLARGED]
    if longest <= OVERVIEW_SIDE:
        return [1.0]
    detail = min(1.0, math.sqrt(DETAIL_PIXELS / (height * width)))
    return [OVERVIEW_SIDE / longest, detail]


def _engine() -> RapidOCR:
    """One RapidOCR pipeline on one thread, with the catalogue's weights and no resizing of its own."""
    from rapidocr import RapidOCR

    options: dict[str, Any] = {
        "Global.log_level": "error",
        "Global.text_score": 0.0,
        "Global.use_cls": False,
        "Global.use_rec": True,
        "Global.use_preprocess_img": False,
        "Global.use_vertical_padding": False,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Det.model_path": str(model_path("ocr-detection")),
        "Det.limit_side_len": 32,
        "Det.limit_type": "min",
        "Det.thresh": 0.3,
        "Det.box_thresh": 0.5,
        "Det.max_candidates": MAX_LINES,
        "Rec.model_path": str(model_path("ocr-recognition")),
    }
    return RapidOCR(params=options)


def _prepared(pixels: Pixels, factor: float) -> Pixels:
    """The picture resized, padded below and to the right to the smallest side, and as BGR."""
    import cv2

    if factor != 1.0:
        how = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
        size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)
    below, right = (max(0, MINIMUM_SIDE - side) for side in pixels.shape[:2])
    if below or right:
        pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    return np.ascontiguousarray(pixels[:, :, ::-1])


def _box(corners: NDArray[np.float64], width: int, height: int) -> Box:
    """Upright box around four corners (4, 2), inside the picture."""
    left, top = np.floor(corners.min(axis=0)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))


def _same(one: Detection, other: Detection) -> bool:
    """Whether two readings at different sizes are of the same line."""
    if one.box is None or other.box is None:
        return False
    across = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
    down = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    smaller = min(_area(one.box), _area(other.box))
    return max(0, across) * max(0, down) > SAME_LINE * smaller


def _area(box: Box) -> int:
    return max(1, (box[2] - box[0]) * (box[3] - box[1]))
