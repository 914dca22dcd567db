"""Live play over real sockets: what a browser gets, and what it is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from feedapi.services import QUEUE
from feedapi.session import WINDOW
from feedapi.tickets import Player
from feedapi.wire import DRAWN_MESSAGE, KEYS_MESSAGE, Close, Frame, Key, Kind
from moderation.states import WorldState
from tests.feed_home import Running, fill, running
from worldmodel.constants import FPS, FRAME, SAMPLE_RATE

WORLD = "sunny-meadow"
UNPUBLISHED = ["submitted", "rejected", "needs_review", "cleared"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("play") / "home"
    fill(home, {"Sunny Meadow": "published", "Other Meadow": "published"})
    fill(home, {f"World {state}": state for state in UNPUBLISHED})
    with running(home) as here:
        yield here


def until(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def ticket(server: Running, world: str = WORLD) -> str:
    answer = httpx.post(f"{server.url}/v1/worlds/{world}/sessions").raise_for_status()
    path: str = answer.json()["socket"]
    return server.socket(path)


def frames(socket: ClientConnection, wanted: int, seconds: float = 20.0) -> list[Frame]:
    """The next frames, each drawn at once."""
    got: list[Frame] = []
    while len(got) < wanted:
        data = socket.recv(timeout=seconds)
        if isinstance(data, bytes):
            got.append(Frame.unpacked(data))
            socket.send(DRAWN_MESSAGE.pack(Kind.DRAWN, got[-1].tick))
    return got


def drain(socket: ClientConnection, seconds: float = 20.0) -> None:
    """Read, without drawing, until the server closes (ConnectionClosed) or falls silent (TimeoutError)."""
    while True:
        socket.recv(timeout=seconds)


def refused(address: str) -> tuple[int, str]:
    """The code and reason with which the server closes at once."""
    with connect(address) as socket, pytest.raises(ConnectionClosed) as closed:
        drain(socket)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def test_a_player_gets_a_greeting_and_then_frames(server: Running) -> None:
    with connect(ticket(server)) as socket:
        hello = json.loads(socket.recv(timeout=20))
        got = frames(socket, 5)

    assert (hello["frame"], hello["fps"], hello["sample_rate"]) == (FRAME, FPS, SAMPLE_RATE)
    assert [frame.tick for frame in got] == sorted({frame.tick for frame in got})
    picture = cv2.imdecode(np.frombuffer(got[0].jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (FRAME, FRAME, 3)
    assert all(len(frame.sound) in (0, 2 * SAMPLE_RATE // FPS) for frame in got)


def test_pressing_right_moves_the_player(server: Running) -> None:
    with connect(ticket(server)) as socket:
        frames(socket, 2)
        state = server.services.arena._state
        assert state is not None
        before = int(state.position[0, 0])
        socket.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 12.5))
        got = frames(socket, 12)

        after = server.services.arena._state
        assert after is not None
        assert int(after.position[0, 0]) > before + 16

    assert [frame.echo for frame in got if frame.echo] == [12.5]


def test_a_player_who_draws_nothing_gets_three_frames(server: Running) -> None:
    with connect(ticket(server)) as socket:
        socket.recv(timeout=20)
        first = [Frame.unpacked(socket.recv(timeout=20, decode=False)).tick for _ in range(WINDOW)]
        with pytest.raises(TimeoutError):
            drain(socket, seconds=1.0)
        socket.send(DRAWN_MESSAGE.pack(Kind.DRAWN, first[0]))

        fresh = Frame.unpacked(socket.recv(timeout=20, decode=False)).tick

    assert fresh > first[-1] + WINDOW, "what was missed is skipped, not queued"


@pytest.mark.parametrize("world", [f"world-{state}".replace("_", "-") for state in UNPUBLISHED] + ["unknown"])
def test_a_world_that_is_not_published_cannot_be_played_even_with_a_genuine_ticket(
    server: Running, world: str
) -> None:
    genuine, _ = server.services.office.issue(world, Player("anna"))

    code, reason = refused(server.socket(f"/v1/worlds/{world}/play?ticket={genuine}"))

    assert code == Close.NOT_PUBLISHED
    assert reason == "this world is not published"


@pytest.mark.parametrize("forged", ["", "?ticket=", "?ticket=abc", "?ticket=abc.def", "?ticket=%ff.%00"])
def test_play_needs_a_genuine_ticket(server: Running, forged: str) -> None:
    assert refused(server.socket(f"/v1/worlds/{WORLD}/play{forged}"))[0] == Close.BAD_TICKET


def test_a_ticket_is_for_one_world_and_for_once(server: Running) -> None:
    address = ticket(server)
    elsewhere = address.replace(WORLD, "other-meadow")
    assert refused(elsewhere) == (Close.BAD_TICKET, "the ticket is for another world")
    with connect(address) as socket:
        frames(socket, 1)

    assert refused(address) == (Close.BAD_TICKET, "the ticket was used before")


@pytest.mark.parametrize("message", [b"", b"\x09", b"\x01\xff" + b"\0" * 8, "text"])
def test_a_message_outside_the_protocol_ends_the_session(server: Running, message: bytes | str) -> None:
    with connect(ticket(server)) as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            drain(socket)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == Close.BAD_MESSAGE


def test_a_player_who_goes_frees_the_place(server: Running) -> None:
    for _ in range(server.services.arena.capacity + 1):
        with connect(ticket(server)) as socket:
            frames(socket, 1)
        end = time.monotonic() + 10
        while server.services.arena.players and time.monotonic() < end:
            time.sleep(0.02)

    assert server.services.arena.players == 0


def test_a_full_server_says_when_to_come_back(tmp_path: Path) -> None:
    fill(tmp_path / "home", {"Sunny Meadow": "published"})
    with running(tmp_path / "home", capacity=1) as server, ExitStack() as queue:
        late = ticket(server)
        sockets = [queue.enter_context(connect(ticket(server))) for _ in range(1 + QUEUE)]
        frames(sockets[0], 1)
        until(lambda: server.services.arena.full)
        answer = httpx.post(f"{server.url}/v1/worlds/{WORLD}/sessions")
        assert refused(late)[0] == Close.TRY_AGAIN_LATER

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_a_withdrawn_world_ends_its_sessions(tmp_path: Path) -> None:
    versions = fill(tmp_path / "home", {"Sunny Meadow": "published", "Other Meadow": "published"})
    with (
        running(tmp_path / "home") as server,
        connect(ticket(server)) as socket,
        connect(ticket(server, "other-meadow")) as other,
    ):
        frames(socket, 1)
        with server.services.store.writing() as tx:
            tx.transition(versions["Sunny Meadow"], WorldState.DECIDING, "policy", "look again")

        with pytest.raises(ConnectionClosed) as closed:
            frames(socket, 1000)
        assert frames(other, 2)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4404, "this world was withdrawn")


def test_a_broken_model_is_a_clear_end(tmp_path: Path) -> None:
    fill(tmp_path / "home", {"Sunny Meadow": "published"})
    with running(tmp_path / "home", model="no-such-model") as server:
        code, reason = refused(ticket(server))

    assert code == Close.INTERNAL_ERROR
    assert "ValueError" in reason


def serve(home: Path) -> tuple[subprocess.Popen[str], str]:
    program = "from feedapi.cli import main; main()"
    options = ["serve", "--home", str(home), "--port", "0", "--model", "simulator", "--workers", "0"]
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", program, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("The feed is at http://127.0.0.1:"), line
    assert process.stdout.readline().startswith("Sign in at http://127.0.0.1:")
    return process, line.split()[4]


def test_the_command_serves_until_ctrl_c_and_ends_cleanly_in_the_middle_of_play(tmp_path: Path) -> None:
    fill(tmp_path / "home", {"Sunny Meadow": "published"})
    process, url = serve(tmp_path / "home")
    try:
        path = httpx.post(f"{url}/v1/worlds/{WORLD}/sessions").json()["socket"]
        with connect(url.replace("http", "ws") + path) as socket:
            frames(socket, 3, seconds=60)
            process.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed):
                frames(socket, 1000)
        output = process.communicate(timeout=20)[0]
    finally:
        process.kill()

    assert output.strip() == "Stopped."
    assert process.returncode == 0


def test_a_supervisor_s_signal_ends_it_as_cleanly(tmp_path: Path) -> None:
    process, url = serve(tmp_path / "home")
    try:
        assert httpx.get(url).status_code == 200
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=20)[0]
    finally:
        process.kill()

    assert output.strip() == "Stopped."
    assert process.returncode == 0


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    process, url = serve(tmp_path / "home")
    try:
        port = url.rsplit(":", 1)[1]
        program = "from feedapi.cli import main; main()"
        options = ["serve", "--home", str(tmp_path / "other"), "--port", port]
        second = subprocess.run(
            [sys.executable, "-c", program, *options], capture_output=True, text=True, check=False
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "--port" in second.stderr
