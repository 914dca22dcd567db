"""The learned dynamics: three small networks that read the memory around a thing and say what it does next.

``motion`` moves the player, ``touch`` says what the player's surroundings do to it and to the map,
``movers`` moves each enemy and platform. Each sees a 3 x 3 crop of the canvas, its own place inside the
tile, its own state and the world's mechanics, all as classes, and answers in classes: integers leave nothing
to drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from worldmodel.bank import WorldBank, mechanics_of
from worldmodel.constants import ACTIONS, MOVER_SLOTS, MOVERS, TILE_CLASSES, UNITS, Action, Mover, Tile
from worldmodel.crops import GAPS, crop, tile_of, underneath
from worldmodel.memory import Contacts, tick
from worldmodel.noise import dice
from worldmodel.protocol import State

SPEED_X, SPEED_Y = 10, 18
"""Greatest speeds, units per step: walking with the wind, and a jump."""
SHIFT_X, SHIFT_Y = 12, 20
"""Greatest displacements: the same on a moving platform."""
MOTION_SIZES = {
    "vx": 2 * SPEED_X + 1,
    "vy": 2 * SPEED_Y + 1,
    "dx": 2 * SHIFT_X + 1,
    "dy": 2 * SHIFT_Y + 1,
    "facing": 2,
    "air": 2,
    "riding": 2,
}
"""Classes of each motion head; numbers are offset so that class 0 is the most negative."""
TOUCH_SIZES = {"taken": 9, "unlocked": 9, "pulled": 9, "speaks": 1, "hurt": 1, "portal": 1, "goal": 1}
"""Binary outputs of each touch head, 9 for the tiles of the crop."""
MOVER_SIZES = {"move": 5, "heading": 4, "touch": 2}
"""Classes: move none, right, left, up, down; new heading; touching the player."""
NEAR = 32
"""Units up to which a mover resolves the player's distance exactly."""
CHASE_CELL, CHASE_CELLS = 16, 10


@dataclass(frozen=True)
class DynamicsConfig:
    """Widths of the three networks, and layers before their heads."""

    motion_width: int = 384
    touch_width: int = 192
    mover_width: int = 176
    depth: int = 3


@dataclass(frozen=True)
class Column:
    """A whole number, or ``count`` of them, that a network sees as a class ``low`` .. ``high``."""

    name: str
    low: int
    high: int
    count: int = 1

    @property
    def classes(self) -> int:
        return self.high - self.low + 1


_SURROUNDINGS = (Column("tiles", 0, TILE_CLASSES - 1, 9), Column("inside", 0, UNITS - 1, 2))
MOTION_COLUMNS = (
    *_SURROUNDINGS,
    Column("vx", -SPEED_X, SPEED_X),
    Column("vy", -SPEED_Y, SPEED_Y),
    Column("facing", -1, 1),
    Column("held", 0, 1),
    Column("air", 0, 1),
    Column("riding", 0, 1),
    Column("platform", 0, 1),
    Column("gap", *GAPS),
    Column("shift", -2, 2, 2),
    Column("action", 0, ACTIONS - 1),
    Column("top_view", 0, 1),
    Column("gravity", 1, 3),
    Column("jump", 8, 18),
    Column("speed", 2, 8),
    Column("accel", 1, 4),
    Column("air_jumps", 0, 1),
    Column("wind", -2, 2),
)
TOUCH_COLUMNS = (
    *_SURROUNDINGS,
    Column("touched", 0, 1),
    Column("vulnerable", 0, 1),
    Column("has_key", 0, 1),
    Column("quiet", 0, 1),
    Column("interact", 0, 1),
    Column("enough", 0, 1),
)
MOVER_COLUMNS = (
    *_SURROUNDINGS,
    Column("kind", 0, MOVERS - 1),
    Column("heading", 0, 3),
    Column("speed", 1, 3),
    Column("top_view", 0, 1),
    Column("fresh", 0, 1),
    Column("turn", 0, 3),
    Column("gap", -NEAR, NEAR, 2),
    Column("cells", -CHASE_CELLS, CHASE_CELLS, 2),
)


