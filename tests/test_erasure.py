"""What is erased is gone from every file and every row; what must stay, stays."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.types import JSON, LargeBinary, String
from typer.testing import CliRunner

import moderation.migrations
from moderation import cli
from moderation.blobs import BLOBS_VARIABLE
from moderation.cases.reasons import Reason
from moderation.erasure import DAY, due, erase, read_periods, retain
from moderation.states import WorldState
from moderation.store import Conflict, Evidence, NotFound, StillOpen, Store, cases, open_store
from moderation.store.accounts import Key, add_account, add_key, add_upload, answer_request, claim_request
from moderation.store.erasing import ERASED, KEPT
from moderation.store.live import live_reports
from moderation.store.tables import metadata
from moderation.store.webhooks import Webhook, add_webhook, queue_message
from policies.types import Coverage
from tests.changing_worlds import decided, slur
from tests.test_blobs import bucket, s3
from tests.test_store import playthrough

__all__ = ["bucket", "s3"]
MARKERS = (
    "qzprompt", "qztitle", "qzpackage", "qzsign", "qzread", "qzclip", "qzheard", "qzcreator", "qzreason",
    "qzhook", "qzlabel", "qzplea",
)  # fmt: skip
pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Store:
    return open_store(home)


def plant(store: Store, version: str, creator: str = "qzcreator", title: str = "qztitle") -> None:
    """A version whose every part says one of the markers, in every table and place that can hold it."""
    decision = decided(store, version, slur(text="qzread"), creator=creator, title=title)
    package, clip = store.blobs.put(b"qzpackage " + version.encode()), store.blobs.put(b"qzclip")
    shown = Evidence("slurs", "f1", "p1", 1.0, 2.0, clip, ((1.5, clip),), "read qzread", reproduced=True)
    with store.writing() as tx:
        tx.connection.execute(
            text("UPDATE versions SET prompt = 'qzprompt', spec = :spec, package = :package WHERE id = :id"),
            {"spec": '{"objects": [{"text": "qzsign"}]}', "package": package, "id": version},
        )
        exploration = f"e2-{version}"
        tx.add_exploration(exploration, version, 8, "simulator", "m", {})
        tx.explored(exploration, Coverage(), {"scenes": ["qzread"]}, [playthrough()])
        tx.add_piece(exploration, "play", 0, {"heard": "qzheard"}, store.blobs.put(b"qzclip frames"))
        tx.add_piece(exploration, "audit", 0, {"picture": [3, 2]})
        tx.add_decision(
            version, exploration, replace(decision, reasons=("it says qzread",)), Coverage(), [shown]
        )
        tx.transition(version, WorldState.DECIDING, "policy", "it says qzreason")
        tx.transition(version, WorldState.REJECTED, creator, "qzreason again")
        tx.enqueue("decide", version, f"decide:{version}")
        cases.complain(tx.connection, cases.open_case(tx.connection, version, Reason.QUALITY), "qzplea")
        tx.connection.execute(
            live_reports.insert().values(
                key=version, version=version, kind="player", session="s", exploration=exploration,
                playthrough="p", step=1, rules=["slurs"], reasons=["qzread"], at=0.0,
                picture=store.blobs.put(b"qzclip of a report " + version.encode()),
            )
        )  # fmt: skip
        hook = Webhook("hook", creator, "https://qzhook.example", 0.0, None)
        if add_account(tx.connection, creator, ["creator"]):
            add_key(tx.connection, Key("key", creator, frozenset(), "qzlabel", 0.0, None, None), "0" * 64)
            add_webhook(tx.connection, hook.id, creator, hook.url)
            add_upload(tx.connection, creator, store.blobs.put(b"qzclip, just uploaded"), 21)
        queue_message(tx, hook, version, "version.rejected", {"version": version, "reason": "qzreason"})
        claim_request(tx.connection, creator, f"key-{version}", "fingerprint")
        answer_request(tx.connection, creator, f"key-{version}", {"id": version, "title": "qztitle"})
    job = store.queue.claim("worker", 30, [version])
    assert job is not None
    store.queue.fail(job, "ValueError: qzread", 0, limit=0)
    report = store.home / "report" / "media"
    report.mkdir(parents=True, exist_ok=True)
    (report / "clip.mp4").write_bytes(b"qzclip")
    (store.home / "checkpoints").mkdir(exist_ok=True)
    (store.home / "checkpoints" / f"e2-{version}.npz").write_bytes(b"qzclip")
    (store.home / "device" / "model").mkdir(parents=True, exist_ok=True)
    (store.home / "device" / "model" / f"{version}.bin").write_bytes(b"qzclip")


def left_in_rows(store: Store, *tables: str) -> set[str]:
    """Markers that any column of any row (of some tables, or of all) still says."""
    found: set[str] = set()
    with store.reading() as connection:
        for table in tables or [table.name for table in metadata.sorted_tables]:
            for row in connection.execute(text(f"SELECT * FROM {table}")):
                said = " ".join(_said(value) for value in row)
                found |= {f"{table}: {marker}" for marker in MARKERS if marker in said}
    return found


def _said(value: object) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


def left_in_files(*folders: Path) -> set[str]:
    """Files, the database's own among them, in whose bytes any marker still is."""
    return {
        f"{path.name}: {marker}"
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
        for marker in MARKERS
        if marker.encode() in path.read_bytes()
    }


