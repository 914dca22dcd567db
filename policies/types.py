"""What goes into a decision and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from policies.schemes import AGE_BANDS


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
    uncovered: tuple[str, ...] = ()
    """Labels that it could not judge, such as a phrase that its model was never measured on: a rule that
    names one of them is decided as if the detector had not run."""


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
    unseen_sessions: float = 1.0
    """The same estimate of the share of sessions that show anything not seen, 0..1."""
    unseen_sessions_upper: float = 1.0
    """Its exact upper 95 % limit."""
    surprises: int = 0
    """Sample episodes that showed something which the search had not."""
    stop_reason: str = "not started"
    kept: Mapping[str, float] = field(default_factory=dict)
    """By detector, the share 0..1 of what it would find if it looked at everything that is found although it
    looks at little; a detector that is not named looks at everything."""
    recall: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By detector, or ``ocr+text`` for a reader and what judges the words that it read, and by label: the
    lower 95 % limit of the recall, 0..1, that was measured on play. What is not named was not measured."""


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
    remedy: str = ""
    """What the creator can change, where the rule says so."""
    four_eyes: bool = False
    """What a person decides about this takes a second person's consent."""
    dsa: str = ""
    """Its category in a statement of reasons, as the bundle says it (:data:`policies.schemes.DSA`)."""
    dsa_keywords: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bound:
    """Upper limit on how often an unseen violation of one rule shows in a player's session."""

    rule: str
    recall: float
    episodes: int
    upper: float
    """At 95 % confidence: the share of sessions that could still show it."""


@dataclass(frozen=True)
class Ground:
    """One thing that play can reach and that raises the age rating."""

    rule: str
    age: int
    descriptor: str
    findings: tuple[str, ...]
    """Ids, strongest first."""
    explanation: str


@dataclass(frozen=True)
class Rating:
    """For which age a world is fit, by the most mature content that play was seen to reach."""

    age: int = 3
    """3, 7, 12, 16 or 18, as in IARC's generic rating and PEGI."""
    descriptors: tuple[str, ...] = ()
    """PEGI's words for why, of the highest age first."""
    grounds: tuple[Ground, ...] = ()
    """Most mature first."""
    provisional: bool = False
    """Something that could raise it was not judged, or too little was looked at."""


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
    rating: Rating | None = None
    """Age rating; None for live play, which shows only a part of a world."""
    approvals: int = 1
    """People who must agree before what a person decides counts: 2 if a rule with ``four_eyes`` fired."""
    escalate: bool = False
    """A quota says that a person with more experience must look."""
    sampled: bool = False
    """Decided without a person, and drawn for a person to see as well: a check of the policy."""


@dataclass(frozen=True)
class Context:
    """What a decision may know besides findings and coverage; expressions read it as ``context.<field>``.

    Raises ValueError for an age band that is none.
    """

    stage: str = "release"
    """``release``: may this version be published? ``live``: may this session go on? The latter looks
    at live findings only, needs no coverage, and fails closed."""
    remix: bool = False
    prior_rejections: int = 0
    """Versions that the same creator sent in before this one and that stand rejected or taken down."""
    submissions_today: int = 0
    """Versions by the same creator in the 24 hours before this one."""
    age_band: str = ""
    """Of the players decided for, as in :data:`policies.schemes.AgeBand`; empty: everybody."""
    region: str = ""
    """Country of those players, ISO 3166-1 alpha-2; empty: everywhere."""

    def __post_init__(self) -> None:
        if self.age_band and self.age_band not in AGE_BANDS:
            raise ValueError(f"{self.age_band!r} is no age band: choose one of {', '.join(AGE_BANDS)}")
