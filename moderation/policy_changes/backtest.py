"""What a bundle would change: every decided world decided again from its stored evidence, without models.

Both the bundle that is live and the new one decide the same evidence, in child processes that each read a
chunk of worlds at a time, so that memory does not grow with the store.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from moderation.policy_changes.bundles import restore
from moderation.policy_changes.redecide import Turn, outlines, turn
from moderation.store import Store, open_store
from moderation.store.bundles import StoredBundle, add_backtest, find_bundle
from moderation.store.deciding import CHUNK, load_decided, newest_decisions
from policies.types import Verdict

ELSEWHERE = "(coverage or a quota)"
"""Stands where no rule made the difference."""


@dataclass(frozen=True)
class RuleChange:
    """What one rule changes."""

    rule: str
    worlds: dict[Verdict, tuple[str, ...]]
    """By the new verdict, the versions whose verdict changes and where this rule fires otherwise."""
    same: int
    """Worlds where it fires otherwise, but the verdict stays."""


@dataclass(frozen=True)
class Backtest:
    """What one bundle says otherwise than another."""

    bundle: str
    against: str
    worlds: int
    turns: tuple[Turn, ...]

    def newly(self, verdict: Verdict) -> list[Turn]:
        """Worlds that come to this verdict and did not before."""
        return [one for one in self.turns if one.after is verdict and one.before is not verdict]

    def by_rule(self) -> list[RuleChange]:
        """The rules that change something, those that change most worlds first."""
        grouped: dict[str, dict[Verdict, list[str]]] = {}
        same: Counter[str] = Counter()
        for one in self.turns:
            for rule in one.rules or (ELSEWHERE,):
                worlds = grouped.setdefault(rule, {})
                if one.before is one.after:
                    same[rule] += 1
                else:
                    worlds.setdefault(one.after, []).append(one.version)
        changes = [
            RuleChange(rule, {verdict: tuple(found) for verdict, found in worlds.items()}, same[rule])
            for rule, worlds in grouped.items()
        ]
        return sorted(changes, key=lambda one: (-sum(map(len, one.worlds.values())), -one.same, one.rule))


def backtest(store: Store, bundle: StoredBundle, against: StoredBundle, processes: int = 2) -> Backtest:
    """Hold ``bundle`` against another on all that is stored. Raises ``bundles.BundleLost``."""
    restore(bundle), restore(against)  # so that what is wrong with them is said here, not by a child
    with store.reading() as connection:
        decisions = newest_decisions(connection)
    chunks = [decisions[first : first + CHUNK] for first in range(0, len(decisions), CHUNK)]
    hashes = (bundle.sha256, against.sha256)
    turns = [one for found in _work(store, hashes, chunks, processes) for one in found]
    turns.sort(key=lambda one: one.version)
    return Backtest(*hashes, len(decisions), tuple(turns))


def keep_backtest(store: Store, found: Backtest) -> int:
    """Store the difference, which a promotion needs; returns its number."""
    with store.writing() as tx:
        told = [one.as_json() for one in found.turns]
        return add_backtest(tx.connection, found.bundle, found.against, found.worlds, told)


def _work(
    store: Store, hashes: tuple[str, str], chunks: Sequence[Sequence[int]], processes: int
) -> Iterator[list[Turn]]:
    if processes == 1 or len(chunks) < processes:
        with_bundles = Redecider(store, *hashes)
        yield from map(with_bundles.turns, chunks)
        return
    url = store.database.url.render_as_string(hide_password=False)
    begin = (store.home, url, *hashes)
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, begin) as pool:
        yield from pool.map(_turns, chunks)


class Redecider:
    """Decides chunks of worlds by both bundles, in one process."""

    def __init__(self, store: Store, bundle: str, against: str) -> None:
        self._store = store
        with store.reading() as connection:
            self._bundles = [restore(find_bundle(connection, one)) for one in (against, bundle)]

    def turns(self, decisions: Sequence[int]) -> list[Turn]:
        """What turns in the worlds of some decisions."""
        with self._store.reading() as connection:
            worlds = load_decided(connection, decisions)
        found = (turn(world, *outlines(self._bundles, world)) for world in worlds)
        return [one for one in found if one is not None]


_redeciders: list[Redecider] = []
"""Of this child process; at most one."""


def _begin(home: Path, url: str, bundle: str, against: str) -> None:
    _redeciders.append(Redecider(open_store(home, url), bundle, against))
    gc.freeze()  # modules and bundles stay: walking them again and again took half as long as the decisions
    gc.set_threshold(100_000)


def _turns(decisions: Sequence[int]) -> list[Turn]:
    return _redeciders[0].turns(decisions)


def as_json(found: Backtest, names: dict[str, Any]) -> dict[str, Any]:
    """For machines: everything that changes."""
    return {
        "bundle": found.bundle,
        "against": found.against,
        "worlds": found.worlds,
        "newly": {str(verdict): len(found.newly(verdict)) for verdict in Verdict},
        "rules": [
            {
                "rule": one.rule,
                "worlds": {str(verdict): list(worlds) for verdict, worlds in one.worlds.items()},
                "same_verdict": one.same,
            }
            for one in found.by_rule()
        ],
        "turned": [one.as_json() | {"world": names.get(one.version)} for one in found.turns],
    }
