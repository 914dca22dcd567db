"""What a media file is, from its content alone, and whether all of it is there.

A file's name is never believed. Decoders forgive a lot, so completeness is checked on the container itself:
a file that ends early is refused and not played as far as it goes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from worldmodel.spec import MediaKind


class MediaError(ValueError):
    """A media file that is refused."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@dataclass(frozen=True)
class Format:
    """An allowed media format."""

    name: str
    kind: MediaKind
    suffix: str
    check: Callable[[bytes], None]
    """Raises MediaError where the file ends early or is put together wrongly."""


def sniff(data: bytes) -> Format:
    """The format of ``data``. Raises MediaError where it is not an allowed one."""
    for form, matches in _SIGNATURES:
        if matches(data):
            return form
    allowed = "PNG, JPEG, WebP, MP4, WebM, WAV, OGG, FLAC"
    what = next((name for start, name in _KNOWN_OTHERS if data.startswith(start)), "of an unknown format")
    message = f"is {what}" if data else "is empty"
    raise MediaError(message, f"allowed are {allowed}; the file's content counts, not its name")


_KNOWN_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP picture"),
    (b"<?xml", "an XML file"),
    (b"<svg", "an SVG drawing"),
    (b"%PDF", "a PDF document"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"ID3", "an MP3 sound"),
    (b"\xff\xfb", "an MP3 sound"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a playlist"),
    (b"PK\x03\x04", "a zip file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _is_wav(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


MP4_BRANDS = {
    b"isom",
    b"iso2",
    b"iso4",
    b"iso5",
    b"iso6",
    b"mp41",
    b"mp42",
    b"avc1",
    b"M4V ",
    b"dash",
    b"MSNV",
}


def _is_mp4(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in MP4_BRANDS


def _is_webm(data: bytes) -> bool:
    return data[:4] == b"\x1a\x45\xdf\xa3" and b"\x42\x82\x84webm" in data[:64]


# Completeness

_CUT = "make or download it again"


def _check_png(data: bytes) -> None:
    # Pillow's ``verify`` checks every chunk's CRC but is content without the closing chunk.
    at = 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"IEND" and size == 0:
            return
        at += 12 + size
    raise MediaError("is a truncated PNG picture", _CUT)


def _check_jpeg(data: bytes) -> None:
    if b"\xff\xd9" not in data:
        raise MediaError("is a truncated JPEG picture", _CUT)


def _check_riff(data: bytes) -> None:
    declared = struct.unpack_from("<I", data, 4)[0] + 8
    if declared > len(data):
        kind = "WebP picture" if _is_webp(data) else "WAV sound"
        raise MediaError(f"is a truncated {kind}: {len(data):,} of {declared:,} bytes are there", _CUT)


def _check_wav(data: bytes) -> None:
    _check_riff(data)
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        if at + 8 + size > len(data):
            raise MediaError("is a truncated WAV sound", _CUT)
        if data[at : at + 4] == b"data":
            return
        at += 8 + size + size % 2
    raise MediaError("is a WAV file without sound", _CUT)


def _check_ogg(data: bytes) -> None:
    *_, last = _ogg_pages(data)
    if not last & 4:
        raise MediaError("is a truncated OGG sound: its last page is not there", _CUT)


def _ogg_pages(data: bytes) -> Iterator[int]:
    """Header flags of each page (RFC 3533, section 6)."""
    at = 0
    while data[at : at + 4] == b"OggS":
        segments = data[at + 27 : at + 27 + data[at + 26]] if at + 27 <= len(data) else b""
        end = at + 27 + len(segments) + sum(segments)
        if at + 27 > len(data) or len(segments) < data[at + 26] or end > len(data):
            raise MediaError("is a truncated OGG sound", _CUT)
        yield data[at + 5]
        at = end


def _check_flac(data: bytes) -> None:
    # STREAMINFO is always the first block; decoding compares its sample count (see worldmodel.media).
    if len(data) < 42 or data[4] & 0x7F != 0:
        raise MediaError("is a truncated FLAC sound", _CUT)


def flac_samples(data: bytes) -> int:
    """Samples per channel that a FLAC file promises, 0 for unknown (RFC 9639, section 8.2)."""
    return int.from_bytes(data[18:26]) & 0xF_FFFF_FFFF


def _check_mp4(data: bytes) -> None:
    at, boxes = 0, set()
    while at < len(data):
        header = data[at : at + 16].ljust(16, b"\0")
        size, name = struct.unpack(">I4s", header[:8])
        if size == 1:
            (size,) = struct.unpack(">Q", header[8:])
        size = len(data) - at if size == 0 else size
        if size < 8 or at + size > len(data):
            raise MediaError("is a truncated or damaged MP4 video", _CUT)
        boxes.add(name)
        at += size
    if not {b"moov", b"mdat"} <= boxes:
        raise MediaError("is an MP4 file without a video", _CUT)


def _check_webm(data: bytes) -> None:
    # EBML (RFC 8794): a header element, then the Segment and its size.
    header, body = _ebml_size(data, 4)
    segment = body + (header or 0)
    size, body = _ebml_size(data, segment + 4)
    if data[segment : segment + 4] != b"\x18\x53\x80\x67" or (size is not None and body + size > len(data)):
        raise MediaError("is a truncated or damaged WebM video", _CUT)


def _ebml_size(data: bytes, at: int) -> tuple[int | None, int]:
    """The variable-size integer at ``at`` (None where it says "not known") and where it ends."""
    width = 9 - data[at].bit_length() if at < len(data) else 9
    if width > 8 or at + width > len(data):
        raise MediaError("is a truncated or damaged WebM video", _CUT)
    unknown = (1 << 7 * width) - 1
    value = int.from_bytes(data[at : at + width]) & unknown
    return (None if value == unknown else value), at + width


_SIGNATURES: tuple[tuple[Format, Callable[[bytes], bool]], ...] = (
    (Format("PNG", "picture", ".png", _check_png), lambda data: data.startswith(b"\x89PNG\r\n\x1a\n")),
    (Format("JPEG", "picture", ".jpg", _check_jpeg), lambda data: data.startswith(b"\xff\xd8\xff")),
    (Format("WebP", "picture", ".webp", _check_riff), _is_webp),
    (Format("MP4", "video", ".mp4", _check_mp4), _is_mp4),
    (Format("WebM", "video", ".webm", _check_webm), _is_webm),
    (Format("WAV", "sound", ".wav", _check_wav), _is_wav),
    (Format("OGG", "sound", ".ogg", _check_ogg), lambda data: data.startswith(b"OggS")),
    (Format("FLAC", "sound", ".flac", _check_flac), lambda data: data.startswith(b"fLaC")),
)
