"""What a short video tells about how a world should feel: pace, and how the camera leads.

The camera's motion is the median optical flow (DIS: Kroeger et al., "Fast Optical Flow using Dense Inverse
Search", ECCV 2016) over the textured part of small grey frames. What the spec or the prompt says wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldmodel.constants import FPS, FRAME

if TYPE_CHECKING:
    from worldmodel.prompt import Understanding
    from worldmodel.spec import WorldSpec

WIDTH = 160
"""Pixels across of the frames that are measured."""
HELD = 3
"""A frame is shown for up to so many ticks in a video of 5 frames a second; longer is stillness."""
STILL = 0.03
"""Frame widths per second below which a camera stands."""
SHAKY = 0.25
"""Frame widths per second of jitter from which a camera has no habit to copy."""
UNLIKE = 0.6
"""Two pictures that differ by more than this share of their contrast have nothing in common: a cut. For
unrelated pictures it is about 1.1."""
TIME_LAPSE = 10
"""A day in the video takes ten times as long in the world."""


@dataclass(frozen=True)
class Pace:
    """How a video moves."""

    horizontal: float
    """Median speed of the camera along the frame, in frame widths per second."""
    vertical: float
    """The same up and down, also in frame widths."""
    steadiness: float
    """0 to and fro .. 1 always one way along."""
    shake: float
    """Median jitter of the camera, frame widths per second."""
    cuts: float
    """Per second."""
    day: float
    """Seconds of a clear cycle of brightness, 0 where there is none."""


def pace_of(frames: NDArray[np.uint8], fps: float = FPS) -> Pace:
    """Measure (T, H, W, 3) RGB frames at ``fps``; a single frame stands still."""
    import cv2

    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    height = max(24, round(WIDTH * frames.shape[1] / frames.shape[2]))
    small = [cv2.resize(frame, (WIDTH, height), interpolation=cv2.INTER_AREA) for frame in grey]
    with _one_thread():
        moves, cuts = _motion(small)
    speeds = moves * fps / WIDTH
    path = float(np.abs(speeds[:, 0]).sum())
    return Pace(
        horizontal=_median(np.abs(speeds[:, 0])),
        vertical=_median(np.abs(speeds[:, 1])),
        steadiness=round(abs(float(speeds[:, 0].sum())) / path, 3) if path > 0 else 0.0,
        shake=_shake(speeds),
        cuts=round(cuts * fps / len(frames), 3),
        day=_cycle(np.array([frame.mean() for frame in small]), fps),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # DIS cuts the frame into a strip per thread, which changes its answer
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _median(values: NDArray[np.float64]) -> float:
    return round(float(np.median(values)), 3) if len(values) else 0.0


def _motion(frames: list[NDArray[np.uint8]]) -> tuple[NDArray[np.float64], int]:
    """(N, 2) pixels per tick of the camera for every tick that is no cut, and how many are cuts."""
    import cv2

    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    moves: list[tuple[float, float]] = []
    cuts, before = 0, 0
    for now in range(1, len(frames)):
        if np.array_equal(frames[now], frames[before]) and now - before < HELD and now + 1 < len(frames):
            continue  # the same picture, held until the next is due
        x, y = _camera(flow.calc(frames[before], frames[now], None), frames[before])  # type: ignore[call-overload]
        if _is_cut(frames[before], frames[now], x, y):
            cuts += 1
        else:
            moves += [(x / (now - before), y / (now - before))] * (now - before)
        before = now
    return np.array(moves, dtype=np.float64).reshape(-1, 2), cuts


def _camera(flow: NDArray[np.float32], frame: NDArray[np.uint8]) -> tuple[float, float]:
    """Median flow where the frame has texture; elsewhere it is a guess."""
    down, along = np.gradient(frame.astype(np.float32))
    edges = np.hypot(down, along)
    textured = edges > max(2.0, float(np.quantile(edges, 0.6)))
    if not textured.any():
        return 0.0, 0.0
    x, y = np.median(flow[textured], axis=0)
    return float(x), float(y)


def _is_cut(before: NDArray[np.uint8], now: NDArray[np.uint8], x: float, y: float) -> bool:
    """Whether the frames differ even with the camera's motion taken back and brightness left out."""
    height, width = before.shape
    dx, dy = round(x), round(y)
    if abs(dx) >= width // 2 or abs(dy) >= height // 2:
        return True
    old = before[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)].astype(np.float32)
    new = now[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)].astype(np.float32)
    change = new - old
    difference = float(np.abs(change - np.median(change)).mean())
    return difference > 8 and difference > UNLIKE * float(max(old.std(), new.std()))


