"""The contract between a world model and everything that plays it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import torch
from torch import Tensor

from worldmodel.compiled import CompiledWorld


@dataclass(frozen=True)
class ModelCard:
    """What a recording must name to be replayable on the same model."""

    name: str
    version: str
    sha256: str
    """Hash of the weights and of the step's code version: equal hashes replay bit for bit."""
    frame_size: int
    fps: int
    actions: int
    sample_rate: int


@dataclass
class State:
    """B players' worlds at one moment: batched tensors, and nothing outside them.

    Indexing with a mask, slice or index tensor, :func:`concatenate`, and ``WorldModel.save`` /
    ``restore`` all keep a state exact: stepping a restored copy gives what the original would give.
    """

    world: Tensor
    """(B,) int64: slot of the compiled world in the model's bank."""
    canvas: Tensor
    """(B, MAP_HEIGHT, MAP_WIDTH) uint8 of Tile: the spatial memory that the model reads and writes."""
    position: Tensor
    """(B, 2) int32 x, y of the player's centre, in units."""
    velocity: Tensor
    """(B, 2) int32 units per step."""
    facing: Tensor
    """(B,) int32: 1 right, -1 left."""
    health: Tensor
    """(B,) int32 0..3."""
    safe: Tensor
    """(B,) int32: steps during which nothing hurts, after a hurt."""
    touched: Tensor
    """(B,) bool: an enemy touched the player in the last step."""
    keys: Tensor
    """(B,) int32 0..3."""
    coins: Tensor
    """(B,) int32 collected so far."""
    flash: Tensor
    """(B,) int32: steps for which the lights go on flashing."""
    speech: Tensor
    """(B,) int32: steps until a character may speak again."""
    held: Tensor
    """(B,) bool: UP was held in the last step; a jump in the air needs it pressed anew."""
    air: Tensor
    """(B,) int32: jumps left to make in the air."""
    riding: Tensor
    """(B,) bool: standing on a moving platform."""
    look: Tensor
    """(B,) int32 pixels by which the camera leads the player now, negative to the left."""
    score: Tensor
    """(B,) int32: 10 a coin, 25 a key, 50 a door opened with one, 100 the goal."""
    mover_kind: Tensor
    """(B, MOVER_SLOTS) int32 of Mover."""
    mover_position: Tensor
    """(B, MOVER_SLOTS, 2) int32 units."""
    mover_heading: Tensor
    """(B, MOVER_SLOTS) int32: 0 right, 1 left, 2 up, 3 down."""
    mover_moved: Tensor
    """(B, MOVER_SLOTS) bool: moved in the last step; a platform takes its riders along."""
    seed: Tensor
    """(B,) int64: key of the counter-based noise."""
    step: Tensor
    """(B,) int64: steps since the spawn."""
    done: Tensor
    """(B,) bool: the goal was reached."""
    context: Tensor
    """(B, N) uint8: what a model that plays from pixels remembers (:mod:`worldmodel.adapters`), opaque to all
    others; N is 0 where the fields above are the whole truth."""

    def __len__(self) -> int:
        return int(self.world.shape[0])

    def __getitem__(self, index: Tensor | slice | list[int]) -> State:
        return State(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def clone(self) -> State:
        return State(**{f.name: getattr(self, f.name).clone() for f in fields(self)})

    def to(self, device: torch.device | str) -> State:
        return State(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def updated(self, **changes: Tensor) -> State:
        return replace(self, **changes)

    def where(self, keep: Tensor, other: State) -> State:
        """These rows where ``keep`` (B,), else the rows of ``other``."""

        def choose(mine: Tensor, theirs: Tensor) -> Tensor:
            return torch.where(keep.view(-1, *[1] * (mine.dim() - 1)), mine, theirs)

        return State(**{f.name: choose(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})

    def assign(self, index: Tensor, other: State) -> None:
        """Put the rows of ``other`` into the rows ``index`` of this state, in place."""
        for f in fields(self):
            getattr(self, f.name)[index] = getattr(other, f.name)


def concatenate(states: Sequence[State]) -> State:
    """Join states row after row."""
    return State(**{f.name: torch.cat([getattr(s, f.name) for s in states]) for f in fields(State)})


@dataclass(frozen=True)
class Observation:
    """What B players see and hear in one step."""

    events: Tensor
    """(B, EVENTS) bool, columns as in :class:`worldmodel.constants.Event`."""
    clip: Tensor
    """(B,) int64: index into the world's ``clips`` of the sound that starts now, -1 for none."""
    done: Tensor
    """(B,) bool."""
    confidence: Tensor
    """(B,) float32 0..1: probability that the model gives to the motion it chose (1 in the simulator)."""
    frames: Tensor | None = None
    """(B, 3, FRAME, FRAME) uint8 RGB after the step, None where ``render=False``."""


class WorldModel(Protocol):
    """Plays any number of compiled worlds at once. Deterministic for its weights, seeds and actions."""

    card: ModelCard
    device: torch.device

    def spawn(
        self, worlds: Sequence[CompiledWorld], seeds: Sequence[int], spawns: Sequence[int] | None = None
    ) -> State:
        """One fresh state per world; ``spawns`` chooses each world's spawn point (default 0, the start).

        Raises IndexError for a spawn point that a world does not have.
        """
        ...

    def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
        """All rows one step on; ``actions`` (B,) int64 of Action. The given state is left as it is.

        Exploration mostly needs no pictures: ``render=False`` skips the decoder.
        """
        ...

    def render(self, state: State) -> Tensor:
        """(B, 3, FRAME, FRAME) uint8 frames of a state."""
        ...

    def world(self, slot: int) -> CompiledWorld:
        """The compiled world behind an entry of ``State.world``."""
        ...

    def save(self, state: State) -> bytes:
        """The state as safetensors; names its worlds by key."""
        ...

    def restore(self, data: bytes, worlds: Sequence[CompiledWorld]) -> State:
        """The exact state again. Raises KeyError naming a world key that ``worlds`` lacks."""
        ...
