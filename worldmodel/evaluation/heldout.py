"""What training never showed: pairs of mechanics, themes, and pictures that creators bring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from worldmodel.bank import WorldBank
from worldmodel.compiled import CompiledWorld
from worldmodel.evaluation.agreement import starts
from worldmodel.evaluation.likeness import Likeness, likeness
from worldmodel.evaluation.players import Players
from worldmodel.evaluation.records import EventScore, Joined, Playable, Steps, joined
from worldmodel.gallery import PICTURE_USES, generated_worlds, pictured_worlds
from worldmodel.practice import HELD_OUT_PAIRS, Practice
from worldmodel.simulator import Simulator

PAIR_STEPS = 8
"""Steps from each moment of practice."""
LOOK_STEPS, LOOK_EVERY = 48, 16


@dataclass(frozen=True)
class Pair:
    """Single steps on practice maps that have both of a pair, and on maps that have one of them."""

    names: tuple[str, str]
    steps: int
    exact: float
    """Share of steps exactly as the simulator's, with both."""
    exact_one: float
    """The same with only one of the two: what training showed."""
    events: EventScore
    """With both."""
    movers: float | None
    """Share of mover moves as the simulator's, with both."""


@torch.no_grad()
def pairs(model: Playable, maps: int, moments: int, seed: int) -> list[Pair]:
    """Every held-out pair: ``moments`` random moments on ``maps`` maps for both, and for either alone."""
    return [_pair(model, names, maps, moments, seed) for names in HELD_OUT_PAIRS]


def _pair(model: Playable, names: tuple[str, str], maps: int, moments: int, seed: int) -> Pair:
    one, other = names
    both = _practise(model, {one: True, other: True}, maps, moments, seed)
    alone = [
        _practise(model, {one: first, other: not first}, maps, moments // 2, seed) for first in (True, False)
    ]
    return Pair(
        names=names,
        steps=len(both.exact),
        exact=both.exact.float().mean().item(),
        exact_one=torch.cat([part.exact for part in alone]).float().mean().item(),
        events=both.all_events(),
        movers=both.mover_share,
    )


def _practise(model: Playable, given: dict[str, bool], maps: int, moments: int, seed: int) -> Joined:
    generator = Generator(device=model.device).manual_seed(seed)
    practice = Practice(WorldBank(model.device), generator)
    practice.redraw(maps, forced(practice.features(maps), given))
    simulator, steps = Simulator(model.device, practice.bank), Steps()
    with playing(model, practice.bank):
        state = practice.moments(moments)
        actions = torch.zeros(moments, dtype=torch.long, device=model.device)
        for _ in range(PAIR_STEPS):
            actions = practice.actions(actions)
            after, seen = model.step(state, actions, render=False)
            steps.add(state, after, seen, *simulator.step(state, actions, render=False))
            state = after
    return joined(steps)


def forced(has: dict[str, Tensor], given: dict[str, bool]) -> dict[str, Tensor]:
    """Features with some set everywhere, and no other held-out pair with any of those that are set."""
    fixed = dict(given)
    fixed.setdefault("top_view", False)  # most mechanics mean something from the side only
    for one, other in HELD_OUT_PAIRS:
        for set_one, partner in ((one, other), (other, one)):
            if given.get(set_one) and partner not in given:
                fixed[partner] = False
    for weight, against in (("moon", "heavy"), ("heavy", "moon")):
        if fixed.get(weight):
            fixed[against] = False
    return {
        name: torch.full_like(flags, fixed[name]) if name in fixed else flags for name, flags in has.items()
    }


@contextmanager
def playing(model: Playable, bank: WorldBank) -> Iterator[None]:
    """The model over another bank for a while."""
    own = model.bank
    model.bank = bank
    try:
        yield
    finally:
        model.bank = own


@torch.no_grad()
def looks(model: Playable, worlds: int, seed: int) -> dict[str, Likeness]:
    """The decoder on worlds whose looks training had, on other themes, and on pictures it never saw."""
    sets: dict[str, Sequence[CompiledWorld]] = {
        "themes of training": generated_worlds(worlds, seed),
        "held-out themes": generated_worlds(worlds, seed, evaluation=True),
    }
    for use in PICTURE_USES:
        sets[f"held-out pictures as {use}"] = pictured_worlds(use, worlds, seed, evaluation=True)
    return {name: _decoded(model, chosen, seed) for name, chosen in sets.items()}


def _decoded(model: Playable, worlds: Sequence[CompiledWorld], seed: int) -> Likeness:
    """The model's frames and the simulator's paintings of the same states, along a walk of the simulator."""
    generator = torch.Generator().manual_seed(seed)
    simulator = Simulator(model.device, model.bank)
    state = starts(model, worlds, 2, generator)
    players, mine, theirs = Players(len(state), generator), [], []
    for number in range(LOOK_STEPS):
        state, _ = simulator.step(state, players.act(state), render=False)
        if number % LOOK_EVERY == LOOK_EVERY - 1:
            mine.append(model.render(state))
            theirs.append(simulator.render(state))
    return likeness(torch.cat(mine), torch.cat(theirs))
