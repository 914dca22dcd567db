"""The decision: a pure function of a bundle, findings, detector runs, coverage and context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, TypeAlias

from policies.bound import upper_bound
from policies.bundle import Bundle, Rule
from policies.evidence import Index, Strengths, Value
from policies.expressions import Expression
from policies.types import Bound, Context, Coverage, Decision, DetectorRun, Finding, Fired, Source, Verdict

SEVERITY = {Verdict.CLEARED: 0, Verdict.INCONCLUSIVE: 1, Verdict.NEEDS_REVIEW: 2, Verdict.REJECTED: 3}
"""The most severe outcome wins."""
_ACTIONS = {"reject": Verdict.REJECTED, "needs_review": Verdict.NEEDS_REVIEW}
_SOURCES = {Source.MEDIA: "the submitted media", Source.PLAYTHROUGH: "playthroughs", Source.LIVE: "live play"}
_LONGEST_QUOTE = 120
Basis: TypeAlias = Literal["when", "review", "missing", "none"]


@dataclass(frozen=True)
class _Outcome:
    """What one rule says, and why."""

    rule: Rule
    verdict: Verdict
    basis: Basis
    findings: Strengths
    missing: tuple[str, ...]
    """Why its detectors cannot be relied on, one sentence each."""
    values: dict[str, Value]


def decide(
    bundle: Bundle,
    findings: Sequence[Finding],
    runs: Sequence[DetectorRun],
    coverage: Coverage,
    context: Context | None = None,
) -> Decision:
    """Decide on one world version, or on one live session (``Context(stage="live")``).

    Deterministic and independent of the order of findings and runs. A detector that had nothing to look
    at reports a run with ``items=0, ok=True``; one without a run counts as missing. Too little coverage
    never clears.
    """
    context = context or Context()
    index = Index(findings)
    rules = [rule for rule in bundle.rules if _stage_sources(rule, context)]
    outcomes = [_evaluate(rule, index, runs, context) for rule in rules]
    shortfalls = [] if context.stage == "live" else _shortfalls(bundle, coverage)
    verdict = max((o.verdict for o in outcomes), key=SEVERITY.__getitem__, default=Verdict.CLEARED)
    if shortfalls and verdict is Verdict.CLEARED:
        verdict = Verdict.INCONCLUSIVE
    fired = tuple(_fired(o) for o in sorted(outcomes, key=_weight) if o.basis != "none")
    return Decision(
        verdict=verdict,
        policy=bundle.name,
        policy_hash=bundle.sha256,
        fired=fired,
        reasons=_reasons(outcomes, fired, shortfalls, coverage, context),
        bounds=() if context.stage == "live" else _bounds(outcomes, coverage),
        trace=tuple(_trace(o) for o in outcomes),
    )


def _stage_sources(rule: Rule, context: Context) -> frozenset[Source]:
    scope = frozenset(rule.spec.scope)
    return scope & {Source.LIVE} if context.stage == "live" else scope


def _evaluate(rule: Rule, index: Index, runs: Sequence[DetectorRun], context: Context) -> _Outcome:
    sources = _stage_sources(rule, context)
    evidence = index.view(rule.detectors, sources)
    missing = _missing(rule, runs, sources, context)
    values = {k: v for e in (rule.when, rule.review) if e for k, v in e.values(evidence).items()}

    def outcome(verdict: Verdict, basis: Basis, condition: Expression | None = None) -> _Outcome:
        found = condition.explain(evidence, context) if condition else ()
        return _Outcome(rule, verdict, basis, found, missing, values)

    candidates = [outcome(Verdict.CLEARED, "none")]
    if missing and rule.spec.on_missing != "ignore":
        candidates.append(outcome(_ACTIONS[rule.spec.on_missing], "missing"))
    if rule.review and rule.review.holds(evidence, context):
        candidates.append(outcome(Verdict.NEEDS_REVIEW, "review", rule.review))
    if rule.when and rule.when.holds(evidence, context):
        candidates.append(outcome(_action(rule), "when", rule.when))
    return max(reversed(candidates), key=lambda o: SEVERITY[o.verdict])


def _action(rule: Rule) -> Verdict:
    return Verdict.NEEDS_REVIEW if rule.spec.requires_human else _ACTIONS[rule.spec.action]


def _missing(
    rule: Rule, runs: Sequence[DetectorRun], sources: frozenset[Source], context: Context
) -> tuple[str, ...]:
    """Why each detector of the rule that cannot be relied on cannot."""
    required = frozenset({Source.LIVE}) if context.stage == "live" else rule.required
    reasons = []
    for use in sorted(rule.spec.detectors, key=lambda use: use.name):
        own = [run for run in runs if run.detector == use.name and run.source in sources]
        errors = sorted({run.error or "no reason given" for run in own if not run.ok})
        recent = {r.source for r in own if r.ok and _version(r.version) >= _version(use.min_version)}
        if errors:
            reasons.append(f"{use.name} failed ({_quote(errors[0])})")
        elif unseen := sorted(required - recent):
            old = any(run.ok and run.source in unseen for run in own)
            what = f"ran in a version before {use.min_version}" if old else "never ran"
            reasons.append(f"{use.name} {what} on {_SOURCES[unseen[0]]}")
    return tuple(reasons)


def _version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version, without trailing zeros: ``3``, ``3.0`` and ``3.0-rc1`` are equal."""
    numbers = [int("".join(filter(str.isdigit, part)) or 0) for part in text.partition("-")[0].split(".")]
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
    """For each rule about play that saw nothing and whose detectors all ran."""
    quiet = (o for o in outcomes if o.basis == "none" and not o.missing)
    return tuple(
        Bound(o.rule.id, recall, coverage.sample_episodes, upper_bound(coverage.sample_episodes, recall))
        for o in quiet
        if (recall := o.rule.recall) is not None and Source.PLAYTHROUGH in o.rule.spec.scope
    )


