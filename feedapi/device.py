"""Play on the player's own device: signed bundles of published worlds, and what comes back from them.

Local play is beyond the server's guard: no detector sees what is shown there. So it needs the policy's
consent (``live.on_device``), a world on which no rule fired, and a review that was played by the very model
that the device gets. Every start asks here for a short-lived ticket first, so a take-down, a new version or
another policy holds from the next start on. With a bundle go hashes of views that were flagged before
(:mod:`moderation.live.flagged`): the page compares each frame with them, goes dark, and reports.

A bundle is ``FPB1``, the length of its header (uint32, little-endian), the header (JSON), its Ed25519
signature (64 bytes), and the world's tensors, whose SHA-256 the header has.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import secrets
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock, Thread
from typing import Annotated, Any, Literal, cast

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from feedapi import services
from feedapi.device_pack import folder
from feedapi.headers import HEADERS
from feedapi.pages import modules, templates
from feedapi.problems import Problem, responses
from feedapi.reel import PLAYER
from feedapi.sealed import opened, sealed
from feedapi.services import Services
from moderation.on_device import refusal
from moderation.secret import derived, load_secret
from moderation.store import NotPublished, PublishedWorld, Store, live
from moderation.store.live import LiveReport, ReportKind
from worldmodel.constants import ACTIONS, EVENTS
from worldmodel.runtime import FILES, LIBRARY_VERSION, read_file

MAGIC = b"FPB1"
FORMAT = 1
TICKET_LIFETIME = 60.0
"""Seconds between asking to play and fetching the bundle."""
REPORT_LIFETIME = 6 * 3600.0
"""Seconds for which a session on a device may report."""
MOST_STEPS = 30_000
"""Of one life: more cannot be reported, and the page begins anew."""
SAME_VIEW = 32
"""Bits of 480 by which a frame and a flagged view may differ; stricter than within one place, since here
every frame is compared with every view."""
TRY_AGAIN = 600.0
"""Seconds after which a version that could not be packed is tried again."""
RETRY = 3
"""Seconds after which a client asks again for what is being packed."""

ISOLATED = {
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'"
    ),
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""WebAssembly may be compiled, and its threads share memory."""

log = logging.getLogger(__name__)
api = APIRouter(prefix="/v1", tags=["feed"])
router = APIRouter(include_in_schema=False)


class DeviceStart(BaseModel):
    """The right to fetch a bundle, once, until it expires."""

    session: str
    bundle: str
    """Path and query."""
    expires: datetime


class DeviceReport(BaseModel):
    """A moment of play on a device, and all that leads there again."""

    model_config = ConfigDict(extra="forbid")

    ticket: Annotated[str, Field(max_length=1024)]
    """As in the bundle's header."""
    kind: Literal["flagged", "player"]
    """The page knew the view, or the player reports it."""
    life: Annotated[int, Field(ge=0, le=100_000)] = 0
    """How often the world was started again; the seed counts up with it."""
    actions: Annotated[str, Field(max_length=44_000)]
    """Base64: a byte per step."""
    events: Annotated[str, Field(max_length=84_000)]
    """Base64: per step, bits of what happened (uint16, little-endian)."""
    clips: Annotated[str, Field(max_length=84_000)]
    """Base64: per step, which voice began (int16, little-endian; -1: none)."""


class Filed(BaseModel):
    """What became of a report."""

    kept: bool
    """False where this session has reported this moment before."""


@dataclass(frozen=True)
class Packed:
    """What of a version the device needs, as it was packed."""

    about: dict[str, Any]
    data: Path
    model: str
    """SHA-256 of the model's card."""
    graph: str
    """SHA-256 of the graph's file."""


class Packer:
    """Has versions packed by a child process, one at a time. Threads may share it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = Lock()
        self._busy = False
        self._failed: dict[str, tuple[str, float]] = {}
        """By version: why, and when on the monotonic clock."""

    def graph(self) -> Path:
        """The model's graph, where it has been written."""
        return folder(self._home) / "step.onnx"

    def packed(self, version: str) -> Packed | None:
        """The version, or None while it is being packed: ask again. Raises Problem where that failed."""
        place = folder(self._home)
        about, model = place / f"{version}.json", place / "model.json"
        if about.exists() and model.exists():
            said = json.loads(model.read_bytes())
            return Packed(
                json.loads(about.read_bytes()), place / f"{version}.bin", said["model"], said["sha256"]
            )
        with self._lock:
            why, at = self._failed.get(version, ("", 0.0))
            if why and time.monotonic() - at < TRY_AGAIN:
                raise Problem("not-on-device", f"it could not be packed: {why}")
            if not self._busy:
                self._busy = True
                Thread(target=self._pack, args=[version], name="device-pack", daemon=True).start()
        return None

    def _pack(self, version: str) -> None:
        command = [sys.executable, "-m", "feedapi.device_pack", str(self._home), version]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603
        with self._lock:
            self._busy = False
            if done.returncode != 0:
                lines = done.stderr.strip().splitlines()
                why = lines[-1] if lines else f"exit code {done.returncode}"
                self._failed[version] = (why, time.monotonic())
                log.error("version %s could not be packed for devices: %s", version[:12], done.stderr)


