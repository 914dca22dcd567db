"""The second codec: an H.264 stream of its own for each player, of which nothing that was encoded is lost."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from websockets.sync.client import ClientConnection, connect

from feedapi.encoding import H264, encode_jpeg
from feedapi.wire import (
    KEY_FRAME_MESSAGE,
    KEYS_MESSAGE,
    VERSION,
    VIDEO_CODEC,
    Close,
    Frame,
    Key,
    Kind,
    Video,
)
from tests.feed_home import Running, fill, running
from tests.guarded import poster_world
from tests.test_feed_browser import LIVE, keep, pixels, until, watched
from tests.test_feed_live import WORLD, cut, hello
from tests.test_feed_play import frames, refused, ticket
from tests.test_feed_play import until as happened
from worldmodel.compiler import compile_world
from worldmodel.simulator import Simulator

ALIKE = 24.0
"""dB: no picture of another moment of play comes near it, and 4:2:0 colours stay over it."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    fill(tmp_path / "home", {"Sunny Meadow": "published"})
    with running(tmp_path / "home", capacity=2) as here:
        yield here


class Decoder:
    """Pictures of a stream, each as soon as it is given; raises where one does not follow from the last."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("h264", "r")
        self._codec.flags |= av.codec.context.Flags.low_delay
        self._codec.thread_count = 1

    def __call__(self, video: Video) -> np.ndarray:
        (frame,) = self._codec.decode(av.Packet(video.data))
        assert not frame.is_corrupt
        return frame.to_ndarray(format="rgb24")


def noise(seed: int) -> np.ndarray:
    """Blocks of colour, another picture for every seed."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.kron(blocks, np.ones((16, 16, 1), np.uint8))


def video(socket: ClientConnection, wanted: int) -> list[Video]:
    found = [frame.video for frame in frames(socket, wanted)]
    assert all(one is not None for one in found)
    return found  # type: ignore[return-value]


class TestEncoder:
    def test_a_stream_decodes_to_what_went_in_without_delay(self) -> None:
        model, encoder, decode = Simulator(), H264(), Decoder()
        world = compile_world(poster_world("Blue Meadow", (40, 90, 160)))
        frame = model.render(model.spawn([world], [1]))[0].permute(1, 2, 0).contiguous().numpy()

        for turned in range(4):
            given = np.ascontiguousarray(np.rot90(frame, turned))
            assert cv2.PSNR(given, decode(encoder.encode(given))) > ALIKE

    def test_only_the_first_picture_stands_alone_and_those_that_are_asked_to(self) -> None:
        encoder = H264()
        keys = [encoder.encode(noise(1)).key for _ in range(3)]
        encoder.want_key()
        again = [encoder.encode(noise(1)) for _ in range(2)]

        assert (keys, [one.key for one in again]) == ([True, False, False], [True, False])
        assert cv2.PSNR(Decoder()(again[0]), noise(1)) > ALIKE, "a decoder may begin there"

    def test_what_stays_the_same_costs_next_to_nothing(self) -> None:
        encoder = H264()
        first, *others = (len(encoder.encode(noise(1)).data) for _ in range(5))

        assert max(others) < first / 10
        assert max(others) < len(encode_jpeg(noise(1))) / 10


def test_a_frame_survives_the_wire_with_either_kind_of_picture() -> None:
    stream = Frame(1, b"", b"\1\0", video=Video(b"stream", key=True))
    delta = Frame(1, b"", b"", video=Video(b"delta", key=False))

    assert Frame.unpacked(stream.packed()) == stream
    assert Frame.unpacked(delta.packed()) == delta
    assert Frame.unpacked(Frame(1, b"jpeg", b"").packed()) == Frame(1, b"jpeg", b"")


def test_who_asks_for_it_gets_a_stream_and_who_watches_gets_the_same_as_jpeg(server: Running) -> None:
    decode = Decoder()
    with ExitStack() as stack:
        player = stack.enter_context(connect(ticket(server) + "&video=h264"))
        greeting: dict[str, Any] = hello(player)
        token = greeting["watch"]
        watcher = stack.enter_context(connect(server.socket(f"/v1/worlds/{WORLD}/watch?session={token}")))
        player.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 1.0))
        shown, seen = {}, {}
        while len(shown.keys() & seen.keys()) < 12:
            (mine,), (theirs,) = frames(player, 1), frames(watcher, 1)
            assert mine.video is not None
            assert not mine.jpeg
            shown[mine.tick] = decode(mine.video)
            seen[theirs.tick] = cv2.imdecode(np.frombuffer(theirs.jpeg, np.uint8), cv2.IMREAD_COLOR)[
                ..., ::-1
            ]

    assert (greeting["video"], greeting["codec"], greeting["protocol"]) == ("h264", VIDEO_CODEC, VERSION)
    for tick in shown.keys() & seen.keys():
        assert cv2.PSNR(shown[tick], np.ascontiguousarray(seen[tick])) > ALIKE


