"""Whether the limits of ``bots.risk`` hold: simulated worlds with a known truth, right and wrong bounds.

    python benchmarks/bounds.py [--worlds 600] [--seed 0] [--json FILE]

Every row is one claim at 95 % confidence in each of so many worlds. It *holds* if the limit was under the
truth in no more worlds than a bound that is right in exactly 95 % exceeds once in a thousand runs
(``TOLERANCE``). The rows marked *wrong* are bounds that look plausible, and must fail.

What there is to see follows two kinds of distributions with exact truths: *places* (draws from a uniform,
Zipf or Dirichlet distribution, each held for a while, so that steps depend on one another) and *corridors*
(a branch, then a depth with a geometric or Pareto tail). The search arm saw something else than the sample
arm does, and nothing in the worst case. Violations are independent, nested or exclusive of one another; in
half of the worlds one kind is just as frequent as its limit excludes, where a bound has least to spare.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import binom

from bots.risk import (
    CONFIDENCE,
    JointBound,
    Labelled,
    UnseenMass,
    clopper_pearson_upper,
    joint_bound,
    unseen_mass,
    violation_bound,
)

Cells = NDArray[np.int64]
TOLERANCE = 0.001
"""Chance that a bound which is right in exactly 95 % of worlds is said not to hold."""
STEPS = 40
"""Of an episode."""
EDGE = 1 + 1e-9
"""A truth this much over its limit is missed by no rounding."""


# ---- what there is to see ---------------------------------------------------------------------------


class World(Protocol):
    """Where sessions go."""

    def session(self, rng: np.random.Generator, curiosity: float = 1.0) -> Cells:
        """(STEPS,) cells of a session; the search arm has a ``curiosity`` over 1."""
        ...

    def unseen(self, known: Cells) -> tuple[float, float]:
        """True share of steps on other cells than ``known``, and of sessions with any such step."""
        ...


@dataclass(frozen=True)
class Places:
    """A session goes to some places in turn, independently drawn, and stays at each for the same time."""

    share: NDArray[np.float64]
    """(cells,) probability of each place."""
    visits: int
    """Of a session; divides STEPS."""

    def session(self, rng: np.random.Generator, curiosity: float = 1.0) -> Cells:
        flat = self.share ** (1 / curiosity)
        places = rng.choice(len(flat), size=self.visits, p=flat / flat.sum())
        return np.repeat(places, STEPS // self.visits)

    def unseen(self, known: Cells) -> tuple[float, float]:
        mass = float(np.delete(self.share, known).sum())
        return mass, 1 - (1 - mass) ** self.visits


@dataclass(frozen=True)
class Corridors:
    """A session takes one corridor, a step at a time, to some depth, and stays there."""

    share: NDArray[np.float64]
    """(corridors,) probability of each."""
    reach: NDArray[np.float64]
    """(STEPS,) probability to get at least to the depth 1, 2, ... of the corridor taken."""

    def session(self, rng: np.random.Generator, curiosity: float = 1.0) -> Cells:
        flat = self.share ** (1 / curiosity)
        corridor = int(rng.choice(len(flat), p=flat / flat.sum()))
        depth = int((self.reach > rng.random() ** curiosity).sum())
        return corridor * STEPS + np.minimum(np.arange(STEPS), depth - 1)

    def unseen(self, known: Cells) -> tuple[float, float]:
        seen = np.zeros(len(self.share), np.int64)
        np.maximum.at(seen, known // STEPS, known % STEPS + 1)
        beyond = self.share * np.append(self.reach, 0.0)[seen]
        return float((beyond * (STEPS - seen)).sum() / STEPS), float(beyond.sum())


def some_world(rng: np.random.Generator) -> World:
    """Tails from none to heavy, from one place per session to many."""
    count = int(rng.integers(20, 400))
    ranks = np.arange(1, count + 1)
    shares = [np.ones(count), ranks ** -rng.uniform(0.5, 2.5), rng.dirichlet(np.full(count, 0.2)) + 1e-12]
    share = shares[rng.integers(3)]
    share = share / share.sum()
    if rng.random() < 0.6:
        return Places(share, int(rng.choice([1, 2, 8, STEPS])))
    depths = np.arange(STEPS)
    tails = [rng.uniform(0.6, 0.99) ** depths, (1.0 + depths) ** -rng.uniform(0.5, 2.0)]
    return Corridors(share, tails[rng.integers(2)])


@dataclass(frozen=True)
class Sight:
    """A sample arm in one world, and the truth about what neither arm has seen."""

    known: Cells
    sessions: list[Cells]
    steps: float
    sessions_truth: float

    @cached_property
    def limits(self) -> UnseenMass:
        return unseen_mass(self.sessions, self.known.tolist())


def one_place(rng: np.random.Generator) -> World:
    """A session goes to one of many places that are all as likely: hard for what counts singletons."""
    count = int(rng.integers(80, 200))
    return Places(np.full(count, 1 / count), 1)


def sights(
    make: Callable[[np.random.Generator], World], worlds: int, seed: int, searches: Sequence[int]
) -> Iterator[Sight]:
    """Sample arms of 20 to 120 episodes, each after a search of one of so many sessions."""
    for number in range(worlds):
        rng = np.random.default_rng([seed, 1, number])
        world = make(rng)
        searched = [world.session(rng, 1.5) for _ in range(int(rng.choice(searches)))]
        known = np.unique(np.concatenate([np.zeros(0, np.int64), *searched]))
        sessions = [world.session(rng) for _ in range(int(rng.choice([20, 60, 120])))]
        everything = np.union1d(known, np.concatenate(sessions))
        yield Sight(known, sessions, *world.unseen(everything))


def leave_one_out(sight: Sight) -> float:
    """Wrong: Clopper-Pearson on Good-Turing's answers, which depend on one another."""
    found = sight.limits
    return clopper_pearson_upper(round(found.incidence * found.episodes), found.episodes)


