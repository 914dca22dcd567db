"""How long a queue is, how long its next job will wait, and whether there is room for more."""

from __future__ import annotations

import os
from dataclasses import dataclass

from moderation.store import Load, Store

LIMIT_VARIABLE = "FIRSTPLAY_QUEUE_LIMIT"
"""Environment variable: open jobs from which on no new submission is taken; 0 for no limit."""
_LIMIT = 10_000
_UNMEASURED = 5.0
"""Seconds that a kind of job is taken to last until one was done."""


class QueueFull(RuntimeError):
    """There are too many open jobs to take in more; nothing was stored."""

    def __init__(self, open_jobs: int, wait: float) -> None:
        super().__init__(
            f"{open_jobs:,} jobs are waiting: come back in {wait:,.0f} s, add workers "
            f"(firstplay worker), or set {LIMIT_VARIABLE}"
        )
        self.wait = wait
        """Expected seconds until what is queued now is done."""


@dataclass(frozen=True)
class Pressure:
    """One queue, now."""

    queue: str
    depth: int
    """Jobs that are ready or running."""
    workers: int
    seconds: float
    """Expected until all of them are done."""


def pressures(store: Store) -> list[Pressure]:
    """By queue, of those that have open jobs."""
    loads = store.queue.loads()
    serving = list(store.queue.workers().values())
    by_queue: dict[str, list[Load]] = {}
    for load in loads:
        by_queue.setdefault(load.queue, []).append(load)
    return [
        _pressure(queue, kinds, sum(queue in queues for queues in serving))
        for queue, kinds in sorted(by_queue.items())
    ]


def _pressure(queue: str, loads: list[Load], workers: int) -> Pressure:
    work = sum(load.jobs * (_UNMEASURED if load.seconds is None else load.seconds) for load in loads)
    return Pressure(queue, sum(load.jobs for load in loads), workers, work / max(workers, 1))


def expected_wait(store: Store) -> float:
    """Seconds until what is queued now is done: that of the slowest queue, by measured seconds per kind."""
    return max((pressure.seconds for pressure in pressures(store)), default=0.0)


def check_room(store: Store) -> None:
    """Before something new is taken in. Raises QueueFull."""
    limit = queue_limit()
    now = pressures(store)
    depth = sum(pressure.depth for pressure in now)
    if limit and depth >= limit:
        raise QueueFull(depth, max(1.0, *(pressure.seconds for pressure in now)))


def queue_limit() -> int:
    """Open jobs that may wait. Raises ValueError where the setting is no number."""
    given = os.environ.get(LIMIT_VARIABLE)
    try:
        limit = _LIMIT if given is None else int(given)
    except ValueError:
        limit = -1
    if limit < 0:
        raise ValueError(f"{LIMIT_VARIABLE} is {given!r}: it must be a whole number, 0 for no limit")
    return limit
