"""The documents of a bundle, as Pydantic models; ``firstplay policy schema`` prints their JSON Schema."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from policies.schemes import DSA, AgeBand, Descriptor, Hazard, RatingAge
from policies.types import Source

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=32)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""
Share = Annotated[float, Field(ge=0, le=1)]
Recall = Annotated[float, Field(gt=0, le=1)]
Threshold = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Phrase = Annotated[str, Field(min_length=3, max_length=120)]
EXPLANATION_FIELDS = {
    "text": "what was read or heard",
    "label": "the label of the strongest finding",
    "detector": "the detector of the strongest finding",
    "score": "its score, 0..1",
    "at": "when, as minutes:seconds",
    "where": "in which playthrough or medium",
    "count": "number of findings that fired the rule",
    "seconds": "seconds between the first and the last of them in one playthrough",
    "episodes": "number of playthroughs in which they were seen",
}
"""Placeholders that an explanation may use."""


def _refuse(problem: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("policy", "{problem}", {"problem": problem, "remedy": remedy})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Phrases(_Strict):
    """What a zero-shot picture detector looks for under one label, in words."""

    show: tuple[Phrase, ...] = Field(min_length=1)
    against: tuple[Phrase, ...] = ()
    """Look-alikes: a picture that resembles one of these more is not counted."""


class DetectorEntry(_Strict):
    """A detector that rules may name. Labels with phrases need not be listed again under ``labels``.

    Several files may declare a detector as long as each declares labels of its own.
    """

    labels: tuple[str, ...] = ()
    phrases: dict[str, Phrases] = {}
    recall: dict[str, Recall] = {}
    """Assumed share of real violations that it finds, by label; a label without one makes no bound."""
    recall_source: str = "assumed"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        labels = tuple(dict.fromkeys((*self.labels, *self.phrases)))
        if not labels:
            raise _refuse("a detector needs at least one label", "List some under 'labels' or 'phrases'.")
        if unknown := sorted(self.recall.keys() - set(labels)):
            known = ", ".join(labels)
            raise _refuse(f"recall names the unknown label {unknown[0]}", f"Choose from: {known}.")
        object.__setattr__(self, "labels", labels)
        return self


class CoverageFloor(_Strict):
    """Below any of these nothing can be cleared."""

    min_sample_episodes: int = Field(ge=1)
    min_search_steps: int = Field(ge=0)
    max_discovery_rate: float = Field(gt=0)
    """New cells per 1,000 steps at the end of the search arm."""


class Category(_Strict):
    """A kind of violation, with its names in the schemes that others use."""

    title: str
    mlcommons: Hazard | None = None
    """Hazard of AILuminate 1.0, such as ``hte`` (hate) or ``prv`` (privacy)."""
    dsa: str
    """Category of the EU's DSA Transparency Database, version 2."""
    dsa_keywords: tuple[str, ...] = ()
    """Keywords of that category."""
    rating: Descriptor | None = None
    """Descriptor in game ratings (PEGI)."""

    @field_validator("dsa")
    @classmethod
    def _known_category(cls, category: str) -> str:
        if category not in DSA:
            raise _refuse(f"unknown DSA category {category}", f"Choose one of: {', '.join(sorted(DSA))}.")
        return category

    @model_validator(mode="after")
    def _keywords_of_the_category(self) -> Self:
        allowed = DSA[self.dsa] | {"KEYWORD_OTHER"}
        if unknown := sorted(set(self.dsa_keywords) - allowed):
            problem = f"{unknown[0]} is no keyword of {self.dsa}"
            raise _refuse(problem, f"Choose from: {', '.join(sorted(allowed))}.")
        return self


class Quota(_Strict):
    """How often something may have happened before a person must look at whatever comes next."""

    of: Literal["prior_rejections", "submissions_today"]
    """Field of :class:`policies.types.Context`."""
    limit: int = Field(ge=0)
    """Above this the quota is used up."""
    then: Literal["needs_review", "escalate"] = "needs_review"
    """``escalate``: a person with more experience must look."""
    explanation: str = Field(min_length=10)


class BreakerLimits(_Strict):
    """Beyond which a rule may only send to people, until somebody resets its circuit breaker."""

    daily: int = Field(default=100, ge=0)
    """Rejections without a person, of one rule in one day (UTC)."""
    rules: dict[Slug, Annotated[int, Field(ge=0)]] = {}
    """The same for some rules, by name."""
    alarm: float = Field(default=1e-4, gt=0, lt=1)
    """Probability of so many firings, if the rule fired as it did before: with twenty rules, one false alarm
    in 500 days that are asked about once. It is asked at every rejection, so expect some more."""
    least: int = Field(default=5, ge=1)
    """Firings below which there is no alarm: few worlds tell nothing."""
    history_days: int = Field(default=28, ge=1, le=365)
    """With which a day is compared."""

    def daily_of(self, rule: str) -> int:
        """Rejections of a rule in one day without a person."""
        return self.rules.get(rule, self.daily)


