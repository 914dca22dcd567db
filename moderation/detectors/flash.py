"""Dangerous flashing and stripes, measured on every frame after WCAG 2.3.1 and ITU-R BT.1702.

*General flash*: a pair of opposing changes of relative luminance of at least 0.1, the darker state below
0.80. *Red flash*: a pair of opposing changes to or from a saturated red (R / (R + G + B) >= 0.8, linear)
whose states lie more than 0.2 apart in the CIE 1976 u'v' diagram. More than three of one kind within a
second, over more than 25 % of any 341 x 256 block of a 1024 x 768 view, can cause seizures.

*Extended flash*: flashing that stays under that limit and does not stop. BT.1702 warns that "a sequence of
flashing images lasting more than five seconds might constitute a risk even when it complies"; the analysers
of broadcasters and game makers draw the line at two flashes a second for four of the last five seconds (EA's
IRIS: four transitions, 4 s, 5 s; Harding FPA: 80 % of five seconds), and so does this one.

*Stripes*: regular patterns, steady or moving; limits and method are in :mod:`moderation.detectors.stripes`.

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

Sources: https://www.w3.org/TR/WCAG22/#dfn-general-flash-and-red-flash-thresholds, ITU-R BT.1702-3 and
https://github.com/electronicarts/IRIS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Detection, Detector, DetectorCard, Motion
from moderation.detectors.stripes import Pattern, find_pattern

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
EXTENDED_TRANSITIONS = 4
"""Per second: two flashes. Fewer do not count as flashing on."""
EXTENDED_FOR, EXTENDED_WINDOW = 4.0, 5.0
"""Seconds of flashing on, within how many: these break the limit."""
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
_TO_XYZ = np.array(((0.4124564, 0.3575761, 0.1804375), _LUMINANCE, (0.0193339, 0.1191920, 0.9503041)))
_TO_UV = (np.array(((4, 0, 0), (0, 9, 0), (1, 15, 3))) @ _TO_XYZ).astype(np.float32)
"""u' = 4 X / (X + 15 Y + 3 Z), v' = 9 Y / (X + 15 Y + 3 Z)."""
_REDNESS = (1, -1, -1)
_WHITE_UV = (0.19784, 0.46834)
_RED_UV = (0.45070, 0.52288)
"""D65 white and the red primary of sRGB."""


def linear_table() -> Plane:
    """(256,) relative intensity 0..1 of an 8-bit sRGB value (IEC 61966-2-1)."""
    values = np.arange(256) / 255.0
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


class Flash(Detector[Motion]):
    """Flashes and stripes; a score of 1 is beyond the limit.

    ``general_flash``, ``red_flash``: flashes in the worst second / 4, and 1 from over three on.
    ``extended_flash``: seconds of flashing on / 4, from two seconds on. ``stripes``: 0.75 times how much of
    the limit's time or area is reached, and 1 beyond both.

    ``start`` and ``end`` bound the worst stretch; ``box`` is where it was seen; ``text`` is the result in the
    units of the standards.
    """

    card = DetectorCard(
        name="flash",
        version="2",
        modality="motion",
        labels=("general_flash", "red_flash", "extended_flash", "stripes"),
        licence="Apache-2.0",
        recall_source="measured exactly, by definition",
        cost_ms=0.8,
    )

    def load(self) -> None:
        self._linear = linear_table()

    def predict(self, batch: Sequence[Motion]) -> list[list[Detection]]:
        return [self._measure(motion) for motion in batch]

    def follow(self, fps: float) -> Follower:
        """Measures play that goes on, each frame once."""
        self.ensure_loaded()
        return Follower(fps, self._linear)

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
        return recording.detections(motion.frames)


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
        return self.unscaled((left, top, left + self.block[1], top + self.block[0]))

    def unscaled(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """A box of measured pixels in pixels of the frame."""
        x0, y0, x1, y1 = (round(value / self.scale) for value in box)
        return x0, y0, x1, y1

    def scaled(self, frame: Frame) -> Frame:
        """A frame (H, W, 3) as it is measured."""
        import cv2

        if self.scale == 1:
            return frame
        size = self.width, self.height
        return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)

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
        self._frame: Frame | None = None
        self._details: Plane | None = None
        self._colours: Plane | None = None
        self._index = -1

    def add(self, frame: Frame) -> None:
        """Take the next frame, (H, W, 3) RGB."""
        self._index += 1
        if self._frame is not None and np.array_equal(frame, self._frame):
            return
        self._frame = frame
        frame = self._layout.scaled(frame)
        details, colours = detail(frame), self._linearised(frame)
        if self._luminance is None or self._details is None:
            self._luminance = _LuminanceTracker(luminance_of(colours))
        else:
            offset = find_shift(self._details, details)
            self._general.add(self._index, *self._luminance.step(luminance_of(colours), offset))
            self._add_red(colours, offset)
        self._details, self._colours = details, colours

    def _add_red(self, colours: Plane, offset: Offset) -> None:
        """Colour is costly and red is rare: it is followed from the first frame on that has enough of it."""
        if self._redness is None:
            least = self._layout.area / self._general.span
            if self._colours is None or not _has_red(colours, least):
                return
            self._redness = _RedTracker(self._colours)
        self._red.add(self._index, *self._redness.step(colours, offset))

    def _linearised(self, frame: Frame) -> Plane:
        import cv2

        return np.asarray(cv2.LUT(frame, self._linear), np.float32)

    def detections(self, frames: NDArray[np.uint8]) -> list[Detection]:
        """What was seen in all ``frames`` (T, H, W, 3), after the last one was added."""
        return [*self.flashes(frames), *self.stripes(frames)]

    def flashes(self, frames: NDArray[np.uint8]) -> list[Detection]:
        """Flashing alone."""
        found: list[Detection] = []
        for label, blocks in (("general_flash", self._general), ("red_flash", self._red)):
            counted = blocks.counted(self._index + 1)
            if counted is None:
                continue
            worst, extended = counted.worst_second(), counted.flashing_on()
            if worst is not None:
                score = 1.0 if worst.count > TRANSITIONS else worst.count / 2 / 4
                words = f"{worst.count} transitions in one second {self._extent(label, worst, frames)}"
                found.append(self._detection(label, score, worst, words))
            if extended is not None:
                seconds = extended.count / self._fps
                extent = self._extent(label, extended, frames)
                words = f"two flashes a second or more for {seconds:.1f} of {EXTENDED_WINDOW:.0f} s {extent}"
                score = min(1.0, seconds / EXTENDED_FOR)
                found.append(self._detection("extended_flash", score, extended, words))
        return found

    def stripes(self, frames: NDArray[np.uint8]) -> list[Detection]:
        """Stripes alone, in any frames (T, H, W, 3)."""
        pattern = find_pattern(lambda index: self._plane(frames[index]), len(frames), self._fps)
        return [] if pattern is None else [self._striped(pattern)]

    def _plane(self, frame: Frame) -> Plane:
        return luminance_of(self._linearised(self._layout.scaled(frame)))

    def _detection(self, label: str, score: float, worst: _Worst, words: str) -> Detection:
        start, end = worst.first / self._fps, (worst.last + 1) / self._fps
        return Detection(label, score, start, end, self._layout.box(worst.block), words)

    def _striped(self, pattern: Pattern) -> Detection:
        worst = pattern.worst
        words = (
            f"{worst.pairs:g} light-dark pairs of {pattern.movement} stripes for {pattern.seconds:.1f} s over"
            f" {worst.share:.0%} of the picture, luminance change {worst.change:.2f}"
        )
        start, end = pattern.first / self._fps, (pattern.last + 1) / self._fps
        return Detection("stripes", pattern.score, start, end, self._layout.unscaled(worst.box), words)

    def _extent(self, label: str, worst: _Worst, frames: NDArray[np.uint8]) -> str:
        """How large the flashing is, and how strong where it is over the threshold."""
        shown = self._shown(frames, worst)
        if label == "red_flash":
            least, kind = COLOUR_CHANGE, "colour change (CIE 1976 u'v')"
            change = _length(*np.ptp(np.stack([chromaticity(colours) for colours in shown]), axis=0))
        else:
            least, kind = LUMINANCE_CHANGE, "luminance change"
            change = np.ptp(np.stack([luminance_of(colours) for colours in shown]), axis=0)
        mean = change[change >= min(least, change.max())].mean()
        return f"over {worst.share:.0%} of a 10-degree field, {kind} {mean:.2f}"

    def _shown(self, frames: NDArray[np.uint8], worst: _Worst) -> list[Plane]:
        """The block's linear colours in the first second of the worst stretch, and just before it."""
        x0, y0, x1, y1 = self._layout.box(worst.block)
        last = min(worst.last, worst.first + round(self._fps))
        return [self._linearised(frame[y0:y1, x0:x1]) for frame in frames[max(0, worst.first - 1) : last + 1]]


