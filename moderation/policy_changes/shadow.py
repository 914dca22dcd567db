"""Shadows: bundles that decide beside the live one, so that people see what they would change."""

from __future__ import annotations

from collections.abc import Sequence

from moderation.policy_changes.redecide import Turn, redecide, turn
from moderation.store import Transaction
from moderation.store.bundles import add_shadow
from moderation.store.deciding import Decided
from policies.bundle import Bundle
from policies.types import Decision

Shadowed = tuple[str, Turn | None]
"""Hash of a shadow, and how it differs."""


def beside(shadows: Sequence[Bundle], world: Decided, live: Decision) -> list[Shadowed]:
    """What the shadows say of the evidence that the live bundle just decided."""
    return [(one.sha256, turn(world, live, redecide(one, world))) for one in shadows]


def record(tx: Transaction, world: Decided, live: Decision, said: Sequence[Shadowed]) -> None:
    """Keep it in the transaction that keeps the decision."""
    for shadow, turned in said:
        told = None if turned is None else turned.as_json()
        add_shadow(tx.connection, world.version, world.exploration, live.policy_hash, shadow, told)
