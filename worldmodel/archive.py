"""The files of a package, read into memory from a folder or a zip. Nothing is ever unpacked to disk.

What a zip's directory claims is not believed: names are checked one by one and unpacked bytes are counted
while they are unpacked.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath

from worldmodel import limits
from worldmodel.problems import Problem

DOCUMENT = "world.yaml"
NOTES = {"README", "LICENSE", "LICENCE", "COPYING", "CREDITS", "NOTICE"}
"""Top-level files that may be there for people, as they are or as .md, .txt or .rst; they are not read."""
LITTER = {".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX"}
"""What file managers leave behind; not read either."""


@dataclass
class Files:
    """Contents by path, ``/`` between folders, and what was refused."""

    contents: dict[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    left: int = limits.PACKAGE_BYTES
    """Bytes that may still be read."""

    def refuse(self, file: str, message: str, remedy: str | None = None) -> None:
        self.problems.append(Problem(file, message, remedy=remedy))


@dataclass(frozen=True)
class _Entry:
    name: str
    fault: tuple[str, str | None] | None
    """What is wrong with it before it is read, and the remedy."""
    read: Callable[[int], bytes] | None
    """Its content, at most so many bytes of it; None for a folder."""


def read_files(path: Path) -> Files:
    """All files of the package at ``path``. What is wrong with any of them goes into ``Files.problems``."""
    files = Files()
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            _read_entries(files, list(_take(_folder_entries(path))))
        elif stat.S_ISREG(mode):
            _read_zip(files, path)
        else:
            files.refuse(path.name, "is neither a folder nor a zip file")
    except (OSError, ValueError) as error:
        files.refuse(str(path), f"cannot be read: {_reason(error)}")
    return files


def _take(entries: Iterator[_Entry]) -> Iterator[_Entry]:
    # One more than allowed is enough to know that there are too many.
    for _, entry in zip(range(limits.PACKAGE_ENTRIES + 1), entries, strict=False):
        yield entry


def _read_entries(files: Files, entries: list[_Entry]) -> None:
    if len(entries) > limits.PACKAGE_ENTRIES:
        files.refuse("package", f"holds more than {limits.PACKAGE_ENTRIES} files and folders")
        return
    seen: set[str] = set()
    for entry in entries:
        fault = entry.fault or name_fault(entry.name)
        if fault is None and entry.name.casefold() in seen:
            fault = ("is there twice", "keep one; names that differ only in case count as the same")
        seen.add(entry.name.casefold())
        if fault is not None:
            files.refuse(entry.name, *fault)
        elif entry.read is not None and not _is_for_people(entry.name) and files.left >= 0:
            _read_entry(files, entry.name, entry.read)


def _read_entry(files: Files, name: str, read: Callable[[int], bytes]) -> None:
    try:
        content = read(files.left + 1)
    except _BROKEN as error:
        files.refuse(name, f"cannot be read: {_reason(error)}", "make the package again")
        return
    files.left -= len(content)
    if files.left >= 0:
        files.contents[name] = content
    else:
        files.refuse(name, f"makes the package larger than {_MEGABYTES} MB", "use smaller media")


_MEGABYTES = limits.PACKAGE_BYTES // limits.MEBIBYTE


_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error)
"""What a damaged zip raises; ``NotImplementedError`` is a ``RuntimeError``."""


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, zipfile.BadZipFile) else "it is damaged"


def _is_for_people(name: str) -> bool:
    path = PurePosixPath(name)
    note = path.stem.upper() in NOTES and path.suffix.lower() in {"", ".md", ".txt", ".rst"}
    return (note and len(path.parts) == 1) or not LITTER.isdisjoint(path.parts)


def name_fault(name: str) -> tuple[str, str | None] | None:
    """What is wrong with a file's name inside a package, and the remedy."""
    parts = name.split("/")
    if not name.isprintable():
        return "has a name that is not plain text", "rename it"
    if len(name) > limits.PATH_CHARACTERS:
        return f"has a name longer than {limits.PATH_CHARACTERS} characters", "rename it"
    if name.startswith("/") or "\\" in name or ":" in name:
        return "has an absolute or foreign path", "use paths inside the package with '/' between folders"
    if ".." in parts:
        return "has a path that leads out of the package", "use paths inside the package"
    if "" in parts or "." in parts:
        return "has a path with empty parts", "use paths inside the package"
    return None


