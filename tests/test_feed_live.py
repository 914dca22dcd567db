"""Live play beyond one player and one socket: take-down, the queue, lost connections, people who watch."""

from __future__ import annotations

import json
import socket as sockets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from feedapi import arena as arena_module
from feedapi import play as play_module
from feedapi.tickets import Player
from feedapi.wire import KEYS_MESSAGE, Close, Key, Kind
from moderation.states import WorldState
from moderation.store import Store
from tests.feed_home import Running, add_world, fill, move, package, running
from tests.test_feed_play import frames, refused, ticket, until

WORLD = "sunny-meadow"
TAKE_DOWN = """
import sys
from pathlib import Path
from moderation.states import WorldState
from moderation.store import open_store
with open_store(Path(sys.argv[1])).writing() as tx:
    for state in (WorldState.SUSPENDED, WorldState.TAKEN_DOWN):
        tx.transition(sys.argv[2], state, "operator", "taken down")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    fill(tmp_path / "home", {"Sunny Meadow": "published", "Other Meadow": "published"})
    with running(tmp_path / "home", capacity=2) as here:
        yield here


def taken_down(store: Store, version: str) -> None:
    move(store, version, [WorldState.SUSPENDED, WorldState.TAKEN_DOWN])


def seconds_until_closed(sockets: list[ClientConnection], began: float) -> float:
    for socket in sockets:
        with pytest.raises(ConnectionClosed) as closed:
            frames(socket, 10_000)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == Close.NOT_PUBLISHED
    return time.monotonic() - began


def hello(socket: ClientConnection) -> dict[str, str]:
    greeting: dict[str, str] = json.loads(socket.recv(timeout=20))
    return greeting


def cut(socket: ClientConnection) -> None:
    """The network is gone: nobody says goodbye."""
    socket.socket.shutdown(sockets.SHUT_RDWR)


# -- take-down ----------------------------------------------------------------------------------------


def test_a_take_down_closes_the_sessions_of_the_world_and_of_its_remixes_within_half_a_second(
    tmp_path: Path,
) -> None:
    with running(tmp_path / "home", capacity=8) as server, ExitStack() as open_sockets:
        store = server.services.store
        version = add_world(store, "Sunny Meadow", "published")
        add_world(store, "Remix", "published", world=package("Remix"), remix_of=WORLD)
        add_world(store, "Remix Of Remix", "published", world=package("Remix Of Remix"), remix_of="remix")
        add_world(store, "Other Meadow", "published")
        played = [
            open_sockets.enter_context(connect(ticket(server, world)))
            for world in (WORLD, WORLD, "remix", "remix-of-remix")
        ]
        other = open_sockets.enter_context(connect(ticket(server, "other-meadow")))
        for socket in (*played, other):
            frames(socket, 2)

        began = time.monotonic()
        taken_down(store, version)
        took = seconds_until_closed(played, began)

        assert frames(other, 2)
        genuine, _ = server.services.office.issue("remix", Player("anna"))
        assert refused(server.socket(f"/v1/worlds/remix/play?ticket={genuine}"))[0] == Close.NOT_PUBLISHED
    assert took < 0.5


def test_a_take_down_by_another_process_closes_them_within_two_seconds(server: Running) -> None:
    store = server.services.store
    version = store.published_world(WORLD).version
    with connect(ticket(server)) as socket:
        frames(socket, 2)
        subprocess.run([sys.executable, "-c", TAKE_DOWN, str(store.home), version], check=True)

        took = seconds_until_closed([socket], time.monotonic())

    assert took < 2


def test_where_the_store_does_not_answer_nobody_plays_on(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play_module, "BLIND_FOR", 0.3)
    with connect(ticket(server)) as socket:
        frames(socket, 2)
        with server.services.store.writing() as tx:
            tx.connection.exec_driver_sql("ALTER TABLE events RENAME TO gone")

        assert seconds_until_closed([socket], time.monotonic()) < 5


# -- the queue ----------------------------------------------------------------------------------------


def test_who_finds_no_place_waits_sees_the_position_and_then_plays(server: Running) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(connect(ticket(server))) for _ in range(2))
        frames(first, 1), frames(second, 1)
        third, fourth = (stack.enter_context(connect(ticket(server))) for _ in range(2))
        hello(third), hello(fourth)
        assert json.loads(third.recv(timeout=20)) == {"type": "queue", "position": 1}
        assert json.loads(fourth.recv(timeout=20)) == {"type": "queue", "position": 2}

        first.close()

        assert json.loads(third.recv(timeout=20)) == {"type": "queue", "position": 0}
        assert frames(third, 3)
        assert json.loads(fourth.recv(timeout=20)) == {"type": "queue", "position": 1}


# -- lost connections ---------------------------------------------------------------------------------


def test_a_lost_player_comes_back_to_where_the_session_was(server: Running) -> None:
    with connect(ticket(server)) as socket:
        token = hello(socket)["resume"]
        socket.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 1.0))
        before = frames(socket, 20)[-1]
        cut(socket)
    until(lambda: bool(server.services.arena._parked))

    with connect(server.socket(f"/v1/worlds/{WORLD}/play?resume={token}")) as socket:
        after = frames(socket, 3)[0]

    assert 0 < after.step - before.step < 30, "the world stood still meanwhile"
    assert server.services.arena.players <= 1


def test_a_parked_session_keeps_its_place_and_gives_it_up_in_time(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena_module, "PARKED_FOR", 1.0)
    with connect(ticket(server)) as socket:
        token = hello(socket)["resume"]
        frames(socket, 2)
        cut(socket)
    until(lambda: bool(server.services.arena._parked))
    assert server.services.arena.players == 1

    until(lambda: not server.services.arena.players)

    back = server.socket(f"/v1/worlds/{WORLD}/play?resume={token}")
    assert refused(back) == (Close.BAD_TICKET, "the session was not kept: start again")


def test_who_says_goodbye_is_not_waited_for(server: Running) -> None:
    with connect(ticket(server)) as socket:
        token = hello(socket)["resume"]
        frames(socket, 2)
    until(lambda: not server.services.arena.players)

    assert refused(server.socket(f"/v1/worlds/{WORLD}/play?resume={token}"))[0] == Close.BAD_TICKET


def test_a_parked_session_of_a_withdrawn_world_does_not_go_on(server: Running) -> None:
    with connect(ticket(server)) as socket:
        token = hello(socket)["resume"]
        frames(socket, 2)
        cut(socket)
    until(lambda: bool(server.services.arena._parked))
    taken_down(server.services.store, server.services.store.published_world(WORLD).version)
    until(lambda: not server.services.arena.players)

    assert refused(server.socket(f"/v1/worlds/{WORLD}/play?resume={token}"))[0] == Close.BAD_TICKET


# -- people who watch ---------------------------------------------------------------------------------


def test_many_watch_one_session_which_stays_one_row_of_the_batch(server: Running) -> None:
    with connect(ticket(server)) as player, ExitStack() as stack:
        token = hello(player)["watch"]
        watching = [
            stack.enter_context(connect(server.socket(f"/v1/worlds/{WORLD}/watch?session={token}")))
            for _ in range(5)
        ]
        frames(player, 3)
        seen = [frames(one, 3) for one in watching]
        watching[0].send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 1.0))
        echoes = [frame.echo for frame in frames(player, 10)]

        assert all(len(one) == 3 for one in seen)
        assert len(server.services.arena._seats) == 1
        assert not any(echoes), "who watches does not play"


def test_watching_needs_the_session_s_token(server: Running) -> None:
    with connect(ticket(server)) as player:
        token = hello(player)["watch"]
        frames(player, 1)

        assert refused(server.socket(f"/v1/worlds/{WORLD}/watch?session=abc"))[0] == Close.BAD_TICKET
        elsewhere = server.socket(f"/v1/worlds/other-meadow/watch?session={token}")
        assert refused(elsewhere)[0] == Close.BAD_TICKET


def test_a_token_to_watch_does_not_let_anybody_play(server: Running) -> None:
    with connect(ticket(server)) as player:
        token = hello(player)["watch"]
        frames(player, 1)

        assert refused(server.socket(f"/v1/worlds/{WORLD}/play?resume={token}"))[0] == Close.BAD_TICKET


def test_a_full_server_still_answers_the_feed(server: Running) -> None:
    with connect(ticket(server)) as player:
        frames(player, 1)

        assert httpx.get(f"{server.url}/v1/worlds").status_code == 200
