"""Choosing a world model by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import torch

from worldmodel.protocol import WorldModel

if TYPE_CHECKING:
    from worldmodel.neural import NeuralWorldModel

MODELS = ("neural", "simulator", "diffusion", "transformer")
WEIGHTS = {
    "neural": "weights/neural.safetensors",
    "diffusion": "adapters/weights/diffusion.safetensors",
    "transformer": "adapters/weights/transformer.safetensors",
}
"""Where the weights lie that come with the package; for the transformer there are none yet."""


@overload
def load_model(
    name: Literal["neural"] = "neural", device: torch.device | str = "cpu", weights: Path | None = None
) -> NeuralWorldModel: ...
@overload
def load_model(name: str, device: torch.device | str = "cpu", weights: Path | None = None) -> WorldModel: ...
def load_model(
    name: str = "neural", device: torch.device | str = "cpu", weights: Path | None = None
) -> WorldModel:
    """The world model ``name``, one of MODELS; all but ``simulator`` with these weights.

    Without ``weights`` the package's own are read. Raises ValueError for another name or for weights of
    another model, and FileNotFoundError when the weights are not there.
    """
    if name == "simulator":
        from worldmodel.simulator import Simulator

        return Simulator(device)
    if name not in WEIGHTS:
        raise ValueError(f"no world model is called {name!r}; there are {', '.join(MODELS)}")
    path = weights or Path(str(files("worldmodel"))) / WEIGHTS[name]
    if not path.is_file():
        command = "train" if name == "neural" else "train-adapter"
        raise FileNotFoundError(f"{path}: no weights; train them with `firstplay worldmodel {command}`")
    return _read(name, path, device)


def _read(name: str, path: Path, device: torch.device | str) -> WorldModel:
    if name == "diffusion":
        from worldmodel.adapters.diffusion import read_diffusion

        return read_diffusion(path, device)
    if name == "transformer":
        from worldmodel.adapters.transformer import read_transformer

        return read_transformer(path, device)
    from worldmodel.neural import read_model

    return read_model(path, device)
