"""Whoever reviews a case plays on from a moment of a clip, and files what they find.

Beside the feed's arena there is one :class:`Desk` per world model, for moderators alone: it takes no player's
place, and no guard ends it, since what is forbidden is what is looked for. Whoever may play there has a
:class:`Takeover`, given by a request that proves who they are; its token is all that the socket asks for. The
tick thread of the desk owns the model; filing regenerates playthroughs in another thread, with its own model.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response, WebSocket
from pydantic import BaseModel, Field

from feedapi import services
from feedapi.arena import Arena, ArenaFull
from feedapi.cases import CaseId, find_case
from feedapi.evidence import of_case, sent
from feedapi.identity import Moderator
from feedapi.once import Key
from feedapi.play import close, converse, waker
from feedapi.problems import Problem, responses
from feedapi.session import Ending, Session
from feedapi.wire import Close
from moderation.cases.decide import BadRuling
from moderation.store import Quarantined, accounts, cases
from worldmodel.constants import FPS

if TYPE_CHECKING:
    from bots.recording import Playthrough
    from feedapi.reel import Reel
    from moderation.store import Store
    from moderation.store.cases import Case
    from moderation.store.sightings import Sighting
    from worldmodel.compiled import CompiledWorld
    from worldmodel.protocol import WorldModel

router = APIRouter(prefix="/v1", tags=["moderation"])
PlaythroughId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{24}$")]
PLACES = 4
"""Moderators who may play at once on one model."""
KEPT = 32
"""Take-overs, and clips made on demand, that are remembered: the newest."""
LONGEST = 5 * 60 * FPS
"""Steps of a playthrough in all: filing holds every frame of it."""
TAKEN_OVER = "took over"
"""The action in a case's log."""
_Result = TypeVar("_Result")


@dataclass
class Takeover:
    """One moderator's leave to play on from one moment of one playthrough."""

    account: str
    case: int
    model: str
    """Name of the world model."""
    world_id: str
    world: CompiledWorld
    play: Playthrough
    steps: int
    """From which step it goes on."""
    version: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    session: Session | None = None
    """Of the newest connection: each begins at the moment again."""
    reel: Reel | None = None
    """Since the spawn; None until it is wound to the moment."""

    def played(self, steps: int) -> Playthrough | None:
        """The first ``steps`` of what was played, None where it is not so long."""
        reel, session = self.reel, self.session
        if reel is None or session is None or not 0 < steps <= len(reel.clips):
            return None
        return reel.playthrough(session, self.play.model, steps)


class Desk(Arena):
    """An arena in which every session begins at a moment of a playthrough, and none starts over by itself."""

    def __init__(self, load: Callable[[], WorldModel]) -> None:
        super().__init__(load, PLACES)
        self._begun: dict[Session, Takeover] = {}

    def begin(self, takeover: Takeover, session: Session) -> None:
        """Seat a connection of ``takeover``. Raises ArenaFull."""
        takeover.session, takeover.reel = session, None
        self._begun[session] = takeover
        try:
            self.join(session)
        except ArenaFull:
            del self._begun[session]
            raise

    def leave(self, session: Session) -> None:
        """Free the place; what was played can still be filed."""
        self._begun.pop(session, None)
        super().leave(session)

    def _seat(self, session: Session) -> None:
        super()._seat(session)
        takeover = self._begun.get(session)
        if takeover is not None:
            self._wind(takeover)

    def _wind(self, takeover: Takeover) -> None:
        """Bring the seat that was added last to the moment: its state, its sound, and what was done."""
        import torch

        from bots.recorder import WrongWorld, resume

        assert self._state is not None
        seat = self._seats[-1]
        try:
            resumed = resume(self._playing(), seat.session.world, takeover.play, takeover.steps)
        except (WrongWorld, ValueError) as error:
            seat.session.end(Ending(Close.BAD_TICKET, str(error)))
            return
        row = torch.tensor([len(self._seats) - 1], device=resumed.state.world.device)
        self._state.assign(row, resumed.state)
        done = resumed.playthrough
        for action, events, clip in zip(done.actions, done.events, done.clips, strict=True):
            seat.reel.add(int(action), events, int(clip))
            seat.mixer.step(events, int(clip))
        takeover.reel = seat.reel

    def _restart_rested(self) -> None:
        """A goal stays reached: a new life would lose the moment. What is too long to be filed ends."""
        for seat in self._seats:
            if len(seat.reel.clips) >= LONGEST:
                told = f"{LONGEST // FPS // 60} minutes are the most: file it, or go back to the moment"
                seat.session.end(Ending(Close.TRY_AGAIN_LATER, told))


