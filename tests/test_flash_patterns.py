"""Flashing that does not stop, and stripes, at and around their limits; cases can be worked out by hand.

Frames are 128 x 128 at 15 per second unless a case says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.detectors.base import Detection, Motion
from moderation.detectors.flash import Flash, linear_table
from moderation.detectors.stripes import find_pattern, phase_between
from worldmodel.compiler import compile_world
from worldmodel.constants import ACTIONS
from worldmodel.models import load_model
from worldmodel.package import load_package

FPS = 15
SIDE = 128
LINEAR = linear_table()
EXAMPLES = Path(__file__).parent.parent / "examples"


# -- generators ---------------------------------------------------------------------------------------


def grey_of(luminance: float) -> int:
    """The 8-bit grey whose relative luminance is nearest."""
    return int(np.abs(LINEAR - luminance).argmin())


def swapping(every: Sequence[int], frames: int, colour: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """All black and all ``colour``, held for ``every`` frames in turn, over and over."""
    held = [index % 2 for index in range(frames) for _ in range(every[index % len(every)])]
    shown = np.array(held[:frames], np.uint8)[:, None, None, None] * np.array(colour, np.uint8)
    return np.broadcast_to(shown, (frames, SIDE, SIDE, 3))


def as_frame(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane.astype(np.uint8)[..., None], 3, axis=2)


def bars(
    pairs: int,
    rows: int = SIDE,
    *,
    light: float = 1.0,
    dark: float = 0.0,
    shift: int = 0,
    turned: bool = False,
) -> np.ndarray:
    """``pairs`` bars of light and dark that fill the width, ``rows`` high, on a ground between the two."""
    bar = np.floor(np.arange(SIDE) * 2 * pairs / SIDE).astype(int) % 2
    line = np.roll(np.where(bar == 0, grey_of(light), grey_of(dark)), shift)
    plane = np.full((SIDE, SIDE), grey_of((light + dark) / 2))
    plane[40 - min(40, rows) : 40 - min(40, rows) + rows] = line
    return as_frame(plane.T if turned else plane)


def grating(period: float, degrees: float, shift: float = 0.0) -> np.ndarray:
    """Black and white stripes of any slant over the whole frame."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    across = columns * np.cos(np.radians(degrees)) + rows * np.sin(np.radians(degrees)) - shift
    return as_frame(np.where((across / period) % 1 < 0.5, 255, 0))


def still(frame: np.ndarray, frames: int) -> np.ndarray:
    return np.broadcast_to(frame, (frames, *frame.shape))


def film(picture: Callable[[int], np.ndarray], frames: int = 30) -> np.ndarray:
    return np.stack([picture(index) for index in range(frames)])


def found(frames: np.ndarray, label: str, fps: float = FPS) -> Detection | None:
    every = Flash()([Motion(frames, fps)])[0]
    return max((d for d in every if d.label == label), key=lambda d: d.score, default=None)


def score(frames: np.ndarray, label: str, fps: float = FPS) -> float:
    one = found(frames, label, fps)
    return 0.0 if one is None else one.score


# -- flashing that does not stop ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "every", "frames", "alarms"),
    [
        # Swaps every third frame: the fourth comes at frame 12, so flashing on counts from there.
        ("2.5 flashes a second, one frame under four seconds", [3], 71, False),
        ("2.5 flashes a second for four seconds", [3], 72, True),
        ("2.5 flashes a second for ten seconds", [3], 150, True),
        # Four swaps in any 15 frames; the fourth at frame 15.
        ("two flashes a second, one frame under four seconds", [4, 4, 4, 3], 74, False),
        ("two flashes a second for four seconds", [4, 4, 4, 3], 75, True),
        ("three flashes a second for four seconds", [2, 3], 72, True),
        ("a flash and a half a second never counts", [5], 150, False),
        ("one flash a second never counts", [7, 8], 150, False),
        ("a rest of two seconds after every two", [3] * 10 + [30], 180, False),
    ],
)
def test_flashing_on_is_two_flashes_a_second_for_four_of_five_seconds(
    name: str, every: list[int], frames: int, alarms: bool
) -> None:
    shown = swapping(every, frames)
    assert (score(shown, "extended_flash") == 1.0) == alarms, name
    assert score(shown, "general_flash") < 1.0, name


def test_flashing_on_is_counted_in_seconds_not_in_frames() -> None:
    # Swaps every sixth of 30 frames a second: the fourth at frame 24, so four seconds end with frame 143.
    assert score(swapping([6], 143), "extended_flash", 30) < 1.0
    assert score(swapping([6], 144), "extended_flash", 30) == 1.0


def test_red_flashes_on_too() -> None:
    red = swapping([3], 90, (90, 0, 0))  # of luminance 0.02, so that no general flash is in it
    assert score(red, "general_flash") == 0.0
    assert score(red, "extended_flash") == 1.0


