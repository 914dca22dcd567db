"""The ground truth: every rule of play in vectorised integer torch, B worlds in one call.

Training data, reachability and evaluation come from here. The neural model never calls it to play.
Order within a step: the player moves (with its platform, where that went in the step before), then contacts
(hazards, things, doors, levers, portals, speech), then enemies and platforms move; an enemy that then touches
the player hurts in the next step.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.bank import BankedModel, WorldBank, mechanics_of
from worldmodel.constants import (
    ACTIONS,
    FPS,
    FRAME,
    MOVER_SLOTS,
    PLATFORM_HALF,
    PLAYER_HALF,
    SAMPLE_RATE,
    TERMINAL_SPEED,
    UNITS,
    Action,
    Mover,
    Tile,
)
from worldmodel.crops import Underneath, crop, heading_vector, tile_of, underneath
from worldmodel.memory import Contacts, apply_contacts, freeze, tick
from worldmodel.noise import dice
from worldmodel.protocol import ModelCard, Observation, State
from worldmodel.rendering import paint

VERSION = "2"
DOOR_REACH = 2
"""Units by which the player's box may miss a door and still unlock it."""
ENEMY_HALF = (10, 12)
TOUCH = (18, 24)
"""Distances of centres, in units, under which an enemy touches the player."""
SINK_SPEED, SWIM_SPEED, SWIM_STROKE = 3, 6, 3
"""In water: greatest speed down and up, and what a stroke adds; units per step."""
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
        found = look_around(moved, Intent.of(actions), mechanics)
        touched, events, clip = apply_contacts(self.bank, moved, found)
        after = tick(self.bank, move_movers(touched, mechanics))
        after = freeze(state, after)
        events = events & ~state.done[:, None]
        clip = torch.where(state.done, -1, clip)
        frames = self.render(after) if render else None
        confidence = torch.ones(len(state), device=self.device)
        return after, Observation(events, clip, after.done, confidence, frames)

    def render(self, state: State) -> Tensor:
        return paint(self.bank, state)


def is_solid(tiles: Tensor) -> Tensor:
    """Which tiles nothing moves through."""
    return (tiles == Tile.SOLID) | (tiles == Tile.DOOR) | (tiles == Tile.ICE)


def tile_at(canvas: Tensor, col: Tensor, row: Tensor) -> Tensor:
    """(B,) classes of the tiles (B,); SOLID outside the map."""
    return crop(canvas, torch.stack([col, row], -1), radius=0)[..., 0, 0]


def solid_at(canvas: Tensor, col: Tensor, row: Tensor) -> Tensor:
    """Whether the tiles (B,) are solid; outside the map everything is."""
    return is_solid(tile_at(canvas, col, row))


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


def _slide_x(canvas: Tensor, x: Tensor, y: Tensor, speed: Tensor) -> tuple[Tensor, Tensor]:
    return _slide(canvas, x, y, speed, PLAYER_HALF[0], PLAYER_HALF[1], vertical=False)


def _slide_y(canvas: Tensor, x: Tensor, y: Tensor, speed: Tensor) -> tuple[Tensor, Tensor]:
    return _slide(canvas, y, x, speed, PLAYER_HALF[1], PLAYER_HALF[0], vertical=True)


@dataclass(frozen=True)
class _Footing:
    """What the player is in and on, after a platform has taken it along. All (B,)."""

    stands: Tensor
    wet: Tensor
    """In water, with its centre."""
    surface: Tensor
    """Neither water nor anything solid above."""
    slippery: Tensor
    gap: Tensor
    """Units down to a platform's top."""
    platform: Tensor
    """Whether there is one underneath."""


