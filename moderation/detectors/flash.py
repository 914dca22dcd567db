"""Dangerous flashing, measured on every frame after WCAG 2.3.1 and ITU-R BT.1702.

*General flash*: a pair of opposing changes of relative luminance of at least 0.1, the darker state below
0.80. *Red flash*: a pair of opposing changes to or from a saturated red (R / (R + G + B) >= 0.8, linear)
whose states lie more than 0.2 apart in the CIE 1976 u'v' diagram. More than three of one kind within a
second, over more than 25 % of any 341 x 256 block of a 1024 x 768 view, can cause seizures.

How it is measured here:

- The frame is shown as large as fits a 1024 x 768 view: a 128 x 128 frame fills its height, 6 view pixels
  to a frame pixel, so a block is 56.8 x 42.7 frame pixels and a quarter of it 606 of them.
- Each pixel's luminance (or colour) is followed from peak to valley; a change counts when it passes the
  threshold, not where it ends.
- Changes of one direction that fall within ``CONCURRENT`` seconds in one block add up. Once their area is
  over a quarter of the block, the block has made one transition; the next one must be of the other
  direction. Two transitions are a flash, so more than six within a second break the limit.
- A scrolling picture is not a flashing one: where a shift of at most ``MAX_SHIFT`` of the height explains
  the new frame, pixels are followed along with it, as the eye does. A shift whose opposite explains it as
  well (stripes that move by half their period) is flicker and is not followed.

Sources: https://www.w3.org/TR/WCAG22/#dfn-general-flash-and-red-flash-thresholds and ITU-R BT.1702-3.
Regular patterns that stand still or only move are not measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard, Motion

VIEW_WIDTH, VIEW_HEIGHT = 1024, 768
BLOCK_WIDTH, BLOCK_HEIGHT = 341, 256
"""View pixels: about 10 degrees of the visual field."""
AREA = 0.25
"""Share of a block."""
LUMINANCE_CHANGE = 0.1
DARKER_BELOW = 0.8
RED_SHARE = 0.8
RED_VISIBLE = 0.0625
"""Least R - G - B (linear) of a red that counts, 20 / 320 as in the older definition of WCAG 2.0: the
chromaticity of nearly black pixels is noise."""
COLOUR_CHANGE = 0.2
TRANSITIONS = 6
"""Per second: three flashes. More break the limit."""
CONCURRENT = 0.2
"""Seconds."""
MAX_SHIFT = 10 / 128
"""Of the frame's height: ten pixels a step of a 128-pixel frame, a little over the fastest fall."""
FOLLOWED = 0.7
"""A shift is followed when it leaves at most this share of the mismatch (1 - correlation) that standing
still, or the opposite shift, leaves. In recorded play true shifts left a twentieth to a quarter."""
STILL = 0.05
"""Mismatch that is none: compression and rounding."""
DETAIL_SIDE, DETAIL_LIMIT, FLAT = 9, 10.0, 0.5
"""Pixels and grey levels: what counts as detail when a shift is looked for."""
STRIDE = 2
"""Frame pixels between the blocks that are looked at."""
MAX_ROWS = 256
"""Taller frames are averaged down to this: three view pixels per row, under the 0.1 degrees below which
patterns are exempt."""

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Frame = NDArray[np.uint8]
Offset = tuple[int, int]

_LUMINANCE = (0.2126, 0.7152, 0.0722)
_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), _LUMINANCE, (0.0193339, 0.1191920, 0.9503041))
_WHITE_UV = (0.19784, 0.46834)
_RED_UV = (0.45070, 0.52288)
"""D65 white and the red primary of sRGB."""


def linear_table() -> Plane:
    """(256,) relative intensity 0..1 of an 8-bit sRGB value (IEC 61966-2-1)."""
    values = np.arange(256) / 255.0
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


class Flash(Detector[Motion]):
    """General and red flashes: score = flashes in the worst second / 4, and 1 from over three on.

    ``start`` and ``end`` bound the worst stretch; ``box`` is the block in which it was seen.
    """

    card = DetectorCard(
        name="flash",
        version="1",
        modality="motion",
        labels=("general_flash", "red_flash"),
        licence="Apache-2.0",
        recall_source="measured exactly, by definition; regular patterns are not covered",
        cost_ms=1.0,
    )

    def load(self) -> None:
        self._linear = linear_table()

    def predict(self, batch: Sequence[Motion]) -> list[list[Detection]]:
        return [self._measure(motion) for motion in batch]

    def _measure(self, motion: Motion) -> list[Detection]:
        if motion.frames.ndim != 4 or motion.frames.shape[-1] != 3 or motion.frames.dtype != np.uint8:
            raise ValueError(
                f"frames must be (T, H, W, 3) uint8, not {motion.frames.shape} {motion.frames.dtype}"
            )
        if motion.fps <= 0:
            raise ValueError(f"frames per second must be positive, not {motion.fps}")
        if len(motion.frames) < 2:
            return []
        recording = _Recording(_Layout.of(*motion.frames.shape[1:3]), motion.fps, self._linear)
        for frame in motion.frames:
            recording.add(frame)
        return recording.detections()


