"""Writing on signs is read; textures are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from moderation.detectors import regions
from moderation.detectors.base import Detection, Picture
from moderation.detectors.ocr import DETAIL_PIXELS, OVERVIEW_SIDE, Ocr, scales
from moderation.detectors.recogniser import _capital_i
from moderation.models import ModelMissing
from moderation.reading import lines


@pytest.fixture(scope="module")
def ocr() -> Ocr:
    detector = Ocr()
    detector.ensure_loaded()
    return detector


def texture(seed: int, height: int = 128, width: int = 128, *, bricks: bool = True) -> np.ndarray:
    rng = np.random.default_rng(seed)
    soft = cv2.resize(
        rng.normal(0, 25, (height // 4, width // 4)), (width, height), interpolation=cv2.INTER_CUBIC
    )
    picture = rng.integers(40, 200, 3) + soft[..., None] + rng.normal(0, 6, (height, width, 1))
    if bricks:
        picture[::8] -= 50
        picture[:, ::16] -= 50
    return np.clip(picture, 0, 255).astype(np.uint8)


def board(
    lines: list[str], size: int, *, dark: bool = False, shape: tuple[int, int] = (96, 48)
) -> np.ndarray:
    ground, ink = ((40, 30, 60), (240, 230, 200)) if dark else ((235, 225, 190), (60, 20, 10))
    image = Image.new("RGB", shape, ground)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, shape[0] - 1, shape[1] - 1), outline=ink)
    font = ImageFont.load_default(size)
    top = (shape[1] - len(lines) * (size + 2)) // 2
    for number, line in enumerate(lines):
        left = (shape[0] - draw.textlength(line, font)) / 2
        draw.text((left, top + number * (size + 2)), line, font=font, fill=ink)
    return np.asarray(image)


def scene(sign: np.ndarray, at: tuple[int, int], seed: int) -> np.ndarray:
    picture = texture(seed)
    x, y = at
    picture[y : y + sign.shape[0], x : x + sign.shape[1]] = sign
    return picture


def words(found: list[Detection]) -> str:
    return " ".join(d.text or "" for d in found).upper()


@pytest.mark.parametrize(
    ("rows", "size", "dark"),
    [
        (["WETBACKS", "KEEP OUT"], 14, False),
        (["WETBACKS", "KEEP OUT"], 16, True),
        (["EXIT THIS", "WAY"], 18, False),
        (["BEWARE"], 20, True),
        (["CALL", "555 0134"], 16, False),
        (["NO ENTRY"], 14, True),
    ],
)
def test_reads_signs_in_frames(ocr: Ocr, rows: list[str], size: int, dark: bool) -> None:
    sign = board(rows, size, dark=dark)
    found = [ocr([Picture(scene(sign, at, seed))])[0] for seed, at in enumerate([(0, 0), (20, 60)])]
    assert [words(one) for one in found] == [" ".join(rows)] * 2


def test_close_lines_are_all_read(ocr: Ocr) -> None:
    """Boxes of close lines overlap by half."""
    sign = board(["GO UP", "AND THEN", "LEFT"], 15)
    assert lines(ocr([Picture(scene(sign, (10, 70), 4))])[0]) == ["GO UP", "AND THEN", "LEFT"]


def test_says_where_and_when(ocr: Ocr) -> None:
    (found,) = ocr([Picture(scene(board(["BEWARE"], 20), (10, 70), 3), at=4.2)])
    (line,) = found
    assert (line.start, line.end) == (4.2, 4.2)
    assert line.box is not None
    x0, y0, x1, y1 = line.box
    assert 10 <= x0 < x1 <= 106
    assert 70 <= y0 < y1 <= 118
    assert line.score > 0.9


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda p: cv2.GaussianBlur(p, (0, 0), 1.0), id="blurred"),
        pytest.param(lambda p: (p * 0.35).astype(np.uint8), id="dark"),
        pytest.param(lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [1, 60])[1], 1), id="jpeg"),
    ],
)
def test_reads_spoilt_frames(ocr: Ocr, spoil) -> None:
    picture = spoil(scene(board(["KEEP OUT"], 16), (15, 40), 5))
    assert words(ocr([Picture(picture)])[0]) == "KEEP OUT"


@pytest.mark.parametrize("seed", range(6))
def test_textures_say_nothing(ocr: Ocr, seed: int) -> None:
    assert ocr([Picture(texture(seed, bricks=seed % 2 == 0))]) == [[]]


def test_only_writing_is_recognised_and_not_what_has_none(ocr: Ocr, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recognition, the costly half, runs only where detection found a line, and once where it is clear."""
    recognised: list[tuple[int, ...]] = []
    original = ocr._recognise
    monkeypatch.setattr(ocr, "_recognise", lambda cut: recognised.append(cut.shape) or original(cut))
    ocr([Picture(texture(1)), Picture(scene(board(["STOP"], 20), (10, 10), 1)), Picture(texture(2))])
    assert len(recognised) == 1


