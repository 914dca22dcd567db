"""Creators' servers are told what happened, once, signed, and never anywhere inside the network."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook as Signer
from standardwebhooks import WebhookVerificationError

from moderation.accounts import create_account, create_key
from moderation.jobs import Terms, Worker
from moderation.secret import VARIABLE, BadSecret, load_secret
from moderation.states import WorldState
from moderation.store import Store, open_store
from moderation.store.webhooks import NOTIFY, deliveries, webhooks
from moderation.webhooks import (
    ALLOW,
    BadAddress,
    check_url,
    create_webhook,
    notify,
    public_address,
    secret_of,
)
from tests.feed_home import ROADS, add_world, move, running

QUICK = Terms(lease=5.0, heartbeat=0.1, failures=3, backoff=0.01, sweep=0.02)


@dataclass
class Receiver:
    """A server that keeps what it is told, and answers as it is set to."""

    url: str
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv(ALLOW, "127.0.0.0/8")
    here = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            here.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(here.answers.pop(0) if here.answers else 204)
            self.send_header("Location", "http://169.254.169.254/latest")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.url = f"http://localhost:{server.server_port}/told"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield here
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(each_database: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    create_account(opened, "creator", ["creator"])
    yield opened
    opened.close()


def work(store: Store, times: int = 1) -> None:
    with Worker(store, {NOTIFY: notify}, terms=QUICK) as worker:
        for _ in range(200):
            times -= worker.run_one()
            if times <= 0:
                return
            time.sleep(0.02)  # a retry is due when the sweep of the second thread says so


def test_a_decision_is_told_signed_and_once(store: Store, receiver: Receiver) -> None:
    webhook, secret = create_webhook(store, "creator", receiver.url)
    version = add_world(store, "Told Meadow", "rejected")

    work(store)

    ((headers, body),) = receiver.got
    told = Signer(secret).verify(body, headers)
    assert told["type"] == "version.rejected"
    assert told["data"]["version"] == version
    assert headers["host"].startswith("localhost:")
    with store.reading() as connection:
        (delivery,) = deliveries(connection, webhook)
    assert (delivery.status, delivery.error) == (204, None)
    assert [job.state for job in store.queue.jobs(webhook)] == ["done"]


def test_a_message_that_was_changed_on_the_way_is_not_ours(store: Store, receiver: Receiver) -> None:
    _, secret = create_webhook(store, "creator", receiver.url)
    add_world(store, "Told Meadow", "rejected")
    work(store)

    headers, body = receiver.got[0]
    with pytest.raises(WebhookVerificationError):
        Signer(secret).verify(body.replace(b"rejected", b"published"), headers)


def test_what_was_rolled_back_is_never_told(store: Store, receiver: Receiver) -> None:
    create_webhook(store, "creator", receiver.url)
    version = add_world(store, "Undone Meadow", "exploring")

    def interrupted() -> None:
        with store.writing() as tx:
            for state in ROADS["rejected"][2:]:
                tx.transition(version, WorldState(state), "policy", "on")
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="power"):
        interrupted()

    assert store.queue.jobs() == []


def test_a_receiver_that_fails_is_told_again_with_the_same_id(store: Store, receiver: Receiver) -> None:
    webhook, _ = create_webhook(store, "creator", receiver.url)
    receiver.answers = [500, 302]
    add_world(store, "Repeated Meadow", "rejected")

    work(store, times=3)

    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    with store.reading() as connection:
        assert [one.status for one in deliveries(connection, webhook)] == [204, 302, 500]


def test_a_receiver_that_is_gone_is_told_no_more(store: Store, receiver: Receiver) -> None:
    create_webhook(store, "creator", receiver.url)
    receiver.answers = [410]
    version = add_world(store, "Gone Meadow", "rejected")
    work(store)
    move(store, version, ["exploring", "scanning", "deciding", "needs_review"])

    assert len(store.queue.jobs()) == 1
    with store.reading() as connection:
        assert "410" in (webhooks(connection, "creator")[0].disabled or "")


def test_nobody_is_told_of_anothers_worlds(store: Store, receiver: Receiver) -> None:
    create_account(store, "other", ["creator"])
    create_webhook(store, "other", receiver.url)
    add_world(store, "Mine Meadow", "rejected")

    assert store.queue.jobs() == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.1.2.3/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://0.0.0.0/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
    ],
)
def test_no_message_goes_inside_the_network(store: Store, url: str) -> None:
    webhook, _ = create_webhook(store, "creator", url)
    add_world(store, "Inside Meadow", "rejected")

    work(store)

    (job,) = store.queue.jobs()
    assert job.state == "dead"
    with store.reading() as connection:
        (delivery,) = deliveries(connection, webhook)
    assert delivery.status is None
    assert (delivery.error or "").startswith("refused")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "file:///etc/passwd",
        "gopher://host",
        "https://",
        "https://user:pass@host/",
        "https://host:99999/",
        "http://host/plain",
        "https://host/#part",
        "nonsense",
    ],
)
def test_an_address_that_is_none_is_refused_when_it_is_given(url: str) -> None:
    with pytest.raises(BadAddress, match=r"."):
        check_url(url)


def test_only_networks_that_the_operator_names_are_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOW, "127.0.0.2/32")

    assert public_address("127.0.0.2", 80) == "127.0.0.2"
    with pytest.raises(BadAddress, match="not public"):
        public_address("127.0.0.3", 80)


def test_webhooks_are_made_tested_and_removed_over_the_api(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "home") as here:
        create_account(here.services.store, "anna", ["creator"])
        create_account(here.services.store, "ben", ["creator"])
        anna, ben = (
            httpx.Client(
                base_url=here.url,
                headers={"Authorization": f"Bearer {create_key(here.services.store, name)}"},
            )
            for name in ("anna", "ben")
        )
        made = anna.post("/v1/webhooks", json={"url": receiver.url}).json()
        asked = anna.post(f"/v1/webhooks/{made['id']}/test")
        work(here.services.store)
        log = anna.get(f"/v1/webhooks/{made['id']}/deliveries").json()["items"]
        foreign = [
            ben.get(f"/v1/webhooks/{made['id']}/deliveries").status_code,
            ben.post(f"/v1/webhooks/{made['id']}/test").status_code,
            ben.delete(f"/v1/webhooks/{made['id']}").status_code,
        ]
        bad = anna.post("/v1/webhooks", json={"url": "file:///etc/passwd"})
        listed = anna.get("/v1/webhooks").text
        gone = anna.delete(f"/v1/webhooks/{made['id']}")

    assert asked.status_code == 202
    assert [(one["kind"], one["status"]) for one in log] == [("webhook.test", 204)]
    assert Signer(made["secret"]).verify(receiver.got[0][1], receiver.got[0][0])["type"] == "webhook.test"
    assert foreign == [404, 404, 404]
    assert bad.status_code == 422
    assert made["secret"] not in listed
    assert gone.status_code == 204


def test_secrets_are_nowhere_stored(store: Store, receiver: Receiver) -> None:
    webhook, secret = create_webhook(store, "creator", receiver.url)
    raw = secret.removeprefix("whsec_").encode()

    assert secret_of(store, webhook) == secret
    assert not [p for p in store.home.rglob("*") if p.is_file() and raw in p.read_bytes()]


def test_processes_on_several_machines_share_the_secret_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "c" * 44)
    assert load_secret(tmp_path / "one") == load_secret(tmp_path / "other")

    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(BadSecret, match="32 bytes"):
        load_secret(tmp_path)


def test_a_body_is_compact_json_with_type_time_and_data(store: Store, receiver: Receiver) -> None:
    create_webhook(store, "creator", receiver.url)
    add_world(store, "Shaped Meadow", "rejected")
    work(store)

    told = json.loads(receiver.got[0][1])
    assert set(told) == {"type", "timestamp", "data"}
    assert set(told["data"]) == {"world", "version", "state", "reason"}
