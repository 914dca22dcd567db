"""The ranking: what a good session is, what is learnt from it, and who is shown how often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedapi.ranking import signals
from feedapi.ranking.evaluate import Logged, NothingLogged, judge
from feedapi.ranking.families import families
from feedapi.ranking.looks import vector
from feedapi.ranking.posterior import Evidence, choose_spawn, posterior, votes, world_prior
from feedapi.ranking.rank import Arms, Settings, draw, fit_for, page_shares, rank
from feedapi.ranking.signals import Sessions
from feedapi.ranking.snapshot import (
    BadContext,
    ForeignCursor,
    ForgedCursor,
    Item,
    OldCursor,
    Seal,
    Snapshot,
    audience_of,
)
from feedapi.sealed import sealed
from moderation.likeness import Signature

DAY = 24 * 3600.0


def sessions(count: int, **columns: object) -> Sessions:
    """Ordinary sessions of one world by different people, but for what is named."""
    usual = {
        "world": 0,
        "player": np.arange(count),
        "spawn": 0,
        "at": 0.0,
        "seconds": 100.0,
        "first_input": 2.0,
        "cells": 30.0,
        "mechanics": 0.5,
        "remixed": False,
        "reported": False,
        "person": True,
        "shown": True,
    }
    filled = {name: np.broadcast_to(np.asarray(value), count) for name, value in (usual | columns).items()}
    return Sessions(**filled)


def good(of: Sessions, worlds: int = 1) -> np.ndarray:
    return signals.good(of, signals.expectations(of, worlds))


def arms(count: int, **columns: object) -> Arms:
    """Worlds of different creators that look unlike each other and that nobody has played."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, 32)).astype(np.float32)
    usual = {
        "creator": np.arange(count),
        "family": np.arange(count),
        "evidence": Evidence(np.zeros(count), np.zeros(count)),
        "prior": np.full(count, 0.5),
        "age": np.full(count, 90 * DAY),
        "vectors": vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
    }
    return Arms(**(usual | columns))


# -- signals ------------------------------------------------------------------------------------------


def test_a_session_is_measured_by_what_is_usual_in_its_own_world() -> None:
    short_world = sessions(200, seconds=40.0, cells=8.0)
    long_world = sessions(200, world=1, player=np.arange(200, 400), seconds=400.0, cells=80.0)
    both = Sessions(
        **{
            name: np.append(getattr(short_world, name), getattr(long_world, name))
            for name in Sessions.__dataclass_fields__
        }
    )

    told = good(both, worlds=2)

    assert told[0] == pytest.approx(told[-1], abs=0.1)
    assert told[0] > 0.4


@pytest.mark.parametrize(("what", "value"), [("seconds", 4.0), ("first_input", np.nan), ("reported", True)])
def test_who_leaves_at_once_does_nothing_or_reports_had_no_good_session(what: str, value: object) -> None:
    column = np.broadcast_to(getattr(sessions(10), what), 10).astype(type(value)).copy()
    column[3] = value

    told = good(sessions(10, **{what: column}))

    assert told[3] == 0
    assert told[4] > 0


@pytest.mark.parametrize("what", ["seconds", "cells", "mechanics", "remixed"])
def test_more_of_what_people_do_in_a_world_they_like_is_better(what: str) -> None:
    column = np.broadcast_to(getattr(sessions(10), what), 10).astype(float).copy()
    column[3] = 1.0 if what in {"mechanics", "remixed"} else column[3] * 2
    typed = column.astype(bool) if what == "remixed" else column

    told = good(sessions(10, **{what: typed}))

    assert told[3] > told[4]


def test_coming_back_another_day_makes_the_sessions_good() -> None:
    once = good(sessions(2, player=[1, 2], at=[0.0, DAY]))
    back = good(sessions(2, player=[1, 1], at=[0.0, DAY]))

    assert (back > once).all()


def test_one_player_counts_once_in_a_world_however_often_they_play() -> None:
    eager = votes(sessions(50, player=7), 1, now=0.0).of_worlds(1)

    assert eager.sessions[0] == pytest.approx(1.0)


