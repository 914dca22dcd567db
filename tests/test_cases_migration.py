"""A store from before cases: what waited for a person has a case after the update."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

import moderation.migrations
from moderation.cases import queue
from moderation.cases.reasons import Reason
from moderation.store import open_store
from moderation.store.database import Database, database_url
from tests.case_worlds import ANNA

BEFORE = "0008"


def test_what_waited_for_a_person_has_a_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Database(database_url(tmp_path))
    config = Config()
    config.set_main_option("script_location", str(Path(moderation.migrations.__file__).parent))
    config.attributes["engine"] = old._engine
    command.upgrade(config, BEFORE)
    with old.writing() as connection:
        connection.exec_driver_sql("INSERT INTO worlds VALUES ('w', 'Title', 0, 'kim')")
        for version, state in (("v1", "needs_review"), ("v2", "suspended"), ("v3", "published")):
            connection.exec_driver_sql(
                "INSERT INTO versions (id, world, creator, prompt, spec, package, state, revision, created, "
                f"updated) VALUES ('{version}', 'w', 'kim', '', '{{}}', '', '{state}', 3, 5, 9)"
            )
    old.close()

    store = open_store(tmp_path)

    found = {one.version: one for one in queue.waiting(store)}
    assert {version: one.reason for version, one in found.items()} == {
        "v1": Reason.POLICY,
        "v2": Reason.SUSPENDED,
    }
    assert queue.claim(store, ANNA, found["v2"].id).holder == "anna"
