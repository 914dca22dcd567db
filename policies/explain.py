"""A decision as text: what was decided, why, and by which values; for moderators and policy authors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policies.types import Decision, Finding, Fired, Rating
from policies.wording import clock, quote, where

MAX_EVIDENCE = 5
"""Findings shown for each rule; the rest are counted."""


def explain(decision: Decision, findings: Iterable[Finding] = ()) -> str:
    """The whole trace of a decision; evidence is quoted as far as its ``findings`` are given."""
    known = {finding.id: finding for finding in findings}
    return "\n".join(_lines(decision, known))


def _lines(decision: Decision, known: Mapping[str, Finding]) -> Iterator[str]:
    yield f"{decision.verdict.value} by {decision.policy} (sha256 {decision.policy_hash[:12]})"
    yield from _consequences(decision)
    yield ""
    yield from (f"- {reason}" for reason in decision.reasons)
    if decision.rating is not None:
        yield ""
        yield from _rating(decision.rating, known)
    fired = {one.rule: one for one in decision.fired}
    entries: list[dict[str, Any]] = [dict(entry) for entry in decision.trace]
    order = list(fired)
    for entry in sorted((e for e in entries if e["rule"] in fired), key=lambda e: order.index(e["rule"])):
        yield ""
        yield from _rule(entry, fired[entry["rule"]], known)
    if quiet := [entry for entry in entries if entry["rule"] not in fired]:
        yield ""
        yield "not fired:"
        yield from (f"  {entry['rule']}{_values(entry)}" for entry in quiet)
    if decision.bounds:
        yield ""
        yield "could still show, at 95 % confidence:"
        for bound in decision.bounds:
            yield (
                f"  {bound.rule}: in at most {bound.upper:.1%} of sessions "
                f"({bound.episodes} playthroughs, recall {bound.recall:g})"
            )


def _consequences(decision: Decision) -> Iterator[str]:
    if decision.approvals > 1:
        yield f"{decision.approvals} people must agree on what a person decides about this."
    if decision.escalate:
        yield "A person with more experience must look: a quota is used up."
    if decision.sampled:
        yield "Drawn for a person to check the policy."


def _rating(rating: Rating, known: Mapping[str, Finding]) -> Iterator[str]:
    words = f": {', '.join(rating.descriptors)}" if rating.descriptors else ""
    note = " (provisional: not everything that could raise it was judged)" if rating.provisional else ""
    yield f"rated {rating.age}+{words}{note}"
    for ground in rating.grounds:
        yield f"  {ground.age}+ {ground.descriptor} [{ground.rule}] {ground.explanation}"
        yield from _evidence(ground.findings, known)


def _rule(entry: Mapping[str, Any], fired: Fired, known: Mapping[str, Finding]) -> Iterator[str]:
    yield f"{fired.title} [{fired.rule}], severity {fired.severity}: {entry['outcome']} ({entry['basis']})"
    if entry["basis"] in {"when", "review"}:
        yield f"  {entry['basis']} {quote(entry[entry['basis']], None)}"
    if thresholds := entry.get("thresholds"):
        yield "  with " + ", ".join(f"threshold.{name} = {value:g}" for name, value in thresholds.items())
    yield from (f"  {call} = {_number(value)}" for call, value in entry["values"].items())
    yield from (f"  missing: {reason}" for reason in entry["missing"])
    if entry.get("halted"):
        yield "  it would have rejected, but its circuit breaker has tripped (firstplay policy breakers)"
    yield from _evidence(fired.findings, known)
    if fired.remedy:
        yield f"  what to change: {fired.remedy}"


def _evidence(ids: tuple[str, ...], known: Mapping[str, Finding]) -> Iterator[str]:
    for name in ids[:MAX_EVIDENCE]:
        yield f"    {_finding(known[name]) if name in known else name}"
    if len(ids) > MAX_EVIDENCE:
        yield f"    and {len(ids) - MAX_EVIDENCE} more"


def _finding(finding: Finding) -> str:
    said = f" “{quote(finding.text)}”" if finding.text else ""
    seen = f"{finding.detector} {finding.version}: {finding.label} {finding.score:.2f}"
    return f"{seen} at {clock(finding.start)} in {where(finding)}{said}"


def _values(entry: Mapping[str, Any]) -> str:
    values = ", ".join(f"{call} = {_number(value)}" for call, value in entry["values"].items())
    return f": {values}" if values else ""


def _number(value: float | None) -> str:
    return "never" if value is None else f"{value:g}"
