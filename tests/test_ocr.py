"""Writing on signs is read; textures are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from moderation.detectors.base import Detection, Picture
from moderation.detectors.ocr import DETAIL_PIXELS, OVERVIEW_SIDE, Ocr, scales
from moderation.models import ModelMissing


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
    ("lines", "size", "dark"),
    [
        (["WETBACKS", "KEEP OUT"], 14, False),
        (["WETBACKS", "KEEP OUT"], 16, True),
        (["EXIT THIS", "WAY"], 18, False),
        (["BEWARE"], 20, True),
        (["CALL", "555 0134"], 16, False),
        (["NO ENTRY"], 14, True),
    ],
)
def test_reads_signs_in_frames(ocr: Ocr, lines: list[str], size: int, dark: bool) -> None:
    sign = board(lines, size, dark=dark)
    found = [ocr([Picture(scene(sign, at, seed))])[0] for seed, at in enumerate([(0, 0), (20, 60)])]
    assert [words(one) for one in found] == [" ".join(lines)] * 2


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
    """Recognition, the costly half, runs only where detection found a line."""
    ocr([Picture(scene(board(["STOP"], 20), (10, 10), 1))])
    recognised: list[int] = []
    original = ocr._reader.recognize_txt
    monkeypatch.setattr(
        ocr._reader, "recognize_txt", lambda cut: recognised.append(len(cut)) or original(cut)
    )
    ocr([Picture(texture(1)), Picture(scene(board(["STOP"], 20), (10, 10), 1)), Picture(texture(2))])
    assert recognised == [1]


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
