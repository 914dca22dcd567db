"""Words out of boxes: what a frame says, and the best reading of what several frames show in part.

Writing that no frame shows whole is read in pictures made for it: frames laid side by side as the camera went
(:func:`panoramas`), or the whole painted map of a compiled world in parts (:func:`map_parts`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from moderation.detectors import regions
from moderation.detectors.base import Detection
from moderation.detectors.regions import Box, Pixels

ALIKE = 0.7
"""Share of characters in order (Ratcliff/Obershelp) from which two readings are of the same writing."""
LEGIBLE = 0.9
"""Score under which a reading may be of a texture that stands between words."""
OTHERWISE = 0.9
"""Weight of words in any but the first way to read a picture."""
PART = (320, 256)
"""Pixels across and down of one part of a map: the reader still enlarges a picture of this size."""
WHOLE = 128
"""Pixels by which parts overlap: what is smaller is whole in one of them."""
TOUCHING = 2
"""Pixels from the edge of a part within which a box is cut."""
NEAR = 24
"""Pixels between boxes of one text: lines of a sign, words of a banner."""
ALIGNED = 0.3
"""Least peak of the phase correlation (0 to 1) of two frames that show the same place."""
LARGEST = 2_000_000
"""Pixels of a panorama; frames beyond that begin another."""
OVERLAP = 3
"""Characters that the end of one reading and the start of the next must share to be joined."""


def lines(found: Sequence[Detection]) -> list[str]:
    """The words of one picture in reading order, one string per row of boxes.

    Of several readings of one box the first counts.
    """
    return _lines(_variant(found, 0))


def sayings(found: Sequence[Detection]) -> list[tuple[str, float]]:
    """Every text that one picture may say, the likeliest first, and the weight of what is found in it.

    All of its rows together weigh 1. So read weigh less: what else its boxes may say, and what is left
    without boxes that were hardly legible. Rows are never taken alone: ``spick`` and ``span`` are harmless.
    """
    return [(text, 1.0 if number == 0 else OTHERWISE) for number, text in enumerate(ways(found))]


def ways(found: Sequence[Detection]) -> dict[str, list[Detection]]:
    """The same texts, each with the readings that it consists of."""
    most = max(Counter(d.box for d in found).values(), default=0)
    taken = [_variant(found, number) for number in range(most)]
    taken.append([d for d in _variant(found, 0) if d.score >= LEGIBLE])
    texts: dict[str, list[Detection]] = {}
    for way in taken:
        texts.setdefault(" ".join(_lines(way)), way)
    texts.pop("", None)
    return texts


def around(found: Sequence[Detection]) -> Box | None:
    """The box around all of them; None where none has one."""
    boxes = [one.box for one in found if one.box]
    return regions.union(boxes) if boxes else None


def _variant(found: Sequence[Detection], number: int) -> list[Detection]:
    """For each box its reading of this number, or its first."""
    by_box: dict[object, list[Detection]] = {}
    for one in found:
        by_box.setdefault(one.box, []).append(one)
    return [readings[number if number < len(readings) else 0] for readings in by_box.values()]


def _lines(found: Sequence[Detection]) -> list[str]:
    boxes = sorted((d for d in found if d.text and d.box), key=lambda d: (_middle(d), d.box or ()))
    rows: list[list[Detection]] = []
    for box in boxes:
        if rows and _same_row(rows[-1][0], box):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [" ".join(d.text or "" for d in sorted(row, key=_left)) for row in rows]


def _left(found: Detection) -> int:
    return found.box[0] if found.box else 0


def _middle(found: Detection) -> float:
    return (found.box[1] + found.box[3]) / 2 if found.box else 0.0


def _same_row(one: Detection, other: Detection) -> bool:
    height = max(1, one.box[3] - one.box[1]) if one.box else 1
    return abs(_middle(one) - _middle(other)) < height / 2


def stitched(first: str, second: str) -> str | None:
    """``WETBACKS KE`` and ``CKS KEEP OUT`` to the whole; None where they do not overlap."""
    one, other = first.casefold(), second.casefold()
    for size in range(min(len(one), len(other)) - 1, OVERLAP - 1, -1):
        if one.endswith(other[:size]):
            return first + second[size:]
        if other.endswith(one[:size]):
            return second + first[size:]
    return None


def alike(one: str, other: str) -> bool:
    """Whether two readings are of the same writing: nearly equal, or one a part of the other."""
    a, b = _plain(one), _plain(other)
    if not a or not b:
        return False
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if matcher.ratio() >= ALIKE:
        return True
    longest = matcher.find_longest_match().size
    return longest >= max(OVERLAP, ALIKE * min(len(a), len(b)))


def truncated(text: str, whole: str) -> bool:
    """Whether a reading is another one that lacks letters of a word at its end, as ``pray`` of ``spray``."""
    part = _plain(text) in _plain(whole)
    return part and not set(text.casefold().split()) <= set(whole.casefold().split())


def best_readings(readings: Iterable[tuple[str, float]]) -> dict[str, str]:
    """For each reading, the best one of the same writing.

    That is the one that most of them bear out, by being the same or a part of it: what stands there is read
    again and again, and what is misread, or read into a texture beside it, each time otherwise. Of those that
    are borne out as often, it is the one with most characters, read with most certainty. ``readings`` are
    (text, score 0..1) of neighbouring frames; a text may come several times.
    """
    worth: dict[str, float] = {}
    times: Counter[str] = Counter()
    for text, score in readings:
        worth[text] = max(worth.get(text, 0.0), score * len(_plain(text)))
        times[_plain(text)] += 1
    borne_out = {text: sum(n for part, n in times.items() if part in _plain(text)) for text in worth}
    ranked = sorted(worth, key=lambda text: (-borne_out[text], -worth[text], text))
    return {text: next(best for best in ranked if best == text or alike(text, best)) for text in ranked}


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


# -- writing that no frame shows whole -----------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A part of a larger picture."""

    pixels: Pixels
    """(H, W, 3) RGB."""
    corner: tuple[int, int]
    """x, y of its upper left pixel in the whole."""
    whole: tuple[int, int]
    """Width and height of the whole."""


