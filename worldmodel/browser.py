"""A world as a folder of static files that a browser plays on the device, with ONNX Runtime's WebAssembly.

``world.json`` says what is in ``world.bin``: the graph's inputs that describe the world, the state at the
start, the first frame and the sounds. Threads need the two headers that :func:`serve` sends.
"""

from __future__ import annotations

import json
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import FPS, FRAME, MOVER_SLOTS, SAMPLE_RATE, Event
from worldmodel.export import Arrays, state_inputs, world_inputs
from worldmodel.neural import NeuralWorldModel
from worldmodel.runtime import LIBRARY
from worldmodel.sound import MUSIC_LEVEL, effect
from worldmodel.store import model_path
from worldmodel.store.fetch import fetch

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
}
"""The first two give a page shared memory, without which WebAssembly has one thread."""


def write_site(
    model: NeuralWorldModel,
    world: CompiledWorld,
    graph: str,
    out: Path,
    seed: int = 0,
    library: Path | None = None,
) -> None:
    """Write everything but the graph itself, whose file in ``out`` is called ``graph``.

    Fetches the JavaScript library into the cache where it is not there yet, from npm or from a copy of its
    package, and raises what :func:`worldmodel.store.fetch.fetch` raises when that fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    for source in (files("worldmodel") / "static" / "player").iterdir():
        (out / source.name).write_bytes(source.read_bytes())
    fetch(LIBRARY, given=library)
    with zipfile.ZipFile(model_path(LIBRARY)) as bundle:
        bundle.extractall(out / "ort")
    write_world(model, world, graph, out, seed)


def write_world(model: NeuralWorldModel, world: CompiledWorld, graph: str, out: Path, seed: int = 0) -> None:
    """Write ``world.json`` and ``world.bin``."""
    about, data = world_files(model, world, graph, seed)
    (out / "world.bin").write_bytes(data)
    (out / "world.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def world_files(
    model: NeuralWorldModel, world: CompiledWorld, graph: str, seed: int = 0
) -> tuple[dict[str, Any], bytes]:
    """What ``world.json`` and ``world.bin`` hold. Only ``about["seed"]`` depends on the seed."""
    about: dict[str, Any] = {
        "title": world.title,
        "prompt": " · ".join(world.notes.get("understood", [])),
        "key": world.key,
        "model": model.card.sha256,
        "graph": graph,
        "seed": str(seed),  # may be more than a number of JavaScript holds
        "fps": FPS,
        "frame_size": FRAME,
        "slots": MOVER_SLOTS,
        "sample_rate": SAMPLE_RATE,
        "music_level": MUSIC_LEVEL,
        "arrays": [],
    }
    parts: list[bytes] = []
    offset = 0
    for name, array in _arrays(model, world, seed).items():
        data = np.ascontiguousarray(array).tobytes()
        place = {"offset": offset, "count": array.size}
        row = {"name": name, "type": str(array.dtype), "shape": list(array.shape), **place}
        about["arrays"].append(row)
        padding = -len(data) % 8  # a view of 64-bit numbers starts at a multiple of 8
        parts.append(data + bytes(padding))
        offset += len(data) + padding
    return about, b"".join(parts)


def _arrays(model: NeuralWorldModel, world: CompiledWorld, seed: int) -> Arrays:
    state = model.spawn([world], [seed])
    arrays: Arrays = {f"world/{name}": value for name, value in world_inputs(world).items()}
    arrays |= {f"state/{name}": value for name, value in state_inputs(state).items()}
    arrays["first_frame"] = model.render(state).numpy()
    return arrays | _sounds(world)


def _sounds(world: CompiledWorld) -> Arrays:
    sounds: dict[str, NDArray[np.float32]] = {f"effect{int(event)}": effect(event) for event in Event}
    sounds |= {f"effect{event}": clip.samples for event, clip in world.effect_clips.items()}
    sounds |= {f"clip{index}": clip.samples for index, clip in enumerate(world.clips)}
    if world.music is not None:
        sounds["music"] = world.music.samples
    return {f"sound/{name}": (samples * 32767).astype(np.int16) for name, samples in sounds.items()}


class _Handler(SimpleHTTPRequestHandler):
    """Files of a folder, with the headers that threads need."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class' name)
        """Say nothing of requests."""


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of the folder on this machine only; port 0 takes a free one. Who calls it starts it."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