class Desks:
    """A server process's desks, one per world model, the leaves to play at them, and clips made on demand."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._desks: dict[str, Desk] = {}
        self._leaves: OrderedDict[str, Takeover] = OrderedDict()
        self._clips: OrderedDict[tuple[str, float], bytes] = OrderedDict()
        self._filing = ThreadPoolExecutor(1, "take-over", _one_thread)

    def of(self, model: str) -> Desk:
        """The desk of a world model, which is loaded when somebody plays there."""
        with self._lock:
            if model not in self._desks:
                self._desks[model] = Desk(lambda: _load(model))
            return self._desks[model]

    def give(self, takeover: Takeover) -> str:
        """Remember a leave to play; its token."""
        with self._lock:
            self._leaves[takeover.token] = takeover
            if len(self._leaves) > KEPT:
                self._leaves.popitem(last=False)
            return takeover.token

    def find(self, case: int, token: str) -> Takeover | None:
        """The leave with a token."""
        with self._lock:
            found = self._leaves.get(token)
        return found if found is not None and found.case == case else None

    def file(self, work: Callable[[], _Result]) -> _Result:
        """Do it in the thread that regenerates playthroughs, one after the other."""
        return self._filing.submit(work).result()

    def clip(self, playthrough: str, at: float, make: Callable[[], bytes]) -> bytes:
        """A clip that was made before, or is made now: a browser asks for it in several parts."""
        with self._lock:
            known = self._clips.get((playthrough, at))
        if known is not None:
            return known
        made = self.file(make)
        with self._lock:
            self._clips[playthrough, at] = made
            if len(self._clips) > KEPT:
                self._clips.popitem(last=False)
        return made

    def close(self) -> None:
        """End all play, and finish what is being filed."""
        with self._lock:
            desks = list(self._desks.values())
        for desk in desks:
            desk.close()
        self._filing.shutdown()


class Moment(BaseModel):
    """Where to play on."""

    playthrough: str = Field(pattern=r"^[0-9a-f]{16}$")
    step: int = Field(ge=0, lt=LONGEST)
    """Steps since the spawn."""


class TakeoverItem(BaseModel):
    """Leave to play on."""

    token: str
    socket: str
    """Path of the WebSocket; each connection begins at the moment again."""
    step: int
    longest: int
    """Steps since the spawn at which play ends."""


class Filed(BaseModel):
    """What was found."""

    step: int = Field(ge=1, le=LONGEST)
    """Of the frame that shows it, as the frame says."""
    rule: str = Field(max_length=64)
    """Of the policy, which it breaks."""
    text: str = Field("", max_length=500)
    """What there is to see or to hear."""


class SightingItem(BaseModel):
    """A moment that somebody played to, kept with the replay that leads there."""

    finding: str
    playthrough: str
    rule: str
    text: str
    start: float
    """Seconds into the playthrough."""
    end: float
    clip: str
    """Path of the clip, MP4."""
    reproduced: bool
    """Whether the playthrough went the same way again when it was regenerated."""


_ANSWERS = responses("not-signed-in", "not-allowed", "not-found", "conflict")


@router.get(
    "/cases/{case}/playthroughs/{playthrough}/clip",
    response_class=Response,
    responses=_ANSWERS | {200: {"content": {"video/mp4": {}}, "description": "What was seen then."}},
)
def get_clip(
    request: Request,
    who: Moderator,
    case: CaseId,
    playthrough: PlaythroughId,
    at: Annotated[float, Query(ge=0, le=LONGEST / FPS)],
) -> Response:
    """A clip of any moment of the case's world, made when it is asked for; that one looked is logged."""
    from bots.recorder import WrongWorld
    from moderation.evidence import clip_of
    from moderation.pipeline import world_model

    here = services.of(request)
    version, play, model = _played(here.store, find_case(here.store, who, case), playthrough)
    world = _compiled(here.store, version)
    try:
        data = here.desks.clip(
            playthrough, at, lambda: clip_of(world_model(model), world, play, min(at, play.seconds))
        )
    except WrongWorld as error:
        raise Problem("conflict", str(error)) from None
    with here.store.writing() as tx:
        accounts.note_read(tx.connection, who.account, f"case {case}, playthrough {playthrough}", version)
    return sent(request, data, "video/mp4", "private, no-cache")


