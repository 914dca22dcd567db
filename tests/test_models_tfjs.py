"""TensorFlow.js models become ONNX models that compute the same, and nothing else is let through."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional

from moderation.models import CATALOGUE, ConversionFailed, model_path
from moderation.models.convert_tfjs import convert, read_base64_module, read_module, read_weights

RNG = np.random.default_rng(7)
SHAPES = {
    "stem": (3, 3, 3, 4),
    "stem_b": (4,),
    "deep": (3, 3, 4, 1),
    "deep_b": (4,),
    "dense": (4, 2),
    "dense_b": (2,),
}
STORED = {name: RNG.integers(0, 256, shape, dtype=np.uint8) for name, shape in SHAPES.items()}
SCALE, LEAST = 0.01, -1.2
WEIGHTS = {name: (stored * SCALE + LEAST).astype(np.float32) for name, stored in STORED.items()}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def integers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def convolution(op: str, name: str, inputs: list[str], stride: int, fused: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "op": op,
        "input": inputs,
        "attr": {
            "strides": integers(1, stride, stride, 1),
            "dilations": integers(1, 1, 1, 1),
            "padding": {"s": encoded("SAME")},
            "data_format": {"s": encoded("NHWC")},
            "fused_ops": {"list": {"s": [encoded(one) for one in fused]}},
        },
    }


def topology() -> dict[str, Any]:
    """A convolution, a depthwise one, a residual sum, pooling, a dense layer and softmax, out of order."""
    pool = {
        "ksize": integers(1, 4, 4, 1),
        "strides": integers(1, 1, 1, 1),
        "padding": {"s": encoded("VALID")},
        "data_format": {"s": encoded("NHWC")},
    }
    dense = {
        "transpose_a": {"b": False},
        "transpose_b": {"b": False},
        "fused_ops": {"list": {"s": [encoded("BiasAdd")]}},
    }
    nodes = [
        {"name": "result", "op": "Identity", "input": ["softmax"]},
        {"name": "softmax", "op": "Softmax", "input": ["matmul"], "attr": {}},
        {"name": "matmul", "op": "_FusedMatMul", "input": ["flat", "dense", "dense_b"], "attr": dense},
        {"name": "flat", "op": "Squeeze", "input": ["pool"], "attr": {"squeeze_dims": integers(1, 2)}},
        {"name": "pool", "op": "AvgPool", "input": ["sum"], "attr": pool},
        {"name": "sum", "op": "AddV2", "input": ["conv", "depthwise"]},
        convolution("FusedDepthwiseConv2dNative", "depthwise", ["conv", "deep", "deep_b"], 1, ["BiasAdd"]),
        convolution("_FusedConv2D", "conv", ["input", "stem", "stem_b"], 2, ["BiasAdd", "Relu6"]),
        {"name": "input", "op": "Placeholder", "attr": {}},
        *({"name": name, "op": "Const"} for name in SHAPES),
    ]
    quantization = {"min": LEAST, "scale": SCALE, "dtype": "uint8"}
    specs = [
        {"name": name, "shape": list(shape), "dtype": "float32", "quantization": quantization}
        for name, shape in SHAPES.items()
    ]
    dims = {"inputs": [-1, 8, 8, 3], "outputs": [-1, 2]}
    signature = {
        kind: {
            "x": {"name": f"{name}:0", "tensorShape": {"dim": [{"size": str(size)} for size in dims[kind]]}}
        }
        for kind, name in (("inputs", "input"), ("outputs", "result"))
    }
    return {
        "userDefinedMetadata": {"signature": signature},
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": ["a", "b"], "weights": specs}],
    }


def as_script(model: dict[str, Any]) -> str:
    """As a minifier writes it: bare names, !0 and !1, no leading zeros."""
    text = json.dumps(model, separators=(",", ":"))
    for old, new in (
        ('"op":', "op:"),
        ('"name":', "name:"),
        ("false", "!1"),
        ("true", "!0"),
        (":0.01", ":.01"),
    ):
        text = text.replace(old, new)
    return f"!function(e){{e()}}({{1:[function(t,e,a){{e.exports={text}}},{{}}]}},{{}},[1]);"


def files(folder: Path, model: dict[str, Any]) -> list[Path]:
    data = b"".join(stored.tobytes() for stored in STORED.values())
    parts = [data[:100], data[100:]]
    scripts = [
        as_script(model),
        *(f'(function(e){{e.exports="{base64.b64encode(p).decode()}"}})' for p in parts),
    ]
    paths = [folder / f"part{number}.js" for number in range(3)]
    for path, script in zip(paths, scripts, strict=True):
        path.write_text(script)
    return paths


def by_torch(pictures: np.ndarray) -> np.ndarray:
    """The same network in another library; TensorFlow pads (0, 1) for stride 2 on even sizes."""
    tensors = {name: torch.from_numpy(value) for name, value in WEIGHTS.items()}
    value = functional.pad(torch.from_numpy(pictures).permute(0, 3, 1, 2), (0, 1, 0, 1))
    conv = functional.conv2d(value, tensors["stem"].permute(3, 2, 0, 1), tensors["stem_b"], stride=2).clamp(
        0, 6
    )
    deep = tensors["deep"].permute(2, 3, 0, 1)
    depthwise = functional.conv2d(conv, deep, tensors["deep_b"], padding=1, groups=4)
    flat = (conv + depthwise).mean((2, 3))
    return (flat @ tensors["dense"] + tensors["dense_b"]).softmax(1).numpy()


def test_computes_what_the_layers_say(tmp_path: Path) -> None:
    convert(files(tmp_path, topology()), tmp_path / "model.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    pictures = RNG.random((5, 8, 8, 3), np.float32)
    (scores,) = session.run(["scores"], {"input": pictures})
    np.testing.assert_allclose(scores, by_torch(pictures), atol=1e-6)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = files(tmp_path, topology())
    convert(paths, tmp_path / "one.onnx")
    convert(paths, tmp_path / "two.onnx")
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_reads_javascript_as_data() -> None:
    script = 'x.exports={a:-.5,b:!0,c:!1,"d e":[1,2e3,1.5e-7],f:{g:"h:{!0}\\"i"},k:[]}},{}'
    expected = {"a": -0.5, "b": True, "c": False, "d e": [1, 2000.0, 1.5e-7], "f": {"g": 'h:{!0}"i'}, "k": []}
    assert read_module(script) == expected


@pytest.mark.parametrize(
    "script", ["no module", "exports={a:f()}", "exports={a:1", "exports={a:`x`}", "exports={...b}"]
)
def test_refuses_javascript_that_is_more_than_data(script: str) -> None:
    with pytest.raises(ConversionFailed):
        read_module(script)


def test_refuses_broken_base64() -> None:
    with pytest.raises(ConversionFailed, match="exports no base64"):
        read_base64_module("exports=f()")
    with pytest.raises(ConversionFailed, match="broken"):
        read_base64_module('exports="abcde"')


@pytest.mark.parametrize("cut", [-1, 1])
def test_refuses_weights_of_the_wrong_length(cut: int) -> None:
    data = b"".join(stored.tobytes() for stored in STORED.values())
    with pytest.raises(ConversionFailed):
        read_weights(topology(), data[:cut] if cut < 0 else data + b"x")


def test_weights_are_scaled_in_double_precision() -> None:
    data = b"".join(stored.tobytes() for stored in STORED.values())
    for name, values in read_weights(topology(), data).items():
        np.testing.assert_array_equal(
            values, (STORED[name].astype(np.float64) * SCALE + LEAST).astype(np.float32)
        )


@pytest.mark.parametrize(
    ("node", "change", "words"),
    [
        ("softmax", {"op": "LSTM"}, "LSTM"),
        ("conv", {"fused_ops": {"list": {"s": [encoded("BiasAdd"), encoded("Elu")]}}}, "Elu"),
        ("conv", {"padding": {"s": encoded("EXPLICIT")}}, "EXPLICIT"),
        ("conv", {"data_format": {"s": encoded("NCHW")}}, "NCHW"),
        ("flat", {"squeeze_dims": integers(1)}, "squeezes"),
        ("matmul", {"transpose_b": {"b": True}}, "transposes"),
    ],
)
def test_refuses_what_it_does_not_know(tmp_path: Path, node: str, change: dict[str, Any], words: str) -> None:
    model = copy.deepcopy(topology())
    (found,) = (one for one in model["modelTopology"]["node"] if one["name"] == node)
    if "op" in change:
        found.update(change)
    else:
        found["attr"].update(change)
    with pytest.raises(ConversionFailed, match=words):
        convert(files(tmp_path, model), tmp_path / "model.onnx")


def test_the_real_one_has_the_structure_of_its_source() -> None:
    """MobileNetV2 1.4: 35 full and 17 depthwise convolutions, 10 residual sums, 5 classes."""
    model = onnx.load(model_path("nsfwjs"))
    kinds = [node.op_type for node in model.graph.node]
    counts = {kind: kinds.count(kind) for kind in ("Conv", "Clip", "Add", "AveragePool", "Gemm", "Softmax")}
    assert counts == {"Conv": 52, "Clip": 35, "Add": 10, "AveragePool": 1, "Gemm": 1, "Softmax": 1}
    depthwise = [n for n in model.graph.node if any(a.name == "group" and a.i > 1 for a in n.attribute)]
    assert len(depthwise) == 17
    assert {e.domain: e.version for e in model.opset_import} == {"": 13}
    assert CATALOGUE["nsfwjs"].convert is not None
