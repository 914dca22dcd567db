"""The captured step plays as the eager one does."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from tests.small_worlds import small_world
from worldmodel.graphed import GraphedStep
from worldmodel.neural import NeuralWorldModel
from worldmodel.protocol import State

WORLD = small_world("########\n#@.o.w.#\n#......#\n########")


def test_without_a_cuda_device_it_says_what_it_needs() -> None:
    model = NeuralWorldModel()
    with pytest.raises(ValueError, match="needs a model on a CUDA device, not on cpu"):
        GraphedStep(model, model.spawn([WORLD], [1]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_replays_the_eager_step() -> None:
    torch.manual_seed(0)
    model = NeuralWorldModel(device="cuda")
    eager = model.spawn([WORLD] * 4, [1, 2, 3, 4])
    graphed, graph = eager.clone(), GraphedStep(model, eager)
    for number in range(20):
        actions = torch.full((4,), number % 8, device="cuda")
        eager, seen = model.step(eager, actions)
        graphed, same = graph.step(graphed, actions)
        assert all(torch.equal(getattr(eager, f.name), getattr(graphed, f.name)) for f in fields(State))
        assert torch.equal(seen.frames, same.frames)
