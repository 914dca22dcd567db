"""What a picture says, and writing that no single frame shows whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation import reading
from moderation.detectors.base import Detection
from worldmodel.constants import FRAME, MAP_HEIGHT, MAP_WIDTH, TILE


def line(text: str, box: tuple[int, int, int, int], score: float = 1.0) -> Detection:
    return Detection("text", score, box=box, text=text)


def scenery(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 256, (height // 4, width // 4, 3), np.uint8), np.ones((4, 4, 1), np.uint8))


class TestSayings:
    def test_nothing_says_nothing(self) -> None:
        assert reading.sayings([]) == []

    def test_rows_are_one_text(self) -> None:
        found = [line("span", (0, 20, 40, 30)), line("spick", (0, 0, 30, 10)), line("and", (32, 1, 50, 11))]
        assert reading.lines(found) == ["spick and", "span"]
        assert reading.sayings(found) == [("spick and span", 1.0)]

    def test_what_a_box_may_also_say_is_a_text_of_its_own_that_weighs_less(self) -> None:
        found = [line("no", (0, 0, 20, 10)), line("pow", (22, 0, 50, 10)), line("wog", (22, 0, 50, 10), 0.9)]
        assert reading.lines(found) == ["no pow"]
        assert reading.sayings(found) == [("no pow", 1.0), ("no wog", reading.OTHERWISE)]

    def test_a_texture_between_words_can_be_left_out(self) -> None:
        found = [
            line("sieg", (0, 0, 30, 10)),
            line("oo", (32, 0, 44, 10), 0.6),
            line("heil", (46, 0, 80, 10)),
        ]
        assert reading.sayings(found) == [("sieg oo heil", 1.0), ("sieg heil", reading.OTHERWISE)]

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.floats(0, 1)), max_size=8))
    def test_no_text_comes_twice_and_the_first_weighs_most(self, given: list[tuple[str, int, float]]) -> None:
        found = [line(text, (0, 20 * row, 9, 20 * row + 9), score) for text, row, score in given]
        texts = reading.sayings(found)
        assert len({text for text, _ in texts}) == len(texts)
        assert [weight for _, weight in texts] == [1.0, *[reading.OTHERWISE] * len(texts)][: len(texts)]


class TestMaps:
    @given(st.integers(1, 1500), st.integers(1, 1500))
    def test_parts_cover_the_map_and_overlap(self, height: int, width: int) -> None:
        parts = reading.map_parts(np.zeros((height, width, 3), np.uint8))
        if len(parts) > 1:
            assert parts.pop().pixels.shape == (height, width, 3)
        for axis, length in ((0, width), (1, height)):
            starts = sorted({part.corner[axis] for part in parts})
            size = min(length, reading.PART[axis])
            assert starts[0] == 0
            assert starts[-1] + size == length
            assert all(a + size - b >= reading.WHOLE for a, b in pairwise(starts))

    def test_a_world_takes_few_parts(self) -> None:
        parts = reading.map_parts(np.zeros((MAP_HEIGHT * TILE, MAP_WIDTH * TILE, 3), np.uint8))
        assert len(parts) == 11
        assert {part.pixels.shape for part in parts[:-1]} == {(256, 320, 3)}

    def test_signs_are_told_apart_and_what_two_parts_show_counts_once(self) -> None:
        parts = reading.map_parts(np.zeros((256, 512, 3), np.uint8))
        assert [part.corner for part in parts] == [(0, 0), (192, 0), (0, 0)]
        left = [
            line("KEEP", (200, 10, 240, 24)),
            line("OUT", (205, 30, 230, 44)),
            line("MIN", (290, 200, 320, 214)),
        ]
        right = [
            line("KEEP", (8, 10, 48, 24)),
            line("OUT", (13, 30, 38, 44)),
            line("MINE", (98, 200, 140, 214)),
        ]
        texts = [reading.lines(group) for group in reading.together(parts, [left, right, []])]
        assert sorted(texts) == [["KEEP", "OUT"], ["MINE"]]

    def test_other_readings_of_a_box_are_kept(self) -> None:
        (part,) = reading.map_parts(np.zeros((100, 100, 3), np.uint8))
        found = [line("pow", (5, 5, 30, 15)), line("wog", (5, 5, 30, 15))]
        assert reading.together([part], [found]) == [found]

    def test_a_long_line_is_read_in_the_whole(self) -> None:
        parts = reading.map_parts(np.zeros((256, 512, 3), np.uint8))
        left, right = line("A LONG BAN", (100, 10, 320, 30)), line("ONG BANNER", (0, 10, 250, 30))
        whole = line("A LONG BANNER", (100, 10, 442, 30), 0.9)
        assert reading.together(parts, [[left], [right], [whole]]) == [[whole]]

    def test_what_stands_in_a_part_alone_is_kept_though_it_is_cut(self) -> None:
        parts = reading.map_parts(np.zeros((256, 900, 3), np.uint8))
        found = [[line("A LONG BANN", (100, 10, 320, 30))], *[[] for _ in parts[1:]]]
        assert [reading.lines(group) for group in reading.together(parts, found)] == [["A LONG BANN"]]


class TestPanoramas:
    @given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 100)), min_size=1, max_size=12))
    def test_a_panorama_is_the_place_itself(self, cameras: list[tuple[int, int]]) -> None:
        place = scenery(FRAME + 100, FRAME + 300)
        frames = [place[y : y + FRAME, x : x + FRAME] for x, y in cameras]
        for picture in reading.panoramas(frames, cameras):
            shown = (picture > 0).any(axis=2)
            corners = [(x, y) for x in {x for x, _ in cameras} for y in {y for _, y in cameras}]
            height, width = picture.shape[:2]
            assert any(
                (picture[shown] == place[y : y + height, x : x + width][shown]).all()
                for x, y in corners
                if place[y : y + height, x : x + width].shape == picture.shape
            )

    def test_the_player_in_the_middle_is_not_in_it(self) -> None:
        place = scenery(FRAME, 3 * FRAME)
        cameras = [(x, 0) for x in range(0, 2 * FRAME + 1, 16)]
        frames = [place[:, x : x + FRAME].copy() for x, _ in cameras]
        for frame in frames:
            frame[56:72, 56:72] = 255
        (picture,) = reading.panoramas(frames, cameras)
        assert (picture == place).all()

    def test_frames_apart_and_frames_of_one_place_make_none(self) -> None:
        place = scenery(FRAME, 3 * FRAME)
        one, other = place[:, :FRAME], place[:, 2 * FRAME :]
        assert reading.panoramas([], []) == []
        assert reading.panoramas([one, one], [(5, 5), (5, 5)]) == []
        assert reading.panoramas([one, other], [(0, 0), (2 * FRAME, 0)]) == []

    def test_its_size_is_bounded(self) -> None:
        frame = scenery(FRAME, FRAME)
        cameras = [(64 * i, 64 * i) for i in range(60)]
        pictures = reading.panoramas([frame] * 60, cameras)
        assert len(pictures) > 1
        assert all(picture.shape[0] * picture.shape[1] <= reading.LARGEST for picture in pictures)

    def test_every_frame_has_its_offset(self) -> None:
        with pytest.raises(ValueError, match="2 frames and 1 offsets"):
            reading.panoramas([scenery(8, 8)] * 2, [(0, 0)])

    def test_a_camera_that_is_not_known_is_followed(self) -> None:
        place, elsewhere = scenery(256, 512, 1), scenery(FRAME, FRAME, 2)
        cameras = [(0, 0), (12, 0), (30, 5), (50, 12), (61, 30)]
        frames = [*(place[y : y + FRAME, x : x + FRAME] for x, y in cameras), elsewhere]
        (walked, offsets), (other, _) = reading.followed(frames)
        assert offsets == cameras
        assert len(walked) == 5
        assert (other[0] == elsewhere).all()