def _take_along(state: State, below: Underneath, top: Tensor) -> tuple[State, _Footing]:
    """Carry riders with their platform, and look at what they stand on and are in."""
    ride = state.riding & below.there & ~top
    shift = torch.where(ride[:, None], below.shift, 0)
    x, y = state.position.unbind(1)
    x, _ = _slide_x(state.canvas, x, y, shift[:, 0])
    lifted, _ = _slide_y(state.canvas, x, y, shift[:, 1])
    carried = state.updated(position=torch.stack([x, lifted], 1))
    gap = below.gap - (lifted - y)
    col, row = tile_of(carried.position).unbind(1)
    wet = tile_at(state.canvas, col, row) == Tile.WATER
    above = tile_at(state.canvas, col, row - 1)
    on_ground = grounded(carried)
    ice = tile_at(state.canvas, col, tile_of(lifted + PLAYER_HALF[1])) == Tile.ICE
    return carried, _Footing(
        stands=on_ground | (ride & (gap == 0)),
        wet=wet,
        surface=(above != Tile.WATER) & ~is_solid(above),
        slippery=ice & on_ground,
        gap=gap,
        platform=below.there & ~top,
    )


def swim_speed(speed: Tensor) -> Tensor:
    """Greatest speed along x, and in top view along y, in water."""
    return (torch.div(speed, 2, rounding_mode="floor") + 1).clamp(min=2)