@pytest.mark.parametrize("what", ["person", "shown"])
def test_bots_creators_and_links_say_nothing(what: str) -> None:
    assert votes(sessions(50, **{what: False}), 1, now=0.0).of_worlds(1).sessions[0] == 0


def test_old_sessions_fade() -> None:
    fresh = votes(sessions(10), 1, now=0.0).of_worlds(1).sessions[0]
    old = votes(sessions(10), 1, now=14 * DAY).of_worlds(1).sessions[0]

    assert old == pytest.approx(fresh / 2)


# -- posterior ----------------------------------------------------------------------------------------


def test_a_new_world_starts_from_its_creators_record() -> None:
    creator = np.array([0, 0, 1, 1])
    known = Evidence(np.array([90.0, 0, 10, 0]), np.array([10.0, 0, 90, 0]))

    prior = world_prior(known, creator)

    assert prior[1] > 0.75 > 0.25 > prior[3]


def test_a_worlds_own_sessions_are_not_in_its_prior() -> None:
    alone = world_prior(Evidence(np.array([100.0, 0]), np.array([0.0, 100])), np.array([0, 1]))

    assert alone == pytest.approx([0.5, 0.5])


@given(good=st.floats(0, 1e4), bad=st.floats(0, 1e4), prior=st.floats(0, 1))
def test_every_posterior_is_a_proper_distribution(good: float, bad: float, prior: float) -> None:
    known = posterior(Evidence(np.array([good]), np.array([bad])), np.array([prior]))

    assert 0 < known.mean[0] < 1
    assert 0 <= known.draw(np.random.default_rng(0))[0] <= 1


def test_players_start_where_sessions_go_well_and_sometimes_elsewhere() -> None:
    rng = np.random.default_rng(0)
    told = [choose_spawn(np.array([2.0, 30, 0]), np.array([30.0, 10, 0]), 0.5, rng) for _ in range(300)]
    often = np.bincount([spawn for spawn, _ in told], minlength=3)

    assert often[1] > 150
    assert often[2] > 10
    assert often[0] < 20
    for spawn in (1, 2):
        said = np.mean([probability for chosen, probability in told if chosen == spawn])
        assert said == pytest.approx(often[spawn] / 300, abs=0.08)


# -- families and looks -------------------------------------------------------------------------------


def unit(*rows: list[float]) -> np.ndarray:
    array = np.array(rows, np.float32)
    return array / np.maximum(1e-9, np.linalg.norm(array, axis=1, keepdims=True))


def test_near_identical_worlds_of_a_lineage_or_a_creator_are_one_family() -> None:
    same = unit([1, 0, 0], [1, 0.05, 0], [1, 0.04, 0], [1, 0.03, 0], [0, 1, 0])
    lineage, creator = np.array([0, 0, 2, 3, 0]), np.array([0, 1, 0, 3, 0])

    family = families(lineage, creator, same)

    assert family.tolist() == [0, 0, 0, 3, 4]


def test_a_remix_whose_look_is_not_known_is_no_new_family() -> None:
    family = families(np.array([0, 0]), np.array([0, 1]), unit([1, 0], [0, 0]))

    assert family.tolist() == [0, 0]


def test_worlds_that_look_alike_but_play_otherwise_are_not_the_same() -> None:
    seen = Signature(unit([1, 2, 3]), np.ones(1, np.float32))
    calm, wild = (
        {"gravity": g, "hazards": h, "enemies": e} for g, h, e in ((0.2, 0, "none"), (3, 1, "chasers"))
    )

    assert vector(seen, calm) @ vector(seen, calm) == pytest.approx(1)
    assert vector(seen, calm) @ vector(seen, wild) < 0.9


# -- ranking ------------------------------------------------------------------------------------------


def test_a_ranking_shows_every_world_once() -> None:
    order = draw(arms(120), Settings(page=20, pages=6), np.random.default_rng(0))

    assert sorted(order) == list(range(120))


def test_nothing_published_is_an_empty_ranking() -> None:
    assert len(rank(arms(0), Settings(), seed=0, draws=2).world) == 0


