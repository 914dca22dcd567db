"""``docs/policies.md``: its examples are real, and it leaves out nothing that the schema has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from policies import Context, load_bundle
from policies.bundle import HEADER_KEYS
from policies.evidence import FUNCTIONS
from policies.schema import EXPLANATION_FIELDS, CaseSpec, RuleSpec

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)


def block(language: str) -> str:
    return next(code for name, code in BLOCKS if name == language)


def test_the_example_bundle_loads_and_does_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "arcade.yaml"
    path.write_text(block("yaml"), encoding="utf-8")
    bundle = load_bundle(path)
    assert "links" not in {rule.id for rule in bundle.rules}
    assert bundle.rule("slurs").spec.four_eyes
    assert bundle.rule("suggestive").spec.severity == "S2"


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block("python"), "docs/policies.md", "exec"), {})
    assert capsys.readouterr().out.startswith("needs_review by firstplay-default")


def test_everything_that_can_be_written_is_told() -> None:
    names = {
        *FUNCTIONS,
        *(f.name for f in fields(Context)),
        *RuleSpec.model_fields,
        *EXPLANATION_FIELDS,
        *HEADER_KEYS,
        *(name for name in CaseSpec.model_fields if name not in {"name", "findings", "expect"}),
    }
    words = set(re.findall(r"\w+", TEXT))
    assert names - words == set()


def test_the_benchmark_agrees_with_a_scan_of_all_findings_and_writes_its_table(tmp_path: Path) -> None:
    script, table = ROOT / "benchmarks" / "policy_speed.py", tmp_path / "table.json"
    command = [sys.executable, str(script), "--findings", "400", "--repeats", "2", "--json", str(table)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(table.read_text(encoding="utf-8"))["rows"]
    assert {(row["findings"], row["how"]) for row in rows} == {
        (findings, how) for findings in ("mixed", "quiet", "piled") for how in ("indexed", "naive")
    }
