"""Random network distillation: a state is new when a network cannot yet say what a random one makes of it.

Burda, Edwards, Storkey, Klimov, "Exploration by random network distillation" (ICLR 2019). As there, what goes
in is whitened by running moments and clipped, and the reward is divided by the running deviation of its
discounted return, so that one coefficient suits every world. The reward reaches Stable-Baselines3 as part of
the step's, before it computes advantages; unlike in the paper there is one value head, so an episode's end
ends the intrinsic return as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from stable_baselines3.common.running_mean_std import RunningMeanStd
from torch import Tensor, nn
from torch.nn.functional import one_hot

from bots.view import WINDOW, look, top_views
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, TILE_CLASSES
from worldmodel.protocol import Observation, State, WorldModel


@dataclass(frozen=True)
class RndConfig:
    """What the paper leaves to choose."""

    seed: int = 0
    width: int = 128
    """Of both networks' hidden layers."""
    outputs: int = 64
    learning_rate: float = 1e-3
    share: float = 0.25
    """Of the rows, on which the predictor learns in each step: all of them would make it learn too fast."""
    gamma: float = 0.99
    """Of the return whose deviation the reward is divided by."""
    clip: float = 5.0
    """Of whitened inputs."""
    coefficient: float = 1.0


def glance(state: State, top_view: Tensor) -> Tensor:
    """(B, n) float32: the screen's tiles one-hot, enemies, where on the map, keys and lights."""
    view = look(state, top_view)
    columns = [
        one_hot(view.tiles, TILE_CLASSES).flatten(1),
        view.enemies.flatten(1),
        one_hot(view.tile[:, 0], MAP_WIDTH),
        one_hot(view.tile[:, 1], MAP_HEIGHT),
        one_hot(view.keys.clamp(0, 3), 4),
        view.flashing[:, None],
    ]
    return torch.cat([column.float() for column in columns], 1)


GLANCE = WINDOW * WINDOW * (TILE_CLASSES + 1) + MAP_WIDTH + MAP_HEIGHT + 4 + 1


class Rnd:
    """A reward for :class:`bots.env.WorldVecEnv` and :class:`bots.returning.ReturnVecEnv`."""

    def __init__(self, model: WorldModel, rows: int, config: RndConfig | None = None) -> None:
        self.model, self.config = model, config or RndConfig()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            self._target = _network(self.config).to(model.device).requires_grad_(False)
            self._predictor = _network(self.config).to(model.device)
        self._optimiser = torch.optim.Adam(self._predictor.parameters(), lr=self.config.learning_rate)
        self._chance = np.random.default_rng(self.config.seed)
        self._seen = RunningMeanStd(shape=(GLANCE,))
        self._returns = RunningMeanStd(shape=())
        self._return = np.zeros(rows)

    def reset(self, state: State, rows: Tensor) -> None:  # noqa: ARG002
        """New episodes begin in ``rows``: what is new outlasts them, only the running return begins anew."""
        self._return[rows.cpu().numpy()] = 0

    def __call__(self, state: State, seen: Observation) -> Tensor:  # noqa: ARG002
        """(B,) float32 for having come to ``state``, from which the predictor then learns."""
        glances = glance(state, top_views(self.model, state))
        self._seen.update(glances.cpu().numpy())
        error = self._error(self._whitened(glances))
        self._learn(error)
        raw = error.detach()
        self._return = self.config.gamma * self._return + raw.cpu().numpy()
        self._returns.update(self._return)
        return self.config.coefficient * raw / float(np.sqrt(self._returns.var) + 1e-8)

    @torch.no_grad()
    def novelty(self, state: State) -> Tensor:
        """(B,) float32 mean squared error of the prediction, unscaled; nothing is learned from it."""
        return self._error(self._whitened(glance(state, top_views(self.model, state))))

    def _whitened(self, glances: Tensor) -> Tensor:
        mean = torch.from_numpy(self._seen.mean).to(glances)
        deviation = torch.from_numpy(np.sqrt(self._seen.var) + 1e-8).to(glances)
        return ((glances - mean) / deviation).clamp(-self.config.clip, self.config.clip)

    @torch.enable_grad()
    def _error(self, inputs: Tensor) -> Tensor:
        error: Tensor = (self._predictor(inputs) - self._target(inputs)).square().mean(1)
        return error

    def _learn(self, error: Tensor) -> None:
        chosen = torch.from_numpy(self._chance.random(len(error)) < self.config.share).to(error.device)
        if chosen.any():
            self._optimiser.zero_grad()
            error[chosen].mean().backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()


def _network(config: RndConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(GLANCE, config.width), nn.ReLU(), nn.Linear(config.width, config.width), nn.ReLU(),
        nn.Linear(config.width, config.outputs),
    )  # fmt: skip
