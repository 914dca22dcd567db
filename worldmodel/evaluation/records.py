"""What was measured, step by step and row by row, and the counts and shares it comes to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from worldmodel.bank import WorldBank
from worldmodel.constants import Event, Tile
from worldmodel.protocol import Observation, State, WorldModel

NOT_THE_PLAYERS = frozenset(
    (
        "mover_kind",
        "mover_position",
        "mover_heading",
        "mover_moved",
        "touched",
        "world",
        "seed",
        "step",
        "context",
    )
)
"""Fields of a state that say nothing of the player or the map; movers are compared on their own."""


class Playable(WorldModel, Protocol):
    """A world model whose states the simulator can step, since both read one bank."""

    bank: WorldBank


@dataclass
class EventScore:
    """Counts of one event."""

    true: int = 0
    predicted: int = 0
    simulated: int = 0

    @property
    def precision(self) -> float | None:
        return self.true / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        return self.true / self.simulated if self.simulated else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of the two, None where the event is in neither."""
        together = self.predicted + self.simulated
        return 2 * self.true / together if together else None

    def as_json(self) -> dict[str, float | int | None]:
        return {**asdict(self), "precision": self.precision, "recall": self.recall, "f1": self.f1}

    @classmethod
    def of(cls, mine: Tensor, theirs: Tensor) -> EventScore:
        """From bools of any one shape."""
        return cls(int((mine & theirs).sum()), int(mine.sum()), int(theirs.sum()))


@dataclass
class Steps:
    """Single steps of the model, each beside the simulator's from the same state. Lists of (B, ...)."""

    world: list[Tensor] = field(default_factory=list)
    exact: list[Tensor] = field(default_factory=list)
    """Everything of the player and the whole map as the simulator's."""
    movers: list[Tensor] = field(default_factory=list)
    """(B, 2) movers that moved as the simulator's, and movers."""
    mine: list[Tensor] = field(default_factory=list)
    """(B, EVENTS) events."""
    theirs: list[Tensor] = field(default_factory=list)
    my_clip: list[Tensor] = field(default_factory=list)
    their_clip: list[Tensor] = field(default_factory=list)
    regrown: int = 0
    """Things that were taken and came back."""

    def add(self, before: State, after: State, seen: Observation, expected: State, told: Observation) -> None:
        """Rows whose goal was reached before count no more: they stand still in both."""
        live = ~before.done
        there = (before.mover_kind > 0)[live]
        moved = (after.mover_position == expected.mover_position).all(-1)
        moved &= after.mover_heading == expected.mover_heading
        self.world.append(before.world[live].cpu())
        self.exact.append(same_player(after, expected)[live].cpu())
        self.movers.append(torch.stack([(moved[live] & there).sum(1), there.sum(1)], 1).cpu())
        self.mine.append(seen.events[live].cpu())
        self.theirs.append(told.events[live].cpu())
        self.my_clip.append(seen.clip[live].cpu())
        self.their_clip.append(told.clip[live].cpu())
        self.regrown += int((came_back(before.canvas, after.canvas) & live[:, None, None]).sum())


@dataclass(frozen=True)
class Joined:
    """The lists of ``Steps`` one after the other: (N, ...)."""

    world: Tensor
    exact: Tensor
    movers: Tensor
    mine: Tensor
    theirs: Tensor
    my_clip: Tensor
    their_clip: Tensor

    def __getitem__(self, rows: Tensor) -> Joined:
        return Joined(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def mover_share(self) -> float | None:
        right, there = self.movers.sum(0).tolist()
        return right / there if there else None

    def events(self) -> dict[str, EventScore]:
        return {e.name.lower(): EventScore.of(self.mine[:, e], self.theirs[:, e]) for e in Event}

    def all_events(self) -> EventScore:
        return EventScore.of(self.mine, self.theirs)


def joined(*parts: Steps) -> Joined:
    """All steps of all parts."""
    return Joined(
        **{
            f.name: torch.cat([row for part in parts for row in getattr(part, f.name)])
            for f in fields(Joined)
        }
    )


def came_back(before: Tensor, after: Tensor) -> Tensor:
    """Which tiles are a coin or a key that was not there before: nothing in a world puts one down."""
    return ((after == Tile.COIN) | (after == Tile.KEY)) & (before != after)


def same_player(state: State, other: State) -> Tensor:
    """(B,) whether the player and the map are the same in every number."""
    same = torch.ones(len(state), dtype=torch.bool, device=state.canvas.device)
    for f in fields(State):
        if f.name not in NOT_THE_PLAYERS:
            equal = getattr(state, f.name) == getattr(other, f.name)
            same &= equal.reshape(len(state), -1).all(1)
    return same


def within(flags: Tensor, others: Tensor, steps: int) -> Tensor:
    """Which (T, B, E) flags have one of the others within some steps."""
    wide = functional.max_pool1d(others.float().permute(1, 2, 0), 2 * steps + 1, 1, steps)
    return flags & (wide.permute(2, 0, 1) > 0)


def share(flags: Tensor) -> float | None:
    """Mean of bools, None of none."""
    return flags.float().mean().item() if flags.numel() else None
