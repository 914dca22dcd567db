"""The pages' scripts that ship are what their TypeScript compiles to."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from feedapi.pages import STATIC
from tests.conftest import missing

WEB = STATIC.parent / "web"


def test_every_script_is_what_its_source_compiles_to(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        missing("npm is needed to compile the pages' scripts")
    web = tmp_path / "web"
    shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("node_modules"))
    install = ["npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=web, check=True, capture_output=True)

    compile_ = ["npx", "tsc", "--outDir", tmp_path / "static"]
    made = subprocess.run(compile_, check=False, cwd=web, capture_output=True, text=True)

    assert made.returncode == 0, made.stdout
    for script in sorted((tmp_path / "static").iterdir()):
        shipped = (STATIC / script.name).read_text(encoding="utf-8")
        assert shipped == script.read_text(encoding="utf-8"), f"{script.name} is out of date: run `make web`"
