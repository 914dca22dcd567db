"""Quotas ask about a creator's record, which the store knows: what stands rejected, what came in today."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from moderation.policy_changes.promotion import promote, shadow
from moderation.policy_changes.redecide import outlines, redecide
from moderation.states import WorldState
from moderation.store import Store, open_store
from moderation.store.deciding import contexts, load_decided, newest_decisions
from policies.bundle import Bundle, load_bundle
from policies.types import Context, Verdict
from tests.changing_worlds import decided, slur
from tests.test_pipeline import work
from tests.test_policy_changes import held_against_live, proposed

pytestmark = pytest.mark.usefixtures("each_database")
DAY = 86_400.0
QUOTAS = """
extends: default
bundle: wary
version: "1"
status: draft
quality_sampling: 0
quotas:
  - {of: prior_rejections, limit: 1, explanation: "Two worlds were rejected before, so a person looks."}
  - {of: submissions_today, limit: 3, then: escalate, explanation: "Many worlds in a day, so a senior looks."}
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    yield store
    store.close()


@pytest.fixture(scope="module")
def wary(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("policy") / "wary.yaml"
    path.write_text(QUOTAS)
    return load_bundle(path)


def record(store: Store, version: str) -> tuple[int, int]:
    with store.reading() as connection:
        context = contexts(connection, [version])[version]
    return context.prior_rejections, context.submissions_today


def sent_in(store: Store, version: str, ago: float) -> None:
    """Pretend that it came in so many seconds ago."""
    with store.writing() as tx:
        tx.connection.execute(
            text("UPDATE versions SET created = :at WHERE id = :id"),
            {"at": time.time() - ago, "id": version},
        )


def test_a_record_counts_what_the_same_creator_sent_in_before(store: Store) -> None:
    decided(store, "rude", slur(), creator="kim")
    decided(store, "rude too", slur(), creator="lee")
    decided(store, "calm", creator="kim")
    decided(store, "rude again", slur(), creator="kim")

    assert record(store, "rude") == (0, 0)
    assert record(store, "calm") == (1, 1)
    assert record(store, "rude again") == (1, 2)


def test_what_came_in_more_than_a_day_before_is_not_of_today(store: Store) -> None:
    decided(store, "rude", slur(), creator="kim")
    decided(store, "calm", creator="kim")
    sent_in(store, "rude", 1.5 * DAY)

    assert record(store, "calm") == (1, 0)


def test_a_rejection_that_fell_counts_no_more(store: Store) -> None:
    decided(store, "rude", slur(), creator="kim")
    decided(store, "calm", creator="kim")
    with store.writing() as tx:
        tx.transition("rude", WorldState.APPEALED, "kim", "it is a name")
    assert record(store, "calm") == (1, 1)

    with store.writing() as tx:
        tx.transition("rude", WorldState.OVERTURNED, "anna", "so it is")
        tx.transition("rude", WorldState.PUBLISHED, "anna", "so it is")
    assert record(store, "calm") == (0, 1)


def test_who_does_not_sign_in_has_no_record(store: Store) -> None:
    for name in ("one", "two", "three"):
        decided(store, name, slur(), creator="creator")

    assert record(store, "three") == (0, 0)


def test_a_remix_says_that_it_is_one(store: Store) -> None:
    decided(store, "calm", creator="kim")
    decided(store, "calmer", creator="lee", remix_of="calm")

    with store.reading() as connection:
        assert contexts(connection, ["calm", "calmer"]) == {
            "calm": Context(),
            "calmer": Context(remix=True),
        }


def test_stored_evidence_is_decided_by_the_creators_record(store: Store, wary: Bundle) -> None:
    for name in ("rude", "ruder"):
        decided(store, name, slur(), creator="kim")
    decided(store, "calm", creator="kim")
    decided(store, "calmer", creator="kim")
    decided(store, "calmest", creator="kim")
    decided(store, "another's", creator="lee")

    with store.reading() as connection:
        worlds = {one.version: one for one in load_decided(connection, newest_decisions(connection))}
    told = {name: redecide(wary, world) for name, world in worlds.items()}

    assert [told[name].verdict for name in ("rude", "ruder")] == [Verdict.REJECTED] * 2
    assert told["calm"].verdict is Verdict.NEEDS_REVIEW
    assert "Two worlds were rejected before, so a person looks." in told["calm"].reasons
    assert [told[name].escalate for name in ("calm", "calmer", "calmest")] == [False, False, True]
    assert told["another's"].verdict is Verdict.CLEARED
    assert all(outlines([wary], worlds[name])[0].verdict is one.verdict for name, one in told.items())


def test_the_pipeline_asks_for_the_creators_record(store: Store, wary: Bundle, tmp_path: Path) -> None:
    for name in ("rude", "ruder"):
        decided(store, name, slur(), creator="kim")
    for name, creator in (("calm", "kim"), ("calmer", "kim"), ("another's", "lee")):
        decided(store, name, creator=creator)
    bundle = proposed(store, tmp_path, QUOTAS)
    shadow(store, bundle.sha256, "ada")
    held_against_live(store, bundle)
    promote(store, bundle.sha256, "grace")

    work(store)

    states = {one.id: one.state for one in store.versions()}
    assert states["calm"] is states["calmer"] is WorldState.NEEDS_REVIEW
    assert states["another's"] is WorldState.PUBLISHED
    assert store.history("calm")[-1].reason == "Two worlds were rejected before, so a person looks."
