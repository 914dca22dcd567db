"""The exported step with the decoder's convolutions in 8 bits; all that decides stays in 32.

Measured, it is neither faster nor much smaller (docs/world-models.md), so it is an option, and the card
beside the file says what it costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS
from worldmodel.export import Arrays, graph_inputs, world_inputs
from worldmodel.neural import NeuralWorldModel

CALIBRATION_STEPS, CALIBRATION_EVERY = 96, 8
"""Steps of random play per world, and how many of them lie between two that are looked at."""


class _Play(CalibrationDataReader):  # type: ignore[misc]
    """Inputs of the graph from random play."""

    def __init__(self, model: NeuralWorldModel, worlds: Sequence[CompiledWorld]) -> None:
        self._moments = _moments(model, worlds)

    def get_next(self) -> Arrays | None:
        return next(self._moments, None)


def _moments(model: NeuralWorldModel, worlds: Sequence[CompiledWorld]) -> Iterator[Arrays]:
    rng = np.random.default_rng(0)
    described = [world_inputs(world) for world in worlds]
    state = model.spawn(worlds, list(range(len(worlds))))
    for step in range(CALIBRATION_STEPS):
        actions = torch.from_numpy(rng.integers(0, ACTIONS, len(worlds)))
        if step % CALIBRATION_EVERY == 0:
            for row, world in enumerate(described):
                yield graph_inputs(world, state[row : row + 1], int(actions[row]))
        state, _ = model.step(state, actions, render=False)


def quantise(path: Path, out: Path, model: NeuralWorldModel, worlds: Sequence[CompiledWorld]) -> None:
    """Write the graph at ``path`` with 8-bit convolutions, their ranges taken from play in ``worlds``."""
    quantize_static(
        path,
        out,
        _Play(model, worlds),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