def upright(letters: str, size: int) -> np.ndarray:
    """Letters under each other."""
    image = Image.new("RGB", (size + 12, len(letters) * (size + 2) + 8), (235, 225, 190))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for row, letter in enumerate(letters):
        left = (image.width - draw.textlength(letter, font)) / 2
        draw.text((left, 4 + row * (size + 2)), letter, (60, 20, 10), font=font)
    return np.asarray(image)


@pytest.mark.parametrize(
    ("hung", "said"),
    [
        pytest.param(board(["WETBACKS", "KEEP OUT"], 16)[:, ::-1], "WETBACKS KEEP OUT", id="mirrored"),
        pytest.param(np.rot90(board(["KEEP OUT"], 18, shape=(96, 24))), "KEEP OUT", id="turned left"),
        pytest.param(np.rot90(board(["KEEP OUT"], 18, shape=(96, 24)), -1), "KEEP OUT", id="turned right"),
        pytest.param(
            np.rot90(board(["THIS WAY", "TO EXIT"], 16)), "THIS WAY TO EXIT", id="two lines turned left"
        ),
        pytest.param(np.rot90(board(["THIS WAY", "TO EXIT"], 16), -1), "THIS WAY TO EXIT", id="and right"),
        pytest.param(upright("BEWARE", 17), "BEWARE", id="under each other"),
    ],
)
def test_reads_what_is_not_written_from_left_to_right(ocr: Ocr, hung: np.ndarray, said: str) -> None:
    found = ocr([Picture(scene(hung, (12, 4), 3))])[0]
    assert " ".join(lines(found)).upper() == said


