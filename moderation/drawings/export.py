"""Puts trained weights where the detector finds them: ``python -m moderation.drawings.export RUN``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from moderation.detectors.clip import CONFIG, DRAWN_FOLDER, IMAGE_SIDE, TEXT_SIDE
from moderation.drawings.train import MEAN, STD, DrawnClip

_FEW = 64
"""Tensors of fewer numbers stay at 32 bits."""


class ImageSide(nn.Module):
    """(N, S, S, 3) uint8 RGB to (N, D) of length 1."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, squares: Tensor) -> Tensor:
        values = squares.permute(0, 3, 1, 2).float() / 255.0
        return nn.functional.normalize(self.tower((values - MEAN) / STD), dim=-1)


def export(run: Path, folder: Path = DRAWN_FOLDER) -> None:
    """The last checkpoint of a training run as the files that ``load_clip`` reads."""
    from safetensors.torch import save_file

    state = torch.load(run / "last.pt", weights_only=True)
    config = state["config"]["model"]
    model = DrawnClip(config)
    model.load_state_dict(state["model"])
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"mean": [MEAN] * 3, "std": [STD] * 3}
    told = json.dumps({"model_cfg": config, "preprocess_cfg": settings}, indent=2)
    (folder / CONFIG).write_text(told + "\n", encoding="utf-8")
    text = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("visual.")}
    save_file(text, folder / TEXT_SIDE)
    _write_onnx(ImageSide(model.visual).eval(), config["vision_cfg"]["image_size"], folder / IMAGE_SIDE)


def _write_onnx(side: ImageSide, size: int, path: Path) -> None:
    import onnx

    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    program = torch.onnx.export(
        side,
        (example,),
        input_names=["squares"],
        output_names=["vectors"],
        dynamic_shapes={"squares": {0: torch.export.Dim("n", min=1, max=4096)}},
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    onnx.save(_halved(program.model_proto), path)


def _halved(model: Any) -> Any:
    """Weights kept at 16 bits and made 32 bits wide again when the model is loaded: half the file."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= _FEW:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def main() -> None:
    """The command line."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", type=Path, default=DRAWN_FOLDER)
    chosen = parser.parse_args()
    export(chosen.run, chosen.to)


if __name__ == "__main__":
    main()
