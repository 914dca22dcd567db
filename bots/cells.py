"""Cells: which moments of play count as the same. Fixed for a world, so that counts of them can be compared.

A *cell* is the player's tile, the number of keys held, whether the lights flash, and which doors and levers
were changed. A *scene* is coarser, and is what a recording has to show: two by two tiles with the same doors
open (what a lever does is recorded where it is pulled). Both are hashes of the model's own state (64 bits),
so decoder noise cannot split them.

A model that plays from pixels (:mod:`worldmodel.adapters`) has no such state: its cells and scenes are
similarity hashes of its frames, see :class:`SeenCells`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from bots.view import RADIUS, tile_of
from worldmodel.adapters.common import ContextModel
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import MAP_WIDTH, MAX_LINKS, Event, Tile
from worldmodel.crops import crop
from worldmodel.noise import dice, mix
from worldmodel.protocol import State, WorldModel

SCENE_TILES = 2
CELL_BITS, SCENE_BITS = 16, 10
"""Of the hashes of frames."""
POOL = 8
"""Blocks along a side of a frame that is hashed."""
SEEN_ROWS = 256
"""Frames that are drawn at once to be hashed."""
KINDS = (Tile.DOOR, Tile.LEVER, Tile.CHARACTER, Tile.PORTAL)
"""Things with a link whose first use is an event worth a recording."""
_KIND_EVENTS = (Event.DOOR, Event.LEVER, Event.SPEECH, Event.PORTAL)


@dataclass(frozen=True)
class Mark:
    """A thing that can happen in a world: an event, and the link of what it happened to (0 for none)."""

    event: Event
    link: int = 0

    @property
    def code(self) -> int:
        return int(self.event) * MAX_LINKS + self.link

    @classmethod
    def of(cls, code: int) -> Mark:
        return cls(Event(code // MAX_LINKS), code % MAX_LINKS)

    @property
    def label(self) -> str:
        """``speech 2``: the event's name and, where it has one, its link."""
        return self.event.name.lower() + (f" {self.link}" if self.link else "")


class Cells:
    """Hashes and landmarks of one world's states."""

    def __init__(self, world: CompiledWorld, device: torch.device) -> None:
        tiles = torch.from_numpy(world.tiles.astype(np.int64)).to(device).flatten()
        self._original = tiles
        self._switches = torch.isin(tiles, torch.tensor([Tile.DOOR, Tile.LEVER], device=device)).nonzero()[
            :, 0
        ]
        self._weights = mix(self._switches * 2 + 1)
        self._door_weights = self._weights * (tiles[self._switches] == Tile.DOOR)
        links = torch.from_numpy(world.links.astype(np.int64)).to(device)
        self._links = links
        self._portals = torch.from_numpy(world.portals.astype(np.int64)).to(device)
        self.tiles = tiles.view_as(links)
        """(MAP_HEIGHT, MAP_WIDTH) int64 of Tile, before anything was changed."""
        self.things = _things(self.tiles, links)
        """(MAP_HEIGHT, MAP_WIDTH) int64 :attr:`Mark.code` of each linked thing on the map, 0 elsewhere."""
        self.device = device

    def _changed(self, state: State, weights: Tensor) -> Tensor:
        """(N,) int64 sum of the hashes of switches that are not as they were at first."""
        now = state.canvas.flatten(1)[:, self._switches].long()
        before = self._original[self._switches]
        return torch.where(now != before, weights * (now + 1), 0).sum(1)

    def cells(self, state: State) -> Tensor:
        """(N,) int64."""
        meters = state.keys.long() * 2 + (state.flash > 0)
        return self._hash(state, 1, meters, self._weights)

    def scenes(self, state: State) -> Tensor:
        """(N,) int64."""
        return self._hash(state, SCENE_TILES, torch.zeros_like(state.world), self._door_weights)

    def _hash(self, state: State, size: int, meters: Tensor, weights: Tensor) -> Tensor:
        tile = torch.div(tile_of(state.position), size, rounding_mode="floor")
        place = tile[:, 1] * MAP_WIDTH + tile[:, 0]
        return mix(mix(place * 16 + meters) + self._changed(state, weights))

    def tile_index(self, state: State) -> Tensor:
        """(N,) int64: y * MAP_WIDTH + x."""
        tile = tile_of(state.position)
        return tile[:, 1] * MAP_WIDTH + tile[:, 0]

    def landmarks(self, state: State) -> Tensor:
        """(N, len(Event) * MAX_LINKS) bool by :attr:`Mark.code`: what on the screen could still happen."""
        window = crop(self.things.expand(len(state), -1, -1), tile_of(state.position), RADIUS, 0)
        seen = torch.zeros(len(state), len(Event) * MAX_LINKS, dtype=torch.bool, device=self.device)
        seen.scatter_(1, window.flatten(1), True)
        seen[:, 0] = False
        return seen

    def marks(self, before: State, after: State, events: Tensor, clips: Tensor) -> Tensor:
        """(N, EVENTS) int64 :attr:`Mark.code` of each event that a step reported, -1 where it did not.

        A lever or door is told by what changed on the canvas, a voice by its clip, a portal by where it led.
        """
        codes = torch.arange(events.shape[1], device=self.device) * MAX_LINKS
        links = torch.zeros_like(events, dtype=torch.int64)
        rows = events[:, [Event.DOOR, Event.LEVER]].any(1).nonzero()[:, 0]
        if len(rows):
            changed = self._changed_links(before[rows], after[rows])
            links[rows, Event.DOOR], links[rows, Event.LEVER] = changed
        links[:, Event.SPEECH] = (clips + 1).clamp(0, MAX_LINKS - 1)
        links[:, Event.PORTAL] = self._portal_links(after)
        return torch.where(events, codes + links, -1)

    def _changed_links(self, before: State, after: State) -> tuple[Tensor, Tensor]:
        old = before.canvas.flatten(1)[:, self._switches]
        changed = after.canvas.flatten(1)[:, self._switches] != old
        linked = torch.where(changed, self._links.flatten()[self._switches], 0)
        doors = (old == Tile.DOOR) | (old == Tile.DOOR_OPEN)
        if not len(self._switches):
            return linked.sum(1), linked.sum(1)
        return torch.where(doors, linked, 0).amax(1), torch.where(doors, 0, linked).amax(1)

    def _portal_links(self, after: State) -> Tensor:
        there = (tile_of(after.position)[:, None] == self._portals).all(2)  # (N, MAX_LINKS)
        there[:, 0] = False
        return there.int().argmax(1)