def left_in_blobs(store: Store) -> set[str]:
    return {m for kept in store.blobs.kept() for m in MARKERS if m.encode() in store.blobs.read(kept.sha256)}


@pytest.mark.parametrize("how", ["creator", "world"])
def test_nothing_of_a_creator_is_left_anywhere(store: Store, home: Path, tmp_path: Path, how: str) -> None:
    plant(store, "v1")
    plant(store, "v2")
    assert {name.partition(": ")[2] for name in left_in_rows(store)} == set(MARKERS) - {"qzpackage", "qzclip"}
    assert left_in_files(home)

    done = erase(store, "grace", **{how: "qzcreator" if how == "creator" else "qztitle"})

    assert set(done.versions) == {"v1", "v2"}
    theirs = set() if how == "creator" else {"qzcreator", "qzhook", "qzlabel"}
    assert {name.partition(": ")[2] for name in left_in_rows(store)} == theirs, "an account outlives a world"
    assert {name.partition(": ")[2] for name in left_in_files(home, tmp_path)} <= theirs
    assert left_in_blobs(store) == set()


def test_nothing_is_left_in_a_bucket(bucket: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BLOBS_VARIABLE, bucket)
    store = open_store(home)
    plant(store, "v1")
    assert left_in_blobs(store) == {"qzpackage", "qzclip"}

    erase(store, "grace", creator="qzcreator")

    assert left_in_blobs(store) == set()


def test_the_skeleton_of_the_audit_stays(store: Store) -> None:
    plant(store, "v1")
    before = store.history("v1")

    erase(store, "grace", creator="qzcreator")

    after = store.history("v1")
    assert [(e.to_state, e.policy_hash) for e in after[:-1]] == [(e.to_state, e.policy_hash) for e in before]
    assert {e.reason for e in after[:-1]} == {"(erased)"}
    assert (after[-1].to_state, after[-1].actor) == ("erased", "grace")
    for stored in store.decisions("v1"):
        assert [one.rule for one in stored.decision.fired] == ["slurs"]
        assert stored.decision.policy_hash
    assert store.results("audit") == [{"picture": [3, 2]}], "counts for the whole store"


def test_what_is_somebody_elses_stays(store: Store) -> None:
    shared = store.blobs.put(b"the same picture")
    plant(store, "v1")
    decided(store, "theirs", creator="bob")
    with store.writing() as tx:
        for version in ("v1", "theirs"):
            tx.set_thumbnail(version, shared)

    erase(store, "grace", creator="qzcreator")

    assert store.blobs.read(shared) == b"the same picture"
    assert [one.id for one in store.published()] == ["theirs"]
    assert store.version("theirs").creator == "bob"


def test_an_address_that_says_the_title_goes_and_remixes_follow(store: Store) -> None:
    plant(store, "v1")
    decided(store, "remix", creator="bob", remix_of="qztitle")

    erase(store, "grace", creator="qzcreator")

    parent = store.version("remix").remix_of
    assert parent is not None
    assert parent.startswith("erased-")
    assert [one.id for one in store.find_versions(parent)] == ["v1"]


def test_an_erased_world_is_out_of_the_feed_and_cannot_come_back(store: Store) -> None:
    decided(store, "calm")
    assert store.published()

    erase(store, "grace", creator="ada")

    assert store.published() == []
    with pytest.raises(NotFound, match="was erased"):
        store.compile_version("calm")
    with pytest.raises(Conflict, match="was erased"), store.writing() as tx:
        tx.submit("calm", "calm", "calm", "", {}, "blob", None)


def test_the_log_says_the_same_as_the_words_it_sealed(store: Store) -> None:
    from moderation.store.transaction import sealed

    plant(store, "v1")

    with store.reading() as connection:
        query = "SELECT reason, salt, text FROM events JOIN event_reasons ON event = id"
        rows = connection.execute(text(query)).all()
    assert all(row.reason == sealed(row.salt, row.text) for row in rows)
    assert len(rows) == len(store.history("v1"))


@pytest.mark.parametrize("table", ["events", "erasures"])
def test_no_log_can_be_changed_even_after_an_erasure(store: Store, table: str) -> None:
    plant(store, "v1")
    erase(store, "grace", creator="qzcreator")

    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET actor = ''"):
        with pytest.raises(IntegrityError, match="append-only"), store.writing() as tx:
            tx.connection.exec_driver_sql(statement)


