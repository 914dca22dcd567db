"""The tick loop: one batch for all players, who come and go as they like."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest

from feedapi import arena as arena_module
from feedapi.arena import Arena, ArenaFull
from feedapi.encoding import encode_jpeg, encode_sound
from feedapi.session import Session
from feedapi.wire import Close, Frame, Key, Keys
from tests.small_worlds import small_world
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import FRAME, SAMPLES_PER_STEP, UNITS, Event
from worldmodel.simulator import Simulator

FIELD = small_world(
    """
    ########################
    #@.....................#
    ########################
    """
)
GOAL = small_world(
    """
    ######
    #@G..#
    ######
    """
)
FAST = 200
"""Ticks a second: a test need not wait for a player's clock."""


def until(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def player(world: CompiledWorld = FIELD) -> Session:
    return Session("world", world, 1, lambda: None)


def newest(session: Session) -> Frame:
    """The next frame, drawn at once."""
    taken: list[Frame] = []

    def came() -> bool:
        frame = session.take()
        if frame is not None:
            session.drawn(frame.tick)
            taken.append(frame)
        return bool(taken)

    until(came)
    return taken[0]


@pytest.fixture
def arena() -> Iterator[Arena]:
    here = Arena(Simulator, capacity=3, fps=FAST)
    yield here
    here.close()


def column(arena: Arena, row: int = 0) -> float:
    assert arena._state is not None
    return float(arena._state.position[row, 0]) / UNITS


def test_a_player_gets_frames_in_order(arena: Arena) -> None:
    session = player()
    arena.join(session)

    ticks = [newest(session).tick for _ in range(5)]

    assert ticks == sorted(set(ticks))


def test_a_frame_is_what_the_model_drew(arena: Arena) -> None:
    session = player()
    arena.join(session)
    jpeg = newest(session).jpeg
    arena.leave(session)
    model = Simulator()
    drawn = model.render(model.spawn([FIELD], [1]))[0].permute(1, 2, 0).numpy()

    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    assert shown.shape == (FRAME, FRAME, 3)
    assert np.abs(shown.astype(int) - drawn).mean() < 20


def test_holding_right_moves_the_player_right(arena: Arena) -> None:
    session = player()
    arena.join(session)
    newest(session)
    before = column(arena)

    session.press(Keys(Key.RIGHT, 1.0))
    until(lambda: column(arena) > before + 3)

    session.press(Keys(Key(0), 2.0))
    assert newest(session).health == 3


def test_an_input_is_echoed(arena: Arena) -> None:
    session = player()
    arena.join(session)
    newest(session)
    session.press(Keys(Key.RIGHT, 77.5))

    until(lambda: newest(session).echo == 77.5)


def test_players_share_a_batch_and_leave_it_alone(arena: Arena) -> None:
    first, second = player(), player()
    arena.join(first)
    arena.join(second)
    newest(first), newest(second)
    second.press(Keys(Key.RIGHT, 1.0))
    until(lambda: column(arena, 1) > 4)
    assert column(arena, 0) < 2

    arena.leave(first)

    until(lambda: len(arena._seats) == 1 and column(arena, 0) > 4)
    assert newest(second).tick > 0
    assert arena.players == 1


def test_a_full_arena_refuses_and_a_freed_place_is_given_again(arena: Arena) -> None:
    seated = [player() for _ in range(3)]
    for session in seated:
        arena.join(session)

    with pytest.raises(ArenaFull, match="all 3 places"):
        arena.join(player())
    arena.leave(seated[0])
    arena.leave(seated[0])
    late = player()
    arena.join(late)

    assert newest(late).tick >= 1


def test_joining_and_leaving_at_once_seats_nobody(arena: Arena) -> None:
    session = player()
    arena.join(session)
    arena.leave(session)
    other = player()
    arena.join(other)
    newest(other)

    assert [seat.session for seat in arena._seats] == [other]


def test_a_reached_goal_is_shown_and_then_the_world_starts_again(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena_module, "REST_STEPS", 5)
    session = player(GOAL)
    arena.join(session)
    session.press(Keys(Key.RIGHT, 1.0))
    until(lambda: newest(session).done)
    session.press(Keys(Key(0), 2.0))

    until(lambda: not newest(session).done)

    assert column(arena) == pytest.approx(1.5)


def test_a_goal_is_reported_as_an_event(arena: Arena) -> None:
    session = player(GOAL)
    arena.join(session)
    seen = []
    session.press(Keys(Key.RIGHT, 1.0))

    def reached() -> bool:
        seen.append(newest(session).events)
        return bool(seen[-1] & (1 << Event.GOAL))

    until(reached)


def test_an_idle_arena_loads_nothing_and_closes() -> None:
    here = Arena(Simulator, capacity=1)
    assert not here.ready

    here.close()

    with pytest.raises(ArenaFull):
        here.join(player())


def test_warming_up_loads_the_model_before_anyone_plays(arena: Arena) -> None:
    arena.warm_up()

    until(lambda: arena.ready)
    assert arena.players == 0


def test_a_model_that_cannot_be_loaded_ends_the_session_and_may_be_tried_again() -> None:
    attempts = []

    def load() -> Simulator:
        attempts.append(1)
        if len(attempts) == 1:
            raise FileNotFoundError("no weights")
        return Simulator()

    here = Arena(load, capacity=1, fps=FAST)
    unlucky, lucky = player(), player()
    here.join(unlucky)
    until(lambda: unlucky.ending is not None)
    here.join(lucky)

    assert unlucky.ending is not None
    assert unlucky.ending.code is Close.INTERNAL_ERROR
    assert newest(lucky).tick >= 1
    here.close()


def test_in_a_thin_tick_all_worlds_step_and_every_other_player_gets_a_frame_that_tells_both(
    arena: Arena,
) -> None:
    sessions = [player(), player()]
    for session in sessions:
        arena.join(session)
    for session in sessions:
        newest(session)
    arena.pace.predict = lambda rows, *, thin: 9.0  # type: ignore[method-assign]
    until(lambda: arena.pace.thin)

    got = [[newest(session) for _ in range(8)][2:] for session in sessions]  # the first was there before

    for frames in got:
        assert all(after.tick - before.tick >= 2 for before, after in pairwise(frames))
        assert all(after.step - before.step == after.tick - before.tick for before, after in pairwise(frames))
    even = [{frame.tick % 2 for frame in frames} for frames in got]
    assert all(len(one) == 1 for one in even)


def test_closing_ends_every_session_and_the_thread(arena: Arena) -> None:
    session = player()
    arena.join(session)
    newest(session)
    thread = arena._thread
    assert thread is not None

    arena.close()

    assert session.ending is not None
    assert not thread.is_alive()


def test_an_arena_keeps_only_worlds_that_are_played(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena_module, "BANK_LIMIT", 3)
    stays = player()
    arena.join(stays)
    first = newest(stays)
    for number in range(8):
        passes = player(small_world("#@" + "." * (number + 3) + "#"))
        arena.join(passes)
        newest(passes)
        arena.leave(passes)
        until(lambda: len(arena._seats) == 1)

    bank = arena._model.bank

    assert bank.kept <= 4
    assert len(bank.worlds) <= 4
    assert newest(stays).tick > first.tick
    assert arena._model.world(int(arena._state.world[0])) is stays.world


def test_pixel_art_survives_the_jpeg() -> None:
    picture = np.zeros((FRAME, FRAME, 3), np.uint8)
    picture[:, ::16] = (255, 0, 0)

    back = cv2.imdecode(np.frombuffer(encode_jpeg(picture), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    assert np.abs(back.astype(int) - picture).mean() < 8


def test_sound_is_int16_and_silence_is_nothing() -> None:
    loud = np.full(SAMPLES_PER_STEP, 2.0, np.float32)

    assert encode_sound(np.zeros(SAMPLES_PER_STEP, np.float32)) == b""
    assert np.frombuffer(encode_sound(loud), "<i2").tolist() == [32767] * SAMPLES_PER_STEP


def test_a_wrong_amount_of_sound_is_an_error() -> None:
    with pytest.raises(ValueError, match="1600"):
        encode_sound(np.zeros(10, np.float32))
