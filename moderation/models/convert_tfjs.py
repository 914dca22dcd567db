"""TensorFlow.js graph models, as JavaScript modules with base64 weights, to ONNX.

Knows the dozen operations of a frozen MobileNet and refuses everything else. The JavaScript is read as
data and never run. The same input gives the same bytes, so that the result can be pinned by its hash.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel.store.errors import ConversionFailed

OPSET = 13
IR_VERSION = 8
"""Both fixed: newer ones would change the bytes, and older runtimes read these."""

_TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<flag>![01])|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)'
    r"|(?P<name>[A-Za-z_$][\w$]*)|(?P<mark>[{}\[\],:]))"
)
_BASE64_MODULE = re.compile(r'exports\s*=\s*"([A-Za-z0-9+/=]+)"')

Json = dict[str, Any]
Array = NDArray[np.float32]


def convert(members: Sequence[Path], target: Path) -> None:
    """Write the model of ``members`` (the topology's module, then its weight shards in order) as ONNX.

    The input is ``input`` (N, H, W, 3) float32, the output ``scores`` (N, classes). Raises ConversionFailed.
    """
    topology, shards = members[0], members[1:]
    model = read_module(topology.read_text(encoding="utf-8"))
    data = b"".join(read_base64_module(shard.read_text(encoding="utf-8")) for shard in shards)
    graph = _GraphBuilder(model, read_weights(model, data))
    target.write_bytes(graph.build())


def read_module(script: str) -> Json:
    """The object literal that a minified module exports.

    Raises ConversionFailed where the module holds more than a literal.
    """
    start = script.find("exports={")
    if start < 0:
        raise ConversionFailed("the JavaScript module exports no object")
    found: Json = json.loads("".join(_json_tokens(script, start + len("exports="))))
    return found


def _json_tokens(script: str, at: int) -> Iterator[str]:
    """The literal that starts at ``at``, token by token, as JSON."""
    depth = 0
    while True:
        match = _TOKEN.match(script, at)
        if match is None:
            raise ConversionFailed(
                f"the JavaScript module holds more than data near {script[at : at + 20]!r}"
            )
        at = match.end()
        text = match.group(match.lastgroup or 0)
        yield _json_token(str(match.lastgroup), text)
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(text, 0)
        if depth == 0:
            return


def _json_token(kind: str, text: str) -> str:
    if kind == "flag":
        return "true" if text == "!0" else "false"
    if kind == "number":
        return text if re.fullmatch(r"-?\d+", text) else repr(float(text))
    if kind == "name":
        return json.dumps(text)
    return text


def read_base64_module(script: str) -> bytes:
    """The bytes that a module exports as one base64 string. Raises ConversionFailed."""
    match = _BASE64_MODULE.search(script)
    if match is None:
        raise ConversionFailed("the JavaScript module exports no base64 string")
    try:
        return base64.b64decode(match.group(1), validate=True)
    except binascii.Error as error:
        raise ConversionFailed(f"the JavaScript module's base64 is broken: {error}") from error


def read_weights(model: Json, data: bytes) -> dict[str, Array]:
    """Tensors by name. 8-bit ones become ``value * scale + minimum``, as TensorFlow.js computes it."""
    weights: dict[str, Array] = {}
    at = 0
    for spec in (spec for group in model["weightsManifest"] for spec in group["weights"]):
        quantization = spec.get("quantization", {})
        stored = np.dtype({"uint8": np.uint8, "uint16": np.uint16}.get(quantization.get("dtype"), np.float32))
        if spec["dtype"] != "float32":
            raise ConversionFailed(f"weight {spec['name']!r} has the unknown type {spec['dtype']!r}")
        count = int(np.prod(spec["shape"], dtype=np.int64))
        end = at + count * stored.itemsize
        if end > len(data):
            raise ConversionFailed(f"the weights end inside {spec['name']!r}: {len(data)} bytes, need {end}")
        values = np.frombuffer(data[at:end], stored.newbyteorder("<")).astype(np.float64)
        scaled = values * quantization.get("scale", 1.0) + quantization.get("min", 0.0)
        weights[spec["name"]] = scaled.astype(np.float32).reshape(spec["shape"])
        at = end
    if at != len(data):
        raise ConversionFailed(f"{len(data) - at} bytes of weights belong to no tensor")
    return weights


@dataclass
class _GraphBuilder:
    """One pass from the output node back to the input; tensors are (N, C, H, W) inside."""

    model: Json
    weights: dict[str, Array]
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)
    """ONNX value name by TensorFlow node name."""

    def build(self) -> bytes:
        """The serialised ONNX model."""
        from onnx import TensorProto, helper

        signature = self.model["userDefinedMetadata"]["signature"]
        (source,), (result,) = signature["inputs"].values(), signature["outputs"].values()
        by_name = {node["name"]: node for node in self.model["modelTopology"]["node"]}
        last = self._value(result["name"].split(":")[0], by_name)
        self._add("Identity", [last], name="scores")
        height, width, channels = (int(dim["size"]) for dim in source["tensorShape"]["dim"][1:])
        classes = int(result["tensorShape"]["dim"][-1]["size"])
        graph = helper.make_graph(
            self.nodes,
            "model",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", height, width, channels])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", classes])],
            self.initializers,
        )
        model = helper.make_model(
            graph,
            producer_name="firstplay",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        return bytes(model.SerializeToString(deterministic=True))

    def _value(self, name: str, by_name: dict[str, Json]) -> str:
        """The ONNX value of a node, after everything it needs (depth first, without recursion)."""
        waiting = [name]
        while waiting:
            node = by_name[waiting[-1]]
            needed = [i for i in node.get("input", ()) if i not in self.done and by_name[i]["op"] != "Const"]
            if needed:
                waiting.extend(reversed(needed))
                continue
            waiting.pop()
            if node["name"] not in self.done:
                self.done[node["name"]] = self._convert(node)
        return self.done[name]

    def _convert(self, node: Json) -> str:
        if node["op"] not in _OPERATIONS:
            raise ConversionFailed(f"operation {node['op']!r} of {node['name']!r} is not known")
        return _OPERATIONS[node["op"]](self, node)

    def _add(self, op: str, inputs: list[str], name: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        output = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def _constant(self, array: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"w{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _input(self, node: Json, index: int) -> str:
        """An operand: a value computed before, or a scalar constant."""
        name = node["input"][index]
        return self.done[name] if name in self.done else self._constant(self.weights[name])

    def placeholder(self, _: Json) -> str:
        return self._add("Transpose", ["input"], perm=[0, 3, 1, 2])

    def elementwise(self, node: Json) -> str:
        op = {"AddV2": "Add", "Mul": "Mul", "Sub": "Sub"}[node["op"]]
        return self._add(op, [self._input(node, 0), self._input(node, 1)])

    def convolution(self, node: Json) -> str:
        kernel, bias = (self.weights[name] for name in node["input"][1:3])  # (h, w, in, out or multiplier)
        groups = 1
        if node["op"] == "FusedDepthwiseConv2dNative":
            groups = kernel.shape[2]
            kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
        value = self._add(
            "Conv",
            [self._input(node, 0), self._constant(kernel.transpose(3, 2, 0, 1)), self._constant(bias)],
            auto_pad=_padding(node),
            strides=_integers(node, "strides")[1:3],
            dilations=_integers(node, "dilations")[1:3],
            group=groups,
        )
        return self._activate(value, node)

    def _activate(self, value: str, node: Json) -> str:
        fused = [base64.b64decode(text).decode() for text in node["attr"]["fused_ops"]["list"]["s"]]
        if fused == ["BiasAdd"]:
            return value
        if fused == ["BiasAdd", "Relu6"]:
            bounds = [self._constant(np.array(bound, np.float32)) for bound in (0.0, 6.0)]
            return self._add("Clip", [value, *bounds])
        raise ConversionFailed(f"the fused operations {fused} of {node['name']!r} are not known")

    def average_pool(self, node: Json) -> str:
        return self._add(
            "AveragePool",
            [self._input(node, 0)],
            kernel_shape=_integers(node, "ksize")[1:3],
            strides=_integers(node, "strides")[1:3],
            auto_pad=_padding(node),
        )

    def squeeze(self, node: Json) -> str:
        if _integers(node, "squeeze_dims") != [1, 2]:
            raise ConversionFailed(f"{node['name']!r} squeezes other axes than height and width")
        return self._add("Squeeze", [self._input(node, 0), self._constant(np.array([2, 3], np.int64))])

    def matmul(self, node: Json) -> str:
        if node["attr"]["transpose_a"]["b"] or node["attr"]["transpose_b"]["b"]:
            raise ConversionFailed(f"{node['name']!r} transposes its operands")
        matrix, bias = (self._constant(self.weights[name]) for name in node["input"][1:3])
        return self._activate(self._add("Gemm", [self._input(node, 0), matrix, bias]), node)

    def softmax(self, node: Json) -> str:
        return self._add("Softmax", [self._input(node, 0)], axis=-1)

    def identity(self, node: Json) -> str:
        return self._input(node, 0)


_OPERATIONS: dict[str, Callable[[_GraphBuilder, Json], str]] = {
    "Placeholder": _GraphBuilder.placeholder,
    "AddV2": _GraphBuilder.elementwise,
    "Mul": _GraphBuilder.elementwise,
    "Sub": _GraphBuilder.elementwise,
    "_FusedConv2D": _GraphBuilder.convolution,
    "FusedDepthwiseConv2dNative": _GraphBuilder.convolution,
    "AvgPool": _GraphBuilder.average_pool,
    "Squeeze": _GraphBuilder.squeeze,
    "_FusedMatMul": _GraphBuilder.matmul,
    "Softmax": _GraphBuilder.softmax,
    "Identity": _GraphBuilder.identity,
}


def _integers(node: Json, attribute: str) -> list[int]:
    return [int(value) for value in node["attr"][attribute]["list"]["i"]]


def _padding(node: Json) -> str:
    """TensorFlow's SAME puts the odd pixel at the end, as SAME_UPPER does."""
    padding = base64.b64decode(node["attr"]["padding"]["s"]).decode()
    layout = base64.b64decode(node["attr"]["data_format"]["s"]).decode()
    if layout != "NHWC" or padding not in {"SAME", "VALID"}:
        raise ConversionFailed(f"{node['name']!r} has layout {layout} and padding {padding}")
    return {"SAME": "SAME_UPPER", "VALID": "VALID"}[padding]
