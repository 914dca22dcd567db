"""The repository as a home: the command line, its errors, and what importing it costs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import typer

from feedapi import cli

ROOT = Path(__file__).resolve().parent.parent


def firstplay(*args: str) -> subprocess.CompletedProcess[str]:
    program = "from feedapi.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, check=False)


def imported_by(module: str) -> set[str]:
    program = f"import sys, {module}; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(out.stdout.split())


def test_version_is_the_distribution_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    result = firstplay("--version")

    assert result.stdout == f"firstplay {project['version']}\n"
    assert result.returncode == 0


def test_an_unknown_command_is_a_usage_error() -> None:
    result = firstplay("no-such-command")

    assert result.returncode == 2
    assert "no-such-command" in result.stderr
    assert "Traceback" not in result.stderr


def broken(app: typer.Typer) -> None:
    @app.command("break")
    def command() -> None:
        raise RuntimeError("the disk\nis full")


def test_an_unforeseen_error_is_one_line_and_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "register", broken)
    monkeypatch.setattr(sys, "argv", ["firstplay", "break"])

    with pytest.raises(SystemExit) as end:
        cli.main()

    error = capsys.readouterr().err
    assert end.value.code == cli.UNEXPECTED
    assert error.count("\n") == 1
    assert "RuntimeError: the disk is full" in error


def test_debug_shows_where_it_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "register", broken)
    monkeypatch.setattr(sys, "argv", ["firstplay", "break"])
    monkeypatch.setenv("FIRSTPLAY_DEBUG", "1")

    with pytest.raises(RuntimeError):
        cli.main()


@pytest.mark.parametrize("module", ["feedapi", "feedapi.cli", "policies"])
def test_light_layers_import_no_heavy_library(module: str) -> None:
    heavy = {"torch", "cv2", "onnxruntime", "whisper", "stable_baselines3", "sqlalchemy", "fastapi"}

    assert not imported_by(module) & heavy


def test_constraints_pin_every_dependency_and_nothing_local() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]

    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!]+", line) for line in lines)

    pinned = {normalised(line.split("==")[0]) for line in lines}
    assert {normalised(re.split(r"[\[<>=]", name)[0]) for name in wanted} - {"firstplay"} <= pinned


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
