"""What policy authors program against: checking a draft, keeping it, backtests, and promotion by two."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedapi.workbench import START
from moderation.accounts import create_account, create_key
from moderation.policy_changes.promotion import live
from moderation.store import Store
from moderation.store.bundles import policy_log
from tests.changing_worlds import LOOSER, STRICTER, decided, slur
from tests.feed_home import Running, running

pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "home") as here:
        for account, role in (("ada", "policy_author"), ("grace", "policy_author"), ("mia", "moderator")):
            create_account(here.services.store, account, [role])
        yield here


@pytest.fixture
def store(server: Running) -> Store:
    return server.services.store


@contextmanager
def client(server: Running, account: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {create_key(server.services.store, account)}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as made:
        yield made


@pytest.fixture
def ada(server: Running) -> Iterator[httpx.Client]:
    with client(server, "ada") as made:
        yield made


@pytest.fixture
def grace(server: Running) -> Iterator[httpx.Client]:
    with client(server, "grace") as made:
        yield made


def draft(text: str, **more: str) -> dict[str, Any]:
    files = {"policy.yaml": text, **{name.replace("__", "."): words for name, words in more.items()}}
    return {"files": files, "entry": "policy.yaml" if len(files) == 1 else "."}


def check(ada: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = ada.post("/v1/policy-checks", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def kept(ada: httpx.Client, text: str) -> str:
    answer = ada.post("/v1/policies", json=draft(text))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["sha256"])


def held_against_all(ada: httpx.Client, sha256: str) -> None:
    assert ada.post(f"/v1/policies/{sha256}/backtests").status_code == 202
    end = time.monotonic() + 60
    while (state := ada.get(f"/v1/policies/{sha256}/backtests").json())["state"] == "running":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert state == {"state": "done", "error": ""}


def test_a_fault_names_file_line_column_and_what_to_do(ada: httpx.Client) -> None:
    found = check(ada, draft(LOOSER.replace("[slurs]", "[slurz]")))

    (fault,) = found["faults"]
    assert (fault["file"], fault["line"]) == ("policy.yaml", 6)
    assert fault["column"] > 1
    assert "slurz" in fault["problem"]
    assert "slurs" in fault["remedy"]
    assert found["rules"] == []


def test_yaml_that_is_none_is_said_where_it_breaks(ada: httpx.Client) -> None:
    (fault,) = check(ada, draft("bundle: [a\nversion: 1\n"))["faults"]

    assert (fault["file"], fault["line"]) == ("policy.yaml", 2)
    assert "/" not in fault["problem"], "no path of the server is told"


def test_a_draft_is_read_as_prose_with_its_test_cases_and_differences(ada: httpx.Client) -> None:
    found = check(ada, draft(START))

    assert found["faults"] == []
    assert [(one["name"], one["passes"]) for one in found["tests"]] == [
        ("a slur that is read for sure", True)
    ]
    (slurs,) = [one for one in found["rules"] if one["id"] == "slurs"]
    assert any("A world is rejected if" in sentence for sentence in slurs["words"])
    assert any("slurs" in one and "0.85" in one for one in found["changes"])


def test_a_test_case_that_fails_is_a_fault_at_its_place(ada: httpx.Client) -> None:
    found = check(
        ada,
        draft(START.replace("expect: rejected", "expect: cleared").replace("fired: [slurs]", "fired: []")),
    )

    (fault,) = found["faults"]
    assert "expects cleared but got rejected" in fault["problem"]
    assert fault["line"] == START[: START.index("a slur that is read")].count("\n") + 1
    assert [one["passes"] for one in found["tests"]] == [False]


def test_a_bundle_of_several_files_is_one(ada: httpx.Client) -> None:
    head, tests = START.split("\ntests:")

    found = check(ada, draft(head, tests__yaml=f"tests:{tests}"))

    assert found["faults"] == []
    assert len(found["tests"]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LOOSER.replace("extends: default", "extends: ../../../../etc"), "is not in the draft"),
        (LOOSER.replace("extends: default", "extends: /etc/passwd"), "is not in the draft"),
        (LOOSER + "\nregions: &a {alps: [AT]}\nquotas: *a\n", "may not use YAML aliases"),
    ],
)
def test_a_draft_reads_nothing_but_itself(ada: httpx.Client, text: str, said: str) -> None:
    (fault,) = check(ada, draft(text))["faults"]

    assert said in fault["problem"]


@pytest.mark.parametrize(
    "name", ["../policy.yaml", "/etc/policy.yaml", "a/../../b.yaml", "policy.txt", ".yaml"]
)
def test_a_file_lies_within_the_draft(ada: httpx.Client, name: str) -> None:
    body = {"files": {name: LOOSER}, "entry": "."}

    assert ada.post("/v1/policy-checks", json=body).status_code == 422
    assert ada.post("/v1/policies", json=body).status_code == 422


@pytest.mark.parametrize("value", ["2020-99-99", "!!int x", "1" * 5000, "[" * 3000])
def test_what_yaml_cannot_read_is_a_fault(ada: httpx.Client, value: str) -> None:
    (fault,) = check(ada, draft(f"bundle: {value}\n"))["faults"]

    assert fault["file"] == "policy.yaml"
    assert fault["remedy"]


def test_no_file_is_a_folder_as_well(ada: httpx.Client) -> None:
    body = {"files": {"a.yaml": LOOSER, "a.yaml/b.yaml": LOOSER}, "entry": "."}

    assert ada.post("/v1/policy-checks", json=body).status_code == 422


def test_an_entry_that_is_elsewhere_is_refused(ada: httpx.Client) -> None:
    body = draft(LOOSER) | {"entry": "a/../../../etc"}

    (fault,) = check(ada, body)["faults"]

    assert "no such file" in fault["problem"]


def test_only_what_loads_is_kept(ada: httpx.Client) -> None:
    answer = ada.post("/v1/policies", json=draft(LOOSER.replace("[slurs]", "[slurz]")))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["line"] == 6
    names = [one["name"] for one in ada.get("/v1/policies").json()["items"]]
    assert "looser 1" not in names


def test_a_draft_that_was_kept_can_be_written_on(ada: httpx.Client) -> None:
    sha256 = kept(ada, LOOSER)

    text = ada.get(f"/v1/policies/{sha256}/draft").json()

    assert check(ada, text)["sha256"] == sha256
    assert kept(ada, LOOSER) == sha256, "the same content is one bundle"


def test_two_people_bring_a_bundle_from_a_draft_to_the_live_one(
    ada: httpx.Client, grace: httpx.Client, store: Store
) -> None:
    decided(store, "rude", slur())
    decided(store, "calm")
    sha256 = kept(ada, LOOSER)
    path = f"/v1/policies/{sha256}"
    too_soon = grace.post(f"{path}/promote")
    held_against_all(ada, sha256)
    proposed = ada.post(f"{path}/shadow").json()
    own = ada.post(f"{path}/promote")
    promoted = grace.post(f"{path}/promote").json()

    assert (too_soon.status_code, own.status_code) == (409, 409)
    assert "somebody else has to promote it" in own.json()["detail"]
    assert (proposed["status"], proposed["proposer"]) == ("shadow", "ada")
    assert proposed["backtest"]["newly"] == {"blocked": 0, "sent_to_review": 0, "cleared": 1, "to_explore": 0}
    assert proposed["backtest"]["current"]
    assert promoted["bundle"]["status"] == "live"
    assert promoted["queued"] == 2
    assert live(store).sha256 == sha256
    with store.reading() as connection:
        assert (sha256, "shadow", "live", "grace") in policy_log(connection)


def test_a_shadow_is_withdrawn(ada: httpx.Client) -> None:
    path = f"/v1/policies/{kept(ada, STRICTER)}"
    ada.post(f"{path}/shadow")

    assert ada.post(f"{path}/withdraw").json()["status"] == "retired"
    assert ada.post(f"{path}/withdraw").status_code == 409


def test_nobody_but_policy_authors_changes_policies(server: Running, ada: httpx.Client) -> None:
    path = f"/v1/policies/{kept(ada, LOOSER)}"
    with client(server, "mia") as mia:
        refused = [
            mia.post("/v1/policy-checks", json=draft(LOOSER)),
            mia.post("/v1/policies", json=draft(LOOSER)),
            mia.get("/v1/policies"),
            *(mia.post(f"{path}/{deed}") for deed in ("backtests", "shadow", "withdraw", "promote")),
        ]

    assert {one.status_code for one in refused} == {403}
    assert httpx.get(f"{server.url}/v1/policies").status_code == 401
    assert ada.get(f"/v1/policies/{'0' * 64}").status_code == 404
