"""``firstplay play``: what a creator is shown, what the simulator beside it says, and who is turned away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from websockets.sync.client import ClientConnection, connect

from feedapi.beside import EQUAL_PSNR, difference
from feedapi.try_it import create_tryout, headed, spoken
from feedapi.wire import (
    DRAWN_MESSAGE,
    KEYS_MESSAGE,
    VIEW_MESSAGE,
    BadMessage,
    Beside,
    Close,
    Frame,
    Key,
    Kind,
    View,
    parse,
)
from tests.feed_home import serving
from tests.small_worlds import small_world
from worldmodel.compiled import Mechanics
from worldmodel.constants import Event
from worldmodel.neural import NeuralWorldModel
from worldmodel.protocol import WorldModel
from worldmodel.simulator import Simulator

FIELD = small_world(
    """
    ########################
    #@..o..................#
    ########################
    """
)

SOCKET = "ws://127.0.0.1/play"


class Stuck(Simulator):
    """A model that gets it wrong: its player never goes anywhere."""

    def step(self, state, actions, *, render=True):
        return super().step(state, actions * 0, render=render)


def app(load: Callable[[], WorldModel] = Simulator, world=FIELD):
    return create_tryout(world, "a calm field", load, seed=7)


def frames(socket: ClientConnection, wanted: int) -> list[Frame]:
    """The next frames, each drawn at once."""
    got: list[Frame] = []
    while len(got) < wanted:
        data = socket.recv(timeout=30)
        if isinstance(data, bytes):
            got.append(Frame.unpacked(data))
            socket.send(DRAWN_MESSAGE.pack(Kind.DRAWN, got[-1].tick))
    return got


def compared(socket: ClientConnection, wanted: int) -> list[Beside]:
    got: list[Beside] = []
    while len(got) < wanted:
        got += [frame.beside for frame in frames(socket, 1) if frame.beside is not None]
    return got


def look(socket: ClientConnection, view: View) -> None:
    socket.send(VIEW_MESSAGE.pack(Kind.VIEW, view))


def press(socket: ClientConnection, keys: Key) -> None:
    socket.send(KEYS_MESSAGE.pack(Kind.KEYS, keys, 1.0))


def test_without_asking_only_the_model_is_shown() -> None:
    with serving(app()) as url, connect(f"{url.replace('http', 'ws')}/play") as socket:
        assert json.loads(socket.recv(timeout=30))["fps"] == 15
        assert [frame.beside for frame in frames(socket, 3)] == [None, None, None]


def test_a_model_that_is_right_agrees_with_the_simulator_from_the_first_step() -> None:
    with serving(app()) as url, connect(f"{url.replace('http', 'ws')}/play") as socket:
        frames(socket, 5)
        press(socket, Key.RIGHT)
        look(socket, View.BESIDE)
        seen = compared(socket, 12)

    assert {(each.psnr, each.apart) for each in seen} == {(EQUAL_PSNR, 0.0)}
    assert all(each.agreed == each.steps > 5 for each in seen), "it stepped along before it was shown"
    black = cv2.imdecode(np.frombuffer(seen[-1].difference, np.uint8), cv2.IMREAD_COLOR)
    assert not black.any()


def test_a_model_that_is_wrong_is_caught_and_can_be_lined_up() -> None:
    with serving(app(Stuck)) as url, connect(f"{url.replace('http', 'ws')}/play") as socket:
        look(socket, View.BESIDE)
        press(socket, Key.RIGHT)
        seen = compared(socket, 25)
        press(socket, Key(0))
        look(socket, View.BESIDE | View.LINE_UP)
        after = compared(socket, 8)

    assert seen[-1].apart > 2
    assert seen[-1].psnr < 30
    assert seen[-1].agreed < seen[-1].steps
    assert any(each.events & (1 << Event.COLLECT) for each in seen), "the simulator took the coin"
    assert after[-1].apart < seen[-1].apart
    assert after[-1].steps < seen[-1].steps


def test_an_untrained_network_plays_beside_the_simulator() -> None:
    with serving(app(NeuralWorldModel)) as url, connect(f"{url.replace('http', 'ws')}/play") as socket:
        look(socket, View.BESIDE)
        press(socket, Key.RIGHT)
        seen = compared(socket, 6)

    assert seen[-1].psnr < EQUAL_PSNR


@pytest.mark.parametrize("query", ["spawn=1", "spawn=-1", "seed=x", f"seed={2**31}"])
def test_a_start_that_is_not_there_is_refused_in_words(query: str) -> None:
    with (
        TestClient(app()) as client,
        client.websocket_connect(f"{SOCKET}?{query}") as socket,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        socket.receive_json()

    assert closed.value.code == Close.BAD_MESSAGE
    assert "must be a whole number from 0 to" in closed.value.reason


def test_other_hosts_and_other_sites_are_turned_away() -> None:
    # Over a real socket: the test client sometimes cancels a conversation that is just ending.
    with serving(app()) as url, connect(f"{url.replace('http', 'ws')}/play", origin=url) as socket:
        assert json.loads(socket.recv())["type"] == "hello"
    with TestClient(app(), base_url="http://127.0.0.1") as client:
        assert client.get("/").status_code == 200
        assert client.get("/", headers={"host": "firstplay.example"}).status_code == 400
        with (
            pytest.raises(WebSocketDisconnect) as closed,
            client.websocket_connect(SOCKET, headers={"origin": "http://evil.example"}),
        ):
            pass
        assert closed.value.code == Close.BAD_TICKET


def test_the_page_says_what_was_understood_and_that_nobody_looked() -> None:
    with TestClient(app(), base_url="http://127.0.0.1") as client:
        answer = client.get("/")

    assert "a calm field" in answer.text
    assert "Not looked at by anybody" in answer.text
    assert 'value="7"' in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_notes_come_in_order_and_empty_ones_not_at_all() -> None:
    notes = {"ignored": ["x"], "style": [], "inferred": ["speed 1"], "understood": ["dark: darkness 1"]}

    assert [heading for heading, _ in headed(notes)] == ["Understood", "Guessed", "Ignored"]


def test_mechanics_are_told_as_far_as_they_matter() -> None:
    told = dict(spoken(Mechanics(top_view=True, day_length=900, coins_needed=3)))

    assert "Gravity" not in told
    assert (told["Day and night"], told["Coins needed"]) == ("60 s", "3")


def test_a_difference_is_amplified_and_never_wraps_around() -> None:
    one, other = np.full((2, 2, 3), 10, np.uint8), np.full((2, 2, 3), 13, np.uint8)

    assert difference(one, other).max() == difference(other, one).max() == 12
    assert difference(one, np.full_like(one, 255)).min() == 255


# The wire


def test_what_is_beside_a_frame_survives_the_wire() -> None:
    beside = Beside(b"sim", b"diff", 31.5, 0.25, 9, 10, events=5)
    sent = Frame(1, b"jpeg", b"\1\0", score=120, step=77, beside=beside)

    assert Frame.unpacked(sent.packed()) == sent
    for cut in (1, len(beside.packed())):
        with pytest.raises(BadMessage):
            Frame.unpacked(sent.packed()[:-cut])


def test_events_of_a_frame_that_was_not_sent_are_told_by_the_next_for_both() -> None:
    first = Frame(1, b"", b"", events=1, beside=Beside(b"", b"", 60, 0, 1, 1, events=1))
    second = Frame(2, b"", b"", events=2, beside=Beside(b"", b"", 60, 0, 2, 2, events=4))

    told = second.after(first)

    assert told.beside is not None
    assert (told.events, told.beside.events, told.beside.steps) == (3, 5, 2)


def test_an_unknown_view_is_refused() -> None:
    assert parse(VIEW_MESSAGE.pack(Kind.VIEW, 3)) == View.BESIDE | View.LINE_UP
    with pytest.raises(BadMessage):
        parse(VIEW_MESSAGE.pack(Kind.VIEW, 4))


# The command


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from feedapi.cli import main; main()", "play", "--no-open", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: A\nprompt: b\nmechanics: {gravity: heavy}\n", "world.yaml:3: mechanics.gravity"),
        ("title: A\nprompt: b\nobjects: [{kind: sign, image: no.png}]\n", "no.png is not in the package"),
    ],
)
def test_a_bad_package_names_the_file_and_the_field(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "world.yaml").write_text(text)

    result = run(str(tmp_path))

    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_no_package_at_all_is_an_error(tmp_path: Path) -> None:
    result = run(str(tmp_path / "nothing"))

    assert result.returncode == 2
    assert "nothing" in result.stderr


def test_a_package_is_compiled_served_and_stopped(tmp_path: Path) -> None:
    (tmp_path / "world.yaml").write_text("title: Sunny Field\nprompt: a sunny green meadow with coins\n")
    command = [sys.executable, "-u", "-c", "from feedapi.cli import main; main()", "play", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--no-open", "--model", "simulator"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http"))
        page = httpx.get(url).text
        with connect(f"{url.replace('http', 'ws')}/play?seed=3") as socket:
            got = frames(socket, 3)
        server.terminate()
        rest = server.stdout.read()

    assert line.startswith("Sunny Field is at http://127.0.0.1:")
    assert "a sunny green meadow" in page
    assert got[-1].step >= 3
    assert (server.returncode, rest.strip()) == (0, "Stopped.")
