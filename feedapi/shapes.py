"""What the creators' API takes and gives, shared by the server and by :mod:`feedapi.client`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from moderation.states import WorldState


class Upload(BaseModel):
    """Bytes that a submission may name."""

    id: str
    """SHA-256."""
    size: int


class NewWorld(BaseModel):
    """A world as its ``world.yaml`` has it, and the uploads that it names."""

    spec: dict[str, Any] = Field(description="The document of `world.yaml`; `GET /v1/world-schema` has it.")
    files: dict[str, str] = Field(
        default_factory=dict, max_length=128, description="Name in the spec to id of an upload."
    )


class VersionItem(BaseModel):
    """One version of a creator's world, and where it stands."""

    id: str
    world: str
    title: str
    state: WorldState
    reason: str
    """Why it is in this state."""
    revision: int
    remix_of: str | None
    updated: datetime


class VersionList(BaseModel):
    """A page of versions, newest first."""

    items: list[VersionItem]
    next: str | None
    """Cursor of the page that follows."""


class FiredRule(BaseModel):
    """One rule that fired."""

    rule: str
    title: str
    category: str
    action: str
    explanation: str
    guideline: str
    remedy: str
    """What can be changed."""


class Clip(BaseModel):
    """What shows why a rule fired."""

    rule: str
    caption: str
    start: float
    """Seconds into the playthrough."""
    end: float
    clip: str | None
    """Path of an MP4."""
    frames: list[str]
    """Paths of pictures."""


class DecisionItem(BaseModel):
    """What was decided about a version, and why."""

    verdict: str
    policy: str
    policy_hash: str
    at: datetime
    reasons: list[str]
    fired: list[FiredRule]
    evidence: list[Clip]
    age: int | None
    appealable: bool


class Withdrawal(BaseModel):
    """Why a world is taken back."""

    reason: str = Field("withdrawn by its creator", max_length=500)


class Change(BaseModel):
    """One thing in which a world differs from what it was made from."""

    what: str
    """A field of the spec, or an object."""
    before: str
    after: str


class PlacedItem(BaseModel):
    """Where an object of the spec ended up."""

    index: int
    """Position in the spec's `objects`."""
    kind: str
    box: tuple[int, int, int, int]
    """Tiles: left, top, right, bottom, the last two exclusive."""


class Zones(BaseModel):
    """Which part of the way each tile of the map belongs to."""

    columns: int
    rows: list[str]
    """One letter per tile: `s` at the start, `n` early, `m` half way, `f` far, `d` behind a door."""
    start: tuple[int, int]
    """Tile at which players begin."""


class Preview(BaseModel):
    """What a world would become, before it is submitted."""

    understood: list[str]
    """What the prompt was taken to ask for."""
    inferred: list[str]
    """What was made up where it says nothing."""
    style: list[str]
    """What has no effect on play."""
    values: dict[str, float]
    """Every mechanic and wish that comes of it, by its name in the spec."""
    origins: dict[str, Literal["spec", "prompt", "guess", "theme", "usual"]]
    """Where each comes from: the spec, the prompt's words, a guess, the theme, or what is usual."""
    plays: list[tuple[str, str]]
    """The mechanics as played, in words: name and value."""
    map: str
    """The whole world as a PNG, in a data URL."""
    placed: list[PlacedItem]
    zones: Zones
    changes: list[Change]
    """Against the version that the request names."""
    play: str
    """Path of a socket that plays it, once, within half a minute: nobody watches over that but its maker."""
