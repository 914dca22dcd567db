"""The WebSocket of a live session: moves bytes between a browser and the arena, nothing else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from feedapi import services
from feedapi.arena import Arena, ArenaFull
from feedapi.services import Services
from feedapi.session import Ending, Session
from feedapi.tickets import BadTicket
from feedapi.wire import BadMessage, Close, Drawn, View, parse
from moderation.store import NotPublished
from worldmodel.constants import FPS, FRAME, SAMPLE_RATE

router = APIRouter(prefix="/v1")

WATCH_EVERY = 0.5
"""Seconds between two looks at whether the worlds in play are still published."""


class Refused(Exception):
    """The socket is closed before play begins."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.ending = Ending(code, reason)


@router.websocket("/worlds/{world_id}/play")
async def play(socket: WebSocket, world_id: str, ticket: str = "") -> None:
    """Play a published world with a ticket from ``POST /v1/worlds/{id}/sessions``."""
    await socket.accept()  # a refused handshake would hide the reason from the browser
    here = services.of(socket)
    wake = asyncio.Event()
    try:
        session = await admit(here, world_id, ticket, wake)
    except Refused as refusal:
        await close(socket, refusal.ending)
        return
    try:
        await converse(socket, session, here.arena, wake)
    finally:
        here.arena.leave(session)


async def admit(here: Services, world_id: str, ticket: str, wake: asyncio.Event) -> Session:
    """A seated session. Raises Refused."""
    try:
        await asyncio.to_thread(here.store.published_world, world_id)
        here.office.redeem(ticket, world_id)
        world = await asyncio.to_thread(here.world, world_id)
        session = Session(world_id, world, secrets.randbits(31), waker(wake))
        here.arena.join(session)
    except NotPublished as error:
        raise Refused(Close.NOT_PUBLISHED, "this world is not published") from error
    except BadTicket as error:
        raise Refused(Close.BAD_TICKET, str(error)) from error
    except ArenaFull as error:
        raise Refused(Close.TRY_AGAIN_LATER, str(error)) from error
    return session


def waker(wake: asyncio.Event) -> Callable[[], None]:
    """What sets ``wake`` in this loop from any thread."""
    loop = asyncio.get_running_loop()

    def signal() -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody is left to wake
            loop.call_soon_threadsafe(wake.set)

    return signal


async def converse(socket: WebSocket, session: Session, arena: Arena, wake: asyncio.Event) -> None:
    """Move frames out and keys in until either side ends it."""
    hello = {"type": "hello", "frame": FRAME, "fps": FPS, "sample_rate": SAMPLE_RATE, "ready": arena.ready}
    tasks: set[asyncio.Task[Ending | None]] = set()
    try:
        await socket.send_json(hello)
        tasks = {
            asyncio.create_task(send(socket, session, wake)),
            asyncio.create_task(receive(socket, session)),
        }
        finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ending = finished.pop().result()
        if ending is not None:
            await close(socket, ending)
    except (WebSocketDisconnect, RuntimeError):
        return  # Starlette reports a lost client by either, depending on who noticed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def send(socket: WebSocket, session: Session, wake: asyncio.Event) -> Ending | None:
    """Send the newest frame whenever the client may have one more."""
    while True:
        await wake.wait()
        wake.clear()
        if session.ending is not None:
            return session.ending
        frame = session.take()
        if frame is not None:
            await socket.send_bytes(frame.packed())


async def receive(socket: WebSocket, session: Session) -> Ending | None:
    """Hand keys and acknowledgements to the session."""
    while True:
        event = await socket.receive()
        if event["type"] == "websocket.disconnect":
            return None
        try:
            message = parse(event.get("bytes") or b"")
        except BadMessage as error:
            return Ending(Close.BAD_MESSAGE, str(error))
        if isinstance(message, Drawn):
            session.drawn(message.tick)
        elif isinstance(message, View):
            session.look(message)
        else:
            session.press(message)


async def close(socket: WebSocket, ending: Ending) -> None:
    """Close with a code and a reason (at most 123 bytes by RFC 6455)."""
    with suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(int(ending.code), ending.reason.encode()[:123].decode(errors="ignore"))


async def watch(here: Services) -> None:
    """End the sessions of worlds that are no longer published. Runs as long as the server."""
    while True:
        await asyncio.sleep(WATCH_EVERY)
        sessions = here.arena.members()
        if sessions:
            published = {world.id for world in await asyncio.to_thread(here.store.published)}
            for session in sessions:
                if session.world_id not in published:
                    session.end(Ending(Close.NOT_PUBLISHED, "this world was withdrawn"))