def single_steps(sight: Sight) -> float:
    """Wrong: Good-Turing with the step as its unit."""
    steps = np.concatenate(sight.sessions)
    cells, counts = np.unique(steps, return_counts=True)
    single = int((~np.isin(cells[counts == 1], sight.known)).sum())
    return clopper_pearson_upper(single, len(steps))


# ---- violations ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """A sample arm that looked for violations of several kinds, and the truth about them."""

    episodes: int
    shares: NDArray[np.float64]
    """(kinds,) of sessions that show each."""
    any: float
    recalls: NDArray[np.float64]
    labelled: list[Labelled]
    reported: NDArray[np.bool_]
    """(episodes, kinds)."""
    steps: int
    """For how many steps a violation shows."""

    @property
    def flagged(self) -> int:
        return int(self.reported.any(1).sum())

    @property
    def quiet(self) -> NDArray[np.int64]:
        """Kinds of which nothing was reported."""
        return np.flatnonzero(~self.reported.any(0))

    def bound(self, *, counted: bool) -> JointBound:
        recalls = self.labelled if counted else self.recalls.tolist()
        return joint_bound(self.episodes, dict(zip("abcdefgh", recalls, strict=False)), self.flagged)


def trial(rng: np.random.Generator) -> Trial:
    """Kinds that show independently, nested or exclusively, in every other world at the edge of the limit."""
    kinds, episodes = int(rng.integers(1, 9)), int(rng.choice([20, 60, 300]))
    recalls = rng.uniform(0.3, 1.0, kinds)
    shares = np.exp(rng.uniform(np.log(1e-4), np.log(0.5), kinds))
    if rng.random() < 0.5:
        hidden = recalls.argmin()
        shares *= 1e-9
        shares[hidden] = min(1.0, violation_bound(episodes, recalls[hidden]) * EDGE)
    return _looked_for(rng, episodes, shares, recalls, rng.integers(5, 200, kinds))


def crowd(rng: np.random.Generator) -> Trial:
    """Eight kinds, each as frequent as its limit excludes: some will be quiet by chance."""
    recalls = rng.uniform(0.3, 1.0, 8)
    shares = np.array([violation_bound(60, recall) * EDGE for recall in recalls])
    return _looked_for(rng, 60, shares, recalls, np.full(8, 50))


def frequent(rng: np.random.Generator) -> Trial:
    """One kind that is found often, by a detector that was measured on few items."""
    recalls, shares = rng.uniform(0.3, 0.9, 1), rng.uniform(0.2, 0.9, 1)
    return _looked_for(rng, 300, shares, recalls, rng.integers(10, 30, 1))


def _looked_for(
    rng: np.random.Generator,
    episodes: int,
    shares: NDArray[np.float64],
    recalls: NDArray[np.float64],
    items: NDArray[np.int64],
) -> Trial:
    shown, together = _shown(rng, shares, episodes)
    reported = shown & (rng.random(shown.shape) < recalls)
    found = rng.binomial(items, recalls)
    labelled = [Labelled(int(f), int(n)) for f, n in zip(found, items, strict=True)]
    return Trial(episodes, shares, together, recalls, labelled, reported, int(rng.integers(1, STEPS + 1)))


def _shown(
    rng: np.random.Generator, shares: NDArray[np.float64], episodes: int
) -> tuple[NDArray[np.bool_], float]:
    """(episodes, kinds) what each shows, and the true share of sessions that show anything."""
    how = rng.integers(3)
    if how == 0:
        return rng.random((episodes, len(shares))) < shares, float(1 - np.prod(1 - shares))
    roll = rng.random((episodes, 1))
    if how == 1 or shares.sum() > 1:
        return roll < shares, float(shares.max())
    ends = shares.cumsum()
    return (roll < ends) & (roll >= ends - shares), float(ends[-1])


def trials(make: Callable[[np.random.Generator], Trial], worlds: int, seed: int) -> list[Trial]:
    return [make(np.random.default_rng([seed, 2, number])) for number in range(worlds)]


