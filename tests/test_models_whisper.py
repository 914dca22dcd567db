"""Whisper as ONNX with 8-bit weights becomes openai-whisper's state dict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from whisper.model import ModelDimensions, Whisper

from moderation.models import ConversionFailed
from moderation.models.convert_whisper import convert

STATE, MELS, VOCABULARY = 8, 80, 20
SIZES = ModelDimensions(MELS, 6, STATE, 2, 1, VOCABULARY, 5, STATE, 2, 1)
SCALE, ZERO = 0.02, 3
RNG = np.random.default_rng(5)


def stored(*shape: int) -> NDArray[np.int8]:
    return RNG.integers(-128, 128, shape, dtype=np.int8)


def meant(values: NDArray[np.int8]) -> NDArray[np.float32]:
    return ((values.astype(np.float32) - ZERO) * np.float32(SCALE)).astype(np.float16)


class Graph:
    """What Optimum writes, as far as weights go; nobody runs it."""

    def __init__(self, suffix: str = "") -> None:
        self.suffix = suffix
        self.initializers: list[TensorProto] = []
        self.nodes: list[onnx.NodeProto] = []
        self.count = 0

    def plain(self, name: str, *shape: int) -> NDArray[np.float32]:
        values = RNG.standard_normal(shape).astype(np.float32)
        self.initializers.append(numpy_helper.from_array(values, name + self.suffix))
        return values.astype(np.float16)

    def quantized(self, name: str, values: NDArray[np.int8]) -> str:
        base = name + self.suffix
        parts = {"quantized": values, "scale": np.float32(SCALE), "zero_point": np.int8(ZERO)}
        for part, value in parts.items():
            self.initializers.append(numpy_helper.from_array(np.asarray(value), f"{base}_{part}"))
        return f"{base}_quantized"

    def product(self, node: str, values: NDArray[np.int8]) -> None:
        self.count += 1
        weight = self.quantized(f"onnx::MatMul_{self.count}", values)
        self.nodes.append(helper.make_node("MatMulInteger", ["x", weight], [f"y{self.count}"], name=node))

    def save(self, path: Path, *, branch: bool) -> None:
        nodes = self.nodes
        if branch:
            inner = helper.make_graph(nodes, "branch", [], [])
            nodes = [helper.make_node("If", ["use"], [], then_branch=inner, else_branch=inner)]
        graph = helper.make_graph(nodes, "g", [], [], self.initializers)
        path.write_bytes(helper.make_model(graph).SerializeToString())


def blocks(side: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Transformers' and openai-whisper's names of one block's matrices, and their shapes (in, out)."""
    pairs = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
    attentions = {"self_attn": "attn"} | ({"encoder_attn": "cross_attn"} if side == "decoder" else {})
    for theirs, ours in attentions.items():
        for a, b in pairs.items():
            yield f"layers.0/{theirs}/{a}", f"blocks.0.{ours}.{b}", (STATE, STATE)
    yield "layers.0/fc1", "blocks.0.mlp.0", (STATE, 4 * STATE)
    yield "layers.0/fc2", "blocks.0.mlp.2", (4 * STATE, STATE)


def build(side: str, path: Path) -> dict[str, NDArray[np.float32]]:
    """Write one half of the model; the tensors that it should become."""
    inside = side == "decoder"
    graph = Graph("_merged_0" if inside else "")
    scope = "model.decoder." if inside else ""
    wanted = {}
    for theirs, ours, shape in blocks(side):
        values = stored(*shape)
        graph.product(f"{'/model/decoder' if inside else ''}/{theirs}/MatMul_quant", values)
        wanted[f"{ours}.weight"] = meant(values).T
        if not theirs.endswith("k_proj"):
            wanted[f"{ours}.bias"] = graph.plain(scope + theirs.replace("/", ".") + ".bias", shape[1])
    norms = {"self_attn_layer_norm": "attn_ln", "final_layer_norm": "mlp_ln"}
    norms |= {"encoder_attn_layer_norm": "cross_attn_ln"} if inside else {}
    for theirs, ours in {
        **{f"layers.0.{a}": f"blocks.0.{b}" for a, b in norms.items()},
        "layer_norm": "ln" if inside else "ln_post",
    }.items():
        for kind in ("weight", "bias"):
            wanted[f"{ours}.{kind}"] = graph.plain(f"{scope}{theirs}.{kind}", STATE)
    places = SIZES.n_text_ctx if inside else SIZES.n_audio_ctx
    wanted["positional_embedding"] = graph.plain(f"{scope}embed_positions.weight", places, STATE)
    if inside:
        values = stored(VOCABULARY, STATE)
        graph.quantized(f"{scope}embed_tokens.weight", values)
        wanted["token_embedding.weight"] = meant(values)
    else:
        for number, channels in ((1, MELS), (2, STATE)):
            values = stored(STATE, channels, 3)
            weight = graph.quantized(f"conv{number}.weight", values)
            name = f"/conv{number}/Conv_quant"
            graph.nodes.append(helper.make_node("ConvInteger", ["x", weight], [f"c{number}"], name=name))
            wanted[f"conv{number}.weight"] = meant(values)
            wanted[f"conv{number}.bias"] = graph.plain(f"conv{number}.bias", STATE)
    graph.save(path, branch=inside)
    return {f"{side}.{name}": values for name, values in wanted.items()}


def test_every_tensor_of_whisper_is_found_in_the_graphs(tmp_path: Path) -> None:
    halves = [tmp_path / f"{side}.onnx" for side in ("encoder", "decoder")]
    wanted = build("encoder", halves[0]) | build("decoder", halves[1])
    convert(halves, tmp_path / "w.safetensors")
    made = load_file(tmp_path / "w.safetensors")
    shapes = {name: tuple(tensor.shape) for name, tensor in Whisper(SIZES).state_dict().items()}
    assert {name: values.shape for name, values in made.items()} == shapes
    for name, values in wanted.items():
        np.testing.assert_array_equal(made[name], values, err_msg=name)


def test_the_same_graphs_give_the_same_bytes(tmp_path: Path) -> None:
    halves = [tmp_path / f"{side}.onnx" for side in ("encoder", "decoder")]
    build("encoder", halves[0]), build("decoder", halves[1])
    for name in ("one", "two"):
        convert(halves, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_weight_without_its_scale_is_refused(tmp_path: Path) -> None:
    halves = [tmp_path / f"{side}.onnx" for side in ("encoder", "decoder")]
    build("encoder", halves[0]), build("decoder", halves[1])
    model = onnx.load(halves[0])
    kept = [one for one in model.graph.initializer if one.name != "conv1.weight_scale"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    halves[0].write_bytes(model.SerializeToString())
    with pytest.raises(ConversionFailed, match=r"conv1\.weight.*scale"):
        convert(halves, tmp_path / "w")
