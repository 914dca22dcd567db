"""Small charts as figures in SVG, made on the server: numbers to coordinates, no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SHADES = 6
"""Classes ``shade-0`` .. that the style sheet knows; further series share the last."""


@dataclass(frozen=True)
class Block:
    """A part of a bar, in units of the chart: each bar takes 10 in width, the tallest is 100 high."""

    x: float
    y: float
    height: float
    shade: int


@dataclass(frozen=True)
class Stacked:
    """A chart of stacked bars."""

    names: Sequence[str]
    """Of the series, from the bottom up."""
    rows: Sequence[tuple[str, int, Sequence[int]]]
    """Each series' name, shade and numbers."""
    blocks: Sequence[Block]
    bars: int
    most: int
    """What the tallest bar stands for."""
    total: int


def stacked(series: Mapping[str, Sequence[int]], order: Sequence[str] = ()) -> Stacked:
    """Bars of several series of one length; those of ``order`` come first and have their shade by it."""
    names = [*(name for name in order if name in series), *sorted(series.keys() - {*order})]
    places = {name: place for place, name in enumerate([*order, *sorted(series.keys() - {*order})])}
    shades = {name: min(places[name], SHADES - 1) for name in names}
    bars = max((len(series[name]) for name in names), default=0)
    sums = [sum(series[name][bar] for name in names) for bar in range(bars)]
    most = max(sums, default=0)
    blocks = []
    for bar in range(bars):
        top = 100.0
        for name in names:
            height = 100 * series[name][bar] / most if most else 0.0
            top -= height
            if height:
                blocks.append(Block(10.0 * bar + 1, top, height, shades[name]))
    rows = [(name, shades[name], series[name]) for name in names]
    return Stacked(names, rows, blocks, bars, most, sum(sums))
