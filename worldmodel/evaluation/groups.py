"""The numbers by mechanic and by world, worst first: a good mean must not hide a bad corner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import Mover, Tile
from worldmodel.evaluation.records import Joined

WEIGHTS = {1: "gravity of the moon", 2: "usual gravity", 3: "heavy gravity"}


@dataclass(frozen=True)
class Group:
    """Every world with one mechanic; None where nothing was counted."""

    name: str
    worlds: int
    steps: int
    exact: float | None
    """Share of single steps exactly as the simulator's."""
    place: float | None
    """Share of steps within half a tile, in windows of 64."""
    events: float | None
    """F1 over all events."""
    movers: float | None
    psnr: float | None
    """Of the model's frames against the simulator's paintings of the same states."""


def traits(world: CompiledWorld) -> tuple[str, ...]:
    """The mechanics that a world has, in words."""
    mechanics, tiles = world.mechanics, set(world.tiles.flatten().tolist())
    found = ["top view"] if mechanics.top_view else ["side view", WEIGHTS[mechanics.gravity]]
    named = {
        "water": Tile.WATER in tiles,
        "ice": Tile.ICE in tiles,
        "slippery ground": mechanics.accel <= 1,
        "wind": mechanics.wind != 0,
        "moving platforms": bool((world.mover_kinds == Mover.PLATFORM).any()),
        "double jump": mechanics.air_jumps > 0,
        "darkness": mechanics.darkness > 0,
        "day and night": mechanics.day_length > 0,
        "goal that wants coins": mechanics.coins_needed > 0,
        "leading camera": mechanics.look_ahead > 0,
    }
    found += [name for name, has in named.items() if has]
    kinds = set(world.mover_kinds.tolist()) - {int(Mover.NONE), int(Mover.PLATFORM)}
    return (*found, *(f"{Mover(kind).name.lower()}s" for kind in sorted(kinds)))


def by_mechanic(
    worlds: Sequence[CompiledWorld], slots: Sequence[int], steps: Joined, near: Tensor, pictures: Tensor
) -> list[Group]:
    """Worst first. ``near`` and ``pictures`` are (N, 2): the world's slot, and the value."""
    members: dict[str, list[int]] = {}
    for world, slot in zip(worlds, slots, strict=True):
        for name in traits(world):
            members.setdefault(name, []).append(slot)
    return worst_first([_group(name, of, steps, near, pictures) for name, of in members.items()])


def by_world(
    worlds: Sequence[CompiledWorld], slots: Sequence[int], steps: Joined, near: Tensor, pictures: Tensor
) -> list[Group]:
    """The same, every world on its own."""
    return worst_first(
        [
            _group(f"{world.title}: {', '.join(traits(world))}", [slot], steps, near, pictures)
            for world, slot in zip(worlds, slots, strict=True)
        ]
    )


def worst_first(groups: list[Group]) -> list[Group]:
    """By the worst of the shares that a group has."""

    def worst(group: Group) -> float:
        return min(
            (v for v in (group.exact, group.place, group.events, group.movers) if v is not None), default=2
        )

    return sorted(groups, key=lambda group: (worst(group), group.name))


def _group(name: str, slots: list[int], steps: Joined, near: Tensor, pictures: Tensor) -> Group:
    wanted = torch.tensor(slots)
    mine = steps[torch.isin(steps.world, wanted)]
    close = near[torch.isin(near[:, 0], wanted), 1].float()
    seen = pictures[torch.isin(pictures[:, 0].long(), wanted), 1]
    return Group(
        name=name,
        worlds=len(set(slots)),
        steps=len(mine.exact),
        exact=_mean(mine.exact.float()),
        place=_mean(close),
        events=mine.all_events().f1,
        movers=mine.mover_share,
        psnr=_mean(seen),
    )


def _mean(values: Tensor) -> float | None:
    return values.mean().item() if len(values) else None
