"""A player with numbers: habits, wishes, a reaction delay and held keys, so that it can be fitted to people.

At each step it decides on a key: with the chance ``stick`` the one before, else one drawn from a softmax over
what speaks for each key: its habit in this view, and a weight for each of ``WEIGHTS``. Its hand does so
``delay`` steps later. Everything that speaks for a key is a function of what was seen and done so far, so the
likelihood of a recorded session is exact (:mod:`bots.fit`).

McFadden, "Conditional logit analysis of qualitative choice behavior" (1974); the delayed, repeated choice
follows what is known of people at Atari games (Mnih et al., Nature 2015, give theirs sticky keys too).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from bots.hands import SIDE_HABIT, TOP_HABIT, danger_ahead, freshest, mark_used, nearest, on_screen, towards
from bots.hands import wall_ahead as wall
from bots.players import LONGEST_DELAY, Memory, after_delay
from bots.view import RADIUS, View
from worldmodel.constants import ACTIONS, Action, Tile

GOALS = (Tile.COIN, Tile.KEY, Tile.DOOR, Tile.LEVER, Tile.CHARACTER, Tile.PORTAL, Tile.GOAL)
WEIGHTS = (*(tile.name.lower() for tile in GOALS), "interact", "fresh", "blocked", "danger", "leap", "keep")
"""What speaks for a key: that it leads to the nearest thing of a class, as far as that is near; INTERACT at a
lever or character; a way that was walked less; walking into a wall, or into danger; leaping over either; and
the direction of the key before."""
_LENGTHS = (ACTIONS - 1, ACTIONS - 1, len(WEIGHTS))
_KEEP = len(WEIGHTS) - 1
_SIDE_HEADING = (-1, 1, 0, -1, -1, 1, 0, -1)
"""By action: 0 right, 1 left, 2 up, 3 down, -1 none."""
_TOP_HEADING = (-1, 1, 0, 2, 3, 1, 0, -1)
_LEAPS = (Action.UP_LEFT, Action.UP_RIGHT)
_FORMAT = "firstplay-player/1"
TIRED = 30
"""Steps without getting anywhere after which what was wanted is given up."""


class PlayerFileError(ValueError):
    """A file that holds no player; says which file and what is wrong."""


@dataclass(frozen=True)
class Parameters:
    """Every number of a player."""

    delay: int
    """Steps between what is seen and what the hand does, 0..LONGEST_DELAY."""
    stick: float
    """Chance 0..1 to decide on the key before."""
    side: tuple[float, ...]
    """(ACTIONS - 1,) log-odds of each key over NOOP, seen from the side, when nothing else speaks."""
    top: tuple[float, ...]
    """The same, seen from above."""
    weights: tuple[float, ...]
    """Of WEIGHTS, in log-odds."""

    def __post_init__(self) -> None:
        lengths = (len(self.side), len(self.top), len(self.weights))
        if lengths != _LENGTHS:
            raise ValueError(f"side, top and weights have {lengths} numbers, not {_LENGTHS}")
        if not (0 <= self.delay <= LONGEST_DELAY and 0 <= self.stick < 1):
            raise ValueError(
                f"delay {self.delay} must be 0..{LONGEST_DELAY}, stick {self.stick} 0 to under 1"
            )

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class PlayerModel:
    """The player with these numbers."""

    parameters: Parameters

    @cached_property
    def name(self) -> str:
        """With the hash of all numbers, as recordings name it: ``model-1/3f2a9c01d4e5``."""
        return f"model-1/{self.parameters.sha256[:12]}"

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        own = self.parameters
        before = memory.queue[:, -1]
        reasons = with_keep(reasons_for(memory, view), before, view.top_view)
        side, top, weights = (
            torch.tensor(values, device=dice.device) for values in (own.side, own.top, own.weights)
        )
        chances = logits(reasons, view.top_view, side, top, weights).softmax(1)
        drawn = (dice[:, 1:2] >= chances.cumsum(1)).sum(1).clamp(max=ACTIONS - 1)
        decided = torch.where(dice[:, 0] < own.stick, before, drawn)
        return after_delay(memory, decided, own.delay)


def logits(reasons: Tensor, top_view: Tensor, side: Tensor, top: Tensor, weights: Tensor) -> Tensor:
    """(N, ACTIONS) what speaks for each key; ``reasons`` (N, ACTIONS, len(WEIGHTS)), ``top_view`` (N,)."""
    habit = torch.where(top_view[:, None], top, side)
    habit = torch.cat([torch.zeros_like(habit[:, :1]), habit], 1)
    # A sum by rows, since a matrix product may round a row by the company it is in.
    return habit + (reasons * weights).sum(2)


def reasons_for(memory: Memory, view: View) -> Tensor:
    """(B, ACTIONS, len(WEIGHTS)) float32, the last (``keep``) left 0; marks what was dealt with as used."""
    rows = len(view)
    found = torch.zeros(rows, ACTIONS, len(WEIGHTS), device=view.tile.device)
    found[..., : len(GOALS)], at_hand = _goals(memory, view)
    found[:, Action.INTERACT, len(GOALS)] = at_hand.float()
    heading = _heading(view.top_view)  # (B, ACTIONS)
    nowhere = heading < 0
    least = freshest(memory, view, torch.zeros(rows, device=view.tile.device))
    walls = torch.stack([wall(view, torch.full_like(least, h)) for h in range(4)], 1)
    dangers = torch.stack([danger_ahead(view, torch.full_like(least, h)) for h in range(4)], 1)
    blocked = walls.gather(1, heading.clamp(min=0)) & ~nowhere
    danger = dangers.gather(1, heading.clamp(min=0)) & ~nowhere
    leaps = torch.zeros_like(nowhere)
    leaps[:, _LEAPS] = True
    leaps &= ~view.top_view[:, None]
    first = len(GOALS) + 1
    for number, reason in enumerate(
        (heading == least[:, None], blocked & ~leaps, danger & ~leaps, (blocked | danger) & leaps)
    ):
        found[..., first + number] = reason.float()
    return found


def with_keep(reasons: Tensor, before: Tensor, top_view: Tensor) -> Tensor:
    """``reasons`` (N, ACTIONS, ...) with ``keep``, by the key (N,) that was decided on before."""
    heading = _heading(top_view)
    own = heading.gather(1, before[:, None])
    whole = reasons.clone()
    whole[..., _KEEP] = ((heading == own) & (own >= 0)).to(reasons.dtype)
    return whole


def _heading(top_view: Tensor) -> Tensor:
    side, top = (torch.tensor(values, device=top_view.device) for values in (_SIDE_HEADING, _TOP_HEADING))
    return torch.where(top_view[:, None], top, side)


def _goals(memory: Memory, view: View) -> tuple[Tensor, Tensor]:
    """(B, ACTIONS, len(GOALS)) nearness 0..1 of what each key leads to; (B,) whether something is at hand."""
    rows, kinds = len(view), len(GOALS)
    device = view.tile.device
    each = torch.arange(rows, device=device).repeat_interleave(kinds)
    classes = torch.tensor([int(tile) for tile in GOALS], device=device).repeat(rows)
    unused = ~on_screen(memory.used, view.tile)[each]
    many = view[each]
    wanted = ((many.tiles == classes[:, None, None]) & unused).float() * 100
    dx, dy, there = nearest(many, wanted, torch.zeros(len(each), device=device))
    lever, character = classes == Tile.LEVER, classes == Tile.CHARACTER
    beside = (dx.abs() <= 1) & (dy.abs() <= 1)
    at_hand = there & ((lever & (dx == 0) & (dy == 0)) | (character & beside))
    key = towards(many, dx, dy, torch.full((len(each),), 0.5, device=device))
    near = 1 - (dx.abs() + dy.abs()) / (4 * RADIUS + 2)
    pull = torch.zeros(len(each), ACTIONS, device=device)
    pull.scatter_(1, key[:, None], torch.where(there & ~at_hand, near, 0.0)[:, None])
    done = at_hand & (memory.last == Action.INTERACT)[each]
    gone = done | (there & (memory.still > TIRED)[each])
    for kind in range(kinds):
        of_kind = slice(kind, None, kinds)
        mark_used(memory, view, dx[of_kind], dy[of_kind], gone[of_kind])
    return pull.view(rows, kinds, ACTIONS).transpose(1, 2), (at_hand & ~done).view(rows, kinds).any(1)


def _odds(habit: tuple[float, ...]) -> tuple[float, ...]:
    odds = torch.tensor(habit[1:], dtype=torch.float64) / habit[0]
    return tuple(round(value, 3) for value in odds.log().tolist())


DEFAULT = PlayerModel(
    Parameters(
        delay=3,
        stick=0.25,
        side=_odds(SIDE_HABIT),
        top=_odds(TOP_HABIT),
        weights=(2.5, 4.0, 2.5, 4.0, 3.5, 3.0, 3.5, 4.0, 1.5, -1.5, -1.5, 1.5, 1.5),
    )
)
"""What a fit begins with and is compared with: habits and wishes of ``human/1`` in this family's terms."""


