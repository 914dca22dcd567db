"""Orders worlds for a feed: each page draws anew what might be liked, and shows several kinds of it.

Thompson sampling (Thompson 1933; for feeds: Chapelle and Li, "An empirical evaluation of Thompson sampling",
NIPS 2011): an arm is shown as often as it might be the best. An arm is a *family* of worlds; which of its
creators, and which of that creator's worlds, stands for it is drawn in the same way; who did not publish the
first of them counts less.

A page is then filled from the best draws: the second and later worlds of a creator count less; a share of
slots is kept for new worlds; the others are spread over what looks and plays differently by a determinantal
point process (Chen, Zhang, Zhou, "Fast greedy MAP inference for DPP", NeurIPS 2018, as in ``pyversity``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pyversity import Strategy, diversify

from feedapi.ranking.posterior import Evidence, posterior
from feedapi.ranking.signals import Flags, Indices, Numbers

NEW_SESSIONS = 10.0
"""A family that has had more sessions than this is not new any more, however young it is."""
NEW_AGE = 14 * 24 * 3600.0
"""Seconds since a family's first world was published, after which it is not new any more."""
OWN = 0.05
"""Share of a world that is taken to be like nothing else."""
DRAWS = 64
"""Rankings that are drawn to estimate how probable the shown one was."""


@dataclass(frozen=True)
class Settings:
    """How a ranking trades what is known to be good for what is new, fair and varied."""

    page: int = 20
    pages: int = 10
    new_share: float = 0.2
    """Of the slots of a page."""
    author_decay: float = 0.5
    """Factor for each further world of one creator in a page, and for whoever publishes a world again."""
    diversity: float = 0.2
    """0 the best draws, 1 the most different ones."""
    pool: int = 3
    """Candidates for each slot from which the diverse ones are taken; caps the cost."""
    explore: bool = True
    """Draw from the posteriors; without, their means."""


@dataclass(frozen=True)
class Arms:
    """Columns (W,): the candidates, and what is known of them."""

    creator: Indices
    family: Indices
    evidence: Evidence
    prior: Numbers
    """Mean 0..1 of the prior."""
    age: Numbers
    """Seconds since publication."""
    vectors: NDArray[np.float32] = field(repr=False)
    """(W, D) how it looks and plays; see ``looks``."""

    def __len__(self) -> int:
        return len(self.creator)

    @cached_property
    def group(self) -> Indices:
        """(W,) each world's family, numbered from 0 without gaps."""
        return np.unique(self.family, return_inverse=True)[1]

    @cached_property
    def pair(self) -> Indices:
        """(W,) number of each world's pair of family and creator."""
        return np.unique(np.stack([self.family, self.creator]), axis=1, return_inverse=True)[1].ravel()

    @cached_property
    def imitates(self) -> Flags:
        """(P,) pairs of which the family's first world is not one."""
        oldest = np.zeros(len(self.single))
        np.maximum.at(oldest, self.group, self.age)
        imitates = np.ones(int(self.pair.max(initial=-1)) + 1, np.bool_)
        imitates[self.pair[self.age == oldest[self.group]]] = False
        return imitates

    @cached_property
    def single(self) -> Indices:
        """(F,) a member of each family; the only one of most."""
        return np.unique(self.family, return_index=True)[1]

    @cached_property
    def several(self) -> Indices:
        """The worlds that share their family with others."""
        return np.flatnonzero(np.bincount(self.group)[self.group] > 1)

    @cached_property
    def new(self) -> Flags:
        """(F,) families that hardly anybody has played yet."""
        played = self.evidence.pooled(self.group, len(self.single)).sessions
        oldest = np.zeros(len(self.single))
        np.maximum.at(oldest, self.group, self.age)
        fresh: Flags = (played < NEW_SESSIONS) & (oldest < NEW_AGE)
        return fresh


@dataclass(frozen=True)
class Ranked:
    """Columns (L,), best first."""

    world: Indices
    page: Indices
    """On which page it was put, before any filter."""
    propensity: Numbers
    """Probability 0..1 with which it was put on that page."""


def rank(arms: Arms, settings: Settings, seed: int, draws: int = DRAWS) -> Ranked:
    """One draw of the ranking, and how probable each of its places was.

    The probability that a world is on the page where it is has no closed form. It is estimated by ranking
    ``draws`` more times with other seeds (as for the assignment probabilities of Thompson sampling in
    Dimakopoulou, Zhou, Athey, Imbens, "Balanced linear contextual bandits", AAAI 2019), the shown ranking
    counted as one of them: (times + 1) / (draws + 1). It is never 0, and so no weight in an evaluation
    exceeds draws + 1; what is rarer than that is overestimated, which makes the evaluation cautious.
    """
    shown = draw(arms, settings, np.random.default_rng(seed))
    page = np.arange(len(shown)) // settings.page
    times = page_shares(arms, settings, seed + 1, draws)[shown, page] * draws
    return Ranked(shown, page, np.asarray((times + 1) / (draws + 1)))