@dataclass(frozen=True)
class _Layout:
    """Where blocks lie on a frame, after it is scaled down."""

    height: int
    width: int
    """Pixels that are measured."""
    scale: float
    """Measured pixels per frame pixel."""
    block: tuple[int, int]
    """Height and width in measured pixels."""
    area: float
    """Measured pixels that are a quarter of a block."""
    tops: NDArray[np.intp]
    lefts: NDArray[np.intp]

    @staticmethod
    def of(height: int, width: int) -> _Layout:
        scale = min(1.0, MAX_ROWS / height)
        rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
        view = min(VIEW_WIDTH / columns, VIEW_HEIGHT / rows)
        block = (min(rows, math.ceil(BLOCK_HEIGHT / view)), min(columns, math.ceil(BLOCK_WIDTH / view)))
        area = AREA * BLOCK_WIDTH * BLOCK_HEIGHT / view**2
        places = [_places(size, side) for size, side in zip((rows, columns), block, strict=True)]
        return _Layout(rows, columns, scale, block, area, *places)

    def box(self, index: int) -> tuple[int, int, int, int]:
        """A block in pixels of the frame, by its index among all blocks."""
        row, column = divmod(index, len(self.lefts))
        top, left = int(self.tops[row]), int(self.lefts[column])
        corners = (left, top, left + self.block[1], top + self.block[0])
        x0, y0, x1, y1 = (round(value / self.scale) for value in corners)
        return x0, y0, x1, y1

    def areas(self, mask: Mask) -> NDArray[np.int32]:
        """(blocks,) pixels of ``mask`` in each block."""
        import cv2

        sums = cv2.integral(mask.view(np.uint8))
        below, right = self.tops + self.block[0], self.lefts + self.block[1]
        top, bottom = sums[self.tops], sums[below]
        total = bottom[:, right] - bottom[:, self.lefts] - top[:, right] + top[:, self.lefts]
        return np.asarray(total, np.int32).ravel()


def _places(size: int, side: int) -> NDArray[np.intp]:
    """Starts of blocks along one axis, the last one at the very end."""
    return np.unique(np.append(np.arange(0, size - side + 1, STRIDE), size - side)).astype(np.intp)


class _Recording:
    """One playthrough or video, frame by frame."""

    def __init__(self, layout: _Layout, fps: float, linear: Plane) -> None:
        self._layout = layout
        self._fps = fps
        self._linear = linear
        self._general = _Blocks(layout, fps)
        self._red = _Blocks(layout, fps)
        self._luminance: _LuminanceTracker | None = None
        self._redness: _RedTracker | None = None
        self._details: Plane | None = None
        self._before: Plane | None = None
        self._index = -1

    def add(self, frame: Frame) -> None:
        """Take the next frame, (H, W, 3) RGB."""
        import cv2

        self._index += 1
        if self._layout.scale < 1:
            size = (self._layout.width, self._layout.height)
            frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
        details = detail(frame)
        colours = np.asarray(cv2.LUT(frame, self._linear), np.float32)
        luminance = np.asarray(cv2.transform(colours, np.array([_LUMINANCE], np.float32)), np.float32)
        if self._luminance is None or self._details is None:
            self._luminance = _LuminanceTracker(luminance)
        else:
            offset = find_shift(self._details, details)
            self._general.add(self._index, *self._luminance.step(luminance, offset))
            self._add_red(colours, offset)
        self._details, self._before = details, colours

    def _add_red(self, colours: Plane, offset: Offset) -> None:
        """Colour is costly and red is rare: it is followed from the first frame on that has enough of it."""
        if self._redness is None:
            least = self._layout.area / self._general.span
            if self._before is None or not _has_red(colours, least):
                return
            self._redness = _RedTracker(self._before)
        self._red.add(self._index, *self._redness.step(colours, offset))

    def detections(self) -> list[Detection]:
        """What was seen, after the last frame."""
        named = (("general_flash", self._general), ("red_flash", self._red))
        found = [self._detection(label, blocks.worst(self._index + 1)) for label, blocks in named]
        return [detection for detection in found if detection is not None]

    def _detection(self, label: str, worst: _Worst | None) -> Detection | None:
        if worst is None:
            return None
        score = 1.0 if worst.transitions > TRANSITIONS else worst.transitions / 2 / 4
        start, end = worst.first / self._fps, (worst.last + 1) / self._fps
        return Detection(label, score, start, end, self._layout.box(worst.block))


