"""Reads Whisper weights in whisper.cpp's ggml format into openai-whisper's own model.

Layout (whisper.cpp, ``models/convert-pt-to-ggml.py``; all integers little-endian, 32 bits): the magic word,
eleven sizes, the mel filterbank, the vocabulary, then tensors until the end of the file, each as
(dimensions, length of name, type), the shape in reverse order, the name, the values. Names and order of
values are those of openai-whisper, so that the tensors are its state dict but for the convolutions' biases,
which carry a trailing dimension of one. Mel filters and vocabulary are skipped: openai-whisper has its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor
    from whisper.model import Whisper

MAGIC = 0x67676D6C
TYPES: dict[int, np.dtype[np.float32] | np.dtype[np.float16]] = {
    0: np.dtype(np.float32),
    1: np.dtype(np.float16),
}
"""ggml's codes of the types read here; quantised files (codes above 1) are refused."""
MAX_DIMS = 4
MAX_NAME = 256


class GgmlError(ValueError):
    """The file is not what it should be; the message names the file, what is wrong and the remedy."""


@dataclass(frozen=True)
class Header:
    """Sizes of a Whisper model, in the order in which the file holds them."""

    n_vocab: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int
    n_mels: int
    ftype: int


@dataclass(frozen=True)
class GgmlWhisper:
    """What a ggml file of Whisper holds."""

    header: Header
    tensors: dict[str, NDArray[np.float32]]
    """By openai-whisper's names."""


def read_ggml(path: Path) -> GgmlWhisper:
    """Read the file whole.

    Raises:
        GgmlError: the file is truncated, quantised, or no ggml file.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(file)
            _skip_mel_filters(file)
            _skip_vocabulary(file)
            tensors = dict(_read_tensors(file))
    except (ValueError, OSError) as error:
        raise GgmlError(f"{path}: {error}; fetch the weights again") from error
    return GgmlWhisper(header, tensors)


def build_whisper(path: Path, model_class: type[Whisper]) -> Whisper:
    """A ``model_class`` (openai-whisper's ``Whisper`` or a subclass) in fp32 on the CPU, in eval mode.

    Raises:
        GgmlError: as ``read_ggml``, or a tensor is missing, unknown or of the wrong shape.
    """
    from whisper.model import ModelDimensions

    ggml = read_ggml(path)
    sizes = {name: value for name, value in vars(ggml.header).items() if name != "ftype"}
    model = model_class(ModelDimensions(**sizes))
    model.load_state_dict(_matched(ggml.tensors, model.state_dict(), path), strict=True)
    return model.eval()


def _matched(
    tensors: dict[str, NDArray[np.float32]], wanted: dict[str, Tensor], path: Path
) -> dict[str, Tensor]:
    import torch

    if tensors.keys() != wanted.keys():
        missing = sorted(wanted.keys() - tensors.keys())[:3]
        unknown = sorted(tensors.keys() - wanted.keys())[:3]
        raise GgmlError(f"{path}: tensors do not match Whisper's: missing {missing}, unknown {unknown}")
    matched = {}
    for name, values in tensors.items():
        shape = tuple(wanted[name].shape)
        if values.shape not in (shape, (*shape, 1)):
            raise GgmlError(f"{path}: {name} has shape {values.shape}, Whisper's has {shape}")
        matched[name] = torch.from_numpy(values.reshape(shape))
    return matched


def _read_header(file: BinaryIO) -> Header:
    (magic,) = _integers(file, 1)
    if magic != MAGIC:
        raise GgmlError("not a ggml file (its first four bytes are not 'lmgg')")
    header = Header(*_integers(file, 11))
    if header.ftype not in TYPES:
        raise GgmlError(f"values of type {header.ftype} (quantised?) are not read, only fp32 and fp16")
    return header


def _skip_mel_filters(file: BinaryIO) -> None:
    rows, columns = _integers(file, 2)
    _values(file, TYPES[0], (rows, columns))


def _skip_vocabulary(file: BinaryIO) -> None:
    (words,) = _integers(file, 1)
    for _ in range(words):
        (length,) = _integers(file, 1)
        _bytes(file, length)


def _read_tensors(file: BinaryIO) -> Iterator[tuple[str, NDArray[np.float32]]]:
    while file.peek(1):  # type: ignore[attr-defined]  # BufferedReader's; BinaryIO does not name it
        dims, name_length, code = _integers(file, 3)
        if not 0 < dims <= MAX_DIMS or not 0 < name_length <= MAX_NAME or code not in TYPES:
            raise GgmlError(f"malformed tensor header ({dims} dimensions, type {code})")
        shape = tuple(reversed(_integers(file, dims)))
        yield _bytes(file, name_length).decode(), _values(file, TYPES[code], shape)


def _values(
    file: BinaryIO, dtype: np.dtype[np.float32] | np.dtype[np.float16], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    count = int(np.prod(shape, dtype=np.int64))
    raw = np.frombuffer(_bytes(file, count * dtype.itemsize), dtype)
    return raw.astype(np.float32).reshape(shape)


def _integers(file: BinaryIO, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}i", _bytes(file, 4 * count))


def _bytes(file: BinaryIO, count: int) -> bytes:
    if count < 0:
        raise GgmlError(f"negative length at byte {file.tell()}")
    data = file.read(count)
    if len(data) != count:
        raise GgmlError(f"ends {count - len(data)} bytes early")
    return data
