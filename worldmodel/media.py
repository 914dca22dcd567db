"""Media as pixels and samples, and back to files that hold nothing else.

Whatever a file carries besides (EXIF, location, comments, thumbnails, bytes behind its end) does not pass
through an array. Each decoder is told the format that the content has, so that no file can choose another.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldmodel import limits
from worldmodel.constants import FPS, SAMPLE_RATE
from worldmodel.formats import Format, MediaError, flac_samples, sniff

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream
    from PIL import Image

DEMUXERS = {"MP4": "mp4", "WebM": "webm", "WAV": "wav", "OGG": "ogg", "FLAC": "flac"}
"""FFmpeg's demuxer for each format that it is used for."""
SOUND_CODECS = "flac,vorbis,opus,libopus,pcm_u8,pcm_s16le,pcm_s24le,pcm_s32le,pcm_f32le,pcm_f64le"
VIDEO_CODECS = "h264,hevc,mpeg4,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d"


def decode_picture(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA, upright. Raises MediaError where ``data`` is not a whole, allowed picture."""
    form = _checked(data, "picture")
    with _decoding(form):
        return _pixels(_open_picture(data, form))


def _open_picture(data: bytes, form: Format) -> Image.Image:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # its limit is ten times ours
        probe = Image.open(BytesIO(data), formats=[form.name])
    with probe:
        width, height = probe.size
        if width > limits.PICTURE_SIDE or height > limits.PICTURE_SIDE:
            raise MediaError(
                f"has {width} x {height} pixels; at most {limits.PICTURE_SIDE} on a side are allowed",
                "scale it down",
            )
        if width * height > limits.PICTURE_PIXELS:
            raise MediaError(
                f"has {width} x {height} pixels; at most {limits.PICTURE_PIXELS:,} in all are allowed",
                "scale it down",
            )
        if form.name != "JPEG" and getattr(probe, "n_frames", 1) > 1:
            raise MediaError("is animated", "give one still picture, or a video as style.video")
        if form.name == "PNG":
            probe.verify()
    return Image.open(BytesIO(data), formats=[form.name])


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    from PIL import ImageOps

    if picture.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
        deep = np.asarray(picture).astype(np.uint32) >> 8
        grey = deep.clip(0, 255).astype(np.uint8)[..., None]
        return np.concatenate([grey, grey, grey, np.full_like(grey, 255)], axis=2)
    rgba = np.array(ImageOps.exif_transpose(picture).convert("RGBA"))
    rgba[rgba[..., 3] == 0] = 0  # colours that nobody can see
    return rgba


def encode_picture(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 4) RGBA as a PNG without metadata."""
    from PIL import Image

    opaque = bool((pixels[..., 3] == 255).all())
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., :3]) if opaque else pixels).save(file, "PNG")
    return file.getvalue()


def decode_sound(data: bytes) -> NDArray[np.float32]:
    """(N,) mono at SAMPLE_RATE in steps of 1/32768.

    Raises MediaError where ``data`` is not a whole, allowed sound.
    """
    form = _checked(data, "sound")
    with _decoding(form), _open(data, form, SOUND_CODECS) as container:
        if not container.streams.audio or (container.streams.video and form.name == "OGG"):
            raise MediaError(f"is not just a sound, though it is {form.name}", "give sound only")
        samples, played = _resampled(container, container.streams.audio[0])
    promised = flac_samples(data) if form.name == "FLAC" else 0
    if played < promised:
        raise MediaError(f"is a truncated {form.name} sound", "make or download it again")
    if not len(samples):
        raise MediaError("holds no sound")
    return samples.astype(np.float32) / np.float32(32768)


def _resampled(container: InputContainer, stream: AudioStream) -> tuple[NDArray[np.int16], int]:
    """Samples at SAMPLE_RATE, and how many there were at the file's own rate."""
    import av

    low, high = limits.SOUND_RATES
    if not low <= stream.rate <= high or stream.channels > limits.SOUND_CHANNELS:
        raise MediaError(
            f"has {stream.channels} channels at {stream.rate:,} Hz;"
            f" allowed are 1 to {limits.SOUND_CHANNELS} at {low:,} to {high:,} Hz"
        )
    _be_careful(stream)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    parts: list[NDArray[np.int16]] = []
    played = 0
    for frame in container.decode(stream):
        played += frame.samples
        if played > limits.SOUND_SECONDS * stream.rate:
            raise MediaError(f"is longer than {limits.SOUND_SECONDS:g} seconds", "cut it")
        parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16), played


