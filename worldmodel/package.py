"""A world package: a spec and its media, read, checked and cleaned.

:func:`load_package` reads a folder or a zip into memory, refuses whatever is not a whole, allowed package,
and keeps pixels and samples only. :func:`save_package` writes that clean form.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel import limits, media
from worldmodel.archive import DOCUMENT, read_files
from worldmodel.document import Document, dotted, read_spec
from worldmodel.formats import MediaError
from worldmodel.problems import PackageError, Problem
from worldmodel.spec import MediaKind, MediaUse, WorldSpec

__all__ = ["PackageError", "Problem", "WorldPackage", "load_package", "make_package", "save_package"]

CLEAN_SUFFIX: Mapping[MediaKind, str] = {"picture": ".png", "sound": ".flac", "video": ".webm"}


@dataclass(frozen=True)
class WorldPackage:
    """Immutable content of a world version. Media are keyed by the names that the spec uses."""

    spec: WorldSpec
    images: dict[str, NDArray[np.uint8]]
    """(H, W, 4) RGBA."""
    sounds: dict[str, NDArray[np.float32]]
    """(N,) mono at SAMPLE_RATE, -1..1."""
    videos: dict[str, NDArray[np.uint8]]
    """(T, H, W, 3) RGB at FPS."""
    sha256: str
    """Over the canonical spec and the decoded media; file names and encodings do not count."""
    raw: dict[str, bytes]
    """The cleaned media as files: PNG, FLAC, WebM (lossless VP9)."""


def load_package(path: Path) -> WorldPackage:
    """The package at ``path``, a folder or a zip (whose files may be in one top folder).

    Raises PackageError with everything that is wrong with it. Writes nothing anywhere.
    """
    path = Path(path)
    files = read_files(path)
    if files.problems:
        raise PackageError(str(path), files.problems)
    if DOCUMENT not in files.contents:
        raise PackageError(str(path), [_no_document(files.contents)])
    try:
        return make_package(files.contents)
    except PackageError as error:
        raise PackageError(str(path), error.problems) from error


def make_package(contents: Mapping[str, bytes]) -> WorldPackage:
    """The package made of these files: ``world.yaml`` and its media. Raises PackageError."""
    spec, document = read_spec(contents[DOCUMENT], DOCUMENT)
    problems = [*_reference_problems(spec, document, contents)]
    cleaned = _Cleaned()
    for use in _first_uses(spec):
        if use.name in contents:
            problems += cleaned.add(use, contents[use.name])
    if problems:
        raise PackageError(DOCUMENT, problems)
    digest = _digest(spec, cleaned)
    return WorldPackage(spec, cleaned.images, cleaned.sounds, cleaned.videos, digest, cleaned.raw)


def _no_document(contents: Mapping[str, bytes]) -> Problem:
    others = [name for name in contents if PurePosixPath(name).suffix.lower() in {".yaml", ".yml", ".json"}]
    remedy = f"rename {others[0]}" if others else "add it at the top of the package"
    return Problem(DOCUMENT, "is missing", remedy=remedy)


def _first_uses(spec: WorldSpec) -> list[MediaUse]:
    """One use per file. A file that is used as two kinds is reported by :func:`_reference_problems`."""
    return list({use.name: use for use in reversed(spec.media)}.values())[::-1]


def _reference_problems(
    spec: WorldSpec, document: Document, contents: Mapping[str, bytes]
) -> Iterator[Problem]:
    kinds: dict[str, MediaKind] = {}
    for use in spec.media:
        if use.name not in contents:
            yield document.problem(use.field, f"{use.name} is not in the package", _near(use.name, contents))
        elif kinds.setdefault(use.name, use.kind) != use.kind:
            yield document.problem(
                use.field, f"{use.name} is used as a {kinds[use.name]} and as a {use.kind}"
            )
    for name in sorted(contents.keys() - kinds.keys() - {DOCUMENT}):
        yield Problem(name, f"is not used by {DOCUMENT}", remedy="remove it, or name it where it belongs")


def _near(name: str, contents: Mapping[str, bytes]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, contents.keys() - {DOCUMENT}, n=1)
    return f"did you mean {near[0]}?" if near else "add it, or correct the name"


class _Cleaned:
    """Media decoded and encoded again, within the limits of a whole package."""

    def __init__(self) -> None:
        self.images: dict[str, NDArray[np.uint8]] = {}
        self.sounds: dict[str, NDArray[np.float32]] = {}
        self.videos: dict[str, NDArray[np.uint8]] = {}
        self.raw: dict[str, bytes] = {}

    def add(self, use: MediaUse, data: bytes) -> list[Problem]:
        try:
            self.raw[use.name] = self._clean(use, data)
        except MediaError as error:
            return [Problem(use.name, error.message, None, dotted(use.field), error.remedy)]
        if sum(map(len, self.raw.values())) > limits.PACKAGE_BYTES:
            size = f"{limits.PACKAGE_BYTES // limits.MEBIBYTE} MB"
            message = f"makes the package larger than {size} once it is stored without loss"
            return [Problem(use.name, message, None, dotted(use.field), "use smaller or fewer media")]
        return []

    def _clean(self, use: MediaUse, data: bytes) -> bytes:
        if use.kind == "picture":
            self.images[use.name] = media.decode_picture(data)
            pixels = sum(image.shape[0] * image.shape[1] for image in self.images.values())
            if pixels > limits.PACKAGE_PIXELS:
                most = f"{limits.PACKAGE_PIXELS:,}"
                raise MediaError(f"makes the pictures together larger than {most} pixels", "scale them down")
            return media.encode_picture(self.images[use.name])
        if use.kind == "sound":
            self.sounds[use.name] = media.decode_sound(data)
            return media.encode_sound(self.sounds[use.name])
        self.videos[use.name] = media.decode_video(data)
        return media.encode_video(self.videos[use.name])


def _digest(spec: WorldSpec, cleaned: _Cleaned) -> str:
    arrays: dict[str, NDArray[Any]] = {**cleaned.images, **cleaned.sounds, **cleaned.videos}
    content = {name: _array_digest(array) for name, array in arrays.items()}
    text = json.dumps(_renamed(spec, content), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _array_digest(array: NDArray[Any]) -> str:
    little_endian = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    head = f"{array.dtype.name}{list(array.shape)}:".encode()
    return hashlib.sha256(head + little_endian.tobytes()).hexdigest()


def _renamed(spec: WorldSpec, names: Mapping[str, str]) -> dict[str, Any]:
    """The spec's canonical form with other names for its media."""
    document = spec.canonical()
    for use in spec.media:
        holder: Any = document
        for step in use.field[:-1]:
            holder = holder[step]
        holder[use.field[-1]] = names[use.name]
    return document