def test_what_is_known_to_be_good_comes_before_what_is_known_to_be_bad() -> None:
    known = Evidence(
        np.append(np.full(50, 80.0), np.full(50, 20.0)), np.append(np.full(50, 20.0), np.full(50, 80.0))
    )

    page = draw(arms(100, evidence=known), Settings(), np.random.default_rng(0))[:20]

    assert (page < 50).all()


def test_a_share_of_every_page_is_kept_for_new_worlds() -> None:
    known = Evidence(np.append(np.full(80, 90.0), np.zeros(20)), np.append(np.full(80, 10.0), np.zeros(20)))
    age = np.append(np.full(80, 90 * DAY), np.full(20, DAY))

    page = draw(arms(100, evidence=known, age=age), Settings(), np.random.default_rng(0))[:20]

    assert (page >= 80).sum() >= 4


def test_one_creator_does_not_fill_a_page() -> None:
    known = Evidence(
        np.append(np.full(50, 90.0), np.full(50, 70.0)), np.append(np.full(50, 10.0), np.full(50, 30.0))
    )
    creator = np.append(np.zeros(50, int), np.arange(1, 51))
    here = arms(100, evidence=known, creator=creator)

    fair = draw(here, Settings(), np.random.default_rng(0))[:20]
    plain = draw(here, Settings(author_decay=1, diversity=0), np.random.default_rng(0))[:20]

    assert (creator[fair] == 0).sum() <= 3
    assert (creator[plain] == 0).sum() == 20


def test_a_hundred_remixes_of_a_world_are_shown_as_often_as_one() -> None:
    alone = arms(100)
    count = 200
    rows = np.append(np.arange(100), np.zeros(100, int))
    family = np.append(np.arange(100), np.zeros(100, int))
    many = arms(count, creator=rows, family=family, vectors=alone.vectors[rows])

    once = page_shares(alone, Settings(pages=1), seed=1, draws=300)[0].sum()
    often = page_shares(many, Settings(pages=1), seed=1, draws=300)[rows == 0].sum()

    assert often == pytest.approx(once, abs=0.08)


def test_who_copies_a_world_seldom_stands_in_for_it() -> None:
    rows = np.append(np.arange(20), np.zeros(100, int))
    creator = np.append(np.arange(20), np.full(100, 99))
    age = np.append(np.full(20, 90 * DAY), np.full(100, DAY))
    here = arms(120, creator=creator, family=rows, age=age)

    shares = page_shares(here, Settings(pages=1), seed=1, draws=300)

    assert shares[20:].sum() < 0.35 * shares[0].sum()


def test_a_page_shows_different_kinds() -> None:
    kinds = np.arange(120) % 6
    vectors = np.eye(6, dtype=np.float32)[kinds]
    quality = np.where(kinds == 0, 60.0, 55.0)
    here = arms(120, evidence=Evidence(quality, 100 - quality), vectors=vectors)

    varied = draw(here, Settings(diversity=0.5, explore=False), np.random.default_rng(0))[:20]
    best = draw(here, Settings(diversity=0, explore=False), np.random.default_rng(0))[:20]

    assert len(set(kinds[varied])) == 6
    assert len(set(kinds[best])) == 1


def test_exact_copies_by_different_people_do_not_break_diversity() -> None:
    with np.errstate(all="raise"):
        order = draw(arms(200, vectors=unit(*[[1, 0]] * 200)), Settings(), np.random.default_rng(0))

    assert len(set(order)) == 200


def test_the_propensity_is_how_often_a_world_is_on_that_page() -> None:
    known = Evidence(np.append(90.0, np.full(59, 50.0)), np.append(10.0, np.full(59, 50.0)))
    here = arms(60, evidence=known)

    ranked = rank(here, Settings(pages=3), seed=0, draws=100)
    sure = ranked.propensity[ranked.world == 0][0]
    others = ranked.propensity[(ranked.world != 0) & (ranked.page == 0)]

    assert sure > 0.95
    assert 0.15 < others.mean() < 0.6
    assert ranked.propensity.min() >= 1 / 101


def test_nobody_is_shown_what_is_not_for_their_age() -> None:
    assert fit_for(12, np.array([3, 7, 12, 16, 18])).tolist() == [True, True, True, False, False]


