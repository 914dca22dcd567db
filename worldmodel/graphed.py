"""One step of the neural model as a CUDA graph: a thousand small kernels launched as one.

Only for CUDA devices, and for one batch size and set of worlds per graph; the state never leaves the device.
"""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from worldmodel.neural import NeuralWorldModel
from worldmodel.protocol import Observation, State

WARM_UP_STEPS = 3
"""Eager steps before a capture, so that libraries choose and load their kernels (PyTorch's own advice)."""


class GraphedStep:
    """Replays a captured step. Worlds added to the model's bank later need a new graph."""

    def __init__(self, model: NeuralWorldModel, state: State, *, render: bool = True) -> None:
        """Capture for states like ``state``. Raises ValueError for a model that is not on a CUDA device."""
        if model.device.type != "cuda":
            raise ValueError(f"a CUDA graph needs a model on a CUDA device, not on {model.device}")
        self._before = state.clone()
        self._actions = torch.zeros(len(state), dtype=torch.int64, device=model.device)
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_STEPS):
                model.step(self._before, self._actions, render=render)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._after, self._seen = model.step(self._before, self._actions, render=render)

    def step(self, state: State, actions: Tensor) -> tuple[State, Observation]:
        """As ``WorldModel.step``. What it returns is overwritten by the next call: copy what shall stay."""
        for f in fields(State):
            getattr(self._before, f.name).copy_(getattr(state, f.name))
        self._actions.copy_(actions)
        self._graph.replay()
        return self._after, self._seen
