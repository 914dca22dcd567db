"""Who may do what: keys, roles, sessions, and how much anybody may ask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from feedapi.bounds import USUAL_BYTES
from feedapi.identity import COOKIE
from moderation.accounts import (
    BadAccount,
    NotAllowed,
    check_key,
    check_sign_in,
    create_account,
    create_key,
    operator_key,
    sign_in,
    sign_out,
)
from moderation.store import NotFound, Store, accounts, open_store
from tests.feed_home import Running, running


@pytest.fixture
def store(each_database: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("people") / "home") as here:
        create_account(here.services.store, "olga", ["operator"])
        create_account(here.services.store, "anna", ["creator"])
        yield here


def client_of(server: Running, account: str) -> httpx.Client:
    key = create_key(server.services.store, account)
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"})


def test_a_key_proves_who_is_asking_and_what_they_may_do(store: Store) -> None:
    create_account(store, "anna", ["creator", "moderator"])

    whole = check_key(store, create_key(store, "anna"))
    part = check_key(store, create_key(store, "anna", ["worlds"]))

    assert (whole.account, whole.scopes) == ("anna", {"worlds", "cases"})
    assert part.scopes == {"worlds"}


def test_secrets_are_not_in_the_store(store: Store, tmp_path: Path) -> None:
    create_account(store, "anna", ["creator"])
    key = create_key(store, "anna")
    cookie, _ = sign_in(store, key)

    with store.reading() as connection:
        kept = accounts.credential_of_key(connection, key.split("_")[1])
    assert kept is not None
    for secret in (key.rpartition("_")[2], key.split("_", 2)[2], cookie):
        assert secret not in repr(kept)
        assert not [p for p in tmp_path.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]


@pytest.mark.parametrize("key", ["", "fp_", "fp__", "nonsense", "fp_000000000000_secret", "xx_a_b"])
def test_a_key_that_is_none_is_refused(store: Store, key: str) -> None:
    with pytest.raises(NotAllowed):
        check_key(store, key)


def test_a_key_is_good_only_with_its_own_secret(store: Store) -> None:
    create_account(store, "anna", ["creator"])
    one, other = create_key(store, "anna"), create_key(store, "anna")
    mixed = "_".join([*one.split("_", 2)[:2], other.split("_", 2)[2]])

    with pytest.raises(NotAllowed):
        check_key(store, mixed)


def test_a_revoked_an_expired_and_a_disabled_key_are_refused_in_the_same_words(store: Store) -> None:
    create_account(store, "anna", ["creator"])
    create_account(store, "ben", ["creator"])
    revoked, expired, disabled = (
        create_key(store, "anna"),
        create_key(store, "anna", lifetime=-1.0),
        create_key(store, "ben"),
    )
    with store.writing() as tx:
        accounts.revoke(tx.connection, "anna", revoked.split("_")[1])
        accounts.disable(tx.connection, "ben")

    said = set()
    for key in (revoked, expired, disabled, "fp_unknown_key"):
        with pytest.raises(NotAllowed) as error:
            check_key(store, key)
        said.add(str(error.value))
    assert len(said) == 1


def test_a_role_that_is_taken_away_is_gone_at_once(store: Store) -> None:
    create_account(store, "anna", ["creator", "moderator"])
    key = create_key(store, "anna")
    with store.writing() as tx:
        accounts.set_roles(tx.connection, "anna", ["creator"])

    assert check_key(store, key).scopes == {"worlds"}


def test_nobody_gets_a_key_for_more_than_they_may(store: Store) -> None:
    create_account(store, "anna", ["creator"])

    with pytest.raises(BadAccount, match="operate"):
        create_key(store, "anna", ["operate"])
    with pytest.raises(BadAccount, match="no role 'king'"):
        create_account(store, "otto", ["king"])
    with pytest.raises(BadAccount, match="An na"):
        create_account(store, "An na", ["creator"])
    with pytest.raises(BadAccount, match="already"):
        create_account(store, "anna", ["creator"])
    with pytest.raises(NotFound):
        create_key(store, "nobody")


def test_a_session_ends_when_it_is_signed_out(store: Store) -> None:
    create_account(store, "mod", ["moderator"])
    cookie, who = sign_in(store, create_key(store, "mod"))

    assert check_sign_in(store, cookie) == who
    sign_out(store, cookie)
    with pytest.raises(NotAllowed, match="sign in again"):
        check_sign_in(store, cookie)


def test_the_first_start_makes_an_operator_whose_key_only_the_owner_can_read(store: Store) -> None:
    path = operator_key(store.home, store)
    again = operator_key(store.home, store)

    assert path.stat().st_mode & 0o077 == 0
    assert check_key(store, again.read_text().strip()).may("operate")
    with store.reading() as connection:
        assert len(accounts.keys(connection, "operator")) == 1


def test_accounts_and_keys_are_made_revoked_and_ended_over_the_api(server: Running) -> None:
    with client_of(server, "olga") as olga:
        made = olga.post("/v1/accounts", json={"id": "carl", "roles": ["creator"]})
        key = olga.post("/v1/accounts/carl/keys", json={"label": "laptop"}).json()["key"]
        carl = {"Authorization": f"Bearer {key}"}
        before = httpx.get(f"{server.url}/v1/me", headers=carl)
        listed = olga.get("/v1/accounts/carl/keys").json()["items"]
        olga.delete(f"/v1/accounts/carl/keys/{listed[0]['id']}")
        after = httpx.get(f"{server.url}/v1/me", headers=carl)
        ended = olga.delete("/v1/accounts/carl")

    assert made.status_code == 201
    assert (before.status_code, before.json()["account"]) == (200, "carl")
    assert key not in str(listed)
    assert (after.status_code, ended.status_code) == (401, 204)


def test_a_creator_makes_keys_for_themselves_only_and_only_as_strong(server: Running) -> None:
    with client_of(server, "anna") as anna:
        mine = anna.post("/v1/accounts/anna/keys", json={})
        stronger = anna.post("/v1/accounts/anna/keys", json={"scopes": ["operate"]})
        theirs = anna.post("/v1/accounts/olga/keys", json={})
        accounts_of_all = anna.get("/v1/accounts")

    statuses = [one.status_code for one in (mine, stronger, theirs, accounts_of_all)]
    assert statuses == [201, 403, 404, 403]


def test_a_page_must_prove_that_a_change_comes_from_it(server: Running) -> None:
    key = create_key(server.services.store, "olga")
    with httpx.Client(base_url=server.url) as page:
        signed = page.post("/v1/sign-in", json={"key": key})
        cookie = signed.headers["set-cookie"]
        reads = page.get("/v1/accounts")
        forged = page.post("/v1/accounts", json={"id": "eve", "roles": ["operator"]})
        meant = page.post(
            "/v1/accounts",
            json={"id": "fred", "roles": ["creator"]},
            headers={"X-CSRF-Token": signed.json()["csrf"]},
        )

    assert re.search(rf"{COOKIE}=.*HttpOnly.*SameSite=strict", cookie, re.IGNORECASE)
    assert (reads.status_code, meant.status_code) == (200, 201)
    assert (forged.status_code, forged.json()["type"]) == (403, "/problems/csrf")


def test_whoever_asks_too_often_waits(tmp_path: Path) -> None:
    with running(tmp_path / "home") as here:
        answers = [httpx.post(f"{here.url}/v1/sign-in", json={"key": "fp_a_b"}) for _ in range(12)]

    assert [one.status_code for one in answers] == [401] * 10 + [429] * 2
    assert answers[0].headers["ratelimit-remaining"] == "9"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].json()["type"] == "/problems/too-many"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: Running) -> None:
    big = b"x" * (USUAL_BYTES + 1)

    said = httpx.post(f"{server.url}/v1/sign-in", content=big)
    unsaid = httpx.post(f"{server.url}/v1/sign-in", content=iter([big]))

    for answer in (said, unsaid):
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")


def test_every_problem_leads_to_its_entry_in_the_catalogue(server: Running) -> None:
    listed = httpx.get(f"{server.url}/problems").raise_for_status().json()
    problem = httpx.get(f"{server.url}/v1/me").json()

    entry = httpx.get(server.url + problem["type"]).raise_for_status().json()
    assert entry in listed
    assert entry["remedy"].startswith("Send `Authorization")


def test_health_readiness_and_the_policy_are_public(server: Running) -> None:
    policy = httpx.get(f"{server.url}/v1/policies/current")
    again = httpx.get(f"{server.url}/v1/policies/current", headers={"If-None-Match": policy.headers["etag"]})

    assert httpx.get(f"{server.url}/healthz").json()["status"] == "ok"
    assert httpx.get(f"{server.url}/readyz").json()["ready"] is True
    assert policy.json()["guidelines"]
    assert (again.status_code, again.content) == (304, b"")
