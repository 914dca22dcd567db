"""What the feed keeps: who is a candidate, what players did, and rankings that can be found again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feedapi.evaluation import logged, logged_starts
from feedapi.ranking.evaluate import NothingLogged, judge
from feedapi.ranking.rank import Settings
from feedapi.ranking.snapshot import KEPT, OldCursor
from feedapi.snapshots import SOON, Looks, Shelf, learn, unpack
from moderation.likeness import Signature
from moderation.store import Store, open_store
from moderation.store.feed import Interaction, PlaySession, Shown, StoredSnapshot
from tests.feed_home import add_world, move

pytestmark = pytest.mark.usefixtures("each_database")
NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def candidates(store: Store) -> list[str]:
    return [one.world for one in store.feed.candidates(0.0, 100, 100, 100, "8")]


def session(version: str, number: int = 0, **changes: object) -> PlaySession:
    usual = PlaySession(
        f"session-{number}", version, f"player-{number}", "person", 0, NOW, 90.0, 1.5, 40, 0.8
    )
    return replace(usual, **changes)


def did(kind: str, version: str, number: int = 0, snapshot: str = "s1") -> Interaction:
    shown = Shown(snapshot, number, version, 0.5)
    played = f"session-{number}" if kind == "played" else None
    return Interaction(f"player-{number}", f"{kind}-{number}", kind, shown, played, NOW)


def play(store: Store, version: str, count: int, first: int = 0, **changes: object) -> None:
    for number in range(first, first + count):
        store.feed.add_interactions([did("seen", version, number), did("played", version, number)])
        store.feed.add_session(session(version, number, **changes))


def test_only_published_worlds_are_candidates_and_have_cards(store: Store) -> None:
    shown = add_world(store, "Shown", "published")
    hidden = add_world(store, "Hidden", "cleared")

    assert candidates(store) == ["shown"]
    assert [card.title for card in store.feed.cards([hidden, shown])] == ["Shown"]


def test_a_world_that_is_taken_down_has_no_card_any_more(store: Store) -> None:
    version = add_world(store, "Shown", "published")
    move(store, version, ["suspended"])

    assert store.feed.cards([version]) == []
    assert candidates(store) == []


def test_any_kind_of_candidate_is_enough_to_be_one(store: Store) -> None:
    versions = [add_world(store, f"World {i}", "published") for i in range(6)]
    store.feed.add_session(session(versions[0]))

    assert [one.world for one in store.feed.candidates(0.0, 5, 0, 0, "0")] == ["world-0"]
    assert [one.world for one in store.feed.candidates(0.0, 0, 2, 0, "0")] == ["world-5", "world-4"]
    for pivot in "08f":
        assert len(store.feed.candidates(0.0, 0, 0, 3, pivot)) == 3


def test_a_remix_knows_its_first_ancestor_even_where_that_is_not_published(store: Store) -> None:
    add_world(store, "First", "rejected")
    second = add_world(store, "Second", "published")
    third = add_world(store, "Third", "published")
    with store.writing() as tx:
        for version, parent in ((second, "first"), (third, "second")):
            tx.connection.exec_driver_sql(f"UPDATE versions SET remix_of = '{parent}' WHERE id = '{version}'")

    roots = {one.world: one.root for one in store.feed.candidates(0.0, 9, 9, 9, "0")}

    assert roots == {"second": "first", "third": "first"}


def test_the_same_interaction_twice_is_one(store: Store) -> None:
    version = add_world(store, "Shown", "published")
    batch = [did("seen", version), did("opened", version)]

    assert store.feed.add_interactions(batch) == 2
    assert store.feed.add_interactions([*batch, did("played", version)]) == 1
    assert len(store.feed.impressions(0.0)) == 1


def test_a_session_belongs_to_the_item_that_its_player_says_it_began_at(store: Store) -> None:
    version = add_world(store, "Shown", "published")
    other = add_world(store, "Other", "published")
    play(store, version, 1)
    store.feed.add_session(session(version, 1))
    store.feed.add_session(session(other, 2))
    store.feed.add_interactions([did("played", version, 2)])

    told = {one.id: one.snapshot for one in store.feed.sessions(0.0)}

    assert told == {"session-0": "s1", "session-1": None, "session-2": None}


def test_a_session_that_is_claimed_twice_is_one(store: Store) -> None:
    version = add_world(store, "Shown", "published")
    play(store, version, 1)
    again = replace(did("played", version), id="again", shown=Shown("s1", 9, version, 0.5))
    store.feed.add_interactions([again])

    assert [one.position for one in store.feed.sessions(0.0)] == [0]


def test_reports_and_remixes_are_told_with_the_session(store: Store) -> None:
    version = add_world(store, "Shown", "published")
    play(store, version, 2)
    store.feed.add_interactions([did("reported", version, 0), did("remixed", version, 1)])

    told = {one.id: (one.reported, one.remixed) for one in store.feed.sessions(0.0)}

    assert told == {"session-0": (True, False), "session-1": (False, True)}


def test_a_world_keeps_what_it_earned_and_bots_add_nothing(store: Store) -> None:
    loved, botted = add_world(store, "Loved", "published"), add_world(store, "Botted", "published")
    play(store, loved, 8)
    for number in range(20, 60):
        store.feed.add_session(session(botted, number, played_by="bot"))

    known = learn(store, Looks(store), NOW)
    played = dict(zip(known.versions, known.arms.evidence.sessions, strict=True))

    assert played[loved] == pytest.approx(8)
    assert played[botted] == 0
    assert known.means["loved"] > known.means["botted"]


def test_players_start_where_it_went_well(store: Store) -> None:
    version = add_world(store, "Shown", "published")
    play(store, version, 30, spawn=2)
    play(store, version, 30, first=30, spawn=0, seconds=4.0)
    shelf = Shelf(store, clock=lambda: NOW)
    shelf.current("age-18")

    chosen = np.bincount([shelf.spawn("shown", 3)[0] for _ in range(200)], minlength=3)
    shelf.close()

    assert chosen[2] > chosen[0]
    assert chosen[1] > chosen[0]  # nobody has tried it


def test_near_identical_worlds_of_one_creator_are_one_arm(store: Store) -> None:
    look = Signature(np.eye(1, 8, dtype=np.float32), np.ones(1, np.float32))
    for title in ("One", "Two"):
        version = add_world(store, title, "published")
        with store.writing() as tx:
            tx.add_piece(f"e-{version}", "signature", 0, None, store.blobs.put(look.to_bytes()))

    known = learn(store, Looks(store), NOW)

    assert len(known.arms.single) == 1


def test_a_ranking_survives_a_restart_and_is_shared(store: Store) -> None:
    for i in range(5):
        add_world(store, f"World {i}", "published")
    first, second = Shelf(store), Shelf(store)

    made = first.current("age-18")

    assert second.current("age-18").id == made.id
    assert second.find(made.id).items == made.items
    first.close()
    second.close()


def test_a_stale_ranking_is_served_while_the_next_is_made(store: Store) -> None:
    add_world(store, "World", "published")
    clock = [NOW]
    shelf = Shelf(store, clock=lambda: clock[0])
    made = shelf.current("age-18")
    clock[0] += 400

    stale = shelf.current("age-18")
    shelf._worker.submit(lambda: None).result()

    assert stale.id == made.id
    assert shelf.current("age-18").id != made.id
    shelf.close()


def test_a_world_that_is_published_is_soon_in_the_ranking(store: Store) -> None:
    add_world(store, "World", "published")
    clock = [time.time()]
    shelf = Shelf(store, clock=lambda: clock[0])
    made = shelf.current("age-18")
    shelf._took = 0.0  # however busy this machine is
    clock[0] += SOON + 1
    assert shelf.current("age-18").id == made.id, "nothing was published since"

    another = add_world(store, "Another", "published")
    clock[0] = time.time() + SOON + 1
    shelf.current("age-18")
    shelf._worker.submit(lambda: None).result()

    assert another in [item.version for item in shelf.current("age-18").items]
    shelf.close()


def test_a_ranking_that_is_too_old_is_not_found(store: Store) -> None:
    add_world(store, "World", "published")
    clock = [NOW]
    shelf = Shelf(store, clock=lambda: clock[0])
    made = shelf.current("age-18")
    clock[0] += KEPT + 1

    with pytest.raises(OldCursor):
        shelf.find(made.id)
    with pytest.raises(OldCursor):
        shelf.find("never made")
    assert shelf.current("age-18").id != made.id
    shelf.close()


def test_old_rankings_go(store: Store) -> None:
    old = StoredSnapshot("old", "age-18", NOW - 30 * 86400, ())
    store.feed.add_snapshot(old, b"")
    store.feed.add_snapshot(replace(old, id="new", created=NOW), b"")

    assert store.feed.snapshot("old") is None
    assert store.feed.snapshot("new") is not None


def test_what_was_ranked_can_be_ranked_again(store: Store) -> None:
    versions = [add_world(store, f"World {i}", "published") for i in range(4)]
    play(store, versions[1], 5)
    shelf = Shelf(store, clock=lambda: NOW)
    made = shelf.current("age-18")
    shelf.close()

    again, arms = unpack(store.feed.arms(made.id) or b"", Looks(store))

    assert sorted(again) == sorted(versions)
    assert arms.evidence.sessions[again.index(versions[1])] == pytest.approx(5)


def test_another_ranking_is_judged_by_what_players_saw(store: Store) -> None:
    good, bad = add_world(store, "Good", "published"), add_world(store, "Bad", "published")
    shelf = Shelf(store, Settings(page=1, pages=2), clock=lambda: NOW)
    for number in range(60):
        made = shelf._make("age-18")
        item = made.items[0]
        shown = Shown(made.id, 0, item.version, item.propensity)
        batch = [replace(did(kind, item.version, number), shown=shown) for kind in ("seen", "played")]
        store.feed.add_interactions(batch)
        seconds = 90.0 if item.version == good else 2.0
        store.feed.add_session(session(item.version, number, seconds=seconds))
    shelf.close()

    greedy = judge(logged(store, Settings(page=1, pages=2, explore=False, new_share=0), 0.0, most=60))

    assert good != bad
    assert greedy.items == 60
    assert greedy.snips.mean > greedy.logged.mean


def test_beginning_at_the_start_is_judged_by_where_players_began(store: Store) -> None:
    version = add_world(store, "Shown", "published")
    play(store, version, 20, spawn=0, spawn_propensity=0.5)
    play(store, version, 20, first=20, spawn=2, spawn_propensity=0.5, seconds=4.0)

    told = judge(logged_starts(store, 0.0))

    assert (told.items, told.players, told.effective) == (40, 40, pytest.approx(20))
    assert told.snips.mean == pytest.approx(2 * told.logged.mean)
    assert told.gain.low > 0


@pytest.mark.parametrize("ended", ["stopped", "failed", "withdrawn"])
def test_what_was_cut_off_by_us_says_nothing(store: Store, ended: str) -> None:
    version = add_world(store, "Shown", "published")
    play(store, version, 3, ended=ended, seconds=1.0)

    assert store.feed.sessions(0.0) == []


def test_there_must_be_something_to_judge_by(store: Store) -> None:
    with pytest.raises(NothingLogged):
        logged(store, Settings(), 0.0)