# Writing


def save_package(package: WorldPackage, path: Path) -> None:
    """Write the clean form, a zip where ``path`` ends in ``.zip``, else a folder that must not exist yet.

    Loading it gives the same ``sha256``. The same package gives the same bytes. It appears whole or not at
    all. Raises FileExistsError where a folder is there already.
    """
    files = _clean_files(package)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.suffix.lower() == ".zip":
            partial.write_bytes(_zipped(files))
        elif path.exists():
            raise FileExistsError(f"{path} is there already: give the name of a new folder")
        else:
            _write_folder(partial, files)
        partial.replace(path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _clean_files(package: WorldPackage) -> dict[str, bytes]:
    names = _clean_names(package.spec)
    document = _renamed(package.spec, names)
    return {DOCUMENT: _yaml(document), **{names[name]: data for name, data in package.raw.items()}}


def _clean_names(spec: WorldSpec) -> dict[str, str]:
    """Names whose suffix says what the clean file is; a number keeps two apart."""
    names: dict[str, str] = {}
    for use in _first_uses(spec):
        stem = PurePosixPath(use.name).with_suffix("").as_posix()
        wanted, number = stem + CLEAN_SUFFIX[use.kind], 2
        while wanted.casefold() in {name.casefold() for name in names.values()}:
            wanted, number = f"{stem}-{number}{CLEAN_SUFFIX[use.kind]}", number + 1
        names[use.name] = wanted
    return names


def _yaml(document: dict[str, Any]) -> bytes:
    from ruamel.yaml import YAML

    file = BytesIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # keep the schema's order
    writer.allow_unicode = True
    writer.dump(document, file)
    return file.getvalue()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted(files):
            # A fixed time, and media stored as they are: the same package gives the same bytes.
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o100644 << 16
            archive.writestr(info, files[name])
    return file.getvalue()
