"""How long a decision takes: 10,000 findings against every rule, beside a scan of all findings per rule.

    python benchmarks/policy_speed.py --json policy.json

``indexed`` is :func:`policies.decide`. ``naive`` evaluates the same compiled conditions, for the same
verdicts, evidence and values of the trace, but looks through all findings again for every condition of every
rule; the two must agree. It leaves out explanations, bounds and the rating. Both are timed in turn, so that
other work on the machine strikes both alike; processor time leaves out what other processes took.
Findings are drawn by a fixed seed: ``mixed`` over all labels, ``quiet`` with scores that fire nothing,
``piled`` all of one picture label in one long playthrough, which is the worst case for runs of findings.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeAlias

from policies import (
    Bundle,
    Context,
    Coverage,
    DetectorRun,
    Finding,
    Source,
    Verdict,
    decide,
    load_bundle,
)
from policies.cases import sufficient_coverage
from policies.compiling import Rule
from policies.evidence import Evidence, Value, strongest_first
from policies.expressions import Expression

BAR_MS = 50.0
"""For a decision on 10,000 findings."""
PLAYTHROUGHS, SECONDS = 60, 20.0
Told: TypeAlias = dict[str, tuple[str, tuple[str, ...], dict[str, Value | None]]]
"""Rule to its outcome, the ids of its evidence and the values of its functions."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--policy", type=Path, help="bundle; the default policy if left out")
    parser.add_argument("--findings", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    bundle = load_bundle(given.policy)
    rows = [row for make in (mixed, quiet, piled) for row in measure(bundle, make, given)]
    print(f"{bundle.name}, {len(bundle.rules)} rules, {given.findings:,} findings, n = {given.repeats}")
    print("findings  how       median ms   p95 ms   processor ms")
    for row in rows:
        numbers = f"{row['median_ms']:9.1f}  {row['p95_ms']:7.1f}  {row['processor_ms']:13.1f}"
        print(f"{row['findings']:8}  {row['how']:8}  {numbers}")
    if given.json:
        told = {"policy": bundle.name, "sha256": bundle.sha256, "count": given.findings, "bar_ms": BAR_MS}
        given.json.write_text(json.dumps({**told, "repeats": given.repeats, "rows": rows}, indent=2))


def measure(
    bundle: Bundle, make: Callable[[Bundle, int], list[Finding]], given: argparse.Namespace
) -> list[dict[str, object]]:
    """Both ways on one kind of findings. Raises AssertionError where they disagree."""
    findings = make(bundle, given.findings)
    runs = [
        DetectorRun(name, "999", source, 1, ok=True) for name in bundle.header.detectors for source in Source
    ]
    coverage = sufficient_coverage(bundle)
    assert indexed(bundle, findings, runs, coverage) == naive(bundle, findings)
    ways: dict[str, Callable[[], object]] = {
        "indexed": lambda: decide(bundle, findings, runs, coverage),
        "naive": lambda: naive(bundle, findings),
    }
    times: dict[str, list[tuple[float, float]]] = {how: [] for how in ways}
    for _ in range(given.repeats):
        for how, run in ways.items():
            times[how].append(_timed(run))
    return [{"findings": make.__name__, "how": how, **_summary(taken)} for how, taken in times.items()]


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds: on the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.thread_time()
    run()
    return (time.perf_counter() - clock) * 1000, (time.thread_time() - processor) * 1000


def _summary(taken: Sequence[tuple[float, float]]) -> dict[str, float]:
    clock, processor = zip(*taken, strict=True)
    return {
        "median_ms": round(median(clock), 3),
        "p95_ms": round(quantiles(clock, n=20)[-1], 3),
        "processor_ms": round(median(processor), 3),
    }


# -- the two ways -------------------------------------------------------------------------------------


def indexed(
    bundle: Bundle, findings: Sequence[Finding], runs: Sequence[DetectorRun], coverage: Coverage
) -> Told:
    """What :func:`policies.decide` says."""
    decision = decide(bundle, findings, runs, coverage)
    evidence = {fired.rule: fired.findings for fired in decision.fired}
    trace: list[dict[str, Any]] = [dict(entry) for entry in decision.trace]
    return {e["rule"]: (e["outcome"], evidence.get(e["rule"], ()), e["values"]) for e in trace}


def naive(bundle: Bundle, findings: Sequence[Finding]) -> Told:
    """The same by a scan of all findings for every condition of every rule."""
    return {rule.id: _naive(rule, findings) for rule in bundle.rules}


def _naive(rule: Rule, findings: Sequence[Finding]) -> tuple[str, tuple[str, ...], dict[str, Value | None]]:
    context = Context()
    conditions = rule.conditions(context)
    scanned = [(condition, _scan(rule, condition, findings)) for condition in conditions.every]
    values = {
        call: value for condition, evidence in scanned for call, value in condition.values(evidence).items()
    }
    shown = {call: None if value == inf else value for call, value in values.items()}
    for condition, evidence in scanned:
        blocks = condition is conditions.when or condition is conditions.review
        if not blocks or not condition.holds(evidence, context):
            continue
        rejects = (
            condition is conditions.when and rule.spec.action == "reject" and not rule.spec.requires_human
        )
        verdict = Verdict.REJECTED if rejects else Verdict.NEEDS_REVIEW
        return verdict.value, tuple(f.id for f in condition.explain(evidence, context)), shown
    return Verdict.CLEARED.value, (), shown


def _scan(rule: Rule, condition: Expression, findings: Sequence[Finding]) -> Evidence:
    return Evidence(
        {
            label: strongest_first(
                f
                for f in findings
                if f.label == label and f.detector in rule.detectors and f.source in rule.spec.scope
            )
            for label in condition.labels
        }
    )


# -- findings -----------------------------------------------------------------------------------------


def mixed(bundle: Bundle, count: int) -> list[Finding]:
    """Over all labels, scores and playthroughs."""
    rng = random.Random(7)  # noqa: S311
    labels = _labels(bundle)
    return [
        _finding(i, *rng.choice(labels), rng.random(), rng.random() * SECONDS, rng.randrange(PLAYTHROUGHS))
        for i in range(count)
    ]


def quiet(bundle: Bundle, count: int) -> list[Finding]:
    """As in a harmless world: many weak findings."""
    rng = random.Random(7)  # noqa: S311
    labels = _labels(bundle)
    return [
        _finding(
            i, *rng.choice(labels), rng.random() / 4, rng.random() * SECONDS, rng.randrange(PLAYTHROUGHS)
        )
        for i in range(count)
    ]


def piled(_bundle: Bundle, count: int) -> list[Finding]:
    """Two labels at once on every frame of one playthrough."""
    pairs = (("nsfw-open", "nsfw"), ("nsfw-js", "porn"))
    return [_finding(i, *pairs[i % 2], 0.95, i / 30, 0) for i in range(count)]


def _labels(bundle: Bundle) -> list[tuple[str, str]]:
    return [(name, label) for name, entry in bundle.header.detectors.items() for label in entry.labels]


def _finding(number: int, detector: str, label: str, score: float, start: float, play: int) -> Finding:
    source = Source.PLAYTHROUGH if number % 10 else Source.MEDIA
    name, length = f"{number:016x}", 1 / 15
    return Finding(name, detector, "999", label, score, source, start, start + length, f"p{play}")


if __name__ == "__main__":
    main()
