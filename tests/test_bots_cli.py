"""The ``firstplay bots`` commands."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner

from bots import cli
from bots.exploration import Exploration

EXAMPLE = Path(__file__).parent.parent / "examples" / "mossy-steps"


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    cli.register(app)
    result = CliRunner().invoke(app, ["bots", "explore", *arguments])
    return result.exit_code, result.output


def test_exploring_an_example_prints_what_was_reached_and_saves_it(tmp_path: Path) -> None:
    out = tmp_path / "found.npz"

    code, printed = run(str(EXAMPLE), "--steps", "3000", "--episodes", "2", "--seed", "5", "--out", str(out))

    assert code == 0, printed
    for word in ("Mossy Steps", "cells in", "stopped", "happened", "recordings", "What may be left", "#"):
        assert word in printed
    assert len(Exploration.load(out).sample) == 2


def test_what_is_no_package_is_refused_in_words(tmp_path: Path) -> None:
    code, printed = run(str(tmp_path / "nothing"))

    assert code == 2
    assert "nothing" in printed
    assert "Traceback" not in printed