def test_flashing_on_in_a_small_part_is_allowed() -> None:
    small = np.zeros((90, SIDE, SIDE, 3), np.uint8)
    small[:, 40:63, 40:63] = swapping([3], 90)[:, :23, :23]  # 529 pixels; a quarter of a block has 606
    assert found(small, "extended_flash") is None


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(2, 8), min_size=4, max_size=12), st.integers(60, 120))
def test_flashing_on_agrees_with_counting_by_hand(every: list[int], frames: int) -> None:
    shown = swapping(every, frames)[:, :48, :48]
    swaps = np.flatnonzero(np.any(shown[1:] != shown[:-1], axis=(1, 2, 3))) + 1
    on = [sum(t - FPS < s <= t for s in swaps) >= 4 for t in range(frames)]
    most = max(sum(on[max(0, t - 74) : t + 1]) for t in range(frames))
    assert score(shown, "extended_flash") == (0.0 if most < 30 else min(1.0, most / 60))


# -- stripes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pairs", "rows", "alarms"),
    [
        # 128 rows are the picture: 32 are a quarter of it and 51.2 are 40 %.
        ("five pairs are allowed, however large", 5, 128, False),
        ("six pairs all over", 6, 128, True),
        ("six pairs over 39 %", 6, 50, False),
        ("six pairs over 41 %", 6, 53, True),
        ("eight pairs over 39 %", 8, 50, False),
        ("eight pairs over 41 %", 8, 53, True),
        ("nine pairs over 39 %", 9, 50, True),
        ("nine pairs over 26 %", 9, 33, True),
        ("nine pairs over 24 %", 9, 31, False),
        ("thirty pairs over 24 %", 30, 31, False),
        ("thirty pairs over 26 %", 30, 33, True),
    ],
)
@pytest.mark.parametrize("turned", [False, True], ids=["upright", "lying"])
@pytest.mark.parametrize("drifts", [False, True], ids=["steady", "drifting"])
def test_stripes_that_stand_still_or_drift(
    name: str, pairs: int, rows: int, alarms: bool, turned: bool, drifts: bool
) -> None:
    shown = film(lambda t: bars(pairs, rows, shift=t * drifts, turned=turned))
    assert (score(shown, "stripes") == 1.0) == alarms, name


@pytest.mark.parametrize(
    ("name", "pairs", "rows", "alarms"),
    [
        ("five pairs are allowed, however large", 5, 128, False),
        ("six pairs over 24 %", 6, 31, False),
        ("six pairs over 26 %", 6, 33, True),
        ("eight pairs over 26 %", 8, 33, True),
    ],
)
@pytest.mark.parametrize(
    "shift",
    [
        lambda pairs, t: round(2 * np.sin(2 * np.pi * t / 10)),
        lambda pairs, t: SIDE // pairs // 2 * (t // 5 % 2),
        lambda pairs, t: min(t, 29 - t),
    ],
    ids=["oscillating", "reversing in contrast", "changing direction"],
)
def test_stripes_that_change(
    name: str, pairs: int, rows: int, alarms: bool, shift: Callable[[int, int], int]
) -> None:
    shown = film(lambda t: bars(pairs, rows, shift=shift(pairs, t)))
    assert (score(shown, "stripes") == 1.0) == alarms, name


