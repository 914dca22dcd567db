"""How many may play follows from what a tick was measured to cost."""

from __future__ import annotations

from feedapi.pace import KEPT_TICKS, Pace


def measured(seconds: float, rows: int, period: float = 0.1) -> Pace:
    pace = Pace(period)
    for _ in range(KEPT_TICKS):
        pace.took(seconds, rows)
    return pace


def test_players_fit_while_a_tick_takes_four_fifths_of_its_period() -> None:
    pace = measured(0.04, 4)

    assert pace.fits(8)
    assert pace.predict(8, thin=False) == 0.08


def test_before_the_queue_the_frames_give_way() -> None:
    pace = measured(0.04, 4)

    assert pace.fits(11), "at half the frames"
    assert not pace.fits(12)


def test_frames_are_thinned_out_when_ticks_take_too_long_and_come_back_when_they_do_not() -> None:
    assert not measured(0.09, 9).thin
    pace = measured(0.096, 9)
    assert pace.thin

    for _ in range(KEPT_TICKS):
        pace.took(0.03, 4)

    assert not pace.thin


def test_nothing_measured_lets_the_first_player_in() -> None:
    assert Pace(0.1).fits(1)


def test_a_slow_tick_among_many_changes_nothing() -> None:
    pace = measured(0.02, 2)
    pace.took(0.5, 2)

    assert pace.fits(7)
    assert (pace.ticks, pace.late) == (KEPT_TICKS + 1, 1)


def test_the_guards_share_is_of_the_ticks_time() -> None:
    pace = Pace(0.1)
    pace.took(0.04, 2, guard=0.004)
    pace.took(0.04, 2, guard=0.002)

    assert abs(pace.guard_share - 0.075) < 1e-9
