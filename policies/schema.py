"""The documents of a bundle, as Pydantic models; ``firstplay policy schema`` prints their JSON Schema."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from policies.types import Source

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Share = Annotated[float, Field(ge=0, le=1)]
Recall = Annotated[float, Field(gt=0, le=1)]
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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DetectorEntry(_Strict):
    """A detector that rules may name."""

    labels: tuple[str, ...] = Field(min_length=1)
    recall: dict[str, Recall] = {}
    """Assumed share of real violations that it finds, by label; a label without one makes no bound."""
    recall_source: str = "assumed"


class CoverageFloor(_Strict):
    """Below any of these nothing can be cleared."""

    min_sample_episodes: int = Field(ge=1)
    min_search_steps: int = Field(ge=0)
    max_discovery_rate: float = Field(gt=0)
    """New cells per 1,000 steps at the end of the search arm."""


class Category(_Strict):
    """A kind of violation, with its names in the schemes that others use."""

    title: str
    mlcommons: str | None = None
    """Hazard of AILuminate 1.0, such as ``hte`` (hate) or ``prv`` (privacy)."""
    dsa: str
    """Category of the EU's DSA Transparency Database, version 2."""
    rating: str | None = None
    """Descriptor in game ratings (PEGI)."""


class DetectorUse(_Strict):
    """A detector of a rule."""

    name: str
    min_version: str = "0"


class RuleSpec(_Strict):
    """One rule as written in a file."""

    rule: Slug
    title: str = Field(min_length=3, max_length=80)
    category: str
    severity: Literal["S0", "S1", "S2", "S3", "S4"]
    scope: tuple[Source, ...] = Field(min_length=1)
    detectors: tuple[DetectorUse, ...] = Field(min_length=1)
    when: str | None = None
    """Condition on which ``action`` is taken."""
    action: Literal["reject", "needs_review"] = "reject"
    review: str | None = None
    """Condition on which a person must look."""
    on_missing: Literal["needs_review", "reject", "ignore"] = "needs_review"
    """What happens when a detector of the rule failed or never ran."""
    required: tuple[Source, ...] | None = None
    """Where each detector must have run; default: playthrough if in scope, else media."""
    requires_human: bool = False
    """A rejection by this rule is only a proposal: a person decides."""
    recall: Recall | None = None
    """Recall of the whole rule for the bound; default: the least of its labels'."""
    explanation: str = Field(min_length=10)
    guideline: str = Field(min_length=10)
    """The sentence of the public guidelines."""

    @field_validator("explanation")
    @classmethod
    def _known_placeholders(cls, template: str) -> str:
        try:
            parts = list(Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"the explanation is no valid template ({error})") from error
        used = {name for _, name, _, _ in parts if name is not None}
        if unknown := used - EXPLANATION_FIELDS.keys():
            known = ", ".join(sorted(EXPLANATION_FIELDS))
            raise ValueError(f"unknown placeholder {{{min(unknown)}}}; choose from {known}")
        return template


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
    coverage: Literal["enough", "too_little"] = "enough"
    stage: Literal["release", "live"] = "release"
    expect: Literal["cleared", "needs_review", "rejected", "inconclusive"]
    fired: tuple[str, ...] | None = None
    """Rules that must fire, exactly; left out, any may."""


class Header(_Strict):
    """What the bundle as a whole says."""

    bundle: Slug
    version: str
    status: Literal["draft", "shadow", "live", "retired"]
    summary: str
    coverage: CoverageFloor
    detectors: dict[str, DetectorEntry]
    categories: dict[str, Category]


class Document(_Strict):
    """One YAML file. A bundle is one file or all files of a folder; exactly one has the header's keys."""

    bundle: Slug | None = None
    version: str | None = None
    status: Literal["draft", "shadow", "live", "retired"] | None = None
    summary: str | None = None
    coverage: CoverageFloor | None = None
    detectors: dict[str, DetectorEntry] | None = None
    categories: dict[str, Category] | None = None
    rules: tuple[RuleSpec, ...] = ()
    tests: tuple[CaseSpec, ...] = ()


def json_schema() -> dict[str, object]:
    """JSON Schema (2020-12) of one file of a bundle, for editors."""
    schema: dict[str, object] = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
