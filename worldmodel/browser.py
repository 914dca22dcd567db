"""A world as a folder of static files that a browser plays on the device, with ONNX Runtime's WebAssembly.

``world.json`` says what is in ``world.bin``: the graph's inputs that describe the world, the state at the
start, the first frame and the sounds. Threads need the two headers that :func:`serve` sends.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
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
from worldmodel.sound import MUSIC_LEVEL, effect
from worldmodel.store import ConversionFailed, ModelEntry, add_entries, model_path
from worldmodel.store.catalogue import Npm
from worldmodel.store.fetch import fetch

LIBRARY, LIBRARY_VERSION = "onnxruntime-web", "1.30.0"
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
}
"""The first two give a page shared memory, without which WebAssembly has one thread."""
_WASM = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_WEBGPU = (
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
_FILES = (*_WASM, *_WEBGPU)


def _bundle(members: Sequence[Path], target: Path) -> None:
    """Put the members into one zip that is the same bytes everywhere."""
    if len(members) != len(_FILES):
        raise ConversionFailed(f"{LIBRARY}: {len(members)} files, expected {len(_FILES)}")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bundle:
        for name, member in zip(_FILES, members, strict=True):
            bundle.writestr(zipfile.ZipInfo(name), member.read_bytes())


add_entries(
    ModelEntry(
        name=LIBRARY,
        kind="browser: runs exported worlds (JavaScript and WebAssembly)",
        licence="MIT (Microsoft)",
        filename=f"{LIBRARY}-{LIBRARY_VERSION}.zip",
        sha256="2b14aa85d9c33a1d9d5865965d880c0cf4035fce5d2af14acbbd8e053a032998",
        size=41_216_518,
        sources=(
            Npm(
                LIBRARY,
                LIBRARY_VERSION,
                tuple(f"dist/{name}" for name in _FILES),
                archive="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
                size=33_106_585,
            ),
        ),
        convert=_bundle,
    )
)


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
    offset = 0
    with (out / "world.bin").open("wb") as file:
        for name, array in _arrays(model, world, seed).items():
            data = np.ascontiguousarray(array).tobytes()
            shape = list(array.shape)
            row = {
                "name": name,
                "type": str(array.dtype),
                "shape": shape,
                "offset": offset,
                "count": array.size,
            }
            about["arrays"].append(row)
            padding = -len(data) % 8  # a view of 64-bit numbers starts at a multiple of 8
            file.write(data + bytes(padding))
            offset += len(data) + padding
    (out / "world.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


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
