"""What reviews and sessions cost, and how much of it each creator may cause.

Quantities are in ``moderation.store.charges``. ``$FIRSTPLAY_PRICES`` turns them into money, as in
``cpu_hour=0.04 gpu_hour=2.5 sent_gb=0.05 stored_gb=0.02 currency=EUR``; what it leaves out has the price in
:class:`Prices`. ``$FIRSTPLAY_BUDGET`` is what a creator may spend in 30 days, unless their account says
otherwise; without either there is no limit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from sqlalchemy import Connection

from moderation.store import Store
from moderation.store.accounts import budget_of
from moderation.store.charges import Charge, of_creator, of_reviews, open_reviews, stored_by
from moderation.store.erasing import blobs_of
from moderation.store.figures import DAY

PRICES_VARIABLE, BUDGET_VARIABLE = "FIRSTPLAY_PRICES", "FIRSTPLAY_BUDGET"
WINDOW = 30
"""Days for which a budget lasts; it moves on with the day."""
HOUR, GB = 3600.0, 1e9
UNKNOWN_REVIEW = Charge("review", "cpu", 1, 300.0)
"""What a review is taken for until one was done."""


class OverBudget(PermissionError):
    """A creator has spent what they may; the message says how much that is."""


@dataclass(frozen=True)
class Prices:
    """Money for work; about what public clouds ask for in 2025, to be replaced by one's own."""

    cpu_hour: float = 0.04
    """Of a core."""
    gpu_hour: float = 2.5
    sent_gb: float = 0.05
    stored_gb: float = 0.02
    """For a month, which is what storing is charged for."""
    currency: str = "USD"

    def of(self, charges: Iterable[Charge]) -> float:
        """What they cost together."""
        return sum(
            one.seconds / HOUR * (self.gpu_hour if one.device == "gpu" else self.cpu_hour)
            + one.sent / GB * self.sent_gb
            + one.stored / GB * self.stored_gb
            for one in charges
        )


@dataclass(frozen=True)
class Budget:
    """Of one creator, in money."""

    spent: float
    """In the last :data:`WINDOW` days."""
    expected: float
    """For reviews that are under way, by what reviews usually cost here."""
    cap: float | None
    """None: no limit."""

    @property
    def left(self) -> float | None:
        """None: no limit."""
        return None if self.cap is None else max(0.0, self.cap - self.spent - self.expected)


def read_prices() -> Prices:
    """Prices as the settings say. Raises ValueError naming the setting and what is wrong with it."""
    asked: dict[str, Any] = {}
    for given in os.environ.get(PRICES_VARIABLE, "").replace(",", " ").split():
        name, _, value = given.partition("=")
        if name == "currency" and value:
            asked[name] = value
        elif name in {"cpu_hour", "gpu_hour", "sent_gb", "stored_gb"}:
            asked[name] = _money(PRICES_VARIABLE, given, value)
        else:
            raise ValueError(
                f"{PRICES_VARIABLE} has {given!r}: "
                "write cpu_hour=, gpu_hour=, sent_gb=, stored_gb= or currency="
            )
    return Prices(**asked)


def default_cap() -> float | None:
    """What a creator may spend whose account says nothing of it. Raises ValueError."""
    given = os.environ.get(BUDGET_VARIABLE)
    return None if not given else _money(BUDGET_VARIABLE, given, given)


def budget(connection: Connection, creator: str, now: float | None = None) -> Budget:
    """How a creator stands. Raises ValueError for settings that cannot be read."""
    prices, since = read_prices(), (time.time() if now is None else now) - WINDOW * DAY
    under_way = open_reviews(connection, creator)
    expected = under_way * _usual_review(connection, prices, since) if under_way else 0.0
    return Budget(prices.of(of_creator(connection, creator, since)), expected, _cap(connection, creator))


def check_session(connection: Connection, creator: str) -> None:
    """Before a session of a creator's world. Raises OverBudget."""
    now = _limited(connection, creator)
    if now is not None and now.cap is not None and now.spent >= now.cap:
        raise OverBudget(f"{_words(now)}: nobody can play this world until some of that is older")


def check_review(connection: Connection, creator: str) -> None:
    """Before a creator's submission is taken in, in the same transaction. Raises OverBudget."""
    now = _limited(connection, creator)
    if now is not None and not now.left:
        raise OverBudget(f"{_words(now)}; withdraw what is under review, wait, or ask for a higher budget")


def with_stored(store: Store, version: str, charge: Charge) -> Charge:
    """A charge of a version with the bytes that are stored for it now and were not charged before."""
    with store.reading() as connection:
        named, before = blobs_of(connection, version), stored_by(connection, version)
    return replace(charge, stored=sum(store.blobs.size(blob) for blob in named) - before)


def _limited(connection: Connection, creator: str) -> Budget | None:
    """None where there is no limit: the usual case, which costs one read of one row."""
    return None if _cap(connection, creator) is None else budget(connection, creator)


def _cap(connection: Connection, creator: str) -> float | None:
    own = budget_of(connection, creator)
    return default_cap() if own is None else own


def _usual_review(connection: Connection, prices: Prices, since: float) -> float:
    reviews, charges = of_reviews(connection, since)
    return prices.of(charges) / reviews if reviews else prices.of([UNKNOWN_REVIEW])


def _words(now: Budget) -> str:
    currency = read_prices().currency
    return (
        f"{now.spent:.2f} {currency} spent in {WINDOW} days and {now.expected:.2f} expected for reviews "
        f"under way, of a budget of {now.cap:.2f}"
    )


def _money(setting: str, given: str, value: str) -> float:
    try:
        money = float(value)
    except ValueError:
        money = -1.0
    if not (isfinite(money) and money >= 0):
        raise ValueError(f"{setting} has {given!r}: it must be a number, 0 or more")
    return money
