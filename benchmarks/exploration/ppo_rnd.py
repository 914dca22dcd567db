"""PPO from scratch in each world, paid for surprise: what reinforcement learning explores untaught.

Burda, Edwards, Storkey, Klimov, "Exploration by Random Network Distillation" (ICLR 2019): the reward is the
error with which a network, trained as play goes on, predicts what a fixed random network makes of the screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor, nn
from torch.nn.functional import one_hot

from benchmarks.exploration.watch import Watch
from bots.env import WorldVecEnv
from bots.view import WINDOW, look
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import MAP_HEIGHT, MAP_WIDTH, TILE_CLASSES
from worldmodel.protocol import Observation, State

ROWS = 128
FEATURES = WINDOW * WINDOW * TILE_CLASSES + 4
"""The screen's tiles, one-hot; the place on the map (2), keys held, and whether the lights flash."""


def _network(outputs: int = 64) -> nn.Sequential:
    return nn.Sequential(nn.Linear(FEATURES, 128), nn.ReLU(), nn.Linear(128, outputs))


class Surprise:
    """A :class:`bots.env.Reward`: the error of prediction, by its running root mean square."""

    def __init__(self, device: torch.device, *, top_view: bool, seed: int, rate: float = 1e-4) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._fixed, self._learned = _network().to(device), _network().to(device)
        self._optimiser = torch.optim.Adam(self._learned.parameters(), lr=rate)
        self._above = torch.tensor([top_view], device=device)
        self._mean_square, self._steps = 0.0, 0

    def reset(self, state: State, rows: Tensor) -> None:
        """Surprise outlives episodes."""

    def __call__(self, state: State, seen: Observation) -> Tensor:  # noqa: ARG002
        with torch.no_grad():
            features = self._features(state)
            wanted = self._fixed(features)
        errors = (self._learned(features) - wanted).pow(2).mean(1)
        self._optimiser.zero_grad()
        errors.mean().backward()
        self._optimiser.step()
        errors = errors.detach()
        self._steps += 1
        self._mean_square += (float(errors.pow(2).mean()) - self._mean_square) / self._steps
        return errors / max(self._mean_square, 1e-12) ** 0.5

    def _features(self, state: State) -> Tensor:
        view = look(state, self._above.expand(len(state)))
        size = torch.tensor([MAP_WIDTH, MAP_HEIGHT], device=view.tile.device)
        meters = [view.tile / size, view.keys[:, None] / 3, view.flashing[:, None]]
        return torch.cat([one_hot(view.tiles, TILE_CLASSES).flatten(1), *meters], 1).float()


class _UntilOver(BaseCallback):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def _on_step(self) -> bool:
        return not self._watch.over


@dataclass(frozen=True)
class PpoRnd:
    """Stable-Baselines3's PPO with the product's observations and :class:`Surprise` for reward."""

    episode_steps: int

    def play(self, model: Watch, world: CompiledWorld, budget: int, seed: int) -> None:
        reward = Surprise(model.device, top_view=world.mechanics.top_view, seed=seed)
        env = WorldVecEnv(
            model, [world], ROWS, episode_steps=self.episode_steps, seed=seed, spawn=0, reward=reward
        )
        learner = PPO(
            "MultiInputPolicy",
            env,
            n_steps=32,
            batch_size=1024,
            n_epochs=4,
            ent_coef=0.01,
            seed=seed,
            device="cpu",
        )
        learner.learn(budget + ROWS * learner.n_steps, callback=_UntilOver(model))
