"""The exported step beside the model it was exported from."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from tests.exported import exported, random_model, yards
from worldmodel.compiled import CompiledWorld
from worldmodel.crops import read_layers, unpack
from worldmodel.export import ExportedStep, compare, read_pictures, world_inputs
from worldmodel.neural import NeuralWorldModel
from worldmodel.simulator import Simulator


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
