"""The feed over HTTP: only published worlds exist, and the pages are safe and light."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from feedapi.label import at_most
from feedapi.server import AddressTaken, address, listen
from tests.feed_home import Running, fill, running

UNPUBLISHED = ["submitted", "exploring", "needs_review", "rejected", "cleared"]


def png() -> bytes:
    data = BytesIO()
    Image.new("RGB", (128, 128), (28, 107, 88)).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("feed") / "home"
    fill(home, {f"World {state}": state for state in UNPUBLISHED})
    fill(home, {"Plain <Meadow>": "published"})
    fill(home, {"Sunny Meadow": "published"}, png())
    with running(home) as here:
        yield here


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as each:
        yield each


def test_the_feed_lists_published_worlds_only_newest_first(client: httpx.Client) -> None:
    items = client.get("/v1/worlds").raise_for_status().json()["items"]

    assert [item["id"] for item in items] == ["sunny-meadow", "plain-meadow"]
    assert items[0]["risk_upper"] == pytest.approx(0.055)
    assert items[0]["bot_steps"] == 27_000


def test_published_worlds_are_listed_page_by_page(client: httpx.Client) -> None:
    first = client.get("/v1/worlds", params={"limit": 1}).raise_for_status().json()
    rest = client.get("/v1/worlds", params={"after": first["next"]}).raise_for_status().json()

    assert [[item["id"] for item in page["items"]] for page in (first, rest)] == [
        ["sunny-meadow"],
        ["plain-meadow"],
    ]
    assert rest["next"] is None
    assert client.get("/v1/worlds?after=yesterday").status_code == 422


def test_the_page_shows_each_world_with_its_label(client: httpx.Client) -> None:
    page = client.get("/").raise_for_status().text

    assert "Sunny Meadow" in page
    assert f"Bots played 30 min · {at_most(0.051)} unseen · risk {at_most(0.055)}" in page
    assert 'src="/worlds/sunny-meadow/still.png"' in page
    assert not [state for state in UNPUBLISHED if f"World {state}" in page]


def test_a_title_cannot_bring_markup_into_the_page(client: httpx.Client) -> None:
    page = client.get("/").text

    assert "Plain &lt;Meadow&gt;" in page
    assert "<Meadow>" not in page


def test_the_page_of_a_world_says_how_it_was_inspected(client: httpx.Client) -> None:
    page = client.get("/worlds/sunny-meadow").raise_for_status().text

    assert "No rule fired." in page
    assert "60 episodes" in page
    assert at_most(0.051) in page


@pytest.mark.parametrize("world", [f"world-{state}" for state in UNPUBLISHED] + ["never-heard-of", "%2e%2e"])
def test_a_world_that_is_not_published_does_not_exist(client: httpx.Client, world: str) -> None:
    assert client.get(f"/worlds/{world}").status_code == 404
    for answer in (
        client.get(f"/v1/worlds/{world}"),
        client.get(f"/worlds/{world}/still.png"),
        client.post(f"/v1/worlds/{world}/sessions"),
    ):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 404


def test_a_still_is_the_stored_frame_and_is_not_sent_twice(client: httpx.Client) -> None:
    first = client.get("/worlds/sunny-meadow/still.png").raise_for_status()
    again = client.get("/worlds/sunny-meadow/still.png", headers={"If-None-Match": first.headers["etag"]})

    assert first.content == png()
    assert again.status_code == 304


def test_a_world_without_a_still_has_a_plain_card(client: httpx.Client) -> None:
    assert client.get("/worlds/plain-meadow/still.png").status_code == 404
    assert "/worlds/plain-meadow/still.png" not in client.get("/").text


@pytest.mark.parametrize(
    "path", ["/", "/worlds/sunny-meadow", "/worlds/nope", "/v1/worlds", "/static/play.js"]
)
def test_every_answer_forbids_foreign_and_inline_code(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/worlds/sunny-meadow", "/worlds/nope"])
def test_pages_carry_no_inline_code_or_style(client: httpx.Client, path: str) -> None:
    page = client.get(path).text

    assert "<style" not in page
    assert " style=" not in page
    assert all(" src=" in tag.split(">")[0] for tag in page.split("<script")[1:])


def test_what_the_pages_load_is_there(client: httpx.Client) -> None:
    for name in ["style.css", "play.js", "wire.js", "sound.js", "controls.js", "icon.svg", "key.svg"]:
        assert client.get(f"/static/{name}").status_code == 200


def test_a_wrong_method_is_a_problem_document(client: httpx.Client) -> None:
    answer = client.get("/v1/worlds/sunny-meadow/sessions")

    assert answer.status_code == 405
    assert answer.json()["title"] == "The request failed"


def test_a_ticket_is_not_cached(client: httpx.Client) -> None:
    answer = client.post("/v1/worlds/sunny-meadow/sessions")

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["socket"].startswith("/v1/worlds/sunny-meadow/play?ticket=")


def test_an_empty_feed_says_what_to_do(tmp_path: Path) -> None:
    with running(tmp_path / "empty") as here:
        page = httpx.get(here.url).raise_for_status().text

    assert "firstplay review" in page


def test_showing_the_feed_does_not_import_torch(tmp_path: Path) -> None:
    fill(tmp_path / "home", {"Sunny Meadow": "published"})
    program = f"""
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from feedapi.app import create_app
with TestClient(create_app(Path({str(tmp_path / "home")!r}), lambda: None, 1)) as client:
    assert "Sunny Meadow" in client.get("/").text
    assert client.get("/worlds/sunny-meadow").status_code == 200
print("torch" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "False"


def test_a_taken_address_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AddressTaken, match="--port"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_the_address_of_an_ipv6_listener_is_a_url() -> None:
    with listen("::1", 0) as listener:
        assert address(listener).startswith("http://[::1]:")
