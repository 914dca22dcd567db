"""For looking at: the simulator above, the model below, and what differs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import FPS, FRAME
from worldmodel.evaluation.players import Players
from worldmodel.evaluation.records import Playable
from worldmodel.simulator import Simulator

SHOWN = (1, 8, 32, 64, 128, 256, 512, 1024)
"""Steps on a contact sheet."""
GAP = 4
SCALE = 2
"""A video's pixels per pixel of a frame."""
DIFFERENCE = 3
"""The difference is shown so many times stronger."""

Pixels = NDArray[np.uint8]


@torch.no_grad()
def write_sheet(
    model: Playable, world: CompiledWorld, folder: Path, seed: int, steps: int, video_steps: int
) -> list[Path]:
    """One world, open loop: NAME.png with SHOWN steps up to ``steps``, NAME.mp4 of the first ones."""
    folder.mkdir(parents=True, exist_ok=True)
    shown: dict[int, Pixels] = {}
    film: list[Pixels] = []
    wanted = [step for step in SHOWN if step <= steps]
    for number, truth, own in _side_by_side(model, world, seed, max([video_steps, *wanted])):
        if number in wanted:
            shown[number] = _column(truth, own)
        if number <= video_steps:
            film.append(np.concatenate([truth, np.full((FRAME, GAP, 3), 255, np.uint8), own], 1))
    name = "".join(c if c.isalnum() else "-" for c in world.title.lower())
    sheet, video = folder / f"{name}.png", folder / f"{name}.mp4"
    _save_sheet(shown, sheet)
    _save_video(film, video)
    return [sheet, video]


def _side_by_side(
    model: Playable, world: CompiledWorld, seed: int, steps: int
) -> Iterator[tuple[int, Pixels, Pixels]]:
    """Step, the simulator's frame and the model's."""
    simulator = Simulator(model.device, model.bank)
    truth = model.spawn([world], [seed])
    own = truth.clone()
    players = Players(1, torch.Generator().manual_seed(seed))
    players.errand[:] = True
    for number in range(1, steps + 1):
        actions = players.act(truth)
        truth, told = simulator.step(truth, actions)
        own, seen = model.step(own, actions)
        yield number, _pixels(told.frames), _pixels(seen.frames)


def _pixels(frames: Tensor | None) -> Pixels:
    assert frames is not None
    pixels: Pixels = frames[0].permute(1, 2, 0).cpu().numpy()
    return pixels


def _column(truth: Pixels, own: Pixels) -> Pixels:
    difference = np.clip(np.abs(truth.astype(int) - own.astype(int)) * DIFFERENCE, 0, 255).astype(np.uint8)
    gap = np.full((GAP, FRAME, 3), 255, np.uint8)
    return np.concatenate([truth, gap, own, gap, difference])


def _save_sheet(shown: dict[int, Pixels], path: Path) -> None:
    from PIL import Image, ImageDraw

    head, left = 14, 66
    width = left + len(shown) * (FRAME + GAP)
    sheet = Image.new("RGB", (width, head + 3 * (FRAME + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, label in enumerate(("simulator", "model", f"difference\nx {DIFFERENCE}")):
        draw.text((2, head + row * (FRAME + GAP) + FRAME // 2), label, fill="black")
    for number, (step, column) in enumerate(shown.items()):
        draw.text((left + number * (FRAME + GAP), 1), f"step {step}", fill="black")
        sheet.paste(Image.fromarray(column), (left + number * (FRAME + GAP), head))
    sheet.save(path)


def _save_video(film: list[Pixels], path: Path) -> None:
    """H.264 at FPS, the simulator on the left."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"crf": "16"})
        stream.width, stream.height = film[0].shape[1] * SCALE, film[0].shape[0] * SCALE
        stream.pix_fmt = "yuv420p"
        for pixels in film:
            large = pixels.repeat(SCALE, 0).repeat(SCALE, 1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(large), format="rgb24")))
        file.mux(stream.encode())