def _vertical(state: State, intent: Intent, on: _Footing, m: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Side view: new vertical speed, before anything stops it, and jumps left in the air."""
    vy = state.velocity[:, 1]
    falls = (vy + m["gravity"]).clamp(max=TERMINAL_SPEED)
    sinks, rises = (vy + 1).clamp(max=SINK_SPEED), (vy - SWIM_STROKE).clamp(min=-SWIM_SPEED)
    rises = torch.where(on.surface, -m["jump"], rises)
    swims = torch.where(intent.up, rises, sinks)
    again = intent.up & ~state.held & ~on.stands & ~on.wet & (state.air > 0)
    jumps = (intent.up & on.stands) | again
    speed = torch.where(on.wet, swims, torch.where(jumps, -m["jump"], falls))
    air = torch.where(on.stands | on.wet, m["air_jumps"], state.air - again.int())
    return speed, air


def move_player(state: State, actions: Tensor, mechanics: dict[str, Tensor]) -> State:
    """Ride, accelerate, jump, swim or fall, and stop at solid tiles: first along x, then along y."""
    intent = Intent.of(actions)
    top = mechanics["top_view"] > 0
    carried, on = _take_along(state, underneath(state, mechanics["platform_speed"]), top)
    vx, vy = state.velocity.unbind(1)
    speed = torch.where(on.wet, swim_speed(mechanics["speed"]), mechanics["speed"])
    drift = torch.where((top | ~on.stands) & ~on.wet, mechanics["wind"], 0)
    grip = torch.where(on.slippery & ~top, 1, mechanics["accel"])
    vx = vx + torch.clamp(intent.x * speed + drift - vx, -grip, grip)
    steered = vy + torch.clamp(intent.y * speed - vy, -grip, grip)
    jumped, air = _vertical(state, intent, on, mechanics)
    vy = torch.where(top, steered, jumped)
    lands = on.platform & (vy >= 0) & (on.gap <= vy)
    x, y = carried.position.unbind(1)
    x, vx = _slide_x(state.canvas, x, y, vx)
    y, vy = _slide_y(state.canvas, x, y, torch.where(lands, on.gap, vy))
    return carried.updated(
        position=torch.stack([x, y], 1),
        velocity=torch.stack([vx, torch.where(lands, 0, vy)], 1),
        facing=torch.where(intent.x != 0, intent.x, state.facing),
        held=intent.up,
        air=torch.where(top, state.air, air),
        riding=lands,
    )


def _overlap(state: State, grow: int = 0) -> Tensor:
    """(B, 3, 3) whether the player's box, grown by some units, overlaps each tile around its centre's."""
    offset = state.position - tile_of(state.position) * UNITS  # (B, 2) in 0..31
    start = torch.tensor([-1, 0, 1], device=offset.device) * UNITS
    spans = []
    for axis, half in enumerate(PLAYER_HALF):
        low, high = offset[:, axis, None] - half - grow, offset[:, axis, None] + half + grow
        spans.append((low < start + UNITS) & (high > start))
    return spans[1][:, :, None] & spans[0][:, None, :]


def look_around(state: State, intent: Intent, mechanics: dict[str, Tensor]) -> Contacts:
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
        goal=(centre == Tile.GOAL) & (state.coins >= mechanics["coins_needed"]),
    )


def move_movers(state: State, mechanics: dict[str, Tensor]) -> State:
    """Walkers turn at walls and edges, flyers, spiders and platforms at walls; ghosts drift at random,
    chasers come for the player when near."""
    rolled = dice(state.seed, state.step, MOVER_SLOTS)
    fresh, turn = rolled % 8 == 0, ((rolled >> 8) % 4).int()
    kind, heading = state.mover_kind, state.mover_heading
    top = (mechanics["top_view"] > 0)[:, None]
    platform = kind == Mover.PLATFORM
    speed = torch.where(platform, mechanics["platform_speed"][:, None], mechanics["enemy_speed"][:, None])
    towards, sees = chase(state)
    wanted = torch.where((kind == Mover.GHOST) & fresh, turn, heading)
    wanted = torch.where(kind == Mover.CHASER, towards, wanted)
    step = heading_vector(wanted) * speed[..., None]
    blocked = mover_blocked(state, wanted, step, top)
    waits = (kind == Mover.CHASER) & (fresh | ~sees)
    moves = (kind > 0) & ~blocked & ~waits
    position = state.mover_position + torch.where(moves[..., None], step, 0)
    to_and_fro = platform | (kind == Mover.FLYER) | (kind == Mover.SPIDER) | ((kind == Mover.WALKER) & ~top)
    turned = torch.where(to_and_fro, wanted ^ 1, turn)
    heading = torch.where(blocked & (kind != Mover.CHASER), turned, wanted)
    return state.updated(
        mover_position=position,
        mover_heading=heading.int(),
        mover_moved=moves,
        touched=touching(state, position).any(1),
    )


def touching(state: State, position: Tensor) -> Tensor:
    """(B, S) which enemies, at these places, touch the player."""
    gap = (position - state.position[:, None]).abs()
    enemy = (state.mover_kind > 0) & (state.mover_kind != Mover.PLATFORM)
    return (gap[..., 0] < TOUCH[0]) & (gap[..., 1] < TOUCH[1]) & enemy


def chase(state: State) -> tuple[Tensor, Tensor]:
    """(B, S) heading towards the player, and whether it is in sight; in half tiles."""
    cell = torch.div(state.position[:, None] - state.mover_position, CHASE_CELL, rounding_mode="floor")
    dx, dy = cell.unbind(-1)
    sideways = dx.abs() >= dy.abs()
    heading = torch.where(sideways, (dx < 0).int(), 2 + (dy >= 0).int())
    return heading, (dx.abs() <= CHASE_RANGE) & (dy.abs() <= CHASE_RANGE)


def mover_blocked(state: State, wanted: Tensor, step: Tensor, top: Tensor) -> Tensor:
    """(B, S) whether a wall, or for walkers in side view the end of the floor, is ahead."""
    platform = (state.mover_kind == Mover.PLATFORM)[..., None]
    half = torch.where(platform, step.new_tensor(PLATFORM_HALF), step.new_tensor(ENEMY_HALF))
    ahead = state.mover_position + step + heading_vector(wanted) * half
    tile = tile_of(ahead)
    tiles = crop(state.canvas, tile, radius=0)[..., 0, 0]
    below = crop(state.canvas, tile + tile.new_tensor([0, 1]), radius=0)[..., 0, 0]
    edge = (state.mover_kind == Mover.WALKER) & ~top & (below != Tile.SOLID) & (below != Tile.ICE)
    return is_solid(tiles) | edge