class Trunk(nn.Module):
    """A residual ReLU network over classes, with one linear head that is split by name.

    The first layer of a one-hot input is the sum of one row of weights per column: it is looked up, not
    multiplied.
    """

    low: Tensor
    top: Tensor
    offset: Tensor

    def __init__(self, columns: tuple[Column, ...], width: int, depth: int, sizes: dict[str, int]) -> None:
        super().__init__()
        self.sizes = sizes
        each = [column for column in columns for _ in range(column.count)]
        ends = torch.tensor([column.classes for column in each]).cumsum(0)
        self.register_buffer("low", torch.tensor([c.low for c in each]), persistent=False)
        self.register_buffer("top", torch.tensor([c.classes - 1 for c in each]), persistent=False)
        self.register_buffer("offset", torch.cat([ends.new_zeros(1), ends[:-1]]), persistent=False)
        self.table = nn.Parameter(torch.randn(int(ends[-1]), width) / len(each) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.head = nn.Linear(width, sum(sizes.values()))

    def forward(self, columns: Tensor) -> dict[str, Tensor]:
        return self.named(self.logits(self.look_up(columns)))

    def look_up(self, columns: Tensor) -> Tensor:
        """(N, width) from whole numbers (N, K), each held within its column's range."""
        index = torch.minimum((columns - self.low).clamp(min=0), self.top) + self.offset
        return functional.embedding_bag(index, self.table, mode="sum") + self.bias

    def logits(self, x: Tensor) -> Tensor:
        """(..., sum of sizes) from (..., width)."""
        x = functional.relu(x)
        for block in self.blocks:
            x = x + functional.relu(block(x))
        logits: Tensor = self.head(x)
        return logits

    def named(self, logits: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.sizes, torch.split(logits, list(self.sizes.values()), -1), strict=True))


def surroundings(canvas: Tensor, position: Tensor) -> Tensor:
    """(..., 11) int64: classes of the 3 x 3 tiles around points in units, and the place inside the tile."""
    tiles = crop(canvas, tile_of(position)).flatten(-2)
    return torch.cat([tiles.long(), (position % UNITS).long()], -1)


def _numbers(columns: list[Tensor]) -> Tensor:
    return torch.stack([column.long() for column in columns], -1)


def motion_columns(bank: WorldBank, state: State, actions: Tensor) -> Tensor:
    """(B, K) int64 what moves the player, by MOTION_COLUMNS."""
    m = mechanics_of(bank, state)
    below = underneath(state, m["platform_speed"])
    numbers = [
        *state.velocity.unbind(1), state.facing, state.held, state.air, state.riding, below.there, below.gap,
        *below.shift.unbind(1), actions, m["top_view"], m["gravity"], m["jump"], m["speed"], m["accel"],
        m["air_jumps"], m["wind"],
    ]  # fmt: skip
    return torch.cat([surroundings(state.canvas, state.position), _numbers(numbers)], -1)


def touch_columns(bank: WorldBank, state: State, actions: Tensor) -> Tensor:
    """(B, K) int64 what the player's surroundings and condition are, at the new place, by TOUCH_COLUMNS."""
    enough = state.coins >= mechanics_of(bank, state)["coins_needed"]
    numbers = [
        state.touched, state.safe == 0, state.keys > 0, state.speech == 0, actions == Action.INTERACT, enough,
    ]  # fmt: skip
    return torch.cat([surroundings(state.canvas, state.position), _numbers(numbers)], -1)


