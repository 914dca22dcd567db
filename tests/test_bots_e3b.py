"""The elliptical episodic bonus as a reward of the vector environments."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.e3b import E3b, E3bConfig, Ellipsoid, trunk_features
from bots.env import WorldVecEnv
from bots.generalist import Policy
from tests.bot_worlds import bot_world
from worldmodel.constants import Action
from worldmodel.protocol import State
from worldmodel.simulator import Simulator

CPU = torch.device("cpu")
ROWS = 4


def features(seed: int, steps: int, rows: int, dimensions: int) -> torch.Tensor:
    return torch.randn(steps, rows, dimensions, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 12), st.sampled_from([0.01, 0.1, 1.0]))
def test_the_inverse_is_that_of_the_covariance(seed: int, steps: int, dimensions: int, ridge: float) -> None:
    ellipsoid, rows = Ellipsoid(2, dimensions, ridge, CPU), torch.arange(2)
    ellipsoid.inverse = ellipsoid.inverse.double()
    taken = features(seed, steps, 2, dimensions).double()
    covariance = torch.eye(dimensions, dtype=torch.float64).repeat(2, 1, 1) * ridge
    for one in taken:
        expected = torch.einsum("bi,bij,bj->b", one, torch.linalg.inv(covariance), one)
        assert torch.allclose(ellipsoid.take(one, rows), expected, rtol=1e-5)
        covariance += one[:, :, None] * one[:, None, :]

    assert torch.allclose(ellipsoid.inverse, torch.linalg.inv(covariance), rtol=1e-5, atol=1e-7)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_the_bonus_falls_on_every_revisit(seed: int, dimensions: int) -> None:
    ellipsoid, rows = Ellipsoid(2, dimensions, 0.1, CPU), torch.arange(2)
    again = features(seed, 1, 2, dimensions)[0]

    given_ = torch.stack([ellipsoid.take(again, rows) for _ in range(8)])

    assert (given_[1:] < given_[:-1]).all()
    assert (given_ >= 0).all()


def test_a_reset_restores_the_rows_that_it_names_and_no_other() -> None:
    ellipsoid, rows = Ellipsoid(ROWS, 3, 0.1, CPU), torch.arange(ROWS)
    taken = features(1, 5, ROWS, 3)
    first = [ellipsoid.take(one, rows) for one in taken]
    before = ellipsoid.inverse.clone()

    ellipsoid.reset(torch.tensor([1, 3]))

    assert torch.equal(ellipsoid.inverse[[0, 2]], before[[0, 2]])
    again = [ellipsoid.take(one[[1, 3]], torch.tensor([1, 3])) for one in taken]
    assert all(torch.equal(a, f[[1, 3]]) for a, f in zip(again, first, strict=True))


def standing(model: Simulator, spawn: int) -> State:
    return model.spawn([bot_world()] * ROWS, range(ROWS), [spawn] * ROWS)


def bonus(model: Simulator) -> E3b:
    torch.manual_seed(0)
    config = E3bConfig(dimensions=16)
    return E3b(model, ROWS, config, trunk_features(model, 16, Policy().requires_grad_(False)))


def test_features_are_of_length_one_and_tell_places_apart() -> None:
    model = Simulator()
    torch.manual_seed(0)
    find = trunk_features(model, 16, Policy())
    here, there = find(standing(model, 0)), find(standing(model, 1))

    assert torch.allclose(here.norm(dim=1), torch.ones(ROWS))
    assert torch.equal(here[0], here[1])
    assert (here[0] @ there[0]).abs() < 0.9
    assert not here.requires_grad


def test_an_episode_finds_its_own_past_old_and_a_new_one_does_not() -> None:
    model = Simulator()
    env = WorldVecEnv(model, [bot_world()], ROWS, episode_steps=20, spawn=0, reward=bonus(model))
    env.reset()
    per_step: list[list[float]] = [[] for _ in range(ROWS)]
    firsts: list[float] = []
    for _ in range(45):
        _, rewards, dones, _ = env.step(np.full(ROWS, Action.RIGHT))
        for row in range(ROWS):
            per_step[row].append(float(rewards[row]))
            if dones[row]:
                whole, per_step[row] = per_step[row], []
                if len(whole) == 20:
                    firsts.append(max(whole))
    assert len(firsts) >= ROWS
    assert np.allclose(firsts, firsts[0], rtol=1e-3), "each episode is as new as the one before"


def test_actions_that_lead_on_are_worth_more_than_standing_still() -> None:
    model, totals = Simulator(), {}
    for action in (Action.NOOP, Action.RIGHT):
        env = WorldVecEnv(model, [bot_world()], ROWS, episode_steps=1000, spawn=0, reward=bonus(model))
        env.reset()
        totals[action] = sum(env.step(np.full(ROWS, action))[1].mean() for _ in range(40))

    assert totals[Action.RIGHT] > 1.5 * totals[Action.NOOP]
