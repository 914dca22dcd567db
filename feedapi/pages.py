"""The pages that people see: the feed, a world to play, and a page for what is not there."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates

from feedapi import services
from feedapi.label import label_of
from moderation.blobs import BlobMissing
from moderation.store import NotPublished, PublishedWorld

router = APIRouter(include_in_schema=False)
HERE = Path(__file__).parent
STATIC = HERE / "static"
templates = Jinja2Templates(HERE / "templates")
templates.env.globals["label_of"] = label_of


@router.get("/", response_class=HTMLResponse)
def feed(request: Request) -> Response:
    """All published worlds, newest first."""
    worlds = services.of(request).store.published()
    return templates.TemplateResponse(request, "feed.html", {"worlds": worlds, "titles": _titles(worlds)})


@router.get("/worlds/{world_id}", response_class=HTMLResponse)
def world(request: Request, world_id: str) -> Response:
    """One world, playable."""
    store = services.of(request).store
    try:
        found = store.published_world(world_id)
    except NotPublished:
        return templates.TemplateResponse(request, "missing.html", {}, status_code=404)
    label = label_of(found.coverage, found.bounds, found.found)
    context = {"world": found, "label": label, "titles": _titles(store.published())}
    return templates.TemplateResponse(request, "world.html", context)


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


def _titles(worlds: list[PublishedWorld]) -> dict[str, str]:
    return {world.id: world.title for world in worlds}
