"""Weights of detectors: their catalogue, on top of :mod:`worldmodel.store`, which fetches and keeps them.

Importing this package makes the detectors' models known to ``model_path`` and ``firstplay models``.
"""

from moderation.models import catalogue as _catalogue  # noqa: F401 -- adds the detectors' models
from worldmodel.store import (
    CATALOGUE,
    ConversionFailed,
    FetchFailed,
    ModelCorrupt,
    ModelEntry,
    ModelError,
    ModelMissing,
    UnknownModel,
    cache_dir,
    find_entry,
    model_path,
)

__all__ = [
    "CATALOGUE",
    "ConversionFailed",
    "FetchFailed",
    "ModelCorrupt",
    "ModelEntry",
    "ModelError",
    "ModelMissing",
    "UnknownModel",
    "cache_dir",
    "find_entry",
    "model_path",
]
