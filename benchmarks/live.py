"""Live play over real sockets: how many sessions hold 15 frames a second, what the guard costs, how fast a
take-down is, and what a client that stops reading does to the others.

python benchmarks/live.py [--seconds 15] [--only neural,stub,...] [--review] [--json FILE]

The server runs in a process of its own, the players in this one, on the same machine, so the figures bear the
cost of both. Other work on the machine is in every figure of time, so the table also says how much of a core
the server, the guard and the players took. The number of sessions with the neural model is 0.8 times what its
batched throughput, measured in the same run on one thread, allows at 15 frames a second, and then half of
what it allows. ``--review`` first has bots review the world (minutes), so that the guard knows what they saw;
without it all that players come upon is new to the guard.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import httpx
import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table
from websockets.uri import parse_uri

from feedapi.encoding import H264, encode_jpeg
from feedapi.wire import DRAWN_MESSAGE, FRAME_HEADER, KEYS_MESSAGE, Key, Kind
from moderation.packages import pack
from moderation.states import WorldState
from moderation.store import Store, open_store
from policies.types import Coverage, Decision, Verdict
from worldmodel.constants import ACTIONS, FPS
from worldmodel.package import load_package

if TYPE_CHECKING:
    from torch import Tensor

    from worldmodel.protocol import Observation, State, WorldModel

WORLD = Path(__file__).parent.parent / "examples" / "mossy-steps"
SHARE = 0.8
STUB_SESSIONS = 64
RENDER_THREADS = 2
"""As ``firstplay serve`` does by default."""
SETTLING = 2.0
"""Seconds of play before anything is measured."""
TURN_EVERY = 1.0
"""Seconds for which a player holds a key."""
ROAD = ("screening", "exploring", "scanning", "deciding", "cleared", "published")
REVIEWED_ROAD = {
    WorldState.INCONCLUSIVE: ("needs_review", "in_review", "cleared", "published"),
    WorldState.NEEDS_REVIEW: ("in_review", "cleared", "published"),
    WorldState.PUBLISHED: (),
}


@dataclass
class Row:
    """One run."""

    run: str
    sessions: int
    frames_a_second: float
    """Per session, mean."""
    gap_p50_ms: float
    gap_p99_ms: float
    late_share: float
    """Ticks that took longer than their period."""
    guard_share: float
    """Of the tick's time."""
    load: float
    """Of the machine in the last minute, when the run ended."""
    server_cpu: float = 0.0
    """Cores that the server's process took, mean."""
    guard_cpu: float = 0.0
    players_cpu: float = 0.0
    closed: int = 0
    """Sessions that the server ended."""
    more: dict[str, float] = field(default_factory=dict)


# -- the server's process -----------------------------------------------------------------------------


def stub_model() -> WorldModel:
    """A model without a cost: the simulator's first row for all, and a strip of the world for a picture."""
    import torch

    from worldmodel.compiler import compile_world
    from worldmodel.simulator import Simulator

    drawn = compile_world(load_package(WORLD)).picture[:128, :256]
    strip = torch.from_numpy(drawn).permute(2, 0, 1).contiguous()

    class Stub(Simulator):
        def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
            after, seen = super().step(state[:1], actions[:1], render=False)
            del after
            shift = int(state.step[0]) % 128
            size = len(state)

            def many(one: Tensor) -> Tensor:
                return one.expand(size, *one.shape[1:])

            frames = strip[:, :, shift : shift + 128].expand(size, 3, 128, 128) if render else None
            told = type(seen)(
                many(seen.events), many(seen.clip), many(seen.done), many(seen.confidence), frames
            )
            return state.updated(step=state.step + 1), told

    return Stub()


