"""The network: a stack of convolutions without padding, so that a window and a picture give the same scores.

It sees 39 x 39 pixels and looks every 8; a larger picture gives a map of scores, one for each window.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from moderation.symbols.emblems import CLASSES
from moderation.symbols.looking import WINDOW

WIDTHS = (16, 32, 64, 96, 128)


def _layer(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class SymbolNet(nn.Module):
    """(B, 3, H, W) normalised pixels to (B, classes, h, w) logits; H = W = WINDOW gives h = w = 1."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d, e = WIDTHS
        self.features = nn.Sequential(
            _layer(3, a, 2), _layer(a, b, 2), _layer(b, c, 1), _layer(c, d, 2), _layer(d, e, 1)
        )
        self.drop = nn.Dropout(0.15)
        self.head = nn.Conv2d(e, len(CLASSES), 1)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(self.features(pixels)))
        return logits


class _Scored(nn.Module):
    def __init__(self, net: SymbolNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor) -> Tensor:
        scores: Tensor = self.net(pixels).softmax(1)
        return scores


def export(net: SymbolNet, path: Path) -> None:
    """Write the network with a softmax as ONNX, for pictures and batches of any size."""
    batch, height, width = (torch.export.Dim(name) for name in ("batch", "height", "width"))
    program = torch.onnx.export(
        _Scored(net).eval(),
        (torch.zeros(2, 3, WINDOW + 40, WINDOW + 24),),
        dynamo=True,
        input_names=["pixels"],
        output_names=["scores"],
        dynamic_shapes=({0: batch, 2: height, 3: width},),
        verbose=False,
    )
    assert program is not None
    program.save(str(path))
