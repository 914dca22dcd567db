"""Live play over real sockets: how many sessions hold 15 frames a second, what the guard costs, how fast a
take-down is, and what a client that stops reading does to the others.

python benchmarks/live.py [--seconds 15] [--only neural,stub,...] [--review] [--json FILE]

The server runs in a process of its own, the players in this one, on the same machine, so the figures bear the
cost of both. The number of sessions with the neural model is 0.8 times what its batched throughput, measured
in the same run, allows at 15 frames a second, and then half of what it allows. ``--review`` first has bots
review the world (minutes), so that the guard knows what they saw; without it all that players come upon is
new to the guard.
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
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from feedapi.wire import DRAWN_MESSAGE, KEYS_MESSAGE, Frame, Key, Kind
from moderation.packages import pack
from moderation.states import WorldState
from moderation.store import Store, open_store
from policies.types import Coverage, Decision, Verdict
from worldmodel.constants import FPS
from worldmodel.package import load_package

if TYPE_CHECKING:
    from torch import Tensor

    from worldmodel.protocol import Observation, State, WorldModel

WORLD = Path(__file__).parent.parent / "examples" / "mossy-steps"
SHARE = 0.8
STUB_SESSIONS = 64
RENDER_THREADS = 2
"""As ``firstplay serve`` does by default."""
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
        pipe.send((arena.pace.ticks, arena.pace.late, arena.pace.guard_share))
    server.should_exit = True
    thread.join(20)


@dataclass
class Server:
    url: str
    pipe: Connection

    def ask(self, what: str = "") -> tuple[int, int, float]:
        self.pipe.send(what)
        answer: tuple[int, int, float] = self.pipe.recv()
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
        async with connect(url.replace("http", "ws") + path, compression=None) as socket:
            try:
                while not until.is_set():
                    data = await asyncio.wait_for(socket.recv(), 120)
                    now = time.monotonic()
                    if not isinstance(data, bytes):
                        continue
                    self.arrivals.append(now)
                    self.started.set()
                    if not self.reading:
                        await self.stall(socket, until)
                        return
                    await socket.send(DRAWN_MESSAGE.pack(Kind.DRAWN, Frame.unpacked(data).tick))
                    if now - turned > TURN_EVERY:
                        turned = now
                        key = int(rng.choice([Key.LEFT, Key.RIGHT, Key.RIGHT | Key.UP, Key.INTERACT]))
                        await socket.send(KEYS_MESSAGE.pack(Kind.KEYS, key, now * 1000))
            except ConnectionClosed:
                self.closed_at = time.monotonic()

    async def stall(self, socket: ClientConnection, until: asyncio.Event) -> None:
        """Draw nothing more; then count what lies in the buffers."""
        await until.wait()
        try:
            while True:
                data = await asyncio.wait_for(socket.recv(), 0.5)
                self.arrivals += [time.monotonic()] if isinstance(data, bytes) else []
        except (TimeoutError, ConnectionClosed):
            return


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
) -> tuple[list[Player], float]:
    """Players who all play for so long at once, and when that began; the last ``stalled`` stop reading."""
    players = [Player(reading=i < sessions - stalled) for i in range(sessions)]
    over = asyncio.Event()
    tasks = [asyncio.create_task(p.play(here.url, world, i, over)) for i, p in enumerate(players)]
    await all_started(players, tasks)
    await asyncio.sleep(2)
    here.ask("forget")
    began = time.monotonic()
    await asyncio.sleep(seconds)
    over.set()
    await asyncio.gather(*tasks)
    return players, began


def gaps(players: list[Player], began: float, seconds: float) -> np.ndarray:
    """Milliseconds between the frames of each reading player, in the measured time."""
    found = [
        np.diff([at for at in p.arrivals if began <= at <= began + seconds]) for p in players if p.reading
    ]
    return np.concatenate(found) * 1000


def measure(
    run: str, here: Server, world: str, sessions: int, seconds: float, stalled: int = 0
) -> tuple[Row, list[Player]]:
    players, began = asyncio.run(play_together(here, world, sessions, seconds, stalled))
    ticks, late, guard = here.ask()
    between = gaps(players, began, seconds)
    reading = sum(p.reading for p in players)
    return Row(
        run=run,
        sessions=sessions,
        frames_a_second=len(between) / reading / seconds,
        gap_p50_ms=float(np.percentile(between, 50)),
        gap_p99_ms=float(np.percentile(between, 99)),
        late_share=late / max(1, ticks),
        guard_share=guard,
        load=os.getloadavg()[0],
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
        row, took = asyncio.run(_taken_down(here, home, world, 32))
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
}


def table(rows: list[Row]) -> Table:
    shown = Table(title="Live play")
    for name in ("run", "sessions", "frames/s", "gap p50", "gap p99", "late", "guard", "closed", "load", ""):
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
