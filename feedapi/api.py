"""The JSON API of the feed: published worlds, and tickets to play one."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, BackgroundTasks, Request, Response
from pydantic import BaseModel

from feedapi import services
from feedapi.arena import ArenaFull
from feedapi.label import label_of
from feedapi.problems import responses
from moderation.risk import risk_upper
from moderation.store import PublishedWorld

router = APIRouter(prefix="/v1", tags=["feed"])


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
    """The feed."""

    items: list[WorldItem]


class Ticket(BaseModel):
    """The right to open one socket to one world, once, until it expires."""

    session: str
    ticket: str
    expires: datetime
    socket: str
    """Path and query of the WebSocket."""


@router.get("/worlds", responses=responses())
def list_worlds(request: Request) -> WorldList:
    """Every published world, newest first."""
    return WorldList(items=[WorldItem.of(world) for world in services.of(request).store.published()])


@router.get("/worlds/{world_id}", responses=responses("no-such-world"))
def get_world(request: Request, world_id: str) -> WorldItem:
    """One published world; any other is 404."""
    return WorldItem.of(services.of(request).store.published_world(world_id))


@router.post("/worlds/{world_id}/sessions", status_code=201, responses=responses("no-such-world", "full"))
def open_session(request: Request, response: Response, background: BackgroundTasks, world_id: str) -> Ticket:
    """A ticket to play a published world; 404 for any other, 503 with Retry-After when it is full."""
    here = services.of(request)
    here.store.published_world(world_id)
    if here.arena.full:
        raise ArenaFull("all places are taken, and as many people wait as may")
    here.arena.warm_up()
    background.add_task(here.make_ready, world_id)
    ticket, grant = here.office.issue(world_id)
    socket = f"/v1/worlds/{world_id}/play?ticket={ticket}"
    response.headers["Cache-Control"] = "no-store"
    return Ticket(
        session=grant.session,
        ticket=ticket,
        expires=datetime.fromtimestamp(grant.expires, UTC),
        socket=socket,
    )
