"""How likely a violation of any kind still is, from a decision's bounds on single kinds."""

from __future__ import annotations

from collections.abc import Sequence

from bots.statement import joint_upper
from policies.types import Bound


def risk_upper(bounds: Sequence[Bound], found: int = 0) -> float | None:
    """What no kind of violation exceeds, all of them at once; None where nothing could be bounded.

    ``found`` kinds fired a rule. Without any, it limits the share of sessions that show any kind whatever.
    """
    if not bounds:
        return None
    if not found:
        return max(bound.upper for bound in bounds)
    return joint_upper({bound.rule: bound.recall for bound in bounds}, bounds[0].episodes, found)
