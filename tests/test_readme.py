"""The README's commands and code run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moderation.detectors.base import Picture
from moderation.detectors.conformance import check

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/detectors.md"]


def blocks(language: str, document: str = "README.md") -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(document: str = "README.md") -> list[str]:
    return [line for block in blocks("bash", document) for line in block.splitlines() if line]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one line as a reader would, with this environment's ``firstplay`` first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like the checkout, with the README's own world in it."""
    for name in ("examples", "policies"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "my-world").mkdir()
    (tmp_path / "my-world" / "world.yaml").write_text(blocks("yaml")[0])
    shutil.copytree(ROOT / "policies" / "default", tmp_path / "my-policy")
    return tmp_path


def runs_as_it_stands(command: str) -> bool:
    quick = ("firstplay world ", "firstplay policy ", "firstplay worlds", "cp ")
    return command.startswith(quick)


@pytest.mark.parametrize("command", [each for each in commands() if runs_as_it_stands(each)])
def test_a_quick_command_runs(command: str, checkout: Path) -> None:
    result = shell(command, checkout)

    assert result.returncode == 0, result.stderr
    assert command.startswith("cp ") or result.stdout


@pytest.mark.parametrize(
    "command", [each for each in commands() + commands("CONTRIBUTING.md") if each.startswith("make ")]
)
def test_a_make_target_exists(command: str) -> None:
    result = shell(f"{command} --dry-run", ROOT)

    assert result.returncode == 0, result.stderr


GROUPS = {"accounts"}
"""Commands whose options are their sub-commands'."""


@pytest.mark.parametrize("command", [each for each in commands() if each.startswith("firstplay ")])
def test_a_command_s_options_exist(command: str, checkout: Path) -> None:
    name, *words = command.split()[1:]
    name = f"{name} {words[0]}" if name in GROUPS else name
    usage = shell(f"firstplay {name} --help", checkout)

    assert usage.returncode == 0, usage.stderr
    for option in (word for word in words if word.startswith("--")):
        assert option in usage.stdout


def test_no_command_is_left_untested() -> None:
    known = ("make ", "firstplay ", "cp ", "source .venv/bin/activate")

    assert [each for each in commands() if not each.startswith(known)] == []


def test_every_command_named_in_the_text_exists() -> None:
    text = "".join((ROOT / name).read_text() for name in [*DOCUMENTS, "CHANGELOG.md"])
    named = set(re.findall(r"firstplay ([a-z]+(?: (?:check|schema|train|evaluate|list))?)(?=[ `])", text))

    assert {"review", "replay", "serve", "world check", "models list"} <= named
    for command in sorted(named - {"lets", "never", "says", "therefore"}):
        result = shell(f"firstplay {command} --help", ROOT)
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_code_runs(code: str, checkout: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout


@pytest.mark.parametrize("document", [*DOCUMENTS, "CHANGELOG.md"])
def test_links_within_the_repository_lead_somewhere(document: str) -> None:
    source = ROOT / document
    targets = re.findall(r"\]\(([^)#]+)\)", source.read_text())

    missing = [each for each in targets if "://" not in each and not (source.parent / each).exists()]
    assert missing == []


def test_the_detector_of_the_guide_conforms() -> None:
    (code,) = blocks("python", "docs/detectors.md")
    made: dict[str, Any] = {}
    exec(code, made)
    red = np.zeros((8, 8, 3), np.uint8)
    red[:4, :, 0] = 255

    detector = made["Redness"]()

    check(detector, [Picture(red), Picture(np.zeros_like(red), at=2.0)])
    assert detector([Picture(red)])[0][0].score == 0.5
