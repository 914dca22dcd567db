"""Practice at exploring: episodes that begin where archives are returned to, and reward for what is new.

Each *course* is one world with an archive of its own, which grows as its rows play. All rows play rounds
together, as in the search arm (:mod:`bots.search`): return to an entry, explore for some steps, hand in what
was reached. New is what neither the archive at the beginning of the round nor the row itself had reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn
from torch import Tensor

from bots.archive import Archive, Origin
from bots.cells import cells_of, host
from bots.dice import key_of
from bots.env import BatchedVecEnv, Reward
from bots.generalist import LAYERS, MARKS, METERS, REPEAT, SPAN, Generalist, Known, held, sense
from bots.rollout import Trajectory, stack
from bots.view import WINDOW, look, tile_of, top_views
from worldmodel.bank import MAX_SPAWNS
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS, MAP_HEIGHT, MAP_WIDTH, TILE_CLASSES
from worldmodel.protocol import Observation, State, WorldModel, concatenate

DECISIONS = 16
"""Of a round: 48 steps, as long as the search arm's."""
FIRST_TIME = 3.0
"""Reward for the first time of an event, in new tiles."""


@dataclass
class Course:
    """A world under exploration."""

    world: CompiledWorld
    archive: Archive
    rounds: int
    """Until another world takes its place."""
    chance: np.random.Generator
    origin: Origin = field(init=False)
    """Where this round's rows began."""
    crowd: NDArray[np.int64] = field(init=False)
    """(MAP_HEIGHT * MAP_WIDTH,) cells that the archive held of each tile when the round began."""
    found: list[set[int]] = field(init=False)
    """For each row: the cells and (negative) marks that it found in this round."""

    @classmethod
    def begin(cls, model: WorldModel, world: CompiledWorld, rounds: int, seed: int) -> Course:
        archive = Archive(world, cells_of(model, world))
        spawns = min(len(world.spawns), MAX_SPAWNS)
        roots = [key_of(seed, spawn) for spawn in range(spawns)]
        archive.add_spawns(model.spawn([world] * spawns, roots, range(spawns)), roots)
        return cls(world, archive, rounds, np.random.default_rng(seed))

    def depart(self, rows: int, path_steps: int) -> State:
        """The states from which this round's rows explore."""
        archive = self.archive
        picked = archive.choose(rows, path_steps, self.chance)
        state, self.origin = archive.origin(picked, [Generalist.name] * rows)
        self.crowd = np.bincount(archive.entries.tile, minlength=MAP_HEIGHT * MAP_WIDTH)
        self.found = [set() for _ in range(rows)]
        return state

    def worth(self, state: State, marks: Mapping[int, list[int]]) -> NDArray[np.float32]:
        """(rows,) reward for being in ``state`` and for the mark codes that a row's events made.

        A new cell is worth 1 over the number of known cells of its tile and 1, so that what changes
        everywhere at once (a lever pulled, a key in hand) does not make the whole map worth as much again.
        """
        cells = host(self.archive.cells.cells(state)).tolist()
        tiles = host(self.archive.cells.tile_index(state)).tolist()
        reward = np.zeros(len(cells), np.float32)
        for row, (cell, tile) in enumerate(zip(cells, tiles, strict=True)):
            if cell not in self.archive.index and cell not in self.found[row]:
                self.found[row].add(cell)
                reward[row] = 1 / (1 + self.crowd[tile])
        for row, codes in marks.items():
            fresh = {-1 - code for code in codes if code not in self.archive.marks} - self.found[row]
            self.found[row] |= fresh
            reward[row] += FIRST_TIME * len(fresh)
        return reward

    def arrive(self, played: Trajectory) -> None:
        """Hand in what this round's rows played."""
        self.archive.take_in(played, self.origin)
        self.rounds -= 1


