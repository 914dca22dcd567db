"""The OWASP API security top ten (2023), each tried as somebody would who means harm."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from feedapi import bounds
from moderation.accounts import create_account, create_key
from moderation.store import Store, accounts
from moderation.store.webhooks import NOTIFY, deliveries, find_webhook, queue_message
from moderation.webhooks import create_webhook
from tests.feed_home import Running, every_route, fill, running
from tests.test_feed_creators import CAVES
from tests.test_webhooks import Receiver, receiver, work

__all__ = ["receiver"]  # a fixture

OPERATORS_ONLY = [
    ("GET", "/v1/accounts"),
    ("POST", "/v1/accounts"),
    ("DELETE", "/v1/accounts/ben"),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/reads"),
    ("GET", "/v1/accounts/ben/budget"),
    ("PUT", "/v1/accounts/ben/budget"),
    ("POST", "/v1/jobs/1/requeue"),
    ("GET", "/metrics"),
]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("owasp") / "home"
    fill(home, {"Sunny Meadow": "published", "Hidden Meadow": "rejected"})
    with running(home) as here:
        for account in ("anna", "ben"):
            create_account(here.services.store, account, ["creator"])
        yield here


@pytest.fixture
def store(server: Running) -> Store:
    return server.services.store


def client_of(server: Running, account: str) -> httpx.Client:
    key = create_key(server.services.store, account)
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=30)


def submit(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.post("/v1/worlds", json={"spec": CAVES | changes})


def test_1_no_object_of_another_account_is_reached_by_its_id(server: Running) -> None:
    with client_of(server, "anna") as anna, client_of(server, "ben") as ben:
        version = submit(anna, title="Annas Cave").json()
        hook = anna.post("/v1/webhooks", json={"url": "https://example.com/x"}).json()["id"]
        tried = [
            ben.get(f"/v1/versions/{version['id']}"),
            ben.get(f"/v1/versions/{version['id']}/events"),
            ben.get(f"/v1/versions/{version['id']}/decision"),
            ben.post(f"/v1/versions/{version['id']}/withdraw", json={}, headers={"If-Match": '"0"'}),
            ben.post(f"/v1/worlds/{version['world']}/versions", json={"spec": CAVES}),
            ben.delete(f"/v1/webhooks/{hook}"),
            ben.get(f"/v1/webhooks/{hook}/deliveries"),
            ben.get("/v1/accounts/anna/keys"),
            ben.post("/v1/accounts/anna/keys", json={}),
        ]

        assert {one.status_code for one in tried} == {404}
        assert anna.get(f"/v1/versions/{version['id']}").json()["state"] == "submitted"


def test_2_keys_cannot_be_guessed_and_are_never_in_an_address(server: Running, store: Store) -> None:
    key = create_key(store, "anna")
    guesses = [httpx.post(f"{server.url}/v1/sign-in", json={"key": f"{key[:-2]}{n:02d}"}) for n in range(15)]
    in_address = httpx.get(f"{server.url}/v1/me", params={"key": key, "access_token": key})

    assert {one.status_code for one in guesses} == {401, 429}
    assert guesses[-1].status_code == 429
    assert in_address.status_code == 401


def test_3_fields_that_are_not_ones_to_set_are_not_set(server: Running, store: Store) -> None:
    with client_of(server, "anna") as anna:
        body = {"spec": CAVES, "state": "published", "creator": "ben", "revision": 9}
        version = anna.post("/v1/worlds", json=body).json()
        inside = submit(anna, title="Inside", state="published", creator="ben")
        key = anna.post("/v1/accounts/anna/keys", json={"account": "ben", "roles": ["operator"]}).json()[
            "key"
        ]

    stored = store.version(version["id"])
    assert (stored.state, stored.creator, stored.revision) == ("submitted", "anna", 0)
    assert inside.status_code == 422
    me = httpx.get(f"{server.url}/v1/me", headers={"Authorization": f"Bearer {key}"}).json()
    assert (me["account"], me["scopes"]) == ("anna", ["worlds"])
    with store.reading() as connection:
        secrets = [
            accounts.credential_of_key(connection, one.id) for one in accounts.keys(connection, "anna")
        ]
        listed = httpx.get(
            f"{server.url}/v1/accounts/anna/keys", headers={"Authorization": f"Bearer {key}"}
        ).text
    assert not [one for one in secrets if one is not None and one.sha256 in listed]


def test_4_no_request_costs_without_bound(server: Running) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("world.yaml", json.dumps(CAVES))
        file.writestr("bomb.png", b"\0" * 64 * 1024 * 1024)
    with client_of(server, "anna") as anna:
        zipped = anna.post("/v1/worlds", content=bomb.getvalue(), headers={"Content-Type": "application/zip"})
        large = anna.post("/v1/uploads", content=b"x" * (bounds.UPLOAD_BYTES + 1))
        page = anna.get("/v1/versions", params={"limit": 1_000_000})
        deep = anna.post("/v1/worlds", content=b'{"spec":' + b"[" * 50_000, headers=_JSON)

    statuses = [one.status_code for one in (zipped, large, page, deep)]
    assert statuses == [422, 413, 422, 422]


def test_5_a_creator_reaches_no_function_of_an_operator_or_a_moderator(server: Running) -> None:
    with client_of(server, "anna") as anna:
        tried = [
            anna.request(method, path, json={"id": "x", "roles": ["creator"]})
            for method, path in OPERATORS_ONLY
        ]

    assert {one.status_code for one in tried} == {403}


def test_6_one_account_cannot_flood_the_review(server: Running, store: Store) -> None:
    limit = int(bounds.USUAL[bounds.WRITES].partition("/")[0])
    with client_of(server, "anna") as anna, client_of(server, "ben") as ben:
        answers = [anna.post("/v1/worlds", content=b"{}", headers=_JSON) for _ in range(limit + 3)]
        other = submit(ben, title="Bens Cave")

    assert [one.status_code for one in answers[-3:]] == [429] * 3
    assert int(answers[-1].headers["retry-after"]) > 0
    assert other.status_code == 202
    assert store.queue.jobs()[-1].kind == "receive"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "file:///etc/passwd",
    ],
)
def test_7_the_server_fetches_nothing_inside_the_network(server: Running, store: Store, url: str) -> None:
    with client_of(server, "anna") as anna:
        made = anna.post("/v1/webhooks", json={"url": url})
        if made.status_code == 201:
            anna.post(f"/v1/webhooks/{made.json()['id']}/test")
            work(store)
            (job,) = [one for one in store.queue.jobs() if one.kind == NOTIFY]
            assert job.state == "dead"
        else:
            assert made.status_code == 422


def test_8_nothing_is_open_that_should_be_shut(server: Running) -> None:
    with client_of(server, "anna") as anna:
        plain = anna.get("/v1/versions")
        foreign = anna.options(
            "/v1/versions", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
        )
        broken = anna.post("/v1/worlds", content=b"\xff\xfe{", headers=_JSON)
        trace = anna.request("TRACE", "/v1/versions")

    for one in (foreign, plain):
        assert "access-control-allow-origin" not in one.headers
    assert plain.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in plain.headers["content-security-policy"]
    assert "Traceback" not in broken.text
    assert broken.status_code in {400, 422}
    assert trace.status_code == 405
    assert httpx.get(f"{server.url}/docs").status_code == 404


def test_9_every_route_under_v1_is_in_the_description(server: Running) -> None:
    described = set(httpx.get(f"{server.url}/openapi.json").json()["paths"])
    served = {route.path for route in every_route(server.app.routes) if route.path.startswith("/v1")}

    assert served
    assert served <= described
    assert not [path for path in described if path.startswith(("/v0", "/v2", "/internal", "/debug"))]


def test_10_what_other_servers_answer_is_neither_followed_nor_believed(
    store: Store, receiver: Receiver
) -> None:
    webhook, _ = create_webhook(store, "anna", receiver.url)
    receiver.answers = [302, 302, 302]
    with store.writing() as tx:
        queue_message(tx, find_webhook(tx.connection, webhook), "one", "webhook.test", {})
    work(store, times=3)

    with store.reading() as connection:
        statuses = [one.status for one in deliveries(connection, webhook)]
    assert statuses == [302, 302, 302]  # the Location, an address inside the network, was not gone to
    assert "done" not in [one.state for one in store.queue.jobs(webhook)]  # it is tried again later


_JSON = {"Content-Type": "application/json"}
