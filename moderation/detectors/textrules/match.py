"""What every rule returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Match:
    """A span of a cleaned text that a rule spoke up about."""

    label: str
    score: float
    """0..1, as ``TextRules`` describes."""
    start: int
    end: int
    """Positions in ``Clean.text``, the end exclusive."""
