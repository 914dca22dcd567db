"""Playing a batch for some steps and keeping all of it: the one loop under both arms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from bots.dice import uniforms
from bots.players import DICE, Mixture, fresh_memory
from bots.recording import Playthrough
from bots.view import look, top_views
from worldmodel.constants import Action
from worldmodel.protocol import State, WorldModel


@dataclass(frozen=True)
class Trajectory:
    """T steps of B rows."""

    start: State
    """B rows."""
    states: State
    """Every field (T, B, ...): after each step. Index it with :meth:`rows_at`."""
    actions: Tensor
    """(T, B) int64."""
    events: Tensor
    """(T, B, EVENTS) bool."""
    clips: Tensor
    """(T, B) int64."""
    alive: Tensor
    """(T, B) bool: the episode had not ended before this step."""

    def rows_at(self, steps: Tensor, rows: Tensor) -> State:
        """The states after the given steps (N,) of the given rows (N,)."""
        return _pick(self.states, (steps, rows))

    def of_rows(self, rows: slice) -> Trajectory:
        """Some of the rows."""
        return Trajectory(
            start=self.start[rows],
            states=State(**{f.name: getattr(self.states, f.name)[:, rows] for f in fields(State)}),
            actions=self.actions[:, rows],
            events=self.events[:, rows],
            clips=self.clips[:, rows],
            alive=self.alive[:, rows],
        )

    def flat(self) -> State:
        """All T x B states as rows, step after step."""
        return State(**{f.name: getattr(self.states, f.name).flatten(0, 1) for f in fields(State)})


Play = Callable[[WorldModel, State, Mixture, Tensor, int], Trajectory]
""":func:`play`, or what plays in its place."""


def stack(states: list[State]) -> State:
    """One state whose fields are (T, B, ...)."""
    return State(**{f.name: torch.stack([getattr(s, f.name) for s in states]) for f in fields(State)})


def _pick(state: State, index: tuple[Tensor, ...]) -> State:
    return State(**{f.name: getattr(state, f.name)[index] for f in fields(State)})


def column(state: State, row: int, length: int) -> State:
    """The first ``length`` moments of one row of a stacked state, as a batch of that many rows."""
    return State(**{f.name: getattr(state, f.name)[:length, row] for f in fields(State)})


@torch.no_grad()
def play(
    model: WorldModel,
    start: State,
    mixture: Mixture,
    keys: Tensor,
    steps: int,
    over: Callable[[], bool] | None = None,
) -> Trajectory:
    """Let players play; their chance comes from ``keys`` (B,) int64, one stream for each row.

    It ends sooner, after a step, where ``over`` says so.
    """
    top_view = top_views(model, start)
    memory = fresh_memory(len(start), start.world.device)

    def choose(state: State, step: int) -> Tensor:
        return mixture.act(memory, look(state, top_view), uniforms(keys, step, DICE))

    return _run(model, start, choose, steps, over)


@torch.no_grad()
def replay(model: WorldModel, start: State, actions: Tensor) -> Trajectory:
    """Carry out given actions (T, B) int64."""
    return _run(model, start, lambda _state, step: actions[step], len(actions))


def _run(
    model: WorldModel,
    start: State,
    choose: Callable[[State, int], Tensor],
    steps: int,
    over: Callable[[], bool] | None = None,
) -> Trajectory:
    state, states, actions, events, clips, alive = start, [], [], [], [], []
    for step in range(steps):
        chosen = choose(state, step)
        alive.append(~state.done)
        state, seen = model.step(state, chosen, render=False)
        states.append(state)
        actions.append(chosen)
        events.append(seen.events)
        clips.append(seen.clip)
        if over is not None and over():
            break
    return Trajectory(
        start=start,
        states=stack(states),
        actions=torch.stack(actions),
        events=torch.stack(events),
        clips=torch.stack(clips),
        alive=torch.stack(alive),
    )


def prepend(start: State, states: State) -> State:
    """The stacked (T, B, ...) states with the start's (B, ...) before them."""
    return State(
        **{f.name: torch.cat([getattr(start, f.name)[None], getattr(states, f.name)]) for f in fields(State)}
    )


def padded_actions(playthroughs: Sequence[Playthrough]) -> torch.Tensor:
    """(T, B) int64 actions of several playthroughs, NOOP after the end of each."""
    longest = max(len(p.actions) for p in playthroughs)
    actions = np.full((longest, len(playthroughs)), int(Action.NOOP), np.int64)
    for row, playthrough in enumerate(playthroughs):
        actions[: len(playthrough.actions), row] = playthrough.actions
    return torch.from_numpy(actions)
