"""Content-addressed bytes: named by their SHA-256, never changed, in a folder or in a bucket.

A blob is kept, whole, before any row may name it; a crash in between leaves an unnamed blob, which is
harmless and collected later, never a row without its blob. ``put`` of known bytes makes the blob young
again, so that a collection cannot take it away from a row that is about to name it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from obstore.store import ObjectStore

BLOBS_VARIABLE = "FIRSTPLAY_BLOBS"
"""Environment variable with the bucket's URL, ``s3://bucket/prefix``; worker processes inherit it."""
YOUNG = 3_600.0
"""Seconds: a blob in a bucket that is older is written again when it is put again."""


class BlobMissing(LookupError):
    """A row names a blob that is not kept."""


class BadBlobs(ValueError):
    """The URL names no place for blobs; the message says which can be used."""


@dataclass(frozen=True)
class Kept:
    """One blob as it lies there."""

    sha256: str
    age: float
    """Seconds since it was last put."""
    size: int
    """Bytes."""


class Blobs(Protocol):
    """Where blobs are; safe to share between threads and processes."""

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its SHA-256; it is durable when this returns."""
        ...

    def read(self, sha256: str) -> bytes:
        """The bytes. Raises BlobMissing, also where the content no longer matches its name."""
        ...

    def size(self, sha256: str) -> int:
        """Bytes; 0 where it is not there."""
        ...

    def delete(self, sha256: str) -> None:
        """Remove it; nothing where it is not there."""
        ...

    def kept(self) -> Iterator[Kept]:
        """Every blob, in no order."""
        ...


def open_blobs(home: Path, url: str | None = None) -> Blobs:
    """``url``, else ``$FIRSTPLAY_BLOBS``, else the folder ``home/blobs``. Raises BadBlobs."""
    url = url or os.environ.get(BLOBS_VARIABLE)
    if not url:
        return Folder(home / "blobs")
    if not url.startswith("s3://"):
        raise BadBlobs(f"{BLOBS_VARIABLE} is {url!r}: use s3://bucket/prefix, or leave it unset for a folder")
    return Bucket.open(url)


class Folder:
    """Blobs under ``root``/ab/abcdef..., synced to the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its SHA-256; it is on disk when this returns."""
        sha256 = hashlib.sha256(data).hexdigest()
        place = self.place(sha256)
        try:
            os.utime(place)
        except FileNotFoundError:
            self._write(place, data)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The bytes. Raises BlobMissing, also where the content no longer matches its name."""
        with _naming(sha256, str(self.root)):
            return _checked(sha256, self.place(sha256).read_bytes(), str(self.root))

    def size(self, sha256: str) -> int:
        """Bytes; 0 where it is not there."""
        try:
            return self.place(sha256).stat().st_size
        except FileNotFoundError:
            return 0

    def delete(self, sha256: str) -> None:
        """Remove it; nothing where it is not there."""
        self.place(sha256).unlink(missing_ok=True)

    def kept(self) -> Iterator[Kept]:
        """Every blob, in no order."""
        now = time.time()
        for path in self.root.glob("??/*"):
            if not path.name.startswith("."):
                found = path.stat()
                yield Kept(path.name, now - found.st_mtime, found.st_size)

    def place(self, sha256: str) -> Path:
        """Where it lies, or would."""
        return self.root / sha256[:2] / sha256

    def _write(self, place: Path, data: bytes) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(place.parent)


class Bucket:
    """Blobs in S3-compatible storage; keys and endpoint come from the usual ``AWS_*`` variables."""

    def __init__(self, store: ObjectStore, url: str) -> None:
        self._store = store
        self._url = url

    @classmethod
    def open(cls, url: str) -> Bucket:
        """Raises BadBlobs where its library is missing or the URL is none."""
        try:
            from obstore.exceptions import BaseError
            from obstore.store import S3Store
        except ModuleNotFoundError:
            raise BadBlobs(
                "a bucket needs its library: pip install 'firstplay[distributed]' (package obstore)"
            ) from None
        try:
            return cls(S3Store.from_url(url), url)
        except BaseError as error:
            raise BadBlobs(f"{BLOBS_VARIABLE} is {url!r}: {error}") from None

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its SHA-256; the bucket has it when this returns."""
        sha256 = hashlib.sha256(data).hexdigest()
        age = self._age(sha256)
        if age is None or age > YOUNG:
            self._store.put(_key(sha256), data)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The bytes. Raises BlobMissing, also where the content no longer matches its name."""
        with _naming(sha256, self._url):
            return _checked(sha256, bytes(self._store.get(_key(sha256)).bytes()), self._url)

    def size(self, sha256: str) -> int:
        """Bytes; 0 where it is not there."""
        try:
            return self._store.head(_key(sha256))["size"]
        except FileNotFoundError:
            return 0

    def delete(self, sha256: str) -> None:
        """Remove it; nothing where it is not there."""
        try:
            self._store.delete(_key(sha256))
        except FileNotFoundError:
            return

    def kept(self) -> Iterator[Kept]:
        """Every blob, in no order."""
        now = time.time()
        for page in self._store.list():
            for found in page:
                name = found["path"].rpartition("/")[2]
                yield Kept(name, now - found["last_modified"].timestamp(), found["size"])

    def _age(self, sha256: str) -> float | None:
        try:
            return time.time() - self._store.head(_key(sha256))["last_modified"].timestamp()
        except FileNotFoundError:
            return None


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


@contextmanager
def _naming(sha256: str, where: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BlobMissing(
            f"blob {sha256} is not in {where}: restore it from a backup or review again"
        ) from None


def _checked(sha256: str, data: bytes, where: str) -> bytes:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BlobMissing(f"blob {sha256} in {where} is damaged: restore it from a backup")
    return data


def _sync_folder(folder: Path) -> None:
    """The rename itself must outlive a power cut before a row may name the file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
