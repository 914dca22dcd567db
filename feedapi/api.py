"""The JSON API of the feed: published worlds, and tickets to play one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from feedapi import services
from feedapi.arena import ArenaFull
from feedapi.feed import Feed, player_of
from feedapi.identity import somebody
from feedapi.label import label_of
from feedapi.problems import Problem, responses
from feedapi.ranking.snapshot import BadContext, Context
from feedapi.tickets import Player
from moderation.risk import risk_upper
from moderation.spending import check_session
from moderation.store import PublishedWorld

router = APIRouter(prefix="/v1", tags=["feed"])
AFTER = r"^\d{1,12}(\.\d{1,9})?~[0-9a-f]{64}$"
"""When a world was published, and its version."""


class WorldItem(BaseModel):
    """One world of the feed."""

    id: str
    version: str
    title: str
    prompt: str
    remix_of: str | None
    published_at: datetime
    bot_steps: int
    sample_episodes: int
    risk_upper: float | None
    """Greatest share of sessions that could still show a violation, at 95 % for all kinds; null: no bound."""
    label: str

    @classmethod
    def of(cls, world: PublishedWorld) -> WorldItem:
        return cls(
            id=world.id,
            version=world.version,
            title=world.title,
            prompt=world.prompt,
            remix_of=world.remix_of,
            published_at=datetime.fromtimestamp(world.published_at, UTC),
            bot_steps=world.coverage.search_steps + world.coverage.sample_steps,
            sample_episodes=world.coverage.sample_episodes,
            risk_upper=risk_upper(world.bounds, world.found),
            label=label_of(world.coverage, world.bounds, world.found).short,
        )


class WorldList(BaseModel):
    """A page of published worlds."""

    items: list[WorldItem]
    next: str | None
    """``after`` of the next page; null at the end."""


class Opening(BaseModel):
    """How somebody came to a world."""

    model_config = ConfigDict(extra="forbid")

    context: Annotated[str | None, Field(max_length=512)] = None
    """Of the item of the feed, unchanged; null: by a link."""


class Ticket(BaseModel):
    """The right to open one socket to one world, once, until it expires."""

    session: str
    ticket: str
    expires: datetime
    socket: str
    """Path and query of the WebSocket."""


@router.get("/worlds", responses=responses())
def list_worlds(
    request: Request,
    after: Annotated[str | None, Query(pattern=AFTER, description="`next` of a page.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> WorldList:
    """Published worlds, newest first."""
    place = None if after is None else after.split("~")
    begin = None if place is None else (float(place[0]), place[1])
    found = services.of(request).store.published(begin, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    return WorldList(
        items=[WorldItem.of(world) for world in found[:limit]],
        next=None if last is None else f"{last.published_at!r}~{last.version}",
    )


@router.get("/worlds/{world_id}", responses=responses("no-such-world"))
def get_world(request: Request, world_id: str) -> WorldItem:
    """One published world; any other is 404."""
    return WorldItem.of(services.of(request).store.published_world(world_id))


@router.post(
    "/worlds/{world_id}/sessions",
    status_code=201,
    responses=responses("no-such-world", "bad-context", "over-budget", "full"),
)
def open_session(
    request: Request,
    response: Response,
    background: BackgroundTasks,
    world_id: str,
    opening: Opening | None = None,
) -> Ticket:
    """A ticket to play a published world; 404 for any other, 503 with Retry-After when it is full.

    Who comes from the feed sends the item's context: the ranking then chooses where they start, and learns
    from how it went.
    """
    here = services.of(request)
    world = here.store.published_world(world_id)
    shown = _shown(here.feed, opening)
    with here.store.reading() as connection:
        check_session(connection, world.creator)
    if here.arena.full:
        raise ArenaFull("all places are taken, and as many people wait as may")
    here.arena.warm_up()
    background.add_task(here.make_ready, world_id)
    ticket, grant = here.office.issue(world_id, _player(request, world), shown)
    socket = f"/v1/worlds/{world_id}/play?ticket={ticket}"
    response.headers["Cache-Control"] = "no-store"
    return Ticket(
        session=grant.session,
        ticket=ticket,
        expires=datetime.fromtimestamp(grant.expires, UTC),
        socket=socket,
    )


def _shown(feed: Feed, opening: Opening | None) -> Context | None:
    if opening is None or opening.context is None:
        return None
    try:
        return feed.shown(opening.context)
    except BadContext as error:
        raise Problem("bad-context", str(error)) from None


def _player(request: Request, world: PublishedWorld) -> Player:
    """Whoever plays: the world's own creator, a program with somebody's key, or a person."""
    name, here = player_of(request), services.of(request)
    who = somebody(request)
    own = who is not None and who.account == world.creator
    if own or here.store.feed.is_creator(world.creator, name):
        return Player(name, "creator")
    return Player(name, "bot" if "authorization" in request.headers else "person")
