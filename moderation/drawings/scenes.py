"""Pictures of worlds: what lies behind drawings in training, and drawings as signs in the evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from worldmodel.constants import FRAME, TILE, UNITS

if TYPE_CHECKING:
    from torch import Tensor

    from worldmodel.compiled import CompiledWorld
    from worldmodel.protocol import State

Pixels = NDArray[np.uint8]
LOOKS = 24
"""Places of one world that are looked at for backgrounds."""
DEPTHS: tuple[Literal["near", "mid", "far"], ...] = ("near", "mid", "far")
"""Where the signs of one world hang."""


class Renderer(Protocol):
    """What the evaluation needs of a world model: ``neural`` or ``simulator`` of :mod:`worldmodel.models`."""

    def spawn(self, worlds: Sequence[CompiledWorld], seeds: Sequence[int]) -> State: ...

    def render(self, state: State) -> Tensor: ...


def backgrounds(worlds: int, seed: int, *, evaluation: bool = False) -> Tensor:
    """(N, 3, 64, 64) uint8: parts of frames and whole ones at half size, of generated worlds' free places."""
    import torch
    from torch.nn import functional

    from worldmodel.gallery import generated_worlds
    from worldmodel.simulator import Simulator

    simulator = Simulator()
    rng = np.random.default_rng(seed)
    out: list[Tensor] = []
    for world in generated_worlds(worlds, seed, evaluation=evaluation):
        state = simulator.spawn([world] * LOOKS, [seed] * LOOKS)
        rows, columns = np.nonzero(np.asarray(world.tiles) == 0)
        chosen = rng.integers(len(rows), size=LOOKS)
        places = np.stack([columns[chosen], rows[chosen]], 1) * UNITS + UNITS // 2
        state.position[:] = torch.from_numpy(places.astype(np.int32))
        frames = simulator.render(state)
        whole = functional.avg_pool2d(frames.float(), 2).round().to(torch.uint8)
        out.append(whole[::3])
        for x, y in rng.integers(0, FRAME - 64 + 1, (3, 2)):
            out.append(frames[:, :, y : y + 64, x : x + 64])
    return torch.cat(out)


def sign_frames(pictures: Sequence[Pixels], model: Renderer, seed: int) -> Iterator[Pixels]:
    """A frame (128, 128, 3) for each picture (S, S, 4), in order: it hangs as a sign in an evaluation world.

    The drawing is 32 to 48 pixels high, whole, and beside the player.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, len(pictures), len(DEPTHS)):
        group = pictures[start : start + len(DEPTHS)]
        yield from _frames([_with_room(picture, rng) for picture in group], model, start + 1_000 * seed, rng)


def _with_room(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture with transparent pixels around it, so that it takes 32 to 48 of a sign's 48 pixels."""
    side = round(len(picture) * rng.uniform(1.0, 1.5))
    out = np.zeros((side, side, 4), np.uint8)
    left, top = ((side - len(picture)) // 2,) * 2
    out[top : top + len(picture), left : left + len(picture)] = picture
    return out


def _frames(
    pictures: Sequence[Pixels], model: Renderer, seed: int, rng: np.random.Generator
) -> Iterator[Pixels]:
    import torch

    world = _world_with(pictures, seed)
    boxes = {placed.index: placed.box for placed in world.placed if placed.kind == "sign"}
    state: State = model.spawn([world] * len(pictures), [seed] * len(pictures))
    for index in range(len(pictures)):
        x0, y0, x1, y1 = boxes[index]
        away = rng.uniform(30, 38) * rng.choice((-1, 1))
        x, y = (x0 + x1) * TILE / 2 + away, (y0 + y1) * TILE / 2 + rng.uniform(-16, 16)
        state.position[index] = torch.tensor([round(x * UNITS / TILE), round(y * UNITS / TILE)])
    yield from model.render(state).permute(0, 2, 3, 1).cpu().numpy()


def _world_with(pictures: Sequence[Pixels], seed: int) -> CompiledWorld:
    """A world of the evaluation's themes whose signs show the pictures."""
    from worldmodel.compiler import compile_world
    from worldmodel.gallery import EVALUATION_MECHANICS, EVALUATION_THEMES
    from worldmodel.package import WorldPackage
    from worldmodel.spec import AtDepth, Sign, WorldSpec

    spec = WorldSpec(
        title="drawings",
        prompt=EVALUATION_THEMES[seed % len(EVALUATION_THEMES)],
        mechanics=EVALUATION_MECHANICS[seed % len(EVALUATION_MECHANICS)],
        objects=tuple(
            Sign(kind="sign", image=f"{index}.png", where=AtDepth(depth=DEPTHS[index]))
            for index in range(len(pictures))
        ),
        seed=seed,
    )
    images = {f"{index}.png": picture for index, picture in enumerate(pictures)}
    digest = hashlib.sha256(spec.model_dump_json().encode())
    for picture in pictures:
        digest.update(picture.tobytes())
    return compile_world(WorldPackage(spec, images, {}, videos={}, sha256=digest.hexdigest(), raw={}))
