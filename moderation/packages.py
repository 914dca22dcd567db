"""World packages as blobs: a clean package to the bytes of a zip, and back."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worldmodel.package import WorldPackage


def pack(package: WorldPackage) -> bytes:
    """The clean form of a package as a zip."""
    from worldmodel.package import save_package

    with tempfile.TemporaryDirectory(prefix="firstplay-") as folder:
        path = Path(folder) / "world.zip"
        save_package(package, path)
        return path.read_bytes()


def unpack(data: bytes) -> WorldPackage:
    """The package again. Raises ``worldmodel.package.PackageError`` where it is damaged."""
    from worldmodel.package import load_package

    with tempfile.TemporaryDirectory(prefix="firstplay-") as folder:
        path = Path(folder) / "world.zip"
        path.write_bytes(data)
        return load_package(path)
