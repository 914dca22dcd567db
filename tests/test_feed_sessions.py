"""Live play tells the ranking what each session was like and how it ended, and the next ranking uses it.

Players are told apart by their address; on Linux every 127.x.y.z is one of this machine's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from feedapi import arena as arena_module
from feedapi.cli import build_app
from feedapi.ranking import signals
from feedapi.wire import KEYS_MESSAGE, REPORT_MESSAGE, Key, Kind
from moderation.accounts import create_account, create_key
from moderation.states import WorldState
from moderation.store import Store, open_store
from moderation.store import tables as t
from moderation.store.charges import LIVE, of_version
from moderation.store.feed import PlayedSession
from tests.feed_home import Running, add_world, fill, move, running
from tests.guarded import guards, poster_world
from tests.test_feed_live import cut, hello
from tests.test_feed_play import drain, frames, until

WORLD = "sunny-meadow"
RED = (230, 20, 20)


@dataclass
class Somebody:
    """A client at an address of its own."""

    server: Running
    number: int
    headers: dict[str, str] | None = None

    @property
    def address(self) -> str:
        return f"127.0.1.{self.number}"

    def ask(self, method: str, path: str, **given: Any) -> Any:
        transport = httpx.HTTPTransport(local_address=self.address)
        with httpx.Client(base_url=self.server.url, transport=transport, headers=self.headers) as client:
            return client.request(method, path, **given).raise_for_status().json()

    def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "/v1/feed")["items"]
        return found

    def tell(self, kind: str, item: dict[str, Any], **more: Any) -> None:
        one = {
            "id": f"{kind}-{self.number:04}-{item['id']}",
            "kind": kind,
            "context": item["context"],
            **more,
        }
        assert self.ask("POST", "/v1/interactions", json={"items": [one]})["added"] == 1

    def ticket(self, world: str = WORLD, context: str | None = None) -> dict[str, Any]:
        body = None if context is None else {"context": context}
        told: dict[str, Any] = self.ask("POST", f"/v1/worlds/{world}/sessions", json=body)
        return told

    def connect(self, ticket: dict[str, Any]) -> ClientConnection:
        return connect(self.server.socket(ticket["socket"]), source_address=(self.address, 0))

    def play(self, ticket: dict[str, Any], wanted: int = 6, key: Key = Key.RIGHT) -> None:
        """Hold a key for some frames, and leave."""
        with self.connect(ticket) as socket:
            frames(socket, 1)
            socket.send(KEYS_MESSAGE.pack(Kind.KEYS, key, 1.0))
            frames(socket, wanted)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    fill(tmp_path / "home", {"Sunny Meadow": "published", "Other Meadow": "published"})
    with running(tmp_path / "home") as here:
        yield here


@pytest.fixture
def store(server: Running) -> Store:
    return server.services.store


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(t.play_sessions.select().order_by(t.play_sessions.c.at)))


def kept(store: Store, count: int = 1) -> list[Any]:
    """The sessions in the store, once there are so many."""
    until(lambda: len(rows(store)) >= count)
    return rows(store)


def told(store: Store) -> PlayedSession:
    (one,) = store.feed.sessions(0.0)
    return one


# -- what is kept -------------------------------------------------------------------------------------


def test_a_session_keeps_what_the_player_did_and_not_who_they_are(server: Running, store: Store) -> None:
    player = Somebody(server, 1)
    began = time.time()
    player.play(player.ticket(), wanted=30)

    (row,) = kept(store)

    assert 2 <= row.seconds < 5
    assert 0 < row.first_input <= row.seconds
    assert row.cells >= 3
    assert 0 < row.mechanics < 1
    assert (row.ended, row.played_by, row.spawn, row.reported) == ("left", "person", 0, False)
    assert began - 1 < row.at < time.time()
    assert "127.0.1.1" not in row.player


def test_who_only_looks_had_no_input_and_stays_on_one_place(server: Running, store: Store) -> None:
    player = Somebody(server, 1)
    with player.connect(player.ticket()) as socket:
        frames(socket, 5)

    (row,) = kept(store)

    assert row.first_input is None
    assert row.cells <= 2  # the start may be in the air
    assert row.mechanics == 0


def test_a_session_whose_player_does_not_come_back_is_kept(
    server: Running, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena_module, "PARKED_FOR", 0.3)
    player = Somebody(server, 1)
    with player.connect(player.ticket()) as socket:
        frames(socket, 4)
        cut(socket)

        (row,) = kept(store)

    assert row.ended == "lost"


def test_a_session_that_is_resumed_is_one(server: Running, store: Store) -> None:
    player = Somebody(server, 1)
    with player.connect(player.ticket()) as socket:
        token = hello(socket)["resume"]
        frames(socket, 10)
        cut(socket)
        until(lambda: bool(server.services.arena._parked))
    with connect(server.socket(f"/v1/worlds/{WORLD}/play?resume={token}")) as again:
        frames(again, 10)

    (row,) = kept(store)

    assert row.ended == "left"
    assert row.seconds > 1
    assert row.player == server.services.feed.pseudonym("127.0.1.1")


def test_a_session_that_the_server_ends_is_kept_and_says_nothing_of_the_world(tmp_path: Path) -> None:
    fill(tmp_path, {"Sunny Meadow": "published"})
    with ExitStack() as sockets, running(tmp_path) as server:
        player = Somebody(server, 1)
        frames(sockets.enter_context(player.connect(player.ticket())), 3)
    store = open_store(tmp_path)

    (row,) = rows(store)

    assert row.ended == "stopped"
    assert store.feed.sessions(0.0) == []
    store.close()


def test_a_session_of_a_world_that_is_taken_down_is_kept(server: Running, store: Store) -> None:
    version = store.published_world(WORLD).version
    player = Somebody(server, 1)
    with player.connect(player.ticket()) as socket:
        frames(socket, 3)
        move(store, version, [WorldState.SUSPENDED, WorldState.TAKEN_DOWN])
        with pytest.raises(ConnectionClosed):
            drain(socket)

    (row,) = kept(store)

    assert row.ended == "withdrawn"


def test_a_session_that_the_guard_ends_was_no_good_one(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    add_world(store, "Red Meadow", "published", world=poster_world("Red Meadow", RED))
    store.close()
    with running(tmp_path, guarded=guards()) as server:
        player = Somebody(server, 1)
        with player.connect(player.ticket("red-meadow")) as socket, pytest.raises(ConnectionClosed):
            frames(socket, 1000)
        (row,) = kept(server.services.store)

        assert row.ended == "guarded"
        assert told(server.services.store).reported


def test_a_report_in_play_is_told_with_the_session(server: Running, store: Store) -> None:
    player = Somebody(server, 1)
    with player.connect(player.ticket()) as socket:
        frames(socket, 2)
        socket.send(REPORT_MESSAGE.pack(Kind.REPORT))
        frames(socket, 2)

    (row,) = kept(store)

    assert row.reported
    assert told(store).reported


# -- who played ---------------------------------------------------------------------------------------


def test_a_creator_s_own_session_is_theirs_signed_in_or_not(server: Running, store: Store) -> None:
    create_account(store, "creator", ["creator"])  # whose the worlds of this test are
    key = create_key(store, "creator")
    at_home = Somebody(server, 1, {"Authorization": f"Bearer {key}"})
    at_home.play(at_home.ticket())
    Somebody(server, 1).play(Somebody(server, 1).ticket())
    somebody_else = Somebody(server, 2)
    somebody_else.play(somebody_else.ticket())

    assert [row.played_by for row in kept(store, 3)] == ["creator", "creator", "person"]


def test_a_program_with_a_key_is_a_bot(server: Running, store: Store) -> None:
    create_account(store, "anna", ["platform"])
    bot = Somebody(server, 1, {"Authorization": f"Bearer {create_key(store, 'anna')}"})
    bot.play(bot.ticket())

    assert [row.played_by for row in kept(store)] == ["bot"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.5", "203.0.113.6", False),
        ("2001:db8:1:2::5", "2001:db8:1:2:ffff::6", True),
        ("2001:db8:1:2::5", "2001:db8:1:3::5", False),
        ("::ffff:203.0.113.5", "203.0.113.5", True),
    ],
)
def test_a_player_is_an_address_or_a_network_of_them(
    server: Running, one: str, other: str, same: bool
) -> None:
    feed = server.services.feed

    assert (feed.pseudonym(one) == feed.pseudonym(other)) is same


# -- the feed, and what it learns ---------------------------------------------------------------------


def test_who_comes_from_the_feed_starts_where_the_ranking_says(server: Running, store: Store) -> None:
    for number in range(1, 6):
        player = Somebody(server, number)
        item = next(one for one in player.items() if one["id"] == WORLD)
        player.play(player.ticket(context=item["context"]), wanted=2)
    spawns = len(server.services.world(WORLD).spawns)

    found = kept(store, 5)

    assert spawns > 1
    assert {row.spawn_propensity for row in found} == {1 / spawns}, "nothing is known yet"
    assert len({row.spawn for row in found}) > 1
    sessions = store.feed.sessions(0.0)
    assert all(one.snapshot is not None and one.position is not None for one in sessions)


def test_the_context_of_another_world_leads_nowhere(server: Running, store: Store) -> None:
    player = Somebody(server, 1)
    item = next(one for one in player.items() if one["id"] != WORLD)
    player.play(player.ticket(context=item["context"]))
    kept(store)

    assert told(store).snapshot is None


def test_a_context_that_was_changed_opens_no_session(server: Running) -> None:
    player = Somebody(server, 1)
    forged = player.items()[0]["context"][:-4] + "AAAA"

    answer = httpx.post(f"{server.url}/v1/worlds/{WORLD}/sessions", json={"context": forged})

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-context")


def test_a_ranking_learns_from_play_and_another_can_be_judged_by_it(
    server: Running, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "BRIEF", 0.3)  # seconds: sessions of this test are short
    liked, left = store.published_world(WORLD).version, store.published_world("other-meadow").version
    for number in range(1, 9):
        player = Somebody(server, number)
        for item in player.items():
            player.tell("seen", item)
            ticket = player.ticket(item["id"], item["context"])
            player.play(ticket, wanted=10 if item["version"] == liked else 1)
    kept(store, 16)
    server.services.feed.shelf._make("age-18")
    known = server.services.feed.shelf._known

    assert known is not None
    assert known.means[WORLD] > known.means["other-meadow"] + 0.1
    sessions = dict(zip(known.versions, known.arms.evidence.sessions, strict=True))
    assert sessions == pytest.approx({liked: 8, left: 8}, abs=0.01)
    played = known.spawns[WORLD].sessions.sum()
    assert played == pytest.approx(8, abs=0.01)
    judged = judge(tmp_path, "evaluate", "--greedy")
    assert (judged["items"], judged["players"]) == (16, 8)
    assert judged["logged"]["mean"] > 0
    assert judged["snips"]["mean"] > 0


def judge(folder: Path, *command: str) -> Any:
    told = CliRunner().invoke(build_app(), ["feed", *command, "--json", "--home", str(folder / "home")])
    assert told.exit_code == 0, (told.output, told.exception)
    return json.loads(told.output)


def test_bots_creators_and_links_teach_it_nothing(server: Running, store: Store) -> None:
    create_account(store, "creator", ["creator"])
    create_account(store, "anna", ["platform"])
    keys = [create_key(store, account) for account in ("creator", "anna")]
    players = [Somebody(server, n, {"Authorization": f"Bearer {key}"}) for n, key in enumerate(keys, 1)]
    for player in players:
        item = next(one for one in player.items() if one["id"] == WORLD)
        player.tell("seen", item)
        player.play(player.ticket(context=item["context"]), wanted=2)
    by_link = Somebody(server, 3)
    by_link.play(by_link.ticket(), wanted=2)
    kept(store, 3)
    server.services.feed.shelf._make("age-18")
    known = server.services.feed.shelf._known

    assert known is not None
    assert np.all(known.arms.evidence.sessions == 0)


# -- what it cost -------------------------------------------------------------------------------------


def test_a_session_is_charged_to_its_world(server: Running, store: Store) -> None:
    player = Somebody(server, 1)
    player.play(player.ticket(), wanted=15)
    kept(store)

    (charge,) = reading(store, store.published_world(WORLD).version)

    assert (charge.work, charge.device, charge.items) == (LIVE, "cpu", 1)
    assert 0 < charge.seconds < 5
    assert charge.sent > 15 * 1000


def reading(store: Store, version: str) -> list[Any]:
    with store.reading() as connection:
        return of_version(connection, version)
