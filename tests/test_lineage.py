"""A world passes on doubts and tests to its remixes, never clearance."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from moderation import cli
from moderation.blobs import Folder
from moderation.cases import queue
from moderation.cases.concluding import conclude
from moderation.cases.decide import Choice, decide
from moderation.cases.reasons import Outcome
from moderation.collect import collect
from moderation.erasure import erase
from moderation.lineage import doubt, inherited, propagate, quarantine, suspend, take_down
from moderation.states import WorldState
from moderation.store import Conflict, NotFound, Quarantined, Store, open_store
from moderation.store.cases import open_case_of
from moderation.store.families import descendants
from moderation.store.live import playable, still_playable
from policies import load_bundle
from tests.case_worlds import CORA
from tests.changing_worlds import decided, slur

pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(tmp_path)
    decided(store, "root")
    decided(store, "child", remix_of="root", creator="bob")
    decided(store, "grandchild", remix_of="child", creator="eve")
    decided(store, "stranger")
    return store


def state(store: Store, version: str) -> WorldState:
    return store.version(version).state


def test_a_take_down_sends_every_descendant_back_to_people(store: Store) -> None:
    moved = take_down(store, "root", "grace", "shows a real person")

    assert state(store, "root") is WorldState.TAKEN_DOWN
    assert [(one.world, one.depth) for one in moved] == [("child", 1), ("grandchild", 2)]
    assert {state(store, one) for one in ("child", "grandchild")} == {WorldState.NEEDS_REVIEW}
    assert [one.id for one in store.published()] == ["stranger"]
    last = store.history("grandchild")[-1]
    assert (last.actor, last.reason) == ("grace", "root, from which it was remixed, was taken down")


def test_remixes_that_form_a_ring_are_walked_once(store: Store) -> None:
    decided(store, "loop", remix_of="loop")

    with store.reading() as connection:
        assert descendants(connection, "loop") == []
        assert [one.world for one in descendants(connection, "root")] == ["child", "grandchild"]


def test_a_rejected_descendant_stays_rejected(store: Store) -> None:
    decided(store, "rude", slur(), remix_of="root")

    take_down(store, "root", "grace", "why")

    assert state(store, "rude") is WorldState.REJECTED


def test_what_players_cannot_see_cannot_be_taken_down(store: Store) -> None:
    decided(store, "rude", slur())

    with pytest.raises(Conflict, match="no version of rude is published or suspended: rejected"):
        take_down(store, "rude", "grace", "why")
    with pytest.raises(NotFound, match="nonesuch"):
        take_down(store, "nonesuch", "grace", "why")


def test_a_remix_of_what_was_taken_down_is_not_published_without_people(store: Store) -> None:
    take_down(store, "root", "grace", "why")
    decided(store, "late", remix_of="grandchild")

    with store.writing() as tx:
        assert doubt(tx, "late") == "root, from which it was remixed, is taken down"
        assert doubt(tx, "stranger") is None


def test_what_was_found_in_a_parent_is_a_test_of_its_remix(store: Store) -> None:
    decided(store, "rude", slur(name="f1"))
    decided(store, "copycat", slur(name="f2"), remix_of="rude")
    decided(store, "better", remix_of="rude")

    (copied,), (gone,) = inherited(store, "copycat"), inherited(store, "better")

    assert (copied.world, copied.rule, copied.text, copied.met) == ("rude", "slurs", "a bad word", True)
    assert (gone.playthrough, gone.met) == ("p1", False)


def test_quarantined_content_is_kept_and_not_to_be_looked_at(store: Store) -> None:
    blobs = store.blobs
    assert isinstance(blobs, Folder)
    package = store.version("root").package

    quarantine(store, "root", "grace", "by order of a court")
    done = erase(store, "grace", creator="ada")
    collect(store, grace=-1)

    assert state(store, "root") is WorldState.QUARANTINED
    assert done.withheld == ("root",)
    assert blobs.place(package).exists()
    assert store.findings("root", "e-root") == []
    assert store.version("root").prompt == "prompt of root"
    for look in (store.compile_version, store.package):
        with pytest.raises(Quarantined, match="kept, and not to be looked at"):
            look("root")
    assert state(store, "child") is WorldState.NEEDS_REVIEW


def test_quarantine_withdraws_open_work(store: Store) -> None:
    with store.writing() as tx:
        tx.enqueue("decide", "root", "decide:root")

    quarantine(store, "root", "grace", "why")

    assert store.queue.jobs("root") == []
    with pytest.raises(Conflict, match="quarantined already"):
        quarantine(store, "root", "grace", "why")


def test_the_commands_say_who_goes_back_to_people(store: Store, tmp_path: Path) -> None:
    app = typer.Typer()
    cli.register(app)

    def do(*words: str) -> str:
        ran = CliRunner().invoke(app, ["worlds", *words, "--home", str(tmp_path)])
        assert ran.exit_code == 0, ran.output
        return ran.output

    assert "remixed into grandchild" in do("lineage", "root")
    assert "remixed from root" in do("lineage", "grandchild")
    told = do("take-down", "root", "--as", "grace", "--reason", "shows a real person")

    assert "2 remixes go back to people" in told
    assert "needs_review" in do()
    again = CliRunner().invoke(
        app, ["worlds", "take-down", "root", "--as", "grace", "--reason", "w", "--home", str(tmp_path)]
    )
    assert again.exit_code == 2


def test_an_appeal_does_not_give_remixes_back_before_it_is_won(store: Store) -> None:
    take_down(store, "root", "grace", "why")
    publish(store, "child")

    for step in (WorldState.APPEALED, WorldState.UPHELD):
        with store.writing() as tx:
            tx.transition("root", step, "ada", "unjust")
            assert doubt(tx, "child") == "root, from which it was remixed, is taken down"
        assert playable(store, ["child", "grandchild", "stranger"]) == {"stranger"}


def test_an_appeal_that_is_won_gives_remixes_back(store: Store) -> None:
    take_down(store, "root", "grace", "why")
    publish(store, "child")
    with store.writing() as tx:
        for step in (WorldState.APPEALED, WorldState.OVERTURNED, WorldState.PUBLISHED):
            tx.transition("root", step, "ada", "unjust")
        assert doubt(tx, "child") is None

    assert playable(store, ["root", "child"]) == {"root", "child"}


def test_sending_in_another_version_gives_no_remix_back(store: Store) -> None:
    take_down(store, "root", "grace", "why")
    publish(store, "child")

    with store.writing() as tx:
        tx.submit("root 2", "root", "root", "prompt", {"title": "root"}, "package", None, "ada")

    assert playable(store, ["child"]) == set()


def test_another_version_of_its_world_keeps_none_in_play(store: Store) -> None:
    decided(store, "root 2", title="root")
    assert still_playable(store, ["root", "root 2"]) == {"root", "root 2"}

    with store.writing() as tx:
        tx.transition("root 2", WorldState.WITHDRAWN, "ada", "no longer")

    assert playable(store, ["root"]) == {"root"}
    assert still_playable(store, ["root", "root 2"]) == {"root"}


def test_a_take_down_that_ends_a_case_sends_remixes_back_too(store: Store) -> None:
    with store.writing() as tx:
        suspend(tx, "root", "guard", "seen in play", None)
    publish(store, "child")
    held = queue.claim(store, CORA, open_case(store, "root"))

    decide(store, CORA, held.id, Choice(Outcome.TAKE_DOWN, ("slurs",), "why"), load_bundle())

    assert state(store, "root") is WorldState.TAKEN_DOWN
    assert state(store, "child") is WorldState.NEEDS_REVIEW


def test_a_remix_that_is_decided_while_its_parent_is_taken_down_goes_to_people(store: Store) -> None:
    """On PostgreSQL neither would see the other, if the decision did not keep the parent still."""
    clear = store.decisions("child")[0].decision
    with store.writing() as tx:
        tx.transition("child", WorldState.DECIDING, "policy", "decided again")

    def decides() -> None:
        with store.writing() as tx:
            conclude(tx, "child", "e-child", clear)

    with ThreadPoolExecutor(1) as other:
        with store.writing() as tx:
            tx.transition("root", WorldState.SUSPENDED, "grace", "why")
            tx.transition("root", WorldState.TAKEN_DOWN, "grace", "why")
            propagate(tx, "root", "grace", "root was taken down")
            deciding = other.submit(decides)
            time.sleep(0.3)
            assert not deciding.done()
        deciding.result()

    assert state(store, "child") is WorldState.NEEDS_REVIEW


def publish(store: Store, version: str) -> None:
    """By somebody who has looked at it."""
    held = queue.claim(store, CORA, open_case(store, version))
    decide(store, CORA, held.id, Choice(Outcome.CLEAR), load_bundle())


def open_case(store: Store, version: str) -> int:
    with store.reading() as connection:
        return open_case_of(connection, version) or 0
