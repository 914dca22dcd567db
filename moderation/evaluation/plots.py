"""Precision-recall curves and reliability diagrams as SVG, without a plotting library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from moderation.evaluation.metrics import precision_recall, reliability
from moderation.evaluation.runner import Measurement

SIDE, LEFT, TOP, RIGHT, BOTTOM = 320, 56, 48, 24, 48
"""SVG units: of the plot, and around it."""
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
INK, FAINT, LINE = "#1c2430", "#d5dae1", "#0b6bcb"

Points = Sequence[tuple[float, float]]


def write_plots(measured: Iterable[Measurement], folder: Path) -> list[Path]:
    """Two files for each measurement that has positives and look-alikes; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for one in measured:
        if not one.positives or not one.lookalikes:
            continue
        stem = f"{one.detector}-{one.label}-{one.source}-{one.set_name}"
        drawn = {"precision-recall": precision_recall_svg(one), "reliability": reliability_svg(one)}
        for kind, svg in drawn.items():
            path = folder / f"{stem}-{kind}.svg"
            path.write_text(svg, encoding="utf-8")
            written.append(path)
    return written


def precision_recall_svg(one: Measurement) -> str:
    """Precision over recall in the steps of the average precision, a dot at the threshold; the grey line is
    what chance gives."""
    curve = precision_recall(one.scores, one.truth)
    corners: list[tuple[float, float]] = []
    for recall, precision in zip(curve.recall.tolist(), curve.precision.tolist(), strict=True):
        corners += [(corners[-1][0] if corners else 0.0, precision), (recall, precision)]
    chance = one.positives / (one.positives + one.lookalikes)
    body = _line([(0, chance), (1, chance)], FAINT) + _line(corners, LINE)
    if one.recall is not None and one.precision is not None:
        body += _dot(one.recall, one.precision, 5)
    return _chart(one, "recall", "precision", body)


def reliability_svg(one: Measurement) -> str:
    """Share of positives over mean score, by bins; a dot's area is the bin's share of the items."""
    bins = reliability(one.scores, one.truth)
    body = _line([(0, 0), (1, 1)], FAINT)
    body += _line(list(zip(bins.scores.tolist(), bins.shares.tolist(), strict=True)), LINE)
    radii = 3 + 9 * np.sqrt(bins.counts / bins.counts.sum())
    for score, share, radius in zip(bins.scores, bins.shares, radii, strict=True):
        body += _dot(float(score), float(share), float(radius))
    return _chart(one, "mean score", f"share of positives (calibration error {bins.error:.2f})", body)


def _chart(one: Measurement, across: str, up: str, body: str) -> str:
    width, height = LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM
    title = escape(f"{one.detector} {one.version}: {one.label}, {one.source}")
    about = f"set {one.set_name}: {one.positives} positives, {one.lookalikes} look-alikes"
    grid = "".join(
        f'<path d="M{_x(t):.1f} {_y(0):.1f}V{_y(1):.1f}M{_x(0):.1f} {_y(t):.1f}H{_x(1):.1f}" stroke="{FAINT}"'
        f' stroke-width=".5"/><text x="{_x(t):.1f}" y="{_y(0) + 16:.1f}" text-anchor="middle">{t:g}</text>'
        f'<text x="{LEFT - 8}" y="{_y(t) + 4:.1f}" text-anchor="end">{t:g}</text>'
        for t in TICKS
    )
    middle = TOP + SIDE / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{title}" font-family="system-ui, sans-serif" font-size="11" fill="{INK}">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="{LEFT}" y="20" font-size="13" font-weight="600">{title}</text>'
        f'<text x="{LEFT}" y="36">{escape(about)}</text>{grid}{body}'
        f'<text x="{LEFT + SIDE / 2}" y="{height - 10}" text-anchor="middle">{escape(across)}</text>'
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(up)}'
        "</text></svg>\n"
    )


def _x(share: float) -> float:
    return LEFT + SIDE * share


def _y(share: float) -> float:
    return TOP + SIDE * (1 - share)


def _line(points: Points, colour: str) -> str:
    path = "M" + "L".join(f"{_x(x):.1f} {_y(y):.1f}" for x, y in points)
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def _dot(x: float, y: float, radius: float) -> str:
    return f'<circle cx="{_x(x):.1f}" cy="{_y(y):.1f}" r="{radius:.1f}" fill="{LINE}" fill-opacity=".75"/>'
