"""The bank: compiled worlds stacked as tensors, and what every backend shares around it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import fields

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from worldmodel.compiled import CompiledWorld, Mechanics
from worldmodel.constants import MOVER_SLOTS, PLATFORM_HALF, PLAYER_HALF, UNITS, Mover
from worldmodel.protocol import State

MECHANICS = (
    "top_view",
    "gravity",
    "jump",
    "speed",
    "accel",
    "darkness",
    "enemy_speed",
    "air_jumps",
    "wind",
    "platform_speed",
    "day_length",
    "coins_needed",
    "look_ahead",
)
"""Columns of ``WorldBank.mechanics``."""
MAX_SPAWNS = 16
FULL_HEALTH = 3
WALKER_DROP = 4
"""Units by which an enemy's centre lies under the tile's, so that it stands on the ground."""


def mechanics_row(mechanics: Mechanics) -> list[int]:
    """The columns of ``MECHANICS`` as one row."""
    return [int(getattr(mechanics, name)) for name in MECHANICS]


def mechanics_of(bank: WorldBank, state: State) -> dict[str, Tensor]:
    """(B,) int32 columns of MECHANICS by name, for each row's world."""
    return mechanics_columns(bank, state.world)


def mechanics_columns(bank: WorldBank, slots: Tensor) -> dict[str, Tensor]:
    """The same for slots (B,)."""
    return dict(zip(MECHANICS, bank.mechanics[slots].unbind(1), strict=True))


