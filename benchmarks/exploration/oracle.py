"""A player who knows the map: a near-shortest legal way to the planted thing, found in the model that plays.

The way is cut into stages (what opens each needed door, then the planted thing). Each stage is an A* search
(Hart, Nilsson, Raphael, "A Formal Basis for the Heuristic Determination of Minimum Cost Paths", 1968) whose
moves are short action strings tried by the world model itself, so that what it finds was reached by legal
actions; the estimate is the way on the grid at full speed. The steps are therefore an upper bound on the
optimum.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from benchmarks.exploration.violations import Violation
from benchmarks.exploration.worlds import walk
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, UNITS, WALLS, Event, LeverEffect, Tile
from worldmodel.crops import tile_of
from worldmodel.memory import SPEECH_STEPS
from worldmodel.noise import mix
from worldmodel.protocol import Observation, State, WorldModel, concatenate
from worldmodel.reach import HOLD, PLACE, strings

SEED = 1
"""Of the oracle's episode: what moves by chance moves the same in every replay."""
AT_ONCE = 48
"""Nodes that are gone on from at once."""
NODES = 6_000
"""Nodes after which a stage is given up."""
GREED = 1.3
"""Weight of the estimate: a way may be that much longer than the best, and is found sooner."""
HURT_COST = 40.0

Reached = Callable[[State, Observation], Tensor]
"""(B,) bool of what a step led to."""


@dataclass(frozen=True)
class Stage:
    """One thing to bring about, and where."""

    target: NDArray[np.bool_]
    """(MAP_HEIGHT, MAP_WIDTH) tiles to make for."""
    reached: Reached


def find_way(model: WorldModel, world: CompiledWorld, violation: Violation) -> NDArray[np.uint8] | None:
    """(T,) actions of a near-shortest way to the planted thing, None where none was found."""
    state = model.spawn([world], [SEED])
    actions: list[int] = []
    for stage in _stages(world, violation):
        found = _search(model, world, state, stage, violation)
        if found is None:
            return None
        state, taken, violated = found
        actions += taken
        if violated:
            break
    return np.array(actions, np.uint8)


@torch.no_grad()
def replay_way(
    model: WorldModel, world: CompiledWorld, violation: Violation, actions: NDArray[np.uint8]
) -> int | None:
    """Carry out a way from the start; the number of the step, from 1, that reaches the planted thing.

    None where none does: the validity gate of the benchmark.
    """
    state = model.spawn([world], [SEED])
    for number, action in enumerate(actions.tolist(), 1):
        state, seen = model.step(state, torch.tensor([action], device=model.device), render=False)
        if bool(violation.reached(state, seen)[0]):
            return number
    return None


def interactions(world: CompiledWorld, violation: Violation) -> int:
    """What has to be operated: doors and portals without which there is no way, and flashing levers."""
    target = _around_box(violation)
    walled = np.where(world.tiles == Tile.DOOR, Tile.DOOR_OPEN, world.tiles)
    walled = np.where(walled == Tile.PORTAL, Tile.SOLID, walled)
    portal = not _passable(world, walled, target)
    flash = violation.modality == "flash" or violation.trigger == "order"
    return len(_needed_doors(world, target)) + portal + flash


# ---- stages ----------------------------------------------------------------------------------------------


def _stages(world: CompiledWorld, violation: Violation) -> list[Stage]:
    """Openers of the doors without which there is no way, in the order of coming to them; the target."""
    target = _around_box(violation)
    stages = [stage for group in _needed_doors(world, target) for stage in _opener(world, group)]
    if violation.trigger == "order":
        stages.append(Stage(_tiles(world, Tile.LEVER, flash=True), lambda state, _: state.flash > 0))
    if violation.trigger == "wait":
        stages.append(Stage(_grown(target, 2), lambda state, _: near(state, _grown(target, 2))))
        stages.append(Stage(_grown(target, 2), lambda state, _: state.speech == 0))
    return [*stages, Stage(target, violation.reached)]


def near(state: State, target: NDArray[np.bool_]) -> Tensor:
    """(B,) bool: whether the player's tile is one of the target."""
    x, y = tile_of(state.position).long().unbind(1)
    grid = torch.from_numpy(target).to(state.canvas.device)
    return grid[y.clamp(0, MAP_HEIGHT - 1), x.clamp(0, MAP_WIDTH - 1)]


