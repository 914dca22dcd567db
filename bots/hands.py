"""What all players can do with their hands: rules from a screen to an action, for batches of B players."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bots.view import RADIUS, WINDOW, View
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, TILE_CLASSES, WALLS, Action, Tile
from worldmodel.crops import crop

if TYPE_CHECKING:
    from bots.players import Memory

SIDE_HABIT = (0.04, 0.18, 0.22, 0.08, 0.05, 0.16, 0.19, 0.08)
"""Chances of each action in side view: much walking, many jumps that go somewhere."""
TOP_HABIT = (0.04, 0.20, 0.20, 0.20, 0.20, 0.04, 0.04, 0.08)
AHEAD = (Action.RIGHT, Action.LEFT, Action.UP, Action.DOWN)
"""Walking, by heading."""
LEAP = (Action.UP_RIGHT, Action.UP_LEFT, Action.UP, Action.DOWN)
_STEP = ((1, 0), (-1, 0), (0, -1), (0, 1))


def table(values: Sequence[int] | Sequence[float] | Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    """The values on the device of ``like``."""
    return torch.tensor(values, device=like.device)


def habitual(view: View, roll: Tensor) -> Tensor:
    """A random action (B,) by habit."""
    side, top = (table(habit, roll).cumsum(0) for habit in (SIDE_HABIT, TOP_HABIT))
    limits = torch.where(view.top_view[:, None], top, side)
    return (roll[:, None] >= limits).sum(1).clamp(max=Action.INTERACT)


def sticky(memory: Memory, view: View, dice: Tensor, stick: float) -> Tensor:
    """The action before, with the chance ``stick``, else a random one (B,)."""
    return torch.where(dice[:, 0] < stick, memory.last, habitual(view, dice[:, 1]))


def is_tile(tiles: Tensor, *wanted: Tile) -> Tensor:
    """Where the tiles are of a wanted class: bool, of their shape."""
    return torch.isin(tiles, table([int(tile) for tile in wanted], tiles))


def wall_ahead(view: View, heading: Tensor) -> Tensor:
    """(B,) whether the next tile in a heading (B,) cannot be walked into."""
    dx, dy = table(_STEP, heading)[heading].unbind(1)
    tile = view.at(dx, dy)
    return is_tile(tile, *WALLS) | ((tile == Tile.DOOR) & (view.keys == 0))


def danger_ahead(view: View, heading: Tensor) -> Tensor:
    """(B,) whether a pit, a hazard or an enemy lies within two tiles in a heading (B,)."""
    dx, dy = table(_STEP, heading)[heading].unbind(1)
    rows = torch.arange(len(view), device=heading.device)
    enemy = (
        view.enemies[rows, RADIUS + dy, RADIUS + dx] | view.enemies[rows, RADIUS + 2 * dy, RADIUS + 2 * dx]
    )
    hazard = view.at(dx, dy) == Tile.HAZARD
    floor = view.at(dx, 1)
    pit = ~view.top_view & ((floor == Tile.HAZARD) | ((floor == Tile.EMPTY) & (view.at(dx, 2) == Tile.EMPTY)))
    return enemy | hazard | (pit & (dy == 0))


def go(view: View, heading: Tensor, jump: Tensor) -> Tensor:
    """Walk in a heading (B,), in side view leaping where ``jump`` (B,) says so."""
    leap = jump & ~view.top_view
    return torch.where(leap, table(LEAP, heading)[heading], table(AHEAD, heading)[heading])


def run(view: View, heading: Tensor, roll: Tensor) -> Tensor:
    """Walk in a heading, over what is in the way; the leap over a pit comes at its edge."""
    return go(view, heading, wall_ahead(view, heading) | danger_ahead(view, heading) | (roll < 0.08))


def nearest(view: View, wanted: Tensor, roll: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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


def towards(view: View, dx: Tensor, dy: Tensor, roll: Tensor) -> Tensor:
    """Action (B,) that brings a player nearer to an offset, jumping when it is above."""
    across = torch.where(dx > 0, 0, 1)
    along = torch.where(dy > 0, 3, 2)
    from_above = torch.where((dx.abs() > dy.abs()) | ((dx != 0) & (roll < 0.35)), across, along)
    heading = torch.where(view.top_view, from_above, across)
    walk = run(view, heading, roll)
    below_it = (dx == 0) & ~view.top_view
    straight = torch.where(dy < 0, int(Action.UP), go(view, (roll < 0.5).long(), dy < 0))
    leap = ~view.top_view & (dy < 0) & (dx.abs() <= 3)
    walk = torch.where(leap, go(view, across, leap), walk)
    return torch.where(below_it, straight, walk)


def on_screen(grid: Tensor, tile: Tensor) -> Tensor:
    """(B, WINDOW, WINDOW) of what is remembered in a (B, MAP_HEIGHT, MAP_WIDTH) grid about the screen."""
    return crop(grid, tile, RADIUS, 0)


def mark_used(memory: Memory, view: View, dx: Tensor, dy: Tensor, where: Tensor) -> None:
    """Remember the thing at an offset (B,) as dealt with, in the rows ``where`` (B,) bool."""
    rows = torch.arange(len(view), device=dx.device)[where]
    x = (view.tile[:, 0] + dx).clamp(0, MAP_WIDTH - 1)[where]
    y = (view.tile[:, 1] + dy).clamp(0, MAP_HEIGHT - 1)[where]
    memory.used[rows, y, x] = True


def pursue(memory: Memory, view: View, worth: Tensor, dice: Tensor, wander: Tensor) -> Tensor:
    """Go for the best thing on the screen by ``worth`` (TILE_CLASSES,), INTERACT at it, else ``wander`` (B,).

    A thing is marked as used once it was interacted with, or when the player was stuck on its way to it.
    """
    wanted = worth[view.tiles] * ~on_screen(memory.used, view.tile)
    dx, dy, found = nearest(view, wanted, dice[:, 2])
    reached = found & (dx.abs() <= 1) & (dy.abs() <= 1)
    lever = is_tile(view.at(dx, dy), Tile.LEVER, Tile.LEVER_ON)
    at_hand = torch.where(lever, (dx == 0) & (dy == 0), reached & is_tile(view.at(dx, dy), Tile.CHARACTER))
    stuck = memory.still > 20
    mark_used(memory, view, dx, dy, found & (at_hand | (stuck & (dice[:, 3] < 0.1))))
    action = torch.where(found, towards(view, dx, dy, dice[:, 4]), wander)
    action = torch.where(found & at_hand, int(Action.INTERACT), action)
    return torch.where(stuck & (dice[:, 5] < 0.5), sticky(memory, view, dice[:, 6:], 0.7), action)


def worth_of(like: Tensor, **classes: float) -> Tensor:
    """(TILE_CLASSES,) float: what each named class of tile is wanted for, 0 for the others."""
    worth = torch.zeros(TILE_CLASSES, device=like.device)
    for name, value in classes.items():
        worth[Tile[name]] = value
    return worth


def freshest(memory: Memory, view: View, roll: Tensor) -> Tensor:
    """Heading (B,) whose quarter of the screen was walked least, walls and a little chance counted in."""
    walked = on_screen(memory.visited, view.tile).clamp(max=20).float()
    solid = is_tile(view.tiles, *WALLS).float() * 4
    cost = walked + solid
    middle = RADIUS
    sums = [
        cost[:, middle - 1 : middle + 2, middle + 1 :].sum((1, 2)),
        cost[:, middle - 1 : middle + 2, :middle].sum((1, 2)),
        cost[:, :middle, middle - 1 : middle + 2].sum((1, 2)),
        cost[:, middle + 1 :, middle - 1 : middle + 2].sum((1, 2)),
    ]
    chance = (roll[:, None] * table((7, 13, 29, 53), roll)) % 1.0
    total = torch.stack(sums, 1) + 12 * chance
    total[:, 2:] += torch.where(view.top_view, 0.0, 1e3)[:, None]
    return total.argmin(1)


def wander(memory: Memory, view: View, dice: Tensor) -> Tensor:
    """Walk where it was least, keeping to a direction for one to three seconds."""
    renew = (memory.hold == 0) | (memory.heading < 0) | (memory.still > 12)
    memory.heading = torch.where(renew, freshest(memory, view, dice[:, 0]), memory.heading)
    memory.hold = torch.where(renew, 15 + (dice[:, 1] * 30).long(), memory.hold)
    return run(view, memory.heading, dice[:, 3])
