"""The pages of creators: signing in, making a world, and following what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from feedapi import services
from feedapi.evidence import of_version
from feedapi.identity import COOKIE
from feedapi.lineage import changes
from feedapi.pages import templates
from feedapi.starting import samples, steps
from moderation import origins, submitting
from moderation.accounts import NotAllowed, Principal, check_sign_in, csrf_token
from moderation.states import WITHDRAWABLE, WORKING, WorldState
from moderation.store import Event, NotFound, NotPublished, StoredDecision, Version, cases
from moderation.waiting import outlook

router = APIRouter(include_in_schema=False)

ROAD = (
    (WorldState.SUBMITTED, "Received"),
    (WorldState.SCREENING, "Looking at media"),
    (WorldState.EXPLORING, "Bots are playing"),
    (WorldState.SCANNING, "Scanning what they saw"),
    (WorldState.DECIDING, "Deciding"),
)
"""The working states in order, in words."""
WORDS = {
    WorldState.PUBLISHED: "Published: everybody can play it.",
    WorldState.CLEARED: "Cleared.",
    WorldState.NEEDS_REVIEW: "Waiting for a person to look at it.",
    WorldState.IN_REVIEW: "A person is looking at it.",
    WorldState.ESCALATED: "A senior moderator will look at it.",
    WorldState.AWAITING_SECOND_APPROVAL: "A second person must agree with the decision.",
    WorldState.REJECTED: "Rejected.",
    WorldState.CHANGES_REQUESTED: "Something must be changed before it can be published.",
    WorldState.INCONCLUSIVE: "The bots saw too little to decide.",
    WorldState.SUSPENDED: "Suspended while reports are looked at.",
    WorldState.TAKEN_DOWN: "Taken down.",
    WorldState.APPEALED: "Your appeal is being looked at by another person.",
    WorldState.UPHELD: "The appeal was looked at, and the decision stands.",
    WorldState.OVERTURNED: "The appeal was right.",
    WorldState.WITHDRAWN: "Withdrawn.",
    WorldState.QUARANTINED: "Not available.",
}


@dataclass(frozen=True)
class Slider:
    """One mechanic that can be set by hand."""

    name: str
    """As the spec has it."""
    label: str
    low: float
    high: float
    step: float
    ends: tuple[str, str]
    """What the lowest and the highest mean."""


GROUPS: tuple[tuple[str, tuple[Slider, ...]], ...] = (
    (
        "How it moves",
        (
            Slider("gravity", "Gravity", 0, 3, 0.05, ("floating", "heavy")),
            Slider("jump", "Jump", 0, 2, 0.05, ("none", "very high")),
            Slider("speed", "Speed", 0, 2, 0.05, ("slow", "fast")),
            Slider("friction", "Grip", 0, 1, 0.05, ("ice", "full")),
        ),
    ),
    (
        "What is in it",
        (
            Slider("hazards", "Hazards", 0, 1, 0.05, ("none", "many")),
            Slider("collectibles", "Coins", 0, 1, 0.05, ("none", "many")),
            Slider("water", "Water", 0, 1, 0.05, ("none", "many pools")),
            Slider("ice", "Icy ground", 0, 1, 0.05, ("none", "everywhere")),
            Slider("platforms", "Moving platforms", 0, 1, 0.05, ("none", "many")),
        ),
    ),
    (
        "Light and air",
        (
            Slider("darkness", "Darkness", 0, 1, 0.05, ("daylight", "lantern only")),
            Slider("wind", "Wind", -1, 1, 0.05, ("gale left", "gale right")),
        ),
    ),
)
"""Mechanics, as the form groups them."""
WISHES = (
    Slider("size", "Length", 0, 1, 0.05, ("short", "long")),
    Slider("density", "Obstacles", 0, 1, 0.05, ("open", "crowded")),
    Slider("rooms", "Rooms", 0, 1, 0.05, ("one stretch", "many")),
    Slider("verticality", "Up and down", 0, 1, 0.05, ("flat", "steep")),
    Slider("branches", "Side ways", 0, 1, 0.05, ("none", "many")),
)


SEALED = frozenset({WorldState.QUARANTINED, WorldState.ERASED})
"""Nothing can be made from what is in these states."""


class SignInFirst(Exception):
    """Nobody is signed in; the page that was wanted."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


def sign_in_first(_: Request, error: Exception) -> Response:
    """Leads to the sign-in page, which leads back."""
    assert isinstance(error, SignInFirst)
    return RedirectResponse(f"/sign-in?next={quote(error.wanted)}", 303)