class LivePlay(_Strict):
    """How the guard watches what players see."""

    hold_frames: int = Field(default=0, ge=0, le=15)
    """Frames by which something new is held back, at most, to wait for the detectors; 0 shows it at once."""
    suspend_after: int = Field(default=1, ge=1, le=1000)
    """Sessions that showed a violation before the world version is suspended."""
    patience: float = Field(default=10.0, ge=1, le=120)
    """Seconds by which the detectors may lag behind what is shown. Worlds stand still before that; play ends
    where no verdict comes for three times as long."""
    on_device: Literal["allowed", "forbidden"] = "forbidden"
    """Whether worlds may be played on the player's own device, where no detector watches."""


class DetectorUse(_Strict):
    """A detector of a rule."""

    name: str
    min_version: str = "0"


class Audience(_Strict):
    """Other thresholds for some players. Where several match, the last one wins."""

    age_bands: tuple[AgeBand, ...] = ()
    regions: tuple[str, ...] = ()
    """Country codes, or names of groups under ``regions`` in the header."""
    thresholds: dict[Name, Threshold] = Field(min_length=1)

    @model_validator(mode="after")
    def _narrower(self) -> Self:
        if not self.age_bands and not self.regions:
            raise _refuse("this audience is everybody", "Name its 'age_bands' or its 'regions'.")
        return self


class Rate(_Strict):
    """What raises the age rating, without blocking anything."""

    when: str
    age: RatingAge
    descriptor: Descriptor


class RuleSpec(_Strict):
    """One rule as written in a file."""

    rule: Slug
    title: str = Field(min_length=3, max_length=80)
    category: str
    severity: Literal["S0", "S1", "S2", "S3", "S4"]
    scope: tuple[Source, ...] = Field(min_length=1)
    detectors: tuple[DetectorUse, ...] = Field(min_length=1)
    thresholds: dict[Name, Threshold] = {}
    """Numbers that the conditions use by name: ``threshold.sure``."""
    audiences: tuple[Audience, ...] = ()
    when: str | None = None
    """Condition on which ``action`` is taken."""
    action: Literal["reject", "needs_review"] = "reject"
    review: str | None = None
    """Condition on which a person must look."""
    rates: tuple[Rate, ...] = ()
    """What raises the age rating."""
    on_missing: Literal["needs_review", "reject", "ignore"] = "needs_review"
    """What happens when a detector of the rule failed or never ran."""
    required: tuple[Source, ...] | None = None
    """Where each detector must have run; default: playthrough if in scope, else media."""
    requires_human: bool = False
    """A rejection by this rule is only a proposal: a person decides."""
    four_eyes: bool = False
    """What a person decides about a world in which this rule fired takes a second person's consent."""
    recall: Recall | None = None
    """Recall of the whole rule for the bound; default: the least of its labels'."""
    explanation: str = Field(min_length=10)
    guideline: str = Field(min_length=10)
    """The sentence of the public guidelines."""
    remedy: str = Field(default="", max_length=300)
    """What the creator can change so that the rule no longer fires."""

    @field_validator("explanation")
    @classmethod
    def _known_placeholders(cls, template: str) -> str:
        return check_explanation(template)


def check_explanation(template: str) -> str:
    """The template of an explanation, if its placeholders are known."""
    known = ", ".join(f"{{{name}}}" for name in EXPLANATION_FIELDS)
    try:
        used = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        problem = f"the explanation is no valid template ({error})"
        raise _refuse(problem, f"Close every brace; placeholders are {known}.") from error
    if unknown := used - EXPLANATION_FIELDS.keys():
        raise _refuse(f"unknown placeholder {{{min(unknown)}}}", f"Choose from {known}.")
    return template


