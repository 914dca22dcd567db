"""What a change of policy goes through: held against all that is stored, in the shadow, by two people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner

from moderation import cli, pipeline
from moderation.policy_changes.backtest import backtest, keep_backtest
from moderation.policy_changes.bundles import BundleLost, keep, live_bundle, stored_bundle
from moderation.policy_changes.promotion import NotYet, live, promote, shadow
from moderation.store import Store, open_store
from moderation.store.bundles import find_bundle, policy_log
from policies.bundle import Bundle, load_bundle
from policies.types import Verdict
from tests.changing_worlds import LOOSER, STRICTER, decided, slur

pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    cli.register(app)
    return app


def proposed(store: Store, folder: Path, text: str) -> Bundle:
    path = folder / f"{abs(hash(text))}.yaml"
    path.write_text(text)
    bundle = load_bundle(path)
    with store.writing() as tx:
        keep(tx, bundle, path)
    return bundle


def held_against_live(store: Store, bundle: Bundle) -> int:
    with store.reading() as connection:
        stored = find_bundle(connection, bundle.sha256)
    return keep_backtest(store, backtest(store, stored, live(store), processes=1))


def test_a_backtest_says_who_would_newly_be_cleared_and_by_which_rule(store: Store, tmp_path: Path) -> None:
    assert decided(store, "rude", slur()).verdict is Verdict.REJECTED
    assert decided(store, "calm").verdict is Verdict.CLEARED
    bundle = proposed(store, tmp_path, LOOSER)

    with store.reading() as connection:
        found = backtest(store, find_bundle(connection, bundle.sha256), live(store), processes=1)

    assert found.worlds == 2
    assert [one.version for one in found.newly(Verdict.CLEARED)] == ["rude"]
    (rule,) = found.by_rule()
    assert (rule.rule, rule.worlds) == ("slurs", {Verdict.CLEARED: ("rude",)})
    assert found.turns[0].lost == {"slurs": ("f1",)}


def test_a_backtest_in_two_processes_says_the_same_as_in_one(store: Store, tmp_path: Path) -> None:
    for number in range(120):
        decided(store, f"world-{number}", *([slur(number / 120)] if number % 2 else []))
    stricter = proposed(store, tmp_path, STRICTER)

    with store.reading() as connection:
        stored = find_bundle(connection, stricter.sha256)
    one, two = (backtest(store, stored, live(store), processes) for processes in (1, 2))

    assert one == two
    assert one.newly(Verdict.REJECTED)
    assert not one.newly(Verdict.CLEARED)


def test_deciding_stored_evidence_again_comes_to_what_was_decided(store: Store) -> None:
    decided(store, "rude", slur())
    decided(store, "calm")

    same = backtest(store, live(store), live(store), processes=1)

    assert same.turns == ()


def test_the_command_shows_worlds_with_the_findings_that_turned_them(
    store: Store, tmp_path: Path, app: typer.Typer
) -> None:
    decided(store, "rude", slur(text="you idiot"))
    path = tmp_path / "looser.yaml"
    path.write_text(LOOSER)

    told = CliRunner().invoke(app, ["policy", "backtest", str(path), "--home", str(tmp_path)])
    plain = CliRunner().invoke(app, ["policy", "backtest", str(path), "--home", str(tmp_path), "--json"])

    assert told.exit_code == 1, told.output
    assert "1 worlds: 0 newly blocked, 0 newly sent to review, 1 newly cleared" in told.output
    assert "rude: rejected -> cleared" in told.output
    assert "you idiot" in told.output
    assert json.loads(plain.output)["newly"]["cleared"] == 1


def test_a_bundle_that_is_wrong_is_refused_with_its_place(
    store: Store, tmp_path: Path, app: typer.Typer
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(LOOSER.replace("slurs", "nonesuch"))

    told = CliRunner().invoke(app, ["policy", "backtest", str(path), "--home", str(tmp_path)])

    assert told.exit_code == 2
    assert "nonesuch" in told.output


def test_promotion_needs_a_shadow_a_difference_and_a_second_person(store: Store, tmp_path: Path) -> None:
    decided(store, "rude", slur())
    bundle = proposed(store, tmp_path, LOOSER)

    with pytest.raises(NotYet, match="not a shadow"):
        promote(store, bundle.sha256, "grace")
    shadow(store, bundle.sha256, "ada")
    with pytest.raises(NotYet, match="ada proposed"):
        promote(store, bundle.sha256, "ada")
    with pytest.raises(NotYet, match="was not held against the live bundle"):
        promote(store, bundle.sha256, "grace")
    held_against_live(store, bundle)
    promoted, queued = promote(store, bundle.sha256[:10], "grace")

    assert (promoted.name, queued) == ("looser 1", 1)
    assert live(store).sha256 == bundle.sha256
    assert [job.kind for job in store.queue.jobs("rude")] == ["decide"]
    with store.reading() as connection:
        log = policy_log(connection)
    assert (bundle.sha256, "draft", "shadow", "ada") in log
    assert (bundle.sha256, "shadow", "live", "grace") in log
    assert (load_bundle().sha256, "draft", "retired", "grace") in log


def test_a_difference_from_a_bundle_that_is_no_longer_live_is_not_enough(
    store: Store, tmp_path: Path
) -> None:
    one, other = proposed(store, tmp_path, LOOSER), proposed(store, tmp_path, STRICTER)
    for bundle in (one, other):
        shadow(store, bundle.sha256, "ada")
        held_against_live(store, bundle)
    promote(store, one.sha256, "grace")

    with pytest.raises(NotYet, match="was not held against the live bundle"):
        promote(store, other.sha256, "grace")


def test_there_is_one_live_bundle(store: Store, tmp_path: Path) -> None:
    bundle = proposed(store, tmp_path, LOOSER)
    shadow(store, bundle.sha256, "ada")
    held_against_live(store, bundle)
    promote(store, bundle.sha256, "grace")

    with pytest.raises(IntegrityError), store.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE policy_bundles SET status = 'live'")


def test_worlds_stay_in_the_feed_until_they_are_decided_again_and_the_blocked_go_first(
    store: Store, tmp_path: Path
) -> None:
    decided(store, "calm")
    decided(store, "doubtful", slur(0.25))
    assert {one.id for one in store.published()} == {"calm", "doubtful"}
    bundle = proposed(store, tmp_path, STRICTER)
    shadow(store, bundle.sha256, "ada")
    held_against_live(store, bundle)

    promote(store, bundle.sha256, "grace")

    assert {one.id for one in store.published()} == {"calm", "doubtful"}
    first = store.queue.claim("worker", 30)
    assert first is not None
    assert first.subject == "doubtful"


def test_the_live_bundle_decides_unless_another_is_named(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert live_bundle(store) is None
    assert pipeline.policy_bundle(store).sha256 == load_bundle().sha256
    bundle = proposed(store, tmp_path, LOOSER)
    shadow(store, bundle.sha256, "ada")
    held_against_live(store, bundle)
    promote(store, bundle.sha256, "grace")

    assert pipeline.policy_bundle(store).sha256 == bundle.sha256
    other = tmp_path / "named.yaml"
    other.write_text(STRICTER)
    monkeypatch.setenv(pipeline.POLICY_VARIABLE, str(other))
    assert pipeline.policy_bundle(store).name == "stricter 1"


def test_a_retired_bundle_can_come_back(store: Store, tmp_path: Path) -> None:
    default, bundle = live(store).sha256, proposed(store, tmp_path, LOOSER)
    shadow(store, bundle.sha256, "ada")
    held_against_live(store, bundle)
    promote(store, bundle.sha256, "grace")

    shadow(store, default, "grace")
    held_against_live(store, load_bundle())
    promote(store, default, "ada")

    assert live(store).sha256 == default


def test_a_bundle_comes_back_from_the_store_with_all_that_it_extends(store: Store, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(LOOSER)
    heir = tmp_path / "heirs" / "heir.yaml"
    heir.parent.mkdir()
    heir.write_text(STRICTER.replace("extends: default", "extends: ../base.yaml").split("change:")[0])
    bundle = load_bundle(heir)
    with store.writing() as tx:
        keep(tx, bundle, heir)
    heir.unlink()

    assert stored_bundle(store, bundle.sha256).sha256 == bundle.sha256


def test_a_stored_bundle_that_reads_otherwise_is_not_used(store: Store, tmp_path: Path) -> None:
    from moderation.store.bundles import add_bundle

    with store.writing() as tx:
        add_bundle(tx.connection, "0" * 64, "looser 1", "a.yaml", {"a.yaml": LOOSER})

    with pytest.raises(BundleLost, match="propose and promote"):
        stored_bundle(store, "0" * 64)


@pytest.mark.parametrize("statement", ["UPDATE policy_events SET actor = ''", "DELETE FROM policy_events"])
def test_the_log_of_policies_cannot_be_changed(store: Store, tmp_path: Path, statement: str) -> None:
    shadow(store, proposed(store, tmp_path, LOOSER).sha256, "ada")

    with pytest.raises(IntegrityError, match="append-only"), store.writing() as tx:
        tx.connection.exec_driver_sql(statement)


def test_the_commands_take_a_bundle_from_a_file_to_the_live_one(
    store: Store, tmp_path: Path, app: typer.Typer
) -> None:
    decided(store, "rude", slur())
    path = tmp_path / "looser.yaml"
    path.write_text(LOOSER)

    def do(*words: str) -> str:
        ran = CliRunner().invoke(app, ["policy", *words, "--home", str(tmp_path)])
        assert ran.exit_code in (0, 1), ran.output
        return ran.output

    do("backtest", str(path))
    do("shadow", str(path), "--as", "ada")
    sha256 = load_bundle(path).sha256
    assert "ada proposed" in do("promote", sha256, "--as", "ada")
    assert "0 decisions beside the live bundle" in do("differences", sha256)
    assert "looser 1 is live" in do("promote", sha256[:12], "--as", "grace")
    listed = do("bundles")

    assert f"{sha256[:12]}  live" in listed
    assert "retired" in listed
