"""Arrays and a little JSON in one ``.npz`` file, written whole or not at all."""

from __future__ import annotations

import base64
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bots.recording import Playthrough
from bots.trace import Trace
from worldmodel.constants import EVENTS

_META = "meta.json"


class StorageError(ValueError):
    """A file that is not what it should be; says which file and what to do."""


def write(path: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Replace ``path`` at once: whoever reads it sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **{_META: text, **arrays})
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What :func:`write` wrote. Raises StorageError for a file that it did not write."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta: dict[str, Any] = json.loads(arrays.pop(_META).tobytes())
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        message = f"{path} cannot be read as an exploration ({error}); delete it to begin anew"
        raise StorageError(message) from error
    return arrays, meta


def to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """For :func:`from_bytes`."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def from_bytes(data: bytes) -> dict[str, NDArray[Any]]:
    """What :func:`to_bytes` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def pack(
    playthroughs: Sequence[Playthrough], prefix: str
) -> tuple[dict[str, NDArray[Any]], list[dict[str, Any]]]:
    """Arrays (named with ``prefix``) and JSON of playthroughs."""
    arrays = {
        f"{prefix}.actions": _joined([p.actions for p in playthroughs], np.zeros(0, np.uint8)),
        f"{prefix}.events": _joined([p.events for p in playthroughs], np.zeros((0, EVENTS), np.bool_)),
        f"{prefix}.clips": _joined([p.clips for p in playthroughs], np.zeros(0, np.int16)),
    }
    heads = [
        {
            "world": p.world,
            "model": p.model,
            "arm": p.arm,
            "player": p.player,
            "seed": p.seed,
            "spawn": p.spawn,
            "steps": len(p.actions),
            "frames_sha256": p.frames_sha256,
            "sound_sha256": p.sound_sha256,
            "trace": base64.b64encode(p.trace.to_bytes()).decode() if p.trace is not None else None,
        }
        for p in playthroughs
    ]
    return arrays, heads


def unpack(
    arrays: Mapping[str, NDArray[Any]], heads: Sequence[dict[str, Any]], prefix: str
) -> list[Playthrough]:
    """What :func:`pack` packed."""
    ends = np.cumsum([head["steps"] for head in heads], dtype=np.int64)[:-1]
    columns = [np.split(arrays[f"{prefix}.{name}"], ends) for name in ("actions", "events", "clips")]
    return [
        Playthrough(
            **{k: v for k, v in head.items() if k not in ("steps", "trace")},
            actions=a,
            events=e,
            clips=c,
            trace=Trace.from_bytes(base64.b64decode(head["trace"])) if head["trace"] is not None else None,
        )
        for head, a, e, c in zip(heads, *columns, strict=False)
    ]


def _joined(parts: Sequence[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([empty, *parts])
