"""What anybody may know of this installation: whether it is well, and the policy that it decides by."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from feedapi import services
from feedapi.identity import Operator
from feedapi.problems import responses

router = APIRouter(tags=["about"])


class Health(BaseModel):
    """This process runs."""

    status: str = "ok"
    version: str


class Check(BaseModel):
    """One thing that this process needs."""

    name: str
    ok: bool
    detail: str


class Readiness(BaseModel):
    """Whether requests can be served."""

    ready: bool
    checks: list[Check]


class Guideline(BaseModel):
    """One public sentence of the policy."""

    rule: str
    title: str
    guideline: str


class Policy(BaseModel):
    """The bundle that decides now."""

    name: str
    hash: str
    guidelines: list[Guideline]


@router.get("/healthz")
def health() -> Health:
    """Whether the process runs."""
    return Health(version=version("firstplay"))


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Something is missing."}})
def ready(request: Request, response: Response) -> Readiness:
    """Whether the database and the blobs can be reached."""
    checks = [_database(request), Check(name="live play", ok=True, detail=_play(request))]
    good = all(one.ok for one in checks)
    response.status_code = 200 if good else 503
    return Readiness(ready=good, checks=checks)


@router.get(
    "/metrics",
    response_class=Response,
    responses=responses("not-signed-in", "not-allowed")
    | {200: {"content": {"text/plain": {}}, "description": "Prometheus' text format."}},
)
def metrics(request: Request, who: Operator) -> Response:
    """Queues, ages, latencies, decisions, findings and costs; for whoever has the scope ``operate``."""
    del who
    from moderation.observing.metrics import CONTENT_TYPE, exposition

    return Response(exposition(services.of(request).store), media_type=CONTENT_TYPE)


@router.get("/v1/policies/current", responses=responses())
def policy(
    request: Request,
    response: Response,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Policy:
    """The current policy, with its public guidelines; its ETag is the bundle's hash."""
    from moderation.pipeline import policy_bundle

    bundle = policy_bundle(services.of(request).store)
    etag = f'"{bundle.sha256}"'
    response.headers["ETag"] = etag
    if if_none_match == etag:
        response.status_code = 304
    rules = [
        Guideline(rule=one.id, title=one.spec.title, guideline=one.spec.guideline) for one in bundle.rules
    ]
    return Policy(name=bundle.name, hash=bundle.sha256, guidelines=rules)


def _database(request: Request) -> Check:
    try:
        with services.of(request).store.reading() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return Check(name="database", ok=False, detail=type(error).__name__)
    return Check(name="database", ok=True, detail=services.of(request).store.database.kind)


def _play(request: Request) -> str:
    arena = services.of(request).arena
    return f"{arena.players} of {arena.capacity} places taken"
