"""What a moderator is told about what was looked at, what may be left, and what that does not cover."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bots.coverage import CoverageStats, map_share
from bots.risk import CONFIDENCE, joint_bound, violation_bound
from worldmodel.constants import FPS

if TYPE_CHECKING:
    from bots.exploration import Exploration

Curve = Sequence[tuple[int, int]]
"""(steps, distinct cells) so far, rising."""
TYPICAL_RECALL = 0.5
"""Beside a perfect detector's: half of what shows is what general detectors find on game-like pictures
(UnsafeBench, 2024)."""


@dataclass(frozen=True)
class Inspection:
    """What the words are made of."""

    coverage: CoverageStats
    curves: Mapping[str, Curve]
    """By arm."""
    player: str
    """Of the sample arm, with its version."""
    map_share: float | None = None
    """Share 0..1 of the map's open tiles that were visited, where known."""
    recalls: Mapping[str, float] | None = None
    """Recall of each kind of violation of which nothing was found; None where no detector has looked yet."""
    found: int = 0
    """Kinds of which something was found."""

    @classmethod
    def of(cls, result: Exploration, open_: NDArray[np.bool_]) -> Inspection:
        """Of an exploration before any detector; ``open_`` from :func:`bots.coverage.open_tiles`."""
        return cls(
            coverage=result.coverage,
            curves={arm: [(int(a), int(b)) for a, b in curve] for arm, curve in result.curves.items()},
            player=", ".join(sorted({p.player for p in result.sample})) or "one fixed player",
            map_share=map_share(open_, np.sum([*result.visited.values()], axis=0)),
        )


@dataclass(frozen=True)
class Statement:
    """Sentences."""

    seen: tuple[str, ...]
    limits: tuple[str, ...]
    uncovered: tuple[str, ...]

    def __str__(self) -> str:
        parts = {
            "What was seen": self.seen,
            "What may be left": self.limits,
            "What this does not cover": self.uncovered,
        }
        return "\n".join(
            line for title, words in parts.items() for line in (title, *(f"  - {w}" for w in words))
        )


def statement(about: Inspection) -> Statement:
    """The statement on one world, in words for people who know no statistics."""
    return Statement(tuple(_seen(about)), tuple(_limits(about)), tuple(_uncovered(about)))


def joint_upper(recalls: Mapping[str, float], episodes: int, found: int = 0) -> float:
    """Upper limit that holds for every kind of which nothing was found, for all of them at once.

    With nothing found of any kind it also limits the share of sessions that show any of them
    (:func:`bots.risk.joint_bound`). Otherwise which kinds were found was chance as well, and the allowed
    error is split over all kinds that were looked for (Bonferroni).
    """
    if min(recalls.values()) <= 0:
        return 1.0
    if not found:
        return joint_bound(episodes, recalls).any
    confidence = 1 - (1 - CONFIDENCE) / (len(recalls) + found)
    return max(violation_bound(episodes, recall, confidence) for recall in recalls.values())


def rounded_up(share: float) -> str:
    """An upper limit 0..1 in percent, ``8.6 %``, rounded up so that it stays true."""
    value = max(0.0, min(1.0, share)) * 100
    digits = 2 if value < 1 else 1 if value < 10 else 0
    shown = math.ceil(round(value * 10**digits, 6)) / 10**digits
    return f"{shown:.{digits}f}\N{NO-BREAK SPACE}%"


# ---- seen -----------------------------------------------------------------------------------------------


def _seen(about: Inspection) -> list[str]:
    coverage = about.coverage
    steps = coverage.search_steps + coverage.sample_steps
    place = f"{about.map_share:.0%} of the map's open tiles and " if about.map_share is not None else ""
    reached = f"{place}{coverage.cells:,} different situations"
    played = f"Bots played {_time(steps)} ({steps:,} steps) and reached {reached}."
    return [played, *_search(about), *_sample(about)]


_ENDED = {
    "settled": " It ended because it found hardly anything new.",
    "budget": " It ended because its budget was spent, not because there was nothing left to find.",
}
"""By the first word of ``CoverageStats.stop_reason``."""


