"""ONNX Runtime for the browser: JavaScript and WebAssembly from npm, by hash."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from worldmodel.store import ConversionFailed, ModelEntry, add_entries, model_path
from worldmodel.store.catalogue import Npm

LIBRARY, LIBRARY_VERSION = "onnxruntime-web", "1.30.0"
_WASM = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_WEBGPU = (
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
FILES = (*_WASM, *_WEBGPU)
"""What a browser may ask for: on WebAssembly, and on WebGPU."""


def read_file(name: str) -> bytes:
    """One of :data:`FILES` (else KeyError). Raises ModelMissing where it was never fetched."""
    with zipfile.ZipFile(model_path(LIBRARY)) as bundle:
        return bundle.read(name)


def _bundle(members: Sequence[Path], target: Path) -> None:
    """Put the members into one zip that is the same bytes everywhere."""
    if len(members) != len(FILES):
        raise ConversionFailed(f"{LIBRARY}: {len(members)} files, expected {len(FILES)}")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bundle:
        for name, member in zip(FILES, members, strict=True):
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
                tuple(f"dist/{name}" for name in FILES),
                archive="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
                size=33_106_585,
            ),
        ),
        convert=_bundle,
    )
)