def serve(home: Path, model: str, guarded: bool, pipe: Connection) -> None:
    """Serve until told to stop; answers what the ticks took."""
    import threading

    import torch

    from feedapi.app import create_app
    from feedapi.guarding import by_policy
    from feedapi.server import Server, address, listen
    from worldmodel.models import load_model

    torch.set_num_threads(1)

    def load() -> WorldModel:
        torch.set_num_threads(1)
        if model == "stub":
            return stub_model()
        playing = load_model("neural")
        playing.render_on(RENDER_THREADS)
        return playing

    app = create_app(home, load, 1000, by_policy if guarded else None)
    started = threading.Event()
    server = Server(app, started.set)
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_on, args=[listener])
    thread.start()
    started.wait(60)
    pipe.send(address(listener))
    while (asked := pipe.recv()) != "stop":
        arena = app.state.services.arena
        if asked == "fit":
            # the benchmark, not the admission, says how many play
            arena.pace.fits = lambda _: True
            if app.state.services.guarded is not None:
                app.state.services.guarded.guard.has_room = lambda: True
        if asked == "forget":
            arena.pace.ticks = arena.pace.late = 0
        guarding = app.state.services.guarded
        guard_cpu = _cpu_of(guarding.guard.process) if guarding is not None else 0.0
        pace = arena.pace
        pipe.send(Figures(pace.ticks, pace.late, pace.guard_share, time.process_time(), guard_cpu))
    server.should_exit = True
    thread.join(20)


