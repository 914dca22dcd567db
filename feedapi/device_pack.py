"""Packs a world for play on the device: ``python -m feedapi.device_pack HOME VERSION``, a process of its own.

Writing the graph takes half a minute and all of one core, so it is done once per model, aside from the
server. What is written appears in one step: a file that is there is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from filelock import FileLock

KEPT = 256
"""Packed worlds, of about 2 MB each."""


def folder(home: Path) -> Path:
    """Where everything of the package's own weights lies: other weights have another folder."""
    weights = files("worldmodel").joinpath("weights/neural.safetensors").read_bytes()
    return home / "device" / hashlib.sha256(weights).hexdigest()[:16]


def pack(home: Path, version: str) -> None:
    """Write what lacks: ``step.onnx``, ``model.json``, and the version's ``.json`` and ``.bin``.

    Raises what the store, the model or the catalogue of weights raises.
    """
    from moderation.store import open_store
    from worldmodel.browser import world_files
    from worldmodel.export import OPSET, export_step
    from worldmodel.models import load_model
    from worldmodel.runtime import LIBRARY
    from worldmodel.store.fetch import fetch

    place = folder(home)
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / ".lock"):
        fetch(LIBRARY)
        model = load_model("neural")
        store = open_store(home)
        try:
            world = store.compile_version(version)
        finally:
            store.close()
        graph = place / "step.onnx"
        if not graph.exists():
            _appear(graph, lambda draft: export_step(model, world, draft))
        said = {"model": model.card.sha256, "opset": OPSET, "sha256": _sha256(graph)}
        _appear(place / "model.json", lambda draft: draft.write_text(json.dumps(said), encoding="utf-8"))
        about, data = world_files(model, world, "step.onnx")
        about["sha256"] = hashlib.sha256(data).hexdigest()
        _appear(place / f"{version}.bin", lambda draft: draft.write_bytes(data))
        _forget(place)
        _appear(
            place / f"{version}.json", lambda draft: draft.write_text(json.dumps(about), encoding="utf-8")
        )


def _forget(place: Path) -> None:
    """Worlds that were packed longest ago, where there are too many: they are packed again when asked for."""
    packed = sorted(place.glob("*.bin"), key=lambda path: path.stat().st_mtime)
    for path in packed[:-KEPT]:
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _appear(path: Path, write: Callable[[Path], object]) -> None:
    draft = path.with_name(f"draft-{path.name}")
    write(draft)
    draft.replace(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    os.nice(15)  # players come first: packing takes what they leave
    pack(Path(sys.argv[1]), sys.argv[2])
