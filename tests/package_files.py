"""Small media and packages that the package tests put together and take apart."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from PIL import Image, PngImagePlugin

SECRET = b"GPS 52.5163N 13.3777E"
"""What a creator's camera or editor wrote into a file, and what nobody else should get."""

YAML = b"title: Small\nprompt: a small world\n"


@cache
def picture(form: str = "PNG", width: int = 24, height: int = 16, mode: str = "RGB") -> bytes:
    ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(ramp).convert(mode).save(file, form)
    return file.getvalue()


@cache
def telling_picture(form: str) -> bytes:
    """A picture whose EXIF and text chunks carry SECRET, with SECRET behind its end too."""
    image = Image.open(BytesIO(picture(form)))
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Comment", SECRET.decode())
    file = BytesIO()
    image.save(file, form, exif=exif, **({"pnginfo": chunks} if form == "PNG" else {}))
    return file.getvalue() + SECRET


@cache
def sound(form: str = "wav", seconds: float = 0.3, rate: int = 24_000, comment: bytes = b"") -> bytes:
    """A 440 Hz tone as wav, ogg (Opus) or flac."""
    codec = {"wav": "pcm_s16le", "ogg": "libopus", "flac": "flac"}[form]
    rate = 48_000 if form == "ogg" else rate
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.int16)
    file = BytesIO()
    with av.open(file, "w", format=form) as container:
        if comment:
            container.metadata["comment"] = comment.decode()
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


@cache
def video(
    form: str = "mp4",
    steps: int = 8,
    width: int = 32,
    height: int = 24,
    rate: int = 15,
    comment: bytes = b"",
) -> bytes:
    """A moving gradient as mp4 (H.264) or webm (VP9)."""
    codec, pixels = {"mp4": ("libx264", "yuv420p"), "webm": ("libvpx-vp9", "yuv420p")}[form]
    file = BytesIO()
    with av.open(file, "w", format=form) as container:
        if comment:
            container.metadata["comment"] = comment.decode()
        stream = container.add_stream(codec, rate=rate, options={"crf": "20", "cpu-used": "8"})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.thread_count = 1
        ramp = np.broadcast_to(np.linspace(0, 200, width)[None, :, None], (height, width, 3))
        for step in range(steps):
            frame = av.VideoFrame.from_ndarray((ramp + step).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def folder(at: Path, files: Mapping[str, bytes]) -> Path:
    """A package folder with these files."""
    for name, content in files.items():
        path = at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return at


def zipped(entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """A zip with these entries, in this order, duplicates and all."""
    file = BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        for entry, content in entries:
            archive.writestr(entry, content)
    return file.getvalue()


def zip_entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.create_system = 3
    return info


def sign(medium: str) -> bytes:
    return YAML + f"objects:\n- {{kind: sign, image: {medium}}}\n".encode()


def speaker(medium: str) -> bytes:
    return YAML + f"objects:\n- {{kind: character, says: {medium}}}\n".encode()


def film(medium: str) -> bytes:
    return YAML + f"style: {{video: {medium}}}\n".encode()