def _weight(outcome: _Outcome) -> tuple[int, int, str]:
    return -SEVERITY[outcome.verdict], -int(outcome.rule.spec.severity[1:]), outcome.rule.id


def _fired(outcome: _Outcome) -> Fired:
    spec = outcome.rule.spec
    return Fired(
        rule=spec.rule,
        category=spec.category,
        severity=spec.severity,
        action=outcome.verdict,
        findings=tuple(f.id for f in outcome.findings),
        explanation=_explanation(outcome),
        title=spec.title,
        guideline=spec.guideline,
    )


def _explanation(outcome: _Outcome) -> str:
    if outcome.basis == "missing" or not outcome.findings:
        why = "; ".join(outcome.missing) or "its condition holds without a finding"
        return f"{outcome.rule.spec.title} could not be judged: {why}." if outcome.missing else f"{why}."
    sentence = outcome.rule.spec.explanation.format_map(_facts(outcome.findings))
    return f"{sentence} Besides, {'; '.join(outcome.missing)}." if outcome.missing else sentence


def _facts(findings: Strengths) -> dict[str, object]:
    first = next((f for f in findings if f.text), findings[0])
    same = [f for f in findings if (f.playthrough, f.media) == (first.playthrough, first.media)]
    seconds = max(max(f.start, f.end) for f in same) - min(f.start for f in same)
    return {
        "text": _quote(first.text or ""),
        "label": first.label.replace("_", " "),
        "detector": first.detector,
        "score": first.score,
        "at": f"{int(first.start // 60)}:{first.start % 60:04.1f}",
        "where": _where(first),
        "count": len(findings),
        "seconds": seconds,
        "episodes": len({f.playthrough for f in findings} - {None}),
    }


def _where(finding: Finding) -> str:
    if finding.media:
        return f"the submitted {_quote(finding.media)}"
    return (
        f"playthrough {_quote(finding.playthrough)[:8]}" if finding.playthrough else _SOURCES[finding.source]
    )


def _quote(text: str) -> str:
    """Printable, on one line and short: it goes into sentences."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= _LONGEST_QUOTE else clean[: _LONGEST_QUOTE - 1] + "…"


def _reasons(
    outcomes: Sequence[_Outcome],
    fired: Sequence[Fired],
    shortfalls: Sequence[str],
    coverage: Coverage,
    context: Context,
) -> tuple[str, ...]:
    unjudged = {o.rule.id for o in outcomes if o.basis == "missing"}
    seen = [f.explanation for f in fired if f.rule not in unjudged]
    nothing = [] if fired else ["No rule found a violation in what was looked at."]
    words = [*seen, *_unjudged(outcomes), *shortfalls, *nothing]
    if context.stage == "live":
        return tuple(words)
    return (*words, f"Exploration ended: {_quote(coverage.stop_reason)}.")


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
        "values": {key: _json(value) for key, value in outcome.values.items()},
        "missing": list(outcome.missing),
        "findings": len(outcome.findings),
        "monotone": rule.monotone,
    }


def _json(value: Value) -> Value | None:
    """JSON has no infinity: a moment that never came is null."""
    return None if isinstance(value, float) and not isfinite(value) else value
