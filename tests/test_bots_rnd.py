"""Random network distillation as a reward of the vector environments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from bots.env import WorldVecEnv
from bots.rnd import GLANCE, Rnd, RndConfig, glance
from bots.view import top_views
from tests.bot_worlds import bot_world
from worldmodel.constants import Action
from worldmodel.protocol import Observation, State
from worldmodel.simulator import Simulator

ROWS = 8


def standing(model: Simulator, spawn: int = 0) -> State:
    return model.spawn([bot_world()] * ROWS, range(ROWS), [spawn] * ROWS)


def seen(model: Simulator, state: State) -> Observation:
    return model.step(state, torch.zeros(ROWS, dtype=torch.int64), render=False)[1]


def test_a_glance_tells_places_and_screens_apart() -> None:
    model = Simulator()
    here, there = (glance(standing(model, s), top_views(model, standing(model, s))) for s in (0, 1))

    assert here.shape == (ROWS, GLANCE)
    assert torch.equal(here[0], here[1])
    assert not torch.equal(here[0], there[0])


def test_what_was_seen_often_is_less_new_than_what_was_not() -> None:
    model = Simulator()
    reward, here, there = Rnd(model, ROWS), standing(model), standing(model, 1)
    other = standing(model, 2)
    for state in [here, other] * 40:
        reward(state, seen(model, state))

    assert reward.novelty(here).max() < 0.5 * reward.novelty(there).min()


def test_the_reward_falls_on_revisits() -> None:
    model = Simulator()
    reward = Rnd(model, ROWS)
    states = [standing(model), standing(model, 1)]
    given = [reward(state, seen(model, state)).mean().item() for state in states * 40]

    assert np.mean(given[-10:]) < 0.5 * np.mean(given[10:20])


def test_the_reward_is_measured_by_its_own_spread() -> None:
    """However large the errors are, the reward is of the same size."""
    model, sizes = Simulator(), []
    states = [standing(model, spawn) for spawn in range(3)]
    for factor in (1.0, 30.0):
        reward = Rnd(model, ROWS, RndConfig(learning_rate=0.0))
        for network in (reward._target, reward._predictor):
            network[-1].weight.data.mul_(factor)
            network[-1].bias.data.mul_(factor)
        given = [reward(states[step % 3], seen(model, states[0])).mean().item() for step in range(30)]
        sizes.append(given[-1])

    assert sizes[1] == pytest.approx(sizes[0], rel=1e-3)


def test_an_episodes_end_restarts_the_running_return_but_no_novelty() -> None:
    model = Simulator()
    reward, state = Rnd(model, ROWS), standing(model)
    for _ in range(5):
        reward(state, seen(model, state))
    before = reward.novelty(state)

    reward.reset(state, torch.tensor([2, 5]))

    assert [value == 0 for value in reward._return] == [row in {2, 5} for row in range(ROWS)]
    assert torch.equal(reward.novelty(state), before)


def test_the_same_seed_gives_the_same_rewards_and_leaves_torchs_own_chance_alone() -> None:
    def rewards() -> torch.Tensor:
        model = Simulator()
        reward = Rnd(model, ROWS)
        return torch.stack([reward(standing(model, s % 3), seen(model, standing(model))) for s in range(9)])

    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(rewards(), rewards())
    assert torch.equal(torch.rand(1), expected)


def test_ppo_sees_it_in_its_rollout_before_advantages() -> None:
    model = Simulator()
    reward = Rnd(model, ROWS)
    env = WorldVecEnv(model, [bot_world()], ROWS, episode_steps=12, seed=1, reward=reward)
    learner = PPO("MultiInputPolicy", env, n_steps=16, batch_size=64, n_epochs=1, seed=0, device="cpu")

    learner.learn(16 * ROWS)

    buffer = learner.rollout_buffer
    ends = np.concatenate([buffer.episode_starts[1:] == 1, learner._last_episode_starts[None]])
    assert ends.any()
    rewards, last = (buffer.swap_and_flatten(array)[:, 0] for array in (buffer.rewards, ends))
    assert (rewards[~last] > 0).all(), "every step has some novelty"
    now, advantages = rewards - buffer.values[:, 0], buffer.advantages[:, 0]
    assert np.allclose(advantages[last], now[last], atol=1e-5), "nothing after an episode's end counts for it"
    assert not np.allclose(advantages[~last], now[~last], atol=1e-2)


def test_actions_that_lead_on_are_worth_more_than_standing_still() -> None:
    model, totals = Simulator(), {}
    for action in (Action.NOOP, Action.RIGHT):
        env = WorldVecEnv(
            model,
            [bot_world()],
            ROWS,
            episode_steps=1000,
            spawn=0,
            reward=Rnd(model, ROWS, RndConfig(share=1.0, learning_rate=3e-3)),
        )
        env.reset()
        totals[action] = sum(env.step(np.full(ROWS, action))[1].mean() for _ in range(40))

    assert totals[Action.RIGHT] > 1.5 * totals[Action.NOOP]
