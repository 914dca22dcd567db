"""The scheduler over the arms of a search, and budgets in seconds."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bots.coverage import open_tiles
from bots.exploration import UNBOUNDED, Budget, Progress
from bots.explore import explore
from bots.scheduler import Arm, Scheduler, SchedulerConfig
from bots.search import TUNED, Search
from bots.statement import Inspection, statement
from tests.bot_worlds import bot_world
from tests.small_worlds import small_world
from worldmodel.simulator import Simulator

ARMS = (Arm("plain", 0.6), Arm("clever", 0.3), Arm("dear", 0.1, price=4.0))
SMALL = Budget(
    search_steps=2_500, sample_episodes=2, episode_steps=30, batch=32, round_steps=20, window=1_500
)


def taught(gains: tuple[float, ...], rounds: int = 8) -> Scheduler:
    scheduler = Scheduler(ARMS)
    for _ in range(rounds):
        scheduler.learn(np.full(len(ARMS), 2_000.0), np.array(gains))
    return scheduler


def test_with_nothing_learned_the_shares_are_the_prior_but_for_the_floor() -> None:
    shares = Scheduler(ARMS, SchedulerConfig(floor=0.0)).shares()

    assert shares == pytest.approx([0.6, 0.3, 0.1])


def test_the_arm_that_finds_more_gets_more_and_the_one_that_costs_more_less() -> None:
    better = taught((10, 40, 10)).shares()
    alike = taught((20, 20, 20)).shares()

    assert better[1] > 0.3 > better[1] * 0.5
    assert better[0] < 0.6
    assert alike[2] < 0.1, "the same gain for four times the cost"


def test_what_was_learned_is_forgotten_after_a_window() -> None:
    scheduler = taught((10, 40, 10))
    for _ in range(SchedulerConfig().window):
        scheduler.learn(np.full(3, 2_000.0), np.array([40.0, 10.0, 10.0]))

    assert scheduler.shares()[0] > 0.6


@given(
    st.lists(st.tuples(*[st.floats(0, 1e4)] * 3), max_size=12),
    st.lists(st.booleans(), min_size=3, max_size=3).filter(any),
)
def test_floors_hold_and_shares_add_up_whatever_is_learned(
    rounds: list[tuple[float, float, float]], able: list[bool]
) -> None:
    scheduler = Scheduler(ARMS)
    for gains in rounds:
        scheduler.learn(np.full(3, 100.0), np.array(gains))
    shares = scheduler.shares(np.array(able))

    assert shares.sum() == pytest.approx(1)
    assert (shares[np.array(able)] >= scheduler.config.floor - 1e-12).all()
    assert (shares[~np.array(able)] == 0).all()


def test_rows_are_dealt_out_by_shares_and_alike_for_the_same_chance() -> None:
    one, other = (taught((10, 40, 10)).deal(4_000, np.random.default_rng(3)) for _ in range(2))

    assert np.array_equal(one, other)
    assert np.bincount(one) / len(one) == pytest.approx(taught((10, 40, 10)).shares(), abs=0.03)


def test_more_floors_than_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="3 arms"):
        Scheduler(ARMS, SchedulerConfig(floor=0.5))


# ---- budgets in seconds ----------------------------------------------------------------------------------


def test_a_budget_of_seconds_ends_in_time_and_says_so() -> None:
    budget = replace(SMALL, search_steps=UNBOUNDED, search_seconds=1.5, floor=0.0)
    seen: list[Progress] = []
    began = time.monotonic()
    search = Search(Simulator(), bot_world(), budget, 1)
    while not search.finished:
        search.round()
    took = time.monotonic() - began
    coverage = explore(Simulator(), bot_world(), budget, 1, seen.append).coverage

    assert 1.5 <= took < 2.5
    assert coverage.stop_reason.startswith("budget: search ended after 1.5 s")
    assert all(p.done <= p.total for p in seen)
    assert [p for p in seen if p.arm == "search"][-1].spent == 1


def test_whichever_of_steps_and_seconds_comes_first_ends_the_search() -> None:
    coverage = explore(Simulator(), bot_world(), replace(SMALL, search_seconds=600.0), 1).coverage

    assert coverage.stop_reason.startswith("budget: search ended after 2,")


def test_seconds_must_be_positive() -> None:
    with pytest.raises(ValueError, match="search_seconds"):
        Budget(search_seconds=0.0)


def test_progress_says_who_plays() -> None:
    seen: list[Progress] = []
    explore(Simulator(), bot_world(), SMALL, 1, seen.append)
    search = [p.strategy for p in seen if p.arm == "search"]

    assert search[0] == "personas"
    assert all(name.endswith("%") for name in search[1:])
    assert seen[-1].strategy == "human/1"


def test_the_statement_says_why_the_search_ended() -> None:
    tiny = small_world("#####\n#@..#\n#####")
    whole = explore(Simulator(), tiny, replace(SMALL, search_steps=50_000), 1)
    short = explore(Simulator(), bot_world(), SMALL, 1)

    assert "hardly anything new" in str(statement(Inspection.of(whole, open_tiles(tiny))))
    assert "its budget was spent" in str(statement(Inspection.of(short, open_tiles(bot_world()))))


# ---- fine-tuning -----------------------------------------------------------------------------------------


def test_the_generalist_is_tuned_at_a_plateau_where_steps_are_left_and_the_same_each_time() -> None:
    budget = replace(SMALL, search_steps=15_000, tuning_steps=1_000, floor=8.0)

    def searched() -> Search:
        search = Search(Simulator(), bot_world(), budget, 2)
        while not search.finished and TUNED not in _players(search):
            search.round()
        return search

    one, other = searched(), searched()
    assert one.tuned is not None
    assert other.tuned is not None
    assert TUNED in _players(one), "the tuned policy plays"
    assert one.curve == other.curve
    for mine, theirs in zip(one.tuned.parameters(), other.tuned.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    goes_on = Search(Simulator(), bot_world(), budget, 2)
    goes_on.resume(*one.snapshot())
    for search in (one, goes_on):
        search.round()
    assert goes_on.curve == one.curve


def _players(search: Search) -> list[str]:
    return [segment.player for segment in search.archive.tree.segments]


def test_a_budget_without_steps_for_it_never_tunes() -> None:
    search = Search(Simulator(), bot_world(), replace(SMALL, tuning_steps=2_000), 2)
    while not search.finished:
        search.round()

    assert search.tuned is None
