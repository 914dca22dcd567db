"""Video files of playthroughs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from bots.clips import ZOOM, span, to_16_bits, write_clip, write_lossless
from bots.recording import Playthrough, Recording
from worldmodel.constants import EVENTS, FPS, FRAME, SAMPLE_RATE, SAMPLES_PER_STEP

STEPS = 40


@pytest.fixture(scope="module")
def recording() -> Recording:
    rng = np.random.default_rng(5)
    playthrough = Playthrough(
        "w", "m", "search", "idle/1", 1, 0,
        np.zeros(STEPS, np.uint8), np.zeros((STEPS, EVENTS), bool), np.full(STEPS, -1, np.int16),
    )  # fmt: skip
    tone = np.sin(np.arange(STEPS * SAMPLES_PER_STEP) * 2 * np.pi * 440 / SAMPLE_RATE).astype(np.float32)
    return Recording(
        playthrough=playthrough,
        frames=rng.integers(0, 256, (STEPS + 1, FRAME, FRAME, 3), dtype=np.uint8),
        sound=tone * 0.5,
        views=np.zeros(STEPS + 1, np.int64),
    )


def decoded(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    with av.open(str(path)) as file:
        frames = [f.to_ndarray(format="rgb24") for f in file.decode(video=0)]
    with av.open(str(path)) as file:
        sound = np.concatenate([f.to_ndarray() for f in file.decode(audio=0)], axis=1)
    return frames, sound


def test_lossless_file_gives_back_every_pixel_and_sample(recording: Recording, tmp_path: Path) -> None:
    write_lossless(recording, tmp_path / "evidence.mkv")

    frames, sound = decoded(tmp_path / "evidence.mkv")

    assert np.array_equal(np.stack(frames), recording.frames)
    assert np.array_equal(sound[0], to_16_bits(recording.sound))


def test_viewing_clip_is_what_browsers_play(recording: Recording, tmp_path: Path) -> None:
    write_clip(recording, tmp_path / "clip.mp4")

    with av.open(str(tmp_path / "clip.mp4")) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height) == (FRAME * ZOOM, FRAME * ZOOM)
        assert (audio.codec_context.name, audio.codec_context.sample_rate) == ("aac", SAMPLE_RATE)
        assert float(video.average_rate) == FPS
    head = (tmp_path / "clip.mp4").read_bytes()
    assert head.index(b"moov") < head.index(b"mdat"), "a browser must be able to start before the end"


def test_viewing_clip_shows_and_sounds_the_chosen_span(recording: Recording, tmp_path: Path) -> None:
    flat = recording.frames.copy()
    flat[:20], flat[20:] = 30, 220
    shown = replace(recording, frames=flat)

    write_clip(shown, tmp_path / "clip.mp4", start=20 / FPS, end=30 / FPS)

    frames, sound = decoded(tmp_path / "clip.mp4")
    assert len(frames) == 11
    assert all(abs(int(frame.mean()) - 220) < 6 for frame in frames)
    assert np.sqrt((sound**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.2)


@pytest.mark.parametrize(("start", "end"), [(99.0, None), (-1.0, None), (2.0, 1.0)])
def test_a_span_outside_the_recording_is_refused(
    recording: Recording, start: float, end: float | None
) -> None:
    with pytest.raises(ValueError, match="outside the recording"):
        span(recording, start, end)


def test_a_clip_that_fails_leaves_no_file(recording: Recording, tmp_path: Path) -> None:
    broken = replace(recording, frames=recording.frames[:, :, :, :2])

    with pytest.raises(ValueError, match=r"shape|array"):
        write_clip(broken, tmp_path / "clip.mp4")

    assert list(tmp_path.iterdir()) == []