class Device:
    """What the routes share; one per application."""

    def __init__(self, home: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        secret = load_secret(home)
        self.packer = Packer(home)
        self._tickets = derived(secret, "device tickets")
        self._key = Ed25519PrivateKey.from_private_bytes(derived(secret, "device bundles"))
        self._used: dict[str, float] = {}
        self._lock = Lock()

    @property
    def public_key(self) -> str:
        """Raw, in base64."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def ticket(self, purpose: str, world: PublishedWorld, session: str, lifetime: float) -> str:
        """A sealed note for one purpose."""
        return sealed(self._tickets, [purpose, world.id, world.version, session, time.time() + lifetime])

    def opened(self, purpose: str, world_id: str, ticket: str) -> tuple[str, str]:
        """Version and session of a ticket that is good for this. Raises Problem."""
        note = opened(self._tickets, ticket)
        if note is None or note[:2] != [purpose, world_id] or note[4] < time.time():
            raise Problem("bad-ticket", "the ticket is not genuine, for something else, or too old")
        return str(note[2]), str(note[3])

    def use_up(self, session: str) -> None:
        """Raises Problem the second time."""
        with self._lock:
            now = time.time()
            self._used = {one: until for one, until in self._used.items() if until >= now}
            if session in self._used:
                raise Problem("bad-ticket", "the ticket was used before")
            self._used[session] = now + TICKET_LIFETIME

    def bundle(self, header: dict[str, Any], data: bytes) -> bytes:
        """Signed."""
        text = json.dumps(header, separators=(",", ":")).encode()
        return MAGIC + struct.pack("<I", len(text)) + text + self._key.sign(text) + data


def of(connection: HTTPConnection) -> Device:
    """What is behind a request; made with the first one, since few installations play on devices."""
    state = connection.app.state
    if not hasattr(state, "device"):
        state.device = Device(services.of(connection).store.home)
    return cast("Device", state.device)


# -- the API ------------------------------------------------------------------------------------------


@api.post(
    "/worlds/{world_id}/device",
    status_code=201,
    responses=responses("no-such-world", "not-on-device", "preparing"),
)
def start_on_device(request: Request, response: Response, world_id: str) -> DeviceStart:
    """A ticket for a bundle to play a published world on the device.

    404 for any other world; 403 where the policy forbids it, a rule fired on the world, or another model
    reviewed it; 503 with Retry-After while it is being packed.
    """
    here, device = services.of(request), of(request)
    world = _playable(here, world_id)
    _packed(here.store, device.packer, world)
    session = secrets.token_urlsafe(12)
    ticket = device.ticket("bundle", world, session, TICKET_LIFETIME)
    response.headers["Cache-Control"] = "no-store"
    return DeviceStart(
        session=session,
        bundle=f"/v1/worlds/{world_id}/device/bundle?ticket={ticket}",
        expires=datetime.fromtimestamp(time.time() + TICKET_LIFETIME, UTC),
    )


@api.get(
    "/worlds/{world_id}/device/bundle",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The signed bundle"},
        **responses("no-such-world", "not-on-device", "bad-ticket", "preparing"),
    },
)
def read_bundle(request: Request, world_id: str, ticket: Annotated[str, Query(max_length=1024)]) -> Response:
    """The bundle of a world, as it is published at this moment; a ticket is good once."""
    from moderation.live.flagged import flagged_views

    here, device = services.of(request), of(request)
    world = _playable(here, world_id)
    version, session = device.opened("bundle", world_id, ticket)
    if version != world.version:
        raise Problem("bad-ticket", "there is a new version of this world: ask again")
    packed = _packed(here.store, device.packer, world)
    device.use_up(session)
    seed = secrets.randbits(31)
    about = {name: value for name, value in packed.about.items() if name != "sha256"}
    header = {
        "format": FORMAT,
        "world": world.id,
        "version": world.version,
        "session": session,
        "issued": datetime.now(UTC).isoformat(),
        "model": packed.model,
        "graph": {"path": f"/device/graphs/{packed.graph}.onnx", "sha256": packed.graph},
        "data": packed.about["sha256"],
        "about": about | {"seed": str(seed)},
        "guard": {
            "same": SAME_VIEW,
            "hashes": [base64.b64encode(one).decode() for one in flagged_views(here.store, world.version)],
        },
        "report": sealed_report(device, world, session, seed),
    }
    body = device.bundle(header, packed.data.read_bytes())
    return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/octet-stream")


def sealed_report(device: Device, world: PublishedWorld, session: str, seed: int) -> str:
    """The ticket with which a session on a device may report."""
    return device.ticket("report", world, f"{session}:{seed}", REPORT_LIFETIME)


@api.post(
    "/worlds/{world_id}/device/reports", responses=responses("bad-ticket", "no-such-world", "too-large")
)
def add_device_report(request: Request, world_id: str, report: DeviceReport) -> Filed:
    """Keep a moment of play on a device, with the playthrough that leads there for bots and people."""
    here, device = services.of(request), of(request)
    version, said = device.opened("report", world_id, report.ticket)
    session, _, seed = said.rpartition(":")
    actions, events, clips = _played(report)
    from bots.recording import Playthrough

    packed = device.packer.packed(version)
    if packed is None:
        raise Problem("bad-ticket", "the bundle that this session played is gone")
    play = Playthrough(
        world=packed.about["key"],
        model=packed.model,
        arm="live",
        player=PLAYER,
        seed=int(seed) + report.life,
        spawn=0,
        actions=actions,
        events=events,
        clips=clips,
    )
    why = {
        "flagged": "a view that was flagged before was met on a player's device",
        "player": "a player reported it from their own device, where nothing watches",
    }[report.kind]
    with here.store.writing() as tx:
        exploration = live.add_play(tx, version, "neural", play)
        told = LiveReport(version, ReportKind.PLAYER, session, play.id, len(actions), reasons=(why,))
        return Filed(kept=live.add_report(tx, exploration, told))


def _played(report: DeviceReport) -> tuple[Any, Any, Any]:
    """Actions (T,), events (T, EVENTS) and clips (T,). Raises Problem."""
    try:
        actions = np.frombuffer(base64.b64decode(report.actions, validate=True), np.uint8)
        bits = np.frombuffer(base64.b64decode(report.events, validate=True), "<u2")
        clips = np.frombuffer(base64.b64decode(report.clips, validate=True), "<i2").astype(np.int16)
    except ValueError as error:
        raise Problem("invalid", f"actions, events or clips: {error}") from None
    if not 0 < len(actions) <= MOST_STEPS or not len(actions) == len(bits) == len(clips):
        raise Problem("invalid", f"actions, events and clips must be of the same 1 to {MOST_STEPS} steps")
    if int(actions.max()) >= ACTIONS:
        raise Problem("invalid", f"an action is a number below {ACTIONS}")
    events = ((bits[:, None] >> np.arange(EVENTS)) & 1).astype(np.bool_)
    return actions, events, clips


def _playable(here: Services, world_id: str) -> PublishedWorld:
    """Raises NotPublished, also where the world was made from one that was taken down."""
    world = here.store.published_world(world_id)
    if not live.playable(here.store, [world_id]):
        raise NotPublished(world_id)
    return world


def _packed(store: Store, packer: Packer, world: PublishedWorld) -> Packed:
    """Raises Problem."""
    why = refusal(store, world)
    if why is not None:
        raise Problem("not-on-device", why)
    packed = packer.packed(world.version)
    if packed is None:
        raise Problem("preparing", "this world is being packed for devices", {"Retry-After": str(RETRY)})
    explored = store.version(world.version).exploration
    assert explored is not None
    if store.exploration(explored).model_sha256 != packed.model:
        raise Problem("not-on-device", "bots played this world with other weights than devices get")
    return packed


# -- what the page needs ------------------------------------------------------------------------------


@router.get("/worlds/{world_id}/device", response_class=HTMLResponse)
def page(request: Request, world_id: str) -> Response:
    """One world, played on the device, or streamed where that cannot be."""
    store = services.of(request).store
    try:
        world = store.published_world(world_id)
    except NotPublished:
        return templates.TemplateResponse(request, "missing.html", {}, status_code=404)
    context = {
        "world": world,
        "key": of(request).public_key,
        "runtime": LIBRARY_VERSION,
        "modules": modules("device"),
    }
    return templates.TemplateResponse(request, "device.html", context, headers=ISOLATED)


@router.get("/device/graphs/{name}.onnx")
def graph(request: Request, name: str) -> Response:
    """The world model's step; the same for every world, and no secret."""
    path = of(request).packer.graph()
    if not path.exists() or name != _digest(path, path.stat().st_mtime_ns):
        raise Problem("not-found", "there is no such graph")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(path.read_bytes(), headers=headers, media_type="application/octet-stream")


@lru_cache(maxsize=4)
def _digest(path: Path, _: int) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@router.get("/device/runtime/{version}/{name}")
def runtime(version: str, name: str) -> Response:
    """ONNX Runtime for the browser, from the cache of models."""
    if version != LIBRARY_VERSION or name not in FILES:
        raise Problem("not-found", "there is no such file")
    kind = "application/wasm" if name.endswith(".wasm") else "text/javascript"
    headers = {"Cache-Control": "public, max-age=31536000, immutable", **ISOLATED}
    return Response(_runtime(name), headers=headers, media_type=kind)


@cache
def _runtime(name: str) -> bytes:
    return read_file(name)