class ReturnVecEnv(BatchedVecEnv):
    """``rows`` rows for each of several courses; an episode is one round of DECISIONS decisions.

    Observations are what :func:`bots.generalist.sense` gives, actions Discrete(ACTIONS), each held for REPEAT
    steps. All episodes end together, cut by time: ``infos`` say so, as Stable-Baselines3 expects. A course
    whose rounds are over makes way for one that ``draw`` gives. ``intrinsic`` is added to the reward.
    """

    def __init__(
        self,
        model: WorldModel,
        courses: int,
        rows: int,
        draw: Callable[[], Course],
        *,
        path_steps: int = 900,
        intrinsic: Reward | None = None,
    ) -> None:
        self.render_mode = None
        super().__init__(courses * rows, _space(), gymnasium.spaces.Discrete(ACTIONS))
        self.model, self.rows, self.path_steps = model, rows, path_steps
        self.draw, self.intrinsic = draw, intrinsic
        self.courses = [draw() for _ in range(courses)]
        self.rounds: list[tuple[int, int, float]] = []
        """Of each round that was handed in: steps played, cells that were new to the archives, reward."""
        self._row = torch.arange(self.num_envs, device=model.device)
        self._begin()

    def reset(self) -> VecEnvObs:
        """Begin a round, throwing away what was played of the present one."""
        self._begin()
        self._reset_seeds()
        self._reset_options()
        return self._observe()

    def _begin(self) -> None:
        self.courses = [course if course.rounds > 0 else self.draw() for course in self.courses]
        self.state = concatenate([course.depart(self.rows, self.path_steps) for course in self.courses])
        self._start = self.state
        self._known = Known(torch.cat([Known.of(course.archive).layers for course in self.courses]))
        self._top_view = top_views(self.model, self.state)
        self._walked = torch.zeros(
            self.num_envs, MAP_HEIGHT, MAP_WIDTH, dtype=torch.bool, device=self.model.device
        )
        self._last = torch.zeros_like(self._row)
        self._played: list[tuple[State, Tensor, Observation, Tensor]] = []
        self._reward = 0.0
        self._walk()
        if self.intrinsic is not None:
            self.intrinsic.reset(self.state, self._row)

    def _walk(self) -> None:
        x, y = tile_of(self.state.position).unbind(1)
        self._walked[self._row, y, x] = True

    def step_wait(self) -> VecEnvStepReturn:
        pressed = self._taken(self.model.device)
        alive = host(~self.state.done)
        rewards = np.zeros(self.num_envs, np.float32)
        made: list[dict[int, list[int]]] = [{} for _ in self.courses]
        for step in range(REPEAT):
            rewards += self._step(pressed if step == 0 else held(pressed), made)
        self._last = held(pressed)
        for course, rows, marks in zip(self.courses, self._slices(), made, strict=True):
            rewards[rows] += course.worth(self.state[rows], marks) * alive[rows]
        self._reward += float(rewards.sum())
        observation = self._observe()
        over = len(self._played) >= DECISIONS * REPEAT
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if over:
            for row, info in enumerate(infos):
                last = {name: values[row] for name, values in observation.items()}
                info.update({"terminal_observation": last, "TimeLimit.truncated": True})
            self._hand_in()
            self._begin()
            observation = self._observe()
        return observation, rewards, np.full(self.num_envs, over), infos

    def _step(self, actions: Tensor, made: list[dict[int, list[int]]]) -> NDArray[np.float32]:
        """One step of the model, adding the mark codes of events to ``made``; gives the intrinsic reward."""
        before, alive = self.state, ~self.state.done
        self.state, seen = self.model.step(before, actions, render=False)
        self._played.append((self.state, actions, seen, alive))
        self._walk()
        events = seen.events & alive[:, None]
        if events.any():
            self._mark(before, events, seen.clip, made)
        if self.intrinsic is None:
            return np.zeros(self.num_envs, np.float32)
        bonus: NDArray[np.float32] = self.intrinsic(self.state, seen).cpu().numpy()
        return bonus

    def _mark(self, before: State, events: Tensor, clips: Tensor, made: list[dict[int, list[int]]]) -> None:
        for row in events.any(1).nonzero()[:, 0].tolist():
            number, own = divmod(row, self.rows)
            one = slice(row, row + 1)
            cells = self.courses[number].archive.cells
            codes = cells.marks(before[one], self.state[one], events[one], clips[one])
            made[number].setdefault(own, []).extend(codes[codes >= 0].tolist())

    def _slices(self) -> Iterator[slice]:
        return (slice(at, at + self.rows) for at in range(0, self.num_envs, self.rows))

    def _hand_in(self) -> None:
        states, actions, seen, alive = zip(*self._played, strict=True)
        whole = Trajectory(
            start=self._start,
            states=stack(list(states)),
            actions=torch.stack(actions),
            events=torch.stack([s.events for s in seen]),
            clips=torch.stack([s.clip for s in seen]),
            alive=torch.stack(alive),
        )
        known = sum(len(course.archive) for course in self.courses)
        for course, rows in zip(self.courses, self._slices(), strict=True):
            course.arrive(whole.of_rows(rows))
        gained = sum(len(course.archive) for course in self.courses) - known
        self.rounds.append((int(whole.alive.sum()), gained, self._reward))

    def _observe(self) -> dict[str, NDArray[Any]]:
        view = look(self.state, self._top_view)
        world = torch.div(self._row, self.rows, rounding_mode="floor")
        sensed = sense(view, self._walked, self._last, self._known, world)
        sensed["tiles"] = sensed["tiles"].to(torch.uint8)
        return {name: value.cpu().numpy() for name, value in sensed.items()}

    def get_images(self) -> list[None]:
        """Nothing is painted in generated worlds."""
        return [None] * self.num_envs


def _space() -> gymnasium.spaces.Dict:
    box = gymnasium.spaces.Box
    return gymnasium.spaces.Dict(
        {
            "tiles": box(0, TILE_CLASSES - 1, (WINDOW, WINDOW), np.uint8),
            "marks": box(0, 1, (MARKS, WINDOW, WINDOW), np.float32),
            "known": box(0, 1, (LAYERS, SPAN, SPAN), np.float32),
            "meters": box(-2, 2, (METERS,), np.float32),
        }
    )
