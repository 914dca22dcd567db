"""The WebSocket of a live session: moves bytes between a browser and the arena, nothing else."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from weakref import WeakKeyDictionary, ref

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from feedapi import services
from feedapi.arena import Arena, ArenaFull
from feedapi.encoding import H264, encode_jpeg
from feedapi.services import Services
from feedapi.session import Ending, Session, Slot
from feedapi.tickets import BadTicket
from feedapi.wire import (
    VERSION,
    VIDEO_CODEC,
    BadMessage,
    Close,
    Codec,
    Drawn,
    Frame,
    KeyFrame,
    Report,
    View,
    blank_frame,
    parse,
)
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
async def play(
    socket: WebSocket,
    world_id: str,
    ticket: str = "",
    resume: str = "",
    video: str = Codec.JPEG,
    protocol: str = str(VERSION),
) -> None:
    """Play a published world with a ticket from ``POST /v1/worlds/{id}/sessions``.

    ``resume`` instead of a ticket: the token from the greeting of a session whose connection was lost.
    ``video`` says how pictures are sent (:class:`feedapi.wire.Codec`), ``protocol`` which version of
    :mod:`feedapi.wire` the client speaks; who does not say it checks the version of each frame itself.
    """
    await socket.accept()  # a refused handshake would hide the reason from the browser
    here = services.of(socket)
    wake = asyncio.Event()
    try:
        codec = agreed(video, protocol)
        if resume:
            session = await take_up(here, world_id, resume, wake, codec)
        else:
            session = await admit(here, world_id, ticket, wake, codec)
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
        await move(socket, watched, slot, wake, greeting(here.arena), Screen(here.arena))
    finally:
        watched.unwatched_by(slot)


def agreed(video: str, protocol: str) -> Codec:
    """How pictures are sent. Raises Refused where the client wants what is not spoken here."""
    if protocol != str(VERSION):
        raise Refused(Close.BAD_MESSAGE, f"this server speaks version {VERSION} of the protocol")
    try:
        return Codec(video)
    except ValueError:
        raise Refused(Close.BAD_MESSAGE, f"video is one of {', '.join(Codec)}") from None


async def admit(
    here: Services, world_id: str, ticket: str, wake: asyncio.Event, codec: Codec = Codec.JPEG
) -> Session:
    """A session that plays or waits in the queue. Raises Refused."""
    try:
        await check_playable(here, world_id)
        grant = here.office.redeem(ticket, world_id)
        version, world = await asyncio.to_thread(here.playable_version, world_id)
        video = codec is Codec.H264
        number = secrets.randbits(31)
        session = Session(world_id, world, number, waker(wake), version=version, grant=grant, video=video)
        if grant.shown is not None:
            start = await asyncio.to_thread(here.feed.spawn, world_id, world)
            session.spawn, session.spawn_propensity = start
        here.arena.join(session)
    except NotPublished as error:
        raise Refused(Close.NOT_PUBLISHED, "this world is not published") from error
    except BadTicket as error:
        raise Refused(Close.BAD_TICKET, str(error)) from error
    except ArenaFull as error:
        raise Refused(Close.TRY_AGAIN_LATER, str(error)) from error
    return session


async def take_up(
    here: Services, world_id: str, token: str, wake: asyncio.Event, codec: Codec = Codec.JPEG
) -> Session:
    """The parked session of a player who is back. Raises Refused."""
    session = here.arena.find(token)
    if session is None or session.world_id != world_id or session.ending is not None:
        raise Refused(Close.BAD_TICKET, "the session was not kept: start again")
    session.taken_up(waker(wake), video=codec is Codec.H264)
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
    if not await asyncio.to_thread(live.playable, here.store, [world_id]):
        raise NotPublished(world_id)


class Bell:
    """Wakes a loop's coroutines from other threads: all who get a frame of a tick by one call into the loop.

    One call for each would wake the loop's thread while the tick's still works, and both would fight for the
    interpreter.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._lock = Lock()
        self._rung: deque[asyncio.Event] = deque()

    def ring(self, wake: asyncio.Event) -> None:
        """Set ``wake`` soon; from any thread."""
        with self._lock:
            self._rung.append(wake)
            if len(self._rung) > 1:
                return  # the loop has been called, and has not come yet
        loop = self._loop()
        with suppress(RuntimeError):  # the loop has closed: nobody is left to wake
            if loop is not None:
                loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        with self._lock:
            rung, self._rung = self._rung, deque()
        for wake in rung:
            wake.set()


_bells: WeakKeyDictionary[asyncio.AbstractEventLoop, Bell] = WeakKeyDictionary()


def waker(wake: asyncio.Event) -> Callable[[], None]:
    """What sets ``wake`` in this loop from any thread."""
    loop = asyncio.get_running_loop()
    bell = _bells.setdefault(loop, Bell(loop))
    return lambda: bell.ring(wake)


