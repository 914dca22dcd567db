"""Charts: numbers to bars that stand on each other and keep their colour."""

from __future__ import annotations

from feedapi.charts import stacked


def test_bars_stand_on_each_other_up_to_the_tallest() -> None:
    chart = stacked({"rejected": [1, 0], "cleared": [3, 2]}, order=("cleared", "needs_review", "rejected"))

    assert (chart.bars, chart.most, chart.total) == (2, 4, 6)
    assert [(one.x, one.y, one.height, one.shade) for one in chart.blocks] == [
        (1.0, 25.0, 75.0, 0),
        (1.0, 0.0, 25.0, 2),
        (11.0, 50.0, 50.0, 0),
    ]
    assert chart.names == ["cleared", "rejected"]


def test_a_series_keeps_its_shade_whatever_else_is_there() -> None:
    order = ("cleared", "rejected")

    alone, beside = stacked({"rejected": [1]}, order), stacked({"rejected": [1], "other": [1]}, order)

    assert {name: shade for name, shade, _ in alone.rows} == {"rejected": 1}
    assert {name: shade for name, shade, _ in beside.rows} == {"rejected": 1, "other": 2}


def test_nothing_makes_an_empty_chart() -> None:
    chart = stacked({})

    assert (chart.total, chart.bars, list(chart.blocks)) == (0, 0, [])