def _search(about: Inspection) -> list[str]:
    curve = about.curves.get("search", ())
    if len(curve) == 0:
        return []
    steps, cells = curve[-1]
    half = next(at for at, count in curve if 2 * count >= cells)
    rate = about.coverage.discovery_rate
    end = f"at the end it still found {rate:.1f} new ones per 1,000 steps" if math.isfinite(rate) else ""
    early = f"half of them within the first {half:,}"
    why = _ENDED.get(about.coverage.stop_reason.partition(":")[0], "")
    return [f"The search found {cells:,} in {steps:,} steps, {early}{'; ' + end if end else ''}.{why}"]


def _sample(about: Inspection) -> list[str]:
    curve = about.curves.get("sample", ())
    if len(curve) == 0:
        return []
    steps, cells = curve[-1]
    before = max((count for at, count in curve if 4 * at <= 3 * steps), default=0)
    sessions = f"{about.coverage.sample_episodes} independent sessions by {about.player}"
    return [f"{sessions} found {cells:,}; the last quarter of them added {cells - before:,}."]


# ---- limits ---------------------------------------------------------------------------------------------


def _limits(about: Inspection) -> list[str]:
    coverage = about.coverage
    sessions = coverage.sample_episodes
    if not sessions:
        return ["No independent session was played, so nothing can be said about what is left."]
    unseen, steps = rounded_up(coverage.unseen_sessions_upper), rounded_up(coverage.unseen_mass_upper)
    new = (
        f"{coverage.surprises} of {sessions} sessions showed something that the search had not seen. "
        f"At most {unseen} of further sessions show a situation that nobody has seen, and at most {steps} of "
        "their steps fall on one (95 % confidence for each number)."
    )
    return [new, *_violations(about, sessions)]


def _violations(about: Inspection, sessions: int) -> list[str]:
    if about.recalls is None:
        perfect, typical = (rounded_up(violation_bound(sessions, r)) for r in (1.0, TYPICAL_RECALL))
        said = (
            f"If detectors that miss nothing find nothing in these sessions, at most {perfect} of sessions "
            f"show a violation (95 % confidence); if they find {TYPICAL_RECALL:.0%} of what shows, {typical}."
        )
        return [said]
    if not about.recalls:
        return []
    upper = rounded_up(joint_upper(about.recalls, sessions, about.found))
    kinds = f"{len(about.recalls)} kind{'s' if len(about.recalls) > 1 else ''} of violation"
    detectors = f"taking detectors to find {min(about.recalls.values()):.0%} or more of what shows"
    if about.found:
        said = (
            f"Besides what was found, {kinds} were looked for: with 95 % confidence for all of them at once, "
            f"each shows in at most {upper} of sessions, {detectors}."
        )
    else:
        said = (
            f"Nothing was found of {kinds}: with 95 % confidence at most {upper} of sessions show any of "
            f"them, all kinds together, {detectors}."
        )
    return [said]


# ---- not covered ----------------------------------------------------------------------------------------

_UNLOOKED = "Anything that no rule of the policy looks for."
_RECALL = (
    "What detectors miss more often than assumed: how much they find is an assumption of the policy or was "
    "measured on made sets, not in this world. Where they find half as much, twice as much may be left."
)
_SITUATION = (
    "Differences within one situation (a tile, with the keys held, the lights, doors and levers): what two "
    "views of it show is taken for the same."
)
_ADAPTED = (
    "What the search came upon counts as found, but its steps count towards no limit, since it adapts to "
    "what it finds."
)
_CONFIDENCE = (
    "Certainty about this one world: of all worlds that are looked at like this, such a limit is right for "
    "95 of 100 or more, and which ones nobody knows."
)


def _uncovered(about: Inspection) -> list[str]:
    coverage = about.coverage
    session = _time(coverage.sample_steps / max(coverage.sample_episodes, 1))
    players = (
        f"Players who play unlike {about.player}, a fixed model of a player, and what takes longer than its "
        f"sessions of {session} each. Live play is watched by the same detectors for that reason."
    )
    return [players, _UNLOOKED, _RECALL, _SITUATION, _ADAPTED, _CONFIDENCE]


def _time(steps: float) -> str:
    seconds = steps / FPS
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