def _cpu_of(process: int | None) -> float:
    """Seconds of CPU that another process has taken."""
    if process is None:
        return 0.0
    stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    return sum(map(int, stat.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figures:
    """What the server's process says of itself; CPU in seconds since its start."""

    ticks: int
    late: int
    guard_share: float
    cpu: float
    guard_cpu: float


@dataclass
class Server:
    url: str
    pipe: Connection

    def ask(self, what: str = "") -> Figures:
        self.pipe.send(what)
        answer: Figures = self.pipe.recv()
        return answer


@contextmanager
def server(home: Path, model: str, *, guarded: bool = False) -> Iterator[Server]:
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=serve, args=(home, model, guarded, theirs))
    process.start()
    try:
        here = Server(pipe.recv(), pipe)
        yield here
    finally:
        pipe.send("stop")
        process.join(30)
        if process.is_alive():
            process.kill()


# -- players ------------------------------------------------------------------------------------------


class Socket(asyncio.Protocol):
    """A client's WebSocket that costs next to nothing, since it shares the machine with the server: it hands
    binary messages on as they are, answers pings, and looks into nothing else."""

    def __init__(self) -> None:
        self.came: Callable[[bytes], None] = lambda _: None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._upgraded = False
        self._data = bytearray()

    @classmethod
    async def open(cls, url: str) -> Socket:
        at = parse_uri(url.replace("http", "ws", 1))
        _, socket = await asyncio.get_running_loop().create_connection(cls, at.host, at.port)
        asked = (
            f"GET {at.resource_name} HTTP/1.1", f"Host: {at.host}:{at.port}", "Connection: Upgrade",
            "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )  # fmt: skip
        socket.write("\r\n".join([*asked, "", ""]).encode())
        return socket

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._upgraded:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._data.startswith(b"HTTP/1.1 101"), bytes(self._data[:60])
            del self._data[: end + 4]
            self._upgraded = True
        while (message := self._next()) is not None:
            self._take(*message)

    def _next(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next whole message (RFC 6455; servers do not mask)."""
        if len(self._data) < 2:
            return None
        size, start = self._data[1], 2
        if size == 126:
            size, start = int.from_bytes(self._data[2:4]), 4
        elif size == 127:
            size, start = int.from_bytes(self._data[2:10]), 10
        if len(self._data) < start + size:
            return None
        message = self._data[0] & 15, bytes(self._data[start : start + size])
        del self._data[: start + size]
        return message

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 2:
            self.came(payload)
        elif opcode == 8:
            self.connection_lost(None)
        elif opcode == 9:
            self.send(payload, 10)

    def send(self, payload: bytes, opcode: int = 2) -> None:
        """A short message; a mask of zeros leaves it as it is."""
        self.write(bytes([128 | opcode, 128 | len(payload), 0, 0, 0, 0]) + payload)

    def pause(self) -> None:
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()

    def leave(self) -> None:
        """In order: the server keeps no place."""
        self.send((1000).to_bytes(2), 8)
        self._transport.close()


@dataclass
class Player:
    arrivals: list[float] = field(default_factory=list)
    closed_at: float | None = None
    reading: bool = True
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self, url: str, world: str, seed: int, until: asyncio.Event) -> None:
        answer = await asyncio.to_thread(httpx.post, f"{url}/v1/worlds/{world}/sessions")
        path = answer.raise_for_status().json()["socket"]
        rng, turned = np.random.default_rng(seed), 0.0
        socket = await Socket.open(url + path)

        def came(frame: bytes) -> None:
            nonlocal turned
            now = time.monotonic()
            self.arrivals.append(now)
            self.started.set()
            if not self.reading:
                socket.pause()
                return
            socket.send(DRAWN_MESSAGE.pack(Kind.DRAWN, FRAME_HEADER.unpack_from(frame)[3]))
            if now - turned > TURN_EVERY:
                turned = now
                key = int(rng.choice([Key.LEFT, Key.RIGHT, Key.RIGHT | Key.UP, Key.INTERACT]))
                socket.send(KEYS_MESSAGE.pack(Kind.KEYS, key, now * 1000))

        socket.came = came
        over = asyncio.create_task(until.wait())
        await asyncio.wait([over, socket.closed], return_when=asyncio.FIRST_COMPLETED)
        if not over.done():
            self.closed_at = time.monotonic()
            over.cancel()
        elif not self.reading:  # count what lies in the buffers
            socket.came = lambda _: self.arrivals.append(time.monotonic())
            socket.resume()
            await asyncio.sleep(0.5)
        socket.leave()


async def all_started(players: list[Player], tasks: list[asyncio.Task[None]]) -> None:
    """Return when every player has a frame; raises what ended one before that."""

    async def begun() -> None:
        for player in players:
            await player.started.wait()

    waiting = asyncio.create_task(begun())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for one in done:
        one.result()
    await waiting


async def play_together(
    here: Server, world: str, sessions: int, seconds: float, stalled: int = 0
) -> tuple[list[Player], float, Figures]:
    """Players who all play for so long at once, when that began, and the server's figures then.

    The last ``stalled`` stop reading.
    """
    players = [Player(reading=i < sessions - stalled) for i in range(sessions)]
    over = asyncio.Event()
    tasks = [asyncio.create_task(p.play(here.url, world, i, over)) for i, p in enumerate(players)]
    await all_started(players, tasks)
    await asyncio.sleep(SETTLING)
    before = here.ask("forget")
    began = time.monotonic()
    await asyncio.sleep(seconds)
    over.set()
    await asyncio.gather(*tasks)
    return players, began, before


def gaps(players: list[Player], began: float, seconds: float) -> np.ndarray:
    """Milliseconds between the frames of each reading player, in the measured time."""
    found = [
        np.diff([at for at in p.arrivals if began <= at <= began + seconds]) for p in players if p.reading
    ]
    return np.concatenate(found) * 1000


def measure(
    run: str, here: Server, world: str, sessions: int, seconds: float, stalled: int = 0
) -> tuple[Row, list[Player]]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        own = time.process_time()
        players, began, before = runner.run(play_together(here, world, sessions, seconds, stalled))
        own = time.process_time() - own
    told, lasted = here.ask(), time.monotonic() - began
    between = gaps(players, began, seconds)
    reading = sum(p.reading for p in players)
    return Row(
        run=run,
        sessions=sessions,
        frames_a_second=len(between) / reading / seconds,
        gap_p50_ms=float(np.percentile(between, 50)),
        gap_p99_ms=float(np.percentile(between, 99)),
        late_share=told.late / max(1, told.ticks),
        guard_share=told.guard_share,
        load=os.getloadavg()[0],
        server_cpu=(told.cpu - before.cpu) / lasted,
        guard_cpu=(told.guard_cpu - before.guard_cpu) / lasted,
        players_cpu=own / (lasted + SETTLING),
        closed=sum(p.closed_at is not None for p in players),
    ), players


# -- the runs -----------------------------------------------------------------------------------------


def throughput(batch: int = 32, steps: int = 12) -> float:
    """Frames per second of the neural model alone, all rows of a batch in one forward, on one thread."""
    import torch

    from worldmodel.compiler import compile_world
    from worldmodel.models import load_model

    torch.set_num_threads(1)
    model, world = load_model("neural"), compile_world(load_package(WORLD))
    state = model.spawn([world] * batch, list(range(batch)), [0] * batch)
    actions = torch.ones(batch, dtype=torch.int64)
    took = []
    for _ in range(steps):
        began = time.perf_counter()
        state, _ = model.step(state, actions)
        took.append(time.perf_counter() - began)
    return batch / float(np.median(took[2:]))


def neural(home: Path, world: str, seconds: float, share: float = SHARE) -> list[Row]:
    alone = throughput()
    sessions = max(1, int(share * alone / FPS))
    rows = []
    for guarded in (False, True):
        with server(home, "neural", guarded=guarded) as here:
            here.ask("fit")
            name = f"neural, {'guarded' if guarded else 'no guard'}"
            row, _ = measure(name, here, world, sessions, seconds)
        row.more = {"model_frames_a_second": alone, "share_of_it": share}
        rows.append(row)
    return rows


def stub(home: Path, world: str, seconds: float) -> list[Row]:
    with server(home, "stub") as here:
        here.ask("fit")
        return [measure("stub model", here, world, STUB_SESSIONS, seconds)[0]]


def stalled(home: Path, world: str, seconds: float) -> list[Row]:
    """The same eight players without and with a ninth who stops reading after the first frame."""
    with server(home, "stub") as here:
        here.ask("fit")
        alone, _ = measure("8 who read", here, world, 8, seconds)
        beside, players = measure("8 who read, 1 who stops", here, world, 9, seconds, stalled=1)
    beside.more = {
        "frames_in_buffers": float(len(players[-1].arrivals)),
        "neighbours_p99_change": beside.gap_p99_ms / alone.gap_p99_ms - 1,
    }
    return [alone, beside]


def take_down(home: Path, world: str, seconds: float) -> list[Row]:
    """Sessions of one world, taken down by another process than the server."""
    del seconds
    with server(home, "stub") as here:
        here.ask("fit")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            row, took = runner.run(_taken_down(here, home, world, 32))
    row.more = {"all_closed_ms": took * 1000}
    return [row]


async def _taken_down(here: Server, home: Path, world: str, sessions: int) -> tuple[Row, float]:
    players = [Player() for _ in range(sessions)]
    never = asyncio.Event()
    tasks = [asyncio.create_task(p.play(here.url, world, i, never)) for i, p in enumerate(players)]
    await all_started(players, tasks)
    await asyncio.sleep(1)
    store = open_store(home)
    version = store.published_world(world).version
    await asyncio.to_thread(_move, store, version, ("suspended", "taken_down"))
    began = time.monotonic()
    await asyncio.gather(*tasks)
    store.close()
    took = max(p.closed_at or np.inf for p in players) - began
    row = Row("take-down", sessions, 0, 0, 0, 0, 0, os.getloadavg()[0], closed=sessions)
    return row, took


def codecs(home: Path, world: str, seconds: float) -> list[Row]:
    """What pictures of the same play cost as JPEG and as H.264: bytes, CPU time, and how alike they are."""
    del home, world
    frames = _played(round(seconds * FPS))
    jpegs, jpeg_ms = _timed(encode_jpeg, frames)
    encoder = H264()
    stream, stream_ms = _timed(encoder.encode, frames)
    decoder = av.CodecContext.create("h264", "r")
    shown = [one for video in stream for one in decoder.decode(av.Packet(video.data))]
    shown += decoder.decode(None)
    as_jpeg = [cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for one in jpegs]
    as_video = [one.to_ndarray(format="rgb24") for one in shown]
    return [
        _codec_row("jpeg", frames, [len(one) for one in jpegs], jpeg_ms, as_jpeg),
        _codec_row("h264", frames, [len(one.data) for one in stream], stream_ms, as_video),
    ]


def _played(steps: int) -> list[np.ndarray]:
    """Frames (H, W, 3) of the neural model, played at random."""
    import torch

    from worldmodel.compiler import compile_world
    from worldmodel.models import load_model

    torch.set_num_threads(1)
    model, rng = load_model("neural"), np.random.default_rng(0)
    state, action, frames = model.spawn([compile_world(load_package(WORLD))], [1]), 0, []
    for step in range(steps):
        if step % FPS == 0:
            action = int(rng.integers(0, ACTIONS))
        state, seen = model.step(state, torch.tensor([action]))
        assert seen.frames is not None
        frames.append(np.ascontiguousarray(seen.frames[0].permute(1, 2, 0).numpy()))
    return frames


def _timed(encode: Callable[[np.ndarray], Any], frames: list[np.ndarray]) -> tuple[list[Any], float]:
    """What it makes of them, and milliseconds of CPU each."""
    began = time.thread_time()
    made = [encode(frame) for frame in frames]
    return made, (time.thread_time() - began) * 1000 / len(frames)


def _codec_row(
    name: str, frames: list[np.ndarray], sizes: list[int], took: float, shown: list[np.ndarray]
) -> Row:
    likeness = [cv2.PSNR(a, np.ascontiguousarray(b)) for a, b in zip(frames, shown, strict=True)]
    row = Row(f"codec {name}", 1, FPS, 0, 0, 0, 0, os.getloadavg()[0])
    row.more = {
        "bytes_a_frame": float(np.mean(sizes)),
        "largest": float(max(sizes)),
        "encode_cpu_ms": took,
        "psnr_db": float(np.mean(likeness)),
    }
    return row


# -- the world ----------------------------------------------------------------------------------------


def publish(home: Path) -> str:
    """The world as a review would leave it, but that no bot has been there; its slug."""
    package = load_package(WORLD)
    store = open_store(home)
    verdict = Decision(Verdict.CLEARED, "benchmark", "p" * 64, (), ("No rule fired.",))
    with store.writing() as tx:
        blob = store.blobs.put(pack(package))
        spec = package.spec
        tx.submit(package.sha256, spec.slug, spec.title, spec.prompt, spec.canonical(), blob, None)
        tx.add_exploration("benchmark", package.sha256, 0, "neural", "m" * 64, {})
        tx.set_exploration(package.sha256, "benchmark")
        tx.add_decision(package.sha256, "benchmark", verdict, Coverage(), ())
    _move(store, package.sha256, ROAD)
    store.close()
    return package.spec.slug


def review(home: Path) -> str:
    """Have bots review the world, and let a person publish it whatever they found; its slug."""
    command = ["review", str(WORLD), "--home", str(home), "--budget", "small"]
    program = "from feedapi.cli import main; main()"
    subprocess.run([sys.executable, "-c", program, *command], check=False)  # noqa: S603 - its own command
    store = open_store(home)
    version = store.versions()[0]
    _move(store, version.id, REVIEWED_ROAD[version.state])
    store.close()
    return version.world


def _move(store: Store, version: str, road: tuple[str, ...]) -> None:
    with store.writing() as tx:
        for state in road:
            tx.transition(version, WorldState(state), "benchmark", "for the benchmark")


RUNS: dict[str, Callable[[Path, str, float], list[Row]]] = {
    "neural": neural,
    "half": partial(neural, share=0.5),
    "stub": stub,
    "stalled": stalled,
    "take-down": take_down,
    "codecs": codecs,
}


def table(rows: list[Row]) -> Table:
    shown = Table(title="Live play")
    columns = (
        "run",
        "sessions",
        "frames/s",
        "gap p50",
        "gap p99",
        "late",
        "guard",
        "cores",
        "closed",
        "load",
        "",
    )
    for name in columns:
        shown.add_column(name, justify="left" if name in ("run", "") else "right")
    for row in rows:
        shown.add_row(
            row.run,
            str(row.sessions),
            f"{row.frames_a_second:.1f}",
            f"{row.gap_p50_ms:.0f} ms",
            f"{row.gap_p99_ms:.0f} ms",
            f"{row.late_share:.1%}",
            f"{row.guard_share:.1%}",
            f"{row.server_cpu:.2f} + {row.guard_cpu:.2f} + {row.players_cpu:.2f}",
            str(row.closed),
            f"{row.load:.1f}",
            ", ".join(f"{name} {value:.2f}" for name, value in row.more.items()),
        )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--only", default=",".join(RUNS))
    parser.add_argument("--review", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        world = review(home) if options.review else publish(home)
        for name in options.only.split(","):
            rows += RUNS[name](home, world, options.seconds)
    Console(width=150).print(table(rows))
    if options.json:
        told: dict[str, Any] = {"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(told, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
