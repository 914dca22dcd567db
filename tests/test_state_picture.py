"""The picture of the states is the code's."""

from __future__ import annotations

from pathlib import Path

from moderation.state_picture import document
from moderation.states import TRANSITIONS, WorldState

FILE = Path(__file__).parent.parent / "docs" / "states.md"


def test_the_file_is_not_behind_the_code() -> None:
    assert FILE.read_text() == document(), "run: python -m moderation.state_picture > docs/states.md"


def test_every_transition_is_drawn_or_told() -> None:
    text = document()
    told = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("- `")}

    for state, following in TRANSITIONS.items():
        for one in following:
            assert f"    {state} --> {one}\n" in text or f"`{state}`" in told[one] or "every" in told[one]


def test_every_state_says_what_it_means() -> None:
    rows = [line for line in document().splitlines() if line.startswith("| `")]

    assert len(rows) == len(WorldState)
    assert all(len(row.split("|")[2].strip()) > 10 for row in rows)
