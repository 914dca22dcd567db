"""Errors of the API as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from feedapi.arena import ArenaFull
from moderation.store import NotPublished

RETRY_AFTER = 30
"""Seconds that a full server asks a client to wait."""


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """One problem document; its type is ``about:blank``, so the title says what the status means here."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def not_published(request: Request, _: Exception) -> JSONResponse:
    """Whether it is unknown or only not cleared is nobody's business."""
    return problem(404, "No such world", f"{request.path_params.get('world_id')!r} is not in the feed")


def arena_full(_: Request, error: Exception) -> JSONResponse:
    """Says when to come back."""
    return problem(503, "No place is free", str(error), {"Retry-After": str(RETRY_AFTER)})


def http_error(_: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    return problem(error.status_code, "The request failed", str(error.detail), dict(error.headers or {}))


def install(app: FastAPI) -> None:
    """Answer the API's errors as problem documents."""
    app.add_exception_handler(NotPublished, not_published)
    app.add_exception_handler(ArenaFull, arena_full)
    app.add_exception_handler(HTTPException, http_error)
