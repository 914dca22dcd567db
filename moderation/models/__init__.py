"""Weights of detectors: a catalogue of where they come from, and a cache of what is here.

``model_path(name)`` gives a verified file or raises; ``firstplay models`` fetches, lists and verifies.
Nothing is downloaded unless it is asked for.
"""

from moderation.models.cache import cache_dir, model_path
from moderation.models.catalogue import CATALOGUE, ModelEntry, find_entry
from moderation.models.errors import (
    ConversionFailed,
    FetchFailed,
    ModelCorrupt,
    ModelError,
    ModelMissing,
    UnknownModel,
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
