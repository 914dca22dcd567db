"""Does a server that people join, leave and drop for half an hour stay as it was?

    OMP_NUM_THREADS=1 python benchmarks/soak.py --minutes 30 --model neural --json soak.json

One server process, and ``--sessions`` clients beside it who take worlds from the feed, hold keys, and then
leave in order, lose the connection and come back, lose it for good, stop reading, or report. Every
``--take-down`` seconds a world is taken down by this process, as an operator would, while it is played, and
another is published. The server's memory (with its guard's process) is read once a second.

Told: the slope of memory after the first fifth of the time, with an interval of 95 % from the means of
consecutive blocks; whether any place is still taken when everybody has gone; whether every session that
showed a frame was recorded, and none that had no ticket; how long take-downs took; and every answer that
nobody should get. Exit code 1 where one of these is wrong: a slope whose whole interval lies above ``--leak``
counts as wrong.

Linux only, since memory is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI, Request
from rich.console import Console
from rich.table import Table
from scipy.stats import linregress, t
from sqlalchemy import func, select
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from feedapi import arena, services
from feedapi.app import create_app
from feedapi.bounds import Bounds
from feedapi.guarding import by_policy
from feedapi.server import Server, address, listen
from feedapi.wire import DRAWN_MESSAGE, KEYS_MESSAGE, LAST_TICK, REPORT_MESSAGE, Close, Frame, Key, Kind
from moderation.packages import pack
from moderation.states import WorldState
from moderation.store import Store, open_store, tables
from policies.types import Bound, Coverage, Decision, Verdict
from worldmodel.package import make_package
from worldmodel.protocol import WorldModel

WORLDS = 6
KEPT = 12
"""Compiled worlds that the server keeps here: so few that all are there after the first fifth of the time."""
ENDINGS = {"leave": 0.5, "drop and come back": 0.2, "drop": 0.15, "stall": 0.1, "report": 0.05}
"""How a session ends, and for which share of them."""
STAY = 12.0
"""Mean seconds of a session."""
EXPECTED = frozenset({Close.NOT_PUBLISHED, Close.TRY_AGAIN_LATER})
"""Close codes that a player may get here: the world was taken down, or all places are taken."""
BLOCKS = 12
GONE_AFTER = 40.0
"""Seconds after which a server that everybody has left must have no place taken: 30 of them it waits for
who may come back."""
COVERAGE = Coverage(20_000, 7_000, 60, 812, 3.0, 0.02, 0.051, "nothing new was found")
ROAD = ("screening", "exploring", "scanning", "deciding", "cleared", "published")
console = Console()


@dataclass
class Seen:
    """What the clients came upon."""

    tickets: int = 0
    sessions: int = 0
    """That showed a frame."""
    frames: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    closed: Counter[int] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    downs: list[float] = field(default_factory=list)
    """Seconds from a take-down until the last socket of the world was closed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--sessions", type=int, default=16)
    parser.add_argument("--model", choices=["neural", "simulator"], default="neural")
    parser.add_argument("--guarded", action="store_true", help="with the detectors of the policy in force")
    parser.add_argument("--take-down", type=float, default=20.0, help="seconds between two")
    parser.add_argument("--leak", type=float, default=2.0, help="MB per minute that are taken for a leak")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.model, given.sessions, guarded=given.guarded)
        return
    with TemporaryDirectory() as folder:
        told = soak(Path(folder), given)
    show(told)
    if given.json:
        given.json.write_text(json.dumps(told, indent=1))
    sys.exit(1 if told["wrong"] else 0)


# -- the server's process -----------------------------------------------------------------------------


def serve(home: Path, model: str, sessions: int, *, guarded: bool) -> None:
    """Serve ``home`` without limits of requests; prints the URL once it answers."""

    def load() -> WorldModel:
        import torch

        from worldmodel.models import load_model

        torch.set_num_threads(1)
        return load_model(model)

    arena.BANK_LIMIT = services.KEPT_WORLDS = KEPT
    app = create_app(home, load, sessions, by_policy if guarded else None)
    app.user_middleware = [one for one in app.user_middleware if one.cls is not Bounds]
    add_look(app)
    listener = listen("127.0.0.1", 0)
    Server(app, lambda: print(address(listener), flush=True)).serve_on(listener)