# Folders


def _folder_entries(root: Path) -> Iterator[_Entry]:
    for folder, folders, names in os.walk(root, followlinks=False, onerror=_raise):
        folders.sort()
        for name in sorted([*names, *folders]):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            read = None if stat.S_ISDIR(mode) else _file_reader(path)
            yield _Entry(path.relative_to(root).as_posix(), _mode_fault(mode), read)


def _raise(error: OSError) -> None:
    raise error


def _file_reader(path: Path) -> Callable[[int], bytes]:
    def read(limit: int) -> bytes:
        # A link or a pipe put there since the look at its mode is neither followed nor waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError("is not a regular file")
            return file.read(limit)

    return read


def _mode_fault(mode: int) -> tuple[str, str | None] | None:
    if stat.S_ISLNK(mode):
        return "is a symbolic link", "put the file itself there"
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is a device, pipe or socket", "remove it"
    return None


# Zips


def _read_zip(files: Files, path: Path) -> None:
    with path.open("rb") as file:
        data = file.read(limits.PACKAGE_BYTES + 1)
    if len(data) > limits.PACKAGE_BYTES:
        files.refuse(path.name, f"is larger than {_MEGABYTES} MB", "use smaller media")
        return
    if path.name == DOCUMENT:
        files.refuse(path.name, "is not a package by itself", "give the folder that it is in")
        return
    if (fault := _zip_fault(data)) is not None:
        files.refuse(path.name, *fault)
        return
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            _read_entries(files, list(_take(_zip_entries(archive))))
    except _BROKEN as error:
        files.refuse(path.name, f"is a damaged zip file: {_reason(error)}", "make the package again")
    _drop_top_folder(files)


def _zip_fault(data: bytes) -> tuple[str, str | None] | None:
    """What can be said before the directory is parsed, so that a huge one is never parsed."""
    if not data.startswith(b"PK"):
        return "is neither a folder nor a zip file", None
    end = data.rfind(b"PK\x05\x06")
    if end < 0 or len(data) < end + 22:
        return "is a truncated zip file", "make the package again"
    entries, directory = struct.unpack_from("<HI", data, end + 10)
    if entries > limits.PACKAGE_ENTRIES or directory > limits.PACKAGE_ENTRIES * 1024:
        return f"holds more than {limits.PACKAGE_ENTRIES} files and folders", None
    return None


def _zip_entries(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in archive.infolist():
        # The name as it is in the zip: ``filename`` stops at a zero byte.
        name, read = info.orig_filename, _zip_reader(archive, info)
        yield _Entry(name.removesuffix("/"), _zip_entry_fault(info), None if name.endswith("/") else read)


def _zip_entry_fault(info: zipfile.ZipInfo) -> tuple[str, str | None] | None:
    if info.flag_bits & 0x2041:
        return "is encrypted", "make the zip without a password"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "is compressed in an unusual way", "make the zip with the usual 'deflate' compression"
    return _mode_fault(info.external_attr >> 16)


def _zip_reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[int], bytes]:
    def read(limit: int) -> bytes:
        with archive.open(info) as file:
            return file.read(limit)

    return read


def _drop_top_folder(files: Files) -> None:
    tops = {name.partition("/")[0] for name in files.contents}
    if DOCUMENT in files.contents or len(tops) != 1:
        return
    top = tops.pop() + "/"
    files.contents = {
        name.removeprefix(top): content
        for name, content in files.contents.items()
        if not _is_for_people(name.removeprefix(top))
    }
