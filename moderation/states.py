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
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"
    NEEDS_REVIEW = "needs_review"
    IN_REVIEW = "in_review"
    """A person has claimed it, for as long as a lease holds."""
    CHANGES_REQUESTED = "changes_requested"
    ESCALATED = "escalated"
    AWAITING_SECOND_APPROVAL = "awaiting_second_approval"
    PUBLISHED = "published"
    SUSPENDED = "suspended"
    TAKEN_DOWN = "taken_down"
    APPEALED = "appealed"
    UPHELD = "upheld"
    """The appeal failed: what was decided stands."""
    OVERTURNED = "overturned"
    WITHDRAWN = "withdrawn"
    """Its creator took it back, for good."""
    QUARANTINED = "quarantined"
    """Kept for the law: no replay, restricted access."""


_S = WorldState
_AGAIN = frozenset({_S.EXPLORING, _S.DECIDING})
"""A decided version may be explored again (another seed, model or budget) or decided again (another
policy); it leaves the feed until that is through."""

_FORWARD: Mapping[WorldState, frozenset[WorldState]] = {
    _S.SUBMITTED: frozenset({_S.SCREENING}),
    _S.SCREENING: frozenset({_S.EXPLORING, _S.REJECTED}),
    _S.EXPLORING: frozenset({_S.SCANNING, _S.EXPLORING}),
    _S.SCANNING: frozenset({_S.DECIDING, _S.EXPLORING}),
    _S.DECIDING: frozenset({_S.CLEARED, _S.NEEDS_REVIEW, _S.REJECTED, _S.INCONCLUSIVE, _S.EXPLORING}),
    _S.CLEARED: _AGAIN | {_S.PUBLISHED},
    _S.INCONCLUSIVE: _AGAIN | {_S.NEEDS_REVIEW},
    _S.NEEDS_REVIEW: _AGAIN | {_S.IN_REVIEW},
    _S.IN_REVIEW: frozenset(
        {
            _S.CLEARED,
            _S.REJECTED,
            _S.CHANGES_REQUESTED,
            _S.ESCALATED,
            _S.AWAITING_SECOND_APPROVAL,
            _S.NEEDS_REVIEW,
        }
    ),
    _S.ESCALATED: frozenset({_S.IN_REVIEW}),
    _S.AWAITING_SECOND_APPROVAL: frozenset({_S.CLEARED, _S.REJECTED, _S.TAKEN_DOWN, _S.NEEDS_REVIEW}),
    _S.CHANGES_REQUESTED: frozenset(),
    _S.REJECTED: _AGAIN | {_S.APPEALED},
    _S.PUBLISHED: _AGAIN | {_S.SUSPENDED},
    _S.SUSPENDED: frozenset({_S.NEEDS_REVIEW, _S.TAKEN_DOWN}),
    _S.TAKEN_DOWN: frozenset({_S.APPEALED}),
    _S.APPEALED: frozenset({_S.UPHELD, _S.OVERTURNED}),
    _S.UPHELD: frozenset(),
    _S.OVERTURNED: frozenset({_S.PUBLISHED}),
    _S.WITHDRAWN: frozenset(),
    _S.QUARANTINED: frozenset(),
}
WITHDRAWABLE = frozenset(
    {
        _S.SUBMITTED,
        _S.SCREENING,
        _S.EXPLORING,
        _S.SCANNING,
        _S.DECIDING,
        _S.CLEARED,
        _S.INCONCLUSIVE,
        _S.NEEDS_REVIEW,
        _S.CHANGES_REQUESTED,
        _S.PUBLISHED,
    }
)
"""What a creator may take back: not what a person has in hand, nor what was stopped."""

_ANY = frozenset({_S.QUARANTINED, _S.WITHDRAWN})

TRANSITIONS: Mapping[WorldState, frozenset[WorldState]] = {
    state: following | (_ANY if state in WITHDRAWABLE else {_S.QUARANTINED} - {state})
    for state, following in _FORWARD.items()
}
"""From each state, the states that may follow. EXPLORING follows the working states when a review with
another seed, model or budget takes over from one that was interrupted; IN_REVIEW goes back to NEEDS_REVIEW
when the lease ends; whoever must approve a decision and does not sends it back there too."""

WORKING = frozenset({_S.SUBMITTED, _S.SCREENING, _S.EXPLORING, _S.SCANNING, _S.DECIDING})
"""The pipeline is at work on it."""
DECIDED = frozenset(WorldState) - WORKING
REVIEWABLE = frozenset(state for state in DECIDED if _S.EXPLORING in TRANSITIONS[state])
"""The pipeline may look at it again; in every other decided state people have it in hand."""


class IllegalTransition(ValueError):
    """A change of state that :data:`TRANSITIONS` does not know."""


def check(current: WorldState, following: WorldState) -> None:
    """Raise IllegalTransition unless ``following`` may follow ``current``."""
    if following not in TRANSITIONS[current]:
        legal = ", ".join(sorted(TRANSITIONS[current])) or "nothing"
        raise IllegalTransition(f"{current} may not become {following}; it may become: {legal}")
