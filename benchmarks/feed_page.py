"""How fast the feed answers over 100,000 published worlds, beside the plain way and beside doing nothing.

    OMP_NUM_THREADS=1 python -m benchmarks.feed_page --json feed_page.json

One uvicorn process on 127.0.0.1 serves four routes, asked in turn by ``--concurrency`` clients: ``noop``
answers a constant; ``orm`` is the plain way to a page of 20 (mapped classes, a keyset on time and id, each
world's decision loaded, Pydantic models); ``feed`` is ``GET /v1/feed`` with its kept pages thrown away before
every request, so that every page is hydrated anew; ``cached`` is the same with them. Rate limits are off, or
they would be what is measured. All routes are behind the application's other middleware.

``start`` is a fresh server, from nothing to its first page: ``first ever`` ranks 10,000 worlds before,
``restart`` finds the last ranking in the database. The worlds are rows as the pipeline leaves them, with a
decision of ``--trace`` rules each and 500 looks among them; there is no play in them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table
from sqlalchemy import and_, select, tuple_
from sqlalchemy.orm import DeclarativeBase, Session, relationship

from feedapi import services
from feedapi.app import create_app
from feedapi.bounds import Bounds
from feedapi.feed import ADULT, PAGE, FeedItem, read_feed
from feedapi.feed import of as feed_of
from feedapi.label import label_of
from feedapi.server import Server, address, listen
from moderation.likeness import Signature
from moderation.risk import risk_upper
from moderation.store import Store, open_store
from moderation.store import tables as t
from policies.types import Bound, Coverage
from worldmodel.protocol import WorldModel

console = Console()
LOOKS = 500
START = """
import sys, threading, time
from pathlib import Path
from feedapi.server import Server, address, listen, starting
with starting():
    from feedapi.app import create_app
def load():
    raise RuntimeError("nobody plays")
listener = listen("127.0.0.1", 0)
server = Server(create_app(Path(sys.argv[1]), load, 1), lambda: print(address(listener), flush=True))
thread = threading.Thread(target=server.serve_on, args=[listener])
thread.start()
sys.stdin.readline()
server.should_exit = True
thread.join()
print("torch" in sys.modules, time.process_time())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worlds", type=int, default=100_000)
    parser.add_argument("--trace", type=int, default=40)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--home", type=Path, help="a store that an earlier run has filled")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
        return
    with TemporaryDirectory() as folder:
        home = given.home or Path(folder)
        if not (home / "firstplay.sqlite3").exists():
            fill(home, given.worlds, given.trace)
        starts = {"first ever": start(home), "restart": start(home)}
        rows = measure(home, given.requests, given.rounds, given.concurrency)
    show(rows, starts)
    if given.json:
        told = {"worlds": given.worlds, "concurrency": given.concurrency, "rows": rows, "start": starts}
        given.json.write_text(json.dumps(told, indent=1))


def show(rows: dict[str, dict[str, float]], starts: dict[str, dict[str, Any]]) -> None:
    table = Table("route", "requests/s", "p50 ms", "p99 ms", title="A page of 20")
    for name, row in rows.items():
        table.add_row(name, f"{row['rate']:.0f}", f"{row['p50_ms']:.2f}", f"{row['p99_ms']:.2f}")
    console.print(table)
    console.print(f"feed / orm {rows['feed']['rate'] / rows['orm']['rate']:.2f} (at least 2)")
    console.print(f"cached / noop {rows['cached']['rate'] / rows['noop']['rate']:.2f} (at least 0.6)")
    for name, told in starts.items():
        console.print(
            f"{name}: first page after {told['seconds']:.2f} s ({told['processor']:.2f} s of the processor), "
            f"torch imported: {told['torch']}"
        )


# -- serving and asking -------------------------------------------------------------------------------


