"""The decision: a pure function of a bundle, findings, detector runs, coverage and context."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import isfinite
from typing import Literal, NamedTuple, TypeAlias

from policies import wording
from policies.bound import upper_bound
from policies.bundle import Bundle
from policies.compiling import LIVE, Conditions, Reliance, Rule
from policies.evidence import Evidence, Index, Strengths, Value
from policies.expressions import Expression
from policies.schema import Quota, Rate
from policies.schemes import LOWEST_AGE
from policies.types import (
    Bound,
    Context,
    Coverage,
    Decision,
    DetectorRun,
    Finding,
    Fired,
    Ground,
    Rating,
    Source,
    Verdict,
)

SEVERITY = {Verdict.CLEARED: 0, Verdict.INCONCLUSIVE: 1, Verdict.NEEDS_REVIEW: 2, Verdict.REJECTED: 3}
"""The most severe outcome wins."""
_ACTIONS = {"reject": Verdict.REJECTED, "needs_review": Verdict.NEEDS_REVIEW}
_DRAWS = 2**32
Basis: TypeAlias = Literal["when", "review", "missing", "none"]


@dataclass(frozen=True)
class _Outcome:
    """What one rule says, and why."""

    rule: Rule
    conditions: Conditions
    evidence: Evidence
    context: Context
    verdict: Verdict
    basis: Basis
    findings: Strengths
    missing: tuple[str, ...]
    """Why its detectors cannot be relied on, one sentence each."""
    halted: bool = False
    """It would have rejected, but goes to a person for now."""

    @cached_property
    def values(self) -> dict[str, Value]:
        """Of every function in its conditions."""
        return {k: v for e in self.conditions.every for k, v in e.values(self.evidence).items()}

    @cached_property
    def rated(self) -> tuple[tuple[Rate, Strengths], ...]:
        """What raises the age rating, with the findings that do."""
        pairs = zip(self.rule.spec.rates, self.conditions.rates, strict=True)
        seen, context = self.evidence, self.context
        return tuple((rate, e.explain(seen, context)) for rate, e in pairs if e.holds(seen, context))


class Material:
    """Findings and detector runs, indexed: bundles that judge the same evidence share what is worked out."""

    def __init__(self, findings: Sequence[Finding], runs: Sequence[DetectorRun]) -> None:
        self.index = Index(findings)
        self._runs = _by_detector(runs)
        self._unreliable: dict[Reliance, str | None] = {}

    def unreliable(self, reliance: Reliance) -> str | None:
        """Why a detector cannot be relied on like this; None where it can."""
        if reliance not in self._unreliable:
            own = [run for run in self._runs.get(reliance.name, ()) if run.source in reliance.sources]
            self._unreliable[reliance] = _unreliable(reliance, own)
        return self._unreliable[reliance]


@dataclass(frozen=True)
class Hit:
    """One rule that fired, with what fired it, as in :class:`policies.types.Fired`."""

    rule: str
    action: Verdict
    severity: str
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Outline:
    """What a decision comes to, before it is put into words."""

    verdict: Verdict
    fired: tuple[Hit, ...]
    """Most severe first."""


class _Judged(NamedTuple):
    """What rules, coverage and quotas come to."""

    outcomes: list[_Outcome]
    shortfalls: list[str]
    quotas: list[Quota]
    verdict: Verdict
    fired: list[_Outcome]
    """Most severe first."""


def _judge(
    bundle: Bundle,
    material: Material,
    coverage: Coverage,
    context: Context,
    review_only: frozenset[str] = frozenset(),
) -> _Judged:
    outcomes = [_halted(o, review_only) for o in _outcomes(bundle, material, context)]
    shortfalls = [] if context.stage == "live" else _shortfalls(bundle, coverage)
    quotas = _quotas(bundle, context)
    fired = sorted((o for o in outcomes if o.basis != "none"), key=_weight)
    return _Judged(outcomes, shortfalls, quotas, _verdict(outcomes, shortfalls, quotas), fired)


def outline(bundle: Bundle, material: Material, coverage: Coverage, context: Context) -> Outline:
    """The verdict and the rules that :func:`decide` comes to, without its words: for very many worlds."""
    judged = _judge(bundle, material, coverage, context)
    hits = (
        Hit(o.rule.id, o.verdict, o.rule.spec.severity, tuple(f.id for f in o.findings)) for o in judged.fired
    )
    return Outline(judged.verdict, tuple(hits))


def decide(
    bundle: Bundle,
    findings: Sequence[Finding],
    runs: Sequence[DetectorRun],
    coverage: Coverage,
    context: Context | None = None,
    version: str | None = None,
    review_only: frozenset[str] = frozenset(),
) -> Decision:
    """Decide on one world version, or on one live session (``Context(stage="live")``).

    Deterministic and independent of the order of findings and runs. A detector that had nothing to look
    at reports a run with ``items=0, ok=True``; one without a run counts as missing. Too little coverage
    never clears. ``version`` is the version's content hash: with the policy's it draws the worlds that a
    person sees as well (``quality_sampling``); without it none is drawn. What the rules
    ``review_only`` would reject goes to a person instead: their circuit breaker has tripped.
    """
    context = context or Context()
    live = context.stage == "live"
    outcomes, shortfalls, quotas, verdict, firing = _judge(
        bundle, Material(findings, runs), coverage, context, review_only
    )
    fired = tuple(_fired(bundle, one) for one in firing)
    return Decision(
        verdict=verdict,
        policy=bundle.name,
        policy_hash=bundle.sha256,
        fired=fired,
        reasons=_reasons(outcomes, fired, [*shortfalls, *(q.explanation for q in quotas)], coverage, context),
        bounds=() if live else _bounds(outcomes, coverage),
        trace=tuple(_trace(o) for o in outcomes),
        rating=None if live else _rating(outcomes, bool(shortfalls)),
        approvals=2 if any(one.four_eyes for one in fired) else 1,
        escalate=any(quota.then == "escalate" for quota in quotas),
        sampled=not live and verdict in {Verdict.CLEARED, Verdict.REJECTED} and _drawn(bundle, version),
    )


def _outcomes(bundle: Bundle, material: Material, context: Context) -> list[_Outcome]:
    rules = (rule for rule in bundle.rules if _stage_sources(rule, context))
    return [_evaluate(rule, material, context) for rule in rules]


def _quotas(bundle: Bundle, context: Context) -> list[Quota]:
    """Those that are used up; live play knows none."""
    if context.stage == "live":
        return []
    return [quota for quota in bundle.header.quotas if getattr(context, quota.of) > quota.limit]


def _verdict(outcomes: Sequence[_Outcome], shortfalls: Sequence[str], quotas: Sequence[Quota]) -> Verdict:
    candidates = [Verdict.CLEARED, *(o.verdict for o in outcomes)]
    if shortfalls:
        candidates.append(Verdict.INCONCLUSIVE)
    if quotas:
        candidates.append(Verdict.NEEDS_REVIEW)
    return max(candidates, key=SEVERITY.__getitem__)


def _drawn(bundle: Bundle, version: str | None) -> bool:
    """Whether a person checks this decision: nobody can tell beforehand, everybody can tell afterwards."""
    if version is None:
        return False
    digest = hashlib.sha256(f"{bundle.sha256}:{version}".encode()).digest()
    return int.from_bytes(digest[:4]) / _DRAWS < bundle.header.quality_sampling


def _stage_sources(rule: Rule, context: Context) -> frozenset[Source]:
    return rule.scope & LIVE if context.stage == "live" else rule.scope


def _by_detector(runs: Sequence[DetectorRun]) -> dict[str, list[DetectorRun]]:
    """Distinct runs: thousands of pieces of work say the same."""
    grouped: dict[str, list[DetectorRun]] = {}
    for run in dict.fromkeys(runs):
        grouped.setdefault(run.detector, []).append(run)
    return grouped


def _evaluate(rule: Rule, material: Material, context: Context) -> _Outcome:
    evidence = material.index.view(rule.detectors, _stage_sources(rule, context))
    missing = _missing(rule, material, context)
    conditions = rule.conditions(context)

    def outcome(verdict: Verdict, basis: Basis, condition: Expression | None = None) -> _Outcome:
        found = condition.explain(evidence, context) if condition else ()
        return _Outcome(rule, conditions, evidence, context, verdict, basis, found, missing)

    if conditions.when and conditions.when.holds(evidence, context):
        yes = outcome(_action(rule), "when", conditions.when)
    elif conditions.review and conditions.review.holds(evidence, context):
        yes = outcome(Verdict.NEEDS_REVIEW, "review", conditions.review)
    else:
        yes = outcome(Verdict.CLEARED, "none")
    if not missing or rule.spec.on_missing == "ignore":
        return yes
    no = outcome(_ACTIONS[rule.spec.on_missing], "missing")
    return max((yes, no), key=lambda o: SEVERITY[o.verdict])


def _halted(outcome: _Outcome, review_only: frozenset[str]) -> _Outcome:
    if outcome.rule.id not in review_only or outcome.verdict is not Verdict.REJECTED:
        return outcome
    return replace(outcome, verdict=Verdict.NEEDS_REVIEW, halted=True)


def _action(rule: Rule) -> Verdict:
    return Verdict.NEEDS_REVIEW if rule.spec.requires_human else _ACTIONS[rule.spec.action]


def _missing(rule: Rule, material: Material, context: Context) -> tuple[str, ...]:
    """Why each detector of the rule that cannot be relied on cannot."""
    asked = rule.asks_live if context.stage == "live" else rule.asks
    return tuple(why for why in map(material.unreliable, asked) if why is not None)


def _unreliable(reliance: Reliance, runs: Sequence[DetectorRun]) -> str | None:
    name, least = reliance.name, reliance.min_version
    if errors := sorted({run.error or "no reason given" for run in runs if not run.ok}):
        return f"{name} failed ({wording.quote(errors[0])})"
    recent = {run.source for run in runs if _version(run.version) >= _version(least)}
    if unseen := sorted(reliance.required - recent):
        old = any(run.source in unseen for run in runs)
        what = f"ran in a version before {least}" if old else "never ran"
        return f"{name} {what} on {wording.SOURCES[unseen[0]]}"
    if unjudged := sorted({label for run in runs for label in run.uncovered} & reliance.labels):
        return f"{name} cannot judge {', '.join(label.replace('_', ' ') for label in unjudged)}"
    return None


@lru_cache(maxsize=1024)
def _version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version, without trailing zeros: ``3``, ``3.0`` and ``3-rc1`` are equal."""
    release = re.split(r"[-+]", text, maxsplit=1)[0]
    numbers = [int("".join(filter(str.isdigit, part)) or 0) for part in release.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _shortfalls(bundle: Bundle, coverage: Coverage) -> list[str]:
    floor = bundle.header.coverage
    words = []
    if coverage.sample_episodes < floor.min_sample_episodes:
        words.append(
            f"only {coverage.sample_episodes} of the {floor.min_sample_episodes} independent playthroughs "
            "that the policy asks for were played and scanned"
        )
    if coverage.search_steps < floor.min_search_steps:
        words.append(
            f"only {coverage.search_steps:,} of the {floor.min_search_steps:,} search steps that the policy "
            "asks for were taken"
        )
    if not isfinite(coverage.discovery_rate):
        words.append("the search was too short to measure how much it still found")
    elif coverage.discovery_rate > floor.max_discovery_rate:
        words.append(
            f"exploration still found {coverage.discovery_rate:.1f} new cells per 1,000 steps when it "
            f"stopped; the policy's limit is {floor.max_discovery_rate:g}"
        )
    return [f"Too little was looked at: {shortfall}." for shortfall in words]


def _bounds(outcomes: Sequence[_Outcome], coverage: Coverage) -> tuple[Bound, ...]:
    """For each rule against something in play that saw nothing and whose detectors all ran."""
    quiet = (o for o in outcomes if o.rule.blocks and o.basis == "none" and not o.missing)
    return tuple(
        _bound(o.rule, recall, coverage)
        for o in quiet
        if Source.PLAYTHROUGH in o.rule.spec.scope
        and (recall := _recall(o.rule, coverage.recall)) is not None
    )


def _recall(rule: Rule, measured: Mapping[str, Mapping[str, float]]) -> float | None:
    """The least recall of what the rule relies on: as measured, and never more than the bundle assumes.

    Detectors whose labels the rule names see for themselves, or judge the words of its other detectors, which
    are readers: then each reader counts together with each judge. None where nothing is assumed and something
    was not measured.
    """
    judges = {name: labels for name, labels in rule.uses.items() if labels}
    readers = rule.uses.keys() - judges.keys()
    links = [f"{reader}+" for reader in readers] or [""]
    known = [
        measured.get(f"{link}{name}", {}).get(label)
        for link in links
        for name, labels in judges.items()
        for label in labels
    ]
    assumed = [] if rule.recall is None else [rule.recall]
    if None in known and not assumed:
        return None
    return min([*assumed, *(one for one in known if one is not None)], default=None)


def _bound(rule: Rule, recall: float, coverage: Coverage) -> Bound:
    """With the recall of a rule's detectors as they look: at little, they also find less."""
    recall *= min(coverage.kept.get(name, 1.0) for name in rule.detectors)
    upper = upper_bound(coverage.sample_episodes, recall) if recall > 0 else 1.0
    return Bound(rule.id, recall, coverage.sample_episodes, upper)


def _rating(outcomes: Sequence[_Outcome], too_little: bool) -> Rating:
    grounds = [
        Ground(
            outcome.rule.id,
            rate.age,
            rate.descriptor,
            tuple(f.id for f in found),
            wording.sentence(outcome.rule.spec.explanation, found),
        )
        for outcome in outcomes
        for rate, found in outcome.rated
    ]
    grounds.sort(key=lambda ground: (-ground.age, ground.descriptor, ground.rule))
    return Rating(
        age=max((ground.age for ground in grounds), default=LOWEST_AGE),
        descriptors=tuple(dict.fromkeys(ground.descriptor for ground in grounds)),
        grounds=tuple(grounds),
        provisional=too_little or any(o.missing and o.rule.spec.rates for o in outcomes),
    )


def _weight(outcome: _Outcome) -> tuple[int, int, str]:
    return -SEVERITY[outcome.verdict], -int(outcome.rule.spec.severity[1:]), outcome.rule.id


def _fired(bundle: Bundle, outcome: _Outcome) -> Fired:
    spec = outcome.rule.spec
    category = bundle.header.categories[spec.category]
    return Fired(
        rule=spec.rule,
        category=spec.category,
        severity=spec.severity,
        action=outcome.verdict,
        findings=tuple(f.id for f in outcome.findings),
        explanation=_explanation(outcome),
        title=spec.title,
        guideline=spec.guideline,
        remedy=spec.remedy if outcome.basis != "missing" else "",
        four_eyes=spec.four_eyes,
        dsa=category.dsa,
        dsa_keywords=category.dsa_keywords,
    )


def _explanation(outcome: _Outcome) -> str:
    if outcome.basis == "missing":
        return f"{outcome.rule.spec.title} could not be judged: {'; '.join(outcome.missing)}."
    said = wording.sentence(outcome.rule.spec.explanation, outcome.findings)
    return f"{said} Besides, {'; '.join(outcome.missing)}." if outcome.missing else said


def _reasons(
    outcomes: Sequence[_Outcome],
    fired: Sequence[Fired],
    obstacles: Sequence[str],
    coverage: Coverage,
    context: Context,
) -> tuple[str, ...]:
    unjudged = {o.rule.id for o in outcomes if o.basis == "missing"}
    seen = [f.explanation for f in fired if f.rule not in unjudged]
    nothing = [] if fired else ["No rule found a violation in what was looked at."]
    words = [*seen, *_to_people(outcomes), *_unjudged(outcomes), *obstacles, *nothing]
    if context.stage == "live":
        return tuple(words)
    return (*words, f"Exploration ended: {wording.quote(coverage.stop_reason)}.")


def _to_people(outcomes: Sequence[_Outcome]) -> list[str]:
    """That people decide for now what some rules would reject."""
    titles = ", ".join(o.rule.spec.title for o in sorted(outcomes, key=_weight) if o.halted)
    return [f"{titles}: rejected too often of late, so a person decides."] if titles else []


def _unjudged(outcomes: Sequence[_Outcome]) -> list[str]:
    """One sentence for each cause, naming the rules that it leaves without a judgement."""
    titles: dict[str, list[str]] = {}
    for outcome in sorted((o for o in outcomes if o.basis == "missing"), key=_weight):
        titles.setdefault("; ".join(outcome.missing), []).append(outcome.rule.spec.title)
    return [f"Could not be judged, as {cause}: {', '.join(names)}." for cause, names in titles.items()]


def _trace(outcome: _Outcome) -> dict[str, object]:
    rule = outcome.rule
    return {
        "rule": rule.id,
        "outcome": outcome.verdict.value,
        "basis": outcome.basis,
        "when": rule.spec.when,
        "review": rule.spec.review,
        "rates": [
            {"age": rate.age, "descriptor": rate.descriptor, "when": rate.when} for rate, _ in outcome.rated
        ],
        "thresholds": dict(outcome.conditions.thresholds),
        "values": {key: _json(value) for key, value in outcome.values.items()},
        "missing": list(outcome.missing),
        "findings": len(outcome.findings),
        "monotone": rule.monotone,
        "halted": outcome.halted,
    }


def _json(value: Value) -> Value | None:
    """JSON has no infinity: a moment that never came is null."""
    return None if isinstance(value, float) and not isfinite(value) else value
