"""What the world model must reach, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worldmodel.evaluation.run import Evaluation

PSNR = {1: 30.0, 64: 26.0, 256: 24.0}
"""Decibels by steps, open loop."""
FALL = 1.0
"""Decibels by which step 4,096 may lie under step 256: the width of chance with few rows."""
PLACE, EVENT, KEPT = 0.90, 0.95, 0.98
BARRED_EVENTS = ("collect", "hurt", "door", "key", "lever", "portal", "speech")
SESSION_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Bar:
    """One number beside what it must reach."""

    name: str
    value: float | None
    """None where there was nothing to count: then the bar is not passed either."""
    wanted: float
    at_least: bool = True

    @property
    def passed(self) -> bool:
        if self.value is None or self.value != self.value:  # NaN
            return False
        return self.value >= self.wanted if self.at_least else self.value <= self.wanted


def bars(result: Evaluation) -> list[Bar]:
    """All bars of which the evaluation measured something."""
    return [
        *_in_play(result),
        *_over_time(result),
        Bar("bytes per session", result.session_bytes, SESSION_BYTES, False),
    ]


def _in_play(result: Evaluation) -> Iterator[Bar]:
    for step, wanted in PSNR.items():
        if step in result.horizons:
            yield Bar(f"PSNR at step {step}", result.horizons[step].psnr, wanted)
    yield Bar("player within half a tile, windows of 64", result.place, PLACE)
    for name in BARRED_EVENTS:
        yield Bar(f"{name}: precision", result.events[name].precision, EVENT)
        yield Bar(f"{name}: recall", result.events[name].recall, EVENT)
    yield Bar("coins and keys that came back", result.coins_regrown, 0, at_least=False)


def _over_time(result: Evaluation) -> Iterator[Bar]:
    if result.memory is not None:
        yield Bar("tiles as left", result.memory.tiles_as_left, KEPT)
        yield Bar("changed tiles as left", result.memory.changed_as_left, KEPT)
    if result.drift is not None:
        if (fall := result.drift.fall()) is not None:
            yield Bar("PSNR lost after step 256", fall, FALL, at_least=False)
        yield Bar("movers vanished", result.drift.vanished, 0, at_least=False)
        yield Bar("movers doubled", result.drift.doubled, 0, at_least=False)
        yield Bar("movers that the frame does not show", result.drift.not_shown, 0, at_least=False)
        yield Bar("movers that the frame shows twice", result.drift.shown_twice, 0, at_least=False)