def mover_columns(bank: WorldBank, state: State, slots: Tensor, rolled: Tensor | None = None) -> Tensor:
    """(B, S, K) int64 for the slots (B, S), the player being at its new place, by MOVER_COLUMNS.

    ``rolled`` (B, MOVER_SLOTS) are the dice, if they come from outside.
    """
    m = mechanics_of(bank, state)

    def pick(values: Tensor) -> Tensor:
        index = slots[..., None].expand(*slots.shape, values.shape[-1]) if values.dim() == 3 else slots
        return values.gather(1, index)

    position, kind = pick(state.mover_position), pick(state.mover_kind)
    rolled = pick(dice(state.seed, state.step, MOVER_SLOTS) if rolled is None else rolled)
    gap = (state.position[:, None] - position).long()
    speed = torch.where(kind == Mover.PLATFORM, m["platform_speed"][:, None], m["enemy_speed"][:, None])
    top = m["top_view"][:, None].expand(slots.shape)
    numbers = [kind, pick(state.mover_heading), speed, top, rolled % 8 == 0, (rolled >> 8) % 4]
    return torch.cat(
        [
            surroundings(state.canvas, position),
            _numbers(numbers),
            gap,
            torch.div(gap, CHASE_CELL, rounding_mode="floor"),
        ],
        -1,
    )


class Dynamics(nn.Module):
    """All three networks."""

    def __init__(self, config: DynamicsConfig | None = None) -> None:
        super().__init__()
        config = config or DynamicsConfig()
        self.motion = Trunk(MOTION_COLUMNS, config.motion_width, config.depth, MOTION_SIZES)
        self.touch = Trunk(TOUCH_COLUMNS, config.touch_width, config.depth, TOUCH_SIZES)
        self.movers = Trunk(MOVER_COLUMNS, config.mover_width, config.depth, MOVER_SIZES)


def apply_motion(state: State, actions: Tensor, logits: dict[str, Tensor]) -> tuple[State, Tensor]:
    """The moved player, and the probability of the classes chosen (B,)."""
    chosen = {name: value.argmax(-1).int() for name, value in logits.items()}
    velocity = torch.stack([chosen["vx"] - SPEED_X, chosen["vy"] - SPEED_Y], 1)
    shift = torch.stack([chosen["dx"] - SHIFT_X, chosen["dy"] - SHIFT_Y], 1)
    sure = logits["dx"].softmax(-1).amax(-1) * logits["dy"].softmax(-1).amax(-1)
    moved = state.updated(
        position=state.position + shift,
        velocity=velocity,
        facing=chosen["facing"] * 2 - 1,
        held=(actions == Action.UP) | (actions == Action.UP_LEFT) | (actions == Action.UP_RIGHT),
        air=chosen["air"],
        riding=chosen["riding"] > 0,
    )
    return moved, sure


def decide_contacts(state: State, logits: dict[str, Tensor]) -> Contacts:
    """Logits to decisions; the classes that the crop shows say what a write can mean."""
    tiles = crop(state.canvas, tile_of(state.position))

    def tile_flags(name: str, *classes: Tile) -> Tensor:
        fits = torch.zeros_like(tiles, dtype=torch.bool)
        for tile in classes:
            fits = fits | (tiles == tile)
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


def apply_movers(bank: WorldBank, state: State, logits: dict[str, Tensor]) -> State:
    """Every slot moved (logits (B, MOVER_SLOTS, ...)), and the counters one step on; empty slots stay."""
    m = mechanics_of(bank, state)
    there, platform = state.mover_kind > 0, state.mover_kind == Mover.PLATFORM
    move = logits["move"].argmax(-1)
    step = torch.stack([(move == 1).int() - (move == 2).int(), (move == 4).int() - (move == 3).int()], -1)
    speed = torch.where(platform, m["platform_speed"][:, None], m["enemy_speed"][:, None])
    heading = torch.where(there, logits["heading"].argmax(-1).int(), state.mover_heading)
    touched = ((logits["touch"].argmax(-1) == 1) & there & ~platform).any(1)
    after = state.updated(
        mover_position=state.mover_position + step * (speed * there)[..., None],
        mover_heading=heading,
        mover_moved=(move > 0) & there,
        touched=touched,
    )
    return tick(bank, after)
