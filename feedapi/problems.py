"""Errors of the API as ``application/problem+json`` (RFC 9457), and the public catalogue of their types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from feedapi.arena import ArenaFull
from moderation.accounts import NotAllowed
from moderation.cases.queue import MayNot
from moderation.jobs import QueueFull
from moderation.spending import OverBudget
from moderation.states import IllegalTransition
from moderation.store import Conflict, LeaseLost, NotFound, NotPublished

RETRY_AFTER = 30
"""Seconds that a full server asks a client to wait."""
MEDIA_TYPE = "application/problem+json"
router = APIRouter(prefix="/problems", tags=["problems"])


@dataclass(frozen=True)
class Kind:
    """One type of problem: what it is called, and what a client can do about it."""

    status: int
    title: str
    remedy: str


CATALOGUE: Mapping[str, Kind] = {
    "not-signed-in": Kind(401, "Nobody is signed in", "Send `Authorization: Bearer <API key>`."),
    "not-allowed": Kind(403, "Not allowed", "Use a key whose account has the role that this needs."),
    "over-budget": Kind(402, "The budget is spent", "Wait until some of it is old, or ask for a higher one."),
    "csrf": Kind(403, "The request did not come from a page of ours", "Send the page's X-CSRF-Token."),
    "no-such-world": Kind(404, "No such world", "Take an id from the feed; worlds may leave it."),
    "not-found": Kind(404, "No such thing", "Check the id; it may belong to somebody else."),
    "conflict": Kind(409, "It has changed meanwhile", "Get it again, and repeat the request if it fits."),
    "lease-lost": Kind(409, "The case is not yours any more", "Claim it again, and look at it anew."),
    "known-content": Kind(409, "This content is known", "Change something: the same content is one version."),
    "precondition": Kind(412, "If-Match does not match", "Get it again, and use its new ETag."),
    "no-precondition": Kind(428, "If-Match is missing", "Send the ETag that you decided by as If-Match."),
    "too-large": Kind(413, "The request is too large", "Keep within the limit that `detail` names."),
    "invalid": Kind(422, "The request is not valid", "Correct what `errors` names."),
    "bad-package": Kind(422, "The world is not a valid package", "Correct what `errors` names."),
    "key-reused": Kind(422, "The Idempotency-Key stands for another request", "Use a new key per request."),
    "too-many": Kind(429, "Too many requests", "Wait as long as Retry-After says."),
    "full": Kind(503, "No place is free", "Try again when Retry-After says."),
    "bad-context": Kind(400, "The context is not genuine", "Send an item's context back unchanged, or none."),
    "preparing": Kind(503, "It is being prepared", "Try again when Retry-After says."),
    "not-on-device": Kind(403, "Not for play on the device", "Play it from the server."),
    "bad-ticket": Kind(403, "The ticket is no good", "Ask for a new one."),
    "bad-cursor": Kind(400, "The cursor leads nowhere", "Begin again without a cursor."),
    "old-cursor": Kind(410, "The cursor's ranking is gone", "Begin again without a cursor."),
    "request": Kind(400, "The request failed", "See `detail`."),
}
"""By name; the type of a problem is ``/problems/<name>``."""


class ProblemDetails(BaseModel):
    """A problem as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] | None = None
    """What is wrong with which field or file."""


class ProblemKind(BaseModel):
    """One entry of the catalogue."""

    type: str
    status: int
    title: str
    remedy: str


class Problem(Exception):
    """Ends a request with one of the catalogue's problems."""

    def __init__(
        self,
        name: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.name, self.detail, self.headers, self.errors = name, detail, dict(headers or {}), errors

    def response(self) -> JSONResponse:
        """As it is sent."""
        return answer(self.name, self.detail, self.headers, self.errors)


def answer(
    name: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, Any]] | None = None,
    status: int | None = None,
) -> JSONResponse:
    """One problem document."""
    kind = CATALOGUE[name]
    details = ProblemDetails(
        type=f"/problems/{name}",
        title=kind.title,
        status=status or kind.status,
        detail=detail,
        errors=errors,
    )
    return JSONResponse(
        details.model_dump(exclude_none=True), details.status, dict(headers or {}), media_type=MEDIA_TYPE
    )


def responses(*names: str) -> dict[int | str, dict[str, Any]]:
    """What a route's OpenAPI says of the problems that it can end with."""
    told: dict[int | str, dict[str, Any]] = {}
    for name in ("request", "invalid", "too-many", *names):
        kind = CATALOGUE[name]
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
        told.setdefault(kind.status, {"description": kind.title, "content": content, "model": ProblemDetails})
    return told


