"""``firstplay play``: one world package, played by its creator in the browser, with the simulator beside it.

No database, no clearance, no tickets: the page is for this machine only. The server listens on the loopback
address, and answers neither other host names nor other sites' pages, which a browser could lead here.
"""

from __future__ import annotations

import asyncio
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, cast

from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection

from feedapi.arena import ArenaFull
from feedapi.beside import Workbench
from feedapi.headers import SafeHeaders
from feedapi.pages import STATIC, templates
from feedapi.play import close, converse, waker
from feedapi.session import Ending, Session
from feedapi.wire import Close
from worldmodel.constants import FPS, Event
from worldmodel.limits import SEED

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld, Mechanics
    from worldmodel.protocol import WorldModel

LOOPBACK = "127.0.0.1"
HOSTS = [LOOPBACK, "localhost"]
TABS = 4
"""Pages that may play at once: a new playthrough is let in before the one before it has left."""
HEADINGS = {
    "understood": "Understood",
    "inferred": "Guessed",
    "style": "Kept as style, with no effect on play",
}
"""What the page calls the parts of ``CompiledWorld.notes``, in this order."""

router = APIRouter(include_in_schema=False)


class Unplayable(ValueError):
    """The package or the model cannot be played; the text says what to do."""


@dataclass(frozen=True)
class Tryout:
    """What is played, and where."""

    world: CompiledWorld
    prompt: str
    model: str
    seed: int
    """Of the first playthrough; the page can choose another."""
    arena: Workbench

    @property
    def spawns(self) -> int:
        """Spawn points to choose from."""
        from worldmodel.bank import MAX_SPAWNS

        return min(len(self.world.spawns), MAX_SPAWNS)


@router.get("/", response_class=HTMLResponse)
def page(request: Request) -> Response:
    """The world, playable."""
    here = _of(request)
    context = {
        "tryout": here,
        "world": here.world,
        "notes": headed(here.world.notes),
        "mechanics": spoken(here.world.mechanics),
        "events": [event.name.lower() for event in Event],
        "largest_seed": SEED,
    }
    return templates.TemplateResponse(request, "try.html", context)


@router.websocket("/play")
async def play(socket: WebSocket, seed: str = "0", spawn: str = "0") -> None:
    """One playthrough, from the spawn point on."""
    if not from_here(socket):
        await socket.close(int(Close.BAD_TICKET))
        return
    await socket.accept()
    here = _of(socket)
    wake = asyncio.Event()
    try:
        start = _whole(seed, SEED, "seed"), _whole(spawn, here.spawns - 1, "spawn point")
        session = Session("tryout", here.world, start[0], waker(wake), start[1])
        here.arena.join(session)
    except ValueError as error:
        await close(socket, Ending(Close.BAD_MESSAGE, str(error)))
        return
    except ArenaFull:
        await close(socket, Ending(Close.TRY_AGAIN_LATER, f"{TABS} pages play already: close one"))
        return
    try:
        await converse(socket, session, here.arena, wake)
    finally:
        here.arena.leave(session)


def prepare(path: Path) -> tuple[CompiledWorld, str]:
    """The compiled package at ``path``, and its prompt. Raises Unplayable naming the file and the field."""
    from worldmodel.board import LayoutError
    from worldmodel.compiler import compile_world
    from worldmodel.package import PackageError, load_package

    try:
        package = load_package(path)
        return compile_world(package), package.spec.prompt
    except PackageError as error:
        raise Unplayable(str(error)) from error
    except LayoutError as error:
        raise Unplayable(f"{path}: world.yaml: {error}") from error


def model_loader(name: str) -> Callable[[], WorldModel]:
    """Gives the model ``name`` to the thread that plays it. Raises Unplayable where weights are missing."""
    import torch

    from worldmodel.models import load_model

    try:
        model = load_model(name)
    except (OSError, ValueError) as error:
        raise Unplayable(f"{error}; `--model simulator` plays without weights") from error

    def load() -> WorldModel:
        torch.set_num_threads(1)  # holds for the thread that calls it: the arena's
        return model

    return load


def open_page(url: str) -> None:
    """Show the page in the browser; aside, since a text browser would keep the caller waiting."""
    Thread(target=webbrowser.open, args=[url], daemon=True).start()


def create_tryout(
    world: CompiledWorld,
    prompt: str,
    load: Callable[[], WorldModel],
    *,
    model: str = "neural",
    seed: int = 0,
) -> FastAPI:
    """The application that plays one world. ``load`` makes the model, in the arena's thread."""
    here = Tryout(world, prompt, model, seed, Workbench(load, TABS))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        here.arena.warm_up()
        yield
        await asyncio.to_thread(here.arena.close)

    app = FastAPI(title="firstplay play", lifespan=lifespan, openapi_url=None)
    app.state.tryout = here
    app.add_middleware(SafeHeaders)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def from_here(socket: WebSocket) -> bool:
    """Whether a socket was opened by this server's own page, or by a program that is no browser."""
    origin = socket.headers.get("origin")
    return origin is None or origin == f"http://{socket.headers.get('host')}"


def headed(notes: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """The notes that say something, under the page's headings; unknown kinds keep their own name."""
    order = [*(name for name in HEADINGS if name in notes), *(name for name in notes if name not in HEADINGS)]
    return [(HEADINGS.get(name, name.capitalize()), notes[name]) for name in order if notes[name]]


def spoken(mechanics: Mechanics) -> list[tuple[str, str]]:
    """The mechanics as the page lists them: name, value."""
    side = (
        []
        if mechanics.top_view
        else [
            ("Gravity", f"{mechanics.gravity} of 3"),
            ("Jump", f"{mechanics.jump} units a step"),
            ("Jumps in the air", str(mechanics.air_jumps)),
        ]
    )
    night = f"{mechanics.day_length / FPS:.0f} s" if mechanics.day_length else "none"
    return [
        ("View", "from above" if mechanics.top_view else "from the side"),
        *side,
        ("Speed", f"{mechanics.speed} units a step"),
        ("Grip", f"{mechanics.accel} of 4"),
        ("Wind", f"{mechanics.wind:+d}" if mechanics.wind else "none"),
        ("Darkness", f"{mechanics.darkness} of 3"),
        ("Day and night", night),
        ("Coins needed", str(mechanics.coins_needed) if mechanics.coins_needed else "none"),
    ]


def _whole(text: str, largest: int, name: str) -> int:
    """Raises ValueError in words that the page shows."""
    if not (text.isascii() and text.isdigit() and int(text) <= largest):
        raise ValueError(f"the {name} must be a whole number from 0 to {largest}")
    return int(text)


def _of(connection: HTTPConnection) -> Tryout:
    return cast("Tryout", connection.app.state.tryout)
