"""The learned dynamics: three small networks that read the memory around a thing and say what it does next.

``motion`` moves the player, ``touch`` says what the player's surroundings do to it and to the map,
``enemies`` moves each enemy slot. Each sees a 3 x 3 crop of the canvas, its own place inside the tile, its
own state and the world's mechanics, all as classes, and answers in classes: integers leave nothing to drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from worldmodel.bank import WorldBank, mechanics_of
from worldmodel.constants import ACTIONS, MOVER_SLOTS, TILE_CLASSES, UNITS, Action, Tile
from worldmodel.crops import crop, tile_of
from worldmodel.memory import Contacts
from worldmodel.noise import dice
from worldmodel.protocol import State

SPEED_X = 8
"""Greatest speed and displacement along x, units per step."""
SPEED_Y = 18
MOTION_SIZES = {
    "vx": 2 * SPEED_X + 1,
    "vy": 2 * SPEED_Y + 1,
    "dx": 2 * SPEED_X + 1,
    "dy": 2 * SPEED_Y + 1,
    "facing": 2,
}
"""Classes of each motion head; numbers are offset so that class 0 is the most negative."""
TOUCH_SIZES = {"taken": 9, "unlocked": 9, "pulled": 9, "speaks": 1, "hurt": 1, "portal": 1, "goal": 1}
"""Binary outputs of each touch head, 9 for the tiles of the crop."""
ENEMY_SIZES = {"move": 5, "heading": 4, "touch": 2}
"""Classes: move none, right, left, up, down; new heading; touching the player."""
NEAR = 32
"""Units up to which an enemy resolves the player's distance exactly."""
CHASE_CELL, CHASE_CELLS = 16, 10


@dataclass(frozen=True)
class DynamicsConfig:
    """Widths of the three networks, and layers before their heads."""

    motion_width: int = 320
    touch_width: int = 224
    enemy_width: int = 160
    depth: int = 3


def onehot(values: Tensor, low: int, high: int) -> Tensor:
    """(..., high - low + 1) float32, values clamped into the range."""
    return functional.one_hot((values.long() - low).clamp(0, high - low), high - low + 1).float()


def local_tiles(canvas: Tensor, position: Tensor) -> Tensor:
    """(B, ..., 9 classes flattened) one-hot 3 x 3 crop around points in units."""
    return onehot(crop(canvas, tile_of(position)), 0, TILE_CLASSES - 1).flatten(-3)


def inside_tile(position: Tensor) -> Tensor:
    """(..., 64) place inside the tile, one-hot per axis."""
    return onehot(position % UNITS, 0, UNITS - 1).flatten(-2)


