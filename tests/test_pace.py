"""What a video's motion comes to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from worldmodel.pace import apply_pace, pace_of
from worldmodel.prompt import understand
from worldmodel.spec import Mechanics, WorldSpec


def scenery(seed: int = 0, side: int = 1200) -> np.ndarray:
    """Soft blobs of every size."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.random((n, n, 3)), (side, side), interpolation=cv2.INTER_CUBIC) for n in (20, 90)
    ]
    return (255 * np.clip((layers[0] + layers[1]) / 2, 0, 1)).astype(np.uint8)


def pan(x: float, y: float = 0.0, steps: int = 45, seed: int = 0) -> np.ndarray:
    """A camera of 200 x 120 pixels that moves so many frame widths a second."""
    picture, frames = scenery(seed), []
    for step in range(steps):
        left, top = (500 + v * 200 * (step - steps / 2) / 15 for v in (x, y))
        frames.append(cv2.getRectSubPix(picture, (200, 120), (left + 100, top + 60)))
    return np.stack(frames)


@pytest.mark.parametrize("speed", [0.1, 0.3, 0.6, -0.4])
def test_a_pan_has_its_speed(speed):
    pace = pace_of(pan(speed))
    assert pace.horizontal == pytest.approx(abs(speed), rel=0.15)
    assert pace.vertical < 0.02
    assert pace.steadiness > 0.95
    assert (pace.cuts, pace.day) == (0, 0)


def test_a_video_of_fewer_pictures_has_the_same_speed():
    slow = pan(0.3, steps=45)[np.arange(45) // 3 * 3]
    assert pace_of(slow).horizontal == pytest.approx(0.3, rel=0.15)


def test_a_climb_is_vertical():
    pace = pace_of(pan(0, 0.3))
    assert pace.vertical == pytest.approx(0.3, rel=0.15)
    assert pace.horizontal < 0.02


@pytest.mark.parametrize("frames", [1, 2, 30])
def test_a_still_has_none(frames):
    pace = pace_of(pan(0, steps=frames))
    assert (pace.horizontal, pace.vertical, pace.shake, pace.cuts) == (0, 0, 0, 0)


def test_to_and_fro_is_not_steady():
    forth = pan(0.3, steps=30)
    assert pace_of(np.concatenate([forth, forth[::-1]])).steadiness < 0.1


def test_cuts_are_counted():
    shots = np.concatenate([pan(0.2, steps=15, seed=seed) for seed in range(4)])
    pace = pace_of(shots)
    assert pace.cuts == pytest.approx(3 / 4)
    assert pace.horizontal == pytest.approx(0.2, rel=0.15)


def test_a_shaking_camera_shakes():
    rng, picture = np.random.default_rng(1), scenery()
    places = 500 + rng.normal(0, 8, (30, 2))
    shaky = np.stack([cv2.getRectSubPix(picture, (200, 120), tuple(map(float, at))) for at in places])
    assert pace_of(shaky).shake > 0.25 > 10 * pace_of(pan(0.3)).shake


def test_a_time_lapse_has_days():
    light = 0.6 + 0.4 * np.cos(2 * np.pi * np.arange(150) / 45)
    days = (pan(0, steps=1) * light[:, None, None, None]).astype(np.uint8)
    assert pace_of(days).day == pytest.approx(3.0, abs=0.1)


def spec(prompt: str = "a green forest", **mechanics: object) -> WorldSpec:
    return WorldSpec(title="T", prompt=prompt, mechanics=Mechanics(**mechanics))


def test_the_player_walks_as_fast_as_the_camera_moved():
    slow, fast = (apply_pace(understand(spec()), spec(), pace_of(pan(v))) for v in (0.18, 0.6))
    assert slow.mechanics.speed == 3
    assert fast.mechanics.speed == 8
    assert 0 < slow.mechanics.look_ahead < fast.mechanics.look_ahead == 16
    assert any(note.startswith("from the video: speed") for note in fast.inferred)
    assert not any(note.startswith("speed") for note in fast.inferred)


@pytest.mark.parametrize("told", [spec("a slow green forest"), spec(speed=0.5)])
def test_what_is_said_wins(told):
    meaning = understand(told)
    assert apply_pace(meaning, told, pace_of(pan(0.6))).mechanics.speed == meaning.mechanics.speed


def test_a_climb_makes_a_tall_world():
    assert apply_pace(understand(spec()), spec(), pace_of(pan(0, 0.3))).verticality == 1


def test_a_still_changes_nothing():
    meaning = understand(spec())
    assert apply_pace(meaning, spec(), pace_of(pan(0, steps=30))) == meaning
