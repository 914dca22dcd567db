"""The feed over HTTP: pages of a ranking, and what players did with what they were shown.

A page is hydrated when it is asked for: the ranking says which worlds and in which order, the database says
which of them may be shown at this moment, and how.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.requests import HTTPConnection

from feedapi.label import label_of
from feedapi.problems import Problem, responses
from feedapi.ranking.rank import fit_for
from feedapi.ranking.snapshot import (
    BadContext,
    BadCursor,
    Context,
    OldCursor,
    Seal,
    Snapshot,
    audience_of,
)
from feedapi.snapshots import Shelf
from moderation.risk import risk_upper
from moderation.secret import derived, load_secret
from moderation.store import Store
from moderation.store.feed import Card, Interaction, Shown, Verdict
from policies.types import Bound, Coverage

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld

PAGE = 20
MOST = 50
"""Items of a page, and at most."""
AT_ONCE = 100
"""Interactions in one request, at most."""
PAGE_KEPT = 1.0
"""Seconds for which a page is sent again as it is; for so long a world that is taken down can still be on it,
though nobody can begin to play it."""
PAGES_KEPT = 512
VERDICTS_KEPT = 4096
MET_KEPT = 4096
"""Accounts with their addresses that are not written again."""
ADULT = 18
"""Rating of a world without one, or with one that is not certain."""


class FeedItem(BaseModel):
    """One world of the feed."""

    id: str
    version: str
    title: str
    prompt: str
    creator: str
    remix_of: str | None
    published_at: datetime
    still: str | None
    """Path of a picture."""
    rating: int
    """Age for which it is fit: 3, 7, 12, 16 or 18."""
    descriptors: list[str]
    """Why not for younger ones, in PEGI's words."""
    bot_steps: int
    sample_episodes: int
    risk_upper: float | None
    """Greatest share of sessions that could still show a violation, at 95 % for all kinds; null: no bound."""
    label: str
    flashing: str
    """What is known of flashing lights."""
    context: str
    """Opaque; send it back with what the player does with this item."""


class FeedPage(BaseModel):
    """A page of one ranking."""

    items: list[FeedItem]
    next: str | None
    """Opaque cursor of the next page; null at the end of the ranking."""


class Happened(BaseModel):
    """What a player did with an item of the feed."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(min_length=8, max_length=64)]
    """Made by the client, a UUID for instance. The same twice is one interaction."""
    kind: Literal["seen", "opened", "played", "remixed", "reported", "hidden"]
    context: Annotated[str, Field(max_length=512)]
    """Of the item, unchanged."""
    session: Annotated[str | None, Field(max_length=64)] = None
    """Which session was ``played``."""


class Batch(BaseModel):
    """Interactions, in any order."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Happened], Field(min_length=1, max_length=AT_ONCE)]


class Refused(BaseModel):
    """An interaction that is not kept."""

    id: str
    detail: str


class Taken(BaseModel):
    """What became of a batch."""

    added: int
    """Interactions that were not known before."""
    refused: list[Refused]


@dataclass(frozen=True)
class Page:
    """As it is sent."""

    body: bytes
    etag: str