def test_a_word_that_is_one_both_ways_is_given_both_ways(ocr: Ocr, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the letters do not tell which way they are written, it is for the rules on words to say."""
    sign = board(["pow"], 24)
    plain = iter([[("pow", 0.9)], [("wog", 0.96)]])
    monkeypatch.setattr(ocr, "_recognise", lambda cut: next(plain))
    found = ocr([Picture(scene(sign, (10, 70), 1))])[0]
    assert [(d.text, d.score) for d in found] == [("wog", 0.96), ("pow", 0.9)]
    assert len({d.box for d in found}) == 1


@pytest.mark.parametrize(("text", "said"), [("STlCK", "STICK"), ("Pool", "Pool"), ("HALl 2", "HALI 2")])
def test_an_l_among_capitals_is_an_i(text: str, said: str) -> None:
    assert _capital_i(text) == said


boxes = st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 40), st.integers(1, 40)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


class TestRegions:
    @given(st.lists(boxes, max_size=10), st.booleans())
    def test_each_box_is_in_one_chain_and_in_order(self, given: list[regions.Box], down: bool) -> None:
        found = regions.chains(given, down=down)
        assert sorted(box for chain in found for box in chain) == sorted(given)
        assert all([box[down] for box in chain] == sorted(box[down] for box in chain) for chain in found)

    @given(st.lists(boxes, max_size=10))
    def test_the_largest_hold_all_others(self, given: list[regions.Box]) -> None:
        kept = regions.largest(given)
        assert all(any(regions.same(box, large) for large in kept) for box in given)
        assert regions.largest(kept) == kept

    @given(st.lists(boxes, min_size=1, max_size=10))
    def test_a_union_holds_all_its_boxes(self, given: list[regions.Box]) -> None:
        whole = regions.union(given)
        assert all(regions.common(box, whole) == regions.area(box) for box in given)

    @given(st.lists(boxes, max_size=8), st.booleans())
    def test_columns_are_all_read_once(self, given: list[regions.Box], from_right: bool) -> None:
        groups = regions.in_order(given, from_right=from_right)
        assert sorted(index for group in groups for index in group) == list(range(len(given)))

    def test_letters_of_a_column_are_laid_side_by_side(self) -> None:
        column = np.full((96, 20, 3), 230, np.uint8)
        for top, width in ((4, 12), (36, 6), (68, 16)):
            column[top : top + 22, 10 - width // 2 : 10 + width // 2] = 20
        row = regions.laid_out(column)
        assert row is not None
        ink = (row < 128).all(axis=2).any(axis=0)
        assert np.count_nonzero(np.diff(ink.astype(int)) == 1) == 3
        assert ink.sum() == 12 + 6 + 16

    def test_two_letters_are_no_column(self) -> None:
        column = np.full((64, 20, 3), 230, np.uint8)
        column[4:26, 4:16] = column[36:58, 4:16] = 20
        assert regions.laid_out(column) is None


def test_reads_an_uploaded_picture_whole(ocr: Ocr) -> None:
    """Large and small letters in one picture of 1200 x 600."""
    picture = texture(9, 600, 1200, bricks=False)
    picture[60:300, 60:1140] = board(["GARDEN"], 200, shape=(1080, 240))
    picture[540:588, 1000:1096] = board(["go away"], 16)
    found = ocr([Picture(picture)])[0]
    said = [(d.text or "").upper() for d in found]
    assert sorted(said) == ["GARDEN", "GO AWAY"]
    small = found[said.index("GO AWAY")].box
    assert small is not None
    assert 995 <= small[0] < small[2] <= 1100
    assert 535 <= small[1] < small[3] <= 592


@pytest.mark.parametrize("shape", [(1, 1), (8, 300), (300, 8), (20, 20)])
def test_tiny_and_narrow_pictures_are_no_trouble(ocr: Ocr, shape: tuple[int, int]) -> None:
    assert ocr([Picture(np.full((*shape, 3), 200, np.uint8))]) == [[]]


@pytest.mark.parametrize("at", [(0, 0), (30, 2)])
def test_columns_at_the_edge_are_no_trouble(ocr: Ocr, at: tuple[int, int]) -> None:
    """The look at the turned picture is padded where the picture is narrow."""
    x, y = at
    tall = scene(upright("STOP", 15)[: 128 - y], at, 7)[:, : 28 + x]
    assert "STOP" in words(ocr([Picture(tall)])[0])


def test_a_narrow_banner_is_read(ocr: Ocr) -> None:
    assert words(ocr([Picture(board(["KEEP OUT OF HERE"], 16, shape=(160, 22)))])[0]) == "KEEP OUT OF HERE"


@pytest.mark.parametrize(
    ("height", "width"),
    [(128, 128), (320, 100), (321, 100), (960, 960), (1000, 1600), (2828, 2828), (100, 4096)],
)
def test_the_work_per_picture_is_bounded(height: int, width: int) -> None:
    factors = scales(height, width)
    assert factors == sorted(factors)
    assert all(height * width * factor**2 <= DETAIL_PIXELS + 1 for factor in factors)
    assert factors[0] * max(height, width) <= OVERVIEW_SIDE


def test_missing_weights_are_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTPLAY_MODELS", str(tmp_path))
    (tmp_path / "PP-OCRv6_det_small.onnx").write_bytes(b"not a model")
    with pytest.raises(Exception, match="firstplay models fetch ocr-detection"):
        Ocr()([Picture(texture(0))])
    (tmp_path / "PP-OCRv6_det_small.onnx").unlink()
    monkeypatch.setattr("worldmodel.store.cache.installed_file", lambda source: None)
    with pytest.raises(ModelMissing, match="firstplay models fetch ocr-detection"):
        Ocr()([Picture(texture(0))])
