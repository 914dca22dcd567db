"""Deciding stored evidence again, by any bundle: pure, and without any model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from moderation.store.deciding import Decided
from policies.bundle import Bundle
from policies.engine import Material, Outline, decide, outline
from policies.types import Coverage, Decision, Verdict

UNPLAYABLE = "S4"
"""Severity from which a rejection by the media alone ends the review."""
NOT_PLAYED = Coverage(stop_reason="not played: the media decides")


@dataclass(frozen=True)
class Turn:
    """A world that two bundles decide otherwise, or by other rules. Names and hashes, no words."""

    version: str
    before: Verdict
    after: Verdict
    gained: Mapping[str, tuple[str, ...]]
    """Rules that fire only afterwards, or with another action, with the findings that fire them."""
    lost: Mapping[str, tuple[str, ...]]
    """Rules that fire only before."""

    @property
    def rules(self) -> tuple[str, ...]:
        """Those that made the difference; none where coverage or a quota did."""
        return tuple(sorted({*self.gained, *self.lost}))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Turn:
        fired = {key: {rule: tuple(ids) for rule, ids in told[key].items()} for key in ("gained", "lost")}
        return cls(told["version"], Verdict(told["before"]), Verdict(told["after"]), **fired)


def redecide(bundle: Bundle, world: Decided, halted: frozenset[str] = frozenset()) -> Decision:
    """What a bundle says of a world's stored evidence; ``halted`` rules may only send to people.

    What the media alone condemned was never played: a bundle that does not condemn it calls for playing it,
    so that its verdict is inconclusive.
    """
    return decide(bundle, world.findings, world.runs, _coverage(world), world.context, world.version, halted)


def outlines(bundles: Sequence[Bundle], world: Decided) -> list[Outline]:
    """What several bundles say of a world's stored evidence, as :func:`redecide`, without the words."""
    material = Material(world.findings, world.runs)
    return [outline(bundle, material, _coverage(world), world.context) for bundle in bundles]


def _coverage(world: Decided) -> Coverage:
    return world.coverage if world.exploration else NOT_PLAYED


def verdict_of(decision: Decision | Outline, world: Decided) -> Verdict:
    """What a decision on a world comes to."""
    if world.exploration:
        return decision.verdict
    return Verdict.REJECTED if condemned(decision) else Verdict.INCONCLUSIVE


def condemned(decision: Decision | Outline) -> bool:
    """Whether the media alone, by what was found in it, is too bad to be played even by bots.

    Lesser violations are played: whether and how players meet them is what a moderator needs to see.
    """
    return any(
        fired.action is Verdict.REJECTED and fired.findings and fired.severity == UNPLAYABLE
        for fired in decision.fired
    )


def turn(world: Decided, before: Decision | Outline, after: Decision | Outline) -> Turn | None:
    """How two decisions on a world differ; None where verdict and rules are the same."""
    verdicts = verdict_of(before, world), verdict_of(after, world)
    said, says = ({(f.rule, f.action): f.findings for f in one.fired} for one in (before, after))
    if verdicts[0] == verdicts[1] and said.keys() == says.keys():
        return None
    gained = {rule: found for (rule, action), found in says.items() if (rule, action) not in said}
    lost = {rule: found for (rule, action), found in said.items() if (rule, action) not in says}
    return Turn(world.version, *verdicts, gained, lost)
