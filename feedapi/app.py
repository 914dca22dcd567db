"""The web application: pages, API and live play over one state folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from feedapi import (
    about,
    api,
    audit,
    cases,
    console,
    costs,
    creators,
    device,
    feed,
    hooks,
    operate,
    pages,
    people,
    play,
    preview,
    problems,
    services,
    starting,
    studio,
    take_over,
    workbench,
)
from feedapi.bounds import Bounds
from feedapi.guarding import Guarded
from feedapi.headers import SafeHeaders
from feedapi.services import Services

if TYPE_CHECKING:
    from moderation.store import Store
    from worldmodel.protocol import WorldModel


def create_app(
    home: Path,
    load: Callable[[], WorldModel],
    capacity: int,
    guarded: Callable[[Store], Guarded] | None = None,
) -> FastAPI:
    """The application over the store in ``home``.

    ``load`` makes the world model and is called, in the arena's thread, when somebody wants to play;
    at most ``capacity`` people play at once. ``guarded`` makes what watches over them
    (:func:`feedapi.guarding.by_policy`); without it nobody does.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        here = Services.open(home, load, capacity, guarded)
        services.install(app, here)
        watcher = asyncio.create_task(play.watch(here))
        yield
        watcher.cancel()
        await asyncio.to_thread(here.close)

    app = FastAPI(
        title="firstplay",
        version=version("firstplay"),
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere, which the content policy forbids
        redoc_url=None,
    )
    app.add_middleware(Bounds)
    app.add_middleware(SafeHeaders)
    problems.install(app)
    for part in (
        api,
        audit,
        cases,
        take_over,
        costs,
        creators,
        feed,
        hooks,
        operate,
        people,
        starting,
        about,
        workbench,
    ):
        app.include_router(part.router)
    app.include_router(device.api)
    app.include_router(play.router)
    app.include_router(preview.router)
    app.include_router(pages.router)
    app.include_router(device.router)
    app.include_router(studio.router)
    app.include_router(console.router)
    app.add_exception_handler(studio.SignInFirst, studio.sign_in_first)
    app.mount("/static", StaticFiles(directory=pages.STATIC), name="static")
    app.mount("/player", StaticFiles(packages=[("worldmodel", "static/player")]), name="player")
    return app