def test_every_column_that_can_hold_words_is_either_kept_or_erased() -> None:
    def named(where: dict[str, str], table: str, column: str) -> bool:
        return where.get(table) == "*" or column in where.get(table, "").split()

    holds = (String, JSON, LargeBinary)
    columns = [
        (t.name, c.name) for t in metadata.sorted_tables for c in t.columns if isinstance(c.type, holds)
    ]

    undecided = [one for one in columns if not named(dict(KEPT), *one) and not named(dict(ERASED), *one)]
    assert undecided == [], "name them in moderation/store/erasing.py, and erase what is a creator's"


def test_nobody_of_that_name_is_said_to_be_so(store: Store) -> None:
    with pytest.raises(NotFound, match="nobody"):
        erase(store, "grace", creator="nobody")


# -- retention ----------------------------------------------------------------------------------------


def test_each_kind_goes_when_its_time_is_over(store: Store) -> None:
    plant(store, "v1")
    periods = read_periods()
    now = time.time()

    def left(days: float) -> set[str]:
        retain(store, periods, now + days * DAY)
        return {name.partition(": ")[2] for name in left_in_rows(store)} | left_in_blobs(store)

    everything = left(179)
    assert everything == set(MARKERS)
    without_recordings = left(181)
    assert "qzheard" not in without_recordings
    assert left_in_blobs(store) == {"qzpackage", "qzclip"}, "an upload has its own, shorter time"
    assert "qzpackage" in without_recordings
    without_media = left(366)
    assert not {"qzprompt", "qzpackage", "qzsign"} & without_media
    assert "qzread" in without_media
    assert left(731) - {"qzhook", "qzlabel", "qzclip"} == {"qztitle", "qzcreator"}, (
        "whose it was stays until they wish otherwise"
    )
    assert due(store, periods, now + 800 * DAY) == []


def test_what_players_see_and_what_is_quarantined_is_kept(store: Store) -> None:
    decided(store, "calm")
    decided(store, "rude", slur())
    with store.writing() as tx:
        tx.transition("rude", WorldState.QUARANTINED, "grace", "by order")

    assert retain(store, read_periods(), time.time() + 9_999 * DAY) == []


def test_the_commands_erase_and_say_how_much(store: Store, home: Path, tmp_path: Path) -> None:
    plant(store, "v1")
    periods = tmp_path / "periods.yaml"
    periods.write_text("- {kind: recordings, days: -1, states: [rejected]}")
    app = typer.Typer()
    cli.register(app)

    def do(*words: str, code: int = 0) -> str:
        ran = CliRunner().invoke(app, [*words, "--home", str(home)])
        assert ran.exit_code == code, ran.output
        return ran.output

    assert "nothing was erased" in do("retain", "--dry-run", "--periods", str(periods))
    assert "qztitle (v1): recordings" in do("retain", "--periods", str(periods))
    assert "erased 1 versions" in do("erase", "--creator", "qzcreator", "--as", "grace")
    assert "give either" in do("erase", "--as", "grace", code=2)
    assert "nothing of 'qzcreator'" in do("erase", "--creator", "qzcreator", "--as", "grace", code=2)
    assert "removed 0 blobs" in do("store", "collect")


def test_periods_that_cannot_be_read_are_refused(store: Store, home: Path, tmp_path: Path) -> None:
    periods = tmp_path / "periods.yaml"
    periods.write_text("- {kind: everything, days: 1, states: [rejected]}")
    app = typer.Typer()
    cli.register(app)

    ran = CliRunner().invoke(app, ["retain", "--periods", str(periods), "--home", str(home)])

    assert ran.exit_code == 2
    assert "everything" in ran.output


def test_a_reader_that_keeps_the_log_open_is_named(store: Store, home: Path) -> None:
    if store.database.kind != "sqlite":
        return
    plant(store, "v1")
    path = store.database.url.database
    assert path is not None
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM versions").fetchone()

    with pytest.raises(StillOpen, match="stop servers and workers"):
        store.database.scrub(patience=0.1)
    reader.close()


def test_reasons_of_before_are_sealed_when_a_store_is_brought_up_to_date(store: Store) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(moderation.migrations.__file__).parent))
    config.attributes["engine"] = store.database._engine
    plant(store, "v1")
    before = store.history("v1")

    command.downgrade(config, "0008")
    assert "events: qzreason" in left_in_rows(store, "events")
    command.upgrade(config, "head")

    assert "qzreason" not in "".join(left_in_rows(store, "events"))
    assert store.history("v1") == before
    with pytest.raises(IntegrityError, match="append-only"), store.writing() as tx:
        tx.connection.exec_driver_sql("DELETE FROM events")
