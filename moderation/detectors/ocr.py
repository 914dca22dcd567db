"""Writing in pictures, by PP-OCRv6 (small): found by its detection network, read by its recognition network.

A frame of play is enlarged a little and looked at twice, the second time turned by 90 degrees, since the
detection network finds rows of letters best. Only where it finds some does the recognition network run: on
lines as they are, mirrored where that reads badly, and on columns turned both ways and with their letters
laid out as a row. An uploaded picture is read whole, at up to 2 million pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from moderation.detectors import regions
from moderation.detectors.base import Detection, Detector, DetectorCard, Picture
from moderation.detectors.recogniser import Guess, Recogniser
from moderation.detectors.regions import Box, Pixels
from moderation.models import model_path

if TYPE_CHECKING:
    from rapidocr import RapidOCR

SMALL_SIDE = 320
"""Pictures up to this side are frames or thumbnails and are enlarged."""
ENLARGED = 1.5
"""Compared with 1 and 2 on signs in recorded play and on 96 x 48 boards in textured 128 x 128 scenes: as
many characters read as at 2 in three quarters of the time; at 1 a tenth of the boards were misread."""
TURNED = 2 / 3
"""Scale of the look at the turned picture, relative to the first: at 1 : 1 every sign of the labelled
development set was found by one of the two looks, for 13 of 41 milliseconds."""
OVERVIEW_SIDE = 960
"""Larger pictures are read at this longest side, where large letters fit the network's field of view ..."""
DETAIL_PIXELS = 2_000_000
"""... and once more at full size, or at this many pixels if they have more: this bounds the time."""
MINIMUM_SIDE = 64
"""The detector needs multiples of 32 pixels; a narrower picture is padded to this."""
MAX_LINES = 64
"""Boxes looked at per picture and look at most, again to bound the time."""
MAX_SECOND = 16
"""Columns, and rows of single letters, read per picture and look at most."""
WIDE = 1.3
"""Width of a box relative to its height from which it is a line; less is a letter, a column or a sprite."""
LEGIBLE = 0.9
"""What is covered by lines that read as well as this is not looked at as a column or row."""
ALTERNATIVES = 4
"""Other readings of one line that are given."""
NOISE = 0.4
"""Mean character probability under which a reading is of a texture."""
SURE = 0.97
"""From here on a line is not looked at in other ways."""
SECOND = 0.8
"""Least probability of a reading that is not of a plain line."""
EITHER = 0.8
"""A line that reads as well as this both ways is given both ways, as ``pow`` and ``wog``."""
GROWTH, GROWN = 1.5, 0.85
"""A column that was read is looked at once more with this many letters on either end, and so on, as long
as more letters are read with this probability: single letters are often missed ..."""
STEPS = 4
"""... but no more often than this."""
AS_SURE = 0.02
"""A longer reading of a column is taken up to this much below the best."""
SHORTEST = 2
"""Characters: sprites and bricks are often taken for one, and one alone says nothing."""

Quad: TypeAlias = NDArray[np.float32]
"""(4, 2) corners x, y, clockwise from the upper left."""
Way: TypeAlias = Literal["across", "mirrored", "down", "up", "stacked"]


@dataclass(frozen=True)
class Reading:
    """A line or column of a page."""

    text: str
    score: float
    """Mean probability of the characters."""
    box: Box
    way: Way = "across"
    others: tuple[Guess, ...] = ()
    """What else it may say."""

    @property
    def worth(self) -> float:
        """Of two readings of one place the one with more characters, unless it is less sure of them."""
        return self.score**2 * len(self.text)


class Ocr(Detector[Picture]):
    """Lines of writing with their boxes; the score is the mean probability of the characters read."""

    card = DetectorCard(
        name="ocr",
        version="2",
        modality="picture",
        labels=("text",),
        licence="Apache-2.0",
        weights=("ocr-detection", "ocr-recognition"),
        recall=0.94,
        recall_source="slurs on 137 of 139 held-out signs of 12 to 24 pixels (benchmarks/sign_moderation.py):"
        " lower 95 % limit; of disguised ones 324 of 360",
        cost_ms=85.0,
    )

    def load(self) -> None:
        self._finder = _finder()
        self._recognise = Recogniser()

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        return [self._read_picture(picture) for picture in batch]

    def _read_picture(self, picture: Picture) -> list[Detection]:
        pixels = np.ascontiguousarray(picture.pixels)
        found: list[Reading] = []
        for look, factor in enumerate(scales(*pixels.shape[:2])):
            turned = self._turned(pixels, factor * TURNED) if look == 0 else []
            page = _Page(self._recognise, prepared(pixels, factor))
            lines = page.read(self._found(page.pixels), [_scaled(box, factor) for box in turned])
            placed = [replace(line, box=_scaled(line.box, 1 / factor)) for line in lines]
            found += [
                line for line in placed if not any(regions.same(line.box, other.box) for other in found)
            ]
        height, width = pixels.shape[:2]
        return [
            Detection("text", min(1.0, score), picture.at, picture.at, _inside(line.box, width, height), text)
            for line in sorted(found, key=lambda line: (line.box[1], line.box[0]))
            for text, score in ((line.text, line.score), *line.others)
        ]

    def _found(self, prepared: Pixels) -> list[Quad]:
        found: Any = self._finder(prepared)
        return [] if found.boxes is None else [np.asarray(quad, np.float32) for quad in found.boxes]

    def _turned(self, pixels: Pixels, factor: float) -> list[Box]:
        """Boxes found in the picture turned to the left, as boxes of the picture."""
        height, width = pixels.shape[:2]
        quads = (quad / factor for quad in self._found(prepared(np.rot90(pixels), factor)))
        boxes = (_around(np.stack([width - quad[:, 1], quad[:, 0]], axis=1)) for quad in quads)
        inside = (_inside(box, width, height) for box in boxes)  # a padded picture has some outside
        return [box for box in inside if regions.area(box)]


