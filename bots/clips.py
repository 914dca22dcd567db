"""Playthroughs as video files: small ones that any browser plays, and lossless ones that prove."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from bots.recording import Recording
from worldmodel.constants import FPS, SAMPLE_RATE, SAMPLES_PER_STEP

ZOOM = 3
"""A viewing clip is this many times larger, each pixel a square: 384 x 384."""


def write_clip(recording: Recording, path: Path, start: float = 0.0, end: float | None = None) -> None:
    """MP4 with H.264 (yuv420p) and AAC sound, for looking at; ``start`` and ``end`` in seconds.

    The frame at time t is the one that a player sees t seconds after the spawn. Written whole or not at all.
    Raises ValueError for a span outside the recording.
    """
    first, last = span(recording, start, end)
    frames = recording.frames[first:last].repeat(ZOOM, axis=1).repeat(ZOOM, axis=2)
    sound = recording.sound[first * SAMPLES_PER_STEP : last * SAMPLES_PER_STEP]
    quality = {"crf": "18", "preset": "veryfast"}
    with _created(path, "mp4", {"movflags": "+faststart"}) as file:
        video = file.add_stream("libx264", rate=FPS, options=quality)
        video.width, video.height, video.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        audio = file.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        _mux(file, video, audio, frames, sound[None].astype(np.float32), "fltp")


def write_lossless(recording: Recording, path: Path) -> None:
    """Matroska with H.264 RGB at QP 0 and FLAC: the frames exactly, the sound to 16 bits."""
    with _created(path, "matroska", {}) as file:
        video = file.add_stream("libx264rgb", rate=FPS, options={"qp": "0", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = (
            recording.frames.shape[2],
            recording.frames.shape[1],
            "rgb24",
        )
        audio = file.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        audio.format = "s16"
        _mux(file, video, audio, recording.frames, to_16_bits(recording.sound)[None], "s16")


def to_16_bits(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples -1..1 as 16-bit integers."""
    return np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16)


def span(recording: Recording, start: float, end: float | None) -> tuple[int, int]:
    """First frame and the one after the last, of a span in seconds; at least one frame."""
    total = len(recording.frames)
    first = int(start * FPS)
    last = total if end is None else min(total, int(np.ceil(end * FPS)) + 1)
    if not 0 <= first < last:
        raise ValueError(
            f"{start}..{end} s lies outside the recording, which is 0..{(total - 1) / FPS:.2f} s long"
        )
    return first, last


@contextmanager
def _created(path: Path, kind: str, options: dict[str, str]) -> Iterator[OutputContainer]:
    """A container that takes its name only once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        with av.open(name, "w", format=kind, options=options) as file:
            yield file
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mux(
    file: OutputContainer,
    video: av.VideoStream,
    audio: av.AudioStream,
    frames: NDArray[np.uint8],
    sound: NDArray[np.float32] | NDArray[np.int16],
    sample_format: str,
) -> None:
    """Interleave second by second, so that a player need not seek."""
    for first in range(0, len(frames), FPS):
        for number, pixels in enumerate(frames[first : first + FPS], first):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            file.mux(video.encode(picture))
        begin = first * SAMPLES_PER_STEP
        samples = sound[:, begin : begin + FPS * SAMPLES_PER_STEP]
        if samples.shape[1]:
            block: Any = np.ascontiguousarray(samples)
            heard = av.AudioFrame.from_ndarray(block, format=sample_format, layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = SAMPLE_RATE, begin, Fraction(1, SAMPLE_RATE)
            file.mux(audio.encode(heard))
    file.mux(video.encode(None))
    file.mux(audio.encode(None))
