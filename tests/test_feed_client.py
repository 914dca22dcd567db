"""The client says what the API says, in types; the command line uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feedapi.cli import build_app
from feedapi.client import ApiProblem, Client
from moderation.accounts import create_account, create_key
from moderation.states import WorldState
from tests.feed_home import Running, fill, move, running
from tests.test_feed_creators import CAVES, decided
from tests.test_feed_http import png


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("client") / "home"
    fill(home, {"Sunny Meadow": "published"})
    with running(home) as here:
        create_account(here.services.store, "anna", ["creator"])
        yield here


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with Client(server.url, create_key(server.services.store, "anna")) as opened:
        yield opened


def test_a_world_with_its_files_is_submitted_and_listed(client: Client) -> None:
    spec = CAVES | {"title": "Client Cave", "objects": [{"kind": "sign", "image": "a.png"}]}

    version = client.submit(spec, {"a.png": png()}, once="client-cave")
    again = client.submit(spec, {"a.png": png()}, once="client-cave")

    assert again == version
    assert version.state is WorldState.SUBMITTED
    assert client.version(version.id) == version
    assert version in list(client.versions())


def test_a_folder_is_submitted_as_it_lies(client: Client, tmp_path: Path) -> None:
    (tmp_path / "world.yaml").write_text("title: Folder Cave\nprompt: a dark cave\n")

    assert client.submit_package(tmp_path).world == "folder-cave"


def test_a_remix_names_its_parent(client: Client) -> None:
    assert client.remix("sunny-meadow", CAVES | {"title": "Remixed"}).remix_of == "sunny-meadow"


def test_what_is_wrong_comes_back_as_it_was_said(client: Client) -> None:
    with pytest.raises(ApiProblem) as caught:
        client.submit({"title": "No Prompt"})

    assert (caught.value.status, caught.value.type) == (422, "/problems/bad-package")
    assert [one["field"] for one in caught.value.errors] == ["prompt"]


def test_a_review_is_followed_to_its_decision_and_clip(client: Client, server: Running) -> None:
    version = client.submit(CAVES | {"title": "Followed By Client"})
    threading.Timer(0.3, lambda: decided(server.services.store, version.id)).start()

    states = [event.data["state"] for event in client.follow(version.id) if event.name == "state"]

    told = client.decision(version.id)
    assert states[-1] == "rejected"
    assert told.verdict == "rejected"
    assert client.evidence(told.evidence[0].clip or "") == b"an mp4"


def test_whoever_withdraws_must_have_seen_the_newest_state(client: Client, server: Running) -> None:
    version = client.submit(CAVES | {"title": "Withdrawn By Client"})
    move(server.services.store, version.id, ["screening"])

    with pytest.raises(ApiProblem, match="the version is at"):
        client.withdraw(version)
    assert client.withdraw(client.version(version.id)).state is WorldState.WITHDRAWN


def test_the_command_submits_and_says_why_not(server: Running, tmp_path: Path) -> None:
    (tmp_path / "world.yaml").write_text("title: Command Cave\nprompt: a dark cave\n")
    key = create_key(server.services.store, "anna")
    run = CliRunner()

    good = run.invoke(build_app(), ["submit", str(tmp_path), "--to", server.url, "--key", key, "--no-wait"])
    bad = run.invoke(build_app(), ["submit", str(tmp_path), "--to", server.url, "--key", "fp_a_b"])

    assert (good.exit_code, good.stdout.split(":")[0]) == (0, "command-cave")
    assert bad.exit_code == 2
    assert "API key" in bad.output
