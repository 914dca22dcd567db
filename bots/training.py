"""Pretraining the generalist: Stable-Baselines3's PPO over many generated worlds (:mod:`bots.returning`).

A run is a chain of *legs*. A leg begins with new worlds and empty archives, and is a function of the
checkpoint that it starts from, the configuration and its number; so a run that was stopped goes on to the
same weights as one that was not, and no archive is ever stored. PPO: Schulman et al., "Proximal Policy
Optimization Algorithms" (2017).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.utils import FloatSchedule, set_random_seed
from torch import Tensor, nn

from bots.dice import key_of
from bots.generalist import REPEAT, Policy, Trunk, save_policy
from bots.returning import DECISIONS, Course, ReturnVecEnv
from bots.worlds import TRAINING_NUMBERS, generated_world
from worldmodel.simulator import Simulator

CURVE, WEIGHTS = "curve.json", "generalist.safetensors"
_WORLD, _LIFE, _LEG = 1, 2, 3
cached_world = lru_cache(maxsize=512)(generated_world)


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a run depends on; written beside its checkpoint."""

    seed: int = 0
    steps: int = 10_000_000
    """Steps of the simulator in all, rounded up to whole legs; the learning rate falls over them."""
    courses: int = 10
    """Worlds at once."""
    rows: int = 48
    """Players in each."""
    leg: int = 40
    """Rounds."""
    lives: tuple[int, int] = (8, 40)
    """Fewest and most rounds of a world; evenly drawn on a logarithmic scale."""
    worlds: int = TRAINING_NUMBERS
    """Numbers from 0 of which worlds are drawn; at most TRAINING_NUMBERS."""
    learning_rate: float = 7e-4
    batch: int = 960
    epochs: int = 2
    gamma: float = 0.95
    """Per decision."""
    gae_lambda: float = 0.9
    entropy: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.worlds <= TRAINING_NUMBERS:
            raise ValueError(f"worlds is {self.worlds}: training draws from 1 to {TRAINING_NUMBERS} worlds")

    @property
    def leg_steps(self) -> int:
        """Steps of the simulator in a leg."""
        return self.courses * self.rows * DECISIONS * REPEAT * self.leg

    @property
    def legs(self) -> int:
        return math.ceil(self.steps / self.leg_steps)

    def rate(self, leg: int) -> float:
        """Learning rate of a leg: along half a cosine to a twentieth."""
        return self.learning_rate * max(0.05, 0.5 * (1 + math.cos(math.pi * leg / self.legs)))


@dataclass(frozen=True)
class Leg:
    """What a leg measured of itself."""

    number: int
    steps: int
    """Of the simulator, from the first leg on."""
    seconds: float
    reward: float
    """Mean of a row's round."""
    cells: float
    """New archive cells per 1,000 steps."""
    entropy: float
    """Of the policy at the end, nats."""
    explained: float
    """Share of the returns' variance that the value head explains."""


class Features(BaseFeaturesExtractor):
    """The generalist's trunk, as Stable-Baselines3 wants it."""

    def __init__(self, observation_space: Any) -> None:
        super().__init__(observation_space, Trunk.WIDTH)
        self.trunk = Trunk()

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        features: Tensor = self.trunk(observations)
        return features


class Bootstrap(BaseCallback):
    """Adds the value of where a cut episode stood to its last reward, for all rows in one forward.

    Stable-Baselines3 would do the same row by row, which costs more than the round itself.
    """

    def _on_step(self) -> bool:
        assert isinstance(self.model, PPO)
        infos, policy = self.locals["infos"], self.model.policy
        if infos[0].get("TimeLimit.truncated"):
            lasts = [info["terminal_observation"] for info in infos]
            stacked = {name: np.stack([last[name] for last in lasts]) for name in lasts[0]}
            with torch.no_grad():
                values = policy.predict_values(policy.obs_to_tensor(stacked)[0])
            self.locals["rewards"] += self.model.gamma * values[:, 0].cpu().numpy()
            for info in infos:
                info["TimeLimit.truncated"] = False
        return True


def new_learner(env: ReturnVecEnv, config: TrainConfig, device: str) -> PPO:
    """An untrained learner."""
    return PPO(
        "MultiInputPolicy",
        env,
        learning_rate=config.learning_rate,
        n_steps=DECISIONS,
        batch_size=config.batch,
        n_epochs=config.epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        ent_coef=config.entropy,
        policy_kwargs={"features_extractor_class": Features, "net_arch": []},
        seed=config.seed,
        device=device,
    )


def policy_of(learner: PPO) -> Policy:
    """The network that a learner trains, on its own."""
    policy = Policy()
    for mine, theirs in _pairs(policy, learner):
        mine.load_state_dict(theirs.state_dict())
    return policy


