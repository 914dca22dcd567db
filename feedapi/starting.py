"""What to do next in an installation that has just begun, and the sample worlds that it can begin with.

The samples are the worlds of ``examples/``: they lie in the package as ``feedapi/samples``, links to those in
a checkout and copies in a wheel. Sending one in is a submission like any other, by whoever sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from feedapi import services
from feedapi.identity import Creator
from feedapi.problems import Problem, responses
from moderation import submitting
from moderation.accounts import Principal
from moderation.jobs import check_room
from moderation.states import WITH_PEOPLE, WORKING, WorldState
from moderation.store import NotPublished, Store
from moderation.store.figures import worlds_by_state
from moderation.submitting import KnownContent

router = APIRouter(prefix="/v1", tags=["creators"])

WARNINGS: Mapping[str, str] = {
    "back-room": "Shows an ethnic slur in writing, behind a door: a test that it is found and stopped.",
    "far-voice": "Contains a spoken death threat, far from the start: a test that it is found and stopped.",
    "strobe-lever": "Can make the screen flash dangerously: a test that it is found and stopped.",
}
"""What whoever sends these in should know first."""


class Sample(BaseModel):
    """A world that comes with the package."""

    name: str
    title: str
    prompt: str
    warning: str
    """What is wrong with it on purpose; mostly nothing."""
    remix_of: str | None
    """A world that must be published before this one can be sent in."""
    state: Literal["new", "here", "waits"]
    """Whether a world of this address is here already, or what this one remixes is not published."""


class SampleList(BaseModel):
    """All of them, those without a warning first."""

    items: list[Sample]


class Wanted(BaseModel):
    """Which samples to send in."""

    names: list[str] = Field(default_factory=list, max_length=50, description="None of them means all.")


@dataclass(frozen=True)
class Step:
    """One thing to do until there is something to play."""

    name: Literal["send", "review", "decide", "play"]
    done: bool
    count: int
    """Worlds that are at it."""


@router.get("/samples", responses=responses("not-signed-in", "not-allowed"))
def list_samples(request: Request, who: Creator) -> SampleList:
    """The sample worlds, and which of them are here already."""
    del who
    return SampleList(items=samples(services.of(request).store))


@router.post(
    "/samples",
    status_code=202,
    responses=responses("not-signed-in", "not-allowed", "not-found", "full", "invalid"),
)
def send_samples(request: Request, wanted: Wanted, who: Creator) -> SampleList:
    """Send samples in as worlds of one's own, but for those that are here already or wait for another."""
    store = services.of(request).store
    known = {one.name: one for one in samples(store)}
    unknown = [name for name in wanted.names if name not in known]
    if unknown:
        raise Problem("not-found", f"no sample {unknown[0]!r}: there are {', '.join(known)}")
    for name in wanted.names or known:
        if known[name].state == "new":
            _send(store, who, name)
    return SampleList(items=samples(store))


def _send(store: Store, who: Principal, name: str) -> None:
    from worldmodel.package import load_package

    check_room(store)
    submission = submitting.packaged(store, load_package(_folders()[name].resolve()))
    try:
        with store.writing() as tx:
            submitting.submit(tx, who.account, submission)
    except KnownContent:
        return  # sent in by somebody else meanwhile: it is here


def samples(store: Store) -> list[Sample]:
    """All of them, those without a warning first."""
    here = submitting.taken(store, _folders())
    found = [_sample(store, name, name in here) for name in _folders()]
    return sorted(found, key=lambda one: (bool(one.warning), one.remix_of is not None))


def _sample(store: Store, name: str, here: bool) -> Sample:
    title, prompt, parent = _told(name)
    waits = not here and parent is not None and not _is_published(store, parent)
    return Sample(
        name=name,
        title=title,
        prompt=prompt,
        warning=WARNINGS.get(name, ""),
        remix_of=parent,
        state="here" if here else "waits" if waits else "new",
    )


def _is_published(store: Store, world: str) -> bool:
    try:
        store.published_world(world)
    except NotPublished:
        return False
    return True


@cache
def _folders() -> dict[str, Path]:
    """By name; a world's address is its folder's name."""
    root = Path(str(files("feedapi"))) / "samples"
    return {path.name: path for path in sorted(root.iterdir()) if (path / "world.yaml").is_file()}


@cache
def _told(name: str) -> tuple[str, str, str | None]:
    """Title, prompt and parent, as the document has them."""
    from ruamel.yaml import YAML

    document = YAML(typ="safe").load(_folders()[name] / "world.yaml")
    return document["title"], document["prompt"], document.get("remix_of")


def steps(store: Store) -> list[Step]:
    """From an empty installation to something to play; empty once anything is published."""
    with store.reading() as connection:
        states = worlds_by_state(connection)
    if states.get(WorldState.PUBLISHED):
        return []
    working, waiting = (sum(states.get(one, 0) for one in among) for among in (WORKING, WITH_PEOPLE))
    total = sum(states.values())
    return [
        Step("send", total > 0, total),
        Step("review", total > working, working),
        Step("decide", False, waiting),
        Step("play", False, 0),
    ]
