"""Whoever looks at a case or at a recording of one is in the log, and operators can read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from moderation.accounts import create_account
from moderation.store import Evidence
from policies.cases import sufficient_coverage
from tests.case_worlds import cases_of, found, judge, machine, small_bundle, submit
from tests.feed_home import running
from tests.test_feed_creators import client_of


def test_every_look_at_a_case_and_at_its_recordings_is_logged(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path)
    with running(tmp_path / "home") as server:
        store = server.services.store
        for account, role in (("mia", "moderator"), ("boss", "operator")):
            create_account(store, account, [role])
        submit(store)
        decision = judge(bundle, found("slur", 0.6, "a bad word"))
        machine(store, bundle, decision)
        clip, other = store.blobs.put(b"a clip"), store.blobs.put(b"another world's")
        shown = Evidence("slurs", "f", "p", 1.0, 2.0, clip, (), "read", reproduced=True)
        with store.writing() as tx:
            seen = replace(decision, policy_hash="seen")
            exploration = store.version("v1").exploration or ""
            tx.add_decision("v1", exploration, seen, sufficient_coverage(bundle), [shown])
        case = cases_of(store)[-1].id

        with client_of(server, "mia") as mia, client_of(server, "boss") as boss:
            assert mia.get(f"/v1/cases/{case}").status_code == 200
            assert mia.get(f"/v1/cases/{case}/evidence/{clip}").content == b"a clip"
            assert mia.get(f"/v1/cases/{case}/evidence/{other}").status_code == 404
            assert mia.get("/v1/reads").status_code == 403
            first = boss.get("/v1/reads?account=mia&limit=1").raise_for_status().json()
            rest = boss.get(f"/v1/reads?before={first['next']}").raise_for_status().json()
            nobody = boss.get(f"/v1/reads?version={'0' * 64}").raise_for_status().json()

    items = first["items"] + rest["items"]
    assert [one["what"] for one in items] == [f"case {case}, {clip}", f"case {case}"]
    assert {(one["account"], one["version"]) for one in items} == {("mia", "v1")}
    assert (rest["next"], nobody["items"]) == (None, [])
