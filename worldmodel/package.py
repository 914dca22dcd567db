"""A world package: a spec and its media, read, checked and cleaned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel.problems import PackageError, Problem
from worldmodel.spec import WorldSpec

__all__ = ["PackageError", "Problem", "WorldPackage"]


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
    """The cleaned media as files: PNG, FLAC, MP4 (lossless)."""
