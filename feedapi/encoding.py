"""Pictures and sound as bytes: what a tick or a socket sends."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from feedapi.wire import Video
from worldmodel.constants import FPS, FRAME, SAMPLES_PER_STEP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from av.video.codeccontext import VideoCodecContext
    from numpy.typing import NDArray

JPEG_QUALITY = 92
"""With colours at full resolution about 7 kB a frame, 38 dB: pixel art shows every halo."""

VIDEO_QUALITY = 20
"""Constant rate factor of x264 (0 lossless, 51 worst): ``benchmarks/live.py --only codecs`` compares."""
MOST_BETWEEN_KEYS = 20 * FPS
"""Pictures after which one stands alone again, if none did for another reason."""


def encode_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) RGB as JPEG."""
    import cv2

    full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    how = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full]
    # cvtColor, not [..., ::-1]: OpenCV would copy a mirrored view while it holds the interpreter
    good, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), how)
    if not good:
        raise RuntimeError("OpenCV could not encode a frame")
    return data.tobytes()


def encode_jpegs(pictures: Mapping[int, NDArray[np.uint8]]) -> dict[int, tuple[bytes, float]]:
    """By the same numbers each picture's JPEG and the milliseconds it took."""
    found = {}
    for number, picture in pictures.items():
        started = time.perf_counter()
        found[number] = encode_jpeg(picture), (time.perf_counter() - started) * 1000
    return found


def encode_sound(samples: NDArray[np.float32]) -> bytes:
    """SAMPLES_PER_STEP of -1..1 as int16, little-endian; empty when silent."""
    if samples.shape != (SAMPLES_PER_STEP,):
        raise ValueError(f"a step has {SAMPLES_PER_STEP} samples, not {samples.shape}")
    whole = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
    return whole.tobytes() if whole.any() else b""


class H264:
    """One socket's pictures as an H.264 stream: each needs the one that was encoded before it.

    So only what is sent may be encoded. Made for a socket, so that a stream begins with a picture that stands
    alone whenever a player comes, or comes back. Not to be used by two threads at once.
    """

    def __init__(self, size: int = FRAME) -> None:
        self._codec = _x264(size)
        self._count = 0
        self._key = True

    def want_key(self) -> None:
        """Let the next picture stand alone. May be called while another is being encoded."""
        self._key = True

    def encode(self, picture: NDArray[np.uint8]) -> Video:
        """The next picture, (size, size, 3) RGB."""
        import av
        import cv2
        from av.video.frame import PictureType

        planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = self._count
        self._count += 1
        if self._key:
            self._key = False
            frame.pict_type = PictureType.I
        packets = self._codec.encode(frame)
        if len(packets) != 1:
            raise RuntimeError(f"the H.264 encoder gave {len(packets)} packets for a picture, not one")
        return Video(bytes(packets[0]), packets[0].is_keyframe)


def _x264(size: int) -> VideoCodecContext:
    """libx264 without delay: what goes in comes out at once, with all that a decoder needs in the stream."""
    import av

    codec = av.CodecContext.create("libx264", "w")
    codec.width = codec.height = size
    codec.pix_fmt = "yuv420p"
    codec.time_base = Fraction(1, FPS)
    codec.thread_count = 1
    codec.gop_size = MOST_BETWEEN_KEYS
    colours = "colorprim=smpte170m:transfer=smpte170m:colormatrix=smpte170m:fullrange=off"  # OpenCV's I420
    codec.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "level": "3.0",
        "crf": str(VIDEO_QUALITY),
        "forced-idr": "1",
        "x264-params": f"annexb=1:repeat-headers=1:scenecut=0:{colours}",
    }
    codec.open()
    return codec
