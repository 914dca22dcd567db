"""A Stable-Baselines3 vector environment directly over a batched world model.

One call of the model steps every row; there is no environment object for each row, and no Python loop over
rows but for those whose episode ends. Rows are restarted in the same step (the last observation of the ended
episode is in ``infos[row]["terminal_observation"]``), and episodes start out of step with one another, so
that restarts spread evenly over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn
from torch import Tensor
from torch.nn.functional import one_hot

from bots.dice import key_of
from bots.view import WINDOW, View, look, tile_of, top_views
from worldmodel.bank import MAX_SPAWNS
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS, FRAME, MAP_HEIGHT, MAP_WIDTH, TILE_CLASSES, Event
from worldmodel.protocol import Observation, State, WorldModel

CHANNELS = TILE_CLASSES + 1
"""Of ``tiles``: one for each class of tile, and the enemies."""
METERS = 11
"""Of ``meters``: place in the tile (2), velocity (2), facing, health, keys, flashing, speaking, seen from
above, and the share of the episode that is over."""
_WORTH = {
    Event.COLLECT: 0.5,
    Event.KEY: 2.0,
    Event.DOOR: 3.0,
    Event.PORTAL: 2.0,
    Event.LEVER: 1.0,
    Event.SPEECH: 1.0,
}


class Reward(Protocol):
    """What a step is worth, for all rows at once."""

    def reset(self, state: State, rows: Tensor) -> None:
        """New episodes begin in ``rows`` (n,) int64 of ``state``."""
        ...

    def __call__(self, state: State, seen: Observation) -> Tensor:
        """(B,) float32 for having come to ``state``."""
        ...


class FirstVisit:
    """1 for each tile that the episode enters for the first time, and more for things that happen."""

    def __init__(self, rows: int, device: torch.device) -> None:
        self._visited = torch.zeros(rows, MAP_HEIGHT, MAP_WIDTH, dtype=torch.bool, device=device)
        self._rows = torch.arange(rows, device=device)
        worth = [_WORTH.get(event, 0.0) for event in Event]
        self._worth = torch.tensor(worth, device=device)

    def reset(self, state: State, rows: Tensor) -> None:
        self._visited[rows] = False
        self._enter(state, rows)

    def __call__(self, state: State, seen: Observation) -> Tensor:
        return self._enter(state, self._rows) + seen.events.float() @ self._worth

    def _enter(self, state: State, rows: Tensor) -> Tensor:
        x, y = tile_of(state.position[rows]).unbind(1)
        new = ~self._visited[rows, y, x]
        self._visited[rows, y, x] = True
        return new.float()


class BatchedVecEnv(VecEnv):
    """What VecEnv asks for of an environment whose rows share all their attributes."""

    _actions: NDArray[np.int64] | None = None

    def step_async(self, actions: NDArray[np.int64]) -> None:
        self._actions = np.asarray(actions, np.int64)

    def _taken(self, device: torch.device) -> Tensor:
        """(B,) int64: the actions that ``step_async`` was given, once."""
        if self._actions is None:
            raise RuntimeError("step_wait() without step_async()")
        actions, self._actions = self._actions, None
        return torch.from_numpy(actions).to(device)

    def close(self) -> None:
        """Nothing to free: the model belongs to the caller."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ValueError("rows share their attributes: set them for all rows at once")
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        result = getattr(self, method_name)(*method_args, **method_kwargs)
        return [result] * len(list(self._get_indices(indices)))

    def env_is_wrapped(
        self,
        wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]],  # noqa: ARG002
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))


