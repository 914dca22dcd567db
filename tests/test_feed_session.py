"""The player's side of live play: bytes, tickets, the key latch and the one-frame slot."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedapi.ranking.snapshot import Context
from feedapi.session import WINDOW, Ending, Session, action_of
from feedapi.tickets import LIFETIME, BadTicket, Player, TicketOffice
from feedapi.wire import (
    ALL_KEYS,
    DRAWN_MESSAGE,
    KEYS_MESSAGE,
    BadMessage,
    Close,
    Drawn,
    Frame,
    Key,
    Keys,
    Kind,
    parse,
)
from moderation.secret import load_secret
from tests.small_worlds import small_world
from worldmodel.constants import Action

KEYS = st.integers(0, int(ALL_KEYS)).map(Key)
SINGLE = st.floats(0, 1e6, width=32)


def session(wake: list[int] | None = None) -> Session:
    heard = [] if wake is None else wake
    return Session("small", small_world("#@#"), 1, lambda: heard.append(1))


def frame(tick: int) -> Frame:
    return Frame(tick=tick, jpeg=b"jpeg", sound=b"")


@given(
    st.builds(
        Frame,
        tick=st.integers(0, 2**32 - 1),
        jpeg=st.binary(max_size=50),
        sound=st.binary(max_size=50),
        events=st.integers(0, 2**9 - 1),
        done=st.booleans(),
        echo=st.floats(0, 1e12),
        waited_ms=SINGLE,
        step_ms=SINGLE,
        encode_ms=SINGLE,
        health=st.integers(0, 3),
        keys=st.integers(0, 3),
        coins=st.integers(0, 999),
    )
)
def test_a_frame_survives_the_wire(sent: Frame) -> None:
    assert Frame.unpacked(sent.packed()) == sent


@given(st.binary(max_size=200))
def test_bytes_that_are_no_frame_are_refused(data: bytes) -> None:
    if data[:1] != b"\x01":
        with pytest.raises(BadMessage):
            Frame.unpacked(data)


@given(KEYS, st.floats(allow_nan=False))
def test_a_keys_message_says_what_is_held(held: Key, at: float) -> None:
    assert parse(KEYS_MESSAGE.pack(Kind.KEYS, int(held), at)) == Keys(held, at)


@given(st.integers(0, 2**32 - 1))
def test_a_drawn_message_says_which_frame(tick: int) -> None:
    assert parse(DRAWN_MESSAGE.pack(Kind.DRAWN, tick)) == Drawn(tick)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02\x00", b"\x07" * 10, KEYS_MESSAGE.pack(1, 255, 0.0)])
def test_other_bytes_from_a_client_are_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        parse(data)


@pytest.mark.parametrize(
    ("held", "action"),
    [
        (Key(0), Action.NOOP),
        (Key.LEFT, Action.LEFT),
        (Key.RIGHT, Action.RIGHT),
        (Key.UP, Action.UP),
        (Key.DOWN, Action.DOWN),
        (Key.UP | Key.LEFT, Action.UP_LEFT),
        (Key.UP | Key.RIGHT, Action.UP_RIGHT),
        (Key.LEFT | Key.RIGHT, Action.NOOP),
        (Key.UP | Key.DOWN, Action.NOOP),
        (Key.DOWN | Key.RIGHT, Action.RIGHT),
        (Key.INTERACT | Key.RIGHT | Key.UP, Action.INTERACT),
    ],
)
def test_held_keys_become_one_action(held: Key, action: Action) -> None:
    assert action_of(held) is action


def test_a_held_key_walks_on_until_it_is_released() -> None:
    player = session()
    player.press(Keys(Key.RIGHT, 5.0))

    steps = [player.latch().action for _ in range(3)]
    player.press(Keys(Key(0), 6.0))

    assert steps == [Action.RIGHT] * 3
    assert player.latch().action is Action.NOOP


def test_a_tap_between_two_ticks_is_not_lost() -> None:
    player = session()
    player.press(Keys(Key.UP, 1.0))
    player.press(Keys(Key(0), 2.0))

    assert [player.latch().action, player.latch().action] == [Action.UP, Action.NOOP]


def test_holding_interact_interacts_once() -> None:
    player = session()
    player.press(Keys(Key.INTERACT | Key.RIGHT, 1.0))

    assert [player.latch().action, player.latch().action] == [Action.INTERACT, Action.RIGHT]


def test_an_inputs_timestamp_is_echoed_once() -> None:
    player = session()
    player.press(Keys(Key.LEFT, 123.5))

    assert player.latch().echo == 123.5
    assert player.latch().echo == 0.0


def test_only_the_newest_frame_waits() -> None:
    player = session()
    for tick in range(1, 6):
        player.put(frame(tick))

    assert player.take() == frame(5)
    assert player.take() is None


def test_a_dropped_frame_s_report_is_told_by_the_next() -> None:
    player = session()
    player.put(Frame(tick=1, jpeg=b"", sound=b"", events=0b01, echo=7.0, waited_ms=3.0))
    player.put(Frame(tick=2, jpeg=b"new", sound=b"", events=0b10))

    assert player.take() == Frame(tick=2, jpeg=b"new", sound=b"", events=0b11, echo=7.0, waited_ms=3.0)


def test_a_client_that_draws_nothing_gets_no_more_than_the_window() -> None:
    player = session()
    taken = []
    for tick in range(1, 20):
        player.put(frame(tick))
        taken.append(player.take())

    assert [each.tick for each in taken if each] == [1, 2, 3]
    assert len([each for each in taken if each]) == WINDOW


def test_drawing_opens_the_window_for_the_newest_frame() -> None:
    wakes: list[int] = []
    player = session(wakes)
    for tick in range(1, 10):
        player.put(frame(tick))
        player.take()
    before = len(wakes)

    player.drawn(2)

    assert len(wakes) == before + 1
    assert player.take() == frame(9)


def test_the_first_reason_for_an_end_stays() -> None:
    player = session()
    player.end(Ending(Close.NOT_PUBLISHED, "withdrawn"))
    player.end(Ending(Close.INTERNAL_ERROR, "broken"))

    assert player.ending == Ending(Close.NOT_PUBLISHED, "withdrawn")


ANNA = Player("anna")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def office(clock: Clock) -> TicketOffice:
    return TicketOffice(b"s" * 32, clock)


def test_a_ticket_opens_its_world_once(office: TicketOffice) -> None:
    ticket, grant = office.issue("lantern-caves", ANNA)

    assert office.redeem(ticket, "lantern-caves") == grant
    with pytest.raises(BadTicket, match="used"):
        office.redeem(ticket, "lantern-caves")


def test_a_ticket_says_who_plays_and_what_led_there(office: TicketOffice) -> None:
    shown = Context("s1", 3, "v3", 0.25)
    ticket, _ = office.issue("lantern-caves", Player("anna", "creator"), shown)

    grant = office.redeem(ticket, "lantern-caves")

    assert (grant.player, grant.shown) == (Player("anna", "creator"), shown)


def test_a_ticket_opens_no_other_world(office: TicketOffice) -> None:
    ticket, _ = office.issue("lantern-caves", ANNA)

    with pytest.raises(BadTicket, match="another world"):
        office.redeem(ticket, "back-room")


def test_a_ticket_expires(office: TicketOffice, clock: Clock) -> None:
    ticket, _ = office.issue("lantern-caves", ANNA)
    clock.now += LIFETIME + 1

    with pytest.raises(BadTicket, match="expired"):
        office.redeem(ticket, "lantern-caves")


def test_a_ticket_of_another_server_is_not_genuine(office: TicketOffice) -> None:
    ticket, _ = TicketOffice(b"t" * 32).issue("lantern-caves", ANNA)

    with pytest.raises(BadTicket, match="genuine"):
        office.redeem(ticket, "lantern-caves")


@given(st.floats(0, 1, exclude_max=True))
def test_a_changed_ticket_is_not_genuine(where: float) -> None:
    office = TicketOffice(b"s" * 32)
    ticket, _ = office.issue("lantern-caves", ANNA)
    at = int(where * (len(ticket) - 1))  # the last character may carry bits that say nothing
    other = "A" if ticket[at] != "A" else "B"

    with pytest.raises(BadTicket, match="genuine"):
        office.redeem(ticket[:at] + other + ticket[at + 1 :], "lantern-caves")


@given(st.text(max_size=60))
def test_any_text_is_refused_without_a_crash(text: str) -> None:
    with pytest.raises(BadTicket):
        TicketOffice(b"s" * 32).redeem(text, "lantern-caves")


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    secret = load_secret(tmp_path / "home")

    assert load_secret(tmp_path / "home") == secret
    assert len(secret) == 32
    assert stat.S_IMODE((tmp_path / "home" / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["secret.key"]
