"""What operators see and do: stages, queues, ages, costs, and jobs that died."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel

from feedapi import services
from feedapi.charts import stacked
from feedapi.identity import Operator, needs
from feedapi.problems import Problem, responses
from feedapi.studio import render, visitor
from moderation.accounts import Principal
from moderation.store import Job, Store
from moderation.store.figures import Figures, figures, hours, queues, titles

router = APIRouter(tags=["operation"])
STATES = ("ready", "running", "done", "dead")
VERDICTS = ("cleared", "needs_review", "rejected", "inconclusive")
KINDS = ("receive", "intake", "explore", "scan", "decide")
"""In the order in which charts stack them."""
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


@dataclass(frozen=True)
class WorkerItem:
    """A worker that was heard of, and what it does."""

    name: str
    queues: tuple[str, ...]
    job: Job | None
    """The first that it holds."""
    more: int
    """Others that it holds: one that explores several worlds in one batch has several."""
    title: str
    """Of the world that the job is about."""
    share: float | None
    """How much of it is done, 0 to 1, where it says so."""


@dataclass(frozen=True)
class Machine:
    """What the server runs on."""

    cores: int
    load: float
    """Processes that want one, mean over a minute."""
    free: int
    """Bytes on the disk of the state folder."""


@router.get("/operate", response_class=HTMLResponse, include_in_schema=False)
def page(request: Request, who: Overseer) -> Response:
    """How this installation does."""
    here = services.of(request)
    store = here.store
    with store.reading() as connection:
        now, open_queues, lately = figures(connection), queues(connection), hours(connection)
    heard = store.queue.workers()
    dead = store.queue.listed("dead", limit=MOST)
    return render(
        request,
        who,
        "operate.html",
        now=now,
        clock=datetime.now(UTC).strftime("%H:%M:%S"),
        states=STATES,
        queues=open_queues,
        listening=Counter(queue for names in heard.values() for queue in names),
        idle=0 if heard else sum(one.ready for one in open_queues),
        workers=_workers(store, heard),
        decided=stacked(lately.decisions, VERDICTS),
        done=stacked(lately.jobs, KINDS),
        bars=_bars(now),
        dead=dead,
        titles=_titles(store, dead),
        players=here.arena.players,
        capacity=here.arena.capacity,
        drafts=here.drafts.arena.players,
        seats=here.drafts.arena.capacity,
        arena=here.arena,
        device=_device(store) if here.arena.ready else None,
        machine=_machine(store),
    )


def _workers(store: Store, heard: Mapping[str, Sequence[str]]) -> list[WorkerItem]:
    running = store.queue.listed("running", limit=MOST)
    named = _titles(store, running)
    items = []
    for name, names in sorted(heard.items()):
        held = [one for one in running if one.worker == name]
        job = held[0] if held else None
        told = (job.progress or {}) if job else {}
        share = told["done"] / told["total"] if told.get("total") else None
        title = named.get(job.subject, "") if job else ""
        items.append(WorkerItem(name, tuple(names), job, max(0, len(held) - 1), title, share))
    return items


def _titles(store: Store, jobs: Sequence[Job]) -> dict[str, str]:
    """Of the worlds that jobs are about, by subject; some are about none."""
    with store.reading() as connection:
        return titles(connection, {job.subject for job in jobs})


def _device(store: Store) -> str:
    """What torch, which the model has loaded, runs on."""
    from moderation.observing.doctor import device

    return device(store.home).detail


def _machine(store: Store) -> Machine:
    free = shutil.disk_usage(store.home).free
    return Machine(os.cpu_count() or 1, os.getloadavg()[0], free)


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