class Trunk(nn.Module):
    """A residual ReLU network with one linear head, split by name."""

    def __init__(self, inputs: int, width: int, depth: int, sizes: dict[str, int]) -> None:
        super().__init__()
        self.sizes = sizes
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.head = nn.Linear(width, sum(sizes.values()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.named(self.logits(x))

    def logits(self, x: Tensor) -> Tensor:
        """(..., sum of sizes) from (..., F)."""
        x = functional.relu(self.stem(x))
        for block in self.blocks:
            x = x + functional.relu(block(x))
        logits: Tensor = self.head(x)
        return logits

    def named(self, logits: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.sizes, torch.split(logits, list(self.sizes.values()), -1), strict=True))


def motion_features(bank: WorldBank, state: State, actions: Tensor) -> Tensor:
    """(B, F) what moves the player."""
    m = mechanics_of(bank, state)
    return torch.cat(
        [
            local_tiles(state.canvas, state.position),
            inside_tile(state.position),
            onehot(state.velocity[:, 0], -SPEED_X, SPEED_X),
            onehot(state.velocity[:, 1], -SPEED_Y, SPEED_Y),
            onehot(state.facing, -1, 1),
            onehot(actions, 0, ACTIONS - 1),
            onehot(m["top_view"], 0, 1),
            onehot(m["gravity"], 1, 3),
            onehot(m["jump"], 8, 18),
            onehot(m["speed"], 2, 8),
            onehot(m["accel"], 1, 4),
        ],
        -1,
    )


def touch_features(state: State, actions: Tensor) -> Tensor:
    """(B, F) what the player's surroundings and condition are, at the new place."""
    flags = torch.stack(
        [state.touched, state.safe == 0, state.keys > 0, state.speech == 0, actions == Action.INTERACT], -1
    )
    return torch.cat(
        [local_tiles(state.canvas, state.position), inside_tile(state.position), flags.float()], -1
    )


def enemy_features(bank: WorldBank, state: State, slots: Tensor) -> Tensor:
    """(B, S, F) for the enemy slots (B, S), the player being at its new place."""
    m = mechanics_of(bank, state)

    def pick(values: Tensor) -> Tensor:
        index = slots[..., None].expand(*slots.shape, values.shape[-1]) if values.dim() == 3 else slots
        return values.gather(1, index)

    position = pick(state.mover_position)
    rolled = pick(dice(state.seed, state.step, MOVER_SLOTS))
    gap = state.position[:, None] - position
    cells = torch.div(gap, CHASE_CELL, rounding_mode="floor")
    speed = m["enemy_speed"][:, None].expand(slots.shape)
    top = m["top_view"][:, None].expand(slots.shape)
    return torch.cat(
        [
            local_tiles(state.canvas, position),
            inside_tile(position),
            onehot(pick(state.mover_kind), 0, 3),
            onehot(pick(state.mover_heading), 0, 3),
            onehot(speed, 1, 3),
            onehot(top, 0, 1),
            onehot((rolled % 8 == 0).int(), 0, 1),
            onehot((rolled >> 8) % 4, 0, 3),
            onehot(gap, -NEAR, NEAR).flatten(-2),
            onehot(cells, -CHASE_CELLS, CHASE_CELLS).flatten(-2),
        ],
        -1,
    )


class Dynamics(nn.Module):
    """All three networks."""

    def __init__(self, config: DynamicsConfig | None = None) -> None:
        super().__init__()
        config = config or DynamicsConfig()
        tiles = 9 * TILE_CLASSES + 2 * UNITS
        motion = 2 * SPEED_X + 2 * SPEED_Y + 2 + 3 + ACTIONS + 2 + 3 + 11 + 7 + 4
        enemy = 4 + 4 + 3 + 2 + 2 + 4 + 2 * (2 * NEAR + 1) + 2 * (2 * CHASE_CELLS + 1)
        self.motion = Trunk(tiles + motion, config.motion_width, config.depth, MOTION_SIZES)
        self.touch = Trunk(tiles + 5, config.touch_width, config.depth, TOUCH_SIZES)
        self.enemies = Trunk(tiles + enemy, config.enemy_width, config.depth, ENEMY_SIZES)


def apply_motion(state: State, logits: dict[str, Tensor]) -> tuple[State, Tensor]:
    """The moved player, and the probability of the classes chosen (B,)."""
    chosen = {name: value.argmax(-1).int() for name, value in logits.items()}
    velocity = torch.stack([chosen["vx"] - SPEED_X, chosen["vy"] - SPEED_Y], 1)
    shift = torch.stack([chosen["dx"] - SPEED_X, chosen["dy"] - SPEED_Y], 1)
    sure = torch.stack([logits[k].softmax(-1).amax(-1) for k in ("dx", "dy")]).prod(0)
    moved = state.updated(position=state.position + shift, velocity=velocity, facing=chosen["facing"] * 2 - 1)
    return moved, sure


def decide_contacts(state: State, logits: dict[str, Tensor]) -> Contacts:
    """Logits to decisions; the classes that the crop shows say what a write can mean."""
    tiles = crop(state.canvas, tile_of(state.position))

    def tile_flags(name: str, *classes: Tile) -> Tensor:
        fits = torch.zeros_like(tiles, dtype=torch.bool)
        for tile in classes:
            fits |= tiles == tile
        return (logits[name] > 0).view(-1, 3, 3) & fits

    speaks = (logits["speaks"] > 0)[:, :, None]
    return Contacts(
        taken=tile_flags("taken", Tile.COIN, Tile.KEY),
        unlocked=tile_flags("unlocked", Tile.DOOR),
        pulled=tile_flags("pulled", Tile.LEVER, Tile.LEVER_ON),
        speakers=speaks & (tiles == Tile.CHARACTER),
        hurt=logits["hurt"][:, 0] > 0,
        portal=logits["portal"][:, 0] > 0,
        goal=logits["goal"][:, 0] > 0,
    )


def apply_enemies(bank: WorldBank, state: State, logits: dict[str, Tensor]) -> State:
    """Every slot moved (logits (B, MOVER_SLOTS, ...)); empty slots stay."""
    table = torch.tensor(
        [[0, 0], [1, 0], [-1, 0], [0, -1], [0, 1]], dtype=torch.int32, device=state.canvas.device
    )
    there = state.mover_kind > 0
    speed = mechanics_of(bank, state)["enemy_speed"][:, None, None]
    shift = table[logits["move"].argmax(-1)] * speed * there[..., None]
    heading = torch.where(there, logits["heading"].argmax(-1).int(), state.mover_heading)
    touched = ((logits["touch"].argmax(-1) == 1) & there).any(1)
    return state.updated(
        mover_position=state.mover_position + shift,
        mover_heading=heading,
        touched=touched,
        step=state.step + 1,
    )
