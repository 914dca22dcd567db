"""The honest label of a world: what was looked at before people may play, and what may still be missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policies.types import Bound, Coverage
from worldmodel.constants import FPS

SESSION_WORDS = "of sessions at most, 95 % confidence"


@dataclass(frozen=True)
class Row:
    """One line of the label."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Label:
    """What the page of a world says about its inspection."""

    short: str
    """One line for a card."""
    rows: tuple[Row, ...]
    bounds: tuple[Row, ...]
    """One per rule of the policy, loosest first."""


def label_of(coverage: Coverage, bounds: Sequence[Bound]) -> Label:
    """The label from what exploration reached and what the policy could bound."""
    steps = coverage.search_steps + coverage.sample_steps
    loosest = sorted(bounds, key=lambda bound: -bound.upper)
    upper = percent(loosest[0].upper) if loosest else "not bounded"
    rows = (
        Row("Played by bots", duration(steps), f"{steps:,} steps, {coverage.cells:,} distinct situations"),
        Row("Watched in full", f"{coverage.sample_episodes:,} episodes", "independent, by one fixed player"),
        Row(
            "Not seen by them",
            f"≤ {percent(coverage.unseen_mass_upper)}",
            f"of a player's steps; best estimate {percent(coverage.unseen_mass)}",
        ),
        Row("May still show a violation", f"≤ {upper}" if loosest else upper, SESSION_WORDS),
    )
    short = (
        f"{duration(steps)} of bot play · risk left ≤ {upper}"
        if loosest
        else f"{duration(steps)} of bot play"
    )
    return Label(short, rows, tuple(bound_row(bound) for bound in loosest))


def bound_row(bound: Bound) -> Row:
    """One rule's bound in words."""
    note = f"{bound.episodes:,} clean episodes, detector recall {percent(bound.recall)}"
    return Row(bound.rule.replace("-", " "), f"≤ {percent(bound.upper)}", note)


def percent(share: float) -> str:
    """A share 0..1 with two significant digits, never rounded to a false zero or a false certainty."""
    if share <= 0:
        return "0 %"
    if share >= 1:
        return "100 %"
    value = share * 100
    if value < 0.01:
        return "0.01 %"
    return f"{value:.2f} %" if value < 1 else f"{value:.1f} %" if value < 10 else f"{min(value, 99.9):.0f} %"


def duration(steps: int) -> str:
    """Playing time of so many steps."""
    seconds = steps / FPS
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