class _LuminanceTracker:
    """Follows every pixel from peak to valley."""

    def __init__(self, luminance: Plane) -> None:
        self._state = np.stack([luminance, luminance, np.zeros_like(luminance)])
        # Highest and lowest since the last change, and that change's direction (-1, 0 or 1).

    def step(self, now: Plane, offset: Offset) -> tuple[Mask, Mask]:
        """Which pixels have just made a change upwards, and downwards, (H, W) each."""
        self._state = moved(self._state, offset, np.stack([now, now, np.zeros_like(now)]))
        high, low, direction = self._state
        np.maximum(high, now, out=high)
        np.minimum(low, now, out=low)
        # A hair below the limit, so that an exact change of 0.1 counts in spite of rounding.
        change = np.float32(LUMINANCE_CHANGE - 1e-6)
        up = (now - low >= change) & (low < DARKER_BELOW) & (direction <= 0)
        down = (high - now >= change) & (now < DARKER_BELOW) & (direction >= 0)
        for mask, sign in ((up, 1), (down, -1)):
            if mask.any():
                high[mask] = low[mask] = now[mask]
                direction[mask] = sign
        return up, down


class _RedTracker:
    """Follows every pixel into saturated red and out of it."""

    def __init__(self, colours: Plane) -> None:
        self._state = self._fresh(colours)
        # u', v' and distance from the red primary at the last extreme, and 1 while in red, else -1.

    def step(self, colours: Plane, offset: Offset) -> tuple[Mask, Mask]:
        """Which pixels have just gone into red, and out of it, (H, W) each."""
        fresh = self._fresh(colours)
        self._state = moved(self._state, offset, fresh)
        u, v, distance, red = self._state
        apart = np.hypot(fresh[0] - u, fresh[1] - v) > COLOUR_CHANGE
        into = apart & (red < 0) & (fresh[3] > 0)
        out = apart & (red > 0)
        # The extreme is the purest red while in red, and the colour farthest from it while out of it.
        further = np.where(red > 0, (fresh[2] < distance) & (fresh[3] > 0), fresh[2] > distance)
        renew = further | into | out
        self._state[:3, renew] = fresh[:3, renew]
        red[into] = 1
        red[out] = -1
        return into, out

    @staticmethod
    def _fresh(colours: Plane) -> Plane:
        u, v = chromaticity(colours)
        distance = np.hypot(u - _RED_UV[0], v - _RED_UV[1])
        red = np.where(saturated_red(colours), np.float32(1), np.float32(-1))
        return np.stack([u, v, distance, red])


class _Blocks:
    """Transitions of every block, from the pixels that change in it."""

    def __init__(self, layout: _Layout, fps: float) -> None:
        self._layout = layout
        count = len(layout.tops) * len(layout.lefts)
        self._window = max(1, round(fps))
        self.span = max(1, round(CONCURRENT * fps))
        """Frames whose changes add up."""
        self._recent = np.zeros((2, self.span, count), np.int32)
        """Pixels that changed upwards and downwards, frame by frame."""
        self._latest = 0
        """Frame of the latest change of any pixel."""
        self._direction = np.zeros(count, np.int8)
        self._events: list[tuple[int, NDArray[np.intp]]] = []
        """Frame, and the blocks that made a transition in it."""

    def add(self, index: int, up: Mask, down: Mask) -> None:
        """Take the changes of one frame."""
        slot = index % self.span
        changes = [self._layout.areas(mask) if mask.any() else None for mask in (up, down)]
        if any(change is not None for change in changes):
            self._latest = index
        elif index - self._latest > self.span:
            return
        for recent, change in zip(self._recent, changes, strict=True):
            recent[slot] = 0 if change is None else change
        over = self._recent.sum(axis=1) > self._layout.area
        rises = over[0] & (self._direction <= 0)
        falls = over[1] & (self._direction >= 0) & ~rises
        fired = rises | falls
        if fired.any():
            # A cut brightens some pixels and darkens others of one block: that is one transition, not two.
            self._recent[:, :, fired] = 0
            self._direction[fired] = np.where(rises, 1, -1)[fired]
            self._events.append((index, np.flatnonzero(fired)))

    def worst(self, frames: int) -> _Worst | None:
        """The second with the most transitions in one block; None with less than one flash."""
        if not self._events:
            return None
        happened = np.zeros((frames, len(self._direction)), np.int16)
        for index, blocks in self._events:
            happened[index, blocks] = 1
        total = np.vstack([np.zeros_like(happened[:1]), np.cumsum(happened, axis=0, dtype=np.int16)])
        starts = np.maximum(0, np.arange(1, frames + 1) - self._window)
        counts = total[1:] - total[starts]  # (T, blocks), over the second that ends with each frame
        at, block = np.unravel_index(int(counts.argmax()), counts.shape)
        most = int(counts[at, block])
        if most < 2:
            return None
        first, last = _stretch(counts[:, block] >= min(most, TRANSITIONS + 1), int(at))
        events = np.flatnonzero(happened[starts[first] : last + 1, block]) + starts[first]
        return _Worst(most, int(block), int(events[0]), int(events[-1]))


