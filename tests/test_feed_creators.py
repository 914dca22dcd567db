"""What creators program against: submit, follow, read, withdraw; and nobody reaches what is another's."""

from __future__ import annotations

import ast
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import feedapi
from moderation.accounts import create_account, create_key
from moderation.jobs.pressure import LIMIT_VARIABLE
from moderation.states import WorldState
from moderation.store import Evidence, Store
from policies.types import Coverage, Decision, Fired, Verdict
from tests.feed_home import Running, fill, move, running
from tests.test_feed_http import png

CAVES = {"title": "Lantern Caves", "prompt": "a dark cave with glowing lanterns", "seed": 1}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("creators") / "home"
    fill(home, {"Sunny Meadow": "published", "Hidden Meadow": "rejected"})
    with running(home) as here:
        for account, role in (("anna", "creator"), ("ben", "creator"), ("mod", "moderator")):
            create_account(here.services.store, account, [role])
        yield here


def client_of(server: Running, account: str) -> httpx.Client:
    key = create_key(server.services.store, account)
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"})


@pytest.fixture
def anna(server: Running) -> Iterator[httpx.Client]:
    with client_of(server, "anna") as client:
        yield client


@pytest.fixture
def ben(server: Running) -> Iterator[httpx.Client]:
    with client_of(server, "ben") as client:
        yield client


@pytest.fixture
def store(server: Running) -> Store:
    return server.services.store


def submit(client: httpx.Client, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    return client.post("/v1/worlds", json={"spec": CAVES | changes}, headers=headers)


def accepted(client: httpx.Client, **changes: Any) -> dict[str, Any]:
    answer = submit(client, **changes)
    assert answer.status_code == 202, answer.text
    item: dict[str, Any] = answer.json()
    return item


def test_a_world_is_submitted_with_its_picture_and_its_review_is_queued(
    anna: httpx.Client, store: Store
) -> None:
    upload = anna.post("/v1/uploads", content=png()).raise_for_status().json()
    spec = CAVES | {"title": "Poster Cave", "objects": [{"kind": "sign", "image": "poster.png"}]}

    answer = anna.post("/v1/worlds", json={"spec": spec, "files": {"poster.png": upload["id"]}})

    assert answer.status_code == 202, answer.text
    item = answer.json()
    assert answer.headers["location"] == f"/v1/versions/{item['id']}"
    assert (item["world"], item["state"]) == ("poster-cave", "submitted")
    assert [job.kind for job in store.queue.jobs(item["id"])] == ["receive"]
    assert anna.get(answer.headers["location"]).json()["title"] == "Poster Cave"


def test_a_full_queue_takes_nothing_in_and_says_when_to_come_back(
    anna: httpx.Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted(anna, title="First In Line")
    monkeypatch.setenv(LIMIT_VARIABLE, "1")

    answer = submit(anna, title="One Too Many")

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/full")
    assert int(answer.headers["retry-after"]) >= 1
    assert store.find_versions("one-too-many") == []


def test_a_whole_package_is_submitted_as_a_zip(anna: httpx.Client) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("world.yaml", json.dumps(CAVES | {"title": "Zipped Cave"}))

    answer = anna.post("/v1/worlds", content=data.getvalue(), headers={"Content-Type": "application/zip"})

    assert answer.status_code == 202, answer.text
    assert answer.json()["world"] == "zipped-cave"


def test_everything_that_is_wrong_with_a_world_is_said_at_once(anna: httpx.Client) -> None:
    spec = CAVES | {"mechanics": {"gravity": 99}, "objects": [{"kind": "sign", "image": "nowhere.png"}]}

    answer = anna.post("/v1/worlds", json={"spec": spec})

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/bad-package")
    assert "mechanics.gravity" in json.dumps(problem["errors"])


def test_an_upload_of_somebody_else_cannot_be_used(anna: httpx.Client, ben: httpx.Client) -> None:
    theirs = ben.post("/v1/uploads", content=png() + b"theirs").json()["id"]
    spec = CAVES | {"title": "Stolen", "objects": [{"kind": "sign", "image": "a.png"}]}

    answer = anna.post("/v1/worlds", json={"spec": spec, "files": {"a.png": theirs}})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"file": "a.png", "field": None, "message": "names no upload of yours", "remedy": "upload it first"}
    ]


def test_the_same_request_again_gets_the_same_answer_and_nothing_happens_twice(
    anna: httpx.Client, store: Store
) -> None:
    key = {"Idempotency-Key": "only-once-please"}

    first = submit(anna, key, title="Once Cave")
    again = submit(anna, key, title="Once Cave")
    other = submit(anna, key, title="Another Cave")

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["idempotent-replay"] == "true"
    assert other.json()["type"] == "/problems/key-reused"
    assert store.find_versions("another-cave") == []


