"""The generalist: a small network that explores any world from wherever a return to the archive put it.

It sees what every player sees (:mod:`bots.view`), where it went since the return, and what the search knows
of the world so far (:class:`Known`). Stable-Baselines3's PPO trained it over many generated worlds, rewarded
for cells that were new to the archive (:mod:`bots.training`). To explore by a trained policy instead of by
random actions is after Ecoffet et al., "First return, then explore" (Nature 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from bots.players import Memory
from bots.view import RADIUS, WINDOW, View
from worldmodel.constants import ACTIONS, MAP_HEIGHT, MAP_WIDTH, TILE_CLASSES, WALLS, Action
from worldmodel.crops import crop

if TYPE_CHECKING:
    from bots.archive import Archive

WEIGHTS = Path(__file__).parent / "weights" / "generalist.safetensors"
REACH = 8
"""Tiles in each direction for which it looks up what the search knows: as far as a round leads."""
SPAN = 2 * REACH + 1
LAYERS = 3
"""Of :class:`Known`."""
MARKS = 2
"""Planes beside the tiles: enemies, and where it walked since the return."""
METERS = 9 + ACTIONS
"""Place in the tile (2), velocity (2), health, keys, flashing, speaking, seen from above; the last action."""
REPEAT = 3
"""Steps, 0.2 s, for which it holds an action. INTERACT is pressed once."""
WORN = 6.0
"""Natural logarithm of the steps spent on a tile at which the search counts it as worn out."""


@dataclass(frozen=True)
class Known:
    """What the search knows of W worlds."""

    layers: Tensor
    """(W, MAP_HEIGHT + 2 REACH, MAP_WIDTH + 2 REACH, LAYERS) float32 0..1, a border of zeros around the map:
    how worn a tile is; whether it was on a screen and is open, but was never entered; whether something is
    there that has a first time, which has not come yet."""

    @classmethod
    def nothing(cls, device: torch.device) -> Known:
        """Of one world."""
        return cls(torch.zeros(1, MAP_HEIGHT + 2 * REACH, MAP_WIDTH + 2 * REACH, LAYERS, device=device))

    @classmethod
    def of(cls, archive: Archive) -> Known:
        """What an archive's screens showed, of one world."""
        device = archive.cells.device
        visits = torch.from_numpy(archive.visited).to(device).view(MAP_HEIGHT, MAP_WIDTH).float()
        entered = visits > 0
        seen = functional.max_pool2d(entered[None].float(), WINDOW, 1, RADIUS)[0] > 0
        tiles = archive.cells.tiles
        walls = torch.isin(tiles, torch.tensor([int(tile) for tile in WALLS], device=device))
        made = torch.tensor([0, *archive.marks], device=device)
        unmade = ~torch.isin(archive.cells.things, made)
        worn = (visits.log1p() / WORN).clamp(max=1)
        layers = torch.stack([worn, (seen & ~walls & ~entered).float(), (seen & unmade).float()], -1)
        return cls(functional.pad(layers, (0, 0, REACH, REACH, REACH, REACH))[None])

    def around(self, world: Tensor, tile: Tensor) -> Tensor:
        """(B, LAYERS, SPAN, SPAN) about tiles (B, 2) of the worlds (B,)."""
        reach = torch.arange(SPAN, device=tile.device)
        rows = tile[:, 1, None, None] + reach[:, None]
        columns = tile[:, 0, None, None] + reach[None, :]
        found: Tensor = self.layers[world[:, None, None], rows, columns]
        return found.permute(0, 3, 1, 2)


def sense(view: View, walked: Tensor, last: Tensor, known: Known, world: Tensor) -> dict[str, Tensor]:
    """The network's inputs for B players.

    ``walked`` (B, MAP_HEIGHT, MAP_WIDTH) bool: since the return; ``last`` (B,) int64: action before;
    ``world`` (B,) int64: number of each row's world in ``known``. Gives ``tiles`` (B, WINDOW, WINDOW) int64,
    ``marks`` (B, MARKS, WINDOW, WINDOW), ``known`` (B, LAYERS, SPAN, SPAN), ``meters`` (B, METERS) float32.
    """
    marks = [view.enemies, crop(walked, view.tile, RADIUS, 0)]
    columns = [view.health / 3, view.keys / 3, view.flashing, view.speaking, view.top_view]
    meters = [2 * view.offset, view.velocity, torch.stack([c.float() for c in columns], 1)]
    return {
        "tiles": view.tiles,
        "marks": torch.stack(marks, 1).float(),
        "known": known.around(world, view.tile),
        "meters": torch.cat([*meters, functional.one_hot(last, ACTIONS).float()], 1),
    }


