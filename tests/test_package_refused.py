"""What is refused: a hundred ways to get a world package wrong, by mistake or on purpose.

Each must end in a PackageError that names the input, without a traceback and without a file left behind.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from tests.package_files import (
    YAML,
    film,
    folder,
    picture,
    sign,
    sound,
    speaker,
    telling_picture,
    video,
    zip_entry,
    zipped,
)
from worldmodel import limits, media
from worldmodel.formats import MediaError
from worldmodel.package import PackageError, Problem, WorldPackage, load_package, make_package
from worldmodel.world_cli import register_world

Make = Callable[[Path], Path]
APP = typer.Typer()
register_world(APP)


def tree(root: Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*"))


def refusal(path: Path) -> str:
    """What ``world check`` says, after checking what it must never do."""
    before = tree(path.parent)
    result = CliRunner().invoke(APP, ["world", "check", str(path)])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert str(path) in result.output
    assert tree(path.parent) == before
    return result.output


@pytest.fixture(autouse=True)
def _nothing_in_the_temporary_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))


# world.yaml

DOCUMENTS = {
    "empty": (b"", "world.yaml: is empty"),
    "only a comment": (b"# hi\n", "world.yaml: is empty"),
    "a list": (b"- title\n", "world.yaml:1: must be a group of fields, not a list"),
    "a word": (b"hello\n", "world.yaml:1: must be a group of fields, not 'hello'"),
    "nothing": (b"~\n", "world.yaml:1: must be a group of fields, not nothing"),
    "not UTF-8": (b"title: a\nprompt: \xff\xfe\n", "world.yaml:2: is not UTF-8 text"),
    "UTF-16": ("title: a\nprompt: b\n".encode("utf-16"), "world.yaml:1: is not UTF-8 text"),
    "zero byte": (b"title: a\nprompt: b\0\n", "world.yaml:2: contains the character U+0000"),
    "open bracket": (b"title: [\n", "is not valid YAML"),
    "tab": (b"title: a\n\tprompt: b\n", "world.yaml:2: is not valid YAML"),
    "two colons": (b"title: a: b\n", "world.yaml:1: is not valid YAML: mapping values are not allowed here"),
    "two documents": (YAML + b"---\n" + YAML, "world.yaml:3: a second document starts here"),
    "missing prompt": (b"title: a\n", "world.yaml:1: prompt: is missing (add it)"),
    "missing title": (b"prompt: a\n", "title: is missing (add it)"),
    "empty title": (b"title: ''\nprompt: a\n", "world.yaml:1: title: must not be empty"),
    "blank title": (b"title: '  '\nprompt: a\n", "world.yaml:1: title: must not be blank"),
    "long title": (b"title: " + b"a" * 81 + b"\nprompt: a\n", "title: must have at most 80 characters"),
    "title of two lines": (b'title: "a\\nb"\nprompt: a\n', "title: must be a single line"),
    "escape in title": (b'title: "a\\x1b[2Jb"\nprompt: a\n', "must not contain the control character U+001B"),
    "reversed text": (b'title: a\nprompt: "\\u202Eevil"\n', "must not contain the control character U+202E"),
    "half a character": (b'title: "\\uD800"\nprompt: a\n', "title: must be valid Unicode text"),
    "long prompt": (b"title: a\nprompt: " + b"a" * 1001, "prompt: must have at most 1000 characters"),
    "number as title": (b"title: 5\nprompt: a\n", "title: must be text, not 5"),
    "duplicate key": (YAML + b"title: other\n", "world.yaml:3: title: is given twice (first on line 1)"),
    "duplicate inner key": (
        YAML + b"mechanics:\n  jump: 1\n  jump: 2\n",
        "world.yaml:5: mechanics.jump: is given",
    ),
    "unknown field": (YAML + b"colour: red\n", "world.yaml:3: colour: is not a known field"),
    "misspelt field": (
        YAML + b"mechanics: {gravty: 1}\n",
        "mechanics.gravty: is not a known field (did you mean",
    ),
    "merge key": (b"a: &a {x: 1}\n<<: *a\n", "<<: is not a known field"),
    "key that is a list": (YAML + b"? [a, b]\n: c\n", "world.yaml:3: a key must be a word"),
    "gravity too high": (YAML + b"mechanics:\n  gravity: 5\n", "mechanics.gravity: must be at most 3, not 5"),
    "negative jump": (YAML + b"mechanics: {jump: -1}\n", "mechanics.jump: must be at least 0, not -1"),
    "quoted number": (YAML + b"mechanics: {jump: '1'}\n", "mechanics.jump: must be a number, not '1'"),
    "infinite speed": (YAML + b"mechanics: {speed: .inf}\n", "mechanics.speed: must be a number"),
    "huge speed": (YAML + b"mechanics: {speed: 1e999}\n", "mechanics.speed: must be a finite number"),
    "thousand digits": (YAML + b"seed: " + b"9" * 1000, "seed: must be a whole number"),
    "true as speed": (YAML + b"mechanics: {speed: true}\n", "mechanics.speed: must be a number, not true"),
    "unknown view": (
        YAML + b"mechanics: {view: front}\n",
        "mechanics.view: must be 'side' or 'top', not 'front'",
    ),
    "unknown enemies": (
        YAML + b"mechanics: {enemies: bats}\n",
        "mechanics.enemies: must be 'none', 'walkers'",
    ),
    "mechanics as list": (YAML + b"mechanics: [1]\n", "mechanics: must be a group of fields, not a list"),
    "style left empty": (YAML + b"style:\n", "style: must be a group of fields, not nothing"),
    "fractional seed": (YAML + b"seed: 1.5\n", "seed: must be a whole number, not 1.5"),
    "negative seed": (YAML + b"seed: -1\n", "seed: must be at least 0, not -1"),
    "seed too large": (YAML + b"seed: 2147483648\n", "seed: must be at most"),
    "remix of a path": (YAML + b"remix_of: ../other\n", "remix_of: must be small letters and digits"),
    "objects as group": (YAML + b"objects: {kind: door}\n", "objects: must be a list, not a group of fields"),
    "object without kind": (YAML + b"objects:\n- {text: a}\n", "world.yaml:4: objects[0]: needs a kind"),
    "unknown kind": (YAML + b"objects:\n- {kind: tree}\n", "objects[0]: needs a kind that is one of sign,"),
    "object as word": (YAML + b"objects: [door]\n", "objects[0]: must be a group of fields with a kind"),
    "empty sign": (YAML + b"objects:\n- {kind: sign}\n", "objects[0]: must have either text or image"),
    "sign with both": (
        YAML + b"objects:\n- {kind: sign, text: a, image: b.png}\n",
        "objects[0]: must have either text or image",
    ),
    "long sign": (YAML + b"objects:\n- {kind: sign, text: " + b"a" * 61 + b"}\n", "at most 60 characters"),
    "silent character": (YAML + b"objects:\n- {kind: character}\n", "objects[0].says: is missing"),
    "unknown effect": (YAML + b"objects:\n- {kind: lever, effect: fire}\n", "objects[0].effect: must be"),
    "unknown depth": (
        YAML + b"objects:\n- kind: door\n  where: {depth: deep}\n",
        "world.yaml:5: objects[0].where.depth: must be 'near', 'mid' or 'far', not 'deep'",
    ),
    "where as word": (YAML + b"objects:\n- {kind: door, where: far}\n", "objects[0].where: must be {depth:"),
    "two places": (
        YAML + b"objects:\n- {kind: door, where: {depth: far, near: spawn}}\n",
        "objects[0].where.near: is not a known field",
    ),
    "nine doors": (YAML + b"objects:\n" + b"- {kind: door}\n" * 9, "must hold at most 8 of kind door, not 9"),
    "65 objects": (YAML + b"objects:\n" + b"- {kind: sign, text: a}\n" * 65, "must hold at most 64 entries"),
    "python tag": (
        b"title: !!python/object/apply:os.system ['true']\nprompt: a\n",
        "world.yaml:1: the tag tag:yaml.org,2002:python/object/apply:os.system is not allowed",
    ),
    "own tag": (b"title: !thing a\nprompt: a\n", "the tag !thing is not allowed"),
    "declared tag": (b"%TAG ! tag:x,1:\n---\ntitle: !a b\n", "the tag tag:x,1:a is not allowed"),
    "unknown alias": (b"title: *a\nprompt: a\n", "is not valid YAML: found undefined alias"),
    "alias to itself": (b"title: &a [*a]\nprompt: a\n", "its aliases expand to too much"),
    "billion laughs": (
        b"a0: &a0 [x, x]\n"
        + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 30)),
        "its aliases expand to too much",
    ),
    "deep list": (b"[" * 2_000, "is nested deeper than 16 levels"),
    "deep block": (b"- " * 2_000, "is nested deeper than 16 levels"),
    "many values": (YAML + b"x: [" + b"1," * 6_000 + b"]\n", "holds more than 5,000 values"),
    "large document": (YAML + b"#" * 70_000, "at most 65,536 are allowed"),
    "newer YAML": (b"%YAML 9.9\n---\ntitle: a\n", "is not valid YAML"),
    "media above the package": (sign("../a.png"), "objects[0].image: must name a file of the package"),
    "media by absolute path": (sign("/etc/passwd"), "objects[0].image: must name a file of the package"),
    "media by address": (speaker("'http://example.org/a.wav'"), "objects[0].says: must name a file"),
    "missing picture": (sign("a.png"), "world.yaml:4: objects[0].image: a.png is not in the package"),
    "missing effect": (YAML + b"effects: {key: a.ogg}\n", "effects.key: a.ogg is not in the package"),
    "missing sprite": (
        YAML + b"style: {sprites: {player: a.png}}\n",
        "style.sprites.player: a.png is not in the package",
    ),
    "unknown event": (YAML + b"effects: {jump: a.ogg}\n", "effects.jump: is not a known field"),
    "unknown figure": (YAML + b"style: {sprites: {boss: a.png}}\n", "style.sprites.boss: is not a known"),
    "missing music": (YAML + b"music: a.ogg\n", "world.yaml:3: music: a.ogg is not in the package"),
}


@pytest.mark.parametrize(("yaml", "expected"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_wrong_document_is_refused(tmp_path: Path, yaml: bytes, expected: str) -> None:
    assert expected in refusal(folder(tmp_path / "pack", {"world.yaml": yaml}))


def test_all_problems_are_told_at_once_with_their_lines() -> None:
    yaml = YAML + b"mechanics:\n  gravity: 5\n  view: q\nseed: x\nseed: 2\nobjects:\n- {kind: tree}\n"

    with pytest.raises(PackageError) as caught:
        make_package({"world.yaml": yaml})

    assert [(problem.line, problem.field) for problem in caught.value.problems] == [
        (4, "mechanics.gravity"),
        (5, "mechanics.view"),
        (6, "seed"),
        (7, "seed"),
        (9, "objects[0]"),
    ]


def test_every_broken_medium_is_told_at_once() -> None:
    yaml = YAML + b"music: c.wav\nobjects:\n- {kind: sign, image: a.png}\n- {kind: sign, image: b.png}\n"

    with pytest.raises(PackageError) as caught:
        make_package({"world.yaml": yaml, "a.png": b"x", "b.png": picture()[:60], "d.png": b""})

    assert {problem.file for problem in caught.value.problems} == {"world.yaml", "a.png", "b.png", "d.png"}


# Media


def png_header(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG that claims a size, with this much (or little) data."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(data)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def flat_picture(width: int, height: int) -> bytes:
    file = BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


def animation(form: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), shade) for shade in ("red", "blue")]
    file = BytesIO()
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    return file.getvalue()


def wav_header(rate: int, channels: int, data: bytes = b"\0\0" * 999) -> bytes:
    block = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + block + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def long_last_picture() -> bytes:
    """A video whose only picture is to be shown for hours."""
    data = video("mp4", 1)
    at = data.rfind(b"stts") + 16  # after version, entry count and sample count: the duration
    return data[:at] + b"\x7f\0\0\0" + data[at + 4 :]


def flipped(data: bytes, at: float) -> bytes:
    place = int(len(data) * at)
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


MEDIA = {
    "empty picture": (sign("m.png"), b"", "m.png: objects[0].image: is empty"),
    "text as picture": (sign("m.png"), b"hello", "is of an unknown format"),
    "GIF": (sign("m.png"), b"GIF89a" + b"\0" * 99, "is a GIF"),
    "SVG": (sign("m.svg"), b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing"),
    "TIFF": (sign("m.png"), b"II*\0" + b"\0" * 99, "is a TIFF picture"),
    "program": (sign("m.png"), b"\x7fELF" + b"\0" * 99, "is a program"),
    "zip as picture": (sign("m.png"), zipped([("a", b"b")]), "is a zip file"),
    "MP3": (speaker("m.wav"), b"ID3\x03" + b"\0" * 99, "is an MP3 sound"),
    "playlist as video": (film("m.mp4"), b"#EXTM3U\nfile:///etc/passwd\n", "is a playlist"),
    "concat list as sound": (speaker("m.wav"), b"ffconcat version 1.0\nfile /etc/passwd\n", "is a playlist"),
    "playlist in a sound's clothes": (
        speaker("m.wav"),
        b"RIFF\x40\0\0\0WAVE" + b"#EXTM3U\nfile:///etc/passwd\n".ljust(64),
        "WAV",
    ),
    "MOV": (film("m.mp4"), b"\0\0\0\x14ftypqt  " + b"\0" * 99, "is of an unknown format"),
    "AVIF": (sign("m.webp"), b"\0\0\0\x1cftypavif" + b"\0" * 99, "is of an unknown format"),
    "Matroska": (
        film("m.webm"),
        video("webm").replace(b"\x84webm", b"\x84mkv ", 1),
        "is of an unknown format",
    ),
    "sound as picture": (sign("m.png"), sound("wav"), "is a sound (WAV); a picture is needed here"),
    "picture as sound": (speaker("m.wav"), picture(), "is a picture (PNG); a sound is needed here"),
    "video as picture": (sign("m.png"), video("mp4"), "is a video (MP4); a picture is needed here"),
    "picture as video": (film("m.mp4"), picture("JPEG"), "is a picture (JPEG); a video is needed here"),
    "sound as video": (film("m.mp4"), sound("ogg"), "is a sound (OGG); a video is needed here"),
    "picture as effect": (
        YAML + b"effects: {key: m.wav}\n",
        picture(),
        "effects.key: is a picture (PNG); a sound is needed here",
    ),
    "sound as backdrop": (YAML + b"style: {backdrop: m.png}\n", sound("wav"), "style.backdrop: is a sound"),
    "animated sprite": (
        YAML + b"style: {sprites: {player: m.png}}\n",
        animation("PNG"),
        "style.sprites.player: is animated",
    ),
    "wide backdrop": (
        YAML + b"style: {backdrop: m.png}\n",
        flat_picture(4097, 4),
        "at most 4096 on a side are allowed",
    ),
    "long effect": (
        YAML + b"effects: {key: m.wav}\n",
        sound("wav", 61.0, 8000),
        "is longer than 60 seconds (cut it)",
    ),
    "image bomb": (sign("m.png"), png_header(60_000, 60_000, b"\0" * 9_999), "m.png: objects[0].image:"),
    "image bomb that Pillow accepts": (
        sign("m.png"),
        png_header(12_000, 12_000),
        "has 12000 x 12000 pixels; at most 4096 on a side are allowed",
    ),
    "wide picture": (sign("m.png"), flat_picture(4097, 4), "at most 4096 on a side are allowed"),
    "too many pixels": (sign("m.png"), flat_picture(3000, 3000), "at most 8,000,000 in all are allowed"),
    "picture of no size": (sign("m.png"), png_header(0, 0), "cannot be decoded as PNG"),
    "picture without data": (sign("m.png"), png_header(9, 9), "cannot be decoded as PNG"),
    "PNG checksum": (sign("m.png"), flipped(picture(), 0.6), "cannot be decoded as PNG"),
    "PNG without end": (sign("m.png"), picture()[:-12], "is a truncated PNG picture"),
    "only a PNG signature": (sign("m.png"), b"\x89PNG\r\n\x1a\n", "is a truncated PNG picture"),
    "half a JPEG": (sign("m.jpg"), picture("JPEG", 300, 200)[:2000], "is a truncated JPEG picture"),
    "JPEG without end": (sign("m.jpg"), picture("JPEG")[:-2], "is a truncated JPEG picture"),
    "half a WebP": (sign("m.webp"), picture("WEBP")[:-30], "is a truncated WebP picture"),
    "WebP of noise": (sign("m.webp"), b"RIFF\x20\0\0\0WEBPVP8 " + b"\x99" * 99, "cannot be decoded as WebP"),
    "animated PNG": (sign("m.png"), animation("PNG"), "is animated"),
    "animated WebP": (sign("m.webp"), animation("WEBP"), "is animated"),
    "half a WAV": (speaker("m.wav"), sound("wav")[:5000], "is a truncated WAV sound: 5,000 of"),
    "WAV without sound": (speaker("m.wav"), b"RIFF\x04\0\0\0WAVE", "is a WAV file without sound"),
    "WAV with nothing in it": (speaker("m.wav"), wav_header(8000, 1, b""), "m.wav: objects[0].says:"),
    "odd rate": (speaker("m.wav"), wav_header(100, 1), "has 1 channels at 100 Hz"),
    "high rate": (speaker("m.wav"), wav_header(400_000, 1), "has 1 channels at 400,000 Hz"),
    "many channels": (speaker("m.wav"), wav_header(8000, 9, b"\0" * 1800), "has 9 channels"),
    "forbidden codec": (speaker("m.wav"), sound("wav").replace(b"\x01\0\x01\0", b"\x55\0\x01\0", 1), "WAV"),
    "half an OGG": (speaker("m.ogg"), sound("ogg")[:-200], "is a truncated OGG sound"),
    "OGG without last page": (
        speaker("m.ogg"),
        sound("ogg", 3.0)[: sound("ogg", 3.0).rfind(b"OggS")],
        "is a truncated OGG sound",
    ),
    "half a FLAC": (speaker("m.flac"), sound("flac")[:-200], "FLAC"),
    "only a FLAC signature": (speaker("m.flac"), b"fLaC", "is a truncated FLAC sound"),
    "long sound": (speaker("m.wav"), sound("wav", 61.0, 8000), "is longer than 60 seconds (cut it)"),
    "long FLAC": (speaker("m.flac"), sound("flac", 61.0, 8000), "is longer than 60 seconds (cut it)"),
    "half an MP4": (film("m.mp4"), video("mp4")[:-300], "is a truncated or damaged MP4 video"),
    "MP4 without a picture": (film("m.mp4"), video("mp4")[:40], "MP4"),
    "MP4 of boxes": (
        film("m.mp4"),
        b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08mdat\0\0\0\x08moov",
        "is MP4 without a picture",
    ),
    "half a WebM": (film("m.webm"), video("webm")[:-100], "is a truncated or damaged WebM video"),
    "WebM of noise": (film("m.webm"), video("webm")[:60] + b"\x99" * 99, "WebM"),
    "long video": (film("m.mp4"), video("mp4", 40, rate=2), "is longer than 15 seconds (cut it)"),
    "a picture for hours": (film("m.mp4"), long_last_picture(), "is longer than 15 seconds (cut it)"),
    "fast video": (
        film("m.mp4"),
        video("mp4", 1810, 16, 16, rate=240),
        "has more than 120 pictures a second",
    ),
    "large video": (film("m.mp4"), video("mp4", 1, 1920, 1080), "has 1920 x 1080 pixels"),
}


@pytest.mark.parametrize(("yaml", "data", "expected"), MEDIA.values(), ids=MEDIA)
def test_a_wrong_medium_is_refused(tmp_path: Path, yaml: bytes, data: bytes, expected: str) -> None:
    name = yaml.rpartition(b": ")[2].strip(b"}\n").decode()

    said = refusal(folder(tmp_path / "pack", {"world.yaml": yaml, name: data}))
    assert expected in said
    assert f"{name}: " in said


def test_pictures_are_limited_together(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(5)]
    yaml = YAML + b"objects:\n" + b"".join(f"- {{kind: sign, image: {name}}}\n".encode() for name in names)
    files = {name: flat_picture(2600, 2600) for name in names}

    said = refusal(folder(tmp_path / "pack", {"world.yaml": yaml, **files}))
    assert "4.png: objects[4].image: makes the pictures together larger than 32,000,000 pixels" in said


def test_media_are_limited_once_more_when_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACKAGE_BYTES", 100)

    (problem,) = problems_of(lambda: make_package({"world.yaml": sign("a.jpg"), "a.jpg": picture("JPEG")}))
    assert (problem.file, problem.field) == ("a.jpg", "objects[0].image")
    assert "once it is stored without loss" in problem.message


def test_a_restless_video_is_given_up_before_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACKAGE_BYTES", 100_000)
    noise = np.random.default_rng(0).integers(0, 256, (200, 64, 64, 3)).astype(np.uint8)

    with pytest.raises(MediaError, match="is too large once it is stored without loss"):
        media.encode_video(noise)


def test_a_file_used_as_two_kinds_is_refused(tmp_path: Path) -> None:
    yaml = YAML + b"music: a\nstyle: {reference: a}\n"

    said = refusal(folder(tmp_path / "pack", {"world.yaml": yaml, "a": sound()}))
    assert "world.yaml:3: music: a is used as a picture and as a sound" in said


# Folders and zips

GOOD = {"world.yaml": sign("a.png"), "a.png": picture()}


def _folder_with(change: Callable[[Path], object]) -> Make:
    def make(root: Path) -> Path:
        pack = folder(root / "pack", GOOD)
        change(pack)
        return pack

    return make


def _zip_with(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> Make:
    return _bytes("pack.zip", zipped([*GOOD.items(), *entries]))


def _bytes(name: str, data: bytes) -> Make:
    def make(root: Path) -> Path:
        path = root / name
        path.write_bytes(data)
        return path

    return make


def _bind(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def with_flags(data: bytes, flags: int, method: int | None = None) -> bytes:
    """The zip with other flag bits or method in every header, both places."""
    patched = bytearray(data)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(signature)
        while place >= 0:
            struct.pack_into("<H", patched, place + at, flags)
            if method is not None:
                struct.pack_into("<H", patched, place + at + 2, method)
            place = data.find(signature, place + 4)
    return bytes(patched)


def lying_zip(content: bytes, claimed: int) -> bytes:
    """A zip whose entries claim this many bytes when unpacked, whatever they hold."""
    data = bytearray(zipped([("world.yaml", YAML), ("big.png", content)]))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = bytes(data).rfind(signature)
        struct.pack_into("<I", data, place + at, claimed)
    return bytes(data)


ZIP = zipped(GOOD.items())
ARCHIVES: dict[str, tuple[Make, str]] = {
    "not there": (lambda root: root / "missing", "cannot be read: No such file or directory"),
    "empty folder": (
        lambda root: folder(root / "pack", {"README.md": b""}),
        "world.yaml: is missing (add it",
    ),
    "world.yml": (lambda root: folder(root / "pack", {"world.yml": YAML}), "is missing (rename world.yml)"),
    "device": (lambda root: Path("/dev/null"), "is neither a folder nor a zip file"),
    "only world.yaml": (_bytes("world.yaml", YAML), "is not a package by itself (give the folder"),
    "picture as package": (_bytes("pack.zip", picture()), "is neither a folder nor a zip file"),
    "empty file": (_bytes("pack.zip", b""), "is neither a folder nor a zip file"),
    "file not used": (
        _folder_with(lambda pack: (pack / "x.png").write_bytes(picture())),
        "x.png: is not used",
    ),
    "misspelt medium": (
        lambda root: folder(root / "pack", {"world.yaml": sign("poster.png"), "poster.pgn": picture()}),
        "poster.png is not in the package (did you mean poster.pgn?)",
    ),
    "hidden file": (_folder_with(lambda pack: (pack / ".secret").write_bytes(b"x")), ".secret: is not used"),
    "link to a file": (
        _folder_with(lambda pack: (pack / "b.png").symlink_to("/etc/passwd")),
        "b.png: is a symbolic link (put the file itself there)",
    ),
    "link to a folder": (_folder_with(lambda pack: (pack / "b").symlink_to("/etc")), "b: is a symbolic link"),
    "link to nothing": (
        _folder_with(lambda pack: (pack / "b").symlink_to("nowhere")),
        "b: is a symbolic link",
    ),
    "pipe": (_folder_with(lambda pack: os.mkfifo(pack / "b.wav")), "b.wav: is a device, pipe or socket"),
    "socket": (_folder_with(lambda pack: _bind(pack / "b")), "b: is a device, pipe or socket"),
    "names that differ in case": (
        _folder_with(lambda pack: (pack / "A.PNG").write_bytes(b"x")),
        "is there twice",
    ),
    "bytes as a name": (
        _folder_with(lambda pack: Path(os.fsdecode(bytes(pack) + b"/\xff.png")).write_bytes(b"x")),
        "has a name that is not plain text",
    ),
    "backslash": (_folder_with(lambda pack: (pack / "a\\b.png").write_bytes(b"x")), "foreign path"),
    "many files": (
        _folder_with(lambda pack: [(pack / f"{i}.png").write_bytes(b"x") for i in range(130)]),
        "holds more than 128 files and folders",
    ),
    "many folders": (
        _folder_with(lambda pack: (pack / "/".join("d" * 200)).mkdir(parents=True)),
        "holds more than 128 files and folders",
    ),
    "large file": (
        _folder_with(lambda pack: os.truncate(pack / "a.png", limits.PACKAGE_BYTES + 1)),
        "a.png: makes the package larger than 32 MB",
    ),
    "climbing zip": (
        _zip_with(("../evil.png", b"x")),
        "../evil.png: has a path that leads out of the package",
    ),
    "climbing in the middle": (_zip_with(("a/../../b.png", b"x")), "leads out of the package"),
    "absolute zip": (_zip_with(("/etc/cron.d/x", b"x")), "/etc/cron.d/x: has an absolute or foreign path"),
    "Windows path": (_zip_with(("C:\\x.png", b"x")), "has an absolute or foreign path"),
    "empty part": (_zip_with(("a//b.png", b"x")), "has a path with empty parts"),
    "zero byte in a name": (
        _bytes(
            "pack.zip", zipped([*GOOD.items(), ("b.pngXevil", b"x")]).replace(b"b.pngXevil", b"b.png\0evil")
        ),
        "has a name that is not plain text",
    ),
    "escape in a name": (
        _zip_with(("\x1b[2J.png", b"x")),
        "\\x1b[2J.png: has a name that is not plain text",
    ),
    "long name": (_zip_with(("a" * 300, b"x")), "has a name longer than 200 characters"),
    "zip with a link": (
        _zip_with((zip_entry("b.png", stat.S_IFLNK | 0o777), b"/etc/passwd")),
        "b.png: is a symbolic link",
    ),
    "zip with a linked folder": (
        _zip_with((zip_entry("b/", stat.S_IFLNK | 0o777), b"/etc")),
        "b: is a symbolic link",
    ),
    "zip with a device": (_zip_with((zip_entry("b", stat.S_IFCHR | 0o666), b"")), "b: is a device, pipe"),
    "zip with a pipe": (_zip_with((zip_entry("b", stat.S_IFIFO | 0o666), b"")), "b: is a device, pipe"),
    "duplicate entry": (_zip_with((zip_entry("a.png"), picture("PNG", 9))), "a.png: is there twice"),
    "encrypted zip": (
        _bytes("pack.zip", with_flags(ZIP, 1)),
        "is encrypted (make the zip without a password)",
    ),
    "zip with LZMA": (_bytes("pack.zip", with_flags(ZIP, 0, 14)), "is compressed in an unusual way"),
    "zip with unknown method": (
        _bytes("pack.zip", with_flags(ZIP, 0, 99)),
        "is compressed in an unusual way",
    ),
    "half a zip": (_bytes("pack.zip", ZIP[: len(ZIP) // 2]), "pack.zip: is a truncated zip file"),
    "zip without its end": (_bytes("pack.zip", ZIP[:-1]), "pack.zip: is a truncated zip file"),
    "zip without its start": (_bytes("pack.zip", b"PK" + ZIP[200:]), "cannot be read: it is damaged"),
    "corrupt entry": (
        _bytes("pack.zip", ZIP.replace(ZIP[80:90], b"0123456789", 1)),
        "world.yaml: cannot be read",
    ),
    "zip bomb": (
        _zip_with(("b.png", b"\0" * (limits.PACKAGE_BYTES + 1))),
        "b.png: makes the package larger than 32 MB",
    ),
    "zip bomb that lies": (
        _bytes("pack.zip", lying_zip(b"\0" * (limits.PACKAGE_BYTES + 1), 10)),
        "big.png: cannot be read",
    ),
    "zip that claims much": (_bytes("pack.zip", lying_zip(b"abc", 2**31)), "big.png: is not used by"),
    "zip of many entries": (
        _zip_with(*((f"{i}.png", b"") for i in range(130))),
        "holds more than 128 files and folders",
    ),
    "zip in a zip": (_bytes("pack.zip", zipped([("pack.zip", ZIP)])), "world.yaml: is missing"),
    "zip of nothing": (_bytes("pack.zip", zipped([])), "world.yaml: is missing"),
    "zip of two folders": (
        _bytes("pack.zip", zipped([("a/world.yaml", YAML), ("b/world.yaml", YAML)])),
        "world.yaml: is missing",
    ),
}


@pytest.mark.parametrize(("make", "expected"), ARCHIVES.values(), ids=ARCHIVES)
def test_a_wrong_archive_is_refused(tmp_path: Path, make: Make, expected: str) -> None:
    path = make(tmp_path)

    if str(path).startswith("/dev"):
        result = CliRunner().invoke(APP, ["world", "check", str(path)])
        assert (result.exit_code, expected in result.output) == (2, True)
    else:
        assert expected in refusal(path)


def test_a_large_zip_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "pack.zip"
    path.write_bytes(b"PK\x03\x04")
    os.truncate(path, limits.PACKAGE_BYTES + 1)

    assert "pack.zip: is larger than 32 MB" in refusal(path)


def test_problems_are_json_for_machines(tmp_path: Path) -> None:
    pack = folder(tmp_path / "pack", {"world.yaml": sign("a.png") + b"seed: x\n"})
    result = CliRunner().invoke(APP, ["world", "check", str(pack), "--json"])

    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["ok"], answer["path"]) == (2, False, str(pack))
    assert answer["problems"] == [
        {
            "file": "world.yaml",
            "line": 5,
            "field": "seed",
            "message": "must be a whole number, not 'x'",
            "remedy": None,
            "text": "world.yaml:5: seed: must be a whole number, not 'x'",
        }
    ]


def test_a_world_whose_objects_find_no_place_is_refused_by_name(tmp_path: Path) -> None:
    crowd = b"objects:\n" + b"- {kind: sign, text: a, where: {near: spawn}}\n" * 16

    told = refusal(folder(tmp_path / "pack", {"world.yaml": YAML + crowd}))

    assert "1 problem" in told
    assert re.search(r"world\.yaml: objects\[\d+\]: .*finds no free", told)


def test_one_wrong_package_among_right_ones_decides_the_exit_code(tmp_path: Path) -> None:
    good, bad = folder(tmp_path / "good", GOOD), folder(tmp_path / "bad", {"world.yaml": b""})
    result = CliRunner().invoke(APP, ["world", "check", str(good), str(bad)])

    assert result.exit_code == 2
    assert f"{good}: valid - Small" in result.output
    assert f"{bad}: 1 problem" in result.output


# Generated


def problems_of(load: Callable[[], WorldPackage]) -> tuple[Problem, ...]:
    """What a package is refused for, nothing where it is not. Any other error is a failure."""
    try:
        load()
    except PackageError as error:
        assert error.problems  # noqa: PT017 - that it need not be refused is the point
        return error.problems
    return ()


DECODERS = {
    "PNG": (media.decode_picture, picture("PNG")),
    "JPEG": (media.decode_picture, picture("JPEG")),
    "WebP": (media.decode_picture, picture("WEBP")),
    "WAV": (media.decode_sound, sound("wav", 0.05)),
    "OGG": (media.decode_sound, sound("ogg", 0.2)),
    "FLAC": (media.decode_sound, sound("flac", 0.05)),
    "MP4": (media.decode_video, video("mp4", 3)),
    "WebM": (media.decode_video, video("webm", 3)),
}


@pytest.mark.parametrize("name", DECODERS)
def test_every_truncated_medium_is_refused(name: str) -> None:
    decode, data = DECODERS[name]
    cuts = {*range(0, len(data), max(1, len(data) // 60)), *range(max(0, len(data) - 40), len(data))}

    for cut in sorted(cuts):
        with pytest.raises(MediaError):
            decode(data[:cut])


@pytest.mark.parametrize("name", DECODERS)
@given(
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)
)
@settings(max_examples=25)
def test_a_damaged_medium_is_decoded_or_refused(name: str, places: list[tuple[float, int]]) -> None:
    decode, data = DECODERS[name]
    damaged = bytearray(data)
    for place, value in places:
        damaged[int(place * len(data))] = value

    try:
        outcome = decode(bytes(damaged)).ndim
    except MediaError as error:
        outcome = error.message
    assert outcome


@given(cut=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60)
def test_every_truncated_zip_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: float) -> None:
    path = tmp_path_factory.mktemp("zip") / "pack.zip"
    path.write_bytes(ZIP[: int(cut * len(ZIP))])

    with pytest.raises(PackageError, match=r"pack\.zip"):
        load_package(path)


@given(
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)
)
@settings(max_examples=100)
def test_a_damaged_zip_is_loaded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[float, int]]
) -> None:
    root = tmp_path_factory.mktemp("zip")
    damaged = bytearray(ZIP)
    for place, value in places:
        damaged[int(place * len(ZIP))] = value
    (root / "pack.zip").write_bytes(damaged)

    assert all(problem.message for problem in problems_of(lambda: load_package(root / "pack.zip")))
    assert tree(root) == [str(root / "pack.zip")]


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=150)
def test_any_bytes_as_world_yaml_are_read_or_refused(data: bytes) -> None:
    problems = problems_of(lambda: make_package({"world.yaml": data}))

    assert all(problem.file == "world.yaml" and problem.message for problem in problems)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "where", "x"]), inner)
    ),
    max_leaves=6,
)
FIELDS = st.sampled_from(["title", "prompt", "mechanics", "style", "objects", "music", "seed", "remix_of"])


@given(st.dictionaries(FIELDS, VALUES))
@settings(max_examples=150)
def test_any_values_are_read_or_refused_with_a_line(document: dict[str, object]) -> None:
    problems = problems_of(lambda: make_package({"world.yaml": json.dumps(document).encode()}))

    assert all(problem.line == 1 and problem.message for problem in problems)


def test_the_telling_picture_is_fine_as_it_is() -> None:
    assert make_package({"world.yaml": sign("a"), "a": telling_picture("JPEG")}).images["a"].shape == (
        16,
        24,
        4,
    )
