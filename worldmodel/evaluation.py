"""How far the neural world model can be trusted: beside the simulator, on worlds it never trained on."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from worldmodel.bank import standing
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS, UNITS, Action, Event, Tile
from worldmodel.neural import NeuralWorldModel
from worldmodel.protocol import Observation, State, WorldModel
from worldmodel.simulator import Simulator

HORIZONS = (1, 16, 64, 256, 1024, 4096)
"""Steps after the common start at which frames and places are compared."""
STICK = 0.85
"""Probability that the evaluating player keeps its action."""
VISITS, VISIT_STEPS = 8, 16
"""Places visited per world and class of tile to see its events, and steps played at each."""
FORK_STEPS = 4
"""Steps for which each action is held when its effect is compared."""


@dataclass
class Agreement:
    """Open loop, both from the same start with the same actions, at one horizon."""

    psnr: float = 0.0
    """Decibels: mean over episodes of the frame's peak signal-to-noise ratio, capped at 60."""
    psnr_copy_first: float = 0.0
    """The same for a player that only repeats the first frame: what any number must beat."""
    place: float = 0.0
    """Share of episodes whose player is within half a tile of the simulator's."""


@dataclass
class EventScore:
    """Counts of one event."""

    true: int = 0
    predicted: int = 0
    simulated: int = 0

    @property
    def precision(self) -> float | None:
        return self.true / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        return self.true / self.simulated if self.simulated else None


@dataclass
class Evaluation:
    """All numbers of one evaluation; ``as_json`` is what is written."""

    worlds: int
    episodes: int
    horizons: dict[int, Agreement] = field(default_factory=dict)
    step_agreement: float = 0.0
    """Share of steps after which place, speed and map equal the simulator's from the model's own state."""
    enemy_agreement: float = 0.0
    """The same for filled enemy slots."""
    action_agreement: float = 0.0
    """Share of (state, action) pairs whose effect after four steps is exactly the simulator's."""
    events: dict[str, EventScore] = field(default_factory=dict)
    """From the model's own states, one step each, along the episodes and at visits to what can happen."""
    coins_regrown: int = 0
    """Coins that came back after having been taken, over all steps: must be 0."""

    def as_json(self) -> dict[str, object]:
        data = asdict(self)
        data["events"] = {
            name: {**asdict(score), "precision": score.precision, "recall": score.recall}
            for name, score in self.events.items()
        }
        return data


def psnr(frames: Tensor, truth: Tensor) -> Tensor:
    """(B,) decibels between (B, 3, H, W) uint8 frames, at most 60."""
    error = ((frames.float() - truth.float()) / 255).square().mean((1, 2, 3))
    return (-10 * torch.log10(error.clamp(min=1e-6))).clamp(max=60)


@torch.no_grad()
def evaluate(
    model: NeuralWorldModel,
    worlds: Sequence[CompiledWorld],
    *,
    episodes: int = 4,
    seed: int = 0,
    horizon: int = 256,
) -> Evaluation:
    """Play ``episodes`` per world in both, compare, and fork actions along the way."""
    simulator = Simulator(model.device, model.bank)
    generator = torch.Generator().manual_seed(seed)
    result = Evaluation(
        len(worlds), len(worlds) * episodes, events={e.name.lower(): EventScore() for e in Event}
    )
    own, truth = _starts(model, simulator, worlds, episodes, generator)
    first = simulator.render(truth)
    actions = torch.zeros(len(own), dtype=torch.long)
    steps = _Tally()
    for number in range(1, horizon + 1):
        fresh = torch.randint(0, ACTIONS, actions.shape, generator=generator)
        actions = torch.where(torch.rand(actions.shape, generator=generator) < STICK, actions, fresh)
        before = own
        own, seen = model.step(own, actions.to(model.device), render=False)
        truth, _ = simulator.step(truth, actions.to(model.device), render=False)
        steps.compare(simulator, before, actions, own, seen, result)
        result.coins_regrown += int(((own.canvas == Tile.COIN) & (before.canvas != Tile.COIN)).sum())
        if number in HORIZONS:
            result.horizons[number] = _agreement(model, simulator, own, truth, first)
        if number % 32 == 0:
            steps.fork(model, simulator, own)
    steps.visit(model, simulator, worlds, generator, result)
    result.step_agreement, result.enemy_agreement, result.action_agreement = steps.shares()
    return result


def _starts(
    model: WorldModel,
    simulator: Simulator,
    worlds: Sequence[CompiledWorld],
    episodes: int,
    generator: torch.Generator,
) -> tuple[State, State]:
    """The same random spawn points in both."""
    many = [world for world in worlds for _ in range(episodes)]
    seeds = torch.randint(0, 2**31 - 1, (len(many),), generator=generator).tolist()
    draw = torch.rand(len(many), generator=generator).tolist()
    spawns = [int(d * min(16, len(w.spawns))) for d, w in zip(draw, many, strict=True)]
    return model.spawn(many, seeds, spawns), simulator.spawn(many, seeds, spawns)


