"""A small Keras text network (weights as HDF5, words as a pickled tokenizer) to ONNX and a list of words.

Keras is not needed, and nothing of the pickle is run: it may only name the four harmless types a tokenizer is
made of. The same input gives the same bytes, so that the result can be pinned by its hash.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from moderation.models.convert_tfjs import IR_VERSION, OPSET
from worldmodel.store.errors import ConversionFailed

TOKENS = 100
"""Words that the network reads; shorter texts are filled with 0 at the front, longer ones cut there."""
WORDS = 20_000
"""Words that it knows, including the 0 of the filling."""

Array = NDArray[np.float32]


def convert_network(members: Sequence[Path], target: Path) -> None:
    """Write the network of an HDF5 file as ONNX: ``tokens`` (N, TOKENS) int64 in, ``scores`` (N, labels) out.

    Raises ConversionFailed.
    """
    arrays = read_hdf5(members[0].read_bytes())
    try:
        target.write_bytes(_network(arrays))
    except (KeyError, ValueError) as error:
        raise ConversionFailed(f"{members[0].name} is not the expected network: {error}") from error


def convert_words(members: Sequence[Path], target: Path) -> None:
    """Write the words of a pickled tokenizer, one per line in order. Raises ConversionFailed."""
    numbers = read_tokenizer(members[0].read_bytes())
    known = sorted((number, word) for word, number in numbers.items() if 0 < number < WORDS)
    if [number for number, _ in known] != list(range(1, len(known) + 1)):
        raise ConversionFailed("the tokenizer's words are not numbered from 1 without a gap")
    target.write_text("".join(f"{word}\n" for _, word in known), encoding="utf-8", newline="\n")


# -- the tokenizer ------------------------------------------------------------------------------------


class _Tokenizer:
    """Stands in for Keras's; a pickle only sets its attributes."""


_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("keras.src.legacy.preprocessing.text", "Tokenizer"): _Tokenizer,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("builtins", "int"): int,
}


class _Careful(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _ALLOWED.get((module, name))
        if found is None:
            raise ConversionFailed(f"the tokenizer names {module}.{name}, which is refused")
        return found


def read_tokenizer(data: bytes) -> dict[str, int]:
    """The number of each word. Raises ConversionFailed where the pickle holds more than a tokenizer."""
    try:
        numbers = vars(_Careful(io.BytesIO(data)).load())["word_index"]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ConversionFailed(f"the tokenizer's pickle is broken: {error}") from error
    if not all(isinstance(word, str) and isinstance(number, int) for word, number in numbers.items()):
        raise ConversionFailed("the tokenizer's words have no numbers")
    return cast("dict[str, int]", numbers)


# -- the network --------------------------------------------------------------------------------------


def read_hdf5(data: bytes) -> dict[str, Array]:
    """The float32 arrays of an HDF5 file, by path (``layers/dense/vars/0``). Raises ConversionFailed."""
    import h5py

    found: dict[str, Array] = {}

    def keep(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype == np.float32:
            found[path] = item[()]

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            file.visititems(keep)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ConversionFailed(f"the HDF5 file is broken: {error}") from error
    return found


def _network(arrays: Mapping[str, Array]) -> bytes:
    """Embedding, both directions of an LSTM, the maximum over the words, two dense layers."""
    from onnx import TensorProto, helper, numpy_helper

    layers = {
        path.removeprefix("layers/"): array for path, array in arrays.items() if path.startswith("layers/")
    }
    sides = [_lstm(layers, f"bidirectional/{side}_layer/cell/vars") for side in ("forward", "backward")]
    weights, recurrent, bias = (np.stack(parts) for parts in zip(*sides, strict=True))
    units = recurrent.shape[2]
    constants = {
        "embedding": layers["embedding/vars/0"],
        "weights": weights,
        "recurrent": recurrent,
        "bias": bias,
        "hidden_weights": layers["dense/vars/0"],
        "hidden_bias": layers["dense/vars/1"],
        "output_weights": layers["dense_1/vars/0"],
        "output_bias": layers["dense_1/vars/1"],
        "flat": np.array([0, 2 * units], dtype=np.int64),
    }
    steps: tuple[tuple[str, list[str], dict[str, Any]], ...] = (
        ("Gather", ["embedding", "tokens"], {}),
        ("Transpose", ["value0"], {"perm": [1, 0, 2]}),
        (
            "LSTM",
            ["value1", "weights", "recurrent", "bias"],
            {"direction": "bidirectional", "hidden_size": units},
        ),
        ("ReduceMax", ["value2"], {"axes": [0], "keepdims": 0}),
        ("Transpose", ["value3"], {"perm": [1, 0, 2]}),
        ("Reshape", ["value4", "flat"], {}),
        ("Gemm", ["value5", "hidden_weights", "hidden_bias"], {}),
        ("Relu", ["value6"], {}),
        ("Gemm", ["value7", "output_weights", "output_bias"], {}),
    )
    nodes = [
        helper.make_node(kind, inputs, [f"value{index}"], **attributes)
        for index, (kind, inputs, attributes) in enumerate(steps)
    ]
    nodes.append(helper.make_node("Sigmoid", [f"value{len(steps) - 1}"], ["scores"]))
    labels = len(constants["output_bias"])
    graph = helper.make_graph(
        nodes,
        "toxicity",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["N", TOKENS])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", labels])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="firstplay"
    )
    model.ir_version = IR_VERSION
    return cast("bytes", model.SerializeToString(deterministic=True))


def _lstm(layers: Mapping[str, Array], path: str) -> tuple[Array, Array, Array]:
    """Keras's weights (gates i, f, c, o in columns) as ONNX's (i, o, f, c in rows)."""

    def turned(array: Array) -> Array:
        first, forget, cell, output = np.split(array, 4, axis=-1)
        return np.concatenate([first, output, forget, cell], axis=-1).T

    weights, recurrent, bias = (turned(layers[f"{path}/{index}"]) for index in range(3))
    return weights, recurrent, np.concatenate([bias, np.zeros_like(bias)])
