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

from bots.view import RADIUS, WINDOW, View
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, TILE_CLASSES, WALLS, Action, Tile
from worldmodel.crops import crop

DICE = 8
"""Uniform numbers that a row may use in one step."""
DELAY = 3
"""Steps, 0.2 s at 15 a second, between what a human-like player sees and what its hand does."""


@dataclass
class Memory:
    """What B players remember of their own episode; starts empty with every episode."""

    last: Tensor
    """(B,) int64: the action before."""
    queue: Tensor
    """(B, DELAY) int64: decided, not yet done; the next one first."""
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
        queue=zeros(DELAY),
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
    _remember(memory, view)
    actions = player.decide(memory, view, dice)
    memory.last = actions
    return actions


def _remember(memory: Memory, view: View) -> None:
    moved = (view.tile != memory.place).any(1)
    memory.still = torch.where(moved, 0, memory.still + 1)
    memory.place = view.tile
    rows = torch.arange(len(view), device=view.tile.device)
    memory.visited[rows, view.tile[:, 1], view.tile[:, 0]] += 1
    memory.hold = (memory.hold - 1).clamp(min=0)


# ---- what all players can do with their hands ------------------------------------------------------------

_SIDE_HABIT = (0.04, 0.18, 0.22, 0.08, 0.05, 0.16, 0.19, 0.08)
"""Chances of each action in side view: much walking, many jumps that go somewhere."""
_TOP_HABIT = (0.04, 0.20, 0.20, 0.20, 0.20, 0.04, 0.04, 0.08)
_AHEAD = (Action.RIGHT, Action.LEFT, Action.UP, Action.DOWN)
"""Walking, by heading."""
_LEAP = (Action.UP_RIGHT, Action.UP_LEFT, Action.UP, Action.DOWN)
_STEP = ((1, 0), (-1, 0), (0, -1), (0, 1))


def _table(values: Sequence[int] | Sequence[float] | Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device)


def _habitual(view: View, roll: Tensor) -> Tensor:
    """A random action (B,) by habit."""
    side, top = (_table(habit, roll).cumsum(0) for habit in (_SIDE_HABIT, _TOP_HABIT))
    limits = torch.where(view.top_view[:, None], top, side)
    return (roll[:, None] >= limits).sum(1).clamp(max=Action.INTERACT)


def _sticky(memory: Memory, view: View, dice: Tensor, stick: float) -> Tensor:
    return torch.where(dice[:, 0] < stick, memory.last, _habitual(view, dice[:, 1]))


def _is(tiles: Tensor, *wanted: Tile) -> Tensor:
    return torch.isin(tiles, _table([int(tile) for tile in wanted], tiles))


def _wall(view: View, heading: Tensor) -> Tensor:
    """(B,) whether the next tile in a heading (B,) cannot be walked into."""
    dx, dy = _table(_STEP, heading)[heading].unbind(1)
    tile = view.at(dx, dy)
    return _is(tile, *WALLS) | ((tile == Tile.DOOR) & (view.keys == 0))


def _danger(view: View, heading: Tensor) -> Tensor:
    """(B,) whether a pit, a hazard or an enemy lies within two tiles in a heading (B,)."""
    dx, dy = _table(_STEP, heading)[heading].unbind(1)
    rows = torch.arange(len(view), device=heading.device)
    enemy = (
        view.enemies[rows, RADIUS + dy, RADIUS + dx] | view.enemies[rows, RADIUS + 2 * dy, RADIUS + 2 * dx]
    )
    hazard = view.at(dx, dy) == Tile.HAZARD
    floor = view.at(dx, 1)
    pit = ~view.top_view & ((floor == Tile.HAZARD) | ((floor == Tile.EMPTY) & (view.at(dx, 2) == Tile.EMPTY)))
    return enemy | hazard | (pit & (dy == 0))


def _go(view: View, heading: Tensor, jump: Tensor) -> Tensor:
    """Walk in a heading (B,), in side view leaping where ``jump`` (B,) says so."""
    leap = jump & ~view.top_view
    return torch.where(leap, _table(_LEAP, heading)[heading], _table(_AHEAD, heading)[heading])


def _run(view: View, heading: Tensor, roll: Tensor) -> Tensor:
    """Walk in a heading, over what is in the way; the leap over a pit comes at its edge."""
    return _go(view, heading, _wall(view, heading) | _danger(view, heading) | (roll < 0.08))


