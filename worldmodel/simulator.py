"""The ground truth: every rule of play in vectorised integer torch, B worlds in one call.

Training data, reachability and evaluation come from here. The neural model never calls it to play.
Order within a step: the player moves, then contacts (hazards, things, doors, levers, portals, speech),
then enemies move and may touch the player, which hurts in the next step.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.bank import BankedModel, WorldBank, mechanics_of
from worldmodel.constants import (
    ACTIONS,
    MOVER_SLOTS,
    FPS,
    FRAME,
    PLAYER_HALF,
    SAMPLE_RATE,
    TERMINAL_SPEED,
    UNITS,
    Action,
    Mover,
    Tile,
)
from worldmodel.crops import crop, tile_of
from worldmodel.memory import Contacts, apply_contacts, freeze, heading_vector
from worldmodel.noise import dice
from worldmodel.protocol import ModelCard, Observation, State
from worldmodel.rendering import paint

VERSION = "1"
DOOR_REACH = 2
"""Units by which the player's box may miss a door and still unlock it."""
ENEMY_HALF = (10, 12)
TOUCH = (18, 24)
"""Distances of centres, in units, under which an enemy touches the player."""
CHASE_CELL = 16
CHASE_RANGE = 8
"""A chaser sees the player within this many chase cells (half tiles)."""


@dataclass(frozen=True)
class Intent:
    """An action taken apart: (B,) int32 directions and bool switches."""

    x: Tensor
    y: Tensor
    up: Tensor
    interact: Tensor

    @classmethod
    def of(cls, actions: Tensor) -> Intent:
        def among(*wanted: Action) -> Tensor:
            return torch.isin(actions, torch.tensor([int(a) for a in wanted], device=actions.device))

        up = among(Action.UP, Action.UP_LEFT, Action.UP_RIGHT)
        right, left = among(Action.RIGHT, Action.UP_RIGHT), among(Action.LEFT, Action.UP_LEFT)
        return cls(
            x=right.int() - left.int(),
            y=(actions == Action.DOWN).int() - up.int(),
            up=up,
            interact=actions == Action.INTERACT,
        )


class Simulator(BankedModel):
    """A :class:`worldmodel.protocol.WorldModel` by rule."""

    def __init__(self, device: torch.device | str = "cpu", bank: WorldBank | None = None) -> None:
        super().__init__(device, bank)
        digest = hashlib.sha256(f"simulator {VERSION}".encode()).hexdigest()
        self.card = ModelCard("simulator", VERSION, digest, FRAME, FPS, ACTIONS, SAMPLE_RATE)

    @torch.no_grad()
    def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
        mechanics = mechanics_of(self.bank, state)
        moved = move_player(state, actions, mechanics)
        found = look_around(moved, Intent.of(actions))
        touched, events, clip = apply_contacts(self.bank, moved, found)
        after = move_enemies(touched, mechanics)
        after = freeze(state, after)
        events = events & ~state.done[:, None]
        clip = torch.where(state.done, -1, clip)
        frames = self.render(after) if render else None
        confidence = torch.ones(len(state), device=self.device)
        return after, Observation(events, clip, after.done, confidence, frames)

    def render(self, state: State) -> Tensor:
        return paint(self.bank, state)


def solid_at(canvas: Tensor, col: Tensor, row: Tensor) -> Tensor:
    """Whether the tiles (B,) are SOLID or a closed DOOR; outside the map everything is."""
    values = crop(canvas, torch.stack([col, row], -1), radius=0)[..., 0, 0]
    return (values == Tile.SOLID) | (values == Tile.DOOR)


def _blocked(canvas: Tensor, low: Tensor, high: Tensor, line: Tensor, *, vertical: bool) -> Tensor:
    """Whether any tile between units ``low`` and ``high`` along a row or column ``line`` is solid."""
    first, last = tile_of(low), tile_of(high)
    if vertical:
        return solid_at(canvas, line, first) | solid_at(canvas, line, last)
    return solid_at(canvas, first, line) | solid_at(canvas, last, line)


def _slide(
    canvas: Tensor, at: Tensor, across: Tensor, speed: Tensor, half: int, wide: int, *, vertical: bool
) -> tuple[Tensor, Tensor]:
    """Move along one axis until a solid tile: new coordinate and speed (0 when stopped).

    ``across`` is the other coordinate; ``half`` and ``wide`` the box's half sizes along and across.
    """
    target = at + speed
    forward = speed > 0
    edge = torch.where(forward, target + half - 1, target - half)
    line = tile_of(edge)
    hit = (speed != 0) & _blocked(canvas, across - wide, across + wide - 1, line, vertical=not vertical)
    flush = torch.where(forward, line * UNITS - half, (line + 1) * UNITS + half)
    return torch.where(hit, flush, target), torch.where(hit, torch.zeros_like(speed), speed)


def grounded(state: State) -> Tensor:
    """(B,) whether the player stands on something solid."""
    x, y = state.position.unbind(1)
    feet = y + PLAYER_HALF[1]
    below = _blocked(state.canvas, x - PLAYER_HALF[0], x + PLAYER_HALF[0] - 1, tile_of(feet), vertical=False)
    return below & (feet % UNITS == 0)