class WorldVecEnv(BatchedVecEnv):
    """``rows`` episodes at once, row i in world i modulo the number of worlds.

    ``observe="tiles"`` gives a Dict of ``tiles`` (CHANNELS, WINDOW, WINDOW) float32 0 or 1, the classes of
    what the screen shows around the player, one-hot, and ``meters`` (METERS,) float32 in -1..1. ``"frames"``
    gives the (3, FRAME, FRAME) uint8 picture. Actions are Discrete(ACTIONS), see ``constants.Action``.

    An episode ends at the goal, or is cut after ``episode_steps`` (``TimeLimit.truncated`` in its info, as
    Stable-Baselines3 expects). It starts at a spawn point by chance of ``seed``, or always at ``spawn``.
    ``infos[row]["episode"]`` of an ended episode has its return ``r`` and length ``l``.
    """

    def __init__(
        self,
        model: WorldModel,
        worlds: Sequence[CompiledWorld],
        rows: int,
        *,
        episode_steps: int = 300,
        seed: int = 0,
        spawn: int | None = None,
        observe: Literal["tiles", "frames"] = "tiles",
        reward: Reward | None = None,
    ) -> None:
        if not worlds or rows < 1 or episode_steps < 1:
            raise ValueError(
                f"{len(worlds)} worlds, {rows} rows and {episode_steps} steps must each be at least 1"
            )
        self.render_mode = "rgb_array"
        super().__init__(rows, _space(observe), gymnasium.spaces.Discrete(ACTIONS))
        self.model, self.observe = model, observe
        self.worlds = [worlds[row % len(worlds)] for row in range(rows)]
        self.episode_steps, self.seed_value, self.spawn = episode_steps, seed, spawn
        self.reward = reward or FirstVisit(rows, model.device)
        self._begun = np.zeros(rows, np.int64)
        self._elapsed = np.zeros(rows, np.int64)
        self._limit = np.full(rows, episode_steps, np.int64)
        self._return = np.zeros(rows, np.float64)
        self.state = self._spawn(range(rows))
        self._top_view = top_views(model, self.state)

    # ---- episodes ----------------------------------------------------------------------------------------

    def reset(self) -> VecEnvObs:
        """Begin an episode in every row; the first ones are cut early, each elsewhere."""
        rows = np.arange(self.num_envs)
        self.state = self._spawn(rows)
        self.reward.reset(self.state, torch.from_numpy(rows).to(self.model.device))
        self._elapsed[:] = 0
        self._return[:] = 0
        self._limit = np.maximum(1, (rows + 1) * self.episode_steps // self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return self._observe(self._frames())

    def _spawn(self, rows: Sequence[int] | NDArray[np.int64]) -> State:
        worlds = [self.worlds[row] for row in rows]
        seeds = [key_of(self.seed_value, int(row), int(self._begun[row])) for row in rows]
        places = [
            key_of(seed, 1) % min(len(w.spawns), MAX_SPAWNS) for seed, w in zip(seeds, worlds, strict=True)
        ]
        self._begun[np.asarray(rows)] += 1
        return self.model.spawn(worlds, seeds, places if self.spawn is None else [self.spawn] * len(worlds))

    def step_wait(self) -> VecEnvStepReturn:
        actions = self._taken(self.model.device)
        self.state, seen = self.model.step(self.state, actions, render=self.observe == "frames")
        rewards = self.reward(self.state, seen).cpu().numpy().astype(np.float32)
        self._elapsed += 1
        self._return += rewards
        finished = seen.done.cpu().numpy()
        ended = finished | (self._elapsed >= self._limit)
        observation = self._observe(seen.frames)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if ended.any():
            observation = self._restart(np.nonzero(ended)[0], finished, observation, infos)
        return observation, rewards, ended, infos

    def _restart(
        self,
        rows: NDArray[np.int64],
        finished: NDArray[np.bool_],
        last: VecEnvObs,
        infos: list[dict[str, Any]],
    ) -> VecEnvObs:
        for row in rows.tolist():
            infos[row]["terminal_observation"] = _row(last, row)
            infos[row]["TimeLimit.truncated"] = not bool(finished[row])
            infos[row]["episode"] = {"r": float(self._return[row]), "l": int(self._elapsed[row])}
        index = torch.from_numpy(rows).to(self.model.device)
        self.state = self.state.clone()
        self.state.assign(index, self._spawn(rows))
        self.reward.reset(self.state, index)
        self._elapsed[rows], self._return[rows], self._limit[rows] = 0, 0, self.episode_steps
        return _put(last, rows, self._observe(self._frames(index), index))

    # ---- what is seen ------------------------------------------------------------------------------------

    def _frames(self, rows: Tensor | None = None) -> Tensor | None:
        if self.observe == "tiles":
            return None
        return self.model.render(self.state if rows is None else self.state[rows])

    def _observe(self, frames: Tensor | None, rows: Tensor | None = None) -> VecEnvObs:
        if frames is not None:
            pixels: NDArray[np.uint8] = frames.cpu().numpy()
            return pixels
        state = self.state if rows is None else self.state[rows]
        view = look(state, self._top_view if rows is None else self._top_view[rows])
        elapsed = self._elapsed if rows is None else self._elapsed[rows.cpu().numpy()]
        share = torch.from_numpy(elapsed / self.episode_steps).to(state.world.device)
        return {
            "tiles": _tiles(view).cpu().numpy(),
            "meters": _meters(view, state.facing, share).cpu().numpy(),
        }

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """(FRAME, FRAME, 3) pictures of every row."""
        return list(self.model.render(self.state).permute(0, 2, 3, 1).cpu().numpy())


def _space(observe: Literal["tiles", "frames"]) -> gymnasium.Space[Any]:
    box = gymnasium.spaces.Box
    if observe == "frames":
        return box(0, 255, (3, FRAME, FRAME), np.uint8)
    tiles = box(0, 1, (CHANNELS, WINDOW, WINDOW), np.float32)
    return gymnasium.spaces.Dict({"tiles": tiles, "meters": box(-1, 1, (METERS,), np.float32)})


def _tiles(view: View) -> Tensor:
    """(B, CHANNELS, WINDOW, WINDOW) float32."""
    classes = one_hot(view.tiles, TILE_CLASSES).permute(0, 3, 1, 2)
    return torch.cat([classes, view.enemies[:, None]], 1).float()


def _meters(view: View, facing: Tensor, share: Tensor) -> Tensor:
    """(B, METERS) float32 in -1..1."""
    columns = [
        2 * view.offset[:, 0],
        2 * view.offset[:, 1],
        view.velocity[:, 0],
        view.velocity[:, 1],
        facing,
        view.health / 3,
        view.keys / 3,
        view.flashing,
        view.speaking,
        view.top_view,
        share,
    ]
    return torch.stack([column.float() for column in columns], 1).clamp(-1, 1)


def _row(observation: VecEnvObs, row: int) -> Any:
    """A copy of one row's observation."""
    if isinstance(observation, dict):
        return {name: values[row].copy() for name, values in observation.items()}
    return np.asarray(observation)[row].copy()


def _put(observation: VecEnvObs, rows: NDArray[np.int64], fresh: VecEnvObs) -> VecEnvObs:
    """``observation`` with the fresh rows in the places ``rows``."""
    if isinstance(observation, dict) and isinstance(fresh, dict):
        return {name: _put_array(values, rows, fresh[name]) for name, values in observation.items()}
    return _put_array(np.asarray(observation), rows, np.asarray(fresh))


def _put_array(values: NDArray[Any], rows: NDArray[np.int64], fresh: NDArray[Any]) -> NDArray[Any]:
    out = values.copy()
    out[rows] = fresh
    return out
