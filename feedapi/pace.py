"""How long ticks take, and how many players fit: admission by measured cost, not by a guess."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

KEPT_TICKS = 45
"""Measured ticks that an estimate rests on: three seconds."""
BUSY = 0.8
"""Share of a tick's period up to which players are let in: the rest is for the sockets and what varies."""
CROWDED = 0.95
"""Share of the period from which those who play get half the frames."""
THIN_COST = 0.7
"""Cost of a tick that draws every other row, as a share of a full one, until it was measured."""
RELAXED = 0.85
"""Share of the period at which they get them all again."""


@dataclass
class Pace:
    """Written by the tick thread; any thread may read the estimates.

    A *thin* tick steps all rows and draws every other one, so that each player gets half the frames. That is
    the first thing to give when there are too many players; then they queue, then they are refused.
    """

    period: float
    """Seconds."""
    thin: bool = False
    ticks: int = 0
    late: int = 0
    """Ticks that took longer than the period."""
    guard_share: float = 0.0
    """Of the tick's time, spent on the guard's part of it: mean of the latest ticks."""
    _rows: dict[bool, deque[float]] = field(
        default_factory=lambda: {thin: deque(maxlen=KEPT_TICKS) for thin in (False, True)}
    )
    _guard: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_TICKS))

    def took(self, seconds: float, rows: int, guard: float = 0.0) -> None:
        """Note a tick of so many rows, and what of its time the guard took."""
        self.ticks += 1
        self.late += seconds > self.period
        self._rows[self.thin].append(seconds / rows)
        self._guard.append(guard / seconds if seconds else 0.0)
        self.guard_share = sum(self._guard) / len(self._guard)
        limit = RELAXED if self.thin else CROWDED
        self.thin = self.predict(rows, thin=False) > limit * self.period

    def predict(self, rows: int, *, thin: bool) -> float:
        """Seconds that a tick of so many rows will take; 0 while nothing was measured.

        A row's cost falls with their number, so this errs on the slow side.
        """
        if self._rows[thin]:
            return median(self._rows[thin]) * rows
        return THIN_COST * self.predict(rows, thin=False) if thin else 0.0

    def fits(self, rows: int) -> bool:
        """Whether so many rows can be played, if need be at half the frames."""
        return min(self.predict(rows, thin=thin) for thin in (False, True)) <= BUSY * self.period
