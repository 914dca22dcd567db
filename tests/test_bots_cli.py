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
    result = CliRunner().invoke(app, ["bots", *arguments])
    return result.exit_code, result.output


def test_exploring_an_example_prints_what_was_reached_and_saves_it(tmp_path: Path) -> None:
    out = tmp_path / "found.npz"

    code, printed = run(
        "explore", str(EXAMPLE), "--steps", "3000", "--episodes", "2", "--seed", "5", "--out", str(out)
    )

    assert code == 0, printed
    for word in ("Mossy Steps", "cells in", "stopped", "happened", "recordings", "What may be left", "#"):
        assert word in printed
    assert len(Exploration.load(out).sample) == 2

    remix = ("explore", str(EXAMPLE), "--episodes", "1", "--seed", "6", "--steps", "1")
    code, printed = run(*remix, "--parent", str(out))
    assert code == 0, printed
    assert int(printed.split(" cells in")[0].split()[-1].replace(",", "")) > 150, "with the parent's ways"
    code, printed = run(*remix, "--parent", str(EXAMPLE / "world.yaml"))
    assert code == 2
    assert "cannot be read" in printed


def test_what_is_no_package_is_refused_in_words(tmp_path: Path) -> None:
    code, printed = run("explore", str(tmp_path / "nothing"))

    assert code == 2
    assert "nothing" in printed
    assert "Traceback" not in printed


def test_a_player_is_fitted_to_sessions_and_explores(tmp_path: Path) -> None:
    found, player = str(tmp_path / "found.npz"), str(tmp_path / "player.json")
    run("explore", str(EXAMPLE), "--steps", "500", "--episodes", "6", "--out", found)
    given = ("--world", str(EXAMPLE), "--model", "simulator", "--out", player)

    code, printed = run("fit-player", found, "--arm", "sample", *given)
    assert code == 0, printed
    for word in ("6 sessions", "sticks to a key", "held out", "left as they were"):
        assert word in printed
    code, printed = run("explore", str(EXAMPLE), "--steps", "500", "--episodes", "2", "--player", player)
    assert code == 0, printed
    assert "sessions by model-1/" in printed


def test_sessions_of_people_that_are_not_there_are_refused_in_words(tmp_path: Path) -> None:
    found = str(tmp_path / "found.npz")
    run("explore", str(EXAMPLE), "--steps", "300", "--episodes", "1", "--out", found)

    code, printed = run("fit-player", found, "--world", str(EXAMPLE), "--out", str(tmp_path / "p.json"))

    assert code == 2
    assert "too few" in printed
    code, printed = run("explore", str(EXAMPLE), "--player", found)
    assert code == 2
    assert "holds no player" in printed
