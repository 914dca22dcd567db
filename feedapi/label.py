"""The honest label of a world: what was looked at before people may play, and what may still be missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bots.statement import rounded_up
from moderation.risk import risk_upper
from policies.types import Bound, Coverage
from worldmodel.constants import FPS

SESSION_WORDS = "of sessions, any kind, 95 % confidence"
FOUND_WORDS = "of sessions, of each kind that was not found, 95 % confidence for all at once"


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
    flashing: str
    """What is known of flashing lights, for people whom they can harm."""


def label_of(coverage: Coverage, bounds: Sequence[Bound], found: int = 0) -> Label:
    """The label from what exploration reached and what the policy could bound; ``found`` kinds fired."""
    steps = coverage.search_steps + coverage.sample_steps
    loosest = sorted(bounds, key=lambda bound: -bound.upper)
    risk = risk_upper(bounds, found)
    upper = "not bounded" if risk is None else at_most(risk)
    rows = (
        Row("Played by bots", duration(steps), f"{steps:,} steps, {coverage.cells:,} distinct situations"),
        Row("Watched in full", f"{coverage.sample_episodes:,} episodes", "independent, by one fixed player"),
        Row(
            "Not seen by them",
            at_most(coverage.unseen_mass_upper),
            f"of a player's steps; best estimate {percent(coverage.unseen_mass)}; "
            f"{at_most(coverage.unseen_sessions_upper)} of sessions come upon something new",
        ),
        Row("May still show a violation", upper, FOUND_WORDS if found else SESSION_WORDS),
    )
    played = f"Bots played {duration(steps)}"
    unseen = f"{at_most(coverage.unseen_mass_upper)} unseen"
    short = f"{played} · {unseen} · risk {upper}"
    return Label(short, rows, tuple(bound_row(bound) for bound in loosest), flashing(bounds))


def flashing(bounds: Sequence[Bound]) -> str:
    """What the bounds say of flashing lights: the loosest of the rules that are named after them."""
    uppers = [bound.upper for bound in bounds if "flash" in bound.rule]
    if not uppers:
        return "Flashing lights: not bounded"
    return f"Flashing lights: none found, {at_most(max(uppers))} of sessions may show some"


def bound_row(bound: Bound) -> Row:
    """One rule's bound in words."""
    note = f"{bound.episodes:,} clean episodes, detector recall {percent(bound.recall)}"
    return Row(bound.rule.replace("-", " "), at_most(bound.upper), note)


def at_most(share: float) -> str:
    """An upper limit 0..1 in percent, rounded up so that it stays true."""
    return f"≤\N{NO-BREAK SPACE}{rounded_up(share)}"


def percent(share: float) -> str:
    """An estimate 0..1 in percent, never rounded to a false zero or a false certainty."""
    value = share * 100
    if 0 < value < 0.01:
        return "< 0.01 %"
    if 99.5 <= value < 100:
        return "> 99 %"
    return f"{value:.2f} %" if 0 < value < 1 else f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"


def duration(steps: int) -> str:
    """Playing time of so many steps."""
    seconds = steps / FPS
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