class _LuminanceTracker:
    """Follows every pixel from peak to valley."""

    def __init__(self, luminance: Plane) -> None:
        self._state = np.stack([luminance, luminance, np.zeros_like(luminance)])
        # Highest and lowest since the last change, and that change's direction (-1, 0 or 1).

    def step(self, now: Plane, offset: Offset) -> tuple[Mask, Mask]:
        """Which pixels have just made a change upwards, and downwards, (H, W) each."""
        if offset != (0, 0):
            fresh = np.empty_like(self._state)
            fresh[:2], fresh[2] = now, 0
            self._state = moved(self._state, offset, fresh)
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
        apart = _length(fresh[0] - u, fresh[1] - v) > COLOUR_CHANGE
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
        distance = _length(u - _RED_UV[0], v - _RED_UV[1])
        red = np.where(saturated_red(colours), np.float32(1), np.float32(-1))
        return np.stack([u, v, distance, red])


class _Blocks:
    """Transitions of every block, from the pixels that change in it."""

    def __init__(self, layout: _Layout, fps: float) -> None:
        self._layout = layout
        count = len(layout.tops) * len(layout.lefts)
        self._fps = fps
        self.span = max(1, round(CONCURRENT * fps))
        """Frames whose changes add up."""
        self._recent = np.zeros((2, self.span, count), np.int32)
        """Pixels that changed upwards and downwards, frame by frame."""
        self._latest = 0
        """Frame of the latest change of any pixel."""
        self._direction = np.zeros(count, np.int8)
        self._events: list[tuple[int, NDArray[np.intp], Plane]] = []
        """Frame, the blocks that made a transition in it, and the share of each that had changed."""

    def add(self, index: int, up: Mask, down: Mask) -> None:
        """Take the changes of one frame; frames without any may be left out."""
        changes = [self._layout.areas(mask) if mask.any() else None for mask in (up, down)]
        if all(change is None for change in changes):
            return
        for passed in range(max(self._latest + 1, index - self.span + 1), index + 1):
            self._recent[:, passed % self.span] = 0
        self._latest = index
        for recent, change in zip(self._recent, changes, strict=True):
            if change is not None:
                recent[index % self.span] = change
        area = self._recent.sum(axis=1)
        over = area > self._layout.area
        rises = over[0] & (self._direction <= 0)
        falls = over[1] & (self._direction >= 0) & ~rises
        fired = np.flatnonzero(rises | falls)
        if len(fired):
            shares = np.where(rises, *area)[fired] * (AREA / self._layout.area)
            self._events.append((index, fired, shares.astype(np.float32)))
            # A cut brightens some pixels and darkens others of one block: that is one transition, not two.
            self._recent[:, :, fired] = 0
            self._direction[fired] = np.where(rises, 1, -1)[fired]

    def counted(self, frames: int) -> _Counted | None:
        """The transitions of all blocks that flashed at least once."""
        totals = np.zeros(len(self._direction), np.int64)
        for _, fired, _ in self._events:
            totals[fired] += 1
        blocks = np.flatnonzero(totals >= 2)
        if not len(blocks):
            return None
        areas = np.zeros((frames, len(totals)), np.float32)
        for index, fired, shares in self._events:
            areas[index, fired] = shares
        return _Counted(blocks, areas[:, blocks], self._fps)


