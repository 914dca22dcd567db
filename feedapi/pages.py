"""The pages that people see: the feed, a world to play, and a page for what is not there."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates

from feedapi import services
from feedapi.feed import ADULT
from feedapi.feed import of as feed_of
from feedapi.label import Label, label_of
from moderation.blobs import BlobMissing
from moderation.on_device import refusal
from moderation.store import NotPublished, PublishedWorld

router = APIRouter(include_in_schema=False)
HERE = Path(__file__).parent
STATIC = HERE / "static"
_IMPORTS = re.compile(r'^import .*?"\./(\w+)\.js";', re.MULTILINE | re.DOTALL)
templates = Jinja2Templates(HERE / "templates")
templates.env.globals["label_of"] = label_of


FIRST = 4
"""Worlds that come with the page of the feed; the page asks for more."""


@router.get("/", response_class=HTMLResponse)
def feed(request: Request) -> Response:
    """The ranked feed, one world on the screen at a time."""
    page = json.loads(feed_of(request).page(None, ADULT, FIRST).body)
    context = {"page": page, "modules": modules("feed")}
    # the contexts of its items are of one ranking, and for one visit
    return templates.TemplateResponse(request, "feed.html", context, headers={"Cache-Control": "no-store"})


@router.get("/worlds", response_class=HTMLResponse)
def worlds(request: Request) -> Response:
    """All published worlds as cards, newest first: also for who has no script."""
    found = services.of(request).store.published()
    return templates.TemplateResponse(request, "worlds.html", {"worlds": found, "titles": _titles(found)})


@router.get("/worlds/{world_id}", response_class=HTMLResponse)
def world(request: Request, world_id: str) -> Response:
    """One world, playable."""
    store = services.of(request).store
    try:
        found = store.published_world(world_id)
    except NotPublished:
        return templates.TemplateResponse(request, "missing.html", {}, status_code=404)
    titles = _titles(store.published())
    local = refusal(store, found) is None
    context = {"world": found, "label": _label(found), "titles": titles, "on_device": local}
    context["modules"] = modules("play")
    return templates.TemplateResponse(request, "world.html", context)


@router.get("/worlds/{world_id}/label", response_class=HTMLResponse)
def label(request: Request, world_id: str) -> Response:
    """The inspection label of a world alone, for the feed to show."""
    found = services.of(request).store.published_world(world_id)
    return templates.TemplateResponse(request, "label.html", {"world": found, "label": _label(found)})


@router.get("/worlds/{world_id}/still.png")
def still(request: Request, world_id: str) -> Response:
    """A frame of a published world that the bots recorded."""
    store = services.of(request).store
    thumbnail = store.published_world(world_id).thumbnail
    headers = {"ETag": f'"{thumbnail}"', "Cache-Control": "no-cache"}
    if thumbnail is None:
        return Response(status_code=404)
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    try:
        return Response(store.blobs.read(thumbnail), media_type="image/png", headers=headers)
    except BlobMissing:
        return Response(status_code=404)


@cache
def modules(name: str) -> list[str]:
    """What a script imports, directly or not, so that the browser can fetch all of it at once."""
    found: list[str] = []
    waiting = [name]
    while waiting:
        text = (STATIC / f"{waiting.pop()}.js").read_text(encoding="utf-8")
        new = [one for one in _IMPORTS.findall(text) if one not in found]
        found += new
        waiting += new
    return found


def _label(world: PublishedWorld) -> Label:
    return label_of(world.coverage, world.bounds, world.found)


def _titles(worlds: list[PublishedWorld]) -> dict[str, str]:
    return {world.id: world.title for world in worlds}
