"""A market of worlds, and the people in it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedapi.ranking.families import families
from feedapi.ranking.posterior import votes, world_prior
from feedapi.ranking.rank import Arms
from feedapi.ranking.signals import Flags, Indices, Numbers, Sessions

HOUR = 3600.0
USERS, TASTES = 2000, 6
PAGES_READ = (0.7, 0.3)
"""Share of visits that read one page and two."""
ATTENTION = 0.93
"""Share of those who look at a slot that look at the next one, too."""
ATTRACTED = 0.15
"""Share of what is looked at that is played."""


@dataclass(frozen=True)
class Market:
    """Columns (W,) of all worlds that will ever be published."""

    creator: Indices
    lineage: Indices
    published: Numbers
    """Seconds since the beginning; some negative."""
    quality: Numbers
    taste: NDArray[np.float64]
    """(W, TASTES) unit vectors."""
    vectors: NDArray[np.float32]
    length: Numbers
    """Seconds of a usual good session."""
    users: NDArray[np.float64]
    """(USERS, TASTES)."""

    def likes(self, user: int, world: Indices) -> Numbers:
        """Probability that a user has a good session in each world."""
        return np.asarray(_sigmoid(self.quality[world] + 1.2 * self.taste[world] @ self.users[user]))

    def liked(self) -> Numbers:
        """(W,) the same, on average over users."""
        return np.asarray(_sigmoid(self.quality[:, None] + 1.2 * self.taste @ self.users.T).mean(axis=1))

    def and_copies(self, of: int, creator: int, count: int, since: float, every: float) -> Market:
        """With ``count`` near-identical remixes of a world."""
        rng = np.random.default_rng(count)
        rows = np.append(np.arange(len(self.creator)), np.full(count, of))
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "users"}
        copies = slice(len(self.creator), None)
        columns["creator"][copies] = creator
        columns["lineage"][copies] = self.lineage[of]
        columns["published"][copies] = since + every * np.arange(count)
        noise = rng.normal(0, 0.01, (count, self.vectors.shape[1]))
        columns["vectors"][copies] = _unit(columns["vectors"][copies] + noise)
        return replace(self, **columns)


def market(
    seed: int, creators: int = 60, worlds: int = 300, later: int = 200, hours: float = 150.0
) -> Market:
    """A market of a seed."""
    rng = np.random.default_rng(seed)
    count = worlds + later
    skill = rng.normal(0, 0.8, creators)
    creator = np.append(np.arange(creators), rng.choice(creators, count - creators, p=_zipf(rng, creators)))
    taste = _unit(rng.normal(size=(count, TASTES)))
    shown = np.concatenate([taste @ rng.normal(size=(TASTES, 24)), rng.normal(size=(count, 24))], axis=1)
    published = np.append(-rng.uniform(1, 60 * 24, worlds), np.sort(rng.uniform(0, hours, later))) * HOUR
    return Market(
        creator=creator,
        lineage=np.arange(count),
        published=published,
        quality=skill[creator] + rng.normal(-0.9, 0.8, count),
        taste=taste,
        vectors=_unit(shown).astype(np.float32),
        length=rng.uniform(40, 400, count),
        users=rng.normal(size=(USERS, TASTES)),
    )


class Memory:
    """What a ranking is told: sessions so far."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self._table = np.zeros((50_000, len(fields(Sessions))))
        self._count = 0
        self.plays = np.zeros(len(market.creator))
        self._family: dict[int, Indices] = {}

    def arms(self, open_worlds: Indices, now: float, *, apart: bool = False) -> Arms:
        """The worlds that are published; ``apart`` takes near-identical ones for different."""
        number = np.full(len(self.market.creator), -1)
        number[open_worlds] = np.arange(len(open_worlds))
        sessions = self.sessions()
        sessions = replace(sessions, world=number[sessions.world])
        of_worlds = votes(sessions, len(open_worlds), now).of_worlds(len(open_worlds))
        creator, vectors = self.market.creator[open_worlds], self.market.vectors[open_worlds]
        if len(open_worlds) not in self._family:
            lineage = self.market.lineage[open_worlds]
            family = np.arange(len(open_worlds)) if apart else families(lineage, creator, vectors)
            self._family[len(open_worlds)] = family
        family = self._family[len(open_worlds)]
        age = now - self.market.published[open_worlds]
        return Arms(creator, family, of_worlds, world_prior(of_worlds, creator), age, vectors)

    def sessions(self) -> Sessions:
        table = self._table[: self._count]
        whole = ("world", "player", "spawn")
        flags = ("remixed", "reported", "person", "shown")
        kinds = dict.fromkeys(whole, np.intp) | dict.fromkeys(flags, np.bool_)
        return Sessions(
            **{
                f.name: table[:, i].astype(kinds.get(f.name, np.float64))
                for i, f in enumerate(fields(Sessions))
            }
        )

    def play(
        self,
        world: int,
        player: int,
        now: float,
        good: bool,
        rng: np.random.Generator,
        *,
        person: bool = True,
        shown: bool = True,
    ) -> None:
        """A whole session, drawn by whether it is a good one."""
        share = rng.uniform(0.6, 1.6) if good else rng.uniform(0.02, 0.5)
        seconds = share * self.market.length[world]
        first = np.nan if not good and rng.random() < 0.3 else rng.exponential(3 if good else 6)
        cells = seconds / 4 * rng.uniform(0.7, 1.3)
        used = rng.uniform(0.4, 1) if good else rng.uniform(0, 0.5)
        remixed, reported = good and rng.random() < 0.02, not good and rng.random() < 0.01
        row = (world, player, 0, now, seconds, first, cells, used, remixed, reported, person, shown)
        self._table[self._count] = row
        self._count += 1
        self.plays[world] += 1


def visit(market: Market, page: Indices, rng: np.random.Generator) -> tuple[int, Indices, Indices, Flags]:
    """A user's visit: who, what they looked at, what of it they played, and whether it was good."""
    user = int(rng.integers(USERS))
    pages = 1 + int(rng.random() > PAGES_READ[0])
    depth = min(int(rng.geometric(1 - ATTENTION)), 20 * pages, len(page))
    seen = page[:depth]
    played = seen[rng.random(depth) < ATTRACTED]
    return user, seen, played, rng.random(len(played)) < market.likes(user, played)


def attention(slots: int) -> Numbers:
    """Share of visits that look at each slot, about."""
    looks = ATTENTION ** np.arange(slots)
    return np.where(np.arange(slots) < 20, looks, looks * PAGES_READ[1])


def _zipf(rng: np.random.Generator, count: int) -> Numbers:
    weight = 1 / np.arange(1, count + 1)
    return np.asarray(rng.permutation(weight / weight.sum()))


def _unit(rows: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))
