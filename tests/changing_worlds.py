"""Worlds with evidence and decisions, put into a store by its own functions: for tests of what changes."""

from __future__ import annotations

from dataclasses import replace

from moderation.policy_changes.redecide import redecide
from moderation.states import WorldState
from moderation.store import Store
from moderation.store.deciding import Decided
from policies.bundle import Bundle, load_bundle
from policies.cases import sufficient_coverage
from policies.types import Context, Decision, DetectorRun, Finding, Source, Verdict

AFTER = {
    Verdict.CLEARED: [WorldState.CLEARED, WorldState.PUBLISHED],
    Verdict.NEEDS_REVIEW: [WorldState.NEEDS_REVIEW],
    Verdict.REJECTED: [WorldState.REJECTED],
    Verdict.INCONCLUSIVE: [WorldState.INCONCLUSIVE],
}
ROAD = [WorldState.SCREENING, WorldState.EXPLORING, WorldState.SCANNING, WorldState.DECIDING]
LOOSER = """
extends: default
bundle: looser
version: "1"
status: draft
disable: [slurs]
"""
STRICTER = """
extends: default
bundle: stricter
version: "1"
status: draft
change:
  slurs:
    thresholds: {sure: 0.20}
"""


def slur(score: float = 0.95, text: str = "a bad word", name: str = "f1") -> Finding:
    return Finding(
        name, "text", "999", "slur", score, Source.PLAYTHROUGH, 1.0, 2.0, playthrough="p1", text=text
    )


def runs(bundle: Bundle) -> list[DetectorRun]:
    sources = (Source.MEDIA, Source.PLAYTHROUGH)
    return [DetectorRun(n, "999", source, 1, ok=True) for n in bundle.header.detectors for source in sources]


def decided(
    store: Store,
    version: str,
    *findings: Finding,
    remix_of: str | None = None,
    creator: str = "ada",
    title: str | None = None,
) -> Decision:
    """A version that the built-in policy decided on these findings, in the state that follows."""
    bundle = load_bundle()
    coverage = replace(sufficient_coverage(bundle), stop_reason="nothing new was found")
    exploration, looked = f"e-{version}", runs(bundle)
    context = Context(remix=remix_of is not None)
    world = Decided(version, exploration, context, coverage, list(findings), looked)
    decision = redecide(bundle, world)
    package = store.blobs.put(f"package of {version}".encode())
    with store.writing() as tx:
        slug = title or version
        tx.submit(version, slug, slug, f"prompt of {version}", {"title": slug}, package, remix_of, creator)
        tx.add_exploration(exploration, version, 7, "simulator", "m" * 64, {}, (f"play-{version}", "old"))
        tx.set_exploration(version, exploration)
        tx.explored(exploration, coverage, {"curves": {}}, ())
        tx.scanned(exploration)
        tx.add_findings(version, exploration, findings)
        for number, run in enumerate(looked):
            tx.add_run(version, exploration, f"piece {number}", run)
        tx.add_decision(version, exploration, decision, coverage, ())
        for state in [*ROAD, *AFTER[decision.verdict]]:
            tx.transition(version, state, "policy", f"on to {state}", policy_hash=decision.policy_hash)
    return decision
