"""What a creator is told about the wait: how many come first, and how long it takes others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from moderation.store import Store, open_store
from moderation.waiting import Outlook, outlook
from tests.feed_home import ROADS, add_world, move


@pytest.fixture
def store(each_database: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def ask_for(store: Store, kind: str, version: str) -> None:
    with store.writing() as tx:
        tx.enqueue(kind, version, f"{kind}:{version}")


def took(store: Store, title: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A review that took so long."""
    version = add_world(store, title, "submitted")
    later = time.time() + seconds
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: later)
        move(store, version, ROADS["rejected"])


def test_other_worlds_with_a_job_before_ones_own_are_ahead(store: Store) -> None:
    first, second, third = (add_world(store, f"World {i}", "submitted") for i in range(3))
    for version in (first, first, second, third):
        ask_for(store, f"receive{len(store.queue.jobs())}", version)

    assert [outlook(store, store.version(one)) for one in (first, second, third)] == [
        Outlook(0, None),
        Outlook(1, None),
        Outlook(2, None),
    ]


def test_what_is_worked_on_waits_for_nobody(store: Store) -> None:
    version = add_world(store, "At Work", "submitted")
    ask_for(store, "receive", version)
    assert store.queue.claim("w", 5.0) is not None

    assert outlook(store, store.version(version)) == Outlook(None, None)


def test_the_time_left_is_the_median_of_other_reviews_from_the_same_state(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for title, seconds in (("Fast", 10.0), ("Usual", 100.0), ("Slow", 1000.0)):
        took(store, title, seconds, monkeypatch)
    version = store.version(add_world(store, "Mine", "submitted"))

    soon = outlook(store, version, now=version.updated + 30)
    late = outlook(store, version, now=version.updated + 3600)

    assert soon is not None
    assert late is not None
    assert (soon.left, late.left) == (pytest.approx(70, abs=1), 0.0)


def test_a_decided_world_waits_for_nothing(store: Store) -> None:
    assert outlook(store, store.version(add_world(store, "Done", "rejected"))) is None
