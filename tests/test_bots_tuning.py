"""Fine-tuning the generalist on one world, and the command that measures it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from bots import cli
from bots.finetune import ARMS, explored
from bots.generalist import Policy
from bots.tuned import TUNING


@pytest.fixture(autouse=True)
def small_and_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bots.finetune.TUNING", replace(TUNING, rows=16, batch=256, learning_rate=1e-2))


def test_every_arm_explores_alike_until_it_has_learned_and_the_frozen_one_never_learns() -> None:
    torch.manual_seed(0)
    policy = Policy()
    before = {name: value.clone() for name, value in policy.state_dict().items()}

    runs = {arm: list(explored(arm, policy, 3, 0, [1, 1_500])) for arm in ARMS}

    firsts, seconds = ({arm: run[i].tiles for arm, run in runs.items()} for i in (0, 1))
    assert len(set(firsts.values())) == 1
    assert len(set(seconds.values())) == len(ARMS), "each learns from another reward"
    assert all(set(firsts[arm]) < set(seconds[arm]) for arm in ARMS)
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())


def test_the_command_prints_and_saves_a_table(tmp_path: Path) -> None:
    app, out = typer.Typer(), tmp_path / "tuned.json"
    cli.register(app)

    done = CliRunner().invoke(app, ["bots", "tune", "--worlds", "1", "--budget", "1", "--out", str(out)])

    assert done.exit_code == 0, done.output
    assert "ahead of frozen" in done.output
    saved = json.loads(out.read_text(encoding="utf-8"))
    assert {run["arm"] for run in saved["runs"]} == set(ARMS)
    assert {row["metric"] for row in saved["rows"]} == {"cells", "tiles", "happenings"}
