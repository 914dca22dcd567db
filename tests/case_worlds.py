"""Worlds that were submitted and judged by a small policy, and people who decide about them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from moderation.accounts import ROLES, Principal
from moderation.cases.concluding import POLICY as MACHINE
from moderation.cases.concluding import conclude
from moderation.states import WorldState
from moderation.store import Store
from moderation.store import cases as stored
from moderation.store.cases import Case
from policies import Bundle, Decision, DetectorRun, Finding, Source, decide, load_bundle
from policies.cases import sufficient_coverage

POLICY = """\
bundle: small
version: "1"
status: live
summary: What this policy is about.
coverage: {min_sample_episodes: 5, min_search_steps: 10, max_discovery_rate: 9}
detectors:
  eye: {labels: [slur, blood, flash, odd], recall: {slur: 0.5, blood: 0.5, flash: 0.5}}
categories:
  hate:
    title: Hate
    dsa: STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH
    dsa_keywords: [KEYWORD_HATE_SPEECH]
  violence: {title: Violence, dsa: STATEMENT_CATEGORY_VIOLENCE}
rules:
  - rule: slurs
    title: Slurs
    category: hate
    severity: S2
    scope: [playthrough]
    detectors: [{name: eye}]
    when: max("slur") >= 0.9
    review: max("slur") >= 0.5
    explanation: "“{text}” is a slur ({score:.0%}) at {at}."
    guideline: Worlds show no slurs.
  - rule: blood
    title: Blood
    category: violence
    severity: S3
    scope: [playthrough]
    detectors: [{name: eye}]
    when: max("blood") >= 0.9
    review: max("blood") >= 0.5
    four_eyes: true
    explanation: "Blood ({score:.0%}) at {at}."
    guideline: Worlds show no blood.
  - rule: flashing
    title: Flashing
    category: violence
    severity: S4
    scope: [playthrough]
    detectors: [{name: eye}]
    when: max("flash") >= 0.9
    explanation: "It flashes at {at}."
    guideline: Worlds do not flash.
"""

NOBODY, ANNA, BEN, CORA, DAN = (
    Principal(name, frozenset({role}), ROLES[role])
    for name, role in (
        ("nora", "creator"),
        ("anna", "moderator"),
        ("ben", "moderator"),
        ("cora", "senior"),
        ("dan", "senior"),
    )
)


def small_bundle(folder: Path, more: str = "") -> Bundle:
    path = folder / "small.yaml"
    path.write_text(POLICY + more)
    return load_bundle(path)


def found(label: str, score: float, text: str | None = None) -> Finding:
    name = hashlib.sha256(f"{label}{score}{text}".encode()).hexdigest()[:16]
    return Finding(name, "eye", "1", label, score, Source.PLAYTHROUGH, 1, 2, "p1", text=text)


def judge(
    bundle: Bundle, *findings: Finding, version: str | None = None, halted: frozenset[str] = frozenset()
) -> Decision:
    runs = [DetectorRun("eye", "1", source, 5, ok=True) for source in Source]
    return decide(bundle, findings, runs, sufficient_coverage(bundle), None, version, halted)


def submit(store: Store, version: str = "v1", creator: str = "kim") -> None:
    with store.writing() as tx:
        tx.submit(
            version, f"world-{version}", "Lantern Caves", "a dark cave", {}, "package-blob", None, creator
        )
        tx.add_exploration(f"e{version}", version, 7, "simulator", "m" * 64, {"search_steps": 10})
        tx.set_exploration(version, f"e{version}")
        tx.transition(version, WorldState.SCREENING, MACHINE, "looking")
        tx.transition(version, WorldState.EXPLORING, MACHINE, "the media may be played")


def machine(
    store: Store, bundle: Bundle, decision: Decision, version: str = "v1", seed: int = 0
) -> WorldState:
    """Have the policy say this of the version, after bots have played it (again, with this seed)."""
    exploration = f"e{version}-{seed}"
    with store.writing() as tx:
        state = tx.state(version)
        if state is not WorldState.EXPLORING:
            tx.transition(version, WorldState.EXPLORING, MACHINE, f"reviewed again: seed {seed}")
        tx.add_exploration(exploration, version, seed, "simulator", "m" * 64, {})
        tx.set_exploration(version, exploration)
        tx.explored(exploration, sufficient_coverage(bundle), {}, ())
        tx.transition(version, WorldState.SCANNING, MACHINE, "explored")
        tx.transition(version, WorldState.DECIDING, MACHINE, "scanned")
        tx.add_decision(version, exploration, decision, sufficient_coverage(bundle), ())
        conclude(tx, version, exploration, decision)
        return tx.state(version)


def cases_of(store: Store, version: str = "v1") -> list[Case]:
    with store.reading() as connection:
        return stored.cases_of(connection, version)


def state(store: Store, version: str = "v1") -> WorldState:
    return store.version(version).state
