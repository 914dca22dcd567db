"""Weights in 32 bits are made once and mapped from a file by whoever needs them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from moderation.detectors.mapped import mapped

NAME = "silero-vad"
"""A model whose own file comes with an installed package."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIRSTPLAY_MODELS", str(tmp_path))
    return tmp_path


class Weights:
    """Reads a model's file, and counts how often."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self, path: Path) -> dict[str, Tensor]:
        assert path.name == "silero_vad.onnx"
        self.reads += 1
        return {"halves": torch.tensor([[0.5, -2.0], [3.25, 0.0]]).half().T}


def test_weights_are_widened_once_and_then_mapped(cache: Path) -> None:
    read = Weights()
    first, second = mapped(NAME, read), mapped(NAME, read)

    assert read.reads == 1
    for weights in (first, second):
        assert weights["halves"].dtype == torch.float32
        assert weights["halves"].tolist() == [[0.5, 3.25], [-2.0, 0.0]]
    (file,) = (cache / "mapped").glob("*.pt")
    assert str(file) in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_what_one_process_changes_is_not_in_the_file(cache: Path) -> None:
    read = Weights()
    mapped(NAME, read)["halves"].zero_()

    assert mapped(NAME, read)["halves"].sum() == 1.75


def test_a_file_that_was_cut_short_is_made_again(cache: Path) -> None:
    read = Weights()
    mapped(NAME, read)
    (file,) = (cache / "mapped").glob("*.pt")
    file.write_bytes(file.read_bytes()[:-100])

    assert mapped(NAME, read)["halves"].sum() == 1.75
    assert read.reads == 2


def test_without_a_cache_that_can_be_written_weights_are_held_in_memory(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (cache / "mapped").write_text("a file is in the way")

    assert mapped(NAME, Weights())["halves"].sum() == 1.75
    assert "held in memory" in caplog.text
