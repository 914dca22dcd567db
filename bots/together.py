"""Several explorations whose rounds of play are one batch of the world model.

Each runs in a thread of its own, but only one of them runs at any time: it has the floor until it asks for a
round. When all that have not ended have asked, rounds of the same length are played as one batch, and each
exploration goes on with its own rows. So nothing depends on the order in which threads happen to run.

What an exploration finds does not depend on who else is there: its rows meet their own players, dice and
worlds, networks of players see one exploration's rows at a time, and on the CPU a row of the world model
does not depend on the others (``ROWS`` in :mod:`worldmodel.neural`). On a CUDA device a product of larger
matrices may round otherwise in its last bits, so a search may turn another way where two moves were as
likely. Evidence is not touched by that: episodes of the sample arm, what seekers confirm, and recordings are
played alone, in the one batch shape in which they are replayed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeVar

import torch
from torch import Tensor

from bots.players import Mixture
from bots.rollout import Trajectory, play
from worldmodel.protocol import State, WorldModel, concatenate

T = TypeVar("T")


class Interrupted(RuntimeError):
    """Whoever waits for the explorations was interrupted, so they end."""


@dataclass
class _Round:
    """What one exploration asks for, and what came of it."""

    seat: int
    model: WorldModel
    start: State
    mixture: Mixture
    keys: Tensor
    steps: int
    played: Trajectory | Exception | None = None


class Seat:
    """One exploration's place; used from its own thread."""

    def __init__(self, table: _Table, number: int) -> None:
        self._table, self._number = table, number
        self._spent = 0.0
        self._since: float | None = None
        self.pausing: Callable[[], None] = _nothing
        """Called whenever others get the floor, and at the end."""

    def play(self, model: WorldModel, start: State, mixture: Mixture, keys: Tensor, steps: int) -> Trajectory:
        """As :func:`bots.rollout.play`, in one batch with the others. Raises Interrupted."""
        self._pause()
        try:
            return self._table.play(_Round(self._number, model, start, mixture, keys, steps))
        finally:
            self._since = time.monotonic()

    def seconds(self) -> float:
        """Of its own work so far, with its share of the batches by rows; callable from any thread."""
        since = self._since
        return self._spent + (0.0 if since is None else time.monotonic() - since)

    def charge(self, seconds: float) -> None:
        """Add its share of a batch."""
        self._spent += seconds

    def begin(self) -> None:
        self._since = time.monotonic()

    def end(self) -> None:
        self._pause()

    def _pause(self) -> None:
        self._spent, self._since = self.seconds(), None
        self.pausing()


def together(tasks: Sequence[Callable[[Seat], T]]) -> list[T | Exception]:
    """What each task returned or raised, when all have ended; each gets a seat to play from.

    Where the calling thread is interrupted by an exception, the tasks end at their next round.
    """
    table = _Table(len(tasks))
    results: list[T | Exception] = [Interrupted("it never began")] * len(tasks)

    def run(number: int) -> None:
        with table.floor:
            seat = table.seats[number]
            seat.begin()
            try:
                results[number] = tasks[number](seat)
            except Exception as error:  # noqa: BLE001 - given to whoever asked for the task
                results[number] = error
            finally:
                seat.end()
                table.leave()

    threads = [threading.Thread(target=run, args=(i,), name=f"exploration-{i}") for i in range(len(tasks))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        table.interrupt()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        raise
    return results


class _Table:
    """Who sits there, and what they ask for. All of it belongs to whoever has the floor."""

    def __init__(self, count: int) -> None:
        self.floor = threading.Condition()
        self.seats = [Seat(self, number) for number in range(count)]
        self._playing = count
        self._asked: list[_Round] = []
        self._interrupted = False

    def play(self, asked: _Round) -> Trajectory:
        self._asked.append(asked)
        self._play_when_all_ask()
        while asked.played is None and not self._interrupted:
            self.floor.wait()
        if asked.played is None or self._interrupted:
            raise Interrupted("whoever waits for the explorations was interrupted")
        if isinstance(asked.played, Exception):
            raise asked.played
        return asked.played

    def leave(self) -> None:
        self._playing -= 1
        self._play_when_all_ask()

    def interrupt(self) -> None:
        self._interrupted = True  # before the floor is free: whoever has it may ask for a round
        with self.floor:
            self.floor.notify_all()

    def _play_when_all_ask(self) -> None:
        if len(self._asked) < self._playing or not self._asked or self._interrupted:
            return
        rounds, self._asked = sorted(self._asked, key=lambda one: one.seat), []
        groups: dict[tuple[int, int], list[_Round]] = {}
        for one in rounds:
            groups.setdefault((id(one.model), one.steps), []).append(one)
        for group in groups.values():
            self._play(group)
        self.floor.notify_all()

    def _play(self, group: Sequence[_Round]) -> None:
        """All as one batch; where that fails, each alone, so that only those fail that cannot be played."""
        try:
            self._play_as_one(group)
        except Exception as error:  # noqa: BLE001 - given to whoever asked for the round
            if len(group) == 1:
                group[0].played = error
                return
            for one in group:
                self._play([one])

    def _play_as_one(self, group: Sequence[_Round]) -> None:
        began, sizes = time.monotonic(), [len(one.start) for one in group]
        played = play(
            group[0].model,
            concatenate([one.start for one in group]),
            Mixture.joined([one.mixture for one in group], sizes),
            torch.cat([one.keys for one in group]),
            group[0].steps,
        )
        taken = time.monotonic() - began
        for one, (first, end) in zip(group, pairwise(accumulate(sizes, initial=0)), strict=True):
            one.played = played.of_rows(slice(first, end))
            self.seats[one.seat].charge(taken * (end - first) / sum(sizes))


def _nothing() -> None:
    """Nobody cares."""