def encode_sound(samples: NDArray[np.float32]) -> bytes:
    """(N,) mono at SAMPLE_RATE as 16-bit FLAC without metadata; exact for what :func:`decode_sound` gives."""
    import av

    file = BytesIO()
    whole = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    with av.open(file, "w", format="flac", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def decode_video(data: bytes) -> NDArray[np.uint8]:
    """(T, H, W, 3) RGB at FPS, scaled down to fit VIDEO_KEPT_WIDTH x VIDEO_KEPT_HEIGHT, upright.

    A frame is held until the next one is due. Raises MediaError for anything but a whole, allowed video.
    """
    form = _checked(data, "video")
    with _decoding(form), _open(data, form, VIDEO_CODECS) as container:
        if not container.streams.video:
            raise MediaError(f"is {form.name} without a picture", "give a video with a picture")
        stream = container.streams.video[0]
        _check_size(stream.width, stream.height)
        _be_careful(stream)
        frames = _at_fps(container.decode(stream))
    return np.stack(frames)


def _at_fps(frames: Iterator[av.VideoFrame]) -> list[NDArray[np.uint8]]:
    kept: list[NDArray[np.uint8]] = []
    shown: av.VideoFrame | None = None
    start = end = 0.0
    for index, frame in enumerate(frames):
        start = _time(frame) if shown is None else start
        now = _time(frame) - start
        _check_frame(frame, shown)
        end = now + (float(frame.duration * (frame.time_base or 0)) or 1 / FPS)
        if end > limits.VIDEO_SECONDS + 1 / FPS:
            raise MediaError(f"is longer than {limits.VIDEO_SECONDS:g} seconds", "cut it")
        if index >= limits.VIDEO_RATE * limits.VIDEO_SECONDS:
            raise MediaError(f"has more than {limits.VIDEO_RATE} pictures a second", "encode it at 30")
        if shown is not None:
            _hold(kept, shown, now)
        shown = frame
    if shown is None:
        raise MediaError("holds no picture")
    _hold(kept, shown, max(end, 1 / FPS))
    return kept


def _time(frame: av.VideoFrame) -> float:
    if frame.time is None:
        raise MediaError("has a picture without a time", "encode it again")
    return float(frame.time)


def _hold(kept: list[NDArray[np.uint8]], frame: av.VideoFrame, until: float) -> None:
    # A quarter of a tick of slack absorbs the milliseconds that WebM rounds times to.
    ticks = ceil(until * FPS - 0.25) - len(kept)
    if ticks > 0:
        kept += [_frame_pixels(frame)] * ticks


def _check_frame(frame: av.VideoFrame, before: av.VideoFrame | None) -> None:
    _check_size(frame.width, frame.height)
    if frame.is_corrupt:
        raise MediaError("is a truncated or damaged video", "make or download it again")
    if before is None:
        return
    if (frame.width, frame.height) != (before.width, before.height):
        raise MediaError("changes its size on the way", "encode it again at one size")
    if _time(frame) <= _time(before):
        raise MediaError("has pictures out of order", "encode it again")


def _check_size(width: int, height: int) -> None:
    long, short = max(width, height), min(width, height)
    if long > limits.VIDEO_WIDTH or short > limits.VIDEO_HEIGHT:
        most = f"{limits.VIDEO_WIDTH} x {limits.VIDEO_HEIGHT}"
        raise MediaError(f"has {width} x {height} pixels; at most {most} are allowed", "scale it down")


def _frame_pixels(frame: av.VideoFrame) -> NDArray[np.uint8]:
    long, short = max(frame.width, frame.height), min(frame.width, frame.height)
    scale = min(1.0, limits.VIDEO_KEPT_WIDTH / long, limits.VIDEO_KEPT_HEIGHT / short)
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    return np.rot90(small.to_ndarray(), frame.rotation // 90)


def encode_video(frames: NDArray[np.uint8]) -> bytes:
    """(T, H, W, 3) RGB at FPS as lossless VP9 in WebM without metadata or sound.

    Raises MediaError where that is larger than a whole package may be.
    """
    import av

    file = BytesIO()
    # Without a rate to keep (crf, b) the encoder neither drops frames nor runs out of its buffer.
    lossless = {"lossless": "1", "crf": "0", "b": "0", "lag-in-frames": "0", "auto-alt-ref": "0"}
    lossless |= {"cpu-used": "8", "deadline": "realtime"}
    with av.open(file, "w", format="webm", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libvpx-vp9", rate=FPS, options=lossless)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "gbrp"
        stream.codec_context.thread_count = 1
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            if file.tell() > limits.PACKAGE_BYTES:
                raise MediaError("is too large once it is stored without loss", "make it shorter or calmer")
        container.mux(stream.encode(None))
    return file.getvalue()


_CAREFUL = {
    "err_detect": "crccheck+explode",
    "max_pixels": str((limits.VIDEO_WIDTH + 128) * (limits.VIDEO_WIDTH + 128)),
}
"""Decoder options: stop at the first damage; allocate no more than the largest frame needs."""


def _checked(data: bytes, kind: str) -> Format:
    form = sniff(data)
    if form.kind != kind:
        raise MediaError(f"is a {form.kind} ({form.name}); a {kind} is needed here")
    form.check(data)
    return form


def _open(data: bytes, form: Format, codecs: str) -> InputContainer:
    import av

    options = {**_CAREFUL, "codec_whitelist": codecs}
    return av.open(
        BytesIO(data),
        "r",
        format=DEMUXERS[form.name],
        options=options,
        io_open=_open_nothing,
        metadata_errors="ignore",
    )


def _be_careful(stream: Stream) -> None:
    stream.codec_context.options = dict(_CAREFUL)
    stream.codec_context.thread_count = 1


def _open_nothing(*_: object) -> BytesIO:
    raise MediaError("refers to another file", "put everything into one file")


@contextmanager
def _decoding(form: Format) -> Iterator[None]:
    try:
        yield
    except MediaError:
        raise
    except Exception as error:  # hostile bytes can make a decoder raise anything
        reason = getattr(error, "strerror", None) or str(error)
        known = f": {reason}" if reason and "<_io." not in reason else ""
        raise MediaError(f"cannot be decoded as {form.name}{known}", "make or download it again") from error
