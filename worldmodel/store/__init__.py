"""Weights that are fetched: a catalogue of where they come from, and a cache of what is here.

``model_path(name)`` gives a verified file or raises; ``firstplay models`` fetches, lists and verifies.
Nothing is downloaded unless it is asked for.
"""

from worldmodel.store.cache import cache_dir, model_path
from worldmodel.store.catalogue import CATALOGUE, ModelEntry, add_entries, find_entry
from worldmodel.store.errors import (
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
    "add_entries",
    "cache_dir",
    "find_entry",
    "model_path",
]