class Screen:
    """How one socket's pictures are sent: encoded, where the tick has not done it, on the arena's threads."""

    def __init__(self, arena: Arena, codec: Codec = Codec.JPEG) -> None:
        self._arena = arena
        self._stream = H264() if codec is Codec.H264 else None

    def want_key(self) -> None:
        """The client could not decode the stream: begin it anew."""
        if self._stream is not None:
            self._stream.want_key()

    async def ready(self, frame: Frame) -> Frame:
        """The frame with a picture as this socket sends it."""
        picture = frame.picture
        if picture is None or (self._stream is None and frame.jpeg):
            return frame
        loop, began = asyncio.get_running_loop(), time.monotonic()
        if self._stream is None:  # until the arena notices that somebody watches
            return replace(frame, jpeg=await loop.run_in_executor(self._arena.encoders, encode_jpeg, picture))
        video = await loop.run_in_executor(self._arena.encoders, self._stream.encode, picture)
        return replace(frame, video=video, encode_ms=(time.monotonic() - began) * 1000)


def greeting(arena: Arena, **more: str) -> dict[str, object]:
    """The first message of a socket."""
    return {
        "type": "hello",
        "frame": FRAME,
        "fps": FPS,
        "protocol": VERSION,
        "sample_rate": SAMPLE_RATE,
        "ready": arena.ready,
        **more,
    }


async def converse(socket: WebSocket, session: Session, arena: Arena, wake: asyncio.Event) -> bool:
    """Move frames out and keys in until either side ends it. True where the connection was lost."""
    codec = Codec.H264 if session.video else Codec.JPEG
    hello = greeting(arena, resume=session.token, watch=session.watch_token, video=codec)
    if session.video:
        hello["codec"] = VIDEO_CODEC
    return await move(socket, session, session.own, wake, hello, Screen(arena, codec), playing=True)


async def move(
    socket: WebSocket,
    session: Session,
    slot: Slot,
    wake: asyncio.Event,
    hello: dict[str, object],
    screen: Screen,
    *,
    playing: bool = False,
) -> bool:
    """Move a session's frames to a socket; what comes back counts as keys where it is the player's."""
    # listening first: who has left already is known by that, even where the greeting cannot be sent
    receiving = asyncio.create_task(receive(socket, session, slot, screen, playing=playing))
    tasks = {receiving}
    try:
        await socket.send_json(hello)
        tasks.add(asyncio.create_task(send(socket, session, slot, screen, wake)))
        finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ending = finished.pop().result()
        if ending is not None:
            await close(socket, ending)
            return False
    except (WebSocketDisconnect, RuntimeError) as error:
        # Starlette reports a lost client by either, depending on who noticed
        return not (isinstance(error, Left) or await has_left(receiving))
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


async def send(
    socket: WebSocket, session: Session, slot: Slot, screen: Screen, wake: asyncio.Event
) -> Ending | None:
    """Send the newest frame whenever the client may have one more, the place in the queue, and waits."""
    position, holds = 0, session.holds
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
        if holds != session.holds:
            holds = session.holds
            await socket.send_json({"type": "held"})
        frame = slot.take()
        if frame is not None:
            ready = await screen.ready(frame)
            if session.ending is None:  # else the guard may have taken back what was being encoded
                data = ready.packed()
                await socket.send_bytes(data)
                session.sent += len(data)
            else:
                wake.set()


async def receive(
    socket: WebSocket, session: Session, slot: Slot, screen: Screen, *, playing: bool
) -> Ending | None:
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
        elif isinstance(message, KeyFrame):
            screen.want_key()
        else:
            session.press(message)


async def close(socket: WebSocket, ending: Ending) -> None:
    """Close with a code and a reason (at most 123 bytes by RFC 6455)."""
    with suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(int(ending.code), ending.reason.encode()[:123].decode(errors="ignore"))


def heed_policy(here: Services, known: int | None) -> int | None:
    """Let the guard take the policy anew where it has changed since ``known``; what is known now."""
    try:
        newest = live.newest_policy_event(here.store)
        if here.guarded is not None and known not in (None, newest):
            here.guarded.renew()
    except Exception:  # the store is asked again, and if it stays away :func:`watch` ends all play
        log.exception("the store does not say which policy is in force")
        return known
    return newest


async def watch(here: Services) -> None:
    """End the sessions of worlds that may no longer be played. Runs as long as the server.

    Whichever process took a world down: the log of changes is asked, and the worlds only when it has grown.
    The log of policies is asked too, so that the guard obeys what another process made live.
    """
    newest, asked = -1, time.monotonic()
    known: set[str] = set()
    policy: int | None = None
    while True:
        await asyncio.sleep(WATCH_EVERY)
        sessions = here.arena.members()
        if sessions or policy is None:  # asked before the guard reads it for the first time
            policy = await asyncio.to_thread(heed_policy, here, policy)
        if not sessions:
            asked = time.monotonic()
            continue
        try:
            event = await asyncio.to_thread(live.newest_event, here.store)
            versions = {session.version for session in sessions}
            if event != newest or not versions <= known:
                known = await asyncio.to_thread(live.still_playable, here.store, versions)
                newest = event
            asked = time.monotonic()
        except Exception:
            log.exception("the store does not say which worlds may be played")
            if time.monotonic() - asked < BLIND_FOR:
                continue
            known = set()
        for session in sessions:
            if session.version not in known:
                session.end(Ending(Close.NOT_PUBLISHED, "this world was withdrawn", blank=True))
