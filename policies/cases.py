"""The test cases of a bundle: findings in, an expected verdict out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.engine import decide
from policies.errors import suggest
from policies.files import Key
from policies.schema import CaseFinding, CaseSpec, Header
from policies.types import Context, Coverage, Decision, DetectorRun, Finding, Source

if TYPE_CHECKING:
    from policies.bundle import Bundle


@dataclass(frozen=True)
class Failure:
    """A case that came out otherwise."""

    case: str
    expected: str
    got: str

    remedy = "Correct the rule or the case; 'firstplay policy test' shows all of them."

    def __str__(self) -> str:
        return f"test case '{self.case}' expects {self.expected} but got {self.got}"


def failures(bundle: Bundle) -> list[Failure]:
    """Every case that the bundle decides otherwise than it says."""
    results = (check(bundle, case) for case in bundle.cases)
    return [failure for failure in results if failure is not None]


def check(bundle: Bundle, case: CaseSpec) -> Failure | None:
    """Run one case."""
    decision = run(bundle, case)
    names = sorted(f.rule for f in decision.fired)
    if decision.verdict != case.expect:
        return Failure(
            case.name, case.expect, f"{decision.verdict.value} ({', '.join(names) or 'no rule fired'})"
        )
    if case.fired is not None and sorted(case.fired) != names:
        expected = ", ".join(sorted(case.fired)) or "no rule"
        return Failure(case.name, f"{expected} to fire", ", ".join(names) or "none")
    if case.rating is not None and decision.rating is not None and decision.rating.age != case.rating:
        return Failure(case.name, f"an age rating of {case.rating}", str(decision.rating.age))
    if case.approvals is not None and decision.approvals != case.approvals:
        return Failure(case.name, f"{case.approvals} people to agree", str(decision.approvals))
    return None


def misspelt(
    case: CaseSpec, header: Header, rules: Collection[str]
) -> Iterator[tuple[tuple[Key, ...], str, str]]:
    """Path in the case, problem and remedy of every name that the bundle does not know."""
    detectors = header.detectors
    named: list[tuple[tuple[Key, ...], str]] = [
        *((("findings", i, "detector"), finding.detector) for i, finding in enumerate(case.findings)),
        *((("failed", i), name) for i, name in enumerate(case.failed)),
        *((("absent", i), name) for i, name in enumerate(case.absent)),
        *((("uncovered", name), name) for name in case.uncovered),
    ]
    for keys, name in named:
        if name not in detectors:
            yield keys, f"unknown detector {name}", suggest(name, detectors)
    for i, finding in enumerate(case.findings):
        entry = detectors.get(finding.detector)
        if entry and finding.label not in entry.labels:
            problem = f"{finding.detector} has no label {finding.label}"
            yield ("findings", i, "label"), problem, suggest(finding.label, entry.labels)
    for i, rule in enumerate(case.fired or ()):
        if rule not in rules:
            yield ("fired", i), f"unknown rule {rule}", suggest(rule, rules)


def run(bundle: Bundle, case: CaseSpec) -> Decision:
    """The decision on a case; detectors that it does not name as failed or absent ran everywhere."""
    findings = findings_of(case)
    runs = [
        DetectorRun(
            name,
            "999",
            source,
            1,
            ok=name not in case.failed,
            error="made to fail by the case" if name in case.failed else None,
            uncovered=case.uncovered.get(name, ()),
        )
        for name in sorted(bundle.header.detectors)
        for source in Source
        if name not in case.absent
    ]
    coverage = sufficient_coverage(bundle)
    if case.coverage == "too_little":
        coverage = replace(coverage, sample_episodes=bundle.header.coverage.min_sample_episodes - 1)
    context = Context(
        stage=case.stage,
        remix=case.remix,
        prior_rejections=case.prior_rejections,
        submissions_today=case.submissions_today,
        age_band=case.age_band or "",
        region=case.region or "",
    )
    return decide(bundle, findings, runs, coverage, context)


def sufficient_coverage(bundle: Bundle) -> Coverage:
    """Coverage that just meets the bundle's floor."""
    floor = bundle.header.coverage
    return Coverage(
        search_steps=floor.min_search_steps,
        sample_episodes=floor.min_sample_episodes,
        discovery_rate=floor.max_discovery_rate,
        stop_reason="the policy's floor was reached",
    )


def findings_of(case: CaseSpec) -> list[Finding]:
    """What a case says that detectors found."""
    return [_finding(item, item.start + i * item.every) for item in case.findings for i in range(item.times)]


def _finding(item: CaseFinding, start: float) -> Finding:
    in_play = item.source is not Source.MEDIA
    length = 0.0 if item.end is None else item.end - item.start
    finding = Finding(
        id="",
        detector=item.detector,
        version="999",
        label=item.label,
        score=item.score,
        source=item.source,
        start=start,
        end=start + length,
        playthrough=item.playthrough if in_play else None,
        media=None if in_play else "objects[0]",
        text=item.text,
    )
    return replace(finding, id=hashlib.sha256(repr(finding).encode()).hexdigest()[:16])
