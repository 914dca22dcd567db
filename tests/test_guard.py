"""The guard over real sockets, with its real process: what players are spared, and what is kept of it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from socket import SHUT_RDWR

import cv2
import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from bots.recorder import regenerate
from feedapi.guarding import Guarded, by_policy
from feedapi.wire import DRAWN_MESSAGE, KEYS_MESSAGE, REPORT_MESSAGE, Close, Frame, Key, Kind
from moderation.states import WorldState
from moderation.store import Store, live, open_store
from moderation.store.bundles import find_bundles, set_bundle_status
from moderation.store.live import LiveReport, ReportKind
from policies.types import Source
from tests.feed_home import Running, add_world, package, running
from tests.guarded import (
    POLICY,
    broken_inspector,
    guards,
    make_live,
    poster_world,
    red_share,
    sluggish_inspector,
    stored_inspector,
    stuck_inspector,
)
from tests.test_feed_play import frames, until
from worldmodel.constants import FPS
from worldmodel.simulator import Simulator

RED, DULL = (230, 20, 20), (40, 90, 160)
pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    here = open_store(tmp_path / "home")
    yield here
    here.close()


@contextmanager
def guarded_play(store: Store, **how: object) -> Iterator[Running]:
    with running(store.home, guarded=guards(**how)) as server:  # type: ignore[arg-type]
        yield server


def publish(store: Store, title: str, colour: tuple[int, int, int], remix_of: str | None = None) -> str:
    return add_world(store, title, "published", world=poster_world(title, colour), remix_of=remix_of)


def address(server: Running, world: str) -> str:
    answer = httpx.post(f"{server.url}/v1/worlds/{world}/sessions").raise_for_status()
    return server.socket(answer.json()["socket"])


def played(socket: ClientConnection, most: int = 400) -> tuple[list[Frame], int, str]:
    """All frames until the server closes, with its code and reason."""
    got: list[Frame] = []
    with pytest.raises(ConnectionClosed) as closed:
        read(socket, got, most)
    assert closed.value.rcvd is not None
    return got, closed.value.rcvd.code, closed.value.rcvd.reason


def read(socket: ClientConnection, got: list[Frame], most: int) -> None:
    while len(got) < most:
        data = socket.recv(timeout=60)
        if isinstance(data, bytes):
            got.append(Frame.unpacked(data))
            with suppress(ConnectionClosed):  # what came before the close is still to be read
                socket.send(DRAWN_MESSAGE.pack(Kind.DRAWN, got[-1].tick))


def picture(frame: Frame) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def the_report(store: Store, version: str, kind: ReportKind) -> LiveReport:
    until(lambda: any(one.kind is kind for one in live.reports(store, version)))
    (found,) = [one for one in live.reports(store, version) if one.kind is kind]
    return found


def test_a_violation_darkens_the_picture_ends_the_session_and_suspends_the_world(store: Store) -> None:
    version = publish(store, "Red Meadow", RED)
    with guarded_play(store) as server, connect(address(server, "red-meadow")) as socket:
        got, code, reason = played(socket)
        until(lambda: store.version(version).state is WorldState.NEEDS_REVIEW)
        again = httpx.post(f"{server.url}/v1/worlds/red-meadow/sessions")

    assert (code, reason) == (Close.GUARDED, "not allowed here: red")
    assert got[-1].jpeg == b"", "the last thing that is shown is a dark picture"
    assert [e.to_state for e in store.history(version)][-2:] == ["suspended", "needs_review"]
    assert again.status_code == 404


def test_what_was_seen_is_filed_with_a_replay_that_leads_there(store: Store) -> None:
    version = publish(store, "Red Meadow", RED)
    world = store.compile_version(version)
    with guarded_play(store) as server, connect(address(server, "red-meadow")) as socket:
        socket.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 1.0))
        played(socket)

    report = the_report(store, version, ReportKind.VIOLATION)
    found = store.find_playthrough(report.playthrough)
    shown = regenerate(Simulator(), world, found.playthrough).frames
    (finding,) = store.findings(version, found.exploration)
    assert report.rules == ("red",)
    assert report.picture is not None
    assert store.blobs.read(report.picture).startswith(b"\x89PNG")
    assert report.picture in store.named_blobs()
    assert found.playthrough.arm == "live"
    assert red_share(shown[1]) > 0.1
    assert (finding.detector, finding.source, finding.playthrough) == (
        "redness",
        Source.LIVE,
        report.playthrough,
    )


def test_the_policy_counts_sessions_before_it_suspends_and_remixes_go_too(store: Store) -> None:
    version = publish(store, "Red Meadow", RED)
    remix = publish(store, "Blue Remix", DULL, remix_of="red-meadow")
    other = add_world(store, "Other Meadow", "published")
    with guarded_play(store, suspend_after=2) as server:
        for count in (1, 2):
            with connect(address(server, "red-meadow")) as socket:
                assert played(socket)[1] == Close.GUARDED
            until(lambda count=count: len(live.reports(store, version)) == count)  # type: ignore[misc]
            if count == 1:
                assert store.version(version).state is WorldState.PUBLISHED
        until(lambda: store.version(version).state is WorldState.NEEDS_REVIEW)

    assert store.version(remix).state is WorldState.NEEDS_REVIEW
    assert store.version(other).state is WorldState.PUBLISHED


def test_held_back_frames_spare_the_player_the_sight(store: Store) -> None:
    publish(store, "Red Meadow", RED)
    with guarded_play(store, hold_frames=15) as server, connect(address(server, "red-meadow")) as socket:
        got, code, _ = played(socket)

    assert code == Close.GUARDED
    assert all(not frame.jpeg or red_share(picture(frame)) < 0.01 for frame in got)


def test_a_world_without_violations_plays_on_and_is_not_reported(store: Store) -> None:
    version = publish(store, "Blue Meadow", DULL)
    with guarded_play(store, hold_frames=3) as server, connect(address(server, "blue-meadow")) as socket:
        socket.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 1.0))
        got = frames(socket, 60, seconds=60)

    assert got[-1].tick >= 60
    assert live.reports(store, version) == []


def test_what_one_session_showed_condemns_the_next_at_once(store: Store) -> None:
    publish(store, "Red Meadow", RED)
    with guarded_play(store, suspend_after=9, hold_frames=15) as server:
        for _ in range(2):
            with connect(address(server, "red-meadow")) as socket:
                got, code, _ = played(socket)
                assert code == Close.GUARDED
            until(lambda: not server.services.arena.players)

    assert len(got) < 10


def test_a_detector_that_fails_ends_play(store: Store) -> None:
    publish(store, "Blue Meadow", DULL)
    with (
        guarded_play(store, make=broken_inspector) as server,
        connect(address(server, "blue-meadow")) as socket,
    ):
        got, code, reason = played(socket)

    assert (code, reason) == (Close.UNGUARDED, "the guard has failed: try again in a minute")
    assert got[-1].jpeg == b""


def test_detectors_that_give_no_verdict_at_all_end_play(store: Store) -> None:
    publish(store, "Blue Meadow", DULL)
    with (
        guarded_play(store, make=stuck_inspector, patience=1) as server,
        connect(address(server, "blue-meadow")) as socket,
    ):
        assert played(socket)[1] == Close.UNGUARDED


def test_a_guard_that_is_too_slow_makes_worlds_wait_and_lets_nobody_in_but_ends_nothing(store: Store) -> None:
    publish(store, "Blue Meadow", DULL)
    with (
        guarded_play(store, make=sluggish_inspector, patience=5) as server,
        connect(address(server, "blue-meadow")) as first,
    ):
        first.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 1.0))
        before, told = until_told(first, "held")
        with connect(address(server, "blue-meadow")) as second:
            waits = until_told(second, "queue")[1]
        after = frames(first, 5, seconds=60)

    assert (told, waits) == ({"type": "held"}, {"type": "queue", "position": 1})
    assert 0 < after[0].step - before[-1].step < FPS, "the world stood still meanwhile"


def until_told(socket: ClientConnection, what: str) -> tuple[list[Frame], dict[str, object]]:
    """The frames before a notice, and the notice."""
    got: list[Frame] = []
    while True:
        data = socket.recv(timeout=60)
        if isinstance(data, bytes):
            got.append(Frame.unpacked(data))
            socket.send(DRAWN_MESSAGE.pack(Kind.DRAWN, got[-1].tick))
        elif (told := json.loads(data))["type"] == what:
            return got, told


def test_a_held_player_who_loses_the_connection_is_parked_and_comes_back(store: Store) -> None:
    publish(store, "Blue Meadow", DULL)
    with guarded_play(store, make=sluggish_inspector, patience=5) as server:
        with connect(address(server, "blue-meadow")) as socket:
            token = json.loads(socket.recv(timeout=60))["resume"]
            socket.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 1.0))
            before = until_told(socket, "held")[0][-1]
            socket.socket.shutdown(SHUT_RDWR)
        back = server.socket(f"/v1/worlds/blue-meadow/play?resume={token}")
        with connect(back) as socket:
            after = frames(socket, 3, seconds=60)[0]

    assert 0 < after.step - before.step < FPS


def test_a_policy_that_becomes_live_is_obeyed_by_those_who_play_already(tmp_path: Path, store: Store) -> None:
    publish(store, "Red Meadow", RED)
    make_live(store, tmp_path, POLICY.replace("0.1", "0.9").replace("0.06", "0.8"))
    with (
        guarded_play(store, make=partial(stored_inspector, store.home)) as server,
        connect(address(server, "red-meadow")) as socket,
    ):
        assert len(frames(socket, 30, seconds=60)) == 30, "not red enough for the policy"
        process = guard_of(server)

        make_live(store, tmp_path, POLICY)

        assert played(socket)[1:] == (Close.GUARDED, "not allowed here: red")
        assert guard_of(server) == process, "it remembers what it has seen"


def test_where_the_new_policy_cannot_be_had_nobody_plays_on(tmp_path: Path, store: Store) -> None:
    publish(store, "Blue Meadow", DULL)
    make_live(store, tmp_path, POLICY)
    with (
        guarded_play(store, make=partial(stored_inspector, store.home)) as server,
        connect(address(server, "blue-meadow")) as socket,
    ):
        frames(socket, 5, seconds=60)
        with store.writing() as tx:
            (now,) = find_bundles(tx.connection, "live")
            set_bundle_status(tx.connection, now.sha256, "retired", "ada", backtest=None)

        assert played(socket)[1] == Close.UNGUARDED


def test_what_the_policy_says_of_live_play_is_read_anew(tmp_path: Path, store: Store) -> None:
    make_live(store, tmp_path, POLICY)
    here = by_policy(store)
    before = here.guard._live().patience

    make_live(store, tmp_path, POLICY.replace("coverage:", "live: {patience: 33}\ncoverage:"))
    here.renew()

    assert (before, here.guard._live().patience) == (10, 33)
    here.close()


def test_a_dead_guard_ends_play_and_is_replaced_for_the_next_player(store: Store) -> None:
    publish(store, "Blue Meadow", DULL)
    with guarded_play(store) as server:
        with connect(address(server, "blue-meadow")) as socket:
            frames(socket, 5, seconds=60)
            os.kill(guard_of(server), signal.SIGKILL)
            assert played(socket)[1] == Close.UNGUARDED
        until(lambda: not server.services.arena.players)
        with connect(address(server, "blue-meadow")) as socket:
            assert len(frames(socket, 20, seconds=60)) == 20


def test_what_a_dead_guard_had_seen_is_looked_at_again(store: Store) -> None:
    publish(store, "Red Meadow", RED)
    with guarded_play(store, suspend_after=9) as server:
        with connect(address(server, "red-meadow")) as socket:
            assert played(socket)[1] == Close.GUARDED
        until(lambda: not server.services.arena.players)
        os.kill(guard_of(server), signal.SIGKILL)
        until(lambda: server.services.guarded.guard._house._failure is not None)  # type: ignore[union-attr]
        with connect(address(server, "red-meadow")) as socket:
            assert played(socket)[1] == Close.GUARDED


def guard_of(server: Running) -> int:
    guarded: Guarded | None = server.services.guarded
    assert guarded is not None
    process = guarded.guard.process
    assert process is not None
    return process


def test_a_player_s_report_carries_the_replay_and_the_picture(store: Store) -> None:
    version = publish(store, "Blue Meadow", DULL)
    world = store.compile_version(version)
    with guarded_play(store) as server, connect(address(server, "blue-meadow")) as socket:
        socket.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 1.0))
        frames(socket, 20, seconds=60)
        socket.send(REPORT_MESSAGE.pack(Kind.REPORT))
        frames(socket, 5)
        report = the_report(store, version, ReportKind.PLAYER)

    assert report.step >= 15
    assert report.picture is not None
    seen = cv2.imdecode(np.frombuffer(store.blobs.read(report.picture), np.uint8), cv2.IMREAD_COLOR)
    again = regenerate(Simulator(), world, store.find_playthrough(report.playthrough).playthrough)
    assert np.array_equal(seen[..., ::-1], again.frames[-1])
    assert store.version(version).state is WorldState.PUBLISHED


def test_a_player_may_report_without_a_guard_too_and_nothing_breaks(tmp_path: Path, store: Store) -> None:
    add_world(store, "Sunny Meadow", "published", world=package("Sunny Meadow"))
    with running(store.home) as server, connect(address(server, "sunny-meadow")) as socket:
        socket.send(REPORT_MESSAGE.pack(Kind.REPORT))
        socket.send(DRAWN_MESSAGE.pack(Kind.DRAWN, 0))

        assert frames(socket, 3)