class Feed:
    """One per server process. Threads may share it."""

    def __init__(self, store: Store) -> None:
        secret = load_secret(store.home)
        self.shelf = Shelf(store)
        self._store = store
        self._seal = Seal(secret)
        self._pseudonyms = derived(secret, "players")
        self._pages: OrderedDict[tuple[str | None, str, int], tuple[float, Page]] = OrderedDict()
        self._said: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._met: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = Lock()

    def close(self) -> None:
        self.shelf.close()

    def kept(self, cursor: str | None, age: int, limit: int) -> Page | None:
        """A page that was sent a moment ago."""
        kept = self._pages.get((cursor, audience_of(age), limit))
        return kept[1] if kept is not None and kept[0] > time.monotonic() else None

    def page(self, cursor: str | None, age: int, limit: int) -> Page:
        """Raises BadCursor."""
        audience = audience_of(age)
        if cursor is None:
            snapshot, after = self.shelf.current(audience), -1
        else:
            snapshot_id, after = self._seal.open_cursor(cursor, audience)
            snapshot = self.shelf.find(snapshot_id)
        body = to_json(self._hydrated(snapshot, after + 1, age, limit))
        page = Page(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        with self._lock:
            self._pages[cursor, audience, limit] = (time.monotonic() + PAGE_KEPT, page)
            while len(self._pages) > PAGES_KEPT:
                self._pages.popitem(last=False)
        return page

    def forget(self) -> None:
        """Hydrate every page anew from now on, as after a take-down."""
        with self._lock:
            self._pages.clear()

    def take(self, player: str, happened: list[Happened]) -> Taken:
        """Keep what is genuine."""
        kept: list[Interaction] = []
        refused: list[Refused] = []
        for one in happened:
            try:
                shown = self._seal.open_context(one.context)
            except BadContext as error:
                refused.append(Refused(id=one.id, detail=str(error)))
                continue
            item = Shown(shown.snapshot, shown.position, shown.version, shown.propensity)
            kept.append(Interaction(player, one.id, one.kind, item, one.session, time.time()))
        return Taken(added=self._store.feed.add_interactions(kept), refused=refused)

    def spawn(self, world_id: str, world: CompiledWorld) -> tuple[int, float]:
        """Where a player who comes from the feed starts, and with which probability it is there."""
        from worldmodel.bank import MAX_SPAWNS

        return self.shelf.spawn(world_id, min(len(world.spawns), MAX_SPAWNS))

    def shown(self, context: str) -> Context:
        """The item of the feed that somebody wants to play. Raises BadContext."""
        return self._seal.open_context(context)

    def meet(self, account: str, player: str) -> None:
        """Remember that a creator's account was used by a player."""
        with self._lock:
            if (account, player) in self._met:
                return
            self._met[account, player] = None
            if len(self._met) > MET_KEPT:
                self._met.popitem(last=False)
        self._store.feed.know_creator(account, player, time.time())

    def pseudonym(self, address: str) -> str:
        """Who a player is to the ranking.

        By network address: a new token costs nothing, a new address does, so nobody counts often. Of IPv6
        the network counts, since whoever has one address there has 2^64. The address itself is not kept.
        """
        return hmac.digest(self._pseudonyms, _network(address).encode(), "sha256").hex()[:24]

    def _hydrated(self, snapshot: Snapshot, begin: int, age: int, limit: int) -> dict[str, Any]:
        """The next ``limit`` items that may be shown, from place ``begin``."""
        items: list[dict[str, Any]] = []
        place = begin
        while len(items) < limit and place < len(snapshot.items):
            part = range(place, min(place + limit, len(snapshot.items)))
            fit = self._fit(snapshot, part, age)
            for place in part:
                item = fit.get(snapshot.items[place].version)
                if item is not None:
                    items.append(item | {"context": self._seal.context(snapshot, place)})
                if len(items) == limit:
                    break
            place += 1
        more = place < len(snapshot.items)
        return {"items": items, "next": self._seal.cursor(snapshot, place - 1) if more else None}

    def _fit(self, snapshot: Snapshot, part: range, age: int) -> dict[str, dict[str, Any]]:
        """Items by version. The filters, last: what is published now, and fit for this age."""
        cards = self._store.feed.cards([snapshot.items[place].version for place in part])
        said = self._verdicts(cards)
        fit = fit_for(age, np.array([said[card.decision]["rating"] for card in cards], np.intp))
        return {
            card.version: _written(card, said[card.decision])
            for card, shown in zip(cards, fit, strict=True)
            if shown
        }

    def _verdicts(self, cards: list[Card]) -> dict[int, dict[str, Any]]:
        """What their decisions say; a decision never changes, so each is read once."""
        wanted = {card.decision for card in cards}
        with self._lock:
            said = {decision: self._said[decision] for decision in wanted & self._said.keys()}
        unread = self._store.feed.verdicts(list(wanted - said.keys())) if wanted - said.keys() else {}
        read = {decision: _said(verdict) for decision, verdict in unread.items()}
        with self._lock:
            self._said.update(read)
            while len(self._said) > VERDICTS_KEPT:
                self._said.popitem(last=False)
        return said | read


def _network(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one; any other text as it is."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ip_network((found, 64), strict=False))


def _written(card: Card, said: dict[str, Any]) -> dict[str, Any]:
    """An item, but for its context."""
    return {
        "id": card.world,
        "version": card.version,
        "title": card.title,
        "prompt": card.prompt,
        "creator": card.creator,
        "remix_of": card.remix_of,
        "published_at": datetime.fromtimestamp(card.published_at, UTC),
        "still": None if card.thumbnail is None else f"/worlds/{card.world}/still.png",
        **said,
    }


def _said(verdict: Verdict) -> dict[str, Any]:
    coverage, bounds = Coverage(**verdict.coverage), tuple(Bound(**one) for one in verdict.bounds)
    rating = verdict.rating
    label = label_of(coverage, bounds, verdict.fired)
    return {
        "rating": ADULT if rating is None or rating["provisional"] else rating["age"],
        "descriptors": [] if rating is None else list(rating["descriptors"]),
        "bot_steps": coverage.search_steps + coverage.sample_steps,
        "sample_episodes": coverage.sample_episodes,
        "risk_upper": risk_upper(bounds, verdict.fired),
        "label": label.short,
        "flashing": label.flashing,
    }


router = APIRouter(prefix="/v1", tags=["feed"])


def of(connection: HTTPConnection) -> Feed:
    """The feed behind a request or a socket."""
    return cast("Feed", connection.app.state.services.feed)


@router.get(
    "/feed",
    responses={
        200: {"model": FeedPage},
        304: {"description": "As in If-None-Match"},
        **responses("bad-cursor", "old-cursor"),
    },
)
async def read_feed(
    request: Request,
    cursor: Annotated[str | None, Query(max_length=512, description="`next` of the page before.")] = None,
    age: Annotated[int, Query(ge=0, le=120, description="Of the player, in years.")] = ADULT,
    limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
) -> Response:
    """A page of worlds to play, the most promising first.

    A cursor that is not genuine, or for players of another age, is 400; one whose ranking is gone is 410.
    """
    feed = of(request)
    try:
        page = feed.kept(cursor, age, limit)
        if page is None:
            page = await run_in_threadpool(feed.page, cursor, age, limit)
    except BadCursor as error:
        raise Problem("old-cursor" if isinstance(error, OldCursor) else "bad-cursor", str(error)) from error
    headers = {"ETag": page.etag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == page.etag:
        return Response(status_code=304, headers=headers)
    return Response(page.body, headers=headers, media_type="application/json")


@router.post("/interactions", responses=responses())
def add_interactions(request: Request, batch: Batch) -> Taken:
    """What a player did with items of the feed. Sent again, a batch adds nothing."""
    return of(request).take(player_of(request), batch.items)


def player_of(request: Request) -> str:
    """The pseudonym of whoever asks."""
    return of(request).pseudonym(request.client.host if request.client else "unknown")
