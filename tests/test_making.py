"""Making a world over the API: what it comes to, playing it unseen by others, and beginning with another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from feedapi.drafts import Drafts, UnknownDraft
from feedapi.lineage import changes
from feedapi.preview import zones_of
from feedapi.shapes import Change
from feedapi.starting import steps
from feedapi.wire import Close
from moderation.accounts import create_account, create_key
from moderation.states import WorldState
from moderation.store import open_store
from tests.feed_home import Running, add_world, fill, move, package, running
from tests.test_feed_http import png
from worldmodel.compiler import compile_world
from worldmodel.models import load_model
from worldmodel.prompt import settings
from worldmodel.spec import WorldSpec

CAVE = {
    "title": "Cave",
    "prompt": "a dark cave with glowing lanterns, low gravity",
    "mechanics": {"water": 0.5},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("making") / "home"
    fill(home, {"Sunny Meadow": "published", "Hidden Meadow": "rejected"})
    with running(home) as here:
        for account, role in (("anna", "creator"), ("ben", "creator"), ("mod", "moderator")):
            create_account(here.services.store, account, [role])
        yield here


@pytest.fixture
def anna(server: Running) -> Iterator[httpx.Client]:
    with client_of(server, "anna") as client:
        yield client


def client_of(server: Running, account: str) -> httpx.Client:
    key = create_key(server.services.store, account)
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def preview(client: httpx.Client, spec: dict[str, Any], **query: str) -> dict[str, Any]:
    found: dict[str, Any] = (
        client.post("/v1/previews", json={"spec": spec}, params=query).raise_for_status().json()
    )
    return found


def version_of(server: Running, world: str) -> str:
    return server.services.store.find_versions(world)[0].id


# What it comes to


def test_every_number_says_where_it_comes_from() -> None:
    found = settings(WorldSpec.model_validate(CAVE))

    assert (found["gravity"].value, found["gravity"].origin) == (0.45, "prompt")
    assert (found["water"].value, found["water"].origin) == (0.5, "spec")
    assert found["hazards"].origin == "theme"
    assert (found["size"].value, found["size"].origin) == (0.5, "usual")


def test_a_wished_size_comes_back_as_it_was() -> None:
    spec = WorldSpec.model_validate(CAVE | {"layout": {"size": 0.25}})

    assert settings(spec)["size"].value == 0.25


def test_a_preview_places_objects_in_the_part_of_the_way_that_they_ask_for(anna: httpx.Client) -> None:
    wheres = [
        ("s", {"near": "spawn"}),
        ("n", {"depth": "near"}),
        ("f", {"depth": "far"}),
        ("d", {"behind": "door"}),
    ]
    signs = [{"kind": "sign", "text": f"sign {letter}", "where": where} for letter, where in wheres]

    told = preview(anna, CAVE | {"objects": signs})

    zones = told["zones"]["rows"]
    assert (len(zones), {len(row) for row in zones}) == (24, {told["zones"]["columns"]})
    for one in told["placed"]:
        left, _, right, bottom = one["box"]
        wanted = wheres[one["index"]][0]
        found = {zones[bottom - 1][x] for x in range(left, right)}
        # what is at the start is early too, and what is far may well be behind the door
        assert found & {wanted, *{"s": "n", "n": "s", "f": "d"}.get(wanted, "")}, (wanted, found)


def test_a_world_without_a_door_has_nothing_behind_one() -> None:
    zones = zones_of(compile_world(package("No Door")))

    assert "d" not in "".join(zones.rows)
    assert zones.rows[zones.start[1]][zones.start[0]] == "s"


def test_changes_name_fields_and_objects() -> None:
    sign = {"kind": "sign", "text": "exit"}
    before = {
        "title": "A",
        "mechanics": {"gravity": 1.0, "view": "side"},
        "objects": [sign],
        "music": "drum.ogg",
    }
    after = {"title": "A", "mechanics": {"gravity": 0.4}, "objects": [sign | {"where": {"depth": "far"}}]}

    assert changes(before, after) == [
        Change(what="gravity", before="1", after="0.4"),
        Change(what="view", before="side", after="as the prompt says"),
        Change(what="music", before="drum.ogg", after="nothing"),
        Change(what="object", before="sign “exit”, half way", after="left out"),
        Change(what="object", before="not there", after="sign “exit”, far"),
    ]
    assert changes(after, after) == []


def test_a_preview_says_what_a_remix_changes(anna: httpx.Client, server: Running) -> None:
    base = version_of(server, "sunny-meadow")
    spec = server.services.store.spec(base)

    told = preview(anna, spec | {"mechanics": spec["mechanics"] | {"darkness": 0.8}}, against=base)

    assert told["changes"] == [{"what": "darkness", "before": "0", "after": "0.8"}]


# Playing it


def test_a_draft_is_played_once_by_whoever_has_its_path(anna: httpx.Client, server: Running) -> None:
    path = preview(anna, CAVE)["play"]

    with connect(server.socket(path), max_size=None) as socket:
        kinds = [type(socket.recv(timeout=60)) for _ in range(3)]
    with connect(server.socket(path)) as again, pytest.raises(ConnectionClosed) as closed:
        again.recv(timeout=10)

    assert kinds[0] is str  # the greeting, then frames
    assert bytes in kinds
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == Close.BAD_TICKET


def test_a_newer_preview_takes_the_place_of_the_one_before(anna: httpx.Client, server: Running) -> None:
    with connect(server.socket(preview(anna, CAVE)["play"]), max_size=None) as first:
        first.recv(timeout=60)
        with connect(server.socket(preview(anna, CAVE)["play"]), max_size=None) as second:
            second.recv(timeout=60)
            assert server.services.drafts.arena.players == 1
            with pytest.raises(ConnectionClosed):  # after the frames that were under way
                list(first)


def test_drafts_play_beside_live_play_and_not_in_it(anna: httpx.Client, server: Running) -> None:
    with connect(server.socket(preview(anna, CAVE)["play"]), max_size=None) as socket:
        socket.recv(timeout=60)

        assert server.services.drafts.arena.players == 1
        assert server.services.arena.players == 0


def test_a_draft_is_not_kept_for_long() -> None:
    now = [0.0]
    drafts = Drafts(lambda: load_model("simulator"), lambda: now[0])
    name = drafts.keep("anna", compile_world(package("Kept Short"))).split("/")[3]
    now[0] = 31.0

    with pytest.raises(UnknownDraft):
        drafts.join(name, lambda: None)


# Beginning with another


def test_a_version_of_ones_own_begins_the_next_with_its_media(anna: httpx.Client, server: Running) -> None:
    picture = anna.post("/v1/uploads", content=png()).raise_for_status().json()["id"]
    spec = CAVE | {"title": "Begin Again", "objects": [{"kind": "sign", "image": "poster.png"}]}
    sent = {"spec": spec, "files": {"poster.png": picture}}
    first = anna.post("/v1/worlds", json=sent).raise_for_status().json()

    draft = anna.post(f"/v1/versions/{first['id']}/draft").raise_for_status().json()
    draft["spec"]["mechanics"]["water"] = 0.1
    second = anna.post(f"/v1/worlds/{first['world']}/versions", json=draft)

    assert second.status_code == 202, second.text
    store = server.services.store
    assert store.spec(second.json()["id"]) == store.spec(first["id"]) | {"mechanics": {"water": 0.1}}


def test_a_published_world_can_be_begun_with_and_anothers_hidden_one_cannot(
    anna: httpx.Client, server: Running
) -> None:
    published, hidden = version_of(server, "sunny-meadow"), version_of(server, "hidden-meadow")

    assert anna.post(f"/v1/versions/{published}/draft").json()["spec"]["title"] == "Sunny Meadow"
    assert anna.post(f"/v1/versions/{hidden}/draft").status_code == 404
    assert anna.post("/v1/previews", json={"spec": CAVE}, params={"against": hidden}).status_code == 404
    with client_of(server, "mod") as moderator:
        assert moderator.post(f"/v1/versions/{published}/draft").status_code == 403


# The sample worlds


def test_samples_are_sent_in_as_ones_own_and_a_remix_waits_for_its_parent(server: Running) -> None:
    store = server.services.store
    with client_of(server, "ben") as ben:
        before = {one["name"]: one for one in ben.get("/v1/samples").json()["items"]}
        one = ben.post("/v1/samples", json={"names": ["mossy-steps"]})
        again = ben.post("/v1/samples", json={"names": ["mossy-steps", "frost-run"]})

    states = {item["name"]: item["state"] for item in again.json()["items"]}
    assert len(before) == 10
    assert {name for name, item in before.items() if item["warning"]} == {
        "back-room",
        "far-voice",
        "strobe-lever",
    }
    assert one.status_code == 202
    assert [(found.creator, found.state) for found in store.find_versions("mossy-steps")] == [
        ("ben", WorldState.SUBMITTED)
    ]
    assert [job.kind for job in store.queue.jobs(version_of(server, "mossy-steps"))] == ["receive"]
    assert (states["mossy-steps"], states["frost-run"], states["top-garden"]) == ("here", "waits", "new")


def test_an_unknown_sample_is_named(anna: httpx.Client) -> None:
    answer = anna.post("/v1/samples", json={"names": ["atlantis"]})

    assert answer.status_code == 404
    assert "atlantis" in answer.json()["detail"]
    assert "mossy-steps" in answer.json()["detail"]


def test_the_next_steps_end_when_something_can_be_played(tmp_path: Any) -> None:
    store = open_store(tmp_path)
    nothing = [(one.name, one.done) for one in steps(store)]
    version = add_world(store, "First Meadow", "submitted")
    working = [(one.name, one.done, one.count) for one in steps(store)]
    move(store, version, ["screening", "exploring", "scanning", "deciding", "cleared", "published"])

    assert nothing == [("send", False), ("review", False), ("decide", False), ("play", False)]
    assert working == [("send", True, 1), ("review", False, 1), ("decide", False, 0), ("play", False, 0)]
    assert steps(store) == []
    store.close()