class SeenCells(Cells):
    """Cells of a model whose state says nothing but what it shows: a SimHash of the pooled frame.

    Charikar, "Similarity Estimation Techniques from Rounding Algorithms" (STOC 2002). Each bit is the side of
    a random plane on which the frame lies, so frames that hardly differ mostly share all bits. Tiles are
    those of the spawn, for the odometry of such a model is unknown, and no landmark is known to be in sight.
    """

    def __init__(self, world: CompiledWorld, model: WorldModel) -> None:
        super().__init__(world, model.device)
        self._model = model
        zero = torch.zeros(1, dtype=torch.int64, device=model.device)
        toss = dice(zero, zero, 3 * POOL * POOL * CELL_BITS) & 1
        self._planes = (2 * toss - 1).view(-1, CELL_BITS).double()

    def cells(self, state: State) -> Tensor:
        return self._sides(state, CELL_BITS)

    def scenes(self, state: State) -> Tensor:
        return self._sides(state, SCENE_BITS)

    def landmarks(self, state: State) -> Tensor:
        return torch.zeros(len(state), len(Event) * MAX_LINKS, dtype=torch.bool, device=self.device)

    def _sides(self, state: State, bits: int) -> Tensor:
        """(N,) int64: on which sides of the first planes the frames lie."""
        parts = [
            self.of_frames(self._model.render(state[at : at + SEEN_ROWS]), bits)
            for at in range(0, len(state), SEEN_ROWS)
        ]
        return torch.cat(parts)

    def of_frames(self, frames: Tensor, bits: int = CELL_BITS) -> Tensor:
        """(N,) int64 of frames (N, 3, H, W) uint8."""
        sides = self._features(frames) @ self._planes[:, :bits] > 0
        return (sides.long() << torch.arange(bits, device=self.device)).sum(1)

    @staticmethod
    def _features(frames: Tensor) -> Tensor:
        """(N, 3 * POOL * POOL) float64: blocks' colours less the frame's mean; its light does not count."""
        blocks = functional.adaptive_avg_pool2d(frames.double(), POOL)
        return (blocks - blocks.mean((2, 3), keepdim=True)).flatten(1)


def cells_of(model: WorldModel, world: CompiledWorld) -> Cells:
    """The cells that fit a model: by its state, or by its frames where it has nothing else."""
    return SeenCells(world, model) if isinstance(model, ContextModel) else Cells(world, model.device)


def _things(tiles: Tensor, links: Tensor) -> Tensor:
    codes = torch.zeros_like(links)
    for kind, event in zip(KINDS, _KIND_EVENTS, strict=True):
        codes = torch.where(tiles == kind, int(event) * MAX_LINKS + links, codes)
    return codes


def host(tensor: Tensor) -> NDArray[np.int64]:
    """The tensor as a NumPy array on the host."""
    array: NDArray[np.int64] = tensor.cpu().numpy()
    return array
