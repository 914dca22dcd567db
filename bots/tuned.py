"""Fine-tuning the generalist on one world in the midst of its search, once few new cells are found.

The archive grows by what the learner plays. Beside the reward for new cells it is paid by random network
distillation, which of the two bonuses did better (``firstplay bots tune``). What comes out is one more arm of
the scheduler, which decides by what it finds how often it plays.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from stable_baselines3.common.utils import set_random_seed

from bots.archive import Archive
from bots.exploration import Budget
from bots.generalist import WEIGHTS, Policy, load_policy
from bots.returning import DECISIONS, Course, ReturnVecEnv
from bots.rnd import Rnd, RndConfig
from bots.training import Bootstrap, TrainConfig, new_learner, policy_of, put_policy
from worldmodel.compiled import CompiledWorld
from worldmodel.protocol import WorldModel

TUNING = TrainConfig(courses=1, rows=Budget.batch, learning_rate=3e-4, batch=512, epochs=2)
"""Less than half of pretraining's rate: a world's few rounds must not undo it."""
RND_SHARE = 0.1
"""Coefficient of the bonus, beside 1 for a new tile."""


def tune(
    model: WorldModel,
    world: CompiledWorld,
    archive: Archive,
    budget: Budget,
    seed: int,
    over: Callable[[], bool],
) -> tuple[Policy, int]:
    """The generalist after ``budget.tuning_steps`` of rounds on an archive, and the steps that it played.

    It ends sooner, after a round, where ``over`` says so. Same archive and seed, same policy.
    """
    course = Course(world, archive, sys.maxsize, np.random.default_rng(seed))
    with _own_chance(seed):
        env = ReturnVecEnv(
            model,
            1,
            budget.batch,
            lambda: course,
            path_steps=budget.path_steps,
            intrinsic=Rnd(model, budget.batch, RndConfig(seed=seed % 2**31, coefficient=RND_SHARE)),
        )
        learner = new_learner(env, TUNING, str(model.device))
        put_policy(learner, load_policy(WEIGHTS, model.device))
        set_random_seed(seed % 2**31)
        while sum(steps for steps, *_ in env.rounds) < budget.tuning_steps and not over():
            learner.learn(env.num_envs * DECISIONS, Bootstrap(), reset_num_timesteps=False)
        policy = policy_of(learner).requires_grad_(False).eval()
    return policy, sum(steps for steps, *_ in env.rounds)


@contextmanager
def _own_chance(seed: int) -> Iterator[None]:
    """The process's own streams of chance go on afterwards as if nothing had been drawn."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - SB3 draws from this one
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**31)
        yield
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
