"""What operators see and do: stages, queues, ages, costs, and jobs that died."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel

from feedapi import services
from feedapi.identity import Operator, needs
from feedapi.problems import Problem, responses
from feedapi.studio import render, visitor
from moderation.accounts import Principal
from moderation.store import Job
from moderation.store.figures import Figures, figures

router = APIRouter(tags=["operation"])
STATES = ("ready", "running", "done", "dead")
MOST = 200
"""Jobs that are listed at once."""


class JobItem(BaseModel):
    """One job."""

    id: int
    kind: str
    subject: str
    state: str
    failures: int
    worker: str | None
    seconds: float
    """Worked on, over all tries."""
    error: str | None


class JobList(BaseModel):
    """Jobs, oldest first."""

    items: list[JobItem]


Overseer = Annotated[Principal, Depends(needs("operate", visitor))]


@router.get("/v1/jobs", responses=responses("not-signed-in", "not-allowed"))
def list_jobs(
    request: Request,
    who: Operator,
    state: Annotated[str, Query(pattern="^(ready|running|done|dead)$")] = "dead",
) -> JobList:
    """Jobs in one state: by default those that failed for good."""
    del who
    found = services.of(request).store.queue.listed(state, limit=MOST)
    return JobList(items=[_item(one) for one in found])


@router.post(
    "/v1/jobs/{job}/requeue",
    responses=responses("not-signed-in", "not-allowed", "not-found", "conflict"),
)
def requeue(request: Request, who: Operator, job: Annotated[int, Path(ge=1, le=2**31 - 1)]) -> JobItem:
    """Let a dead job be tried again."""
    del who
    store = services.of(request).store
    found = store.queue.job(job)
    if found.state != "dead":
        raise Problem("conflict", f"job {job} is {found.state}: only dead ones can be tried again")
    store.queue.revive(found)
    return _item(store.queue.job(job))


@router.get("/operate", response_class=HTMLResponse, include_in_schema=False)
def page(request: Request, who: Overseer) -> Response:
    """How this installation does."""
    store = services.of(request).store
    with store.reading() as connection:
        now = figures(connection)
    arena = services.of(request).arena
    return render(
        request,
        who,
        "operate.html",
        now=now,
        states=STATES,
        bars=_bars(now),
        dead=store.queue.listed("dead", limit=MOST),
        players=arena.players,
        capacity=arena.capacity,
    )


def _bars(now: Figures) -> list[tuple[str, float, float, str]]:
    """(what, share of the dearest in percent, seconds, words) of what work has cost, dearest first."""
    parts = sorted((one for one in now.costs if one.seconds > 0), key=lambda one: -one.seconds)[:16]
    most = max((one.seconds for one in parts), default=1.0)
    return [
        (
            f"{one.work}: {one.part.replace('-', ' ')}" if one.part else f"{one.work}, all of it",
            100 * one.seconds / most,
            one.seconds,
            f"{one.items:,} items, {1000 * one.seconds / max(one.items, 1):,.1f} ms each",
        )
        for one in parts
    ]


def _item(job: Job) -> JobItem:
    return JobItem(
        id=job.id,
        kind=job.kind,
        subject=job.subject,
        state=job.state,
        failures=job.failures,
        worker=job.worker,
        seconds=job.seconds,
        error=job.error,
    )
