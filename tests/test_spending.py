"""What reviews and sessions cost: quantities by world and day, money by the prices of now, and budgets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from feedapi.cli import build_app
from moderation.accounts import create_account
from moderation.spending import (
    BUDGET_VARIABLE,
    PRICES_VARIABLE,
    WINDOW,
    OverBudget,
    Prices,
    budget,
    check_review,
    check_session,
    default_cap,
    read_prices,
    with_stored,
)
from moderation.store import Store, accounts, open_store
from moderation.store.charges import LIVE, Charge, add_charge, by_version, of_version
from moderation.store.figures import DAY
from tests.feed_home import Running, add_world, fill, package, running
from tests.test_feed_creators import client_of, submit

NOW = 1_800_000_000.0
HOUR_OF_GPU = Charge("explore", "gpu", 1, 3600.0)


@pytest.fixture
def store(tmp_path: Path, each_database: str) -> Iterator[Store]:
    del each_database
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def spend(store: Store, version: str, *charges: Charge, at: float = NOW) -> None:
    with store.writing() as tx:
        for charge in charges:
            add_charge(tx.connection, version, charge, at)


def may_review(store: Store, creator: str = "creator") -> None:
    with store.reading() as connection:
        check_review(connection, creator)


def may_play(store: Store, creator: str = "creator") -> None:
    with store.reading() as connection:
        check_session(connection, creator)


# -- quantities and prices ----------------------------------------------------------------------------


def test_work_of_a_kind_adds_up_over_days(store: Store) -> None:
    version = add_world(store, "Shown", "published")
    session = Charge(LIVE, "cpu", 1, 2.0, sent=100)
    spend(store, version, session, session, HOUR_OF_GPU)
    spend(store, version, session, at=NOW + 3 * DAY)

    with store.reading() as connection:
        told = of_version(connection, version)

    assert told == [HOUR_OF_GPU, Charge(LIVE, "cpu", 3, 6.0, sent=300)]


def test_worlds_are_told_page_by_page_and_each_creator_theirs(store: Store) -> None:
    versions = sorted(add_world(store, f"World {i}", "published") for i in range(5))
    for version in versions:
        spend(store, version, HOUR_OF_GPU)

    with store.reading() as connection:
        first = by_version(connection, "creator", None, 3)
        rest = by_version(connection, None, first[-1].version, 9)
        nobody = by_version(connection, "ben", None, 9)

    assert [one.version for one in first + rest] == versions
    assert nobody == []


def test_what_is_stored_is_charged_once(store: Store) -> None:
    version = add_world(store, "Shown", "published", thumbnail=b"x" * 1000)
    size = store.blobs.size(store.version(version).package)

    spent = with_stored(store, version, HOUR_OF_GPU)
    spend(store, version, spent)

    assert spent.stored == size + 1000
    assert with_stored(store, version, HOUR_OF_GPU).stored == 0


def test_money_is_what_the_settings_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRICES_VARIABLE, "gpu_hour=3 sent_gb=0.5, currency=EUR")
    prices = read_prices()

    assert prices == Prices(gpu_hour=3, sent_gb=0.5, currency="EUR")
    assert prices.of([HOUR_OF_GPU, Charge(LIVE, "cpu", 1, 0.0, sent=2 * 10**9)]) == pytest.approx(4)


@pytest.mark.parametrize("bad", ["gpu_hour", "gpu_hour=-1", "gpu_hour=nan", "gas=3", "currency="])
def test_a_price_that_cannot_be_read_is_named(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRICES_VARIABLE, bad)
    with pytest.raises(ValueError, match=f"{PRICES_VARIABLE} has '{bad}'"):
        read_prices()
    monkeypatch.setenv(BUDGET_VARIABLE, "much")
    with pytest.raises(ValueError, match=f"{BUDGET_VARIABLE} has 'much'"):
        default_cap()


# -- budgets ------------------------------------------------------------------------------------------


def test_without_a_cap_anything_goes(store: Store) -> None:
    spend(store, add_world(store, "Shown", "published"), HOUR_OF_GPU, at=time.time())

    may_review(store)
    may_play(store)


def test_who_has_spent_the_budget_gets_no_review_and_their_worlds_no_session(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend(store, add_world(store, "Shown", "published"), HOUR_OF_GPU, at=time.time())
    monkeypatch.setenv(BUDGET_VARIABLE, "2.5")

    with pytest.raises(OverBudget, match=r"2\.50 USD spent in 30 days"):
        may_review(store)
    with pytest.raises(OverBudget, match="nobody can play"):
        may_play(store)
    may_review(store, "ben")


def test_an_account_s_own_cap_comes_before_that_of_the_settings(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(store, "creator", ["creator"])
    spend(store, add_world(store, "Shown", "published"), HOUR_OF_GPU, at=time.time())
    monkeypatch.setenv(BUDGET_VARIABLE, "1")
    command = ["accounts", "budget", "creator", "10", "--home", str(tmp_path)]

    assert CliRunner().invoke(build_app(), command).exit_code == 0

    may_review(store)
    assert CliRunner().invoke(build_app(), [*command[:3], "--home", str(tmp_path)]).exit_code == 0
    with pytest.raises(OverBudget):
        may_review(store)


def test_reviews_under_way_count_with_what_a_review_usually_costs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BUDGET_VARIABLE, "7.6")
    spend(store, add_world(store, "Shown", "published"), HOUR_OF_GPU, at=time.time())
    add_world(store, "First", "exploring")
    may_review(store)
    add_world(store, "Second", "submitted")
    add_world(store, "Third", "submitted")

    with pytest.raises(OverBudget, match=r"7\.50 expected"):
        may_review(store)
    may_play(store)  # what is expected is not spent


def test_what_is_older_than_the_window_is_forgotten(store: Store) -> None:
    version = add_world(store, "Shown", "published")
    spend(store, version, HOUR_OF_GPU)

    with store.reading() as connection:
        now = budget(connection, "creator", NOW + (WINDOW - 1) * DAY)
        later = budget(connection, "creator", NOW + (WINDOW + 2) * DAY)

    assert (now.spent, later.spent) == (pytest.approx(2.5), 0)


# -- over HTTP ----------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    fill(tmp_path / "home", {"Sunny Meadow": "published"})
    with running(tmp_path / "home") as here:
        for account, role in (("creator", "creator"), ("ben", "creator"), ("boss", "operator")):
            create_account(here.services.store, account, [role])
        yield here


def test_a_creator_sees_what_their_worlds_cost_and_nobody_else_does(server: Running) -> None:
    store = server.services.store
    version = package("Sunny Meadow").sha256
    spend(store, version, HOUR_OF_GPU, Charge(LIVE, "cpu", 2, 3600.0, sent=5), at=time.time())
    path = f"/v1/versions/{version}/costs"

    with client_of(server, "creator") as creator, client_of(server, "ben") as ben:
        told = creator.get(path).raise_for_status().json()
        mine = creator.get("/v1/costs").raise_for_status().json()
        standing = creator.get("/v1/budget").raise_for_status().json()
        assert ben.get(path).status_code == 404
        assert ben.get("/v1/costs").json() == {"items": [], "next": None}
        assert ben.get("/v1/costs?of=all").json()["type"] == "/problems/not-allowed"

    assert told["money"] == pytest.approx(2.54)
    assert [(one["work"], one["device"], one["items"]) for one in told["work"]] == [
        ("explore", "gpu", 1),
        ("live", "cpu", 2),
    ]
    assert mine == {"items": [told], "next": None}
    assert (standing["spent"], standing["cap"], standing["left"]) == (pytest.approx(2.54), None, None)


def test_an_operator_sees_all_costs_and_sets_a_budget(server: Running) -> None:
    store = server.services.store
    spend(store, package("Sunny Meadow").sha256, HOUR_OF_GPU, at=time.time())

    with client_of(server, "boss") as boss, client_of(server, "creator") as creator:
        everything = boss.get("/v1/costs?of=all").raise_for_status().json()
        put = boss.put("/v1/accounts/creator/budget", json={"cap": 2.0}).raise_for_status().json()
        assert creator.put("/v1/accounts/creator/budget", json={"cap": 99}).status_code == 403
        refused = submit(creator, title="One More")
        play = httpx.post(f"{server.url}/v1/worlds/sunny-meadow/sessions")

    assert [one["creator"] for one in everything["items"]] == ["creator"]
    assert (put["cap"], put["left"]) == (2.0, 0.0)
    for answer in (refused, play):
        assert (answer.status_code, answer.json()["type"]) == (402, "/problems/over-budget")
        assert "2.50 USD spent" in answer.json()["detail"]
    assert store.find_versions("one-more") == []


def test_what_was_answered_before_is_answered_again_whatever_was_spent_since(server: Running) -> None:
    store = server.services.store
    key = {"Idempotency-Key": "once"}
    with client_of(server, "creator") as creator:
        first = submit(creator, key, title="Paid Cave")
        spend(store, first.json()["id"], HOUR_OF_GPU, at=time.time())
        with store.writing() as tx:
            accounts.set_budget(tx.connection, "creator", 0.0)
        again = submit(creator, key, title="Paid Cave")

        assert (again.status_code, again.json()) == (202, first.json())
        assert submit(creator, title="Another Cave").status_code == 402
