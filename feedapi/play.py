"""The WebSocket of a live session: moves bytes between a browser and the arena, nothing else."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from feedapi import services
from feedapi.arena import Arena, ArenaFull
from feedapi.services import Services
from feedapi.session import Ending, Session, Slot
from feedapi.tickets import BadTicket
from feedapi.wire import BadMessage, Close, Drawn, Report, View, blank_frame, parse
from moderation.store import NotPublished, live
from worldmodel.constants import FPS, FRAME, SAMPLE_RATE

router = APIRouter(prefix="/v1")
log = logging.getLogger(__name__)

LEFT_CODES = frozenset({1000, 1001})
"""With these a client closes in order: it does not come back."""

WATCH_EVERY = 0.1
"""Seconds between two looks at whether anybody's right to play has changed."""
BLIND_FOR = 2.0
"""Seconds for which the store may not answer; after that nobody plays, since nothing could be taken down."""


class Refused(Exception):
    """The socket is closed before play begins."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.ending = Ending(code, reason)


@router.websocket("/worlds/{world_id}/play")
async def play(socket: WebSocket, world_id: str, ticket: str = "", resume: str = "") -> None:
    """Play a published world with a ticket from ``POST /v1/worlds/{id}/sessions``.

    ``resume`` instead of a ticket: the token from the greeting of a session whose connection was lost.
    """
    await socket.accept()  # a refused handshake would hide the reason from the browser
    here = services.of(socket)
    wake = asyncio.Event()
    try:
        if resume:
            session = await take_up(here, world_id, resume, wake)
        else:
            session = await admit(here, world_id, ticket, wake)
    except Refused as refusal:
        await close(socket, refusal.ending)
        return
    lost = True
    try:
        lost = await converse(socket, session, here.arena, wake)
    finally:
        (here.arena.park if lost else here.arena.leave)(session)


@router.websocket("/worlds/{world_id}/watch")
async def watch_play(socket: WebSocket, world_id: str, session: str = "") -> None:
    """Watch somebody play, with the token that the player's greeting names ``watch``."""
    await socket.accept()
    here = services.of(socket)
    wake = asyncio.Event()
    slot = Slot(waker(wake))
    watched = here.arena.watched(session)
    if watched is None or watched.world_id != world_id:
        await close(socket, Ending(Close.BAD_TICKET, "nobody plays with this token"))
        return
    try:
        watched.watched_by(slot)
    except ValueError as error:
        await close(socket, Ending(Close.TRY_AGAIN_LATER, str(error)))
        return
    try:
        await move(socket, watched, slot, wake, greeting(here.arena))
    finally:
        watched.unwatched_by(slot)


async def admit(here: Services, world_id: str, ticket: str, wake: asyncio.Event) -> Session:
    """A session that plays or waits in the queue. Raises Refused."""
    try:
        await check_playable(here, world_id)
        here.office.redeem(ticket, world_id)
        version, world = await asyncio.to_thread(here.playable_version, world_id)
        session = Session(world_id, world, secrets.randbits(31), waker(wake), version=version)
        here.arena.join(session)
    except NotPublished as error:
        raise Refused(Close.NOT_PUBLISHED, "this world is not published") from error
    except BadTicket as error:
        raise Refused(Close.BAD_TICKET, str(error)) from error
    except ArenaFull as error:
        raise Refused(Close.TRY_AGAIN_LATER, str(error)) from error
    return session


async def take_up(here: Services, world_id: str, token: str, wake: asyncio.Event) -> Session:
    """The parked session of a player who is back. Raises Refused."""
    session = here.arena.find(token)
    if session is None or session.world_id != world_id or session.ending is not None:
        raise Refused(Close.BAD_TICKET, "the session was not kept: start again")
    session.taken_up(waker(wake))
    try:
        await check_playable(here, world_id)
        here.arena.come_back(session)
    except NotPublished as error:
        raise Refused(Close.NOT_PUBLISHED, "this world is not published") from error
    except ArenaFull as error:
        raise Refused(Close.BAD_TICKET, str(error)) from error
    return session


async def check_playable(here: Services, world_id: str) -> None:
    """Raises NotPublished, also where the world was made from one that was taken down."""
    await asyncio.to_thread(here.store.published_world, world_id)
    if not await asyncio.to_thread(live.playable, here.store, [world_id]):
        raise NotPublished(world_id)


def waker(wake: asyncio.Event) -> Callable[[], None]:
    """What sets ``wake`` in this loop from any thread."""
    loop = asyncio.get_running_loop()

    def signal() -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody is left to wake
            loop.call_soon_threadsafe(wake.set)

    return signal