def measure(home: Path, requests: int, rounds: int, concurrency: int) -> dict[str, dict[str, float]]:
    """Every route in turn, some rounds over, so that other work on the machine strikes all alike."""
    command = [sys.executable, "-m", "benchmarks.feed_page", "--serve", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            assert server.stdout is not None
            return asyncio.run(_measure(server.stdout.readline().strip(), requests, rounds, concurrency))
        finally:
            server.terminate()


async def _measure(url: str, requests: int, rounds: int, concurrency: int) -> dict[str, dict[str, float]]:
    taken: dict[str, list[float]] = {}
    lasted: dict[str, float] = {}
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        routes = await _routes(client)
        for each in range(rounds + 1):
            for name, paths in routes.items():
                began = time.perf_counter()
                times = await _ask(client, paths, requests if each else 50, concurrency)
                if each:  # the first round warms up
                    taken.setdefault(name, []).extend(times)
                    lasted[name] = lasted.get(name, 0.0) + time.perf_counter() - began
    return {
        name: {
            "rate": len(times) / lasted[name],
            "p50_ms": median(times) * 1000,
            "p99_ms": quantiles(times, n=100)[-1] * 1000,
        }
        for name, times in taken.items()
    }


async def _routes(client: httpx.AsyncClient) -> dict[str, list[str]]:
    """Paths of each route: the first ten pages of the ranking, and as many of the plain one."""
    feed, orm = ["/v1/feed"], ["/bench/orm"]
    for _ in range(9):
        page = (await client.get(feed[-1])).raise_for_status().json()
        if page["next"] is not None:
            feed.append(f"/v1/feed?cursor={page['next']}")
        plain = (await client.get(orm[-1])).raise_for_status().json()
        orm.append(f"/bench/orm?at={plain['at']}&id={plain['id']}")
    uncached = [path.replace("/v1/feed", "/bench/feed") for path in feed]
    return {"noop": ["/bench/noop"], "orm": orm, "feed": uncached, "cached": feed}


async def _ask(client: httpx.AsyncClient, paths: list[str], requests: int, concurrency: int) -> list[float]:
    times: list[float] = []

    async def one(number: int) -> None:
        for each in range(number, requests, concurrency):
            began = time.perf_counter()
            (await client.get(paths[each % len(paths)])).raise_for_status()
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(one(number) for number in range(concurrency)))
    return times


def start(home: Path) -> dict[str, Any]:
    """A fresh server, from nothing to its first page over a socket, and the processor time of all of it."""
    began = time.perf_counter()
    command, pipe = [sys.executable, "-c", START, str(home)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:  # noqa: S603
        assert server.stdout is not None
        page = httpx.get(f"{server.stdout.readline().strip()}/v1/feed", timeout=120).raise_for_status().json()
        seconds = time.perf_counter() - began
        told, _ = server.communicate("stop\n", timeout=60)
    assert len(page["items"]) == 20, page
    torch, processor = told.split()
    return {"seconds": seconds, "processor": float(processor), "torch": torch == "True"}


# -- worlds -------------------------------------------------------------------------------------------


def fill(home: Path, worlds: int, trace: int) -> None:
    """Published worlds as the pipeline leaves them, written in bulk."""
    store = open_store(home)
    rng, now = np.random.default_rng(0), time.time()
    looks = [store.blobs.put(_look(rng).to_bytes()) for _ in range(LOOKS)]
    body = _decision(trace)
    coverage = _coverage()
    for first in range(0, worlds, 5000):
        numbers = range(first, min(first + 5000, worlds))
        with store.writing() as tx:
            for table, rows in _rows(numbers, looks, body, coverage, rng, now).items():
                tx.connection.execute(t.metadata.tables[table].insert(), rows)
    store.close()


def _rows(
    numbers: range, looks: list[str], body: Any, coverage: Any, rng: np.random.Generator, now: float
) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("worlds", "versions", "explorations", "pieces", "decisions")
    }
    for i in numbers:
        version, world = hashlib.sha256(str(i).encode()).hexdigest(), f"world-{i}"
        creator, then = f"creator-{int(rng.integers(5000))}", now - float(rng.uniform(0, 90 * 86400))
        rows["worlds"].append({"id": world, "title": f"World {i}", "creator": creator, "created": then})
        rows["versions"].append(
            {
                "id": version,
                "world": world,
                "creator": creator,
                "prompt": "a dark cave with glowing lanterns, low gravity, slow ghosts",
                "spec": {"title": f"World {i}", "mechanics": {"gravity": float(rng.uniform(0, 3))}},
                "package": "0" * 64,
                "remix_of": f"world-{int(rng.integers(i))}" if i and rng.random() < 0.2 else None,
                "state": "published",
                "revision": 6,
                "exploration": f"e-{version}",
                "thumbnail": "1" * 64,
                "created": then,
                "updated": then,
            }
        )
        rows["explorations"].append(
            {
                "id": f"e-{version}",
                "version": version,
                "seed": 7,
                "model": "neural",
                "model_sha256": "m" * 64,
                "budget": {},
                "scanned": True,
                "created": then,
            }
        )
        piece = {"exploration": f"e-{version}", "phase": "signature", "ordinal": 0}
        rows["pieces"].append(piece | {"blob": looks[int(rng.integers(LOOKS))]})
        rows["decisions"].append(
            {
                "version": version,
                "exploration": f"e-{version}",
                "policy_hash": "p" * 64,
                "verdict": "cleared",
                "body": body,
                "coverage": coverage,
                "evidence": [],
                "at": then,
            }
        )
    return rows


