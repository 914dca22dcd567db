"""Several explorations in one batch: each finds what it finds alone, and fails alone."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bots.exploration import Budget, Exploration, Progress
from bots.explore import explore
from bots.players import PERSONAS, Mixture
from bots.probe import Probed
from bots.together import Interrupted, Seat, together
from tests.bot_worlds import bot_world
from worldmodel.compiled import CompiledWorld
from worldmodel.models import load_model
from worldmodel.protocol import Observation, State
from worldmodel.simulator import Simulator

BUDGET = Budget(
    search_steps=1_600, sample_episodes=2, episode_steps=30, batch=20, round_steps=20, window=1_000
)


class Watched(Simulator):
    """Notes how many rows and worlds each step of play has, and fails in worlds that are told."""

    def __init__(self, broken: str = "", most: int = 10_000) -> None:
        super().__init__()
        self.broken, self.most = broken, most
        self.rows: list[tuple[int, int]] = []

    def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
        slots = state.world.unique().tolist()
        if len(state) > self.most or any(self.world(slot).key == self.broken for slot in slots):
            raise RuntimeError("out of memory")
        self.rows.append((len(state), len(slots)))
        return super().step(state, actions, render=render)


class Lamps:
    """A probe that takes a bright picture for something."""

    name, labels, sure, cost = "lamps/1", ("bright",), (0.4,), 20.0

    def __call__(self, frames: np.ndarray) -> Probed:
        scores = frames.mean((1, 2, 3), keepdims=False)[:, None] / 255
        return Probed(scores.astype(np.float32), np.ones((len(frames), 1), np.float32))


@cache
def worlds() -> list[CompiledWorld]:
    return [bot_world(key="a"), bot_world(key="b", top_view=True), bot_world(key="c")]


def budgets() -> list[Budget]:
    """One ends long before the others, and its batch is not a whole number of the model's products."""
    return [BUDGET, replace(BUDGET, search_steps=600, batch=13), BUDGET]


def exploring(model: Any, number: int, **more: Any) -> Callable[[Seat], Exploration]:
    def run(seat: Seat) -> Exploration:
        budget = budgets()[number]
        return explore(model, worlds()[number], budget, seed=number, playing=seat.play, **more)

    return run


def told(one: Exploration | Exception) -> list[object]:
    """All that an exploration says, but for the time that it took."""
    assert isinstance(one, Exploration), one
    plays = [(p.id, p.player, p.events.tobytes(), p.clips.tobytes()) for p in one.playthroughs]
    arrays = [a.tolist() for d in (one.curves, one.visited) for a in d.values()]
    return [plays, arrays, one.coverage, one.happenings, one.sights, one.scenes, one.finds]


@pytest.mark.parametrize("name", ["simulator", "neural"])
def test_each_finds_the_same_as_alone(name: str) -> None:
    probe = Lamps()
    alone = [
        explore(load_model(name), world, budget, seed=number, probe=probe)
        for number, (world, budget) in enumerate(zip(worlds(), budgets(), strict=True))
    ]

    model = load_model(name)
    found = together([exploring(model, number, probe=probe) for number in range(3)])

    assert [told(one) for one in found] == [told(one) for one in alone]
    assert any(one.finds for one in alone)


def test_the_search_plays_all_worlds_in_one_batch_and_evidence_keeps_its_own_shape() -> None:
    model = Watched()

    together([exploring(model, number) for number in range(3)])

    assert {rows for rows, playing in model.rows if playing == 3} == {20 + 13 + 20}
    assert {rows for rows, playing in model.rows if playing == 2} == {20 + 20}, "one has ended"
    assert (32, 1) in model.rows, "sample episodes are played in the shape in which they are replayed"


def test_a_world_that_cannot_be_played_ends_alone() -> None:
    model = Watched(broken=worlds()[1].key)

    first, second, third = together([exploring(model, number) for number in range(3)])

    assert isinstance(second, RuntimeError)
    assert told(first) == told(explore(Simulator(), worlds()[0], BUDGET, seed=0))
    assert told(third) == told(explore(Simulator(), worlds()[2], BUDGET, seed=2))


def test_where_all_together_are_too_many_each_plays_alone() -> None:
    model = Watched(most=40)

    found = together([exploring(model, number) for number in range(3)])

    assert all(isinstance(one, Exploration) for one in found)
    assert (13, 1) in model.rows


def test_one_that_is_stopped_lets_the_others_go_on_and_goes_on_later_to_the_same_end(tmp_path: Path) -> None:
    class Stopped(Exception): ...

    def stop(progress: Progress) -> None:
        if progress.done > 400:
            raise Stopped

    keeping = {"checkpoint": tmp_path / "run.npz", "checkpoint_seconds": 0.0}
    model = Simulator()
    stopped, other = together([exploring(model, 0, progress=stop, **keeping), exploring(model, 2)])
    resumed, _ = together([exploring(model, 0, **keeping), exploring(model, 1)])

    assert isinstance(stopped, Stopped)
    assert told(other) == told(explore(Simulator(), worlds()[2], BUDGET, seed=2))
    assert told(resumed) == told(explore(Simulator(), worlds()[0], BUDGET, seed=0))


def test_whoever_is_interrupted_while_waiting_ends_them_all() -> None:
    def alarm(*_: object) -> None:
        raise TimeoutError("too long")

    endless = replace(BUDGET, search_steps=10**9, floor=0.0)
    playing: set[int] = set()
    ended: list[Exception] = []

    def run(seat: Seat) -> None:
        def progress(_: Progress) -> None:
            playing.add(id(seat))
            if len(playing) == 2:
                signal.setitimer(signal.ITIMER_REAL, 0.01)

        try:
            explore(Simulator(), worlds()[0], endless, progress=progress, playing=seat.play)
        except Interrupted as error:
            ended.append(error)
            raise

    before = signal.signal(signal.SIGALRM, alarm)
    try:
        with pytest.raises(TimeoutError):
            together([run, run])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(ended) == 2


def test_seats_share_out_the_time_that_was_spent() -> None:
    seats: list[Seat] = []
    model = Simulator()

    def run(seat: Seat) -> None:
        seats.append(seat)
        keys = torch.arange(4)
        start = model.spawn([worlds()[0]] * 4, [0] * 4)
        seat.play(model, start, Mixture.of(PERSONAS, torch.zeros(4, dtype=torch.int64)), keys, 50)
        time.sleep(0.2)

    began = time.monotonic()
    together([run, run])
    taken = time.monotonic() - began

    assert all(seat.seconds() >= 0.2 for seat in seats)
    assert sum(seat.seconds() for seat in seats) <= taken
