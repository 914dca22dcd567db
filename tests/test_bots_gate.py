"""The gate of the cells: what it passes, and what it must not."""

from __future__ import annotations

import json

import pytest
import torch
import typer
from torch import Tensor
from typer.testing import CliRunner

from bots import cells, cli, gate
from bots.cells import Cells, SeenCells
from tests.bot_worlds import bot_world
from worldmodel.protocol import State
from worldmodel.simulator import Simulator


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "STEPS", 40)


def rows() -> dict[tuple[str, str], gate.GateRow]:
    return {(r.cells, r.again): r for r in gate.gate(Simulator(), [bot_world(), bot_world(top_view=True)])}


def test_the_cells_pass_and_tell_moments_apart() -> None:
    found = rows()

    assert set(found) == {
        (kind, again) for kind in ("state", "frame") for again in ("restored", "replayed alone")
    } | {("frame", "noise of 0.4 grey levels")}
    for row in found.values():
        assert row.passes, row
        assert row.states == 2 * gate.PLAYS * 8
        assert 0 < row.lower <= row.same
        assert row.merged < 0.5


def test_cells_of_all_that_a_state_holds_pass_no_replay_of_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash of every pixel splits with the least noise, which is what the gate is there to see."""

    def every_pixel(self: SeenCells, frames: Tensor, bits: int = 16) -> Tensor:
        weights = torch.arange(frames[0].numel()) * 2 + 1
        return (frames.flatten(1).long() * weights).sum(1)

    monkeypatch.setattr(SeenCells, "of_frames", every_pixel)
    found = rows()

    assert found["frame", "restored"].passes
    noisy = found["frame", "noise of 0.4 grey levels"]
    assert not noisy.passes
    assert noisy.same < 0.05


def test_one_cell_for_everything_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cells, "cells", lambda self, state: torch.zeros(len(state), dtype=torch.int64))

    assert rows()["state", "restored"].merged == 1.0


def test_the_command_prints_rates_and_fails_where_a_kind_does(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    cli.register(app)
    arguments = ["bots", "cells-gate", "--model", "simulator", "--worlds", "1"]

    told = CliRunner().invoke(app, [*arguments, "--json"])
    assert told.exit_code == 0, told.output
    assert all(row["same"] >= 0.95 for row in json.loads(told.output))

    def random_cells(self: Cells, state: State) -> Tensor:
        return torch.randint(1 << 30, (len(state),))

    monkeypatch.setattr(cells.Cells, "cells", random_cells)
    failed = CliRunner().invoke(app, arguments)
    assert failed.exit_code == 1
    assert "fails" in failed.output
