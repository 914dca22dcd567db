"""What the store gives back: records, and what can go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bots.recording import Playthrough
from moderation.states import WorldState
from policies.types import Bound, Coverage, Decision


class NotPublished(LookupError):
    """A world that does not exist or that players may not see."""


class NotFound(LookupError):
    """An id that the store does not know."""


def unknown_version(version: str) -> NotFound:
    """What is raised for a version that is not there, and for one that somebody must not know of."""
    return NotFound(f"no world version {version}")


class Quarantined(RuntimeError):
    """Content that is kept for the law, which nobody may look at or play."""


class Conflict(RuntimeError):
    """The version has changed since the caller looked at it."""


class LeaseLost(RuntimeError):
    """Another worker holds this job now; whatever was not committed is its to do."""


@dataclass(frozen=True)
class PublishedWorld:
    """What the public may know of a world that passed."""

    id: str
    """Slug; what the address of the world shows."""
    version: str
    """SHA-256 of the content."""
    title: str
    prompt: str
    creator: str
    summary: str
    """The decision in one sentence."""
    coverage: Coverage
    bounds: tuple[Bound, ...]
    found: int
    """Rules that fired, and by which a person let it pass."""
    thumbnail: str | None
    """Blob (PNG) in ``Store.blobs``."""
    remix_of: str | None
    published_at: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Version:
    """One immutable content of a world, and where it stands."""

    id: str
    world: str
    creator: str
    """Account."""
    title: str
    prompt: str
    package: str
    """Blob: the clean package as a zip."""
    remix_of: str | None
    state: WorldState
    revision: int
    exploration: str | None
    thumbnail: str | None
    created: float
    """Seconds since 1970."""
    updated: float


@dataclass(frozen=True)
class Event:
    """One change of state, for ever."""

    from_state: str | None
    to_state: str
    actor: str
    reason: str
    policy_hash: str | None
    revision: int
    at: float


@dataclass(frozen=True)
class ExplorationRow:
    """One exploration of one version: by which model, from which seed, with which budget."""

    id: str
    version: str
    seed: int
    model: str
    model_sha256: str
    budget: dict[str, Any]
    coverage: Coverage | None
    chart: dict[str, Any] | None
    scanned: bool
    play: str | None = None
    """Explorations of the same play differ in the detectors at most; None if older than that was noted."""
    detectors: str | None = None
    """SHA-256 of the detectors that looked at it."""


@dataclass(frozen=True)
class StoredPlaythrough:
    """A playthrough and where it stands in its exploration."""

    exploration: str
    ordinal: int
    playthrough: Playthrough
    shown: NDArray[np.int32] | None
    """(T+1,) ordinal of the distinct frame that stands for each frame; None until looked at."""


@dataclass(frozen=True)
class DistinctFrame:
    """A frame that stands for all that look like it."""

    ordinal: int
    playthrough: int
    """Ordinal of the playthrough that showed it first."""
    step: int
    hash: bytes
    view: int
    """Name of the view (:func:`worldmodel.crops.views`)."""


@dataclass(frozen=True)
class Evidence:
    """What shows why a rule fired: a clip and some of its frames."""

    rule: str
    finding: str
    playthrough: str | None
    start: float
    end: float
    clip: str | None
    """Blob: MP4 from ``start`` to ``end``."""
    frames: tuple[tuple[float, str], ...]
    """Seconds into the playthrough, and blob (PNG)."""
    caption: str
    reproduced: bool
    """Whether the clip, played again, was bit-identical to what was scanned."""
    route: tuple[tuple[float, float], ...] = ()
    """Where the player went up to the end of the clip: x, y in tiles."""


@dataclass(frozen=True)
class StoredDecision:
    """A decision, what it rests on, and its evidence."""

    version: str
    exploration: str | None
    decision: Decision
    coverage: Coverage
    evidence: tuple[Evidence, ...]
    at: float


@dataclass(frozen=True)
class Job:
    """A claimed or listed job. ``token`` is what a commit must still hold."""

    id: int
    kind: str
    subject: str
    payload: dict[str, Any]
    state: str
    failures: int
    token: int
    worker: str | None
    progress: dict[str, Any] | None
    seconds: float
    error: str | None
    queue: str
    creator: str
    priority: int
    not_before: float
    """Seconds since 1970 from which it may be tried again; 0 for at once."""
    created: float
    finished: float | None
    trace: str | None = None
    """W3C traceparent of whoever asked for it."""


@dataclass(frozen=True)
class Ready:
    """A job that a worker of its queue can claim now."""

    id: int
    queue: str


@dataclass(frozen=True)
class Swept:
    """What a sweep set going again."""

    expired: int = 0
    """Jobs whose lease had run out."""
    due: int = 0
    """Retries whose time had come."""
    dead: int = 0
    """Of the expired, those that had failed too often."""


@dataclass(frozen=True)
class Load:
    """What one kind of job asks of a queue."""

    queue: str
    kind: str
    jobs: int
    """Ready or running."""
    seconds: float | None
    """Mean of the last ones that were done; None where none was."""