def greeting(arena: Arena, **more: str) -> dict[str, object]:
    """The first message of a socket."""
    return {
        "type": "hello",
        "frame": FRAME,
        "fps": FPS,
        "sample_rate": SAMPLE_RATE,
        "ready": arena.ready,
        **more,
    }


async def converse(socket: WebSocket, session: Session, arena: Arena, wake: asyncio.Event) -> bool:
    """Move frames out and keys in until either side ends it. True where the connection was lost."""
    hello = greeting(arena, resume=session.token, watch=session.watch_token)
    return await move(socket, session, session.own, wake, hello, playing=True)


async def move(
    socket: WebSocket,
    session: Session,
    slot: Slot,
    wake: asyncio.Event,
    hello: dict[str, object],
    *,
    playing: bool = False,
) -> bool:
    """Move a session's frames to a socket; what comes back counts as keys where it is the player's."""
    tasks: set[asyncio.Task[Ending | None]] = set()
    receiving: asyncio.Task[Ending | None] | None = None
    try:
        await socket.send_json(hello)
        receiving = asyncio.create_task(receive(socket, session, slot, playing=playing))
        tasks = {asyncio.create_task(send(socket, session, slot, wake)), receiving}
        finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ending = finished.pop().result()
        if ending is not None:
            await close(socket, ending)
            return False
    except (WebSocketDisconnect, RuntimeError) as error:
        # Starlette reports a lost client by either, depending on who noticed
        return not (isinstance(error, Left) or (receiving is not None and await has_left(receiving)))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return True


class Left(RuntimeError):
    """The client closed the socket in order."""


async def has_left(receiving: asyncio.Task[Ending | None]) -> bool:
    """Whether the client closed in order: sending may fail on that before the close has been read."""
    await asyncio.wait([receiving], timeout=1)
    return receiving.done() and not receiving.cancelled() and isinstance(receiving.exception(), Left)


async def send(socket: WebSocket, session: Session, slot: Slot, wake: asyncio.Event) -> Ending | None:
    """Send the newest frame whenever the client may have one more, and the place in the queue."""
    position = 0
    while True:
        await wake.wait()
        wake.clear()
        if (ending := session.ending) is not None:
            if ending.blank:
                await socket.send_bytes(blank_frame().packed())
            return ending
        if position != session.position:
            position = session.position
            await socket.send_json({"type": "queue", "position": position})
        frame = slot.take()
        if frame is not None:
            await socket.send_bytes(frame.packed())


async def receive(socket: WebSocket, session: Session, slot: Slot, *, playing: bool) -> Ending | None:
    """Hand keys and acknowledgements on. Raises Left."""
    while True:
        event = await socket.receive()
        if event["type"] == "websocket.disconnect":
            if event.get("code") in LEFT_CODES:
                raise Left
            return None
        try:
            message = parse(event.get("bytes") or b"")
        except BadMessage as error:
            return Ending(Close.BAD_MESSAGE, str(error))
        if isinstance(message, Drawn):
            slot.drawn(message.tick)
        elif not playing:
            continue
        elif isinstance(message, View):
            session.look(message)
        elif isinstance(message, Report):
            session.report()
        else:
            session.press(message)


async def close(socket: WebSocket, ending: Ending) -> None:
    """Close with a code and a reason (at most 123 bytes by RFC 6455)."""
    with suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(int(ending.code), ending.reason.encode()[:123].decode(errors="ignore"))


async def watch(here: Services) -> None:
    """End the sessions of worlds that may no longer be played. Runs as long as the server.

    Whichever process took a world down: the log of changes is asked, and the worlds only when it has grown.
    """
    newest, asked = -1, time.monotonic()
    known: set[str] = set()
    while True:
        await asyncio.sleep(WATCH_EVERY)
        sessions = here.arena.members()
        if not sessions:
            asked = time.monotonic()
            continue
        try:
            event = await asyncio.to_thread(live.newest_event, here.store)
            worlds = {session.world_id for session in sessions}
            if event != newest or not worlds <= known:
                known = await asyncio.to_thread(live.playable, here.store, worlds)
                newest = event
            asked = time.monotonic()
        except Exception:
            log.exception("the store does not say which worlds may be played")
            if time.monotonic() - asked < BLIND_FOR:
                continue
            known = set()
        for session in sessions:
            if session.world_id not in known:
                session.end(Ending(Close.NOT_PUBLISHED, "this world was withdrawn", blank=True))