def test_requests_with_one_key_at_the_same_time_are_one(server: Running, store: Store) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        with client_of(server, "anna") as client:
            answers.append(submit(client, {"Idempotency-Key": "all-at-once"}, title="Racing Cave"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {answer.status_code for answer in answers} == {202}
    assert len(store.find_versions("racing-cave")) == 1


def test_known_content_is_refused_without_saying_whose_it_is(anna: httpx.Client, ben: httpx.Client) -> None:
    accepted(anna, title="Twin Cave")

    answer = submit(ben, title="Twin Cave")

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/known-content")
    assert "anna" not in answer.text


def test_a_title_that_is_taken_makes_another_world_and_never_a_version_of_the_first(
    anna: httpx.Client, ben: httpx.Client, store: Store
) -> None:
    mine = accepted(anna, title="Shared Title")
    theirs = accepted(ben, title="Shared Title", seed=2)

    assert mine["world"] == "shared-title"
    assert theirs["world"].startswith("shared-title-")
    assert [v.creator for v in store.find_versions("shared-title")] == ["anna"]


def test_a_new_version_goes_to_ones_own_world_only(anna: httpx.Client, ben: httpx.Client) -> None:
    world = accepted(anna, title="Growing Cave")["world"]

    second = anna.post(f"/v1/worlds/{world}/versions", json={"spec": CAVES | {"title": "Grown", "seed": 9}})
    foreign = ben.post(f"/v1/worlds/{world}/versions", json={"spec": CAVES | {"title": "Mine", "seed": 8}})

    assert (second.status_code, second.json()["world"]) == (202, world)
    assert foreign.status_code == 404


def test_only_what_is_published_can_be_remixed(anna: httpx.Client) -> None:
    good = anna.post("/v1/worlds/sunny-meadow/remixes", json={"spec": CAVES | {"title": "Night Meadow"}})
    bad = anna.post("/v1/worlds/hidden-meadow/remixes", json={"spec": CAVES | {"title": "Bad Meadow"}})

    assert (good.status_code, good.json()["remix_of"]) == (202, "sunny-meadow")
    assert bad.status_code == 404


def test_versions_are_listed_in_pages_newest_first(server: Running) -> None:
    create_account(server.services.store, "lister", ["creator"])
    with client_of(server, "lister") as client:
        made = [accepted(client, title=f"Listed {n}")["id"] for n in range(5)]
        first = client.get("/v1/versions", params={"limit": 3}).json()
        second = client.get("/v1/versions", params={"limit": 3, "after": first["next"]}).json()

    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None


@pytest.mark.parametrize("path", ["", "/decision", "/events", f"/evidence/{'0' * 64}"])
def test_nobody_sees_what_is_another_creators(anna: httpx.Client, ben: httpx.Client, path: str) -> None:
    version = anna.get("/v1/versions").json()["items"] or [accepted(anna, title="Private Cave")]

    answer = ben.get(f"/v1/versions/{version[0]['id']}{path}")

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


def decided(store: Store, version: str) -> str:
    """Reject a version with one clip as evidence; returns the clip's blob."""
    clip = store.blobs.put(b"an mp4")
    fired = Fired(
        "slur", "hate", "S3", Verdict.REJECTED, ("f1",), "read a slur", "Slurs", "No slurs.", "Cut."
    )
    decision = Decision(Verdict.REJECTED, "default@1", "p" * 64, (fired,), ("a slur was read",), (), ())
    evidence = Evidence("slur", "f1", "play", 1.0, 2.0, clip, (), "a sign", True)
    with store.writing() as tx:
        tx.add_decision(version, "e", decision, Coverage(), [evidence])
    move(store, version, ["screening", "exploring", "scanning", "deciding", "rejected"])
    return clip


def test_a_decision_says_why_shows_the_clip_and_what_to_change(anna: httpx.Client, store: Store) -> None:
    version = accepted(anna, title="Decided Cave")["id"]
    before = anna.get(f"/v1/versions/{version}/decision")
    clip = decided(store, version)

    told = anna.get(f"/v1/versions/{version}/decision").json()
    shown = anna.get(told["evidence"][0]["clip"])

    assert before.status_code == 404
    assert (told["verdict"], told["appealable"]) == ("rejected", True)
    assert told["fired"][0]["remedy"] == "Cut."
    assert told["evidence"][0]["clip"].endswith(clip)
    assert (shown.content, shown.headers["content-type"]) == (b"an mp4", "video/mp4")


def test_other_blobs_are_not_evidence(anna: httpx.Client, store: Store) -> None:
    version = accepted(anna, title="Curious Cave")["id"]
    decided(store, version)
    other = store.blobs.put(b"somebody else's")

    assert anna.get(f"/v1/versions/{version}/evidence/{other}").status_code == 404


def test_a_review_is_followed_as_events_from_where_one_left_off(anna: httpx.Client, store: Store) -> None:
    version = accepted(anna, title="Followed Cave")["id"]
    move(store, version, ["screening", "exploring"])
    events: list[tuple[str, str]] = []

    def on() -> None:
        move(store, version, ["scanning", "deciding", "rejected"])

    with anna.stream(
        "GET", f"/v1/versions/{version}/events", headers={"Last-Event-ID": "1"}, timeout=20
    ) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        threading.Timer(0.3, on).start()
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: ") and name == "state":
                events.append((name, json.loads(line.removeprefix("data: "))["state"]))

    assert [state for _, state in events] == ["exploring", "scanning", "deciding", "rejected"]


def test_a_world_is_withdrawn_for_good_by_whoever_looked_at_it_last(anna: httpx.Client, store: Store) -> None:
    path = f"/v1/versions/{accepted(anna, title='Regretted Cave')['id']}"
    etag = anna.get(path).headers["etag"]

    blind = anna.post(f"{path}/withdraw", json={})
    stale = anna.post(f"{path}/withdraw", json={}, headers={"If-Match": '"99"'})
    done = anna.post(f"{path}/withdraw", json={"reason": "not good enough"}, headers={"If-Match": etag})
    again = anna.post(f"{path}/withdraw", json={}, headers={"If-Match": done.headers["etag"]})

    assert [blind.status_code, stale.status_code, done.status_code] == [428, 412, 200]
    assert done.json()["state"] == "withdrawn"
    assert again.status_code == 409
    assert store.queue.jobs(path.removeprefix("/v1/versions/")) == []


def test_a_withdrawn_world_leaves_the_feed(server: Running, store: Store) -> None:
    create_account(store, "leaver", ["creator"])
    with client_of(server, "leaver") as client:
        item = accepted(client, title="Leaving Cave")
        with store.writing() as tx:
            decision = Decision(Verdict.CLEARED, "default@1", "p" * 64, (), ("No rule fired.",), (), ())
            tx.set_exploration(item["id"], "e")
            tx.add_decision(item["id"], "e", decision, Coverage(), [])
        move(store, item["id"], ["screening", "exploring", "scanning", "deciding", "cleared", "published"])
        there = client.get(f"/v1/worlds/{item['world']}")
        etag = client.get(f"/v1/versions/{item['id']}").headers["etag"]
        client.post(f"/v1/versions/{item['id']}/withdraw", json={}, headers={"If-Match": etag})

        assert there.status_code == 200
        assert client.get(f"/v1/worlds/{item['world']}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/versions"), ("POST", "/v1/uploads"), ("POST", "/v1/worlds"), ("GET", "/v1/me")],
)
def test_without_a_key_nothing_of_a_creator_is_reached(server: Running, method: str, path: str) -> None:
    bare = httpx.request(method, server.url + path)
    wrong = httpx.request(method, server.url + path, headers={"Authorization": "Bearer fp_abc_def"})

    for answer in (bare, wrong):
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/not-signed-in")


