"""The same actions from the same starts in the model and in the simulator: for how long do they agree?

Three ways of asking at once. *Open loop*: the model goes on from its own states to the end. *Windows*: it is
put back onto the simulator's state every WINDOW steps. *Single steps*: from each of the model's own states,
one step of the model beside one of the simulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS, UNITS
from worldmodel.evaluation.likeness import Likeness, likeness, psnr
from worldmodel.evaluation.players import Players
from worldmodel.evaluation.records import Playable, Steps
from worldmodel.protocol import State, concatenate
from worldmodel.simulator import Simulator

HORIZONS = (1, 4, 16, 64, 256, 1024)
"""Steps after the common start at which pictures are compared."""
WINDOW = 64
"""Steps after which the windowed model is put back onto the simulator's state."""
FORK_STEPS, FORK_EVERY = 4, 32
"""Steps for which each action is held when its effect is compared, and how often that is done."""


@dataclass(frozen=True)
class Horizon:
    """Pictures and places after so many steps, open loop; rows whose goal was reached are left out."""

    model: Likeness
    """The model's frame and the simulator's."""
    first: Likeness
    """A player that only repeats the first frame, and the simulator's."""
    last: Likeness
    """A player that is told the true frame one step late, and the simulator's."""
    own: Likeness
    """The model's frame and the simulator's painting of the model's own state: the decoder alone."""
    place: float
    """Share of rows whose player is within half a tile of the simulator's."""
    rows: int

    @property
    def psnr(self) -> float:
        return self.model.psnr

    @property
    def psnr_copy_first(self) -> float:
        return self.first.psnr


@dataclass
class Playback:
    """What one long playthrough gave, to be reduced as a whole or by groups of worlds."""

    horizons: dict[int, Horizon] = field(default_factory=dict)
    steps: Steps = field(default_factory=Steps)
    near: list[Tensor] = field(default_factory=list)
    """Per step (N, 2): world, and whether the windowed player is within half a tile of the simulator's."""
    near_open: list[Tensor] = field(default_factory=list)
    """The same, open loop."""
    mine: list[Tensor] = field(default_factory=list)
    """Per step (B, EVENTS) bool of the windowed model."""
    theirs: list[Tensor] = field(default_factory=list)
    """Of the simulator's playthrough."""
    pictures: list[Tensor] = field(default_factory=list)
    """Per compared frame (N, 2) float: world, and PSNR of the model's frame and its own state's painting."""
    forks: list[Tensor] = field(default_factory=list)
    """Whether a held action had exactly the simulator's effect after FORK_STEPS."""


def starts(model: Playable, worlds: Sequence[CompiledWorld], episodes: int, generator: Generator) -> State:
    """``episodes`` fresh states per world, at random spawn points."""
    many = [world for world in worlds for _ in range(episodes)]
    seeds = torch.randint(0, 2**31 - 1, (len(many),), generator=generator).tolist()
    draw = torch.rand(len(many), generator=generator).tolist()
    spawns = [int(d * min(16, len(w.spawns))) for d, w in zip(draw, many, strict=True)]
    return model.spawn(many, seeds, spawns)


def close(state: State, other: State) -> Tensor:
    """(B,) players within half a tile of each other."""
    return ((state.position - other.position).abs() <= UNITS // 2).all(1)


@torch.no_grad()
def play(
    model: Playable, worlds: Sequence[CompiledWorld], episodes: int, steps: int, generator: Generator
) -> Playback:
    """``episodes`` of ``steps`` per world, by half random players and half that run errands."""
    simulator = Simulator(model.device, model.bank)
    result = Playback()
    truth = starts(model, worlds, episodes, generator)
    own, window = truth.clone(), truth.clone()
    first = last = simulator.render(truth)
    players = Players(len(truth), generator)
    for number in range(1, steps + 1):
        actions = players.act(truth)
        if (number - 1) % WINDOW == 0:
            window = truth.clone()
        if number in HORIZONS:
            last = simulator.render(truth)
        before, both = concatenate([own, window]), actions.repeat(2)
        after, seen = model.step(before, both, render=False)
        expected, told = simulator.step(before, both, render=False)
        result.steps.add(before, after, seen, expected, told)
        own, window = after[: len(truth)], after[len(truth) :]
        live = ~truth.done
        truth, heard = simulator.step(truth, actions, render=False)
        result.near.append(_by_world(truth, close(window, truth), live))
        result.near_open.append(_by_world(truth, close(own, truth), live))
        result.mine.append(seen.events[len(truth) :].cpu())
        result.theirs.append(heard.events.cpu())
        if number in HORIZONS:
            _look(result, number, model, simulator, own, truth, (first, last))
        if number % FORK_EVERY == 0:
            result.forks.append(fork(model, simulator, own))
    return result


def _by_world(state: State, flags: Tensor, live: Tensor) -> Tensor:
    return torch.stack([state.world, flags.long()], 1)[live].cpu()


def _look(
    result: Playback,
    number: int,
    model: Playable,
    simulator: Simulator,
    own: State,
    truth: State,
    baselines: tuple[Tensor, Tensor],
) -> None:
    live = ~truth.done
    frames, expected, painted = model.render(own), simulator.render(truth), simulator.render(own)
    first, last = baselines
    result.pictures.append(torch.stack([own.world.float(), psnr(frames, painted)], 1)[live].cpu())
    if not bool(live.any()):
        return
    result.horizons[number] = Horizon(
        model=likeness(frames[live], expected[live]),
        first=likeness(first[live], expected[live]),
        last=likeness(last[live], expected[live]),
        own=likeness(frames[live], painted[live]),
        place=close(own, truth)[live].float().mean().item(),
        rows=int(live.sum()),
    )


def fork(model: Playable, simulator: Simulator, state: State) -> Tensor:
    """(B * ACTIONS,) whether each action, held from the same states, has the simulator's effect exactly."""
    state = state[~state.done]
    if not len(state):
        return torch.zeros(0, dtype=torch.bool)
    index = torch.arange(len(state), device=state.canvas.device).repeat_interleave(ACTIONS)
    actions = torch.arange(ACTIONS, device=state.canvas.device).repeat(len(state))
    own, truth = state[index], state[index]
    for _ in range(FORK_STEPS):
        own, _ = model.step(own, actions, render=False)
        truth, _ = simulator.step(truth, actions, render=False)
    same = (own.position == truth.position).all(1) & (own.velocity == truth.velocity).all(1)
    return same.cpu()