class Trunk(nn.Module):
    """From what is sensed to (B, WIDTH) features."""

    WIDTH = 192

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Embedding(TILE_CLASSES, 8)
        self.near = nn.Sequential(
            nn.Conv2d(8 + MARKS, 24, 3), nn.ReLU(), nn.Conv2d(24, 32, 3, stride=2), nn.ReLU(), nn.Flatten()
        )
        self.far = nn.Sequential(
            nn.Conv2d(LAYERS, 12, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(12, 16, 3, stride=2),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.mix = nn.Sequential(nn.Linear(32 * 9 + 16 * 9 + METERS, self.WIDTH), nn.ReLU())

    def forward(self, sensed: Mapping[str, Tensor]) -> Tensor:
        classes = self.classes(sensed["tiles"].long()).permute(0, 3, 1, 2)
        near = self.near(torch.cat([classes, sensed["marks"]], 1))
        features: Tensor = self.mix(torch.cat([near, self.far(sensed["known"]), sensed["meters"]], 1))
        return features


class Policy(nn.Module):
    """The trunk with a head for the actions, and one for the value, from which training can go on."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.action = nn.Linear(Trunk.WIDTH, ACTIONS)
        self.value = nn.Linear(Trunk.WIDTH, 1)

    def forward(self, sensed: Mapping[str, Tensor]) -> Tensor:
        """(B, ACTIONS) logits."""
        logits: Tensor = self.action(self.trunk(sensed))
        return logits


def save_policy(policy: Policy, path: Path) -> None:
    """Write the weights as safetensors."""
    save_file({name: value.detach().cpu().contiguous() for name, value in policy.state_dict().items()}, path)


@cache
def load_policy(path: Path = WEIGHTS, device: torch.device | str = "cpu") -> Policy:
    """The policy at ``path``, ready to play. Raises RuntimeError for the weights of another network."""
    policy = Policy()
    policy.load_state_dict(load_file(path))
    return policy.requires_grad_(False).eval().to(device)


def restored_policy(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Policy:
    """The policy whose parameters are kept among arrays under ``prefix`` and their names, ready to play."""
    own = {name: torch.from_numpy(arrays[prefix + name]) for name in Policy().state_dict()}
    policy = Policy()
    policy.load_state_dict(own)
    return policy.requires_grad_(False).eval()


def sample(logits: Tensor, roll: Tensor) -> Tensor:
    """(B,) int64 actions by chance, for uniform ``roll`` (B,) in [0, 1)."""
    limits = logits.softmax(1).cumsum(1)
    return (roll[:, None] >= limits).sum(1).clamp(max=ACTIONS - 1)


def held(last: Tensor) -> Tensor:
    """(B,) what is pressed in the steps after an action was decided."""
    return torch.where(last == Action.INTERACT, int(Action.NOOP), last)


@dataclass(frozen=True)
class Generalist:
    """A player of the search arm."""

    policy: Policy | None = None
    """None for the weights that ship with the package, loaded when it first plays."""
    known: Known | None = None
    """None: nothing."""
    name: str = "generalist/1"

    def informed(self, archive: Archive) -> Generalist:
        """The same, knowing what an archive holds now."""
        return replace(self, known=Known.of(archive))

    def decide(self, memory: Memory, view: View, dice: Tensor) -> Tensor:
        action = held(memory.last)
        rows = (memory.hold == 0).nonzero()[:, 0]
        if len(rows):
            action[rows] = self._choose(memory[rows], view[rows], dice[rows, 0])
            memory.hold[rows] = REPEAT
        return action

    @torch.no_grad()
    def _choose(self, memory: Memory, view: View, roll: Tensor) -> Tensor:
        device = roll.device
        policy = self.policy or load_policy(WEIGHTS, device)
        known = self.known or Known.nothing(device)
        world = torch.zeros(len(view), dtype=torch.int64, device=device)
        return sample(policy(sense(view, memory.visited > 0, memory.last, known, world)), roll)
