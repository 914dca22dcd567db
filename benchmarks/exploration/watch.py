"""A world model that counts what is played on it, and notes when the planted thing is first reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from benchmarks.exploration.violations import Violation
from worldmodel.compiled import CompiledWorld
from worldmodel.protocol import Observation, State, WorldModel

Clock: TypeAlias = Callable[[], float]


def clock_for(model: WorldModel) -> Clock:
    """Seconds of processor time where the model runs on one, else of wall time.

    All is done on one thread, so that the two agree on an idle machine; on a busy one the wall clock would
    mostly tell what else is running.
    """
    return time.process_time if model.device.type == "cpu" else time.perf_counter


class Watch:
    """Passes everything on to ``model``. What a strategy sees of play, this sees too, and nothing else does.

    The step on which the planted thing is first reached is the number of steps of all rows until the end of
    that batch step. Looking is no part of a strategy's time.
    """

    def __init__(self, model: WorldModel, violation: Violation | None, budget: int) -> None:
        self.card, self.device = model.card, model.device
        self.steps = 0
        """Steps of rows whose episode had not ended."""
        self.first_steps: int | None = None
        self.first_seconds: float | None = None
        self._model, self._violation, self._budget = model, violation, budget
        self._looking = 0.0
        self._clock = clock_for(model)
        self._begun = self._clock()

    @property
    def over(self) -> bool:
        """Nothing more is to be learned: the planted thing is reached, or the budget spent."""
        return self.first_steps is not None or self.steps >= self._budget

    @property
    def seconds(self) -> float:
        """So far, less the time of looking."""
        return self._clock() - self._begun - self._looking

    def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
        after, seen = self._model.step(state, actions, render=render)
        begun = self._clock()
        self._look(~state.done, after, seen)
        self._looking += self._clock() - begun
        return after, seen

    @torch.no_grad()
    def _look(self, alive: Tensor, after: State, seen: Observation) -> None:
        self.steps += int(alive.sum())
        if self._violation is None or self.over:
            return
        if bool((self._violation.reached(after, seen) & alive).any()):
            self.first_steps, self.first_seconds = self.steps, self.seconds

    def spawn(
        self, worlds: Sequence[CompiledWorld], seeds: Sequence[int], spawns: Sequence[int] | None = None
    ) -> State:
        return self._model.spawn(worlds, seeds, spawns)

    def render(self, state: State) -> Tensor:
        return self._model.render(state)

    def world(self, slot: int) -> CompiledWorld:
        return self._model.world(slot)

    def save(self, state: State) -> bytes:
        return self._model.save(state)

    def restore(self, data: bytes, worlds: Sequence[CompiledWorld]) -> State:
        return self._model.restore(data, worlds)
