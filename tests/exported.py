"""An untrained model, its graph, and worlds with a little of everything, for the tests of the export."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import torch

from tests.small_worlds import small_world
from worldmodel.compiled import CompiledWorld, Mechanics
from worldmodel.constants import LeverEffect
from worldmodel.dynamics import TOUCH_SIZES
from worldmodel.export import export_step
from worldmodel.neural import NeuralWorldModel

YARD = """
########################
#....w......s....c.....#
#..o...k...............#
#@..%%..D..L..C..P..~~.#
####..####-###..####~~##
#...f....|....g..^..p.G#
########################
"""
MECHANICS = (
    Mechanics(),
    Mechanics(top_view=True, darkness=2),
    Mechanics(air_jumps=1, wind=-2, gravity=1, jump=8),
    Mechanics(day_length=60, coins_needed=1),
    Mechanics(look_ahead=16, speed=8, accel=1, enemy_speed=3),
    Mechanics(platform_speed=2, wind=2, darkness=3),
    Mechanics(top_view=True, look_ahead=8, enemy_speed=1, wind=1),
    Mechanics(gravity=3, jump=18, day_length=30),
)


def yards() -> list[CompiledWorld]:
    levers = (LeverEffect.FLASH, LeverEffect.OPEN)
    return [small_world(YARD, m, lever=levers[i % 2]) for i, m in enumerate(MECHANICS)]


def random_model() -> NeuralWorldModel:
    """Untrained weights that see no portal and no goal, so that play goes on, and a decoder of all layers."""
    torch.manual_seed(0)
    model = NeuralWorldModel()
    sizes = list(TOUCH_SIZES.values())
    for name in ("portal", "goal"):
        first = sum(sizes[: list(TOUCH_SIZES).index(name)])
        torch.nn.init.constant_(model.dynamics.touch.head.bias[first], -1_000)
    torch.nn.init.normal_(model.decoder.pixel_out.weight, std=0.3)
    return model


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="export")


@cache
def exported() -> Path:
    """The graph of that model, once per process: writing it takes half a minute."""
    path = Path(_folder().name) / "step.onnx"
    export_step(random_model(), yards()[0], path)
    return path
