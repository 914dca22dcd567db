"""Where weights lie on this machine, and whether they are the right ones."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import platformdirs

from worldmodel.store.catalogue import Installed, ModelEntry, find_entry
from worldmodel.store.errors import ModelCorrupt, ModelMissing


def cache_dir() -> Path:
    """The folder of fetched weights: FIRSTPLAY_MODELS, or the user's cache folder."""
    chosen = os.environ.get("FIRSTPLAY_MODELS")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("firstplay")) / "models"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=256)
def _sha256_of(path: Path, size: int, changed: int) -> str:  # noqa: ARG001 -- part of the key
    return file_sha256(path)


def known_sha256(path: Path) -> str:
    """SHA-256 of a file, computed again only after its size or time of change differ."""
    stat = path.stat()
    return _sha256_of(path, stat.st_size, stat.st_mtime_ns)


def installed_file(source: Installed) -> Path | None:
    """The file of an installed package, found without importing it; None where there is none."""
    try:
        path = Path(str(distribution(source.package).locate_file(source.member)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


def model_path(name: str) -> Path:
    """The verified file of a model: from the cache folder, else from an installed package.

    Raises UnknownModel; ModelMissing when no file is there; ModelCorrupt when the cached file's SHA-256 is
    not the catalogue's.
    """
    entry = find_entry(name)
    cached = cache_dir() / entry.filename
    if cached.is_file():
        found = known_sha256(cached)
        if found != entry.sha256:
            raise ModelCorrupt(name, cached, found, entry.sha256)
        return cached
    installed, looked = _usable_installed(entry)
    if installed is None:
        raise ModelMissing(name, [str(cached), *looked])
    return installed


def _usable_installed(entry: ModelEntry) -> tuple[Path | None, list[str]]:
    """An installed file that is the model as it stands, and what was looked at in vain."""
    looked: list[str] = []
    for source in entry.sources:
        if not isinstance(source, Installed) or entry.convert is not None:
            continue
        path = installed_file(source)
        if path is not None and known_sha256(path) == entry.sha256:
            return path, looked
        looked.append(f"{source}, {'not there' if path is None else 'which holds another file'}")
    return None, looked