def add_look(app: FastAPI) -> None:
    """A way to see whether places are taken."""

    @app.get("/bench/arena")
    def look(request: Request) -> dict[str, int]:
        here = services.of(request).arena
        taken = {"members": here._members, "waiting": here._waiting, "seats": here._seats}  # noqa: SLF001
        told = {name: len(sessions) for name, sessions in taken.items()}
        told["parked"] = len(here._parked)  # noqa: SLF001
        return told | {"ticks": here.pace.ticks, "late": here.pace.late}


def memory(pid: int) -> float:
    """Resident MB of a process and its children."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        children = [int(child) for child in listed.read_text().split()]
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:"))
    return own + sum(memory(child) for child in children)


# -- worlds -------------------------------------------------------------------------------------------


def publish(store: Store, number: int) -> str:
    """A small world of its own in the feed; returns its version."""
    spec = {
        "title": f"Meadow {number}",
        "prompt": "a calm green meadow in the sun",
        "mechanics": {"view": "side", "gravity": 1, "hazards": 0.2, "enemies": "walkers", "darkness": 0},
        "seed": number,
    }
    package = make_package({"world.yaml": json.dumps(spec).encode()})
    version, exploration = package.sha256, f"e-{package.sha256}"
    blob = store.blobs.put(pack(package))
    decision = Decision(
        Verdict.CLEARED, "soak@1", "p" * 64, (), ("No rule fired.",), (Bound("any", 0.9, 60, 0.055),)
    )
    with store.writing() as tx:
        tx.submit(version, package.spec.slug, package.spec.title, package.spec.prompt, spec, blob, None)
        tx.add_exploration(exploration, version, 7, "simulator", "m" * 64, {"search_steps": 10})
        tx.set_exploration(version, exploration)
        tx.add_decision(version, exploration, decision, COVERAGE, ())
        for state in ROAD:
            tx.transition(version, WorldState(state), "policy", f"on to {state}")
    return version


def take_down(store: Store, version: str) -> None:
    with store.writing() as tx:
        for state in (WorldState.SUSPENDED, WorldState.TAKEN_DOWN):
            tx.transition(version, state, "operator", "taken down")


# -- clients ------------------------------------------------------------------------------------------


class Clients:
    """Plays from several places at once until told to stop."""

    def __init__(self, url: str, store: Store, seen: Seen) -> None:
        self._url, self._store, self._seen = url, store, seen
        self._rng = random.Random(7)  # noqa: S311  nothing secret
        self._published: dict[str, str] = {}
        """World by version."""
        self._open: Counter[str] = Counter()
        """Sockets by world."""
        self._shown: set[ClientConnection] = set()
        """Those on which a frame has come."""
        self._made = 0
        self.over = False

    def publish(self) -> None:
        self._made += 1
        version = publish(self._store, self._made)
        self._published[version] = self._store.version(version).world

    async def one_after_another(self, number: int) -> None:
        """One place: a session, and the next."""
        async with httpx.AsyncClient(base_url=self._url, timeout=60) as http:
            await asyncio.sleep(number * 0.3)
            while not self.over:
                try:
                    await self._session(http)
                except (httpx.HTTPError, OSError, TimeoutError) as error:
                    self._seen.errors[f"{type(error).__name__}: {error}"] += 1
                    await asyncio.sleep(1)

    async def take_downs(self, every: float) -> None:
        """Take a world down while it is played, and publish another."""
        while not self.over:
            await asyncio.sleep(every)
            played = [version for version, world in self._published.items() if self._open[world]]
            if not played:
                continue
            version = self._rng.choice(played)
            world = self._published.pop(version)
            await asyncio.to_thread(take_down, self._store, version)
            began = time.monotonic()
            async with asyncio.timeout(20):
                while self._open[world]:  # noqa: ASYNC110  a look every 10 ms is exact enough
                    await asyncio.sleep(0.01)
            self._seen.downs.append(time.monotonic() - began)
            await asyncio.to_thread(self.publish)

    async def _session(self, http: httpx.AsyncClient) -> None:
        page = (await http.get("/v1/feed")).raise_for_status().json()
        if not page["items"]:
            self._seen.refused["empty feed"] += 1
            await asyncio.sleep(1)
            return
        item = self._rng.choice(page["items"])
        answer = await http.post(f"/v1/worlds/{item['id']}/sessions", json={"context": item["context"]})
        if answer.status_code in {404, 503}:  # taken down since the page was made, or full
            self._seen.refused[str(answer.status_code)] += 1
            await asyncio.sleep(2)
            return
        answer.raise_for_status()
        self._seen.tickets += 1
        ending = self._rng.choices(list(ENDINGS), list(ENDINGS.values()))[0]
        try:
            token = await self._play(answer.json()["socket"], item["id"], ending, first=True)
            if ending == "drop and come back" and token is not None and not self.over:
                await asyncio.sleep(self._rng.uniform(0.1, 5))
                await self._play(f"/v1/worlds/{item['id']}/play?resume={token}", item["id"], "leave")
        except ConnectionClosed as error:
            self._note_close(error, gone=item["id"] not in self._published.values())

    async def _play(self, path: str, world: str, ending: str, *, first: bool = False) -> str | None:
        """Play on one socket for a while; returns the token with which to come back, if there was play."""
        until = time.monotonic() + self._rng.expovariate(1 / STAY)
        async with connect(self._url.replace("http", "ws") + path, compression=None) as socket:
            token: str = json.loads(await asyncio.wait_for(socket.recv(), 60))["resume"]
            self._open[world] += 1
            try:
                shown = await self._frames(socket, until, ending)
            finally:
                self._open[world] -= 1
                self._seen.sessions += first and socket in self._shown
                self._shown.discard(socket)
            if ending == "stall":  # not counted above, since it does not read that it was closed
                await asyncio.sleep(max(0.0, until - time.monotonic()))
            if ending.startswith("drop"):
                socket.transport.abort()
        self._seen.ended[ending] += 1
        return token if shown else None

    async def _frames(self, socket: ClientConnection, until: float, ending: str) -> bool:
        while time.monotonic() < until and not self.over:
            data = await asyncio.wait_for(socket.recv(), 60)
            if not isinstance(data, bytes):
                continue
            tick = Frame.unpacked(data).tick
            if tick == LAST_TICK:  # the dark frame before a close, which a session in the queue gets, too
                continue
            self._shown.add(socket)
            self._seen.frames += 1
            await socket.send(DRAWN_MESSAGE.pack(Kind.DRAWN, tick))
            if self._rng.random() < 0.1:
                key = self._rng.choice([Key.LEFT, Key.RIGHT, Key.RIGHT | Key.UP, Key.INTERACT])
                await socket.send(KEYS_MESSAGE.pack(Kind.KEYS, key, time.monotonic() * 1000))
            if ending == "stall":
                return True
        if ending == "report":
            await socket.send(REPORT_MESSAGE.pack(Kind.REPORT))
        return socket in self._shown

    def _note_close(self, error: ConnectionClosed, *, gone: bool) -> None:
        if error.rcvd is None:
            self._seen.errors["the connection broke"] += 1
            return
        self._seen.closed[error.rcvd.code] += 1
        # who comes back to a world that was taken down meanwhile finds that the session is not there
        if error.rcvd.code not in EXPECTED and not (gone and error.rcvd.code == Close.BAD_TICKET):
            self._seen.errors[f"closed with {error.rcvd.code}: {error.rcvd.reason}"] += 1


async def play(url: str, pid: int, store: Store, given: argparse.Namespace, seen: Seen) -> list[list[float]]:
    """All clients for so long; returns (seconds, MB) once a second."""
    clients = Clients(url, store, seen)
    for _ in range(WORLDS):
        clients.publish()
    began = time.monotonic()
    tasks = [asyncio.create_task(clients.one_after_another(i)) for i in range(given.sessions)]
    tasks.append(asyncio.create_task(clients.take_downs(given.take_down)))
    samples: list[list[float]] = []
    while time.monotonic() < began + given.minutes * 60:
        await asyncio.sleep(1)
        samples.append([time.monotonic() - began, await asyncio.to_thread(memory, pid)])
    clients.over = True
    for task in asyncio.as_completed(tasks):
        await task
    return samples


def soak(home: Path, given: argparse.Namespace) -> dict[str, Any]:
    """One run, and what was wrong with it."""
    store = open_store(home)
    command = [sys.executable, __file__, "--serve", str(home), "--model", given.model]
    command += ["--sessions", str(given.sessions), *(["--guarded"] if given.guarded else [])]
    log = home / "server.log"
    with log.open("w") as errors:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)  # noqa: S603
        try:
            assert server.stdout is not None
            url, seen = server.stdout.readline().strip(), Seen()
            samples = asyncio.run(play(url, server.pid, store, given, seen))
            left = emptied(url)
        finally:
            server.terminate()
            code = server.wait(30)
    logged = [line for line in log.read_text().splitlines() if "Traceback" in line or "rror" in line]
    with store.reading() as connection:
        recorded = connection.execute(select(func.count()).select_from(tables.play_sessions)).scalar_one()
    store.close()
    told = {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(seen).items()}
    told |= {
        "minutes": given.minutes,
        "places": given.sessions,
        "model": given.model,
        "guarded": given.guarded,
        "load": os.getloadavg()[0],
        "memory": slope(samples),
        "samples": samples,
        "left": left,
        "recorded": recorded,
        "exit": code,
        "logged": logged[:50],
    }
    return told | {"wrong": wrong(told, given.leak)}


def emptied(url: str) -> dict[str, int]:
    """Places that are taken when everybody has gone and nobody may come back any more."""
    until = time.monotonic() + GONE_AFTER
    while True:
        told: dict[str, int] = httpx.get(f"{url}/bench/arena", timeout=30).raise_for_status().json()
        if not any(told[name] for name in ("members", "waiting", "seats", "parked")):
            return told
        if time.monotonic() > until:
            return told
        time.sleep(0.5)


def slope(samples: Sequence[Sequence[float]]) -> dict[str, float]:
    """MB per minute of memory after the first fifth of the time, with an interval of 95 %.

    One second's memory is much like the next one's, so the line goes through the means of blocks.
    """
    kept = np.array(samples[len(samples) // 5 :])
    blocks = [block.mean(axis=0) for block in np.array_split(kept, BLOCKS)]
    minutes, megabytes = np.array(blocks)[:, 0] / 60, np.array(blocks)[:, 1]
    line = linregress(minutes, megabytes)
    off = float(t.ppf(0.975, BLOCKS - 2) * line.stderr)
    return {
        "first": float(kept[0, 1]),
        "last": float(kept[-1, 1]),
        "most": float(kept[:, 1].max()),
        "slope": float(line.slope),
        "low": float(line.slope) - off,
        "high": float(line.slope) + off,
    }


def wrong(told: dict[str, Any], leak: float) -> list[str]:
    """What should not be."""
    found = [f"{count} x {what}" for what, count in told["errors"].items()]
    found += [f"logged: {line}" for line in told["logged"]]
    taken = {name: told["left"][name] for name in ("members", "waiting", "seats", "parked")}
    if any(taken.values()):
        found.append(f"places still taken: {taken}")
    if not told["sessions"] <= told["recorded"] <= told["tickets"]:
        found.append(
            f"of {told['tickets']} tickets {told['sessions']} showed frames, and {told['recorded']} sessions "
            "were recorded"
        )
    if told["memory"]["low"] > leak:
        found.append(f"memory grows by {told['memory']['slope']:.1f} MB a minute")
    return found


def show(told: dict[str, Any]) -> None:
    memory_of = told["memory"]
    table = Table("", "", title=f"{told['minutes']:g} minutes, {told['places']} places, {told['model']}")
    downs = told["downs"] or [float("nan")]
    rows = {
        "sessions (frames)": f"{told['sessions']:,} ({told['frames']:,})",
        "recorded": f"{told['recorded']:,}",
        "refused": ", ".join(f"{n} x {code}" for code, n in told["refused"].items()) or "none",
        "closed by the server": ", ".join(f"{n} x {code}" for code, n in told["closed"].items()) or "none",
        "take-downs": f"{len(told['downs'])}, at most {max(downs):.2f} s",
        "memory after the first fifth": f"{memory_of['first']:.0f} to {memory_of['last']:.0f} MB",
        "slope": f"{memory_of['slope']:+.2f} MB/min ({memory_of['low']:+.2f} to {memory_of['high']:+.2f})",
        "ticks (late)": f"{told['left']['ticks']:,} ({told['left']['late']:,})",
        "load": f"{told['load']:.1f}",
        "wrong": "\n".join(told["wrong"]) or "nothing",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


if __name__ == "__main__":
    main()
