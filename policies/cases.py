"""The test cases of a bundle: findings in, an expected verdict out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from policies.bundle import Bundle
from policies.engine import decide
from policies.schema import CaseFinding, CaseSpec
from policies.types import Context, Coverage, Decision, DetectorRun, Finding, Source


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
    if decision.verdict != case.expect:
        rules = ", ".join(f.rule for f in decision.fired) or "no rule fired"
        return Failure(case.name, case.expect, f"{decision.verdict.value} ({rules})")
    names = sorted(f.rule for f in decision.fired)
    if case.fired is not None and sorted(case.fired) != names:
        expected = ", ".join(sorted(case.fired)) or "no rule"
        return Failure(case.name, f"{expected} to fire", ", ".join(names) or "none")
    return None


def run(bundle: Bundle, case: CaseSpec) -> Decision:
    """The decision on a case; detectors that it does not name as failed or absent ran everywhere."""
    findings = [f for item in case.findings for f in _findings(item)]
    runs = [
        DetectorRun(name, "999", source, 1, ok=name not in case.failed, error=_error(name, case))
        for name in sorted(bundle.header.detectors)
        for source in Source
        if name not in case.absent
    ]
    coverage = sufficient_coverage(bundle)
    if case.coverage == "too_little":
        coverage = replace(coverage, sample_episodes=bundle.header.coverage.min_sample_episodes - 1)
    return decide(bundle, findings, runs, coverage, Context(stage=case.stage))


def sufficient_coverage(bundle: Bundle) -> Coverage:
    """Coverage that just meets the bundle's floor."""
    floor = bundle.header.coverage
    return Coverage(
        search_steps=floor.min_search_steps,
        sample_episodes=floor.min_sample_episodes,
        discovery_rate=floor.max_discovery_rate,
        stop_reason="the policy's floor was reached",
    )


def _error(name: str, case: CaseSpec) -> str | None:
    return "made to fail by the case" if name in case.failed else None


def _findings(item: CaseFinding) -> list[Finding]:
    starts = [item.start + i * item.every for i in range(item.times)]
    return [_finding(item, start) for start in starts]


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