class _Counted:
    """Transitions of blocks over all frames of a recording."""

    def __init__(self, blocks: NDArray[np.intp], areas: Plane, fps: float) -> None:
        self._blocks = blocks
        self._areas = areas
        """(T, blocks): share of the block that changed in a transition, 0 where there was none."""
        self._fps = fps
        self._second = max(1, round(fps))
        self._counts = _sums(areas > 0, self._second)
        """(T, blocks): transitions in the second that ends with each frame."""

    def worst_second(self) -> _Worst | None:
        """The second with the most transitions in one block; None with less than one flash."""
        return None if self._counts.max() < 2 else self._worst(self._counts, TRANSITIONS + 1, self._second)

    def flashing_on(self) -> _Worst | None:
        """The ``EXTENDED_WINDOW`` with the most frames of flashing on; None with under half the limit."""
        window = round(EXTENDED_WINDOW * self._fps)
        held = _sums(self._counts >= EXTENDED_TRANSITIONS, window)
        limit = math.ceil(EXTENDED_FOR * self._fps)
        return None if held.max() < limit / 2 else self._worst(held, limit, window + self._second)

    def _worst(self, counts: NDArray[np.int32], limit: int, window: int) -> _Worst:
        highest = counts.max(axis=0)
        most = int(highest.max())
        equal = np.flatnonzero(highest == most)
        block = equal[self._areas[:, equal].sum(axis=0).argmax()]  # the one that flashes most fully
        first, last = _stretch(counts[:, block] >= min(most, limit), int(counts[:, block].argmax()))
        begun = max(0, first + 1 - window)
        events = np.flatnonzero(self._areas[begun : last + 1, block]) + begun
        share = float(self._areas[events, block].mean())
        return _Worst(most, int(self._blocks[block]), int(events[0]), int(events[-1]), share)


