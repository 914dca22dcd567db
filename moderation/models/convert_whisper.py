"""Whisper as ONNX with 8-bit weights (by Optimum) to the tensors of openai-whisper.

Weights become ``(value - zero point) * scale`` and are kept with 16 bits. Matrices have no names of their own
in the graph: the nodes that multiply by them do (``/model/decoder/layers.0/self_attn/q_proj/MatMul_quant``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel.store.errors import ConversionFailed

_NAMES = (
    ("layers.", "blocks."),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("self_attn_layer_norm", "attn_ln"),
    ("final_layer_norm", "mlp_ln"),
    ("encoder_attn", "cross_attn"),
    ("self_attn", "attn"),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    ("embed_positions.weight", "positional_embedding"),
    ("embed_tokens", "token_embedding"),
)
"""Transformers' names of parts, and openai-whisper's; in this order."""
_LAST_NORM = {"encoder": "ln_post", "decoder": "ln"}

Values = NDArray[Any]


def convert(members: Sequence[Path], target: Path) -> None:
    """Write the encoder and decoder of ``members`` (in this order) as one safetensors file with the names of
    openai-whisper's state dict. Raises ConversionFailed.
    """
    import onnx
    from safetensors.numpy import save_file

    tensors: dict[str, Values] = {}
    for side, path in zip(("encoder", "decoder"), members, strict=True):
        graph = onnx.load(str(path)).graph
        for name, values in _tensors(graph):
            tensors[_renamed(name, side)] = np.ascontiguousarray(values, np.float16)
    save_file(dict(sorted(tensors.items())), target)


def _tensors(graph: Any) -> Iterator[tuple[str, Values]]:
    """Transformers' names, as far as the graph tells them, and values in the layout of PyTorch."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in graph.initializer}
    found = {name: numpy_helper.to_array(tensor) for name, tensor in stored.items()}
    for name, values in found.items():
        plain = re.sub(r"_merged_\d+$", "", name)
        if re.search(r"(\.bias|layer_norm\.weight|embed_positions\.weight)$", plain):
            yield plain, values
        if re.search(r"embed_tokens\.weight(_merged_\d+)?_quantized$", name):
            yield "embed_tokens.weight", _dequantized(found, name)
    for node in _nodes(graph):
        if node.op_type == "ConvInteger":
            yield node.name.removesuffix("/Conv_quant") + ".weight", _dequantized(found, node.input[1])
        if node.op_type == "MatMulInteger" and re.search(r"/layers\.\d+/.*(_proj|fc\d)/", node.name):
            yield node.name.removesuffix("/MatMul_quant") + ".weight", _dequantized(found, node.input[1]).T


def _nodes(graph: Any) -> Iterator[Any]:
    """Of the graph and of the branches within."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _dequantized(found: Mapping[str, Values], name: str) -> NDArray[np.float32]:
    base = name.removesuffix("_quantized")
    try:
        values, scale, zero = (found[f"{base}_{part}"] for part in ("quantized", "scale", "zero_point"))
    except KeyError as error:
        raise ConversionFailed(
            f"the weight {name!r} is not quantised as expected: {error} is missing"
        ) from error
    return (values.astype(np.float32) - zero.astype(np.float32)) * scale


def _renamed(name: str, side: str) -> str:
    name = name.replace("/", ".").removeprefix(".").removeprefix("model.").removeprefix("decoder.")
    for theirs, ours in _NAMES:
        name = name.replace(theirs, ours)
    return f"{side}." + re.sub(r"^layer_norm", _LAST_NORM[side], name)
