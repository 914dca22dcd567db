"""The vector environment over a batched world model."""

from __future__ import annotations

import numpy as np
import pytest
from stable_baselines3 import PPO

from bots.env import METERS, WorldVecEnv
from tests.bot_worlds import bot_world
from tests.small_worlds import small_world
from worldmodel.compiled import Mechanics
from worldmodel.constants import FRAME, Action, Tile
from worldmodel.simulator import Simulator

ROWS = 8


@pytest.fixture
def env() -> WorldVecEnv:
    worlds = [bot_world(), bot_world(top_view=True)]
    return WorldVecEnv(Simulator(), worlds, ROWS, episode_steps=40, seed=3)


def random_actions(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 8, ROWS)


def test_every_observation_lies_in_its_space(env: WorldVecEnv) -> None:
    rng = np.random.default_rng(0)
    observation = env.reset()

    for _ in range(60):
        assert all(env.observation_space.contains(one(observation, row)) for row in range(ROWS))
        observation, rewards, dones, infos = env.step(random_actions(rng))
        assert rewards.shape == dones.shape == (ROWS,)
        assert rewards.dtype == np.float32
        assert dones.dtype == np.bool_
        assert len(infos) == ROWS


def one(observation: dict[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    return {name: values[row] for name, values in observation.items()}


def test_an_ended_episode_hands_over_its_last_observation_and_starts_again(env: WorldVecEnv) -> None:
    rng = np.random.default_rng(1)
    env.reset()
    ended = 0

    for _ in range(100):
        observation, _, dones, infos = env.step(random_actions(rng))
        for row in np.nonzero(dones)[0]:
            last = infos[row]["terminal_observation"]
            assert env.observation_space.contains(last)
            assert last["meters"][-1] > 0, "the ended episode had run for a while"
            assert observation["meters"][row, -1] == 0, "the new one has not"
            assert infos[row]["TimeLimit.truncated"] is True
            assert infos[row]["episode"]["l"] <= 40
            ended += 1
        assert all("terminal_observation" not in infos[row] for row in np.nonzero(~dones)[0])
    assert ended >= 2 * ROWS


def test_resets_are_spread_over_time(env: WorldVecEnv) -> None:
    env.reset()
    ends = [int(env.step(np.zeros(ROWS, int))[2].sum()) for _ in range(40)]

    assert sum(ends) == ROWS
    assert max(ends) <= 2


def test_reaching_the_goal_is_an_end_and_no_truncation() -> None:
    world = small_world("######\n#@G..#\n######", Mechanics())
    env = WorldVecEnv(Simulator(), [world], 2, episode_steps=200)
    env.reset()

    for _ in range(30):
        _, _, dones, infos = env.step(np.full(2, Action.RIGHT))
        if dones.any():
            break

    assert dones.all()
    assert not any(info["TimeLimit.truncated"] for info in infos)


def test_the_screen_shows_what_is_around_the_player() -> None:
    world = small_world("######\n#@.oL#\n######", Mechanics())
    env = WorldVecEnv(Simulator(), [world], 1)
    tiles = env.reset()["tiles"][0]

    assert tiles[:, 4, 4].argmax() == Tile.EMPTY
    assert tiles[Tile.COIN, 4, 6] == 1
    assert tiles[Tile.LEVER, 4, 7] == 1
    assert tiles[Tile.SOLID, 4, 3] == 1
    assert env.reset()["meters"].shape == (1, METERS)


def test_new_tiles_and_coins_are_rewarded_once() -> None:
    world = small_world("########\n#@.o...#\n########", Mechanics())
    env = WorldVecEnv(Simulator(), [world], 1, episode_steps=500)
    env.reset()
    env._limit[:] = 500

    there = sum(float(env.step(np.array([Action.RIGHT]))[1][0]) for _ in range(50))
    back = sum(float(env.step(np.array([Action.LEFT]))[1][0]) for _ in range(50))

    assert there == 5 + 0.5
    assert back == 0


def test_frames_are_the_models_pictures() -> None:
    env = WorldVecEnv(Simulator(), [bot_world()], 2, observe="frames")

    frames = env.reset()
    stepped, *_ = env.step(np.array([0, 2]))

    assert frames.shape == stepped.shape == (2, 3, FRAME, FRAME)
    assert frames.dtype == np.uint8
    assert np.array_equal(stepped[0].transpose(1, 2, 0), env.get_images()[0])


def test_the_same_seed_gives_the_same_episodes() -> None:
    def run(seed: int) -> list[float]:
        env = WorldVecEnv(Simulator(), [bot_world()], 4, episode_steps=20, seed=seed)
        env.reset()
        rng = np.random.default_rng(0)
        return [float(env.step(rng.integers(0, 8, 4))[1].sum()) for _ in range(50)]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_ppo_learns_on_it(env: WorldVecEnv) -> None:
    agent = PPO("MultiInputPolicy", env, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu")
    before = [p.detach().clone() for p in agent.policy.parameters()]

    agent.learn(2 * 16 * ROWS)

    assert agent.num_timesteps == 2 * 16 * ROWS
    assert any(
        not np.array_equal(a, b.detach()) for a, b in zip(before, agent.policy.parameters(), strict=True)
    )
    assert len(agent.ep_info_buffer) > 0
