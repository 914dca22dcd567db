"""Steps per second of the neural world model, beside the simulator in the same run.

python benchmarks/world_steps.py [--seconds 3] [--threads 1] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from worldmodel.evaluation import Speed, measure_speed, peak_memory
from worldmodel.gallery import generated_worlds
from worldmodel.models import load_model

BATCHES = (1, 32, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="time given to each measurement")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    world = generated_worlds(1, seed=0, evaluation=True)[0]
    speeds = {
        name: measure_speed(load_model(name, wanted.device), world, BATCHES, wanted.seconds)
        for name in ("simulator", "neural")
    }
    _print(speeds, wanted.threads)
    if wanted.json:
        numbers = {name: [asdict(row) for row in rows] for name, rows in speeds.items()}
        told = {"threads": wanted.threads, "peak_memory_mib": peak_memory(), **numbers}
        wanted.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _print(speeds: dict[str, list[Speed]], threads: int) -> None:
    table = Table(title=f"World-steps per second, {threads} thread(s)")
    for heading in ("model", "batch", "with frames", "without", "with frames / simulator's"):
        table.add_column(heading, justify="right")
    for name, rows in speeds.items():
        for row, base in zip(rows, speeds["simulator"], strict=True):
            ratio = row.with_frames / base.with_frames
            numbers = (f"{row.with_frames:,.0f}", f"{row.without_frames:,.0f}", f"{ratio:.2f}")
            table.add_row(name, str(row.batch), *numbers)
    Console().print(table)


if __name__ == "__main__":
    main()