class RuleChange(_Strict):
    """Fields of an inherited rule that a bundle sets anew; thresholds are merged by name."""

    title: str | None = Field(default=None, min_length=3, max_length=80)
    category: str | None = None
    severity: Literal["S0", "S1", "S2", "S3", "S4"] | None = None
    scope: tuple[Source, ...] | None = Field(default=None, min_length=1)
    detectors: tuple[DetectorUse, ...] | None = Field(default=None, min_length=1)
    thresholds: dict[Name, Threshold] = {}
    audiences: tuple[Audience, ...] = ()
    when: str | None = None
    action: Literal["reject", "needs_review"] | None = None
    review: str | None = None
    """``null`` takes the inherited condition away."""
    rates: tuple[Rate, ...] = ()
    on_missing: Literal["needs_review", "reject", "ignore"] | None = None
    requires_human: bool | None = None
    four_eyes: bool | None = None
    recall: Recall | None = None
    explanation: str | None = Field(default=None, min_length=10)
    guideline: str | None = Field(default=None, min_length=10)
    remedy: str | None = Field(default=None, max_length=300)

    @field_validator("explanation")
    @classmethod
    def _known_placeholders(cls, template: str | None) -> str | None:
        return template and check_explanation(template)

    @model_validator(mode="after")
    def _takes_away_conditions_only(self) -> Self:
        for name in self.model_fields_set - {"when", "review", "recall"}:
            if getattr(self, name) is None:
                raise _refuse(f"{name} cannot be taken away", "Give it a value or leave it out.")
        return self

    def applied_to(self, spec: RuleSpec) -> RuleSpec:
        """The inherited rule with these changes."""
        fresh = {name: getattr(self, name) for name in self.model_fields_set}
        return spec.model_copy(update={**fresh, "thresholds": {**spec.thresholds, **self.thresholds}})


class CaseFinding(_Strict):
    """One finding of a test case; ``times`` repeats it each ``every`` seconds."""

    detector: str
    label: str
    score: Share
    source: Source = Source.PLAYTHROUGH
    start: float = 0.0
    end: float | None = None
    playthrough: str | None = "p1"
    text: str | None = None
    times: int = Field(default=1, ge=1, le=1000)
    every: float = Field(default=0.2, ge=0)


class CaseSpec(_Strict):
    """A test vector: the bundle does not load unless it decides this as expected."""

    name: str
    findings: tuple[CaseFinding, ...] = ()
    failed: tuple[str, ...] = ()
    """Detectors that failed; all others ran."""
    absent: tuple[str, ...] = ()
    """Detectors that never ran."""
    uncovered: dict[str, tuple[str, ...]] = {}
    """Labels that a detector could not judge."""
    coverage: Literal["enough", "too_little"] = "enough"
    stage: Literal["release", "live"] = "release"
    age_band: AgeBand | None = None
    region: Country | None = None
    remix: bool = False
    prior_rejections: int = Field(default=0, ge=0)
    submissions_today: int = Field(default=0, ge=0)
    expect: Literal["cleared", "needs_review", "rejected", "inconclusive"]
    fired: tuple[str, ...] | None = None
    """Rules that must fire, exactly; left out, any may."""
    rating: RatingAge | None = None
    """Age that must come out; left out, any may."""
    approvals: Literal[1, 2] | None = None
    """People who must agree; left out, any number."""


class Header(_Strict):
    """What the bundle as a whole says, with what it inherits."""

    bundle: Slug
    version: str
    status: Literal["draft", "shadow", "live", "retired"]
    summary: str
    coverage: CoverageFloor
    detectors: dict[str, DetectorEntry]
    categories: dict[str, Category]
    extends: str | None = None
    """``default``, or a path from this file's folder, to the bundle that this one changes."""
    live: LivePlay = LivePlay()
    quality_sampling: Share = 0.0
    """Share of the worlds decided without a person that a person sees as well, to check the policy."""
    quotas: tuple[Quota, ...] = ()
    breakers: BreakerLimits | None = None
    """None: the usual limits."""
    regions: dict[Slug, tuple[Country, ...]] = {}
    """Groups of countries that ``audiences`` may name."""


class Document(_Strict):
    """One YAML file. A bundle is one file or all files of a folder.

    Exactly one of them has the header; detectors, categories, rules and tests may stand in any.
    """

    bundle: Slug | None = None
    version: str | None = None
    status: Literal["draft", "shadow", "live", "retired"] | None = None
    summary: str | None = None
    extends: str | None = None
    disable: tuple[str, ...] | None = None
    """Inherited rules that do not hold here."""
    change: dict[str, RuleChange] | None = None
    """Changes to inherited rules, by name. A rule of the same name under ``rules`` replaces one whole."""
    coverage: CoverageFloor | None = None
    live: LivePlay | None = None
    quality_sampling: Share | None = None
    quotas: tuple[Quota, ...] | None = None
    breakers: BreakerLimits | None = None
    regions: dict[Slug, tuple[Country, ...]] | None = None
    detectors: dict[str, DetectorEntry] = {}
    categories: dict[str, Category] = {}
    rules: tuple[RuleSpec, ...] = ()
    tests: tuple[CaseSpec, ...] = ()


HEADER_KEYS = tuple(
    name for name in Document.model_fields if name not in {"detectors", "categories", "rules", "tests"}
)
"""What exactly one file of a bundle says."""


def json_schema() -> dict[str, object]:
    """JSON Schema (2020-12) of one file of a bundle, for editors."""
    schema: dict[str, object] = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