def _sums(mask: Mask, window: int) -> NDArray[np.int32]:
    """(T, N) how often ``mask`` (T, N) was true in the ``window`` frames that end with each."""
    total = np.cumsum(mask, axis=0, dtype=np.int32)
    total[window:] -= total[:-window].copy()
    return total


@dataclass(frozen=True)
class _Worst:
    count: int
    """Transitions in a second, or frames of flashing on."""
    block: int
    first: int
    last: int
    """Frames of the first and last transition of the worst stretch."""
    share: float
    """Mean share of the block that a transition changed."""


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
    if min(now.shape) <= 4 * reach or min(_spread(before), _spread(now)) < FLAT:
        return 0, 0
    middle = np.ascontiguousarray(now[reach:-reach, reach:-reach])
    if _unlike(before[reach:-reach, reach:-reach], middle) < STILL:
        return 0, 0
    unlike = 1 - cv2.matchTemplate(before, middle, cv2.TM_CCOEFF_NORMED)
    row, column = divmod(int(unlike.argmin()), unlike.shape[1])
    least = min(unlike[reach, reach], unlike[2 * reach - row, 2 * reach - column])
    if least < STILL or unlike[row, column] > FOLLOWED * least:
        return 0, 0
    return row - reach, column - reach


def _spread(details: Plane) -> float:
    import cv2

    return float(cv2.meanStdDev(details)[1][0, 0])


def _unlike(one: Plane, other: Plane) -> float:
    """1 - correlation of two planes; cheap, for one place instead of all."""
    a, b = one - one.mean(), other - other.mean()
    return 1.0 - float(np.vdot(a, b) / np.sqrt(max(1e-12, float(np.vdot(a, a)) * float(np.vdot(b, b)))))


def moved(state: Plane, offset: Offset, fresh: Plane) -> Plane:
    """``state`` (C, H, W) carried along with the picture, in the array ``fresh``, which is returned and gives
    what comes into view.
    """
    if offset == (0, 0):
        return state
    (to_rows, from_rows), (to_columns, from_columns) = (
        (slice(max(0, -by), size - max(0, by)), slice(max(0, by), size - max(0, -by)))
        for by, size in zip(offset, state.shape[1:], strict=True)
    )
    fresh[:, to_rows, to_columns] = state[:, from_rows, from_columns]
    return fresh


