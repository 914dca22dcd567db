"""Who holds the controls: personas for the search arm, and the frozen human-like player of the sample arm.

Every player is batched: it sees B screens and returns B actions. It keeps what it remembers in a
:class:`Memory` that it is given, and draws its chance from the dice that it is given, so that a player is
nothing but a rule and any of its episodes can be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor

from bots.hands import (
    danger_ahead,
    freshest,
    go,
    habitual,
    pursue,
    run,
    sticky,
    table,
    wall_ahead,
    wander,
    worth_of,
)
from bots.view import View
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, Action

DICE = 8
"""Uniform numbers that a row may use in one step."""
DELAY = 3
"""Steps, 0.2 s at 15 a second, between what a human-like player sees and what its hand does."""
LONGEST_DELAY = 8
"""Of any player's: half a second."""


@dataclass
class Memory:
    """What B players remember of their own episode; starts empty with every episode."""

    last: Tensor
    """(B,) int64: the action before."""
    queue: Tensor
    """(B, LONGEST_DELAY) int64: decided last, the newest at the end."""
    heading: Tensor
    """(B,) int64: where it is bound for, 0 right, 1 left, 2 up, 3 down; -1 nowhere yet."""
    hold: Tensor
    """(B,) int64: steps for which it keeps to that."""
    still: Tensor
    """(B,) int64: steps since its tile changed."""
    place: Tensor
    """(B, 2) int64: tile x, y before."""
    visited: Tensor
    """(B, MAP_HEIGHT, MAP_WIDTH) int16: steps spent on each tile."""
    used: Tensor
    """(B, MAP_HEIGHT, MAP_WIDTH) bool: things dealt with, or given up as out of reach."""

    def __getitem__(self, index: Tensor) -> Memory:
        return Memory(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def assign(self, index: Tensor, other: Memory) -> None:
        for f in fields(self):
            getattr(self, f.name)[index] = getattr(other, f.name)


def fresh_memory(rows: int, device: torch.device | str = "cpu") -> Memory:
    """Memories of ``rows`` players who know nothing yet."""

    def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.zeros(rows, *shape, dtype=dtype, device=device)

    return Memory(
        last=zeros(),
        queue=zeros(LONGEST_DELAY),
        heading=zeros() - 1,
        hold=zeros(),
        still=zeros(),
        place=zeros(2) - 1,
        visited=zeros(MAP_HEIGHT, MAP_WIDTH, dtype=torch.int16),
        used=zeros(MAP_HEIGHT, MAP_WIDTH, dtype=torch.bool),
    )


class Player(Protocol):
    """One way of playing."""

    @property
    def name(self) -> str:
        """With its version, as recordings name it: ``sticky-random/1``."""
        ...

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        """(B,) int64 of Action for B screens; ``dice`` (B, DICE) uniform in [0, 1).

        May change ``memory`` but for ``last``, ``still``, ``place`` and ``visited``, which :func:`act` keeps.
        """
        ...


def act(player: Player, memory: Memory, view: View, dice: Tensor) -> Tensor:
    """The player's actions (B,), with its memory brought up to date before and after."""
    observe(memory, view)
    actions = player.decide(memory, view, dice)
    memory.last = actions
    return actions


def observe(memory: Memory, view: View) -> None:
    """Bring a memory up to date with what is on the screens, before anything is decided."""
    moved = (view.tile != memory.place).any(1)
    memory.still = torch.where(moved, 0, memory.still + 1)
    memory.place = view.tile
    rows = torch.arange(len(view), device=view.tile.device)
    memory.visited[rows, view.tile[:, 1], view.tile[:, 0]] += 1
    memory.hold = (memory.hold - 1).clamp(min=0)


def after_delay(memory: Memory, decided: Tensor, delay: int) -> Tensor:
    """What the hands do now (B,): what was decided ``delay`` steps ago, at most LONGEST_DELAY."""
    queue = torch.cat([memory.queue, decided[:, None]], 1)
    memory.queue = queue[:, 1:]
    return queue[:, LONGEST_DELAY - delay]


# ---- personas --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StickyRandom:
    """Random actions, each held for a while: the exploration of Go-Explore's first phase."""

    stick: float = 0.85
    """Chance to repeat the action before."""
    name: str = "sticky-random/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        return sticky(memory, view, dice, self.stick)


@dataclass(frozen=True)
class Idle:
    """Stands and waits: what comes to a player who does nothing."""

    name: str = "idle/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:  # noqa: ARG002
        return torch.zeros_like(memory.last)


@dataclass(frozen=True)
class Spammer:
    """Presses everything, INTERACT most of all."""

    name: str = "spammer/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:  # noqa: ARG002
        return torch.where(dice[:, 0] < 0.5, int(Action.INTERACT), habitual(view, dice[:, 1]))


@dataclass(frozen=True)
class CornerStander:
    """Goes one way as far as it can and stays there."""

    name: str = "corner-stander/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        options = torch.where(view.top_view, 4, 2)
        chosen = (dice[:, 0] * options).long()
        memory.heading = torch.where(memory.heading < 0, chosen, memory.heading)
        return torch.where(memory.still > 30, int(Action.NOOP), run(view, memory.heading, dice[:, 1]))


@dataclass(frozen=True)
class WallHugger:
    """Follows a wall: goes straight until something stops it, then turns."""

    name: str = "wall-hugger/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        start = (dice[:, 0] < 0.5).long()
        heading = torch.where(memory.heading < 0, start, memory.heading)
        stopped = (memory.hold == 0) & (memory.still > 8)
        right_hand = table((3, 2, 0, 1), heading)[heading]
        turned = torch.where(view.top_view, right_hand, heading ^ 1)
        memory.heading = torch.where(stopped, turned, heading)
        memory.hold = torch.where(stopped, 10, memory.hold)
        leap = wall_ahead(view, memory.heading) & (dice[:, 1] < 0.6)
        return go(view, memory.heading, leap)


@dataclass(frozen=True)
class SpeedRunner:
    """Goes right, where levels lead, and away from where it was; turns only after long standstill."""

    name: str = "speed-runner/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        heading = torch.where(memory.heading < 0, 0, memory.heading)
        stuck = (memory.hold == 0) & (memory.still > 25)
        fresh = freshest(memory, view, dice[:, 0])
        memory.heading = torch.where(stuck, fresh, torch.where(memory.hold == 0, 0, heading))
        memory.hold = torch.where(stuck, 25, memory.hold)
        return run(view, memory.heading, dice[:, 1])


@dataclass(frozen=True)
class Collector:
    """Takes every coin and key that it sees, and tries the doors it has keys for."""

    name: str = "collector/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        worth = worth_of(dice, COIN=8, KEY=12, DOOR=6, PORTAL=3)
        return pursue(memory, view, worth, dice, wander(memory, view, dice))


@dataclass(frozen=True)
class Interactor:
    """Talks to everyone, pulls every lever, opens doors and walks into portals."""

    name: str = "interactor/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        worth = worth_of(dice, LEVER=12, CHARACTER=12, DOOR=8, PORTAL=6, KEY=10, LEVER_ON=6)
        return pursue(memory, view, worth, dice, wander(memory, view, dice))


@dataclass(frozen=True)
class Talker:
    """Goes from character to character and talks to each, and looks for nothing else."""

    name: str = "talker/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        return pursue(memory, view, worth_of(dice, CHARACTER=12), dice, wander(memory, view, dice))


@dataclass(frozen=True)
class Backtracker:
    """Goes one way, then all the way back and on, and turns again: what a second visit shows.

    Each leg is twice as long as the one before, as in the search on a line (Baeza-Yates, Culberson, Rawlins,
    "Searching in the plane", Information and Computation 1993).
    """

    leg: int = 30
    """Steps of the first."""
    name: str = "backtracker/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        options = torch.where(view.top_view, 4, 2)
        chosen = (dice[:, 0] * options).long()
        step = memory.visited.sum((1, 2)) - 1
        heading = torch.where(step == 0, chosen, memory.heading)
        legs = torch.div(step, self.leg, rounding_mode="floor") + 1  # a leg ends at 2, 4, 8, ...
        turns = (step > 0) & (step % self.leg == 0) & (legs & (legs - 1) == 0)
        memory.heading = torch.where(turns, heading ^ 1, heading)
        stuck = (memory.hold == 0) & (memory.still > 10)
        memory.hold = torch.where(stuck, 12, memory.hold)
        aside = freshest(memory, view, dice[:, 1])
        return run(view, torch.where(memory.hold > 0, aside, memory.heading), dice[:, 2])


@dataclass(frozen=True)
class Human:
    """The frozen player of the sample arm: it measures, so it is never tuned to a world or to what was found.

    It wants what a person would want of what the screen shows, explores where it has not been, acts three
    steps (0.2 s) after it saw, presses a wrong key now and then, and holds keys. A change of any number
    here is a new player: raise the version.
    """

    name: str = "human/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        worth = worth_of(dice, COIN=5, KEY=8, DOOR=5, LEVER=8, CHARACTER=7, PORTAL=6, GOAL=7, LEVER_ON=1)
        wanted = pursue(memory, view, worth, dice, wander(memory, view, dice))
        shy = danger_ahead(view, memory.heading.clamp(min=0)) & view.top_view & (dice[:, 7] < 0.5)
        wanted = torch.where(shy, habitual(view, dice[:, 6]), wanted)
        slip = dice[:, 7] > 0.97
        wanted = torch.where(slip, habitual(view, dice[:, 5]), wanted)
        held = (dice[:, 6] < 0.25) & (memory.queue[:, -1] != Action.INTERACT)
        decided = torch.where(held, memory.queue[:, -1], wanted)
        return after_delay(memory, decided, DELAY)


PERSONAS: tuple[Player, ...] = (
    StickyRandom(),
    Idle(),
    Spammer(),
    CornerStander(),
    WallHugger(),
    SpeedRunner(),
    Collector(),
    Interactor(),
    Talker(),
    Backtracker(),
)
HUMAN: Player = Human()


@dataclass(frozen=True)
class Mixture:
    """Several players in one batch, each with rows of its own."""

    players: tuple[Player, ...]
    rows: tuple[Tensor, ...]
    """For each player its row numbers, int64; together every row once."""

    @classmethod
    def of(cls, players: Sequence[Player], choice: Tensor) -> Mixture:
        """``choice`` (B,) int64: the number in ``players`` of each row's player."""
        taken = [(p, (choice == i).nonzero().flatten()) for i, p in enumerate(players)]
        present = [(p, rows) for p, rows in taken if len(rows)]
        return cls(tuple(p for p, _ in present), tuple(rows for _, rows in present))

    @classmethod
    def joined(cls, mixtures: Sequence[Mixture], sizes: Sequence[int]) -> Mixture:
        """Of batches of these sizes, one after the other; the same object in several of them plays once."""
        players: dict[int, Player] = {}
        rows: dict[int, list[Tensor]] = {}
        first = 0
        for mixture, size in zip(mixtures, sizes, strict=True):
            for player, own in zip(mixture.players, mixture.rows, strict=True):
                players[id(player)] = player
                rows.setdefault(id(player), []).append(own + first)
            first += size
        return cls(tuple(players.values()), tuple(torch.cat(rows[key]) for key in players))

    def act(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        """(B,) int64 actions; memories are kept in place."""
        actions = torch.zeros(len(view), dtype=torch.int64, device=dice.device)
        for player, rows in zip(self.players, self.rows, strict=True):
            own = memory[rows]
            actions[rows] = act(player, own, view[rows], dice[rows])
            memory.assign(rows, own)
        return actions
