"""From a draft to the live bundle: proposed by one person, approved by another, on a stored difference."""

from __future__ import annotations

from moderation.pipeline import requeue_decision
from moderation.policy_changes.bundles import Standing, keep, restore
from moderation.policy_changes.redecide import Turn
from moderation.states import REVIEWABLE
from moderation.store import Store, Transaction
from moderation.store.bundles import (
    StoredBacktest,
    StoredBundle,
    bundle_status,
    find_bundle,
    find_bundles,
    last_backtest,
    set_bundle_status,
)
from policies.bundle import load_bundle
from policies.types import Verdict

_URGENT = {Verdict.REJECTED: 2, Verdict.NEEDS_REVIEW: 1}
"""What players may no longer see is decided first."""


class NotYet(RuntimeError):
    """A step in a bundle's life that may not be taken now; the message says what has to come first."""


def live(store: Store) -> StoredBundle:
    """The live bundle as stored: the built-in one where none was ever promoted."""
    with store.reading() as connection:
        found = find_bundles(connection, Standing.LIVE)
    if found:
        return found[0]
    default = load_bundle()
    with store.writing() as tx:
        keep(tx, default, None)
    with store.reading() as connection:
        return find_bundle(connection, default.sha256)


def shadow(store: Store, begins: str, proposer: str) -> StoredBundle:
    """Let a draft (or a retired bundle, to go back to it) decide beside the live one.

    Raises NotFound, and NotYet where it is live or a shadow already.
    """
    with store.writing() as tx:
        stored = find_bundle(tx.connection, begins)
        status = bundle_status(tx.connection, stored.sha256)
        if status not in (Standing.DRAFT, Standing.RETIRED):
            raise NotYet(f"{stored.name} ({stored.sha256[:12]}) is {status} already")
        set_bundle_status(
            tx.connection, stored.sha256, Standing.SHADOW, proposer, proposer=True, backtest=None
        )
    return stored


def withdraw(store: Store, begins: str, actor: str) -> StoredBundle:
    """End a shadow without promoting it. Raises NotFound, NotYet where it is none."""
    with store.writing() as tx:
        stored = find_bundle(tx.connection, begins)
        if bundle_status(tx.connection, stored.sha256) != Standing.SHADOW:
            raise NotYet(f"{stored.name} ({stored.sha256[:12]}) is no shadow, but {stored.status}")
        set_bundle_status(tx.connection, stored.sha256, Standing.RETIRED, actor, backtest=None)
    return stored


def promote(store: Store, begins: str, approver: str) -> tuple[StoredBundle, int]:
    """Make a shadow the live bundle, and queue that it decides every world again from what is stored.

    Worlds stay as they are until that job is done, those first that players may no longer see. Returns the
    bundle, and how many worlds are decided again. Raises NotFound, and NotYet where the bundle is no shadow,
    was not held against the live one, or the approver proposed it.
    """
    current = live(store)
    with store.writing() as tx:
        stored = find_bundle(tx.connection, begins)
        now_live = [one.sha256 for one in find_bundles(tx.connection, Standing.LIVE)]
        if now_live not in ([], [current.sha256]):
            raise NotYet("another bundle was promoted just now: hold this one against that one first")
        diff = _allowed(tx, stored, current, approver)
        restore(stored)
        if bundle_status(tx.connection, current.sha256) != Standing.RETIRED:
            set_bundle_status(tx.connection, current.sha256, Standing.RETIRED, approver, backtest=None)
        set_bundle_status(tx.connection, stored.sha256, Standing.LIVE, approver, backtest=diff.id)
        return stored, _decide_again(store, tx, stored, diff)


def _allowed(tx: Transaction, stored: StoredBundle, current: StoredBundle, approver: str) -> StoredBacktest:
    what = f"{stored.name} ({stored.sha256[:12]})"
    status = bundle_status(tx.connection, stored.sha256)
    if status != Standing.SHADOW:
        raise NotYet(f"{what} is {status}, not a shadow: `firstplay policy shadow` comes first")
    if approver == stored.proposer:
        raise NotYet(f"{approver} proposed {what}: somebody else has to promote it")
    diff = last_backtest(tx.connection, stored.sha256)
    if diff is None or diff.against != current.sha256:
        raise NotYet(f"{what} was not held against the live bundle: `firstplay policy backtest` comes first")
    return diff


def _decide_again(store: Store, tx: Transaction, stored: StoredBundle, diff: StoredBacktest) -> int:
    occasion = f"{stored.sha256}:{diff.id}"
    turns = {one.version: one for one in map(Turn.from_json, diff.turned)}
    queued = 0
    for version in store.versions():
        if version.state in REVIEWABLE and version.exploration is not None:
            urgent = _urgency(turns.get(version.id))
            queued += requeue_decision(tx, version.id, version.exploration, occasion, urgent)
    return queued


def _urgency(turn: Turn | None) -> int:
    return 0 if turn is None or turn.before is turn.after else _URGENT.get(turn.after, 0)