def test_a_moderator_is_no_creator(server: Running) -> None:
    with client_of(server, "mod") as client:
        answer = client.get("/v1/versions")

    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/not-allowed")


OWN = {
    "published",
    "published_world",
    "compile_version",
    "versions_by",
    "history",
    "queue",
    "blobs",
    "reading",
    "feed",
    "home",
}
"""What routes may ask the store themselves: what is public, and what follows from an owned version."""


def test_routes_reach_versions_only_through_the_one_place_that_checks_whose_they_are() -> None:
    """A lint rule: no route asks the store for a version, a finding or a decision by an id from outside."""
    folder = Path(feedapi.__file__).parent
    asked = {
        f"{path.name}:{node.lineno}": node.attr
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name | ast.Attribute)
        and (getattr(node.value, "id", None) or getattr(node.value, "attr", None)) == "store"
    }
    allowed = OWN | {"writing", "database", "close", "NotPublished", "NotFound", "Conflict"}
    outside = {place: name for place, name in asked.items() if name not in allowed}

    # the stream looks again at a version whose owner was checked when it began; the console and the desk at
    # that of a case that the moderator was let in to; the workbench at those that a backtest of all names;
    # play on the device at that of a published world
    asking: dict[str, set[str]] = {}
    for place, name in outside.items():
        asking.setdefault(place.partition(":")[0], set()).add(name)
    assert asking.keys() == {"creators.py", "console.py", "take_over.py", "workbench.py", "device.py"}
    assert asking["creators.py"] == {"version"}


def test_states_that_a_creator_can_leave_are_all_reachable() -> None:
    from moderation.states import TRANSITIONS, WITHDRAWABLE

    assert all(WorldState.WITHDRAWN in TRANSITIONS[state] for state in WITHDRAWABLE)
    assert WorldState.WITHDRAWN not in TRANSITIONS[WorldState.TAKEN_DOWN]
