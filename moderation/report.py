"""The report of a review: a static folder that opens from disk, without a server or the network.

The pipeline fills a :class:`ReviewReport` and has written clips and frames into the folder already;
:func:`write_report` adds the pages and the maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from policies.types import Coverage, Decision, Finding


@dataclass(frozen=True)
class ClipShot:
    """A recorded clip that shows a violation."""

    file: str
    """MP4, relative to the report's folder."""
    playthrough: str
    rules: tuple[str, ...]
    """Ids of the fired rules that it shows."""
    flagged: tuple[tuple[float, float], ...] = ()
    """Spans in seconds of the clip during which the violation shows."""
    offset: float = 0.0
    """Seconds of the playthrough at which the clip starts."""
    seconds: float = 0.0
    player: str = ""
    arm: str = ""
    replay: str = ""
    """Command that regenerates the playthrough: ``firstplay replay ...``."""
    reproduced: bool | None = None
    """Whether it was regenerated bit for bit before the report was written; None if not tried."""


@dataclass(frozen=True)
class FrameShot:
    """One picture of the film strip."""

    file: str
    """PNG, relative to the report's folder."""
    at: float = 0.0
    """Seconds into its playthrough."""
    playthrough: str = ""
    flagged: bool = False
    """Shown blurred until it is revealed."""


@dataclass(frozen=True)
class Route:
    """Where a playthrough went."""

    points: NDArray[np.float32]
    """(N, 2) x, y in tiles."""
    playthrough: str
    flagged: bool = True


@dataclass(frozen=True)
class Mark:
    """Where a finding was made, or an object stands."""

    x: float
    y: float
    """In tiles."""
    text: str


@dataclass(frozen=True)
class WorldMap:
    """What was explored, on the world's own picture."""

    picture: NDArray[np.uint8]
    """(H, W, 3) RGB of the canvas; ``CompiledWorld.picture``."""
    visits: NDArray[np.integer]
    """(rows, columns) of steps that all players spent in each tile."""
    routes: tuple[Route, ...] = ()
    marks: tuple[Mark, ...] = ()
    reachable: NDArray[np.bool_] | None = None
    """(rows, columns): tiles that a player can stand in, where known."""


@dataclass(frozen=True)
class DetectorRow:
    """What one detector did."""

    name: str
    version: str
    source: str
    """``media`` or ``playthrough``."""
    items: int
    findings: int = 0
    ok: bool = True
    error: str | None = None
    seconds: float = 0.0
    licence: str = ""
    recall: str = ""
    """Recall and its source, in words."""


@dataclass(frozen=True)
class StageTime:
    """How long one stage of the pipeline took."""

    name: str
    seconds: float
    note: str = ""
    """What was done, with its rate: ``60,000 steps, 9,800 a second``."""


@dataclass(frozen=True)
class WorldReport:
    """Everything that a moderator sees about one world version."""

    title: str
    sha256: str
    """Of the version's content."""
    decision: Decision
    coverage: Coverage
    state: str = ""
    """State of the version after the decision, such as ``published``."""
    findings: Sequence[Finding] = ()
    """At least those that fired a rule; others are listed below them."""
    clips: Sequence[ClipShot] = ()
    frames: Sequence[FrameShot] = ()
    map: WorldMap | None = None
    search_curve: Sequence[tuple[int, int]] = ()
    """(steps, distinct cells) of the search arm, rising."""
    sample_curve: Sequence[tuple[int, int]] = ()
    """(steps, distinct cells) of the sample arm, rising."""
    detectors: Sequence[DetectorRow] = ()
    stages: Sequence[StageTime] = ()
    prompt: str = ""
    understood: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """``CompiledWorld.notes``: what the prompt was understood to mean, what was inferred, what is style."""
    remix_of: str | None = None
    model: str = ""
    """Name, version and hash of the world model."""
    seed: int = 0
    commands: Sequence[tuple[str, str]] = ()
    """(what it does, command) besides the clips' own replay commands."""
    path: str = ""
    """The package as it was given on the command line."""


@dataclass(frozen=True)
class ReviewReport:
    """One run of ``firstplay review``."""

    worlds: Sequence[WorldReport]
    created: datetime
    """With a time zone."""
    version: str = ""
    """Of firstplay."""
    device: str = ""
    command: str = ""
