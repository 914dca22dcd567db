"""A content-addressed folder: bytes are named by their SHA-256 and never change.

A blob is on disk, whole and synced, before any row may name it; a crash in between leaves an unnamed
blob, which is harmless, never a row without its blob.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


class BlobMissing(LookupError):
    """A row names a blob that the folder does not hold."""


class BlobStore:
    """Blobs under ``root``/ab/abcdef...; safe to share between threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Where a blob lies. Raises BlobMissing."""
        path = self._place(sha256)
        if not path.is_file():
            raise BlobMissing(
                f"blob {sha256} is not in {self.root}: restore it from a backup or review again"
            )
        return path

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its SHA-256; it is on disk when this returns."""
        sha256 = hashlib.sha256(data).hexdigest()
        place = self._place(sha256)
        if not place.is_file():
            self._write(place, data)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The bytes. Raises BlobMissing, also where the content no longer matches its name."""
        data = self.path(sha256).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BlobMissing(f"blob {sha256} in {self.root} is damaged: restore it from a backup")
        return data

    def _place(self, sha256: str) -> Path:
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


def _sync_folder(folder: Path) -> None:
    """The rename itself must outlive a power cut before a row may name the file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
