"""What every adapter shares: a state whose truth is a context of past pictures, chance, and weight files.

An adapter knows nothing of tiles, positions, keys or events. It is given the first frame, as the world's
pictures show it, and from then on only its own frames and the player's actions; both live in
``State.context``. The other fields of the state stay as they were at the spawn (the odometry of such a model
is unknown), no event is ever reported, and no episode ends by itself.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from worldmodel.bank import BankedModel
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS, EVENTS, FPS, FRAME, SAMPLE_RATE
from worldmodel.noise import dice
from worldmodel.protocol import ModelCard, Observation, State
from worldmodel.rendering import paint

_TWO_31 = float(2**31)


class ContextModel(BankedModel, ABC):
    """A :class:`worldmodel.protocol.WorldModel` over pixels; subclasses say how a context goes on.

    On the CPU every row is computed alone, so a world plays and looks the same bit for bit in every batch. On
    other devices rows are computed together, and replays repeat at one batch shape only.
    """

    def __init__(self, name: str, version: str, sha256: str, size: int, device: torch.device | str) -> None:
        super().__init__(device)
        self.size = size
        """Side of the model's own frames, in pixels."""
        self.card = ModelCard(name, version, sha256, FRAME, FPS, ACTIONS, SAMPLE_RATE)

    @property
    @abstractmethod
    def width(self) -> int:
        """Bytes of a row's context."""

    @abstractmethod
    def begin(self, frames: Tensor) -> Tensor:
        """(B, width) uint8 context of players who have seen one frame, (B, 3, size, size) uint8."""

    @abstractmethod
    def watch(self, context: Tensor, frames: Tensor, actions: Tensor) -> Tensor:
        """(B, width) uint8: the context after actions (B,) int64 that led to given frames (B, 3, size, size).

        With true frames, play goes on from footage instead of from a single picture.
        """

    @abstractmethod
    def advance(self, context: Tensor, actions: Tensor, seed: Tensor, step: Tensor) -> Tensor:
        """(B, width) uint8: the context one step on; actions, seed and step (B,) int64."""

    @abstractmethod
    def picture(self, context: Tensor) -> Tensor:
        """(B, 3, size, size) uint8: the newest frame of a context."""

    @torch.no_grad()
    def spawn(
        self, worlds: Sequence[CompiledWorld], seeds: Sequence[int], spawns: Sequence[int] | None = None
    ) -> State:
        """One fresh state per world, shown the frame of its spawn point.

        Raises ValueError when the lengths differ and IndexError for a spawn point a world does not have.
        """
        state = super().spawn(worlds, seeds, spawns)
        rows = [self.begin(shrink(paint(self.bank, row), self.size)) for row in self._apart(state)]
        return state.updated(context=torch.cat(rows))

    @torch.no_grad()
    def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
        """As the protocol says. ``confidence`` is 1: such a model gives no probability of what it drew."""
        groups = zip(self._apart(state), self._split(actions), strict=True)
        rows = [self.advance(row.context, chosen, row.seed, row.step) for row, chosen in groups]
        after = state.updated(context=torch.cat(rows), step=state.step + 1)
        count = len(state)
        return after, Observation(
            events=torch.zeros(count, EVENTS, dtype=torch.bool, device=self.device),
            clip=torch.full((count,), -1, device=self.device),
            done=after.done,
            confidence=torch.ones(count, device=self.device),
            frames=self.render(after) if render else None,
        )

    @torch.no_grad()
    def render(self, state: State) -> Tensor:
        return torch.cat([enlarge(self.picture(context)) for context in self._split(state.context)])

    def restore(self, data: bytes, worlds: Sequence[CompiledWorld]) -> State:
        """Raises KeyError for a world that is missing, ValueError for a state of another kind of model."""
        state = super().restore(data, worlds)
        if state.context.shape[1] != self.width:
            raise ValueError(
                f"the saved state has {state.context.shape[1]} bytes of context, {self.card.name} needs "
                f"{self.width}: restore it with the model that saved it"
            )
        return state

    def _split(self, rows: Tensor) -> tuple[Tensor, ...]:
        return torch.split(rows, 1 if self.device.type == "cpu" else max(1, len(rows)))

    def _apart(self, state: State) -> list[State]:
        if self.device.type != "cpu":
            return [state]
        return [state[row : row + 1] for row in range(len(state))]


def gauss(seed: Tensor, step: Tensor, draw: int, shape: tuple[int, ...]) -> Tensor:
    """(B, *shape) float32 of standard normal noise: a pure function of (B,) seed, (B,) step and ``draw``.

    Box and Muller, "A Note on the Generation of Random Normal Deviates" (1958), in double precision, so that
    the last bit of the single-precision result hardly ever depends on the mathematics library.
    """
    count = math.prod(shape)
    half = -(-count // 2)
    uniform = (dice(seed, step * 64 + draw, 2 * half).double() + 0.5) / _TWO_31
    radius = (-2 * uniform[:, :half].log()).sqrt()
    angle = 2 * math.pi * uniform[:, half:]
    normal = torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :count]
    return normal.float().view(-1, *shape)


def shrink(frames: Tensor, size: int) -> Tensor:
    """(B, 3, FRAME, FRAME) uint8 as (B, 3, size, size) uint8, each pixel a mean."""
    small = functional.adaptive_avg_pool2d(frames.float(), size)
    return small.round().to(torch.uint8)


def enlarge(frames: Tensor) -> Tensor:
    """(B, 3, size, size) uint8 as (B, 3, FRAME, FRAME) uint8, linear between pixels."""
    wide = functional.interpolate(frames.float(), size=(FRAME, FRAME), mode="bilinear")
    return wide.round().clamp(0, 255).to(torch.uint8)


def to_signal(frames: Tensor) -> Tensor:
    """uint8 pictures as float32 -1..1."""
    return frames.float() / 127.5 - 1


def to_pixels(signal: Tensor) -> Tensor:
    """-1..1 as uint8, rounded."""
    return ((signal.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def save_weights(tensors: dict[str, Tensor], config: dict[str, Any], kind: str, path: Path) -> str:
    """Write an adapter's weights as safetensors, its kind and config in the header; the file's SHA-256."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, path, metadata={"kind": kind, "config": json.dumps(config)})
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_weights(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and config of :func:`save_weights`. Raises ValueError for a file of another kind."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("kind") != kind:
            raise ValueError(f"{path}: weights of a {metadata.get('kind')!r} model, not of a {kind!r} model")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    config: dict[str, Any] = json.loads(metadata["config"])
    return tensors, config


def digest_of(path: Path, version: str) -> str:
    """SHA-256 of a weights file and of the step's code version: what a recording names."""
    return hashlib.sha256(path.read_bytes() + version.encode()).hexdigest()