def _look(rng: np.random.Generator) -> Signature:
    looks = np.abs(rng.normal(size=(8, 219))).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    words = rng.normal(size=384).astype(np.float32)
    return Signature(looks, np.full(8, 1 / 8, np.float32), words / np.linalg.norm(words))


def _decision(trace: int) -> dict[str, Any]:
    rule = {"rule": "hate-slur", "outcome": "cleared", "values": {"max(slur)": 0.031, "count(slur)": 0}}
    bound = {"rule": "hate-slur", "recall": 0.9, "episodes": 60, "upper": 0.055}
    return {
        "verdict": "cleared",
        "policy": "default@1",
        "policy_hash": "p" * 64,
        "fired": [],
        "reasons": ["No rule fired."],
        "bounds": [bound] * 20,
        "trace": [rule] * trace,
        "rating": {"age": 7, "descriptors": ["Fear"], "grounds": [], "provisional": False},
    }


def _coverage() -> dict[str, Any]:
    return {
        "search_steps": 20000,
        "sample_steps": 7000,
        "sample_episodes": 60,
        "cells": 812,
        "discovery_rate": 3.0,
        "unseen_mass": 0.02,
        "unseen_mass_upper": 0.051,
        "stop_reason": "nothing new was found",
    }


# -- the plain way ------------------------------------------------------------------------------------


class Base(DeclarativeBase):
    metadata = t.metadata


class World(Base):
    __table__ = t.worlds


class Decision(Base):
    __table__ = t.decisions


class WorldVersion(Base):
    __table__ = t.versions
    world_row = relationship(World, lazy="joined", innerjoin=True)
    decision = relationship(
        Decision,
        primaryjoin=and_(
            t.decisions.c.version == t.versions.c.id, t.decisions.c.exploration == t.versions.c.exploration
        ),
        foreign_keys=[t.decisions.c.version, t.decisions.c.exploration],
        lazy="selectin",
        uselist=False,
        viewonly=True,
    )


class PlainPage(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    items: list[FeedItem]
    at: float
    id: str


def plain_page(store: Store, at: float | None, version: str | None) -> PlainPage:
    """The newest 20 after a place, with mapped classes."""
    query = select(WorldVersion).where(t.versions.c.state == "published")
    if at is not None:
        query = query.where(tuple_(t.versions.c.updated, t.versions.c.id) < (at, version))
    query = query.order_by(t.versions.c.updated.desc(), t.versions.c.id.desc()).limit(20)
    with store.reading() as connection, Session(connection) as session:
        found = session.scalars(query).all()
        items = [_plain_item(one) for one in found]
        return PlainPage(items=items, at=found[-1].updated, id=found[-1].id)


def _plain_item(one: Any) -> FeedItem:
    body, coverage = one.decision.body, Coverage(**one.decision.coverage)
    bounds = tuple(Bound(**bound) for bound in body["bounds"])
    return FeedItem(
        id=one.world,
        version=one.id,
        title=one.world_row.title,
        prompt=one.prompt,
        creator=one.creator,
        remix_of=one.remix_of,
        published_at=one.updated,
        still=f"/worlds/{one.world}/still.png",
        rating=body["rating"]["age"],
        bot_steps=coverage.search_steps + coverage.sample_steps,
        sample_episodes=coverage.sample_episodes,
        risk_upper=risk_upper(bounds),
        label=label_of(coverage, bounds).short,
        context="",
    )


def add_routes(app: FastAPI) -> None:
    """The routes to compare with, and a way to ask for a page that is not kept."""
    app.user_middleware = [one for one in app.user_middleware if one.cls is not Bounds]

    @app.get("/bench/noop")
    async def noop() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/bench/orm")
    def orm(request: Request, at: float | None = None, id: str | None = None) -> PlainPage:  # noqa: A002
        return plain_page(services.of(request).store, at, id)

    @app.get("/bench/feed")
    async def anew(request: Request, cursor: str | None = None) -> Response:
        feed_of(request).forget()
        return await read_feed(request, cursor, ADULT, PAGE)


def serve(home: Path) -> None:
    """Serve ``home``; prints the URL once it answers."""

    def load() -> WorldModel:
        raise RuntimeError("nobody plays in this benchmark")

    app = create_app(home, load, 1)
    add_routes(app)
    listener = listen("127.0.0.1", 0)
    Server(app, lambda: print(address(listener), flush=True)).serve_on(listener)


if __name__ == "__main__":
    main()
