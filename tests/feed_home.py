"""A state folder with worlds in chosen states, made by the pipeline's own functions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from feedapi.app import create_app
from feedapi.guarding import Guarded
from feedapi.identity import COOKIE
from feedapi.server import Server, address, listen
from feedapi.services import Services
from moderation.accounts import create_key, sign_in
from moderation.packages import pack
from moderation.states import WorldState
from moderation.store import Store, open_store
from policies.types import Bound, Coverage, Decision, Verdict
from worldmodel.models import load_model
from worldmodel.package import WorldPackage, load_package

ROADS = {
    "submitted": [],
    "exploring": ["screening", "exploring"],
    "needs_review": ["screening", "exploring", "scanning", "deciding", "needs_review"],
    "rejected": ["screening", "exploring", "scanning", "deciding", "rejected"],
    "cleared": ["screening", "exploring", "scanning", "deciding", "cleared"],
    "published": ["screening", "exploring", "scanning", "deciding", "cleared", "published"],
}
COVERAGE = Coverage(20_000, 7_000, 60, 812, 3.0, 0.02, 0.051, "nothing new was found")
BOUNDS = (Bound("hate-slur", 0.9, 60, 0.055),)
WORLD = """\
title: {title}
prompt: a calm green meadow in the sun
mechanics: {{view: side, gravity: 1, speed: 1, hazards: 0, enemies: none, darkness: 0}}
"""


@cache
def package(title: str) -> WorldPackage:
    with TemporaryDirectory() as folder:
        (Path(folder) / "world.yaml").write_text(WORLD.format(title=title))
        return load_package(Path(folder))


def add_world(
    store: Store,
    title: str,
    state: str,
    thumbnail: bytes | None = None,
    world: WorldPackage | None = None,
    remix_of: str | None = None,
    model: tuple[str, str] = ("simulator", "m" * 64),
) -> str:
    """Submit a small world, or this one, and take it to ``state``; returns its version.

    ``model``: name and hash of what bots are said to have played it with.
    """
    world = world or package(title)
    version, exploration = world.sha256, f"e-{world.sha256}"
    blob = store.blobs.put(pack(world))
    verdict = Verdict.CLEARED if state in {"cleared", "published"} else Verdict.REJECTED
    decision = Decision(verdict, "default@1", "p" * 64, (), ("No rule fired.",), BOUNDS)
    with store.writing() as tx:
        tx.submit(
            version, world.spec.slug, title, world.spec.prompt or "", world.spec.canonical(), blob, remix_of
        )
        tx.add_exploration(exploration, version, 7, *model, {"search_steps": 10})
        tx.set_exploration(version, exploration)
        tx.add_decision(version, exploration, decision, COVERAGE, ())
        if thumbnail is not None:
            tx.set_thumbnail(version, store.blobs.put(thumbnail))
    move(store, version, ROADS[state])
    return version


def move(store: Store, version: str, road: list[str]) -> None:
    for state in road:
        with store.writing() as tx:
            tx.transition(version, WorldState(state), "policy", f"on to {state}")


def fill(home: Path, worlds: dict[str, str], thumbnail: bytes | None = None) -> dict[str, str]:
    """Worlds by title and state; returns their versions by title."""
    store = open_store(home)
    versions = {title: add_world(store, title, state, thumbnail) for title, state in worlds.items()}
    store.close()
    return versions


@dataclass(frozen=True)
class Running:
    """A server on a free local port."""

    url: str
    app: FastAPI

    @property
    def services(self) -> Services:
        found: Services = self.app.state.services
        return found

    def cookie(self, account: str) -> Any:
        """What a browser has that somebody has signed in on; signing in by the form is rationed."""
        store = self.services.store
        value, _ = sign_in(store, create_key(store, account))
        return {"name": COOKIE, "value": value, "url": self.url}

    def socket(self, path: str) -> str:
        return self.url.replace("http://", "ws://") + path


def every_route(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    """All API routes and pages, also those of the routers that an application includes."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from every_route(inner.routes)


@contextmanager
def running(
    home: Path,
    capacity: int = 4,
    model: str = "simulator",
    guarded: Callable[[Store], Guarded] | None = None,
) -> Iterator[Running]:
    """The real server in a thread."""
    app = create_app(home, lambda: load_model(model), capacity, guarded)
    with serving(app) as url:
        yield Running(url, app)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Any application, served for real in a thread; its URL."""
    started = threading.Event()
    server = Server(app, started.set)
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_on, args=[listener])
    thread.start()
    try:
        assert started.wait(20)
        yield address(listener)
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()