def visitor(request: Request) -> Principal:
    """Who is signed in on this browser. Raises SignInFirst."""
    try:
        return check_sign_in(services.of(request).store, request.cookies.get(COOKIE, ""))
    except NotAllowed:
        raise SignInFirst(request.url.path) from None


Visitor = Annotated[Principal, Depends(visitor)]


def render(request: Request, who: Principal, template: str, status: int = 200, **context: object) -> Response:
    """A page for somebody who is signed in."""
    csrf = csrf_token(request.cookies.get(COOKIE, ""))
    store = services.of(request).store
    given: dict[str, object] = {"who": who, "csrf": csrf, **context}
    if "begin" not in given:
        begin = steps(store)
        given = {"begin": begin, "idle": bool(begin) and not store.queue.workers(), **given}
    return templates.TemplateResponse(request, template, given, status_code=status)


@router.get("/sign-in", response_class=HTMLResponse)
def sign_in_page(request: Request, wanted: Annotated[str, Query(alias="next")] = "/studio") -> Response:
    """Asks for an API key."""
    local = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return templates.TemplateResponse(request, "sign_in.html", {"wanted": wanted if local else "/studio"})


@router.get("/studio", response_class=HTMLResponse)
def mine(request: Request, who: Visitor) -> Response:
    """One's worlds, newest first."""
    versions = services.of(request).store.versions_by(who.account)
    return render(request, who, "studio.html", versions=versions, words=WORDS, road=dict(ROAD))


@router.get("/studio/new", response_class=HTMLResponse)
def new(
    request: Request,
    who: Visitor,
    remix: str | None = None,
    before: Annotated[str | None, Query(alias="from")] = None,
) -> Response:
    """Where a world is made: from nothing, from a published one, or from a version of one's own."""
    store = services.of(request).store
    try:
        parent = None if remix is None else store.published_world(remix)
        again = None if before is None else submitting.owned(store, who.account, before)
    except (NotPublished, NotFound):
        return render(request, who, "missing.html", status=404)
    lineage = (
        []
        if parent is None
        else origins.forebears(store, origins.beginning(store, who.account, parent.version))
    )
    return render(
        request,
        who,
        "create.html",
        begin=(),
        groups=GROUPS,
        wishes=WISHES,
        parent=parent,
        lineage=lineage,
        again=again,
        base=parent.version if parent else again.id if again else None,
    )


@router.get("/studio/samples", response_class=HTMLResponse)
def sample_page(request: Request, who: Visitor) -> Response:
    """The worlds that come with the package, each one click away from a review."""
    return render(request, who, "samples.html", samples=samples(services.of(request).store))


@router.get("/studio/{version}", response_class=HTMLResponse)
def one(request: Request, who: Visitor, version: str) -> Response:
    """A version of one's own: where it stands, what was decided and why."""
    store = services.of(request).store
    try:
        found = submitting.owned(store, who.account, version)
    except NotFound:
        return render(request, who, "missing.html", status=404)
    stored = None if found.state in WORKING else submitting.decision_of(store, found)
    with store.reading() as connection:
        ruling = cases.standing_ruling(connection, version)
    beside, history = origins.compared(store, found), store.history(version)
    return render(
        request,
        who,
        "version.html",
        begin=(),
        version=found,
        history=history,
        words=WORDS,
        road=_road(found, history),
        stored=stored,
        clips=_clips(found, stored),
        ruling=ruling,
        outlook=outlook(store, found),
        forebears=origins.forebears(store, found),
        compared=None if beside is None else beside.called,
        changes=() if beside is None else changes(beside.before, beside.after),
        changeable=found.state not in SEALED,
        working=found.state in WORKING,
        withdrawable=found.state in WITHDRAWABLE,
        appealable=found.state in {WorldState.REJECTED, WorldState.TAKEN_DOWN},
    )


def _road(version: Version, history: Sequence[Event]) -> list[tuple[str, str, str]]:
    """(state, words, ``done``, ``now`` or ``next``) of each working state."""
    passed = {event.to_state for event in history}
    if version.state not in WORKING:
        return [(state, words, "done" if state in passed else "skipped") for state, words in ROAD]
    names = [state for state, _ in ROAD]
    here = names.index(version.state)
    told = ["done"] * here + ["now"] + ["next"] * (len(names) - here - 1)
    return [(state, words, how) for (state, words), how in zip(ROAD, told, strict=True)]


def _clips(version: Version, stored: StoredDecision | None) -> list[dict[str, object]]:
    if stored is None:
        return []
    path = of_version(version.id)
    return [
        {
            "rule": clip.rule,
            "caption": clip.caption,
            "clip": None if clip.clip is None else path(clip.clip),
            "frame": path(clip.frames[0][1]) if clip.frames else None,
        }
        for clip in stored.evidence
    ]
