"""What the store promises: a log that cannot be changed, states that cannot be skipped, public reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

import moderation.migrations
from bots.recording import Playthrough
from moderation.states import REVIEWABLE, TRANSITIONS, IllegalTransition, WorldState
from moderation.store import (
    SCHEMA,
    Conflict,
    Evidence,
    NotFound,
    NotPublished,
    Store,
    open_store,
    tables,
)
from policies.types import Bound, Coverage, Decision, DetectorRun, Finding, Fired, Source, Verdict

ROAD = ["screening", "exploring", "scanning", "deciding", "cleared", "published"]


pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def submit(store: Store, version: str = "v1", title: str = "Lantern Caves") -> None:
    with store.writing() as tx:
        tx.submit(version, "lantern-caves", title, "a dark cave", {"title": title}, "package-blob", None)
        tx.add_exploration("e1" + version, version, 7, "simulator", "m" * 64, {"search_steps": 10})
        tx.set_exploration(version, "e1" + version)


def walk(store: Store, road: list[str], version: str = "v1") -> None:
    for state in road:
        with store.writing() as tx:
            tx.transition(version, WorldState(state), "policy", f"on to {state}")


def decision(verdict: Verdict = Verdict.CLEARED) -> Decision:
    fired = Fired("slur", "hate", "S3", Verdict.REJECTED, ("f1",), "read a slur")
    bound = Bound("slur", 0.8, 60, 0.06)
    return Decision(verdict, "default@1", "p" * 64, (fired,), ("all clear",), (bound,), ({"rule": "slur"},))


def playthrough() -> Playthrough:
    rng = np.random.default_rng(0)
    return Playthrough(
        world="w",
        model="m",
        arm="sample",
        player="sticky-random/1",
        seed=3,
        spawn=1,
        actions=rng.integers(0, 8, 20).astype(np.uint8),
        events=rng.random((20, 9)) < 0.1,
        clips=rng.integers(-1, 3, 20).astype(np.int16),
        frames_sha256="ab",
    )


def test_the_schema_is_the_newest_migration(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(moderation.migrations.__file__).parent))

    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA


def test_the_migrations_make_the_tables_that_the_code_uses(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.reading() as connection:
        drift = compare_metadata(MigrationContext.configure(connection), tables.metadata)

    assert drift == []


def test_opening_a_store_twice_keeps_what_is_in_it(tmp_path: Path) -> None:
    submit(open_store(tmp_path))

    assert [v.id for v in open_store(tmp_path).versions()] == ["v1"]


def test_a_submission_twice_is_one_version(store: Store) -> None:
    submit(store)
    submit(store)

    assert len(store.versions()) == 1
    assert [event.to_state for event in store.history("v1")] == ["submitted"]


def test_every_change_of_state_is_one_event(store: Store) -> None:
    submit(store)
    walk(store, ROAD)

    history = store.history("v1")
    assert [event.to_state for event in history] == ["submitted", *ROAD]
    assert [event.revision for event in history] == list(range(7))
    assert store.version("v1").state == WorldState.PUBLISHED


@given(steps=st.lists(st.sampled_from(list(WorldState)), max_size=8))
@settings(max_examples=25, deadline=None)
def test_no_sequence_of_calls_leaves_the_table_of_transitions(
    tmp_path_factory: pytest.TempPathFactory, steps: list[WorldState]
) -> None:
    store, name = open_store(tmp_path_factory.mktemp("home")), uuid4().hex  # PostgreSQL's is one for all
    submit(store, name)

    for step in steps:
        before = store.version(name).state
        legal = step in TRANSITIONS[before]
        try:
            walk(store, [step], name)
        except IllegalTransition:
            assert not legal
            assert store.version(name).state == before
        else:
            assert legal
    store.close()


def test_every_state_is_reached_and_every_decided_one_can_be_decided_again() -> None:
    reached = {WorldState.SUBMITTED}.union(*TRANSITIONS.values())

    assert reached == set(WorldState)
    assert all(WorldState.DECIDING in TRANSITIONS[state] for state in REVIEWABLE)


@pytest.mark.parametrize("statement", ["UPDATE events SET reason = ''", "DELETE FROM events"])
def test_the_log_cannot_be_changed(store: Store, statement: str) -> None:
    submit(store)

    with pytest.raises(IntegrityError, match="append-only"), store.writing() as tx:
        tx.connection.exec_driver_sql(statement)


def test_a_state_cannot_change_without_its_event(store: Store) -> None:
    submit(store)

    with pytest.raises(IntegrityError, match="needs its event"), store.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE versions SET state = 'published'")


def test_a_transition_on_an_old_revision_is_refused(store: Store) -> None:
    submit(store)
    walk(store, ["screening"])

    with pytest.raises(Conflict, match="revision 1, not 0"), store.writing() as tx:
        tx.transition("v1", WorldState.EXPLORING, "policy", "late", expected=0)


def test_a_transition_with_a_known_key_does_nothing(store: Store) -> None:
    submit(store)
    for _ in range(2):
        with store.writing() as tx:
            tx.transition("v1", WorldState.SCREENING, "policy", "go", key="k1")

    assert store.version("v1").revision == 1


def test_a_failing_transaction_leaves_nothing(store: Store) -> None:
    submit(store)

    def crash() -> None:
        with store.writing() as tx:
            tx.transition("v1", WorldState.SCREENING, "policy", "go")
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        crash()

    assert store.version("v1").state == WorldState.SUBMITTED
    assert len(store.history("v1")) == 1


@pytest.mark.parametrize("length", range(len(ROAD)))
def test_only_published_worlds_are_public(store: Store, length: int) -> None:
    submit(store)
    with store.writing() as tx:
        tx.add_decision("v1", "e1v1", decision(), Coverage(), ())
    walk(store, ROAD[:length])

    assert store.published() == []
    for look in (store.published_world, store.compiled):
        with pytest.raises(NotPublished):
            look("lantern-caves")


def test_a_published_world_shows_its_decision(store: Store) -> None:
    submit(store)
    with store.writing() as tx:
        tx.add_decision("v1", "e1v1", decision(), Coverage(cells=5), ())
        tx.set_thumbnail("v1", "thumb")
    walk(store, ROAD)

    (world,) = store.published()
    assert (world.id, world.title, world.summary) == ("lantern-caves", "Lantern Caves", "all clear")
    assert (world.coverage.cells, world.thumbnail) == (5, "thumb")
    assert world.bounds == (Bound("slur", 0.8, 60, 0.06),)
    assert store.published_world("lantern-caves") == world


def test_a_world_leaves_the_feed_while_it_is_looked_at_again(store: Store) -> None:
    submit(store)
    with store.writing() as tx:
        tx.add_decision("v1", "e1v1", decision(), Coverage(), ())
    walk(store, [*ROAD, "exploring"])

    assert store.published() == []


def test_the_newest_published_version_of_a_world_is_the_one_in_the_feed(store: Store) -> None:
    for version in ("v1", "v2"):
        submit(store, version)
        with store.writing() as tx:
            tx.add_decision(version, "e1" + version, decision(), Coverage(), ())
        walk(store, ROAD, version)

    assert [world.version for world in store.published()] == ["v2"]
    assert [version.id for version in store.find_versions("lantern-caves")] == ["v1", "v2"]


def test_a_playthrough_comes_back_as_it_was(store: Store) -> None:
    submit(store)
    play = playthrough()
    with store.writing() as tx:
        tx.explored("e1v1", Coverage(cells=3), {"curve": [1, 2]}, [play])
        tx.looked_at("e1v1", 0, replace(play, sound_sha256="cd"), np.arange(21, dtype=np.int32))

    (stored,) = store.playthroughs("e1v1")
    back = stored.playthrough
    assert back.id == play.id
    assert np.array_equal(back.actions, play.actions)
    assert np.array_equal(back.events, play.events)
    assert np.array_equal(back.clips, play.clips)
    assert (back.frames_sha256, back.sound_sha256) == ("ab", "cd")
    assert stored.shown is not None
    assert stored.shown.tolist() == list(range(21))
    assert store.find_playthrough(play.id[:6]).playthrough.id == play.id
    row = store.exploration("e1v1")
    assert (row.coverage, row.chart) == (Coverage(cells=3), {"curve": [1, 2]})


@pytest.mark.parametrize("look", ["version", "exploration", "find_playthrough"])
def test_what_is_not_there_is_said_to_be_missing(store: Store, look: str) -> None:
    with pytest.raises(NotFound, match="nonesuch"):
        getattr(store, look)("nonesuch")


def test_findings_and_runs_come_back_and_media_belongs_to_every_exploration(store: Store) -> None:
    submit(store)
    media = Finding("a", "text", "1", "slur", 0.5, Source.MEDIA, media="prompt", text="x")
    seen = Finding(
        "b", "ocr", "1", "text", 0.9, Source.PLAYTHROUGH, 1.0, 2.0, "p1", box=(1, 2, 3, 4), text="y"
    )
    failed = DetectorRun("ocr", "1", Source.PLAYTHROUGH, 3, ok=False, error="boom")
    with store.writing() as tx:
        tx.add_findings("v1", None, [media])
        tx.add_findings("v1", "e1v1", [seen, seen])
        tx.add_run("v1", "e1v1", "piece 0", failed)

    assert store.findings("v1", "e1v1") == [seen, media]
    assert store.findings("v1") == [media]
    assert store.detector_runs("v1", "e1v1") == [failed]


def test_a_decision_comes_back_as_it_was_and_there_is_one_per_policy(store: Store) -> None:
    submit(store)
    evidence = Evidence("slur", "b", "p1", 1.0, 2.0, "clip", ((1.5, "png"),), "read a slur", reproduced=True)
    for _ in range(2):
        with store.writing() as tx:
            tx.add_decision("v1", "e1v1", decision(), Coverage(cells=1), [evidence])

    (stored,) = store.decisions("v1")
    assert stored.decision == decision()
    assert stored.evidence == (evidence,)
    assert store.decision("v1", "e1v1", "p" * 64) == stored
    assert store.decision("v1", "e1v1", "other") is None
