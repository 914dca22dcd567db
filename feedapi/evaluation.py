"""What was logged of the feed, as off-policy evaluation takes it: reads the store, and ranks again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import compress

import numpy as np

from feedapi.ranking import signals
from feedapi.ranking.evaluate import Logged, NothingLogged
from feedapi.ranking.rank import DRAWS, Settings, page_shares
from feedapi.ranking.signals import Numbers
from feedapi.snapshots import Looks, columns, unpack
from moderation.store import Store
from moderation.store.feed import Impression, PlayedSession

MOST_SNAPSHOTS = 50
Key = tuple[str, int, str]
"""Snapshot, position and player: one impression."""


def logged(
    store: Store,
    settings: Settings,
    since: float,
    draws: int = DRAWS,
    most: int = MOST_SNAPSHOTS,
    seed: int = 0,
) -> Logged:
    """What players saw since a time, with what ``settings`` would have shown, from up to ``most`` rankings.

    Those are drawn at random where there are more. Raises NothingLogged.
    """
    rewards = _rewards(store.feed.sessions(since))
    by_snapshot: dict[str, list[Impression]] = defaultdict(list)
    for seen in store.feed.impressions(since):
        by_snapshot[seen.snapshot].append(seen)
    rng, looks = np.random.default_rng(seed), Looks(store)
    rows: list[tuple[str, float, float, float]] = []
    for snapshot in rng.permutation(sorted(by_snapshot))[:most]:
        impressions = by_snapshot[snapshot]
        target = _target(store, looks, str(snapshot), impressions, settings, draws)
        rows += [
            (one.player, rewards.get((one.snapshot, one.position, one.player), 0.0), one.propensity, share)
            for one, share in zip(impressions, target, strict=False)
        ]
    if not rows:
        raise NothingLogged("nothing of the feed was seen in this time: clients send `seen` interactions")
    players, reward, propensity, share = zip(*rows, strict=True)
    return Logged(
        np.unique(np.array(players), return_inverse=True)[1],
        np.array(reward),
        np.array(propensity),
        np.array(share),
    )


def logged_starts(store: Store, since: float) -> Logged:
    """Sessions from the feed since a time, with what starting every one at its world's start would have done.

    The unit is a session, and its propensity that of the spawn point where it began. Raises NothingLogged.
    """
    sessions, goods = _judged(store.feed.sessions(since))
    if not sessions:
        raise NothingLogged("nobody played from the feed in this time")
    return Logged(
        np.unique(np.array([one.player for one in sessions]), return_inverse=True)[1],
        goods,
        np.array([one.spawn_propensity for one in sessions]),
        np.array([float(one.spawn == 0) for one in sessions]),
    )


def _rewards(sessions: Sequence[PlayedSession]) -> dict[Key, float]:
    """By impression, how good what followed was; of several sessions the best."""
    rewards: dict[Key, float] = {}
    for session, good in zip(*_judged(sessions), strict=True):
        assert session.snapshot is not None
        assert session.position is not None  # that it has them is what made it count
        key = (session.snapshot, session.position, session.player)
        rewards[key] = max(rewards.get(key, 0.0), float(good))
    return rewards


def _judged(sessions: Sequence[PlayedSession]) -> tuple[list[PlayedSession], Numbers]:
    """Those that count, and how good each was."""
    number = {world: i for i, world in enumerate(dict.fromkeys(session.world for session in sessions))}
    table = columns(sessions, number)
    counted = signals.counted(table)
    table = table.where(counted)
    goods = signals.good(table, signals.expectations(table, len(number)))
    return list(compress(sessions, counted)), goods


def _target(
    store: Store,
    looks: Looks,
    snapshot: str,
    impressions: Sequence[Impression],
    settings: Settings,
    draws: int,
) -> list[float]:
    """Probability with which ``settings`` would have put each on its page; empty where the log is gone."""
    kept, packed = store.feed.snapshot(snapshot), store.feed.arms(snapshot)
    if kept is None or packed is None:
        return []
    versions, arms = unpack(packed, looks)
    number = {version: i for i, version in enumerate(versions)}
    shares = page_shares(arms, settings, seed=1, draws=draws)
    return [float(shares[number[one.version], kept.slate[one.position][2]]) for one in impressions]
