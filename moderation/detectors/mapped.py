"""Weights that are mapped from a file, so that all processes of a machine hold one copy of them.

Weights are fetched with 16 bits and computed with in 32. Widened in memory, every process would hold its own;
here they are widened once, into the folder ``mapped`` of the model cache, and mapped from there. The system
may let go of such pages and read them again. Nothing is written to them: the mapping is private.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from moderation.models import cache_dir, find_entry, model_path

if TYPE_CHECKING:
    from torch import Tensor

Tensors: TypeAlias = "Mapping[str, Tensor]"

log = logging.getLogger(__name__)


def mapped(name: str, read: Callable[[Path], Tensors]) -> Tensors:
    """Tensors by name, in 32 bits, of the model of that name; ``read`` gives them from its own file.

    Where the cache cannot be written to, they are held in memory.

    Raises:
        ModelMissing, ModelCorrupt: as ``moderation.models.model_path``; and what ``read`` raises.
    """
    import torch

    source = model_path(name)
    path = cache_dir() / "mapped" / f"{find_entry(name).sha256[:16]}.pt"
    if not _is_whole(path):
        tensors = {key: tensor.float().contiguous() for key, tensor in read(source).items()}
        try:
            _write(tensors, path)
        except OSError as error:
            log.warning("%s is held in memory, since %s cannot be written: %s", name, path, error)
            return tensors
    kept: Tensors = torch.load(path, mmap=True, weights_only=True)
    return kept


def _is_whole(path: Path) -> bool:
    """Whether it is what was written: a mapped file that is cut short would end the process."""
    from worldmodel.store.cache import known_sha256

    told = _digest_of(path)
    return path.is_file() and told.is_file() and known_sha256(path) == told.read_text(encoding="ascii")


def _digest_of(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _write(tensors: Tensors, path: Path) -> None:
    """By renaming: another process may be doing the same.

    PyTorch's own format starts each tensor at a multiple of 64 bytes, as in memory, so that sums come out the
    same; safetensors' does not.
    """
    import torch

    from worldmodel.store.cache import file_sha256

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    try:
        torch.save(dict(tensors), unfinished)
        _digest_of(path).write_text(file_sha256(unfinished), encoding="ascii")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
