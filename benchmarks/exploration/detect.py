"""What the product's detectors and policy make of the search's recordings: *detected*, apart from *reached*.

Only what was played is looked at: the media, which a review looks at whole before anybody plays, are not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from rich.table import Table

from benchmarks.cascade import cascade
from benchmarks.exploration.suite import Item
from bots.explore import explore
from bots.recorder import regenerate_many
from moderation import scan
from moderation.pipeline import budgets
from policies.bundle import Bundle
from policies.engine import decide
from policies.types import Coverage, Finding, Fired, Verdict
from worldmodel.protocol import WorldModel


@dataclass(frozen=True)
class Detected:
    """One world, explored and scanned as in a review."""

    world: str
    clean: bool
    tier: int
    rules: tuple[str, ...]
    """That fired by what was found."""
    verdict: str
    """The most severe that they ask for; ``cleared`` where none fired."""
    repeats: tuple[int, ...]
    """For each rule, how many recordings show what fired it, beyond the first."""


def detect(
    model: WorldModel, item: Item, seed: int, steps: int, detectors: scan.Detectors, bundle: Bundle
) -> Detected:
    """Explore as a review does, with so many steps of search; scan all recordings; ask the policy."""
    world = item.planted.world
    played = explore(model, world, replace(budgets()["default"], search_steps=steps, floor=0.0), seed)
    recordings = list(regenerate_many(model, world, played.playthroughs))
    findings = cascade(world, recordings, detectors).findings
    fired = [one for one in decide(bundle, findings, [], Coverage()).fired if one.findings]
    return Detected(
        world=item.name,
        clean=item.planted.violation is None,
        tier=item.entry.tier,
        rules=tuple(one.rule for one in fired),
        verdict=_verdict(fired),
        repeats=tuple(_recordings(one, findings) - 1 for one in fired),
    )


def _verdict(fired: list[Fired]) -> str:
    actions = {one.action for one in fired}
    worst = [v for v in (Verdict.REJECTED, Verdict.NEEDS_REVIEW) if v in actions]
    return str(worst[0] if worst else Verdict.CLEARED)


def _recordings(fired: Fired, findings: list[Finding]) -> int:
    ids = set(fired.findings)
    return len({finding.playthrough for finding in findings if finding.id in ids})


def table(found: list[Detected]) -> Table:
    told = Table(title="What detectors and policy made of the recordings of firstplay's search and sample")
    for heading in ("worlds", "number", "rejected", "to review", "nothing found", "more recordings per rule"):
        told.add_column(heading, justify="left" if heading == "worlds" else "right")
    for name, clean in (("bad", False), ("clean", True)):
        of = [one for one in found if one.clean == clean]
        count = Counter(one.verdict for one in of)
        repeats = [number for one in of for number in one.repeats]
        told.add_row(
            name,
            str(len(of)),
            *[str(count[str(v)]) for v in (Verdict.REJECTED, Verdict.NEEDS_REVIEW, Verdict.CLEARED)],
            f"{sum(repeats) / len(repeats):.1f}" if repeats else "–",
        )
    return told