def each_kind(found: Trial, *, counted: bool) -> bool:
    limits = np.array(list(found.bound(counted=counted).kinds.values()))
    return bool((limits >= found.shares).all())


def counting_steps(found: Trial) -> float:
    """Wrong: every step a trial of its own."""
    hits = found.steps * found.flagged
    return min(1.0, clopper_pearson_upper(hits, STEPS * found.episodes) / float(found.recalls.min()))


def perfect_detectors(found: Trial) -> float:
    """Wrong: as if nothing that shows were missed."""
    return clopper_pearson_upper(found.flagged, found.episodes)


def counted_as_known(found: Trial) -> bool:
    """Wrong: a recall of a few labelled items taken at its face value, in worlds where much is found."""
    face = [max(one.found, 0.5) / one.positives for one in found.labelled]
    limits = clopper_pearson_upper(found.flagged, found.episodes) / np.array(face)
    return bool((limits >= found.shares).all())


def quiet_ones(found: Trial, confidence: float) -> bool:
    """Each kind that was not found at its own confidence, said of all of them at once."""
    limits = [violation_bound(found.episodes, r, confidence) for r in found.recalls[found.quiet]]
    return bool((np.array(limits) >= found.shares[found.quiet]).all())


# ---- the table ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One claim in all worlds."""

    claim: str
    bound: str
    right: bool
    """Whether the bound is one that firstplay states."""
    worlds: int
    misses: int
    """Worlds in which the truth lay over the limit."""

    @property
    def covered(self) -> float:
        return 1 - self.misses / self.worlds

    @property
    def holds(self) -> bool:
        return self.misses <= allowed(self.worlds)


def allowed(worlds: int) -> int:
    """Most misses of a bound that holds."""
    return int(binom.ppf(1 - TOLERANCE, worlds, 1 - CONFIDENCE))


def table(worlds: int = 600, seed: int = 0) -> list[Row]:
    """All claims."""
    views = list(sights(some_world, worlds, seed, (0, 10, 100, 300)))
    spread = list(sights(one_place, worlds, seed, (5, 30)))
    tried, packed, often = (trials(make, worlds, seed) for make in (trial, crowd, frequent))
    new, part, viol = "sessions with unseen content", "steps on unseen content", "sessions with any violation"
    each, quiet = "every kind at once", "every kind not found, at once"
    split = 1 - (1 - CONFIDENCE) / 8

    def row(claim: str, bound: str, right: bool, covers: Callable[[Any], bool], on: Sequence[Any]) -> Row:
        return Row(claim, bound, right, len(on), sum(not covers(one) for one in on))

    return [
        row(new, "surprises", True, lambda s: s.limits.incidence_upper >= s.sessions_truth, views),
        row(
            new,
            "surprises, one place each",
            True,
            lambda s: s.limits.incidence_upper >= s.sessions_truth,
            spread,
        ),
        row(part, "surprises, Hoeffding-Bentkus", True, lambda s: s.limits.steps_upper >= s.steps, views),
        row(viol, "joint, recall known", True, lambda t: t.bound(counted=False).any >= t.any, tried),
        row(each, "joint, recall known", True, lambda t: each_kind(t, counted=False), tried),
        row(viol, "joint, recall counted", True, lambda t: t.bound(counted=True).any >= t.any, tried),
        row(each, "joint, recall counted", True, lambda t: each_kind(t, counted=True), tried),
        row(each, "joint, recall counted, found often", True, lambda t: each_kind(t, counted=True), often),
        row(quiet, "confidence split over 8 kinds", True, lambda t: quiet_ones(t, split), packed),
        row(
            new, "Good-Turing, one place each", False, lambda s: leave_one_out(s) >= s.sessions_truth, spread
        ),
        row(new, "Good-Turing on steps", False, lambda s: single_steps(s) >= s.sessions_truth, views),
        row(viol, "steps for episodes", False, lambda t: counting_steps(t) >= t.any, tried),
        row(viol, "recall left out", False, lambda t: perfect_detectors(t) >= t.any, tried),
        row(each, "counted recall as known, found often", False, counted_as_known, often),
        row(quiet, "each at 95 %", False, lambda t: quiet_ones(t, CONFIDENCE), packed),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worlds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = table(given.worlds, given.seed)
    title = f"{given.worlds} worlds each; a bound holds with at most {allowed(given.worlds)} misses"
    shown = Table("claim", "bound", "misses", "covered", "", title=title)
    for row in rows:
        verdict = "holds" if row.holds else "fails"
        mark = verdict if row.right else f"wrong, {verdict}"
        shown.add_row(row.claim, row.bound, str(row.misses), f"{row.covered:.1%}", mark)
    Console().print(shown)
    if given.json:
        told = [{**asdict(row), "covered": row.covered, "holds": row.holds} for row in rows]
        head = {"seed": given.seed, "confidence": CONFIDENCE, "tolerance": TOLERANCE}
        given.json.write_text(json.dumps({**head, "allowed": allowed(given.worlds), "rows": told}, indent=2))


if __name__ == "__main__":
    main()