def luminance_of(colours: Plane) -> Plane:
    """(H, W) relative luminance of linear RGB (H, W, 3)."""
    return _weighed(colours, _LUMINANCE)


def _has_red(colours: Plane, least: float) -> bool:
    """Whether more than ``least`` pixels are saturated red; most frames are told apart by one product."""
    reddish = _weighed(colours, _REDNESS) >= RED_VISIBLE
    return bool(np.count_nonzero(reddish) > least and np.count_nonzero(saturated_red(colours)) > least)


def saturated_red(colours: Plane) -> Mask:
    """(H, W) of linear RGB (H, W, 3): where the colour is a red that WCAG calls saturated."""
    share = _weighed(colours, (1 - RED_SHARE, -RED_SHARE, -RED_SHARE))
    return (share >= 0) & (_weighed(colours, _REDNESS) >= RED_VISIBLE)


def chromaticity(colours: Plane) -> tuple[Plane, Plane]:
    """CIE 1976 u' and v', (H, W) each, of linear sRGB (H, W, 3); black has those of white."""
    import cv2

    x, y, total = (_weighed(colours, weights) for weights in _TO_UV)
    dark = total < 1e-6
    total[dark] = 1
    u, v = cv2.divide(x, total), cv2.divide(y, total)
    u[dark], v[dark] = _WHITE_UV
    return np.asarray(u, np.float32), np.asarray(v, np.float32)


def _weighed(colours: Plane, weights: Sequence[float] | Plane) -> Plane:
    """(H, W): the weighted sum of three channels."""
    import cv2

    # One sum at a time: OpenCV is many times slower at making several channels.
    return np.asarray(cv2.transform(colours, np.array([weights], np.float32)), np.float32)


def _length(x: Plane, y: Plane) -> Plane:
    import cv2

    return np.asarray(cv2.magnitude(x, y), np.float32)


FOLLOWED_FOR, CARRIED_OVER = 24.0, 7.0
"""Seconds of play after which a follower begins anew, and how many of them it takes along: more than any
limit looks back."""
STRIPES_OVER = 2.0
"""Seconds in which a follower looks for stripes."""


class Follower:
    """Flashing and stripes of play that goes on; times count from the first frame that was added."""

    def __init__(self, fps: float, linear: Plane) -> None:
        self._fps = fps
        self._linear = linear
        self._frames: list[Frame] = []
        self._dropped = 0
        """Frames before the ones that are kept."""
        self._recording: _Recording | None = None

    def add(self, frame: Frame) -> None:
        """Take the next frame, (H, W, 3) RGB."""
        if len(self._frames) >= round(FOLLOWED_FOR * self._fps):
            kept = self._frames[-round(CARRIED_OVER * self._fps) :]
            self._dropped += len(self._frames) - len(kept)
            self._frames, self._recording = [], None
            for one in kept:
                self._take(one)
        self._take(frame)

    def found(self) -> list[Detection]:
        """What there was to see in the last ``FOLLOWED_FOR`` seconds at most, stripes in ``STRIPES_OVER``."""
        if self._recording is None:
            return []
        recent = self._frames[-round(STRIPES_OVER * self._fps) :]
        stripes_from = self._dropped + len(self._frames) - len(recent)
        return [
            *(self._shifted(one, self._dropped) for one in self._recording.flashes(np.stack(self._frames))),
            *(self._shifted(one, stripes_from) for one in self._recording.stripes(np.stack(recent))),
        ]

    def _take(self, frame: Frame) -> None:
        if self._recording is None:
            self._recording = _Recording(_Layout.of(*frame.shape[:2]), self._fps, self._linear)
        self._recording.add(frame)
        self._frames.append(frame)

    def _shifted(self, found: Detection, frames: int) -> Detection:
        seconds = frames / self._fps
        return replace(found, start=found.start + seconds, end=found.end + seconds)