# -- off-policy evaluation ----------------------------------------------------------------------------


def logs(count: int = 4000, target: float = 0.2) -> tuple[Logged, float]:
    """One of two items is shown, the first with 0.7; what the other ranking would earn is known."""
    rng = np.random.default_rng(0)
    first = rng.random(count) < 0.7
    reward = (rng.random(count) < np.where(first, 0.2, 0.6)).astype(float)
    propensity = np.where(first, 0.7, 0.3)
    shares = np.where(first, target, 1 - target)
    truth = target * 0.2 + (1 - target) * 0.6
    return Logged(rng.integers(0, 500, count), reward, propensity, shares), truth


def test_another_ranking_is_judged_by_what_was_logged() -> None:
    logged, truth = logs()

    told = judge(logged)

    for estimate in (told.ips, told.snips):
        assert estimate.low < truth < estimate.high
        assert estimate.mean == pytest.approx(truth, abs=0.04)
    assert told.gain.low > 0
    assert told.effective < told.items


def test_the_same_ranking_gains_nothing() -> None:
    logged, _ = logs(target=0.7)

    told = judge(logged)

    assert told.gain.mean == pytest.approx(0)
    assert told.effective == pytest.approx(told.items)


def test_nothing_logged_is_no_judgement() -> None:
    nothing = np.zeros(0)
    with pytest.raises(NothingLogged, match="seen"):
        judge(Logged(nothing.astype(int), nothing, nothing, nothing))
    logged, _ = logs()
    with pytest.raises(NothingLogged, match="none of what was seen"):
        judge(replace(logged, target=np.zeros(4000)))


# -- cursors and contexts -----------------------------------------------------------------------------

SNAPSHOT = Snapshot("s1", "age-12", 0.0, tuple(Item(f"v{i}", 0.25, 0) for i in range(30)))
SEAL = Seal(b"secret")


def test_a_cursor_leads_back_to_its_place() -> None:
    assert SEAL.open_cursor(SEAL.cursor(SNAPSHOT, 19), "age-12") == ("s1", 19)


def test_a_cursor_of_another_audience_is_foreign() -> None:
    with pytest.raises(ForeignCursor, match="age-12"):
        SEAL.open_cursor(SEAL.cursor(SNAPSHOT, 19), "age-18")


def test_a_cursor_of_another_version_is_old() -> None:
    old = sealed(SEAL._cursor, [0, "s1", "age-12", 19])
    with pytest.raises(OldCursor):
        SEAL.open_cursor(old, "age-12")


@given(st.text(max_size=80))
def test_what_was_not_sealed_here_is_forged(text: str) -> None:
    with pytest.raises(ForgedCursor):
        SEAL.open_cursor(text, "age-12")
    with pytest.raises(BadContext):
        SEAL.open_context(text)


@given(place=st.integers(0, 40), to=st.sampled_from("abcXYZ019-_"))
def test_a_changed_cursor_is_forged(place: int, to: str) -> None:
    cursor = SEAL.cursor(SNAPSHOT, 19)
    changed = cursor[:place] + to + cursor[place + 1 :]
    if changed != cursor:
        with pytest.raises(ForgedCursor):
            SEAL.open_cursor(changed, "age-12")


def test_a_cursor_is_no_context_and_another_servers_seal_is_none() -> None:
    with pytest.raises(BadContext):
        SEAL.open_context(SEAL.cursor(SNAPSHOT, 19))
    with pytest.raises(ForgedCursor):
        Seal(b"another").open_cursor(SEAL.cursor(SNAPSHOT, 19), "age-12")


def test_a_context_says_what_was_shown_and_how_probably() -> None:
    shown = SEAL.open_context(SEAL.context(SNAPSHOT, 3))

    assert (shown.snapshot, shown.position, shown.version, shown.propensity) == ("s1", 3, "v3", 0.25)


@pytest.mark.parametrize(
    ("age", "audience"), [(2, "age-0"), (3, "age-3"), (11, "age-7"), (17, "age-16"), (40, "age-18")]
)
def test_players_who_may_see_the_same_share_a_ranking(age: int, audience: str) -> None:
    assert audience_of(age) == audience