def _around_box(violation: Violation) -> NDArray[np.bool_]:
    """Tiles from which it is met: about the middle of a sign, beside a character, on a lever."""
    x0, y0, x1, y1 = violation.box
    target = np.zeros((MAP_HEIGHT, MAP_WIDTH), np.bool_)
    if violation.modality in {"picture", "writing"}:
        target[max(y0 - 2, 0) : y1 + 2, (x0 + x1) // 2 - 1 : (x0 + x1) // 2 + 1] = True
    else:
        grow = int(violation.modality == "sound")
        target[y0 - grow : y1 + grow, x0 - grow : x1 + grow] = True
    return target


def _needed_doors(world: CompiledWorld, target: NDArray[np.bool_]) -> list[int]:
    """Groups of doors each of which alone, closed, leaves no way to the target; nearest first."""
    groups = np.unique(world.links[world.tiles == Tile.DOOR]).tolist()
    opened = np.where(world.tiles == Tile.DOOR, Tile.DOOR_OPEN, world.tiles)
    steps = walk(world, opened)
    needed = []
    for group in groups:
        door = (world.tiles == Tile.DOOR) & (world.links == group)
        closed = np.where(door, Tile.DOOR, opened)
        if not _passable(world, closed, target):
            needed.append((int(steps[door].max()), group))
    return [group for _, group in sorted(needed)]


def _passable(world: CompiledWorld, tiles: NDArray[np.uint8], target: NDArray[np.bool_]) -> bool:
    """Whether there is a way on the grid, portals taken and gravity left out."""
    x, y = world.spawns[0].tolist()
    return bool(np.isfinite(_to_target(world, tiles, target)[y, x]))


def _opener(world: CompiledWorld, group: int) -> list[Stage]:
    """Pull the door's lever, or take a key and bring it there."""
    door = (world.tiles == Tile.DOOR) & (world.links == group)
    flat = torch.from_numpy(np.flatnonzero(door))

    def opened(state: State, _: Observation) -> Tensor:
        return (state.canvas.flatten(1)[:, flat.to(state.canvas.device)] != Tile.DOOR).all(1)

    lever = (world.tiles == Tile.LEVER) & (world.links == group)
    if lever.any():
        return [Stage(lever, opened)]
    return [Stage(world.tiles == Tile.KEY, lambda state, _: state.keys > 0), Stage(_grown(door, 1), opened)]


def _tiles(world: CompiledWorld, tile: Tile, *, flash: bool) -> NDArray[np.bool_]:
    return np.asarray((world.tiles == tile) & ((world.effects[world.links] == LeverEffect.FLASH) == flash))


def _grown(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    grown = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        grown[max(y - by, 0) : y + by + 1, max(x - by, 0) : x + by + 1] = True
    return grown


# ---- search ----------------------------------------------------------------------------------------------


def _to_target(
    world: CompiledWorld, tiles: NDArray[np.uint8], target: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(MAP_HEIGHT, MAP_WIDTH) steps at full speed on the grid, portals taken, to the target; inf: no way."""
    free = ~np.isin(tiles, (*WALLS, Tile.DOOR))
    index = np.arange(MAP_HEIGHT * MAP_WIDTH).reshape(MAP_HEIGHT, MAP_WIDTH)
    across, down = free[:, :-1] & free[:, 1:], free[:-1] & free[1:]
    source = np.concatenate([index[:, :-1][across], index[:-1][down], index[:, 1:][across], index[1:][down]])
    end = np.concatenate([index[:, 1:][across], index[1:][down], index[:, :-1][across], index[:-1][down]])
    portals = np.argwhere(tiles == Tile.PORTAL)
    exits = world.portals[world.links[portals[:, 0], portals[:, 1]]]
    source = np.concatenate([source, index[portals[:, 0], portals[:, 1]]])
    end = np.concatenate([end, index[exits[:, 1], exits[:, 0]]])
    cost = np.full(len(source), UNITS / world.mechanics.speed)
    graph = csr_matrix((cost, (end, source)), shape=(index.size, index.size))
    steps = dijkstra(graph, indices=index[target & free], min_only=True)
    return np.asarray(steps).reshape(MAP_HEIGHT, MAP_WIDTH)


@dataclass
class _Tried:
    """Every state that a search has come to, as a row of a list, and how."""

    states: list[State]
    parents: list[tuple[int, list[int]]]


def _search(
    model: WorldModel, world: CompiledWorld, start: State, stage: Stage, violation: Violation
) -> tuple[State, list[int], bool] | None:
    """The state that brings the stage about, the actions to it, and whether the planted thing was reached."""
    if stage.reached is not violation.reached and _holds(model, start, stage):
        return start, [], False
    canvas = start.canvas[0].cpu().numpy()
    estimate = torch.from_numpy(
        _to_target(world, np.where(canvas == Tile.DOOR, Tile.DOOR_OPEN, canvas), stage.target)
    )
    tried = _Tried([start], [(-1, [])])
    queue: list[tuple[float, int]] = [(0.0, 0)]
    seen = set(_nodes(start).tolist())
    while queue and len(seen) < NODES:
        numbers = [heapq.heappop(queue)[1] for _ in range(min(AT_ONCE, len(queue)))]
        found = _expand(model, tried, numbers, stage, violation)
        if isinstance(found, tuple):
            return found
        _queue(tried, queue, seen, found, numbers, estimate)
    return None


def _holds(model: WorldModel, state: State, stage: Stage) -> bool:
    nothing = Observation(
        events=torch.zeros(len(state), len(Event), dtype=torch.bool, device=model.device),
        clip=torch.full((len(state),), -1, device=model.device),
        done=state.done,
        confidence=torch.ones(len(state), device=model.device),
    )
    return bool(stage.reached(state, nothing).all())


@torch.no_grad()
def _expand(
    model: WorldModel, tried: _Tried, numbers: Sequence[int], stage: Stage, violation: Violation
) -> State | tuple[State, list[int], bool]:
    """Every string from every node; or the end of the search, where one of them brings the stage about."""
    all_strings = strings().to(model.device)
    states = concatenate([tried.states[n] for n in numbers])
    states = states[torch.arange(len(numbers), device=model.device).repeat(len(all_strings))]
    actions = all_strings.repeat_interleave(len(numbers), dim=0)
    for column in range(HOLD):
        states, seen = model.step(states, actions[:, column], render=False)
        violated = violation.reached(states, seen)
        hits = (stage.reached(states, seen) | violated).nonzero().flatten()
        if len(hits):
            row = int(hits[states.step[hits].argmin()])
            taken = _actions_to(tried, numbers[row % len(numbers)]) + actions[row, : column + 1].tolist()
            return states[row : row + 1], taken, bool(violated[row])
    return states


def _queue(
    tried: _Tried,
    queue: list[tuple[float, int]],
    seen: set[int],
    states: State,
    numbers: Sequence[int],
    estimate: Tensor,
) -> None:
    """Put the states that are new on the queue, by steps so far and the estimate of what is left."""
    x, y = tile_of(states.position).long().cpu().unbind(1)
    left = estimate[y.clamp(0, MAP_HEIGHT - 1), x.clamp(0, MAP_WIDTH - 1)]
    cost = states.step.cpu() + GREED * left + HURT_COST * (3 - states.health.cpu())
    all_strings = strings().tolist()
    for row, (code, total) in enumerate(zip(_nodes(states).tolist(), cost.tolist(), strict=True)):
        if code in seen or not np.isfinite(total) or bool(states.done[row]):
            continue
        seen.add(code)
        tried.states.append(states[row : row + 1])
        tried.parents.append((numbers[row % len(numbers)], all_strings[row // len(numbers)]))
        heapq.heappush(queue, (total, len(tried.states) - 1))


def _actions_to(tried: _Tried, number: int) -> list[int]:
    parts: list[list[int]] = []
    while number >= 0:
        number, string = tried.parents[number]
        parts.append(string)
    return [action for part in reversed(parts) for action in part]


def _nodes(state: State) -> Tensor:
    """(B,) int64 hash of place, direction of flight, keys, voices' silence and the canvas without coins."""
    place = torch.div(state.position, PLACE, rounding_mode="floor").long()
    flying = state.velocity.sign().long() + 1
    weights = mix(torch.arange(MAP_HEIGHT * MAP_WIDTH, device=state.canvas.device))
    plain = torch.where(state.canvas == Tile.COIN, int(Tile.EMPTY), state.canvas)
    code = (plain.flatten(1).long() * weights).sum(1)
    quiet = torch.div(state.speech.long() * 12, SPEECH_STEPS, rounding_mode="floor")
    for part in (place[:, 0], place[:, 1], flying[:, 1], state.keys.long(), quiet):
        code = mix(code ^ part)
    return code
