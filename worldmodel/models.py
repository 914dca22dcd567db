"""Choosing a world model by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import torch

from worldmodel.protocol import WorldModel

if TYPE_CHECKING:
    from worldmodel.neural import NeuralWorldModel

MODELS = ("neural", "simulator")
WEIGHTS = "weights/neural.safetensors"


@overload
def load_model(
    name: Literal["neural"] = "neural", device: torch.device | str = "cpu", weights: Path | None = None
) -> NeuralWorldModel: ...
@overload
def load_model(name: str, device: torch.device | str = "cpu", weights: Path | None = None) -> WorldModel: ...
def load_model(
    name: str = "neural", device: torch.device | str = "cpu", weights: Path | None = None
) -> WorldModel:
    """The world model ``name``: ``neural`` (with these weights, or the package's) or ``simulator``.

    Raises ValueError for another name and FileNotFoundError when the weights are not there.
    """
    if name == "simulator":
        from worldmodel.simulator import Simulator

        return Simulator(device)
    if name != "neural":
        raise ValueError(f"no world model is called {name!r}; there are {', '.join(MODELS)}")
    from worldmodel.neural import read_model

    path = weights or Path(str(files("worldmodel"))) / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no weights; train them with `firstplay worldmodel train`")
    return read_model(path, device)
