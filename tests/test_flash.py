"""Flashing at and around the limits of WCAG 2.3.1, with cases that can be worked out by hand.

Frames are 128 x 128 at 15 per second unless a case says otherwise. Shown at 768 x 768 view pixels, a frame
pixel is 6 x 6 view pixels, so a 341 x 256 block holds 2,424.9 of them and a quarter of it is 606.2.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.detectors.base import Detection, Motion
from moderation.detectors.flash import (
    Flash,
    chromaticity,
    detail,
    find_shift,
    moved,
    saturated_red,
)
from moderation.labelled.flashes import (
    BLACK,
    FOUR,
    FPS,
    GREY,
    LINEAR,
    SIDE,
    THREE,
    WHITE,
    alternate,
    grey_of,
    greys_apart,
    patch,
    plain,
    scene,
)


@pytest.fixture(scope="module")
def flash() -> Flash:
    return Flash()


def test_a_patch_has_exactly_its_area() -> None:
    for area in (590, 606, 607, 1000):
        assert (patch(area, WHITE, BLACK) != plain(BLACK)).any(axis=2).sum() == area


def score(found: list[Detection], label: str = "general_flash") -> float:
    return max((d.score for d in found if d.label == label), default=0.0)


def run(flash: Flash, frames: np.ndarray, fps: float = FPS) -> list[Detection]:
    return flash([Motion(frames, fps)])[0]


SEVEN = [2, 4, 6, 8, 10, 12, 14]
SPREAD = [1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31]  # every third frame: five in any second, 2.5 flashes


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("nothing changes", [], 0.0),
        ("one change is no flash", [5], 0.0),
        ("one flash", [5, 8], 0.25),
        ("three flashes are allowed", THREE, 0.75),
        ("three and a half are more than three", SEVEN, 1.0),
        ("four flashes", FOUR, 1.0),
        ("many, but never more than three in a second", SPREAD, 0.625),
        ("a swap on every frame, 7.5 flashes a second", list(range(1, 30)), 1.0),
        ("six transitions, then six more after a second's rest", [*THREE, *(t + 27 for t in THREE)], 0.75),
        ("the seventh comes exactly one second after the first", [2, 4, 6, 8, 10, 12, 17], 0.75),
        ("the seventh comes one frame sooner", [2, 4, 6, 8, 10, 12, 16], 1.0),
    ],
)
def test_counts_flashes_in_the_worst_second(
    flash: Flash, name: str, changes: list[int], expected: float
) -> None:
    frames = alternate(plain(BLACK), plain(WHITE), changes, 50)
    assert score(run(flash, frames)) == expected, name


@pytest.mark.parametrize(("share", "alarms"), [(0.24, False), (0.249, False), (0.251, True), (0.26, True)])
def test_area_is_a_quarter_of_a_block(flash: Flash, share: float, alarms: bool) -> None:
    area = round(share * 341 * 256 / 36)
    frames = alternate(plain(BLACK), patch(area, WHITE, BLACK), FOUR, 30)
    assert (score(run(flash, frames)) == 1.0) == alarms


@pytest.mark.parametrize(("change", "alarms"), [(0.095, False), (0.099, False), (0.101, True), (0.105, True)])
@pytest.mark.parametrize("ground", [0.02, 0.3, 0.6])
def test_luminance_must_change_by_a_tenth(flash: Flash, change: float, alarms: bool, ground: float) -> None:
    dark, bright = greys_apart(change, above=ground)
    exact = float(LINEAR[bright] - LINEAR[dark])
    assert abs(exact - change) < 5e-4
    frames = alternate(plain(dark), plain(bright), FOUR, 30)
    assert (score(run(flash, frames)) == 1.0) == alarms


@pytest.mark.parametrize(("darker", "alarms"), [(0.79, True), (0.81, False)])
def test_the_darker_state_must_be_below_four_fifths(flash: Flash, darker: float, alarms: bool) -> None:
    dark = grey_of(darker)
    assert (LINEAR[dark] < 0.8) == alarms
    assert LINEAR[255] - LINEAR[dark] > 0.1
    frames = alternate(plain(dark), plain(WHITE), FOUR, 30)
    assert (score(run(flash, frames)) == 1.0) == alarms


def test_changes_of_one_direction_are_one_transition(flash: Flash) -> None:
    stairs = [grey_of(0.05 + 0.12 * step) for step in range(7)]
    frames = np.stack([plain(stairs[min(t, 6)]) for t in range(30)])
    assert run(flash, frames) == []


def test_a_slow_fade_to_and_fro_is_below_the_limit(flash: Flash) -> None:
    light = 0.4 - 0.35 * np.cos(2 * np.pi * np.arange(90) / 30)  # half a cycle a second
    frames = np.stack([plain(grey_of(float(value))) for value in light])
    assert score(run(flash, frames)) <= 0.25


def test_a_fast_fade_flashes(flash: Flash) -> None:
    light = 0.4 - 0.35 * np.cos(2 * np.pi * np.arange(180) / 15)  # at 60 frames a second: 4 Hz
    frames = np.stack([plain(grey_of(float(value))) for value in light])
    assert score(run(flash, frames, fps=60)) == 1.0
    assert score(run(flash, frames, fps=30)) == 0.5


@pytest.mark.parametrize(("hertz", "expected"), [(2.5, 0.625), (3.0, 0.75), (4.0, 1.0), (7.5, 1.0)])
def test_what_15_frames_a_second_show_of_a_strobe(flash: Flash, hertz: float, expected: float) -> None:
    on = np.floor(2 * hertz * (np.arange(60) + 0.5) / FPS).astype(int) % 2
    frames = np.stack([plain(WHITE) if value else plain(BLACK) for value in on])
    assert score(run(flash, frames)) == expected


def test_a_strobe_in_step_with_the_frames_cannot_be_seen(flash: Flash) -> None:
    on = np.floor(2 * 15 * (np.arange(60) + 0.25) / FPS).astype(int) % 2
    assert run(flash, np.stack([plain(WHITE) if value else plain(BLACK) for value in on])) == []


def test_a_strobe_just_off_the_frame_rate_is_seen_as_its_slow_alias(flash: Flash) -> None:
    on = np.floor(2 * 16 * (np.arange(90) + 0.25) / FPS).astype(int) % 2  # 16 Hz looks like 1 Hz
    found = run(flash, np.stack([plain(WHITE) if value else plain(BLACK) for value in on]))
    assert score(found) == 0.25


@pytest.mark.parametrize(
    ("name", "red", "other", "alarms"),
    [
        ("red and black", (255, 0, 0), BLACK, True),
        ("red and grey", (255, 0, 0), GREY, True),
        ("red and green", (255, 0, 0), (0, 255, 0), True),
        ("red and blue of little luminance", (200, 0, 0), (0, 0, 120), True),
        ("two reds", (255, 0, 0), (180, 0, 0), False),
        ("red that is not saturated, R share .78", (255, 105, 105), BLACK, False),
        ("orange and black", (255, 140, 0), BLACK, False),
        ("green and blue", (0, 120, 0), (0, 0, 160), False),
        ("a red too dark to see", (40, 0, 0), BLACK, False),
    ],
)
def test_red_flashes(
    flash: Flash, name: str, red: tuple[int, int, int], other: tuple[int, int, int], alarms: bool
) -> None:
    found = run(flash, alternate(plain(other), plain(red), FOUR, 30))
    assert (score(found, "red_flash") == 1.0) == alarms, name


def test_three_red_flashes_are_allowed_and_small_ones_too(flash: Flash) -> None:
    assert score(run(flash, alternate(plain(GREY), plain((255, 0, 0)), THREE, 30)), "red_flash") == 0.75
    small = alternate(plain(GREY), patch(590, (255, 0, 0), GREY), FOUR, 30)
    assert score(run(flash, small), "red_flash") == 0.0


def test_equal_luminance_makes_a_red_flash_and_no_general_one(flash: Flash) -> None:
    red = (255, 0, 0)  # relative luminance 0.2126
    grey = grey_of(0.2126)
    found = run(flash, alternate(plain(grey), plain(red), FOUR, 30))
    assert [d.label for d in found] == ["red_flash"]


@pytest.mark.parametrize("kind", ["bricks", "checks", "clouds"])
@pytest.mark.parametrize("speed", [1, 2, 4, 7])
def test_a_scrolling_scene_is_no_flash(flash: Flash, kind: str, speed: int) -> None:
    picture = scene(kind)
    frames = np.stack([picture[:, speed * t : speed * t + SIDE] for t in range(45)])
    assert score(run(flash, frames)) < 1.0


def test_a_camera_that_sways_is_no_flash(flash: Flash) -> None:
    picture = scene("bricks")
    ways = [round(60 + 20 * np.sin(2 * np.pi * t / 20)) for t in range(60)]
    assert all(abs(b - a) <= 7 for a, b in pairwise(ways))
    assert score(run(flash, np.stack([picture[:, x : x + SIDE] for x in ways]))) < 1.0


def test_a_strobe_over_a_scrolling_scene_is_found(flash: Flash) -> None:
    picture = scene("clouds")
    light = [1.0, 1.0, 0.2, 0.2]
    frames = np.stack([(picture[:, 3 * t : 3 * t + SIDE] * light[t % 4]).astype(np.uint8) for t in range(45)])
    assert score(run(flash, frames)) == 1.0


def test_a_checkerboard_that_swaps_its_squares_flashes(flash: Flash) -> None:
    board = scene("checks")
    frames = alternate(board[:, :SIDE], board[:, 12 : 12 + SIDE], FOUR, 30)
    assert score(run(flash, frames)) == 1.0


def test_stripes_that_move_by_half_their_period_flicker(flash: Flash) -> None:
    columns = np.arange(900)
    stripes = np.repeat(np.where(columns // 4 % 2, 240, 10)[None, :, None], SIDE, 0).repeat(3, 2)
    frames = np.stack([stripes[:, 4 * t : 4 * t + SIDE] for t in range(30)]).astype(np.uint8)
    assert score(run(flash, frames)) == 1.0


def test_one_hard_cut_is_no_flash(flash: Flash) -> None:
    one, other = scene("bricks")[:, :SIDE], scene("clouds")[:, :SIDE]
    assert run(flash, alternate(one, other, [20], 40)) == []


def test_a_cut_that_brightens_here_and_darkens_there_is_one_transition(flash: Flash) -> None:
    """Two mixed pictures, four frames each: 3.75 cuts a second, so under two flashes."""
    halves = plain(BLACK)
    halves[::2] = WHITE
    swapped = WHITE[0] - halves
    frames = np.stack([(halves, swapped)[n // 4 % 2] for n in range(60)])

    assert score(flash([Motion(frames, FPS)])[0]) <= 0.5


def test_says_when_and_where_the_worst_is(flash: Flash) -> None:
    lit = plain(BLACK)
    lit[90:125, 95:125] = WHITE
    frames = alternate(plain(BLACK), lit, [60 + 2 * t for t in range(10)], 150)
    (found,) = run(flash, frames)
    assert found.start == pytest.approx(60 / FPS)
    assert found.end == pytest.approx(79 / FPS)
    assert found.box is not None
    x0, y0, x1, y1 = found.box
    assert x0 <= 97
    assert y0 <= 92
    assert x1 <= SIDE
    assert y1 <= SIDE
    assert (min(x1, 125) - max(x0, 95)) * (min(y1, 125) - max(y0, 90)) > 606


def test_a_wide_video_is_measured_as_it_is_shown(flash: Flash) -> None:
    # 1280 x 640 fills the view's width: 1.25 video pixels to a view pixel, so a quarter block is 34,100.
    dark = np.zeros((640, 1280, 3), np.uint8)
    for side, expected in ((175, False), (195, True)):
        lit = dark.copy()
        lit[200 : 200 + side, 500 : 500 + side] = 255
        assert (side**2 > 0.25 * 341 * 256 * 1.25**2) == expected
        assert (score(run(flash, alternate(dark, lit, FOUR, 24))) == 1.0) == expected


def test_many_recordings_at_once(flash: Flash) -> None:
    still = np.zeros((20, SIDE, SIDE, 3), np.uint8)
    strobe = alternate(plain(BLACK), plain(WHITE), FOUR, 20)
    found = flash([Motion(still, FPS), Motion(strobe, FPS), Motion(still[:1], FPS)])
    assert [score(one) for one in found] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("frames", "fps", "words"),
    [
        (np.zeros((4, 8, 8), np.uint8), 15.0, "frames must be"),
        (np.zeros((4, 8, 8, 3), np.float32), 15.0, "frames must be"),
        (np.zeros((4, 8, 8, 3), np.uint8), 0.0, "must be positive"),
    ],
)
def test_refuses_what_is_no_recording(flash: Flash, frames: np.ndarray, fps: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run(flash, frames, fps)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), min_size=20, max_size=45))
def test_agrees_with_counting_by_hand(lit: list[bool]) -> None:
    frames = np.stack([plain(WHITE, 64) if on else plain(BLACK, 64) for on in lit])
    swaps = [t for t in range(1, len(lit)) if lit[t] != lit[t - 1]]
    most = max((sum(t <= s < t + FPS for s in swaps) for t in swaps), default=0)
    expected = 0.0 if most < 2 else 1.0 if most > 6 else most / 8
    assert score(Flash()([Motion(frames, FPS)])[0]) == expected


def test_linear_table_is_srgb() -> None:
    assert LINEAR[0] == 0
    assert LINEAR[255] == 1
    assert LINEAR[128] == pytest.approx(0.21586, abs=1e-5)  # ((128/255 + .055) / 1.055) ** 2.4


def test_chromaticity_of_the_primaries() -> None:
    colours = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]]], np.float32)
    u, v = chromaticity(colours)
    expected = [(0.4507, 0.5229), (0.1250, 0.5625), (0.1754, 0.1579), (0.1978, 0.4683), (0.1978, 0.4683)]
    np.testing.assert_allclose(np.stack([u[0], v[0]], 1), expected, atol=3e-4)


def test_saturated_red_is_four_fifths_red() -> None:
    colours = np.array([[[0.8, 0.1, 0.09], [0.8, 0.1, 0.11], [0.05, 0, 0]]], np.float32)
    assert saturated_red(colours)[0].tolist() == [True, False, False]


@pytest.mark.parametrize("offset", [(0, 3), (0, -3), (2, 0), (-4, 1)])
def test_find_shift_and_moved_agree(offset: tuple[int, int]) -> None:
    picture = detail(scene("clouds", 300).repeat(2, 0))
    now = picture[20:148, 20:148]
    before = picture[20 - offset[0] : 148 - offset[0], 20 - offset[1] : 148 - offset[1]]
    assert find_shift(np.ascontiguousarray(before), np.ascontiguousarray(now)) == offset
    fresh = np.full((1, SIDE, SIDE), np.nan, np.float32)
    carried = moved(before[None], offset, fresh)[0]
    known = ~np.isnan(carried)
    np.testing.assert_array_equal(carried[known], now[known])
    assert known.mean() > 0.9