def page_shares(arms: Arms, settings: Settings, seed: int, draws: int = DRAWS) -> Numbers:
    """(W, pages) share of ``draws`` rankings in which each world is on each page."""
    times = np.zeros((len(arms), settings.pages))
    for each in range(draws):
        drawn = draw(arms, settings, np.random.default_rng([seed, each]))
        times[drawn, np.arange(len(drawn)) // settings.page] += 1
    return times / max(draws, 1)


def draw(arms: Arms, settings: Settings, rng: np.random.Generator) -> Indices:
    """One ranking: worlds (L,), best first, each family at most once; L is pages x page at most."""
    if not len(arms):
        return np.zeros(0, np.intp)
    score = _scores(arms.group, arms, settings, rng)
    stands_for = _representatives(arms, settings, rng)
    left = _promising(score, arms.new, settings)
    chosen: list[Indices] = []
    for _ in range(settings.pages):
        if not len(left):
            break
        taken = _page(left, score, stands_for, arms, settings, rng)
        chosen.append(stands_for[left[taken]])
        left = np.delete(left, taken)
    return np.concatenate(chosen)


def _scores(group: Indices, arms: Arms, settings: Settings, rng: np.random.Generator) -> Numbers:
    """(G,) what each group of worlds is worth, in this draw."""
    groups = int(group.max()) + 1
    prior = np.bincount(group, arms.prior, groups) / np.bincount(group, minlength=groups)
    known = posterior(arms.evidence.pooled(group, groups), prior)
    return known.draw(rng) if settings.explore else known.mean


def _representatives(arms: Arms, settings: Settings, rng: np.random.Generator) -> Indices:
    """(F,) the world that stands for each family: of the best creator's worlds the best, in this draw."""
    stands_for = arms.single.copy()
    several = arms.several
    if len(several):
        worth = _scores(arms.pair, arms, settings, rng)
        worth = np.where(arms.imitates, settings.author_decay * worth, worth)
        of_pair = worth[arms.pair[several]]
        own = posterior(
            Evidence(arms.evidence.good[several], arms.evidence.bad[several]), arms.prior[several]
        )
        of_world = own.draw(rng) if settings.explore else own.mean
        order = np.lexsort([of_world, of_pair])  # of several values for one family, the last one stays
        stands_for[arms.group[several[order]]] = several[order]
    return stands_for


def _promising(score: Numbers, new: Flags, settings: Settings) -> Indices:
    """The families from which all pages are filled, best first."""
    wanted = settings.page * (settings.pages + settings.pool)
    best = _top(score, wanted)
    newcomers = np.flatnonzero(new)
    if settings.new_share:
        reserved = _top(score[newcomers], round(wanted * settings.new_share))
        best = np.union1d(best, newcomers[reserved])
    return best[np.argsort(-score[best], kind="stable")]


def _top(score: Numbers, count: int) -> Indices:
    return np.argpartition(-score, count)[:count] if count < len(score) else np.arange(len(score))


def _page(
    left: Indices,
    score: Numbers,
    stands_for: Indices,
    arms: Arms,
    settings: Settings,
    rng: np.random.Generator,
) -> Indices:
    """Places in ``left`` (best first) of the families that fill the next page, in their order there."""
    worlds = stands_for[left]
    nth = _nth_of_its_creator(arms.creator[worlds])
    worth = score[left] * settings.author_decay**nth
    reserved = round(settings.page * settings.new_share)
    newcomers = np.flatnonzero(arms.new[left] & (nth == 0))
    newcomers = newcomers[np.argsort(-worth[newcomers], kind="stable")][:reserved]
    others = np.argsort(-worth, kind="stable")
    others = others[~np.isin(others, newcomers)][: settings.page * settings.pool]
    proven = _spread(others, worth, arms.vectors[worlds[others]], settings.page - len(newcomers), settings)
    return _woven(proven, newcomers, rng)


def _nth_of_its_creator(creator: Indices) -> Indices:
    """(N,) how many of the same creator come before each."""
    order = np.argsort(creator, kind="stable")
    starts = np.flatnonzero(np.diff(creator[order], prepend=creator[order[0]] - 1))
    nth = np.empty(len(creator), np.intp)
    nth[order] = np.arange(len(creator)) - np.repeat(starts, np.diff(starts, append=len(creator)))
    return nth


def _spread(
    places: Indices, worth: Numbers, vectors: NDArray[np.float32], count: int, settings: Settings
) -> Indices:
    """``count`` of the places, good ones that differ from each other."""
    if not settings.diversity or len(places) <= 1 or not vectors.any():
        return places[:count]
    filled = np.where(vectors.any(axis=1, keepdims=True), vectors, vectors.mean(axis=0))
    # Something of its own for each: exact copies would leave nothing to choose by.
    own = np.eye(len(places), dtype=np.float32)
    chosen = diversify(
        embeddings=np.hstack([(1 - OWN) ** 0.5 * filled, OWN**0.5 * own]),
        scores=worth[places].astype(np.float32),
        k=min(count, len(places)),
        strategy=Strategy.DPP,
        diversity=settings.diversity,
    )
    return places[np.asarray(chosen.indices, np.intp)]


def _woven(proven: Indices, newcomers: Indices, rng: np.random.Generator) -> Indices:
    """Newcomers at random slots, so that no slot tells that a world is new."""
    size = len(proven) + len(newcomers)
    page = np.empty(size, np.intp)
    slots = np.zeros(size, np.bool_)
    slots[rng.choice(size, len(newcomers), replace=False)] = True
    page[slots], page[~slots] = newcomers, proven
    return page


def fit_for(age: int, rating: Indices) -> Flags:
    """(L,) what a player of this age may be shown. The last word: nothing is ranked after it.

    ``rating``: the age for which each is fit, 3, 7, 12, 16 or 18; 18 where that is not known for sure.
    """
    return np.asarray(rating <= age)
