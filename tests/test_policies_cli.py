"""``firstplay policy``: what its commands print and return."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from policies.cli import group, register

app = typer.Typer()
register(app)
runner = CliRunner()


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text("bundle: x\nversion: 1\n", encoding="utf-8")
    return path


def test_check_accepts_the_default_bundle() -> None:
    result = runner.invoke(app, ["policy", "check"])
    assert result.exit_code == 0
    assert "test cases pass" in result.stdout


def test_check_names_the_place_of_a_fault_and_fails(broken: Path) -> None:
    result = runner.invoke(app, ["policy", "check", str(broken)])
    assert result.exit_code == 1
    assert f"error: {broken}:2:10: version" in result.output


def test_test_prints_a_line_for_each_case(tmp_path: Path) -> None:
    from tests.test_policies import SMALL

    path = tmp_path / "small.yaml"
    path.write_text(SMALL + "  - {name: wrong, expect: rejected}\n", encoding="utf-8")
    result = runner.invoke(app, ["policy", "test", str(path)])
    assert result.exit_code == 1
    assert "ok    bad" in result.stdout
    assert "FAIL  wrong: test case 'wrong' expects rejected but got cleared" in result.stdout
    assert "1 of 2 cases pass" in result.stdout


def test_show_reads_as_prose() -> None:
    result = runner.invoke(app, ["policy", "show"])
    assert result.exit_code == 0
    assert "A world is rejected if the highest score of “slur” is at least 0.8." in result.stdout


def test_test_explains_a_case_rule_by_rule() -> None:
    result = runner.invoke(app, ["policy", "test", "--explain", "phone number"])
    assert result.exit_code == 0
    assert "      needs_review by firstplay-default" in result.stdout
    assert '        max("personal_data") = 0.9' in result.stdout
    assert "“+1 555 0100”" in result.stdout


def test_diff_says_what_changes_and_which_cases_turn(tmp_path: Path) -> None:
    heir = tmp_path / "heir.yaml"
    heir.write_text('bundle: mine\nversion: "1"\nstatus: draft\nextends: default\n', encoding="utf-8")
    same = runner.invoke(app, ["policy", "diff", "default", str(heir)])
    assert same.exit_code == 0
    heir.write_text(heir.read_text(encoding="utf-8") + "disable: [links]\n", encoding="utf-8")
    result = runner.invoke(app, ["policy", "diff", "default", str(heir)])
    assert result.exit_code == 1
    assert "- rule links" in result.stdout
    assert "a link in the prompt: needs_review (links, 3+) → cleared" in result.stdout
    told = json.loads(runner.invoke(app, ["policy", "diff", "default", str(heir), "--json"]).stdout)
    assert [change["subject"] for change in told["changes"]] == ["rule links"]
    assert told["before"]["sha256"] != told["after"]["sha256"]


def test_diff_refuses_a_broken_bundle_with_another_code(broken: Path) -> None:
    assert runner.invoke(app, ["policy", "diff", "default", str(broken)]).exit_code == 2


def test_guidelines_are_markdown_from_the_rules() -> None:
    result = runner.invoke(app, ["policy", "guidelines"])
    assert result.exit_code == 0
    assert result.stdout.startswith("# Guidelines for worlds\n")
    assert "- No sign, character or voice threatens the person who plays." in result.stdout


def test_a_layer_above_can_add_a_command() -> None:
    above = typer.Typer()
    register(above)
    group(above).command("explain")(lambda world: typer.echo(f"explained {world}"))
    assert runner.invoke(above, ["policy", "explain", "lantern-caves"]).stdout == "explained lantern-caves\n"


def test_show_and_test_refuse_a_broken_bundle(broken: Path) -> None:
    assert runner.invoke(app, ["policy", "show", str(broken)]).exit_code == 1
    assert runner.invoke(app, ["policy", "test", str(broken)]).exit_code == 1


def test_schema_is_json_schema() -> None:
    result = runner.invoke(app, ["policy", "schema"])
    assert json.loads(result.stdout)["$schema"].startswith("https://json-schema.org/")


def test_policies_import_neither_torch_nor_the_parser() -> None:
    code = "import sys, policies; print({'torch', 'numpy', 'celpy', 'ruamel.yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
