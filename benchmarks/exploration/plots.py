"""Share of runs that have reached the planted thing over steps, one panel for each tier, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from benchmarks.exploration.statistics import Run, kaplan_meier
from benchmarks.exploration.suite import TIER_NAMES

WIDTH, HEIGHT, GAP, LEFT, TOP = 210, 200, 34, 48, 56
"""SVG units: of a panel, between panels, and around them."""
COLOURS = ("#9aa3af", "#c77d0a", "#b3261e", "#7b4bb3", "#11804a", "#0b6bcb", "#d1418f", "#4d5866")
INK, FAINT = "#1c2430", "#d5dae1"
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def write_plot(runs: Sequence[Run], strategies: Sequence[str], path: Path) -> None:
    """Kaplan-Meier curves of reaching; the lines end where the budget does."""
    path.write_text(reach_svg(runs, strategies), encoding="utf-8")


def reach_svg(runs: Sequence[Run], strategies: Sequence[str]) -> str:
    panels = [("all tiers", list(runs))]
    panels += [(f"{name} steps", [r for r in runs if r.tier == i]) for i, name in enumerate(TIER_NAMES)]
    budget = max((run.budget for run in runs), default=1)
    width = LEFT + len(panels) * (WIDTH + GAP)
    body = "".join(
        _panel(LEFT + number * (WIDTH + GAP), title, of, strategies, budget)
        for number, (title, of) in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 60}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="11" fill="{INK}">'
        f'<rect width="{width}" height="{TOP + HEIGHT + 60}" fill="#fff"/>'
        f'<text x="{LEFT}" y="20" font-size="13" font-weight="600">Share of runs that reached the planted '
        f"thing, over a budget of {budget:,} steps</text>{body}{_legend(strategies)}</svg>\n"
    )


def _panel(left: int, title: str, runs: Sequence[Run], strategies: Sequence[str], budget: int) -> str:
    def x(share: float) -> float:
        return left + WIDTH * share

    def y(share: float) -> float:
        return TOP + HEIGHT * (1 - share)

    grid = "".join(
        f'<path d="M{x(0)} {y(t):.1f}H{x(1)}" stroke="{FAINT}" stroke-width=".5"/>'
        f'<text x="{left - 6}" y="{y(t) + 4:.1f}" text-anchor="end">{t:g}</text>'
        f'<text x="{x(t):.1f}" y="{y(0) + 14:.1f}" text-anchor="middle">{t:.0%}</text>'
        for t in TICKS
    )
    lines = ""
    for name, colour in zip(strategies, COLOURS, strict=False):
        own = [run for run in runs if run.strategy == name]
        if own:
            lines += _steps([(x(s), y(r)) for s, r in _curve(own, budget)], colour)
    heading = f'<text x="{left}" y="{TOP - 10}">{escape(title)}: {len({r.world for r in runs})} worlds</text>'
    return heading + grid + lines


def _curve(runs: Sequence[Run], budget: int) -> list[tuple[float, float]]:
    survival = kaplan_meier(runs)
    points = [(0.0, 0.0)]
    points += [
        (time / budget, 1 - waiting) for time, waiting in zip(survival.times, survival.waiting, strict=True)
    ]
    return [*points, (1.0, points[-1][1])]


def _steps(points: Sequence[tuple[float, float]], colour: str) -> str:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in points[1:])
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-opacity=".85"/>'


def _legend(strategies: Sequence[str]) -> str:
    return "".join(
        f'<rect x="{LEFT + 130 * i}" y="{TOP + HEIGHT + 34}" width="14" height="4" fill="{colour}"/>'
        f'<text x="{LEFT + 130 * i + 20}" y="{TOP + HEIGHT + 40}">{escape(name)}</text>'
        for i, (name, colour) in enumerate(zip(strategies, COLOURS, strict=False))
    )