@router.post("/cases/{case}/takeovers", status_code=201, responses=_ANSWERS)
def take_over(request: Request, who: Moderator, case: CaseId, said: Moment) -> TakeoverItem:
    """Play on from a moment of a playthrough of the case's world; that one did is logged."""
    here = services.of(request)
    found = find_case(here.store, who, case)
    version, begun, model = _played(here.store, found, said.playthrough)
    if said.step > len(begun.actions):
        raise Problem("invalid", f"step: the playthrough has {len(begun.actions)}")
    world = _compiled(here.store, version)
    takeover = Takeover(who.account, case, model, found.world, world, begun, said.step, version)
    with here.store.writing() as tx:
        cases.add_action(tx.connection, case, who.account, TAKEN_OVER, None, **said.model_dump())
    here.desks.of(takeover.model).warm_up()
    token = here.desks.give(takeover)
    path = f"/v1/cases/{case}/takeovers/{token}/play"
    return TakeoverItem(token=token, socket=path, step=said.step, longest=LONGEST)


@router.websocket("/cases/{case}/takeovers/{token}/play")
async def play(socket: WebSocket, case: int, token: str) -> None:
    """Play with a token from ``POST /v1/cases/{case}/takeovers``."""
    await socket.accept()  # a refused handshake would hide the reason from the browser
    here = services.of(socket)
    takeover = here.desks.find(case, token)
    if takeover is None:
        await close(socket, Ending(Close.BAD_TICKET, "nobody was let in with this token"))
        return
    wake = asyncio.Event()
    start = takeover.play
    session = Session(
        takeover.world_id, takeover.world, start.seed, waker(wake), start.spawn, version=takeover.version
    )
    desk = here.desks.of(takeover.model)
    try:
        desk.begin(takeover, session)
    except ArenaFull as error:
        await close(socket, Ending(Close.TRY_AGAIN_LATER, str(error)))
        return
    try:
        await converse(socket, session, desk, wake)
    finally:
        desk.leave(session)


@router.post("/cases/{case}/takeovers/{token}/findings", status_code=201, responses=_ANSWERS)
def file(
    request: Request, who: Moderator, case: CaseId, token: Token, said: Filed, key: Key = None
) -> SightingItem:
    """File a frame of one's own play as a finding of the case, with the playthrough that leads there."""
    from bots.recorder import WrongWorld
    from moderation.cases import sightings
    from moderation.pipeline import policy_bundle, world_model

    here = services.of(request)
    takeover = here.desks.find(case, token)
    if takeover is None or takeover.account != who.account:
        raise Problem("not-found", "nobody plays with this token: take over again")
    played = takeover.played(said.step)
    if played is None:
        raise Problem("invalid", f"step: {said.step} was not played")
    bundle = policy_bundle(here.store)

    def work() -> Sighting:
        model = takeover.model, world_model(takeover.model)
        words = said.rule, said.text
        return sightings.file(here.store, who, case, played, model, words, bundle, key=key or None)

    try:
        kept = here.desks.file(work)
    except (BadRuling, WrongWorld) as error:
        raise Problem("invalid", str(error)) from None
    except Quarantined as error:
        raise Problem("conflict", str(error)) from None
    shown = kept.evidence
    return SightingItem(
        finding=shown.finding,
        playthrough=played.id,
        rule=shown.rule,
        text=kept.text,
        start=shown.start,
        end=shown.end,
        clip=of_case(case)(shown.clip or ""),
        reproduced=shown.reproduced,
    )


def _played(store: Store, case: Case, playthrough: str) -> tuple[str, Playthrough, str]:
    """Version of a case, one of its playthroughs, and the name of the model that it was played on."""
    stored = store.find_playthrough(playthrough)
    exploration = store.exploration(stored.exploration)
    if exploration.version != case.version:
        raise Problem("not-found", f"case {case.id} shows no playthrough {playthrough}")
    return case.version, stored.playthrough, exploration.model


def _compiled(store: Store, version: str) -> CompiledWorld:
    try:
        return store.compile_version(version)
    except Quarantined as error:
        raise Problem("conflict", str(error)) from None


def _load(model: str) -> WorldModel:
    import torch

    from worldmodel.models import load_model

    torch.set_num_threads(1)  # holds for the thread that calls it: the desk's
    return load_model(model)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)  # another number of threads draws other last bits