@router.get("")
def catalogue() -> list[ProblemKind]:
    """Every type of problem that this API answers with."""
    return [_kind(name) for name in CATALOGUE]


@router.get("/{name}", responses=responses("not-found"))
def one_kind(name: str) -> ProblemKind:
    """What a problem's ``type`` leads to."""
    if name not in CATALOGUE:
        raise Problem("not-found", f"there is no problem type {name!r}")
    return _kind(name)


def _kind(name: str) -> ProblemKind:
    kind = CATALOGUE[name]
    return ProblemKind(type=f"/problems/{name}", status=kind.status, title=kind.title, remedy=kind.remedy)


# -- what is raised elsewhere ---------------------------------------------------------------------------


def not_published(request: Request, _: Exception) -> JSONResponse:
    """Whether it is unknown or only not cleared is nobody's business."""
    return answer("no-such-world", f"{request.path_params.get('world_id')!r} is not in the feed")


def arena_full(_: Request, error: Exception) -> JSONResponse:
    """Says when to come back."""
    return answer("full", str(error), {"Retry-After": str(RETRY_AFTER)})


def queue_full(_: Request, error: Exception) -> JSONResponse:
    """Too much is to be reviewed already; says how long what is queued will take."""
    assert isinstance(error, QueueFull)
    return answer("full", str(error), {"Retry-After": str(max(1, round(error.wait)))})


def raised(_: Request, error: Exception) -> JSONResponse:
    """A problem that a route ended with."""
    assert isinstance(error, Problem)
    return error.response()


def not_found(_: Request, error: Exception) -> JSONResponse:
    """An id that nobody knows, or that is not for this account to know."""
    return answer("not-found", str(error))


def conflict(_: Request, error: Exception) -> JSONResponse:
    """Somebody else was first, or the state does not allow it."""
    return answer("conflict", str(error))


def over_budget(_: Request, error: Exception) -> JSONResponse:
    """More would cost more than this creator may cause; nothing was begun."""
    return answer("over-budget", str(error))


def lease_lost(_: Request, error: Exception) -> JSONResponse:
    """Somebody holds the case, and it is not who is asking."""
    return answer("lease-lost", str(error))


def may_not(_: Request, error: Exception) -> JSONResponse:
    """Somebody else must do it."""
    return answer("not-allowed", str(error))


def not_allowed(_: Request, error: Exception) -> JSONResponse:
    """A secret that is no good."""
    return answer("not-signed-in", str(error), {"WWW-Authenticate": "Bearer"})


def invalid(_: Request, error: Exception) -> JSONResponse:
    """What the request's schema refuses, field by field; what was sent is not sent back."""
    assert isinstance(error, RequestValidationError)
    errors = [{"field": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in error.errors()]
    first = errors[0] if errors else {"field": "body", "message": "is not valid"}
    return answer("invalid", f"{first['field']}: {first['message']}", errors=errors)


def http_error(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    names = {HTTPStatus.NOT_FOUND: "not-found", HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large"}
    name = names.get(HTTPStatus(error.status_code), "request")
    return answer(name, str(error.detail), headers, status=error.status_code)


def _methods(request: Request) -> set[str]:
    """Of every route with this path: the framework's own Allow names those of the first one only."""
    paths = request.app.openapi()["paths"]
    here = request.url.path
    found = (
        [(here, paths[here])]
        if here in paths
        else [path for path in paths.items() if compile_path(path[0])[0].match(here)]
    )
    return {method.upper() for _, methods in found for method in methods} or {"GET"}


def install(app: FastAPI) -> None:
    """Answer the API's errors as problem documents."""
    app.add_exception_handler(Problem, raised)
    app.add_exception_handler(QueueFull, queue_full)
    app.add_exception_handler(OverBudget, over_budget)
    app.add_exception_handler(NotPublished, not_published)
    app.add_exception_handler(NotFound, not_found)
    app.add_exception_handler(Conflict, conflict)
    app.add_exception_handler(IllegalTransition, conflict)
    app.add_exception_handler(LeaseLost, lease_lost)
    app.add_exception_handler(MayNot, may_not)
    app.add_exception_handler(NotAllowed, not_allowed)
    app.add_exception_handler(ArenaFull, arena_full)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
    app.include_router(router)