def move_player(state: State, actions: Tensor, mechanics: dict[str, Tensor]) -> State:
    """Accelerate, jump or fall, and stop at solid tiles: first along x, then along y."""
    intent = Intent.of(actions)
    top = mechanics["top_view"] > 0
    speed, accel = mechanics["speed"], mechanics["accel"]
    vx, vy = state.velocity.unbind(1)
    vx = vx + torch.clamp(intent.x * speed - vx, -accel, accel)
    steered = vy + torch.clamp(intent.y * speed - vy, -accel, accel)
    fallen = (vy + mechanics["gravity"]).clamp(max=TERMINAL_SPEED)
    jumped = torch.where(intent.up & grounded(state), -mechanics["jump"], fallen)
    vy = torch.where(top, steered, jumped)
    x, y = state.position.unbind(1)
    x, vx = _slide(state.canvas, x, y, vx, PLAYER_HALF[0], PLAYER_HALF[1], vertical=False)
    y, vy = _slide(state.canvas, y, x, vy, PLAYER_HALF[1], PLAYER_HALF[0], vertical=True)
    facing = torch.where(intent.x != 0, intent.x, state.facing)
    return state.updated(position=torch.stack([x, y], 1), velocity=torch.stack([vx, vy], 1), facing=facing)


def _overlap(state: State, grow: int = 0) -> Tensor:
    """(B, 3, 3) whether the player's box, grown by some units, overlaps each tile around its centre's."""
    offset = state.position - tile_of(state.position) * UNITS  # (B, 2) in 0..31
    start = torch.tensor([-1, 0, 1], device=offset.device) * UNITS
    spans = []
    for axis, half in enumerate(PLAYER_HALF):
        low, high = offset[:, axis, None] - half - grow, offset[:, axis, None] + half + grow
        spans.append((low < start + UNITS) & (high > start))
    return spans[1][:, :, None] & spans[0][:, None, :]


def look_around(state: State, intent: Intent) -> Contacts:
    """What the player, at its present place, touches and sets off."""
    tiles = crop(state.canvas, tile_of(state.position))
    here, near = _overlap(state), _overlap(state, DOOR_REACH)
    centre = tiles[:, 1, 1]
    coins, keys = here & (tiles == Tile.COIN), here & (tiles == Tile.KEY)
    hazard = (here & (tiles == Tile.HAZARD)).flatten(1).any(1) | state.touched
    lever = (tiles == Tile.LEVER) | (tiles == Tile.LEVER_ON)
    quiet = (state.speech == 0)[:, None, None]
    return Contacts(
        taken=coins | keys,
        unlocked=near & (tiles == Tile.DOOR) & (state.keys > 0)[:, None, None],
        pulled=here & lever & intent.interact[:, None, None],
        speakers=(tiles == Tile.CHARACTER) & quiet,
        hurt=hazard & (state.safe == 0),
        portal=centre == Tile.PORTAL,
        goal=centre == Tile.GOAL,
    )


def move_enemies(state: State, mechanics: dict[str, Tensor]) -> State:
    """Walkers turn at walls and edges, ghosts drift at random, chasers come for the player when near."""
    rolled = dice(state.seed, state.step, MOVER_SLOTS)
    fresh, turn = rolled % 8 == 0, ((rolled >> 8) % 4).int()
    kind, heading = state.mover_kind, state.mover_heading
    speed, top = mechanics["enemy_speed"][:, None], (mechanics["top_view"] > 0)[:, None]
    towards, sees = chase(state)
    wanted = torch.where((kind == Mover.GHOST) & fresh, turn, heading)
    wanted = torch.where(kind == Mover.CHASER, towards, wanted)
    step = heading_vector(wanted) * speed[..., None]
    blocked = enemy_blocked(state, wanted, step, top)
    waits = (kind == Mover.CHASER) & (fresh | ~sees)
    moves = (kind > 0) & ~blocked & ~waits
    position = state.mover_position + torch.where(moves[..., None], step, 0)
    turned = torch.where((kind == Mover.WALKER) & ~top, flip(wanted), turn)
    heading = torch.where(blocked & (kind != Mover.CHASER), turned, wanted)
    gap = (position - state.position[:, None]).abs()
    touched = ((gap[..., 0] < TOUCH[0]) & (gap[..., 1] < TOUCH[1]) & (kind > 0)).any(1)
    return state.updated(
        mover_position=position, mover_heading=heading.int(), touched=touched, step=state.step + 1
    )


def flip(heading: Tensor) -> Tensor:
    """The opposite heading."""
    return heading ^ 1


def chase(state: State) -> tuple[Tensor, Tensor]:
    """(B, E) heading towards the player, and whether it is in sight; in half tiles."""
    cell = torch.div(state.position[:, None] - state.mover_position, CHASE_CELL, rounding_mode="floor")
    dx, dy = cell.unbind(-1)
    sideways = dx.abs() >= dy.abs()
    heading = torch.where(sideways, (dx < 0).int(), 2 + (dy >= 0).int())
    return heading, (dx.abs() <= CHASE_RANGE) & (dy.abs() <= CHASE_RANGE)


def enemy_blocked(state: State, wanted: Tensor, step: Tensor, top: Tensor) -> Tensor:
    """(B, E) whether a wall, or for walkers in side view the end of the floor, is ahead."""
    half = torch.tensor(ENEMY_HALF, dtype=torch.int32, device=step.device)
    ahead = state.mover_position + step + heading_vector(wanted) * half
    tile = tile_of(ahead)
    tiles = crop(state.canvas, tile, radius=0)[..., 0, 0]
    below = crop(state.canvas, tile + torch.tensor([0, 1], device=tile.device), radius=0)[..., 0, 0]
    wall = (tiles == Tile.SOLID) | (tiles == Tile.DOOR)
    edge = (state.mover_kind == Mover.WALKER) & ~top & (below != Tile.SOLID)
    return wall | edge