def _shake(speeds: NDArray[np.float64]) -> float:
    """Median distance of each tick's motion from the mean of the five around it."""
    if len(speeds) < 5:
        return 0.0
    smooth = np.stack([np.convolve(speeds[:, axis], np.ones(5) / 5, "valid") for axis in (0, 1)], axis=1)
    return _median(np.linalg.norm(speeds[2:-2] - smooth, axis=1))


def _cycle(brightness: NDArray[np.float64], fps: float) -> float:
    """Seconds after which brightness repeats itself, at least twice over; 0 where it does not clearly."""
    if len(brightness) < 4 * fps or np.ptp(brightness) < 40:
        return 0.0
    wave = brightness - brightness.mean()
    lags = np.arange(round(2 * fps), len(wave) // 2 + 1)  # faster than 2 s is flicker
    likeness = np.array([np.corrcoef(wave[:-lag], wave[lag:])[0, 1] for lag in lags])
    rising = np.flatnonzero((likeness[1:-1] >= likeness[:-2]) & (likeness[1:-1] >= likeness[2:])) + 1
    peaks = [at for at in rising if likeness[at] > 0.8]
    return round(float(lags[peaks[0]] / fps), 2) if peaks else 0.0


def apply_pace(meaning: Understanding, spec: WorldSpec, pace: Pace) -> Understanding:
    """``meaning`` with the video's habits where neither the spec nor the prompt says otherwise.

    speed: the player walks as fast as the camera moved, 2..8 units a step; cuts hurry a still camera.
    look_ahead: up to 16 pixels for a steady pan. verticality: up to 1 for a climbing camera.
    day_length: TIME_LAPSE times the cycle of brightness.
    """
    mechanics, notes = meaning.mechanics, []
    verticality = meaning.verticality
    if spec.mechanics.speed is None and _left_out(meaning, "speed") and (speed := _speed(pace)):
        mechanics = replace(mechanics, speed=speed)
        notes.append(f"from the video: speed {speed * FPS / 2 / FRAME:.2f} screens a second")
    if not mechanics.look_ahead and (lead := _look_ahead(pace)):
        mechanics = replace(mechanics, look_ahead=lead)
        notes.append(f"from the video: the camera leads by {lead} pixels")
    if spec.layout.verticality is None and verticality == 0.5 and pace.vertical > max(STILL, pace.horizontal):
        verticality = round(0.5 + 0.5 * min(1.0, pace.vertical / 0.25), 2)
        notes.append(f"from the video: verticality {verticality:g}")
    if spec.mechanics.day_length is None and not mechanics.day_length and pace.day:
        mechanics = replace(mechanics, day_length=round(TIME_LAPSE * pace.day * FPS))
        notes.append(f"from the video: a day of {TIME_LAPSE * pace.day:.0f} seconds")
    inferred = meaning.inferred
    if mechanics.speed != meaning.mechanics.speed:
        inferred = tuple(note for note in inferred if not note.startswith("speed"))
    return replace(meaning, mechanics=mechanics, verticality=verticality, inferred=(*inferred, *notes))


def _left_out(meaning: Understanding, concept: str) -> bool:
    return any(note.startswith(concept) for note in meaning.inferred)


def _speed(pace: Pace) -> int:
    """Units per step: as many screens a second as the camera crossed; 0 where the video does not say."""
    moving = max(pace.horizontal, pace.vertical)
    if moving > STILL and pace.shake < SHAKY:
        return int(np.clip(round(moving * 2 * FRAME / FPS), 2, 8))
    return 7 if 0.25 <= pace.cuts < 0.75 else 8 if pace.cuts >= 0.75 else 0


def _look_ahead(pace: Pace) -> int:
    if pace.shake >= SHAKY or pace.steadiness < 0.5 or pace.horizontal <= max(STILL, pace.vertical):
        return 0
    return round(16 * pace.steadiness * min(1.0, pace.horizontal / 0.25))