@dataclass(frozen=True)
class _Worst:
    transitions: int
    block: int
    first: int
    last: int
    """Frames of the first and last transition of the worst stretch."""


def _stretch(mask: Mask, at: int) -> tuple[int, int]:
    """First and last index of the run of True around ``at``."""
    gaps = np.flatnonzero(~mask)
    after = int(np.searchsorted(gaps, at))
    first = int(gaps[after - 1]) + 1 if after else 0
    last = int(gaps[after]) - 1 if after < len(gaps) else len(mask) - 1
    return first, last


def detail(frame: Frame) -> Plane:
    """(H, W) local contrast of a frame (H, W, 3), clipped so that no sprite outweighs the scene.

    Brighter light changes it little, so that a shift is found in a flashing scene too.
    """
    import cv2

    grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.float32)
    contrast = grey - np.asarray(cv2.blur(grey, (DETAIL_SIDE, DETAIL_SIDE)), np.float32)
    return np.clip(contrast, -DETAIL_LIMIT, DETAIL_LIMIT)


def find_shift(before: Plane, now: Plane) -> Offset:
    """By how many rows and columns ``before`` lies off ``now`` (:func:`detail` of two frames).

    ``now[y, x]`` is then about ``before[y + rows, x + columns]``. (0, 0) when it is no shift.
    """
    import cv2

    reach = max(1, round(MAX_SHIFT * now.shape[0]))
    if min(now.shape) <= 4 * reach or min(before.std(), now.std()) < FLAT:
        return 0, 0
    middle = np.ascontiguousarray(now[reach:-reach, reach:-reach])
    unlike = 1 - cv2.matchTemplate(before, middle, cv2.TM_CCOEFF_NORMED)
    row, column = divmod(int(unlike.argmin()), unlike.shape[1])
    least = min(unlike[reach, reach], unlike[2 * reach - row, 2 * reach - column])
    if least < STILL or unlike[row, column] > FOLLOWED * least:
        return 0, 0
    return row - reach, column - reach


def moved(state: Plane, offset: Offset, fresh: Plane) -> Plane:
    """``state`` (C, H, W) carried along with the picture; what comes into view starts as ``fresh``."""
    if offset == (0, 0):
        return state
    (to_rows, from_rows), (to_columns, from_columns) = (
        (slice(max(0, -by), size - max(0, by)), slice(max(0, by), size - max(0, -by)))
        for by, size in zip(offset, state.shape[1:], strict=True)
    )
    result = fresh.copy()
    result[:, to_rows, to_columns] = state[:, from_rows, from_columns]
    return result


def _has_red(colours: Plane, least: float) -> bool:
    """Whether more than ``least`` pixels are saturated red; most frames are told apart by one product."""
    import cv2

    reddish = cv2.transform(colours, np.array([[1, -1, -1]], np.float32)) >= RED_VISIBLE
    return bool(np.count_nonzero(reddish) > least and np.count_nonzero(saturated_red(colours)) > least)


def saturated_red(colours: Plane) -> Mask:
    """(H, W) of linear RGB (H, W, 3): where the colour is a red that WCAG calls saturated."""
    import cv2

    red, green, blue = cv2.split(colours)
    others = green + blue
    return np.asarray((red * (1 - RED_SHARE) >= others * RED_SHARE) & (red - others >= RED_VISIBLE), np.bool_)


def chromaticity(colours: Plane) -> tuple[Plane, Plane]:
    """CIE 1976 u' and v', (H, W) each, of linear sRGB (H, W, 3); black has those of white."""
    import cv2

    x, y, z = cv2.split(cv2.transform(colours, np.array(_TO_XYZ, np.float32)))
    total = x + 15 * y + 3 * z
    dark = total < 1e-6
    total[dark] = 1
    u, v = 4 * x / total, 9 * y / total
    u[dark], v[dark] = _WHITE_UV
    return np.asarray(u, np.float32), np.asarray(v, np.float32)