def put_policy(learner: PPO, policy: Policy) -> None:
    """Let a learner go on from a policy."""
    for mine, theirs in _pairs(policy, learner):
        theirs.load_state_dict(mine.state_dict())


def _pairs(policy: Policy, learner: PPO) -> Iterator[tuple[nn.Module, nn.Module]]:
    """The same parts of both."""
    trained = learner.policy
    features = trained.features_extractor
    assert isinstance(features, Features)
    yield policy.trunk, features.trunk
    yield policy.action, trained.action_net
    yield policy.value, trained.value_net


def practice(config: TrainConfig, leg: int, device: str) -> ReturnVecEnv:
    """The environment of a leg."""
    model, numbers = Simulator(device), _numbers(config, leg)

    def draw() -> Course:
        key = next(numbers)
        low, high = np.log(config.lives)
        life = np.random.default_rng(key_of(key, _LIFE)).uniform(low, high)
        return Course.begin(
            model, cached_world(key_of(key, _WORLD) % config.worlds), round(math.exp(life)), key
        )

    return ReturnVecEnv(model, config.courses, config.rows, draw)


def _numbers(config: TrainConfig, leg: int) -> Iterator[int]:
    number = 0
    while True:
        yield key_of(config.seed, _LEG, leg, number)
        number += 1


class Run:
    """A training run in a folder."""

    def __init__(self, out: Path, config: TrainConfig, device: str = "cpu") -> None:
        self.out, self.config, self.device = out, config, device
        self.curve: list[Leg] = []

    def train(self, report: Callable[[Leg, int], None], seconds: float = math.inf, *, resume: bool) -> bool:
        """Train from the checkpoint on, or from the start; False when the time was over first.

        Raises FileExistsError where there is a checkpoint and ``resume`` is not set, and ValueError where it
        is of another configuration.
        """
        began = time.monotonic()
        learner = self._begin(resume=resume)
        while len(self.curve) < self.config.legs:
            if self.curve and time.monotonic() - began >= seconds:
                return False
            learner = self._leg(learner)
            self._save(learner)
            report(self.curve[-1], self.config.legs)
        return True

    def _begin(self, *, resume: bool) -> PPO | None:
        curve = self.out / CURVE
        if not curve.exists():
            return None
        if not resume:
            raise FileExistsError(f"{curve} is there: go on from it with --resume, or give another --out")
        saved = json.loads(curve.read_text(encoding="utf-8"))
        mine = json.loads(json.dumps(asdict(self.config)))
        if saved["config"] != mine:
            differing = sorted(name for name in mine if saved["config"].get(name) != mine[name])
            raise ValueError(f"{curve} is of another run: its {', '.join(differing)} differ")
        self.curve = [Leg(**leg) for leg in saved["legs"]]
        return PPO.load(self._checkpoint(len(self.curve)), device=self.device)

    def _checkpoint(self, legs: int) -> Path:
        return self.out / f"checkpoint-{legs}.zip"

    def _leg(self, learner: PPO | None) -> PPO:
        began, number = time.monotonic(), len(self.curve)
        env = practice(self.config, number, self.device)
        if learner is None:
            learner = new_learner(env, self.config, self.device)
        else:
            learner.set_env(env, force_reset=True)
        set_random_seed(key_of(self.config.seed, _LEG, number) % 2**31)
        learner.lr_schedule = FloatSchedule(self.config.rate(number))
        steps = env.num_envs * DECISIONS * self.config.leg
        learner.learn(steps, Bootstrap(), log_interval=10**9, reset_num_timesteps=number == 0)
        self.curve.append(self._measured(env, learner.logger.name_to_value, time.monotonic() - began))
        return learner

    def _measured(self, env: ReturnVecEnv, logged: Mapping[str, Any], seconds: float) -> Leg:
        steps, cells, reward = np.array(env.rounds).sum(0)
        return Leg(
            number=len(self.curve),
            steps=(len(self.curve) + 1) * self.config.leg_steps,
            seconds=round(seconds, 1),
            reward=round(float(reward / len(env.rounds) / env.num_envs), 3),
            cells=round(float(1000 * cells / steps), 2),
            entropy=round(-float(logged["train/entropy_loss"]), 3),
            explained=round(float(logged["train/explained_variance"]), 3),
        )

    def _save(self, learner: PPO) -> None:
        """The curve is replaced last: it names the checkpoint from which to go on."""
        self.out.mkdir(parents=True, exist_ok=True)
        learner.save(self._checkpoint(len(self.curve)))
        save_policy(policy_of(learner), self.out / WEIGHTS)
        curve = {"config": asdict(self.config), "legs": [asdict(leg) for leg in self.curve]}
        written = self.out / f"{CURVE}.new"
        written.write_text(json.dumps(curve, indent=1), encoding="utf-8")
        written.replace(self.out / CURVE)
        self._checkpoint(len(self.curve) - 1).unlink(missing_ok=True)
