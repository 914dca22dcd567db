"""Frames per second that are measured for flashing and stripes, beside FFmpeg's filter in the same run.

python benchmarks/flash_speed.py [--frames 600] [--repeats 5] [--json FILE]

Everything runs on one thread and is timed in processor seconds, so that a busy machine tells no lies; the
time on the clock is shown beside it. FFmpeg's ``photosensitivity`` (through PyAV) is the baseline: it knows
general flashes of the whole picture only, no red, no blocks of ten degrees, no extended flashes and no
stripes. Both are shown the same frames of 128 x 128: random play in an example world, a scene that scrolls,
and a strobe.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from av.filter import Graph
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from moderation.detectors.base import Motion
from moderation.detectors.flash import Flash
from worldmodel.compiler import compile_world
from worldmodel.constants import ACTIONS, FPS, FRAME
from worldmodel.models import load_model
from worldmodel.package import load_package

EXAMPLES = Path(__file__).parent.parent / "examples"
WORLDS = ("moon-market", "top-garden", "back-room")

Frames = NDArray[np.uint8]


@dataclass
class Row:
    """One kind of content."""

    content: str
    frames: int
    frames_per_second: float
    """Of processor time, median of the repeats."""
    on_the_clock: float
    """Frames per second as a bystander would count them, median."""
    ffmpeg: float
    """Frames per second of processor time of the baseline, median."""


@torch.no_grad()
def played(name: str, frames: int, seed: int = 0) -> Frames:
    """(T, 128, 128, 3): what the simulator shows of random play."""
    world = compile_world(load_package(EXAMPLES / name))
    model = load_model("simulator")
    rng = np.random.default_rng(seed)
    state, action = model.spawn([world], [seed]), 0
    shown = []
    for _ in range(frames):
        action = int(rng.integers(ACTIONS)) if rng.random() < 0.2 else action
        state, seen = model.step(state, torch.tensor([action]))
        assert seen.frames is not None
        shown.append(seen.frames[0].permute(1, 2, 0).numpy())
    return np.stack(shown)


def scrolling(frames: int) -> Frames:
    """A scene of soft detail that moves by three pixels a frame, to and fro."""
    noise = np.random.default_rng(3).integers(0, 256, (FRAME, 4 * FRAME, 3), dtype=np.uint8)
    scene = np.clip((cv2.GaussianBlur(noise, (0, 0), 2).astype(float) - 127) * 6 + 127, 0, 255)
    ways = [abs((3 * t) % (6 * FRAME) - 3 * FRAME) for t in range(frames)]
    return np.stack([scene[:, x : x + FRAME] for x in ways]).astype(np.uint8)


def strobe(frames: int) -> Frames:
    """All black and all white, two frames each."""
    lit = np.arange(frames) // 2 % 2 * 255
    return np.broadcast_to(lit[:, None, None, None], (frames, FRAME, FRAME, 3)).astype(np.uint8)


def ffmpeg(frames: Frames) -> None:
    """Run FFmpeg's filter over the frames."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(width=FRAME, height=FRAME, format="rgb24", time_base=f"1/{FPS}")
    chosen = graph.add("photosensitivity", f"frames={FPS}")
    sink = graph.add("buffersink")
    source.link_to(chosen)
    chosen.link_to(sink)
    graph.configure()
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts = index
        graph.push(frame)
        graph.pull()


def rates(run: Callable[[], object], frames: int, repeats: int) -> tuple[float, float]:
    """Frames per second of processor time and on the clock, medians, after one run to warm up."""
    run()
    measured = []
    for _ in range(repeats):
        begun = time.process_time(), time.perf_counter()
        run()
        measured.append((time.process_time() - begun[0], time.perf_counter() - begun[1]))
    processor, clock = np.median(measured, axis=0)
    return frames / float(processor), frames / float(clock)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=600, help="of each kind of content")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all numbers here")
    wanted = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    flash = Flash()
    contents = {f"play in {name}": played(name, wanted.frames) for name in WORLDS}
    contents |= {"scrolling": scrolling(wanted.frames), "strobe": strobe(wanted.frames)}
    rows = []
    for content, frames in contents.items():
        ours = rates(lambda frames=frames: flash([Motion(frames, FPS)]), len(frames), wanted.repeats)
        base = rates(lambda frames=frames: ffmpeg(frames), len(frames), wanted.repeats)
        rows.append(Row(content, len(frames), *ours, base[0]))
    table = Table("content", "frames/s", "on the clock", "FFmpeg", title="Flashing and stripes, one thread")
    for row in rows:
        numbers = (row.frames_per_second, row.on_the_clock, row.ffmpeg)
        table.add_row(row.content, *(f"{number:,.0f}" for number in numbers))
    Console().print(table)
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