def map_parts(picture: Pixels) -> list[Part]:
    """``CompiledWorld.picture``, the painted map (H, W, 3), in overlapping parts for the reader, and whole.

    Small letters are read in the parts, which the reader enlarges, and long lines in the whole.
    """
    height, width = picture.shape[:2]
    corners = [(x, y) for y in _starts(height, PART[1]) for x in _starts(width, PART[0])]
    cut = [np.ascontiguousarray(picture[y : y + PART[1], x : x + PART[0]]) for x, y in corners]
    parts = [Part(pixels, corner, (width, height)) for pixels, corner in zip(cut, corners, strict=True)]
    return parts if len(parts) == 1 else [*parts, Part(picture, (0, 0), (width, height))]


def _starts(length: int, part: int) -> list[int]:
    """Where parts begin, at even distances and WHOLE pixels before the last one ends or more."""
    count = max(1, -(-(length - WHOLE) // (part - WHOLE)))
    return [round(i * (length - part) / (count - 1)) for i in range(count)] if count > 1 else [0]


def together(parts: Sequence[Part], found: Sequence[Sequence[Detection]]) -> list[list[Detection]]:
    """What was read in each part as texts of the whole: boxes that stand together, each counted once.

    Boxes are those of the whole. What a part's inner edge cuts is dropped where another part shows it.
    """
    placed = [
        [(_moved(one, part.corner), _is_cut(one, part)) for one in group if one.box]
        for part, group in zip(parts, found, strict=True)
    ]
    kept: list[tuple[int, Detection]] = []
    every = [(cut, number, one) for number, group in enumerate(placed) for one, cut in group]
    for _, number, one in sorted(every, key=lambda entry: (entry[0], -_worth(entry[2]))):
        if not any(number != other and regions.same(_box(one), _box(known)) for other, known in kept):
            kept.append((number, one))
    return _neighbours([one for _, one in kept])


def _worth(found: Detection) -> float:
    """Most characters read, with most certainty."""
    return found.score**2 * len(found.text or "")


def _box(found: Detection) -> Box:
    return found.box or (0, 0, 0, 0)


def _moved(one: Detection, by: tuple[int, int]) -> Detection:
    x0, y0, x1, y1 = _box(one)
    return replace(one, box=(x0 + by[0], y0 + by[1], x1 + by[0], y1 + by[1]))


def _is_cut(one: Detection, part: Part) -> bool:
    """Whether an edge of the part that is none of the whole goes through the box."""
    box, (height, width) = _box(one), part.pixels.shape[:2]
    (x, y), (right, bottom) = part.corner, part.whole
    return (
        (x > 0 and box[0] <= TOUCHING)
        or (y > 0 and box[1] <= TOUCHING)
        or (x + width < right and box[2] >= width - TOUCHING)
        or (y + height < bottom and box[3] >= height - TOUCHING)
    )


def _neighbours(found: Sequence[Detection]) -> list[list[Detection]]:
    """Detections in groups whose boxes are at most NEAR pixels apart, each group in its given order."""
    groups: list[list[Detection]] = []
    for one in found:
        near = [group for group in groups if any(_near(one, other) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append([*(other for group in near for other in group), one])
    return groups


def _near(one: Detection, other: Detection) -> bool:
    a, b = _box(one), _box(other)
    return max(a[0], b[0]) - min(a[2], b[2]) <= NEAR and max(a[1], b[1]) - min(a[3], b[3]) <= NEAR


def panoramas(frames: Sequence[Pixels], offsets: Sequence[tuple[int, int]]) -> list[Pixels]:
    """Frames (H, W, 3) RGB laid where the camera was: pictures of what only several frames show together.

    ``offsets`` are x, y in pixels of each frame's upper left corner, in any common place
    (:func:`worldmodel.crops.camera`, or :func:`followed` where cameras are not known). A frame that does not
    overlap the one before begins a new picture, as does one with which a picture would be larger than LARGEST
    pixels. Of what several frames show, that is taken which was farthest from the middle, where the player
    is; nothing else is mended, so what moves may be doubled. Where no frame shows a place, it is black.
    Pictures no larger than a frame are left out, since the frame is read anyway.

    Raises ValueError unless there are as many offsets as frames and all frames are of one size.
    """
    if len(frames) != len(offsets) or len({frame.shape for frame in frames}) > 1:
        raise ValueError(
            f"{len(frames)} frames and {len(offsets)} offsets: give one for each, all of one size"
        )
    groups = _runs(offsets, frames[0].shape[:2]) if frames else ()
    painted = (_laid([frames[i] for i in run], [offsets[i] for i in run]) for run in groups)
    return [picture for picture in painted if picture.shape != frames[0].shape]


def _runs(offsets: Sequence[tuple[int, int]], size: tuple[int, int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for index, (x, y) in enumerate(offsets):
        if runs:
            last = offsets[runs[-1][-1]]
            overlaps = abs(x - last[0]) < size[1] and abs(y - last[1]) < size[0]
            across, down = (_extent([offsets[i][axis] for i in [*runs[-1], index]]) for axis in (0, 1))
            if overlaps and (across + size[1]) * (down + size[0]) <= LARGEST:
                runs[-1].append(index)
                continue
        runs.append([index])
    return runs


def _extent(places: Sequence[int]) -> int:
    return max(places) - min(places)


def _laid(frames: Sequence[Pixels], offsets: Sequence[tuple[int, int]]) -> Pixels:
    height, width = frames[0].shape[:2]
    places = np.array(offsets) - np.min(offsets, axis=0)
    right, bottom = (places.max(axis=0) + np.array([width, height])).tolist()
    picture = np.zeros((bottom, right, 3), np.uint8)
    apart = np.full((bottom, right), -1, np.int32)
    rows, cols = np.indices((height, width))
    own = np.maximum(abs(2 * rows - height + 1), abs(2 * cols - width + 1))
    for frame, (x, y) in zip(frames, places.tolist(), strict=True):
        spot = np.s_[y : y + height, x : x + width]
        better = own > apart[spot]
        picture[spot][better] = frame[better]
        apart[spot][better] = own[better]
    return picture


def followed(frames: Sequence[Pixels]) -> Iterator[tuple[list[Pixels], list[tuple[int, int]]]]:
    """Frames in the order of play, in stretches in which each shows part of the one before; and offsets.

    By phase correlation (Kuglin and Hines 1975): for models whose cameras are not known. For
    :func:`panoramas`.
    """
    import cv2

    stretch: list[Pixels] = []
    offsets: list[tuple[int, int]] = []
    before: NDArray[np.float32] | None = None
    for frame in frames:
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.float32)
        window = np.asarray(cv2.createHanningWindow(grey.shape[::-1], cv2.CV_32F), np.float32)
        (x, y), peak = (0.0, 0.0), 0.0
        if before is not None:
            (x, y), peak = cv2.phaseCorrelate(before, grey, window)
        if stretch and peak < ALIGNED:
            yield stretch, offsets
            stretch, offsets = [], []
        last = offsets[-1] if offsets else (round(x), round(y))
        stretch.append(frame)
        offsets.append((last[0] - round(x), last[1] - round(y)))
        before = grey
    if stretch:
        yield stretch, offsets
