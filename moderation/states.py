"""The states of a world version, as data: which may follow which.

``moderation.store.Transaction.transition`` is the one place that applies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class WorldState(StrEnum):
    """Where a world version stands."""

    SUBMITTED = "submitted"
    """Taken in; nothing has looked at it yet."""
    SCREENING = "screening"
    """Detectors look at its media."""
    EXPLORING = "exploring"
    """Bots play it."""
    SCANNING = "scanning"
    """Detectors look at what the bots saw and heard."""
    DECIDING = "deciding"
    """The policy decides."""
    CLEARED = "cleared"
    """Nothing stands against it."""
    REJECTED = "rejected"
    """Not published, for the reasons of a statement."""
    INCONCLUSIVE = "inconclusive"
    """Too little was looked at to say."""
    NEEDS_REVIEW = "needs_review"
    """A person must look; it waits in the queue."""
    IN_REVIEW = "in_review"
    """A person has claimed it, for as long as a lease holds."""
    CHANGES_REQUESTED = "changes_requested"
    """Its creator is to change it and send another version."""
    ESCALATED = "escalated"
    """It waits for a senior."""
    AWAITING_SECOND_APPROVAL = "awaiting_second_approval"
    """One person has decided; another must agree."""
    PUBLISHED = "published"
    """People may play it."""
    SUSPENDED = "suspended"
    """Out of the feed until a person has looked."""
    TAKEN_DOWN = "taken_down"
    """Out of the feed for good, by a person."""
    APPEALED = "appealed"
    """Its creator objects; somebody who was not part of it decides, unaware of the first decision."""
    UPHELD = "upheld"
    """The appeal failed: what was decided stands."""
    OVERTURNED = "overturned"
    """The appeal succeeded: what was decided falls."""
    WITHDRAWN = "withdrawn"
    """Its creator took it back, for good."""
    QUARANTINED = "quarantined"
    """Kept for the law: no replay, restricted access."""
    ERASED = "erased"
    """Its content is gone, at its creator's wish or because its time was over; the log stays."""


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
            _S.TAKEN_DOWN,
            _S.ESCALATED,
            _S.AWAITING_SECOND_APPROVAL,
            _S.NEEDS_REVIEW,
        }
    ),
    _S.ESCALATED: frozenset({_S.IN_REVIEW}),
    _S.AWAITING_SECOND_APPROVAL: frozenset(
        {_S.CLEARED, _S.REJECTED, _S.CHANGES_REQUESTED, _S.TAKEN_DOWN, _S.NEEDS_REVIEW}
    ),
    _S.CHANGES_REQUESTED: frozenset(),
    _S.REJECTED: _AGAIN | {_S.APPEALED},
    _S.PUBLISHED: _AGAIN | {_S.SUSPENDED},
    _S.SUSPENDED: frozenset({_S.NEEDS_REVIEW, _S.TAKEN_DOWN}),
    _S.TAKEN_DOWN: frozenset({_S.APPEALED}),
    _S.APPEALED: frozenset({_S.UPHELD, _S.OVERTURNED}),
    _S.UPHELD: frozenset(),
    _S.OVERTURNED: frozenset({_S.PUBLISHED, _S.EXPLORING}),
    _S.WITHDRAWN: frozenset(),
    _S.QUARANTINED: frozenset(),
    _S.ERASED: frozenset(),
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

_ENDS = frozenset({_S.QUARANTINED, _S.ERASED})
"""From anywhere, and nothing follows: what the law wants kept is not erased, and of what is erased nothing is
left to keep."""


def _following(state: WorldState) -> frozenset[WorldState]:
    if state in _ENDS:
        return _FORWARD[state]
    return _FORWARD[state] | _ENDS | ({_S.WITHDRAWN} if state in WITHDRAWABLE else set())


TRANSITIONS: Mapping[WorldState, frozenset[WorldState]] = {state: _following(state) for state in _FORWARD}
"""From each state, the states that may follow. EXPLORING follows the working states when a review with
another seed, model or budget takes over from one that was interrupted; IN_REVIEW goes back to NEEDS_REVIEW
when the lease ends; whoever must approve a decision and does not sends it back there too. OVERTURNED goes to
EXPLORING where the media alone had been rejected and no bot has played it yet."""

RESTRICTIVE = frozenset({_S.REJECTED, _S.CHANGES_REQUESTED, _S.SUSPENDED, _S.TAKEN_DOWN})
"""Whoever brings a version here owes its creator a statement of reasons (DSA, article 17)."""
WITH_PEOPLE = frozenset(
    {
        _S.NEEDS_REVIEW,
        _S.IN_REVIEW,
        _S.ESCALATED,
        _S.AWAITING_SECOND_APPROVAL,
        _S.SUSPENDED,
        _S.APPEALED,
    }
)
"""People have a case of it open."""
TAINTED = frozenset({_S.TAKEN_DOWN, _S.QUARANTINED})
"""Its remixes cannot be played either, and people have to look at them too."""
WORKING = frozenset({_S.SUBMITTED, _S.SCREENING, _S.EXPLORING, _S.SCANNING, _S.DECIDING})
"""The pipeline is at work on it."""
DECIDED = frozenset(WorldState) - WORKING
REVIEWABLE = frozenset(state for state in DECIDED if TRANSITIONS[state] >= _AGAIN)
"""The pipeline may look at it again; in every other decided state people have it in hand."""


class IllegalTransition(ValueError):
    """A change of state that :data:`TRANSITIONS` does not know."""


def check(current: WorldState, following: WorldState) -> None:
    """Raise IllegalTransition unless ``following`` may follow ``current``."""
    if following not in TRANSITIONS[current]:
        legal = ", ".join(sorted(TRANSITIONS[current])) or "nothing"
        raise IllegalTransition(f"{current} may not become {following}; it may become: {legal}")
