"""The short form of ``benchmarks/faults.py``: nothing is lost, whatever is killed."""

from __future__ import annotations

import pytest

from benchmarks.faults import run


def test_kills_on_sqlite_lose_nothing() -> None:
    result = run("sqlite", kills=8, seed=1, workers=2)

    assert result.fine, result
    assert sum(result.kills.values()) == 8


@pytest.mark.usefixtures("postgresql")
def test_kills_on_a_broker_and_postgresql_lose_nothing(each_broker: str) -> None:
    result = run("redis" if each_broker.startswith("redis") else "rabbitmq", kills=8, seed=1, workers=2)

    assert result.fine, result
    assert result.subjects > 0