class WorldBank:
    """Worlds by slot. Grows as worlds are added; a world that is already there keeps its slot.

    Who runs for ever calls :meth:`release` now and then: new worlds then take the slots of those that nobody
    plays any more.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.worlds: list[CompiledWorld] = []
        self._slots: dict[str, int] = {}
        self._stacks: dict[str, Tensor] = {}
        self._free: list[int] = []

    @property
    def kept(self) -> int:
        """How many worlds there are."""
        return len(self._slots)

    def release(self, keep: Collection[int]) -> None:
        """Forget every world but those in these slots: no state that is still used may name another."""
        self._free = [slot for slot in range(len(self.worlds)) if slot not in keep]
        self._slots = {key: slot for key, slot in self._slots.items() if slot in keep}

    def add(self, worlds: Sequence[CompiledWorld]) -> list[int]:
        """Slots of the worlds, new ones appended."""
        fresh = [w for w in {w.key: w for w in worlds}.values() if w.key not in self._slots]
        again, new = fresh[: len(self._free)], fresh[len(self._free) :]
        for world in again:
            self._replace(self._free.pop(), world)
        for world in new:
            self._slots[world.key] = len(self.worlds)
            self.worlds.append(world)
        if new:
            self._append(new)
        return [self._slots[w.key] for w in worlds]

    def _replace(self, slot: int, world: CompiledWorld) -> None:
        self._slots[world.key] = slot
        self.worlds[slot] = world
        for name, rows in _arrays([world]).items():
            self._stacks[name][slot] = torch.from_numpy(rows[0])

    def _append(self, fresh: list[CompiledWorld]) -> None:
        for name, rows in _arrays(fresh).items():
            new = torch.from_numpy(np.stack(rows)).to(self.device)
            old = self._stacks.get(name)
            self._stacks[name] = new if old is None else torch.cat([old, new])

    def __getattr__(self, name: str) -> Tensor:
        """(W, ...) stacks: tiles, links, effects, portals, spawns, spawn_count, mover_kinds,
        mover_spawns, mover_headings, mechanics; and, four bytes of a pixel packed into an int32,
        picture (W, height * width), atlas (W, TILE_CLASSES * TILE * TILE) and
        sprites (W, 2 directions * MOVERS * TILE * 2 TILE), facing right and left."""
        stacks: dict[str, Tensor] = self.__dict__.get("_stacks", {})
        if name not in stacks:
            raise AttributeError(f"the bank holds no {name!r} (no world was added yet?)")
        return stacks[name]

    def replace_tensors(self, **stacks: Tensor) -> None:
        """Overwrite stacks directly; training refreshes practice maps this way."""
        self._stacks.update(stacks)


def _arrays(worlds: list[CompiledWorld]) -> dict[str, list[np.ndarray]]:
    def padded_spawns(world: CompiledWorld) -> np.ndarray:
        spawns = world.spawns[:MAX_SPAWNS]
        return np.concatenate([spawns, np.repeat(spawns[:1], MAX_SPAWNS - len(spawns), axis=0)])

    return {
        "tiles": [w.tiles for w in worlds],
        "links": [w.links for w in worlds],
        "effects": [w.effects for w in worlds],
        "portals": [w.portals.astype(np.int32) for w in worlds],
        "spawns": [padded_spawns(w).astype(np.int32) for w in worlds],
        "mover_kinds": [w.mover_kinds.astype(np.int32) for w in worlds],
        "mover_spawns": [w.mover_spawns.astype(np.int32) for w in worlds],
        "mover_headings": [w.mover_headings.astype(np.int32) for w in worlds],
        "picture": [_packed(_opaque(w.picture)) for w in worlds],
        "atlas": [_packed(w.atlas) for w in worlds],
        "sprites": [_packed(np.stack([w.sprites, w.sprites[:, :, ::-1]])) for w in worlds],
        "mechanics": [np.array(mechanics_row(w.mechanics), dtype=np.int32) for w in worlds],
    }


def _opaque(rgb: np.ndarray) -> np.ndarray:
    return np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], -1)


def _packed(rgba: np.ndarray) -> np.ndarray:
    """(N,) int32, red in the lowest byte: one gather then fetches a whole pixel."""
    return np.ascontiguousarray(rgba).view("<i4").reshape(-1).astype(np.int32)


def standing(tile: Tensor) -> Tensor:
    """(..., 2) units of a player's centre who stands on the floor of the tiles (..., 2)."""
    x, y = (tile.to(torch.int32) * UNITS).unbind(-1)
    return torch.stack([x + UNITS // 2, y + UNITS - PLAYER_HALF[1]], -1)


def fresh_state(bank: WorldBank, slots: Tensor, seeds: Tensor, tiles: Tensor) -> State:
    """B new players at the tiles (B, 2) of the worlds in ``slots`` (B,)."""
    count, device = len(slots), slots.device

    def full(value: int, *shape: int) -> Tensor:
        return torch.full((count, *shape), value, dtype=torch.int32, device=device)

    kinds = bank.mover_kinds[slots]
    movers = bank.mover_spawns[slots] * UNITS + UNITS // 2
    movers[..., 1] += torch.where(kinds == Mover.PLATFORM, PLATFORM_HALF[1] - UNITS // 2, WALKER_DROP)
    return State(
        world=slots,
        canvas=bank.tiles[slots].clone(),
        position=standing(tiles),
        velocity=full(0, 2),
        facing=full(1),
        health=full(FULL_HEALTH),
        safe=full(0),
        touched=torch.zeros(count, dtype=torch.bool, device=device),
        keys=full(0),
        coins=full(0),
        flash=full(0),
        speech=full(0),
        held=torch.zeros(count, dtype=torch.bool, device=device),
        air=mechanics_columns(bank, slots)["air_jumps"],
        riding=torch.zeros(count, dtype=torch.bool, device=device),
        look=full(0),
        score=full(0),
        mover_kind=kinds,
        mover_position=movers,
        mover_heading=bank.mover_headings[slots],
        mover_moved=torch.zeros(count, MOVER_SLOTS, dtype=torch.bool, device=device),
        seed=seeds,
        step=torch.zeros(count, dtype=torch.int64, device=device),
        done=torch.zeros(count, dtype=torch.bool, device=device),
        context=torch.zeros(count, 0, dtype=torch.uint8, device=device),
    )


class BankedModel:
    """What the backends share: the bank, spawning, saving and restoring.

    Two models over one ``bank`` can step each other's states.
    """

    def __init__(self, device: torch.device | str = "cpu", bank: WorldBank | None = None) -> None:
        self.device = torch.device(device)
        self.bank = bank or WorldBank(self.device)

    def world(self, slot: int) -> CompiledWorld:
        return self.bank.worlds[slot]

    def spawn(
        self, worlds: Sequence[CompiledWorld], seeds: Sequence[int], spawns: Sequence[int] | None = None
    ) -> State:
        """One fresh state per world, at its start or at the chosen spawn point.

        Raises ValueError when the lengths differ and IndexError for a spawn point a world does not have.
        """
        chosen = [0] * len(worlds) if spawns is None else list(spawns)
        if not len(worlds) == len(seeds) == len(chosen):
            raise ValueError(
                f"{len(worlds)} worlds, {len(seeds)} seeds and {len(chosen)} spawns must be as many"
            )
        for world, spawn in zip(worlds, chosen, strict=True):
            if not 0 <= spawn < min(len(world.spawns), MAX_SPAWNS):
                raise IndexError(f"world {world.title!r} has {len(world.spawns)} spawn points, not {spawn}")
        slots = torch.tensor(self.bank.add(worlds), device=self.device)
        points = self.bank.spawns[slots, torch.tensor(chosen, device=self.device)]
        return fresh_state(self.bank, slots, torch.tensor(list(seeds), device=self.device), points)

    def save(self, state: State) -> bytes:
        keys = [self.bank.worlds[slot].key for slot in state.world.tolist()]
        tensors = {f.name: getattr(state, f.name).cpu().contiguous() for f in fields(State)}
        return save_tensors(tensors, metadata={"worlds": json.dumps(keys)})

    def restore(self, data: bytes, worlds: Sequence[CompiledWorld]) -> State:
        keys = _saved_keys(data)
        known = {w.key: w for w in worlds}
        missing = sorted(set(keys) - set(known))
        if missing:
            raise KeyError(f"the saved state plays worlds that were not given: {', '.join(missing)}")
        tensors = load_tensors(data)
        tensors["world"] = torch.tensor(self.bank.add([known[k] for k in keys]))
        return State(**tensors).to(self.device)


def _saved_keys(data: bytes) -> list[str]:
    # safetensors: 8 bytes of header length, then the header as JSON
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    keys: list[str] = json.loads(header["__metadata__"]["worlds"])
    return keys
