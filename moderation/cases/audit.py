"""Everything that was done, in order, for those who check: streamed, however much it is."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from typing import Any

from moderation.store import Store, cases


def records(store: Store) -> Iterator[dict[str, Any]]:
    """Changes of state, cases, what was done about them, rulings, statements, breakers and privileged reads.

    In order of time, and within a kind in the order in which they were written; ``kind`` and ``at`` (seconds
    since 1970) are in each.
    """
    with store.reading() as connection:
        streams = [cases.logged(connection, kind) for kind in cases.LOGS]
        yield from heapq.merge(*streams, key=lambda record: record["at"])


def lines(store: Store) -> Iterator[str]:
    """The same as JSON, one record a line."""
    for record in records(store):
        yield json.dumps(record, ensure_ascii=False) + "\n"


def statements(store: Store, since: float = 0.0) -> Iterator[dict[str, Any]]:
    """Statements of reasons from ``since`` (seconds since 1970) on, oldest first."""
    with store.reading() as connection:
        yield from cases.statements(connection, since)
