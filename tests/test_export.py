"""The exported step beside the model it was exported from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import onnx
import pytest
import torch
import typer
from typer.testing import CliRunner

from tests.exported import exported, random_model, yards
from worldmodel.cli import register
from worldmodel.compiled import CompiledWorld
from worldmodel.crops import read_layers, unpack
from worldmodel.export import ExportedStep, compare, read_pictures, world_inputs
from worldmodel.neural import NeuralWorldModel, save_model
from worldmodel.quantise import quantise
from worldmodel.simulator import Simulator


def app() -> typer.Typer:
    app = typer.Typer()
    register(app)
    return app


@pytest.fixture(scope="module")
def worlds() -> list[CompiledWorld]:
    return yards()


@pytest.fixture(scope="module")
def model() -> NeuralWorldModel:
    return random_model()


@pytest.fixture(scope="module")
def path() -> Path:
    return exported()


def test_the_graph_plays_as_the_model_does(
    model: NeuralWorldModel, worlds: list[CompiledWorld], path: Path
) -> None:
    found = compare(model, ExportedStep(path), worlds, steps=48)
    assert found.steps == 48 * 8
    assert found.differing == 0
    assert found.frame_max <= 1
    assert found.confidence_max < 1e-5


def test_the_comparison_notices_other_weights(worlds: list[CompiledWorld], path: Path) -> None:
    torch.manual_seed(1)
    other = NeuralWorldModel()
    found = compare(other, ExportedStep(path), worlds[:1], steps=4)
    assert found.differing > 0
    assert found.frame_max > 1


def test_the_graph_is_one_small_file_of_static_shapes(path: Path) -> None:
    assert path.stat().st_size < 10_000_000
    assert [file.name for file in path.parent.iterdir()] == ["step.onnx"]
    graph = onnx.load(path).graph
    sizes = [d for value in (*graph.input, *graph.output) for d in value.type.tensor_type.shape.dim]
    assert all(size.dim_value > 0 for size in sizes)


def test_convolutions_in_8_bits_change_frames_a_little_and_decisions_never(
    model: NeuralWorldModel, worlds: list[CompiledWorld], path: Path, tmp_path: Path
) -> None:
    quantise(path, tmp_path / "step.int8.onnx", model, worlds[:4])
    found = compare(model, ExportedStep(tmp_path / "step.int8.onnx"), worlds[4:], steps=8)
    assert found.differing == 0
    assert found.frame_max > 1, "it is another graph"
    assert found.psnr > 40


def test_the_command_writes_all_that_a_browser_needs(model: NeuralWorldModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "weights.safetensors")
    options = [
        "--out",
        str(tmp_path / "site"),
        "--weights",
        str(tmp_path / "weights.safetensors"),
        "--check",
        "2",
    ]
    answer = CliRunner().invoke(app(), ["worldmodel", "export", "examples/mossy-steps", *options])
    assert answer.exit_code == 0, answer.output
    written = {file.name for file in (tmp_path / "site").iterdir()}
    assert {"index.html", "model.js", "ort", "world.json", "world.bin", "step.onnx", "card.md"} <= written
    about = json.loads((tmp_path / "site" / "world.json").read_text())
    assert about["title"] == "Mossy Steps"
    card = (tmp_path / "site" / "card.md").read_text()
    assert re.search(r"\| step.onnx \| [34]\.\d \| 16 \| 0 \| [01], ", card)


def test_the_command_refuses_a_folder_without_a_world(tmp_path: Path) -> None:
    save_model(random_model(), tmp_path / "w.safetensors")
    options = ["--out", str(tmp_path / "site"), "--weights", str(tmp_path / "w.safetensors")]
    answer = CliRunner().invoke(app(), ["worldmodel", "export", str(tmp_path), *options])
    assert answer.exit_code == 2
    assert "error:" in answer.output
    assert not (tmp_path / "site").exists()


def test_pictures_from_bytes_are_those_from_packed_pixels(worlds: list[CompiledWorld]) -> None:
    """Played by the simulator, so that movers crowd, leave the view and face both ways."""
    truth = Simulator()
    for number, world in enumerate(worlds):
        state = truth.spawn([world], [number])
        given = {name: torch.from_numpy(value) for name, value in world_inputs(world).items()}
        for step in range(24):
            layers, pixels = read_pictures(state, given["picture"], given["atlas"], given["sprites"])
            expected = read_layers(truth.bank, state)
            assert torch.equal(pixels, unpack(expected.pixels))
            assert torch.equal(layers.offset, expected.offset)
            assert torch.equal(layers.centre, expected.centre)
            state, _ = truth.step(state, torch.tensor([(step // 3) % 8]), render=False)