def _nearest(view: View, wanted: Tensor, roll: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Offset dx, dy (B,) of the nearest wanted tile of (B, WINDOW, WINDOW) float worth, and if there is one.

    A tile's worth is what it is wanted for, in tiles of way; 0 is not wanted.
    """
    reach = torch.arange(-RADIUS, RADIUS + 1, device=roll.device)
    way = (reach[:, None].abs() + reach[None, :].abs()).float()
    score = torch.where(wanted > 0, wanted - way + roll[:, None, None], -1e9).flatten(1)
    best = score.argmax(1)
    rows = torch.arange(len(view), device=roll.device)
    dx = best % WINDOW - RADIUS
    dy = torch.div(best, WINDOW, rounding_mode="floor") - RADIUS
    return dx, dy, score[rows, best] > -1e8


def _towards(view: View, dx: Tensor, dy: Tensor, roll: Tensor) -> Tensor:
    """Action (B,) that brings a player nearer to an offset, jumping when it is above."""
    across = torch.where(dx > 0, 0, 1)
    along = torch.where(dy > 0, 3, 2)
    from_above = torch.where((dx.abs() > dy.abs()) | ((dx != 0) & (roll < 0.35)), across, along)
    heading = torch.where(view.top_view, from_above, across)
    walk = _run(view, heading, roll)
    below_it = (dx == 0) & ~view.top_view
    straight = torch.where(dy < 0, int(Action.UP), _go(view, (roll < 0.5).long(), dy < 0))
    leap = ~view.top_view & (dy < 0) & (dx.abs() <= 3)
    walk = torch.where(leap, _go(view, across, leap), walk)
    return torch.where(below_it, straight, walk)


def _screen(grid: Tensor, tile: Tensor) -> Tensor:
    """(B, WINDOW, WINDOW) of what is remembered in a (B, MAP_HEIGHT, MAP_WIDTH) grid about the screen."""
    return crop(grid, tile, RADIUS, 0)


def _mark_used(memory: Memory, view: View, dx: Tensor, dy: Tensor, where: Tensor) -> None:
    rows = torch.arange(len(view), device=dx.device)[where]
    x = (view.tile[:, 0] + dx).clamp(0, MAP_WIDTH - 1)[where]
    y = (view.tile[:, 1] + dy).clamp(0, MAP_HEIGHT - 1)[where]
    memory.used[rows, y, x] = True


def _pursue(memory: Memory, view: View, worth: Tensor, dice: Tensor, wander: Tensor) -> Tensor:
    """Go for the best thing on the screen by ``worth`` (TILE_CLASSES,), INTERACT at it, else ``wander`` (B,).

    A thing is marked as used once it was interacted with, or when the player was stuck on its way to it.
    """
    wanted = worth[view.tiles] * ~_screen(memory.used, view.tile)
    dx, dy, found = _nearest(view, wanted, dice[:, 2])
    reached = found & (dx.abs() <= 1) & (dy.abs() <= 1)
    lever = _is(view.at(dx, dy), Tile.LEVER, Tile.LEVER_ON)
    at_hand = torch.where(lever, (dx == 0) & (dy == 0), reached & _is(view.at(dx, dy), Tile.CHARACTER))
    stuck = memory.still > 20
    _mark_used(memory, view, dx, dy, found & (at_hand | (stuck & (dice[:, 3] < 0.1))))
    action = torch.where(found, _towards(view, dx, dy, dice[:, 4]), wander)
    action = torch.where(found & at_hand, int(Action.INTERACT), action)
    return torch.where(stuck & (dice[:, 5] < 0.5), _sticky(memory, view, dice[:, 6:], 0.7), action)


def _worth(like: Tensor, **classes: float) -> Tensor:
    worth = torch.zeros(TILE_CLASSES, device=like.device)
    for name, value in classes.items():
        worth[Tile[name]] = value
    return worth


# ---- personas --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StickyRandom:
    """Random actions, each held for a while: the exploration of Go-Explore's first phase."""

    stick: float = 0.85
    """Chance to repeat the action before."""
    name: str = "sticky-random/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        return _sticky(memory, view, dice, self.stick)


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
        return torch.where(dice[:, 0] < 0.5, int(Action.INTERACT), _habitual(view, dice[:, 1]))


@dataclass(frozen=True)
class CornerStander:
    """Goes one way as far as it can and stays there."""

    name: str = "corner-stander/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        options = torch.where(view.top_view, 4, 2)
        chosen = (dice[:, 0] * options).long()
        memory.heading = torch.where(memory.heading < 0, chosen, memory.heading)
        return torch.where(memory.still > 30, int(Action.NOOP), _run(view, memory.heading, dice[:, 1]))


@dataclass(frozen=True)
class WallHugger:
    """Follows a wall: goes straight until something stops it, then turns."""

    name: str = "wall-hugger/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        start = (dice[:, 0] < 0.5).long()
        heading = torch.where(memory.heading < 0, start, memory.heading)
        stopped = (memory.hold == 0) & (memory.still > 8)
        right_hand = _table((3, 2, 0, 1), heading)[heading]
        turned = torch.where(view.top_view, right_hand, heading ^ 1)
        memory.heading = torch.where(stopped, turned, heading)
        memory.hold = torch.where(stopped, 10, memory.hold)
        leap = _wall(view, memory.heading) & (dice[:, 1] < 0.6)
        return _go(view, memory.heading, leap)


@dataclass(frozen=True)
class SpeedRunner:
    """Goes right, where levels lead, and away from where it was; turns only after long standstill."""

    name: str = "speed-runner/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        heading = torch.where(memory.heading < 0, 0, memory.heading)
        stuck = (memory.hold == 0) & (memory.still > 25)
        fresh = _freshest(memory, view, dice[:, 0])
        memory.heading = torch.where(stuck, fresh, torch.where(memory.hold == 0, 0, heading))
        memory.hold = torch.where(stuck, 25, memory.hold)
        return _run(view, memory.heading, dice[:, 1])


@dataclass(frozen=True)
class Collector:
    """Takes every coin and key that it sees, and tries the doors it has keys for."""

    name: str = "collector/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        worth = _worth(dice, COIN=8, KEY=12, DOOR=6, PORTAL=3)
        return _pursue(memory, view, worth, dice, _wander(memory, view, dice))


@dataclass(frozen=True)
class Interactor:
    """Talks to everyone, pulls every lever, opens doors and walks into portals."""

    name: str = "interactor/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        worth = _worth(dice, LEVER=12, CHARACTER=12, DOOR=8, PORTAL=6, KEY=10, LEVER_ON=6)
        return _pursue(memory, view, worth, dice, _wander(memory, view, dice))


def _freshest(memory: Memory, view: View, roll: Tensor) -> Tensor:
    """Heading (B,) whose quarter of the screen was walked least, walls and a little chance counted in."""
    walked = _screen(memory.visited, view.tile).clamp(max=20).float()
    solid = _is(view.tiles, *WALLS).float() * 4
    cost = walked + solid
    middle = RADIUS
    sums = [
        cost[:, middle - 1 : middle + 2, middle + 1 :].sum((1, 2)),
        cost[:, middle - 1 : middle + 2, :middle].sum((1, 2)),
        cost[:, :middle, middle - 1 : middle + 2].sum((1, 2)),
        cost[:, middle + 1 :, middle - 1 : middle + 2].sum((1, 2)),
    ]
    chance = (roll[:, None] * _table((7, 13, 29, 53), roll)) % 1.0
    total = torch.stack(sums, 1) + 12 * chance
    total[:, 2:] += torch.where(view.top_view, 0.0, 1e3)[:, None]
    return total.argmin(1)


def _wander(memory: Memory, view: View, dice: Tensor) -> Tensor:
    """Walk where it was least, keeping to a direction for one to three seconds."""
    renew = (memory.hold == 0) | (memory.heading < 0) | (memory.still > 12)
    memory.heading = torch.where(renew, _freshest(memory, view, dice[:, 0]), memory.heading)
    memory.hold = torch.where(renew, 15 + (dice[:, 1] * 30).long(), memory.hold)
    return _run(view, memory.heading, dice[:, 3])


@dataclass(frozen=True)
class Human:
    """The frozen player of the sample arm: it measures, so it is never tuned to a world or to what was found.

    It wants what a person would want of what the screen shows, explores where it has not been, acts three
    steps (0.2 s) after it saw, presses a wrong key now and then, and holds keys. A change of any number
    here is a new player: raise the version.
    """

    name: str = "human/1"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        worth = _worth(dice, COIN=5, KEY=8, DOOR=5, LEVER=8, CHARACTER=7, PORTAL=6, GOAL=7, LEVER_ON=1)
        wanted = _pursue(memory, view, worth, dice, _wander(memory, view, dice))
        shy = _danger(view, memory.heading.clamp(min=0)) & view.top_view & (dice[:, 7] < 0.5)
        wanted = torch.where(shy, _habitual(view, dice[:, 6]), wanted)
        slip = dice[:, 7] > 0.97
        wanted = torch.where(slip, _habitual(view, dice[:, 5]), wanted)
        held = (dice[:, 6] < 0.25) & (memory.queue[:, -1] != Action.INTERACT)
        decided = torch.where(held, memory.queue[:, -1], wanted)
        action = memory.queue[:, 0]
        memory.queue = torch.cat([memory.queue[:, 1:], decided[:, None]], 1)
        return action


PERSONAS: tuple[Player, ...] = (
    StickyRandom(),
    Idle(),
    Spammer(),
    CornerStander(),
    WallHugger(),
    SpeedRunner(),
    Collector(),
    Interactor(),
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

    def act(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        """(B,) int64 actions; memories are kept in place."""
        actions = torch.zeros(len(view), dtype=torch.int64, device=dice.device)
        for player, rows in zip(self.players, self.rows, strict=True):
            own = memory[rows]
            actions[rows] = act(player, own, view[rows], dice[rows])
            memory.assign(rows, own)
        return actions
