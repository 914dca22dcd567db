"""Rates and memory on the machine at hand."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS
from worldmodel.protocol import State, WorldModel


@dataclass
class Speed:
    """Steps per second (all rows together) at one batch size."""

    batch: int
    with_frames: float
    without_frames: float


def measure_speed(
    model: WorldModel, world: CompiledWorld, batches: Sequence[int] = (1, 32, 128), seconds: float = 3.0
) -> list[Speed]:
    """Rates on this machine with torch's present thread count."""
    return [
        Speed(
            batch,
            _rate(model, world, batch, seconds, render=True),
            _rate(model, world, batch, seconds, render=False),
        )
        for batch in batches
    ]


@torch.no_grad()
def _rate(model: WorldModel, world: CompiledWorld, batch: int, seconds: float, *, render: bool) -> float:
    state = model.spawn([world] * batch, list(range(batch)))
    actions = torch.arange(batch, device=model.device) % ACTIONS
    state, _ = model.step(state, actions, render=render)
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        state, _ = model.step(state, actions, render=render)
        steps += batch
    return steps / (time.perf_counter() - begun)


def session_bytes(state: State) -> int:
    """Bytes of state that one live session needs."""
    tensors: list[Tensor] = [getattr(state, f.name) for f in fields(State)]
    return sum(t.numel() * t.element_size() for t in tensors) // max(1, len(state))


def peak_memory() -> float:
    """Peak resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
