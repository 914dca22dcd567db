"""The feed over HTTP: pages that fit together, only what may be shown, and what players send back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from feedapi.cli import build_app
from feedapi.ranking.snapshot import KEPT
from policies.types import Decision, Rating, Verdict
from tests.feed_home import BOUNDS, COVERAGE, Running, fill, move, running

TITLES = [f"World {i}" for i in range(25)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    fill(tmp_path / "home", dict.fromkeys(TITLES, "published") | {"Hidden": "cleared"})
    with running(tmp_path / "home") as here:
        yield here


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as each:
        yield each


def page(client: httpx.Client, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/v1/feed", params=query).raise_for_status().json()
    return found


def rate(server: Running, version: str, age: int) -> None:
    """A newer decision that gives a version an age."""
    rated = Decision(Verdict.CLEARED, "default@2", "q" * 64, (), ("Fine.",), BOUNDS, rating=Rating(age=age))
    with server.services.store.writing() as tx:
        tx.add_decision(version, f"e-{version}", rated, COVERAGE, ())


def test_pages_follow_each_other_and_show_every_published_world_once(client: httpx.Client) -> None:
    shown, cursor = [], None
    for _ in range(5):
        answer = page(client, limit=7, **({"cursor": cursor} if cursor else {}))
        shown += [item["title"] for item in answer["items"]]
        cursor = answer["next"]
        if cursor is None:
            break

    assert sorted(shown) == sorted(TITLES)


def test_an_item_says_what_a_card_needs(client: httpx.Client) -> None:
    item = page(client)["items"][0]

    assert item["label"].startswith("Bots played 30 min")
    assert item["risk_upper"] == pytest.approx(0.055)
    assert item["bot_steps"] == 27_000
    assert item["creator"] == "creator"


def test_a_world_that_is_taken_down_leaves_pages_that_were_ranked_before(
    server: Running, client: httpx.Client
) -> None:
    first = page(client, limit=10)
    after = page(client, limit=10, cursor=first["next"])["items"][0]
    move(server.services.store, after["version"], ["suspended"])
    of_app = server.services.feed
    of_app.forget()

    again = page(client, limit=10, cursor=first["next"])

    assert after["id"] not in [item["id"] for item in again["items"]]
    assert len(again["items"]) == 10


def test_players_see_only_what_is_for_their_age(server: Running, client: httpx.Client) -> None:
    versions = {item["title"]: item["version"] for item in page(client, limit=50)["items"]}
    rate(server, versions["World 3"], 7)
    rate(server, versions["World 4"], 16)
    server.services.feed.forget()

    assert [item["title"] for item in page(client, age=12)["items"]] == ["World 3"]
    assert {item["title"] for item in page(client, age=16)["items"]} == {"World 3", "World 4"}
    assert page(client, age=5)["items"] == []


@pytest.mark.parametrize(
    ("spoil", "status", "kind"),
    [("forged", 400, "bad-cursor"), ("foreign", 400, "bad-cursor"), ("old", 410, "old-cursor")],
)
def test_a_cursor_that_leads_nowhere_is_a_problem_of_its_own(
    server: Running, client: httpx.Client, spoil: str, status: int, kind: str
) -> None:
    cursor = page(client, limit=5)["next"]
    query: dict[str, Any] = {"cursor": cursor}
    if spoil == "forged":
        query["cursor"] = cursor[:-3] + "abc"
    elif spoil == "foreign":
        query["age"] = 7
    else:
        shelf = server.services.feed.shelf
        clock = shelf._clock
        shelf._clock = lambda: clock() + KEPT + 1

    answer = client.get("/v1/feed", params=query)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{kind}"


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 51}, {"age": -1}, {"cursor": "x" * 600}])
def test_what_cannot_be_asked_is_refused(client: httpx.Client, query: dict[str, Any]) -> None:
    assert client.get("/v1/feed", params=query).status_code == 422


def test_a_page_that_has_not_changed_is_not_sent_twice(client: httpx.Client) -> None:
    first = client.get("/v1/feed")
    again = client.get("/v1/feed", headers={"If-None-Match": first.headers["etag"]})

    assert again.status_code == 304
    assert again.content == b""


def sent(item: dict[str, Any], kind: str, number: int = 0) -> dict[str, Any]:
    return {"id": f"{kind}-{number:04d}", "kind": kind, "context": item["context"]}


def test_a_batch_that_is_sent_again_adds_nothing(server: Running, client: httpx.Client) -> None:
    items = page(client)["items"]
    batch = {"items": [sent(item, "seen", i) for i, item in enumerate(items)]}

    first = client.post("/v1/interactions", json=batch).raise_for_status().json()
    again = client.post("/v1/interactions", json=batch).raise_for_status().json()

    assert first == {"added": 20, "refused": []}
    assert again["added"] == 0
    seen = sorted(server.services.store.feed.impressions(0.0), key=lambda one: one.position)
    assert [one.version for one in seen] == [item["version"] for item in items]
    assert all(0 < one.propensity <= 1 for one in seen)


def test_what_was_never_shown_cannot_be_reported_as_seen(client: httpx.Client) -> None:
    item = page(client)["items"][0]
    forged = sent(item, "seen") | {"context": item["context"][:-4] + "AAAA"}

    told = client.post("/v1/interactions", json={"items": [forged, sent(item, "opened")]}).json()

    assert told["added"] == 1
    assert [one["id"] for one in told["refused"]] == ["seen-0000"]


@pytest.mark.parametrize(
    "batch",
    [
        {"items": []},
        {"items": [{"id": "12345678", "kind": "loved", "context": "x"}]},
        {"items": [{"id": "1", "kind": "seen", "context": "x"}]},
        {"items": [{"id": "12345678", "kind": "seen", "context": "x"}] * 101},
    ],
)
def test_a_batch_that_is_no_batch_is_refused(client: httpx.Client, batch: dict[str, Any]) -> None:
    assert client.post("/v1/interactions", json=batch).status_code == 422


def test_the_store_keeps_no_address(server: Running, client: httpx.Client) -> None:
    item = page(client)["items"][0]
    client.post("/v1/interactions", json={"items": [sent(item, "seen")]})

    (seen,) = server.services.store.feed.impressions(0.0)

    assert "127.0.0.1" not in seen.player
    assert len(seen.player) == 24


def test_the_command_judges_another_ranking(tmp_path: Path, server: Running, client: httpx.Client) -> None:
    items = page(client)["items"]
    client.post("/v1/interactions", json={"items": [sent(item, "seen", i) for i, item in enumerate(items)]})

    home = ["--home", str(tmp_path / "home")]
    told = CliRunner().invoke(build_app(), ["feed", "evaluate", "--new-share", "0.2", "--json", *home])

    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["items"] == 20


def test_the_command_says_that_nothing_was_logged(tmp_path: Path) -> None:
    told = CliRunner().invoke(build_app(), ["feed", "evaluate", "--home", str(tmp_path)])

    assert told.exit_code == 4
    assert "seen" in told.output


def test_the_first_page_does_not_wait_for_torch(tmp_path: Path) -> None:
    fill(tmp_path, {"World": "published"})
    code = (
        "import sys; from pathlib import Path; from fastapi.testclient import TestClient\n"
        "from feedapi.app import create_app\n"
        "with TestClient(create_app(Path(sys.argv[1]), lambda: 1 / 0, 1)) as client:\n"
        "    assert len(client.get('/v1/feed').json()['items']) == 1\n"
        "assert not {'torch', 'scipy'} & set(sys.modules), 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
