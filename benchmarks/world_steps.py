"""Steps per second of the neural world model, beside the simulator in the same run.

python benchmarks/world_steps.py [--seconds 3] [--threads 1] [--device cuda] [--json FILE]

On the CPU the exported step is measured beside them, under ONNX Runtime, row by row, since its graph is of
one player. On a CUDA device the step is captured as a graph and the curve goes from batch 1 to 8,192; the
share of the roofline compares with the peaks that the options name (defaults: what an H200 measured).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS, FRAME
from worldmodel.export import ExportedStep, export_step, world_inputs
from worldmodel.gallery import generated_worlds
from worldmodel.graphed import GraphedStep
from worldmodel.models import load_model
from worldmodel.neural import NeuralWorldModel
from worldmodel.protocol import State, WorldModel

BATCHES = {"cpu": (1, 2, 4, 8, 32, 128), "cuda": (1, 8, 32, 128, 512, 2048, 8192)}


@dataclass
class Row:
    """One model at one batch size."""

    model: str
    batch: int
    frames: bool
    steps_per_second: float
    """World-steps: all rows together."""
    median_ms: float
    p95_ms: float
    """Of one step of the whole batch."""


Step = Callable[[State, torch.Tensor], State]


def stepper(model: WorldModel, state: State, *, frames: bool) -> Step:
    """One call per step: captured where the device allows it."""
    if isinstance(model, NeuralWorldModel) and model.device.type == "cuda":
        graph = GraphedStep(model, state, render=frames)
        return lambda now, actions: graph.step(now, actions)[0]
    return lambda now, actions: model.step(now, actions, render=frames)[0]


@torch.no_grad()
def measure(model: WorldModel, world: CompiledWorld, batch: int, seconds: float, *, frames: bool) -> Row:
    """Step for so long and count; every step is waited for, as a player would."""
    state = model.spawn([world] * batch, list(range(batch)))
    actions = torch.arange(batch, device=model.device) % ACTIONS
    step = stepper(model, state, frames=frames)
    times: list[float] = []
    state = step(state, actions)  # the first one warms up
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 5:
        begun = time.perf_counter()
        state = step(state, actions)
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return _row(model.card.name, batch, times, frames=frames)


def measure_exported(
    model: NeuralWorldModel, world: CompiledWorld, threads: int, batches: tuple[int, ...], seconds: float
) -> list[Row]:
    """The exported step with its frame, one row after the other, from one state again and again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.onnx"
        export_step(model, world, path)
        step, told, rows = ExportedStep(path, threads), world_inputs(world), []
        for batch in batches:
            state = model.spawn([world] * batch, list(range(batch)))
            times: list[float] = []
            until = time.perf_counter() + seconds
            while time.perf_counter() < until or len(times) < 5:
                begun = time.perf_counter()
                for row in range(batch):
                    step(told, state[row : row + 1], row % ACTIONS)
                times.append(time.perf_counter() - begun)
            rows.append(_row("exported", batch, times[1:], frames=True))
    return rows


def _row(model: str, batch: int, times: list[float], *, frames: bool) -> Row:
    middle, late = np.percentile(times, [50, 95]) * 1000
    return Row(model, batch, frames, batch * len(times) / sum(times), float(middle), float(late))


def flops_per_step(model: NeuralWorldModel, world: CompiledWorld) -> int:
    """Of matrix products and convolutions, for one world with its frame, rows not padded."""
    batch = 32
    state = model.spawn([world] * batch, list(range(batch)))
    with FlopCounterMode(display=False) as counter:
        model.step(state, torch.zeros(batch, dtype=torch.long, device=model.device))
    return int(counter.get_total_flops() / batch)


def bytes_per_session(model: WorldModel, world: CompiledWorld) -> int:
    """What a live session adds to the weights and its world: its state and one frame."""
    return len(model.save(model.spawn([world], [0]))) + 3 * FRAME * FRAME


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="time given to each measurement")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--weights", type=Path, help="weights to measure; default: the package's")
    parser.add_argument("--peak-tflops", type=float, default=790.0, help="of the device, for the roofline")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    world = generated_worlds(1, seed=0, evaluation=True)[0]
    neural = load_model("neural", wanted.device, wanted.weights)
    models = (load_model("simulator", wanted.device), neural)
    rows = [
        measure(model, world, batch, wanted.seconds, frames=frames)
        for model in models
        for batch in BATCHES[wanted.device]
        for frames in (True, False)
    ]
    if wanted.device == "cpu":
        rows += measure_exported(neural, world, wanted.threads, BATCHES["cpu"], wanted.seconds)
    flops, memory = flops_per_step(neural, world), bytes_per_session(neural, world)
    _print(rows, wanted.threads)
    best = max(row.steps_per_second for row in rows if row.model == "neural" and row.frames)
    share = best * flops / (wanted.peak_tflops * 1e12)
    print(f"{flops / 1e6:.0f} MFLOP a step with its frame; {memory / 1024:.0f} KiB a session")
    if wanted.device == "cuda":
        print(f"best rate: {share:.1%} of {wanted.peak_tflops:.0f} TFLOP/s")
    if wanted.json:
        told = {
            "device": wanted.device,
            "threads": wanted.threads,
            "flops_per_step": flops,
            "bytes_per_session": memory,
            "rows": [asdict(row) for row in rows],
        }
        wanted.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _print(rows: list[Row], threads: int) -> None:
    table = Table(title=f"World-steps per second, {threads} thread(s)")
    for heading in ("model", "batch", "frames", "steps/s", "median ms", "p95 ms", "times the simulator's"):
        table.add_column(heading, justify="right")
    base = {(row.batch, row.frames): row for row in rows if row.model == "simulator"}
    for row in rows:
        ratio = row.steps_per_second / base[row.batch, row.frames].steps_per_second
        numbers = (
            f"{row.steps_per_second:,.0f}",
            f"{row.median_ms:.1f}",
            f"{row.p95_ms:.1f}",
            f"{ratio:.2f}",
        )
        table.add_row(row.model, str(row.batch), "yes" if row.frames else "no", *numbers)
    Console().print(table)


if __name__ == "__main__":
    main()
