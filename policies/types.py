"""What goes into a decision and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Source(StrEnum):
    """Where a detector looked; what a rule's ``scope`` lists."""

    MEDIA = "media"
    PLAYTHROUGH = "playthrough"
    LIVE = "live"


@dataclass(frozen=True)
class Finding:
    """What one detector saw once. Immutable, and free of any threshold."""

    id: str
    """Content hash of the other fields: the same observation stored twice is one finding."""
    detector: str
    version: str
    label: str
    """Class, in the detector's own words: ``exposed``, ``slur``, ``threat``, ``general_flash`` ..."""
    score: float
    """0..1 as the detector's card defines it."""
    source: Source
    start: float = 0.0
    """Seconds from the start of the playthrough or medium."""
    end: float = 0.0
    playthrough: str | None = None
    media: str | None = None
    """Name of the medium or field of the spec (``objects[1].image``, ``prompt``)."""
    box: tuple[int, int, int, int] | None = None
    """Pixels: x0, y0, x1, y1."""
    text: str | None = None
    """What was read or heard."""


@dataclass(frozen=True)
class DetectorRun:
    """That a detector looked at something, or failed to: a failed one never clears a world."""

    detector: str
    version: str
    source: Source
    items: int
    ok: bool
    error: str | None = None


@dataclass(frozen=True)
class Coverage:
    """How much was looked at."""

    search_steps: int = 0
    sample_steps: int = 0
    sample_episodes: int = 0
    """Independent episodes of the frozen player, each scanned whole."""
    cells: int = 0
    discovery_rate: float = 0.0
    """New cells per 1,000 steps at the end of the search arm."""
    unseen_mass: float = 1.0
    """Good-Turing estimate of the share of a player's steps that fall on cells not seen, 0..1."""
    unseen_mass_upper: float = 1.0
    """Its upper 95 % limit."""
    stop_reason: str = "not started"


class Verdict(StrEnum):
    """What a policy says about a world version."""

    CLEARED = "cleared"
    NEEDS_REVIEW = "needs_review"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"
    """Too little was looked at to say: explore more or let a person see it."""


@dataclass(frozen=True)
class Fired:
    """One rule that fired, with what fired it."""

    rule: str
    category: str
    severity: str
    """S0 (least) .. S4."""
    action: Verdict
    findings: tuple[str, ...]
    """Ids, strongest first."""
    explanation: str
    """One sentence with the evidence's values, for creators and moderators."""
    title: str = ""
    """The rule's name for people."""
    guideline: str = ""
    """The public sentence of the guidelines that was broken."""


@dataclass(frozen=True)
class Bound:
    """Upper limit on how often an unseen violation of one rule shows in a player's session."""

    rule: str
    recall: float
    episodes: int
    upper: float
    """At 95 % confidence: the share of sessions that could still show it."""


@dataclass(frozen=True)
class Decision:
    """What a bundle decided, and everything that led to it."""

    verdict: Verdict
    policy: str
    """Name and version of the bundle."""
    policy_hash: str
    fired: tuple[Fired, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why, in words, most important first; also says which stop rule ended exploration."""
    bounds: tuple[Bound, ...] = ()
    trace: tuple[dict[str, object], ...] = field(default=())
    """Every rule of the bundle: its values, whether it fired, what it missed."""


@dataclass(frozen=True)
class Context:
    """What a decision may know besides findings and coverage; expressions read it as ``context.<field>``."""

    stage: str = "release"
    """``release``: may this version be published? ``live``: may this session go on? The latter looks
    at live findings only, needs no coverage, and fails closed."""
    remix: bool = False
    prior_rejections: int = 0
    """Versions by the same creator that were rejected before."""
