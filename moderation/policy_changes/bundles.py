"""Bundles in the store: their text, their hash, and which one is live."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from moderation.store import Store
from moderation.store.bundles import StoredBundle, add_bundle, find_bundle, find_bundles
from moderation.store.transaction import Transaction
from policies.bundle import DEFAULT, Bundle, load_bundle
from policies.files import find_files, read_file


class Standing(StrEnum):
    """Where a bundle stands."""

    DRAFT = "draft"
    SHADOW = "shadow"
    """Decides beside the live one, without effect."""
    LIVE = "live"
    RETIRED = "retired"


class BundleLost(RuntimeError):
    """A stored bundle no longer is what its hash says; the message says why and what to do."""


@dataclass(frozen=True)
class Texts:
    """The files of a bundle and of all that it extends, but for the built-in one."""

    entry: str
    """The file, or their folder, that is the bundle; relative as the keys of ``files``."""
    files: tuple[tuple[str, str], ...]
    """Path and text."""


def texts_of(path: Path) -> Texts:
    """Read what has to be kept of a bundle. Raises ``policies.BundleError``."""
    paths: list[Path] = []
    following: Path | None = path.resolve()
    while following is not None:
        own = find_files(following)
        paths += own
        following = _extended(own)
    root = Path(os.path.commonpath([one.parent for one in paths]))
    files = tuple((one.relative_to(root).as_posix(), one.read_text("utf-8")) for one in paths)
    return Texts(path.resolve().relative_to(root).as_posix(), files)


def _extended(files: list[Path]) -> Path | None:
    """The bundle that these files extend; None for none, and for the built-in one."""
    for file in files:
        extends = read_file(file).document.extends
        if extends not in (None, "default"):
            return (file.parent / str(extends)).resolve()
    return None


def keep(tx: Transaction, bundle: Bundle, path: Path | None) -> None:
    """Keep a bundle that was loaded from ``path`` (None: the built-in one) as a draft, unless it is known."""
    texts = texts_of(path or DEFAULT)
    add_bundle(tx.connection, bundle.sha256, bundle.name, texts.entry, dict(texts.files))


def live_bundle(store: Store) -> Bundle | None:
    """The bundle that was promoted last; None where none ever was. Raises BundleLost."""
    with store.reading() as connection:
        live = find_bundles(connection, Standing.LIVE)
    return restore(live[0]) if live else None


def shadow_bundles(store: Store) -> list[Bundle]:
    """Those that decide beside the live one. Raises BundleLost."""
    with store.reading() as connection:
        return [restore(one) for one in find_bundles(connection, Standing.SHADOW)]


def stored_bundle(store: Store, begins: str) -> Bundle:
    """By its hash or how it begins. Raises NotFound, BundleLost."""
    with store.reading() as connection:
        return restore(find_bundle(connection, begins))


def restore(stored: StoredBundle) -> Bundle:
    """The bundle again. Raises BundleLost."""
    return _restored(stored.sha256, stored.name, Texts(stored.entry, tuple(stored.files.items())))


@lru_cache(maxsize=16)
def _restored(sha256: str, name: str, texts: Texts) -> Bundle:
    with tempfile.TemporaryDirectory(prefix="firstplay-") as folder:
        for path, text in texts.files:
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        bundle = load_bundle(Path(folder) / texts.entry)
    if bundle.sha256 != sha256:
        raise BundleLost(
            f"the stored bundle {name} ({sha256[:12]}) now reads as {bundle.sha256[:12]}: this version of "
            "firstplay has other built-in rules; propose and promote the bundle again"
        )
    return bundle