def test_frames_that_a_slow_player_does_not_get_leave_no_hole_in_the_stream(server: Running) -> None:
    decode, ticks = Decoder(), []
    with connect(ticket(server) + "&video=h264") as player:
        player.send(KEYS_MESSAGE.pack(Kind.KEYS, Key.RIGHT, 1.0))
        for _ in range(4):
            for frame in frames(player, 4):
                assert frame.video is not None
                decode(frame.video)
                ticks.append(frame.tick)
            time.sleep(0.6)

    assert max(np.diff(ticks)) > 3, "some were skipped"


def test_who_comes_back_or_cannot_decode_gets_a_picture_that_stands_alone(server: Running) -> None:
    with connect(ticket(server) + "&video=h264") as player:
        token = hello(player)["resume"]
        first = video(player, 6)
        player.send(KEY_FRAME_MESSAGE.pack(Kind.KEY_FRAME))
        asked = video(player, 12)
        cut(player)
    happened(lambda: bool(server.services.arena._parked))
    with connect(server.socket(f"/v1/worlds/{WORLD}/play?resume={token}&video=h264")) as player:
        back = video(player, 3)

    assert [one.key for one in first] == [True, *[False] * 5]
    assert sum(one.key for one in asked) == 1
    assert [one.key for one in back] == [True, False, False]


def test_a_player_may_come_back_with_the_other_codec(server: Running) -> None:
    with connect(ticket(server) + "&video=h264") as player:
        token = hello(player)["resume"]
        video(player, 2)
        cut(player)
    happened(lambda: bool(server.services.arena._parked))
    with connect(server.socket(f"/v1/worlds/{WORLD}/play?resume={token}")) as player:
        got = frames(player, 3)

    assert all(frame.jpeg and frame.video is None for frame in got)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("video=av1", "video is one of jpeg, h264"),
        ("protocol=1", f"this server speaks version {VERSION} of the protocol"),
    ],
)
def test_what_is_not_spoken_here_is_refused_by_name(server: Running, asked: str, reason: str) -> None:
    address = ticket(server)

    assert refused(f"{address}&{asked}") == (Close.BAD_MESSAGE, reason)
    with connect(f"{address}&protocol={VERSION}") as player:
        assert json.loads(player.recv(timeout=20))["video"] == "jpeg", "the ticket is still good"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched(browser, viewport={"width": 1280, "height": 800}) as opened:
        yield opened


COUNTED = """
const decode = VideoDecoder.prototype.decode;
window.chunks = [];
VideoDecoder.prototype.decode = function (chunk) {
  chunks.push(chunk.type);
  const broken = chunks.length === window.breaks;
  const { type, timestamp } = chunk;
  const data = new Uint8Array([1, 2, 3]);
  decode.call(this, broken ? new EncodedVideoChunk({ type, timestamp, data }) : chunk);
};
"""


def on_canvas(page: Page) -> np.ndarray:
    png = base64.b64decode(pixels(page).split(",")[1])
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])


def test_a_browser_that_asks_for_it_draws_the_stream(server: Running, page: Page) -> None:
    page.add_init_script(COUNTED)
    page.goto(f"{server.url}/worlds/{WORLD}?video=h264")
    page.wait_for_selector(LIVE, timeout=30_000)
    before = on_canvas(page)
    page.keyboard.down("ArrowRight")
    until(lambda: cv2.PSNR(before, np.ascontiguousarray(on_canvas(page))) < 20, page)
    page.keyboard.up("ArrowRight")
    page.wait_for_timeout(700)  # it stands still, so that both show the same

    (seat,) = server.services.arena._seats
    assert seat.picture is not None
    assert cv2.PSNR(seat.picture, np.ascontiguousarray(on_canvas(page))) > ALIKE
    kinds = page.evaluate("chunks")
    assert kinds[0] == "key"
    assert set(kinds[1:]) == {"delta"}
    keep(page, "play-h264")


def test_a_browser_gets_jpeg_unless_it_saves_data(server: Running, page: Page) -> None:
    page.add_init_script(COUNTED)
    page.goto(f"{server.url}/worlds/{WORLD}")
    page.wait_for_selector(LIVE, timeout=30_000)

    assert page.evaluate("chunks") == []
    page.add_init_script("Object.defineProperty(navigator, 'connection', { value: { saveData: true } })")
    page.goto(f"{server.url}/worlds/{WORLD}")
    page.wait_for_selector(LIVE, timeout=30_000)
    until(lambda: len(page.evaluate("chunks")) > 3, page)


def test_a_stream_that_a_browser_cannot_decode_is_begun_anew(server: Running, page: Page) -> None:
    page.add_init_script(f"window.breaks = 8; {COUNTED}")
    page.goto(f"{server.url}/worlds/{WORLD}?video=h264")
    page.wait_for_selector(LIVE, timeout=30_000)

    until(lambda: page.evaluate("chunks").count("key") == 2, page)
    begun = page.evaluate("chunks.length")
    until(lambda: page.evaluate("chunks.length") > begun + 5, page)
    page.wait_for_timeout(300)
    (seat,) = server.services.arena._seats
    assert seat.picture is not None
    assert cv2.PSNR(seat.picture, np.ascontiguousarray(on_canvas(page))) > ALIKE
