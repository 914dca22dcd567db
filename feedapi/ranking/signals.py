"""How good a session was, from what the player did in it.

A session counts against its own world: how long, and how far into it, people who got under way usually
play there. A small world can so be as good as a large one. How long somebody stayed says more of an item
than that it was clicked (Yi, Hong, Zhong, Liu, Rajan, "Beyond clicks: dwell time for personalization",
RecSys 2014), and must be normalised by the item for the same reason as there.

The weights are chosen, not fitted: there were no players to fit them to. ``firstplay feed evaluate``
is the way to judge others.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]

BRIEF = 10.0
"""Seconds: who leaves earlier has not played."""
SOON = 8.0
"""Seconds until the first input after which a player seems lost."""
RETURN_AFTER = 6 * 3600.0
"""Seconds between two sessions for the second to be a return."""
PLAYER_CAP = 1.0
"""Sessions for which one player counts in one world, however often they play it."""
BORROWED = 5.0
"""Sessions for which the typical session of all worlds counts in a world's own expectation."""
BASE, LENGTH, EXPLORED, MECHANICS, LOST, RETURNED, REMIXED = -0.6, 0.8, 0.6, 1.0, -0.7, 1.2, 2.0
"""Of the log-odds that a session was good; LENGTH and EXPLORED per doubling of what is expected."""


@dataclass(frozen=True)
class Sessions:
    """Columns (S,): one row per session."""

    world: Indices
    """Number of the world."""
    player: Indices
    spawn: Indices
    """Number of the spawn point in its world."""
    at: Numbers
    """When it began, seconds since 1970."""
    seconds: Numbers
    first_input: Numbers
    """Seconds until the first input; NaN where there was none."""
    cells: Numbers
    """Places explored."""
    mechanics: Numbers
    """Share 0..1 of the world's mechanics that the player used."""
    remixed: Flags
    reported: Flags
    person: Flags
    """False for bots and for the world's own creator."""
    shown: Flags
    """The player took it from the feed, where the ranking put it, rather than by a link."""

    def __len__(self) -> int:
        return len(self.world)

    def where(self, which: Flags | Indices) -> Self:
        """Some of the rows."""
        return type(self)(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


@dataclass(frozen=True)
class Expected:
    """Columns (W,): a usual session of each world, of those that got under way."""

    seconds: Numbers
    cells: Numbers


def counted(sessions: Sessions) -> Flags:
    """Which sessions say something about how good a world is.

    Not those of bots and creators; and only those that began at an item of the feed. Whoever follows a link
    chose the world before, and a farm of players can open links at will but cannot make the feed show them.
    """
    return sessions.person & sessions.shown


def expectations(sessions: Sessions, worlds: int) -> Expected:
    """The usual session of each of ``worlds`` worlds, from counted sessions.

    The median over players in the logarithm, drawn to the median of all worlds by :data:`BORROWED` sessions.
    """
    firsts = _first_of_each_player(sessions.where(_under_way(sessions)))
    return Expected(
        _typical(firsts.world, firsts.seconds, worlds, otherwise=60.0),
        _typical(firsts.world, firsts.cells + 1, worlds, otherwise=10.0) - 1,
    )


def good(sessions: Sessions, expected: Expected) -> Numbers:
    """(S,) probability 0..1 that each counted session was a good one.

    Without an input, or left at once, or reported: 0.
    """
    usual, reach = expected.seconds[sessions.world], expected.cells[sessions.world]
    odds = (
        BASE
        + LENGTH * _doublings(sessions.seconds, usual)
        + EXPLORED * _doublings(sessions.cells + 1, reach + 1)
        + MECHANICS * np.clip(sessions.mechanics, 0, 1)
        + LOST * (sessions.first_input > SOON)
        + RETURNED * returned(sessions)
        + REMIXED * sessions.remixed
    )
    probability: Numbers = 1 / (1 + np.exp(-odds))
    return np.where(_under_way(sessions) & ~sessions.reported, probability, 0.0)


def returned(sessions: Sessions) -> Flags:
    """Whether the player came back to this world after :data:`RETURN_AFTER`."""
    _, pair, often = _pairs(sessions)
    pairs = len(often)
    first, last = np.full(pairs, np.inf), np.full(pairs, -np.inf)
    np.minimum.at(first, pair, sessions.at)
    np.maximum.at(last, pair, sessions.at)
    back: Flags = (last - first >= RETURN_AFTER)[pair]
    return back


def weights(sessions: Sessions) -> Numbers:
    """(S,) for how much each session counts: those of one player in one world share :data:`PLAYER_CAP`."""
    _, pair, often = _pairs(sessions)
    share: Numbers = (np.minimum(often, PLAYER_CAP) / often)[pair]
    return share


def _pairs(sessions: Sessions) -> tuple[Indices, Indices, Indices]:
    """Pairs of world and player: their names (P,), that of each session (S,), sessions of each (P,)."""
    players = int(sessions.player.max(initial=0)) + 1
    name = sessions.world * players + sessions.player
    return np.unique(name, return_inverse=True, return_counts=True)


def _under_way(sessions: Sessions) -> Flags:
    return (sessions.seconds >= BRIEF) & np.isfinite(sessions.first_input)


def _first_of_each_player(sessions: Sessions) -> Sessions:
    order = np.lexsort([sessions.at, sessions.player, sessions.world])
    world, player = sessions.world[order], sessions.player[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (world[1:] != world[:-1]) | (player[1:] != player[:-1])
    return sessions.where(order[first])


def _typical(world: Indices, values: Numbers, worlds: int, otherwise: float) -> Numbers:
    """Medians (W,) of positive values, in the logarithm, drawn to the median of all."""
    if not len(values):
        return np.full(worlds, otherwise)
    logs = np.log(np.maximum(values, 1e-3))
    overall = float(np.median(logs))
    order = np.lexsort([logs, world])
    count = np.bincount(world, minlength=worlds)
    start = np.cumsum(count) - count
    low, high = start + np.maximum(count - 1, 0) // 2, start + count // 2
    sorted_logs = np.append(logs[order], overall)  # a world at the end without any would reach beyond
    last = len(logs)
    own = (sorted_logs[np.minimum(low, last)] + sorted_logs[np.minimum(high, last)]) / 2
    return np.asarray(np.exp((count * own + BORROWED * overall) / (count + BORROWED)))


def _doublings(value: Numbers, usual: Numbers) -> Numbers:
    """How often ``usual`` must be doubled to give ``value``; more than once adds nothing."""
    return np.asarray(np.clip(np.log2(np.maximum(value, 1e-3) / np.maximum(usual, 1e-3)), -3, 1))
