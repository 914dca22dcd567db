"""The states of a world version, as data: which may follow which.

``moderation.store.Transaction.transition`` is the one place that applies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class WorldState(StrEnum):
    """Where a world version stands."""

    SUBMITTED = "submitted"
    SCREENING = "screening"
    EXPLORING = "exploring"
    SCANNING = "scanning"
    DECIDING = "deciding"
    CLEARED = "cleared"
    NEEDS_REVIEW = "needs_review"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"
    PUBLISHED = "published"


_S = WorldState
_AGAIN = frozenset({_S.EXPLORING, _S.DECIDING})
"""A decided version may be explored again (another seed, model or budget) or decided again (another
policy); it leaves the feed until that is through."""

TRANSITIONS: Mapping[WorldState, frozenset[WorldState]] = {
    _S.SUBMITTED: frozenset({_S.SCREENING}),
    _S.SCREENING: frozenset({_S.EXPLORING, _S.REJECTED}),
    _S.EXPLORING: frozenset({_S.SCANNING, _S.EXPLORING}),
    _S.SCANNING: frozenset({_S.DECIDING, _S.EXPLORING}),
    _S.DECIDING: frozenset({_S.CLEARED, _S.NEEDS_REVIEW, _S.REJECTED, _S.INCONCLUSIVE, _S.EXPLORING}),
    _S.CLEARED: _AGAIN | {_S.PUBLISHED},
    _S.NEEDS_REVIEW: _AGAIN,
    _S.REJECTED: _AGAIN,
    _S.INCONCLUSIVE: _AGAIN,
    _S.PUBLISHED: _AGAIN,
}
"""From each state, the states that may follow. EXPLORING follows the working states when a review with
another seed, model or budget takes over from one that was interrupted."""

DECIDED = frozenset({_S.CLEARED, _S.NEEDS_REVIEW, _S.REJECTED, _S.INCONCLUSIVE, _S.PUBLISHED})


class IllegalTransition(ValueError):
    """A change of state that :data:`TRANSITIONS` does not know."""


def check(current: WorldState, following: WorldState) -> None:
    """Raise IllegalTransition unless ``following`` may follow ``current``."""
    if following not in TRANSITIONS[current]:
        legal = ", ".join(sorted(TRANSITIONS[current]))
        raise IllegalTransition(f"{current} may not become {following}; it may become: {legal}")