class _Page:
    """One picture at one scale, BGR."""

    def __init__(self, recognise: Recogniser, pixels: Pixels) -> None:
        self.pixels = pixels
        self._recognise = recognise

    def read(self, quads: Sequence[Quad], turned: Sequence[Box]) -> list[Reading]:
        """What stands in boxes found upright, and found in the turned picture; what is worth most first."""
        lines = [self._line(self._cut(quad), _around(quad)) for quad in quads if _aspect(quad) >= WIDE]
        legible = [line.box for line in lines if line.score >= LEGIBLE]
        letters = [_around(quad) for quad in quads if _aspect(quad) < WIDE]
        pieces = regions.largest(box for box in [*letters, *turned] if not regions.covered(box, legible))
        columns = filter(regions.tall, map(regions.union, regions.chains(pieces, down=True)))
        boxes = [line.box for line in lines]
        chains = regions.chains([*boxes, *pieces], down=False)
        rows = (regions.union(row) for row in chains if len(row) > 1 and not set(row) <= set(boxes))
        second = [*map(self._column, islice(columns, MAX_SECOND)), *map(self._row, islice(rows, MAX_SECOND))]
        return _joined(_best(lines, [reading for reading in second if reading is not None]))

    def _line(self, line: Pixels, box: Box) -> Reading:
        """A line as it is, or mirrored where that is better; both where both are good."""
        plain = self._reading(line, box)
        if plain.score >= SURE and len(plain.text) >= SHORTEST:
            return plain
        other = self._reading(np.ascontiguousarray(line[:, ::-1]), box, "mirrored")
        if other.score < max(SECOND, plain.score) or len(other.text) < SHORTEST:
            return plain
        return _with(other, plain) if plain.score >= EITHER else other

    def _row(self, box: Box) -> Reading | None:
        line = self._line(self._strip(box), box)
        return line if line.score >= SECOND else None

    def _column(self, box: Box) -> Reading | None:
        """A column read in the best way, as far as it goes, with other ways in which it reads well."""
        tries = [self._upright(box, way) for way in ("down", "up")]
        if max(reading.score for reading in tries) < SURE:
            tries.append(self._upright(box, "stacked"))
        good = [one for one in tries if one.score >= SECOND and len(one.text) >= SHORTEST]
        if not good:
            return None
        best, *others = sorted(good, key=lambda one: -one.score)
        grown = [best]
        for _ in range(STEPS):
            longer = self._upright(self._longer(grown[-1].box), best.way)
            if longer.score < GROWN or len(longer.text) <= len(grown[-1].text):
                break
            grown.append(longer)
        whole = _longest(grown)
        for other in others:
            whole = _with(whole, other)
        return whole

    def _reading(self, line: Pixels, box: Box, way: Way = "across") -> Reading:
        (text, score), *others = self._recognise(line)
        return Reading(text, score, box, way, tuple(others))

    def _upright(self, box: Box, way: Way) -> Reading:
        strip = self._strip(box)
        if way == "stacked":
            row = regions.laid_out(strip)
            return Reading("", 0.0, box) if row is None else self._reading(row, box, way)
        return self._reading(np.ascontiguousarray(np.rot90(strip, 1 if way == "down" else -1)), box, way)

    def _longer(self, box: Box) -> Box:
        by = round(GROWTH * (box[2] - box[0]))
        return box[0], max(0, box[1] - by), box[2], min(self.pixels.shape[0], box[3] + by)

    def _strip(self, box: Box) -> Pixels:
        x0, y0, x1, y1 = _inside(box, self.pixels.shape[1], self.pixels.shape[0])
        return np.ascontiguousarray(self.pixels[y0:y1, x0:x1])

    def _cut(self, quad: Quad) -> Pixels:
        """A slanted line put straight."""
        import cv2

        width, height = (max(1, round(side)) for side in _sides(quad))
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        matrix = cv2.getPerspectiveTransform(quad, corners)
        straight = cv2.warpPerspective(
            self.pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(straight, np.uint8)


def _with(reading: Reading, other: Reading) -> Reading:
    return replace(reading, others=((other.text, other.score), *reading.others, *other.others)[:ALTERNATIVES])


def _longest(grown: Sequence[Reading]) -> Reading:
    """Of readings of ever more of a column the last that is as sure as any, with the others.

    ``SLANT``, 1.0, ends before ``SLANT 8``, .92, but ``froc`` goes on to ``froci``.
    """
    least = max(reading.score for reading in grown) - AS_SURE
    first = next(reading for reading in reversed(grown) if reading.score >= least)
    rest = [reading for reading in reversed(grown) if reading is not first]
    whole = replace(first, box=grown[-1].box)
    for reading in reversed(rest):
        whole = _with(whole, reading)
    return whole


def _best(lines: Sequence[Reading], others: Sequence[Reading]) -> list[Reading]:
    """Of readings of the same place the one worth most; close lines overlap without being the same."""
    own = {id(line) for line in lines}
    legible = (one for one in (*lines, *others) if one.score >= NOISE and len(one.text) >= SHORTEST)
    best: list[Reading] = []
    for reading in sorted(legible, key=lambda one: -one.worth):
        rivals = [other for other in best if not {id(other), id(reading)} <= own]
        if not any(regions.same(reading.box, other.box) for other in rivals):
            best.append(reading)
    return best


def _joined(readings: Sequence[Reading]) -> list[Reading]:
    """Neighbouring columns of turned lines as one, in the order in which they are read."""
    joined = [one for one in readings if one.way not in ("down", "up")]
    for way in ("down", "up"):
        found = [one for one in readings if one.way == way]
        groups = regions.in_order([one.box for one in found], from_right=way == "down")
        joined += [_as_one([found[index] for index in group]) for group in groups]
    return joined


def _as_one(group: Sequence[Reading]) -> Reading:
    if len(group) == 1:
        return group[0]
    score = sum(one.score for one in group) / len(group)
    box = regions.union(one.box for one in group)
    count = max(len(one.others) for one in group)
    texts = [" ".join(_variant(one, number) for one in group) for number in range(count + 1)]
    return Reading(texts[0], score, box, group[0].way, tuple((text, score) for text in texts[1:]))


def _variant(reading: Reading, number: int) -> str:
    return [reading.text, *(text for text, _ in reading.others)][min(number, len(reading.others))]


def scales(height: int, width: int) -> list[float]:
    """The factors by which a picture is resized to be read, coarse first."""
    longest = max(height, width)
    if longest <= SMALL_SIDE:
        return [ENLARGED]
    if longest <= OVERVIEW_SIDE:
        return [1.0]
    detail = min(1.0, math.sqrt(DETAIL_PIXELS / (height * width)))
    return [OVERVIEW_SIDE / longest, detail]


def _finder() -> RapidOCR:
    """RapidOCR's detection on one thread, with the catalogue's weights and no resizing of its own."""
    from rapidocr import RapidOCR

    options: dict[str, Any] = {
        "Global.log_level": "error",
        "Global.use_cls": False,
        "Global.use_rec": False,
        "Global.use_preprocess_img": False,
        "Global.use_vertical_padding": False,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Det.model_path": str(model_path("ocr-detection")),
        "Det.limit_side_len": 32,
        "Det.limit_type": "min",
        "Det.thresh": 0.3,
        "Det.box_thresh": 0.4,
        "Det.max_candidates": MAX_LINES,
    }
    return RapidOCR(params=options)


def prepared(pixels: Pixels, factor: float) -> Pixels:
    """The picture resized, padded below and to the right to the smallest side, and as BGR."""
    import cv2

    pixels = np.ascontiguousarray(pixels)
    if factor != 1.0:
        how = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
        size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)
    below, right = (max(0, MINIMUM_SIDE - side) for side in pixels.shape[:2])
    if below or right:
        pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    return np.ascontiguousarray(pixels[:, :, ::-1])


def _sides(quad: Quad) -> tuple[float, float]:
    """Width and height."""
    return (
        float(max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[3] - quad[2]))),
        float(max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2]))),
    )


def _aspect(quad: Quad) -> float:
    width, height = _sides(quad)
    return width / max(height, 1.0)


def _around(quad: NDArray[Any]) -> Box:
    """The upright box around four corners."""
    left, top = np.floor(quad.min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil(quad.max(axis=0)).astype(int).tolist()
    return left, top, right, bottom


def _scaled(box: Box, factor: float) -> Box:
    return _around(np.array(box, np.float64).reshape(2, 2) * factor)


def _inside(box: Box, width: int, height: int) -> Box:
    return max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3])