# ---- files ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlayerFile:
    """A player as kept: its numbers, and where they come from."""

    format: str
    name: str
    sha256: str
    """Of the parameters."""
    parameters: Parameters
    source: dict[str, Any]
    """Of what it was fitted to, and how well; see :class:`bots.fit.Fit`."""


_FILE = TypeAdapter(PlayerFile)
_PARAMETERS = TypeAdapter(Parameters)


def player_of(numbers: dict[str, Any]) -> PlayerModel:
    """The player with the numbers of ``asdict(parameters)``, as JSON keeps them."""
    return PlayerModel(_PARAMETERS.validate_python(numbers))


def save_player(path: Path, player: PlayerModel, source: dict[str, Any]) -> None:
    """Keep a player as JSON."""
    file = PlayerFile(_FORMAT, player.name, player.parameters.sha256, player.parameters, source)
    path.write_text(json.dumps(asdict(file), indent=2) + "\n", encoding="utf-8")


def load_player(path: Path) -> PlayerModel:
    """The player of a file. Raises PlayerFileError for a file that is none or was changed by hand."""
    try:
        file = _FILE.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise PlayerFileError(f"{path} holds no player ({error}); make one by 'bots fit-player'") from error
    if file.format != _FORMAT or file.sha256 != file.parameters.sha256:
        raise PlayerFileError(f"{path} is of another format, or its numbers are not those that were hashed")
    return PlayerModel(file.parameters)