def _agreement(model: WorldModel, simulator: Simulator, own: State, truth: State, first: Tensor) -> Agreement:
    expected = simulator.render(truth)
    near = ((own.position - truth.position).abs() <= UNITS // 2).all(1)
    return Agreement(
        psnr=psnr(model.render(own), expected).mean().item(),
        psnr_copy_first=psnr(first, expected).mean().item(),
        place=near.float().mean().item(),
    )


class _Tally:
    """Shares counted along the episodes."""

    def __init__(self) -> None:
        self.same: list[Tensor] = []
        self.enemies: list[Tensor] = []
        self.forks: list[Tensor] = []

    def compare(
        self,
        simulator: Simulator,
        before: State,
        actions: Tensor,
        own: State,
        seen: Observation,
        result: Evaluation,
    ) -> None:
        """One step of the model against the simulator's step from the very same state."""
        expected, told = simulator.step(before, actions.to(before.canvas.device), render=False)
        same = (own.position == expected.position).all(1) & (own.velocity == expected.velocity).all(1)
        self.same.append(same & (own.canvas == expected.canvas).flatten(1).all(1))
        there = own.mover_kind > 0
        self.enemies.append((own.mover_position == expected.mover_position).all(-1)[there])
        for event in Event:
            score = result.events[event.name.lower()]
            mine, theirs = seen.events[:, event], told.events[:, event]
            score.true += int((mine & theirs).sum())
            score.predicted += int(mine.sum())
            score.simulated += int(theirs.sum())

    def fork(self, model: WorldModel, simulator: Simulator, state: State) -> None:
        """Hold each action from the same states in both."""
        index = torch.arange(len(state)).repeat_interleave(ACTIONS)
        actions = torch.arange(ACTIONS, device=state.canvas.device).repeat(len(state))
        own, truth = state[index], state[index]
        for _ in range(FORK_STEPS):
            own, _ = model.step(own, actions, render=False)
            truth, _ = simulator.step(truth, actions, render=False)
        self.forks.append((own.position == truth.position).all(1))

    def visit(
        self,
        model: WorldModel,
        simulator: Simulator,
        worlds: Sequence[CompiledWorld],
        generator: torch.Generator,
        result: Evaluation,
    ) -> None:
        """Put players with a key beside everything that can happen, and let them act there."""
        index, tiles = _sights(worlds, generator)
        many = [worlds[i] for i in index]
        state = model.spawn(many, list(range(len(many))))
        places = standing(tiles).to(model.device)
        state = state.updated(position=places, keys=torch.ones_like(state.keys))
        for _ in range(VISIT_STEPS):
            actions = torch.randint(0, ACTIONS, (len(many),), generator=generator)
            actions = torch.where(torch.rand(len(many), generator=generator) < 0.3, Action.INTERACT, actions)
            before = state
            state, seen = model.step(before, actions.to(model.device), render=False)
            self.compare(simulator, before, actions, state, seen, result)

    def shares(self) -> tuple[float, float, float]:
        def mean(flags: list[Tensor]) -> float:
            joined = torch.cat(flags) if flags else torch.zeros(0)
            return joined.float().mean().item() if len(joined) else float("nan")

        return mean(self.same), mean(self.enemies), mean(self.forks)


def _sights(worlds: Sequence[CompiledWorld], generator: torch.Generator) -> tuple[list[int], Tensor]:
    """Worlds and free tiles (N, 2) at or beside coins, keys, hazards, doors and all else to set off."""
    index, tiles = [], []
    for number, world in enumerate(worlds):
        for x, y in _places(world, generator):
            side = int(torch.randint(-1, 2, (), generator=generator))
            if world.tiles[y, x + side] not in (Tile.SOLID, Tile.DOOR):
                index.append(number)
                tiles.append((x + side, y))
    return index, torch.tensor(tiles)


def _places(world: CompiledWorld, generator: torch.Generator) -> Iterator[tuple[int, int]]:
    """VISITS tiles of every class that there is, some of them several times."""
    for tile in range(Tile.HAZARD, len(Tile)):
        rows, columns = (world.tiles == tile).nonzero()
        if len(rows):
            for place in torch.randint(0, len(rows), (VISITS,), generator=generator).tolist():
                yield int(columns[place]), int(rows[place])


@dataclass
class Speed:
    """Steps per second (all rows together) at one batch size."""

    batch: int
    with_frames: float
    without_frames: float


def measure_speed(
    model: WorldModel, world: CompiledWorld, batches: Sequence[int] = (1, 32, 128), seconds: float = 3.0
) -> list[Speed]:
    """Rates on this machine with torch's present thread count."""
    return [
        Speed(
            batch,
            _rate(model, world, batch, seconds, render=True),
            _rate(model, world, batch, seconds, render=False),
        )
        for batch in batches
    ]


@torch.no_grad()
def _rate(model: WorldModel, world: CompiledWorld, batch: int, seconds: float, *, render: bool) -> float:
    state = model.spawn([world] * batch, list(range(batch)))
    actions = torch.arange(batch, device=model.device) % ACTIONS
    state, _ = model.step(state, actions, render=render)
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        state, _ = model.step(state, actions, render=render)
        steps += batch
    return steps / (time.perf_counter() - begun)


def peak_memory() -> float:
    """Peak resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