@pytest.mark.parametrize(("rows", "alarms"), [(31, False), (33, True)])
def test_stripes_that_flash_on_and_off_count_as_changing(rows: int, alarms: bool) -> None:
    shown = film(lambda t: bars(6, rows if t // 4 % 2 else 1))
    assert (score(shown, "stripes") == 1.0) == alarms


@pytest.mark.parametrize(
    ("frames", "fps", "alarms"),
    [(7, 15, False), (8, 15, True), (14, 30, False), (15, 30, True), (29, 60, False), (30, 60, True)],
)
@pytest.mark.parametrize("start", [0, 5])
def test_stripes_must_last_half_a_second(frames: int, fps: float, alarms: bool, start: int) -> None:
    plain = as_frame(np.full((SIDE, SIDE), 188))
    shown = film(lambda t: bars(10) if start <= t < start + frames else plain, 80)
    assert (score(shown, "stripes", fps) == 1.0) == alarms


@pytest.mark.parametrize(
    ("name", "light", "dark", "alarms"),
    [
        ("a change of .095", 0.595, 0.5, False),
        ("a change of .105", 0.605, 0.5, True),
        ("light stripes of .24", 0.24, 0.02, False),
        ("light stripes of .26", 0.26, 0.02, True),
    ],
)
def test_stripes_must_be_bright_and_discernible(name: str, light: float, dark: float, alarms: bool) -> None:
    shown = still(bars(10, light=light, dark=dark), 30)
    assert (score(shown, "stripes") == 1.0) == alarms, name


@pytest.mark.parametrize("degrees", [0, 20, 30, 45, 60, 90, 120, 135, 160])
@pytest.mark.parametrize("period", [2, 4, 7, 12])
def test_stripes_of_any_slant(degrees: int, period: int) -> None:
    one = found(still(grating(period, degrees), 30), "stripes")
    expected = SIDE * (abs(np.cos(np.radians(degrees))) + abs(np.sin(np.radians(degrees)))) / period
    assert one is not None
    assert one.score == 1.0
    assert one.text is not None
    assert float(one.text.split()[0]) == pytest.approx(expected, abs=1)


def test_rings_and_checks_are_stripes_and_walls_are_not() -> None:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    rings = np.hypot(rows - 63.5, columns - 63.5) // 5 % 2 * 255
    checks = (rows // 6 + columns // 6) % 2 * 255
    bricks = np.where((rows % 8 == 0) | ((columns + 8 * (rows // 8 % 2)) % 16 == 0), 30, 200)
    planks = np.where(rows % 12 < 2, 60, 220)
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE))
    alarms = [score(still(as_frame(one), 30), "stripes") for one in (rings, checks, bricks, planks, noise)]
    assert alarms == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_a_large_video_is_measured_as_it_is_shown() -> None:
    wide = np.repeat(np.where(np.arange(640) // 20 % 2, 255, 0)[None, :, None], 360, 0).repeat(3, 2)
    one = found(still(wide.astype(np.uint8), 30), "stripes")
    assert one is not None
    assert one.score == 1.0
    assert one.box is not None
    assert one.box[2] == pytest.approx(640, abs=25)
    assert one.box[3] == 360


@pytest.mark.parametrize("moved", [-3, -2, -1, 0, 1, 2, 3])
@pytest.mark.parametrize("axis", [0, 1])
def test_phase_is_the_share_of_the_period_moved(moved: int, axis: int) -> None:
    wave = np.where(np.arange(160) // 6 % 2, 1, -1).astype(np.int8)
    planes = [np.tile(np.roll(wave, by), (40, 1)) for by in (0, moved)]
    before, now = (plane.T if axis == 0 else plane for plane in planes)
    assert phase_between(before, now, axis) == pytest.approx(2 * np.pi * moved / 12, abs=0.12)


def test_a_still_that_ends_too_soon_is_no_pattern() -> None:
    assert find_pattern(lambda _: np.zeros((SIDE, SIDE), np.float32), 0, FPS) is None


# -- what is said, and worlds -------------------------------------------------------------------------


def test_says_the_result_in_the_units_of_the_standards() -> None:
    strobe = np.zeros((75, SIDE, SIDE, 3), np.uint8)
    lit = np.array([t // 3 % 2 for t in range(75)], bool)
    strobe[lit, 40:70, 40:70] = grey_of(0.34)  # 900 of a block's 2,425 pixels: 37 %
    (general, extended) = Flash()([Motion(strobe, FPS)])[0]
    assert general.text == "5 transitions in one second over 37% of a 10-degree field, luminance change 0.34"
    assert extended.text is not None
    assert extended.text.startswith(
        "two flashes a second or more for 4.2 of 5 s over 37% of a 10-degree field"
    )

    red = found(swapping([2], 30, (255, 0, 0)), "red_flash")
    assert red is not None
    # From black, which counts as white (.1978, .4683), to the red primary (.4507, .5229): .2587.
    assert red.text is not None
    assert red.text.endswith("colour change (CIE 1976 u'v') 0.26")

    stripes = found(film(lambda t: bars(8, 64, light=0.6, dark=0.2, shift=t)), "stripes")
    assert stripes is not None
    assert stripes.text is not None
    assert "pairs of drifting stripes for 2.0 s over" in stripes.text
    assert stripes.text.endswith("luminance change 0.40")


@torch.no_grad()
@pytest.mark.parametrize("name", ["back-room", "mossy-steps", "top-garden"])
def test_ordinary_worlds_raise_no_alarm(name: str) -> None:
    world, model = compile_world(load_package(EXAMPLES / name)), load_model("simulator")
    rng = np.random.default_rng(11)
    state = model.spawn([world] * 2, [1, 2])
    shown = []
    for _ in range(60):
        state, seen = model.step(state, torch.from_numpy(rng.integers(ACTIONS, size=2)))
        assert seen.frames is not None
        shown.append(seen.frames.permute(0, 2, 3, 1).numpy())
    for frames in np.stack(shown, axis=1):
        assert all(one.score < 1.0 for one in Flash()([Motion(frames, FPS)])[0])
