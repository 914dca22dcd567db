"""Fine-tuning the generalist on one world while it explores it, with an intrinsic reward or without.

The archive grows by what the learner plays, round by round, as in the search arm. Measured against the same
policy left as it is (``firstplay bots tune``), so that it can be said at which budget learning begins to pay.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs

from bots.compare import Score, score_of
from bots.dice import key_of
from bots.e3b import E3b, E3bConfig
from bots.env import Reward
from bots.generalist import Policy
from bots.returning import DECISIONS, Course, ReturnVecEnv
from bots.rnd import Rnd, RndConfig
from bots.training import Bootstrap, new_learner, put_policy
from bots.tuned import RND_SHARE, TUNING
from bots.worlds import EVALUATION_NUMBERS, generated_world
from worldmodel.protocol import WorldModel
from worldmodel.simulator import Simulator

ARMS = ("frozen", "tuned", "tuned, RND", "tuned, E3B")
"""The policy left as it is; tuned on new cells alone; on an intrinsic reward as well."""
E3B_SHARE = 0.02
"""Coefficient of the bonus, beside 1 for a new tile."""


def tune(
    policy: Policy, worlds: Sequence[int], seeds: Sequence[int], budgets: Sequence[int]
) -> Iterator[Score]:
    """Every one of ARMS on every world with every seed, at every budget."""
    for number in worlds:
        for seed in seeds:
            for arm in ARMS:
                yield from explored(arm, policy, number, seed, budgets)


def explored(arm: str, policy: Policy, number: int, seed: int, budgets: Sequence[int]) -> Iterator[Score]:
    """Evaluation world ``number`` explored by one of ARMS; what it had found at each of the budgets."""
    model, world = Simulator(), generated_world(EVALUATION_NUMBERS + number)
    course = Course.begin(model, world, sys.maxsize, key_of(seed, number))
    env = ReturnVecEnv(model, 1, TUNING.rows, lambda: course, intrinsic=_intrinsic(arm, model))
    learner = new_learner(env, TUNING, "cpu")
    put_policy(learner, policy)
    set_random_seed(key_of(seed, number) % 2**31)
    observation = env.reset() if arm == "frozen" else None  # a learner resets it itself
    began, steps = time.process_time(), 0
    for budget in sorted(budgets):
        while steps < budget:
            if observation is not None:
                observation = _play(learner, env, observation)
            else:
                learner.learn(env.num_envs * DECISIONS, Bootstrap(), reset_num_timesteps=False)
            steps += env.rounds[-1][0]
        yield score_of(arm, number, seed, budget, course.archive, time.process_time() - began)


def _intrinsic(arm: str, model: WorldModel) -> Reward | None:
    if arm == "tuned, RND":
        return Rnd(model, TUNING.rows, RndConfig(coefficient=RND_SHARE))
    if arm == "tuned, E3B":
        return E3b(model, TUNING.rows, E3bConfig(coefficient=E3B_SHARE))
    return None


def _play(learner: PPO, env: ReturnVecEnv, observation: VecEnvObs) -> VecEnvObs:
    """A round without learning, from its first observation to that of the next round."""
    for _ in range(DECISIONS):
        actions, _ = learner.predict(observation)  # type: ignore[arg-type]
        observation, *_ = env.step(actions)
    return observation
