"""Training goes forward, and goes on where it was stopped."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from worldmodel.bank import WorldBank
from worldmodel.dynamics import DynamicsConfig
from worldmodel.gallery import generated_worlds
from worldmodel.neural import NeuralConfig, read_model
from worldmodel.training import Paused, Run, TrainConfig, read_config, read_metrics, shipped_config

SMALL = TrainConfig(
    dynamics_steps=100,
    dynamics_batch=128,
    maps=8,
    decoder_steps=50,
    decoder_batch=2,
    checkpoint_every=50,
    model=NeuralConfig(dynamics=DynamicsConfig(motion_width=64, touch_width=48, mover_width=48)),
)


def gallery() -> WorldBank:
    bank = WorldBank(torch.device("cpu"))
    bank.add(generated_worlds(2, seed=5))
    return bank


def test_a_shipped_configuration_trains_what_the_defaults_say() -> None:
    assert shipped_config("cpu") == TrainConfig()
    assert shipped_config("gpu").precision == "bfloat16"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('dynamics_steps = "many"', "dynamics_steps must be of type int, not 'many'"),
        ("[model.decoder]\nwidth = 3", "model: decoder: there is no field 'width'"),
        ("dynamics_steps = ", "Invalid value"),
    ],
)
def test_a_configuration_that_cannot_be_read_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        read_config(file)
    assert str(file) in str(caught.value)


def test_a_run_can_be_made_in_pieces(tmp_path: Path) -> None:
    pieces = 0
    run = Run(tmp_path, replace(SMALL, dynamics_steps=20, decoder_steps=4))
    while True:
        try:
            weights = run.train(gallery, seconds=0.5)
            break
        except Paused:
            pieces += 1
    assert pieces > 0
    assert weights.exists()


class Stopped(Exception):
    pass


def test_a_stopped_run_goes_on_from_its_checkpoint_and_ends_with_weights(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def stop_at_70(phase: str, done: int, total: int, metrics: dict[str, float]) -> None:
        seen.append((phase, done))
        if len(seen) == 70:
            raise Stopped

    run = Run(tmp_path, SMALL)
    with pytest.raises(Stopped):
        run.train(gallery, progress=stop_at_70)
    weights = run.train(gallery, progress=stop_at_70)
    assert seen[70] == ("dynamics", 51), "the second run starts behind the checkpoint at 50"
    assert seen[-1] == ("decoder", 50)
    rows = list(read_metrics(tmp_path))
    assert rows[-1]["phase"] == "decoder"
    losses = [float(r["loss"]) for r in rows if r["phase"] == "dynamics"]
    assert losses[-1] < losses[0]
    assert read_model(weights).config == SMALL.model
    again = run.train(gallery, progress=stop_at_70)
    assert again == weights, "a finished run does nothing twice"


def test_training_and_evaluation_worlds_are_apart() -> None:
    training = {w.key for w in generated_worlds(6, seed=1)}
    evaluation = {w.key for w in generated_worlds(6, seed=1, evaluation=True)}
    assert not training & evaluation
    assert len(training) == len(evaluation) == 6


def test_the_config_is_written_beside_the_run(tmp_path: Path) -> None:
    config = replace(SMALL, dynamics_steps=50, decoder_steps=50)
    Run(tmp_path, config).train(gallery)
    assert '"dynamics_steps": 50' in (tmp_path / "config.json").read_text()
