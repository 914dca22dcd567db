"""The decoder: from the layers that the memory holds to the frame that is seen.

A light network works on 16 x 16 cells of 8 pixels and says how bright each place is; a pixel network sees
all layers at every pixel and mixes them. Both are told the world's conditions (darkness, flashing, being
hurt), so that text and pictures stay as sharp as the memory holds them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from worldmodel.bank import WorldBank
from worldmodel.constants import FRAME, TILE, TILE_CLASSES
from worldmodel.crops import VIEW, Layers, unpack
from worldmodel.daylight import darkness
from worldmodel.protocol import State

CELL = 8
"""Pixels to a side of a light cell."""
CELLS = FRAME // CELL
LAYER_CHANNELS = 16
"""RGBA of the picture, what changes, the movers and the player."""
SOURCES = 4


@dataclass(frozen=True)
class DecoderConfig:
    """Widths of the light and the pixel network."""

    light_width: int = 24
    light_channels: int = 8
    pixel_width: int = 24


@dataclass(frozen=True)
class DecoderInputs:
    """What the decoder sees of B moments."""

    pixels: Tensor
    """(B, FRAME, FRAME, 4) int32, packed layers."""
    tiles: Tensor
    """(B, TILE_CLASSES, CELLS, CELLS) share of each light cell that a class covers."""
    place: Tensor
    """(B, 2, CELLS, CELLS) distance of the cell's centre to the player along x and y, in 64 pixels."""
    conditions: Tensor
    """(B, CONDITIONS) float32."""

    def __getitem__(self, rows: slice) -> DecoderInputs:
        return DecoderInputs(self.pixels[rows], self.tiles[rows], self.place[rows], self.conditions[rows])


CONDITIONS = 4 + 2 + 2
"""Darkness by the levels it lies between, flashing by phase, safe by phase."""


def decoder_inputs(bank: WorldBank, state: State, layers: Layers) -> DecoderInputs:
    """The layers, with the tiles' classes by light cell and the world's conditions."""
    return DecoderInputs(
        pixels=layers.pixels,
        tiles=_cell_classes(layers),
        place=_place(layers),
        conditions=_conditions(bank, state),
    )


def _cell_classes(layers: Layers) -> Tensor:
    """Resample the (B, VIEW, VIEW) classes to light cells by the area they cover."""
    onehot = functional.one_hot(layers.classes.long(), TILE_CLASSES).permute(0, 3, 1, 2).float()
    across, down = _coverage(layers.offset[:, 0]), _coverage(layers.offset[:, 1])
    return torch.einsum("bih,bchw,bjw->bcij", down, onehot, across)


def _coverage(offset: Tensor) -> Tensor:
    """(B, CELLS, VIEW) share of each cell's length that lies in each tile."""
    low = torch.arange(CELLS, device=offset.device) * CELL + offset[:, None]
    start = torch.arange(VIEW, device=offset.device) * TILE
    shared = torch.minimum(low[..., None] + CELL, start + TILE) - torch.maximum(low[..., None], start)
    return shared.clamp(min=0).float() / CELL


def _place(layers: Layers) -> Tensor:
    middle = torch.arange(CELLS, device=layers.centre.device) * CELL + CELL / 2
    dx = (middle - layers.centre[:, :1])[:, None, :].expand(-1, CELLS, CELLS)
    dy = (middle - layers.centre[:, 1:])[:, :, None].expand(-1, CELLS, CELLS)
    return torch.stack([dx, dy], 1) / 64


def _conditions(bank: WorldBank, state: State) -> Tensor:
    levels = torch.arange(4, device=state.canvas.device)
    dark = (1 - (darkness(bank, state)[:, None] - levels).abs()).clamp(min=0)  # between its two levels
    flags = [
        (state.flash > 0) & (state.flash % 2 == 0),
        (state.flash > 0) & (state.flash % 2 == 1),
        (state.safe > 0) & (state.safe % 2 == 0),
        (state.safe > 0) & (state.safe % 2 == 1),
    ]
    return torch.cat([dark, torch.stack(flags, 1)], 1).float()


class Decoder(nn.Module):
    """Light network, pixel network and the mixture of the layers."""

    upsample: Tensor

    def __init__(self, config: DecoderConfig | None = None) -> None:
        super().__init__()
        config = config or DecoderConfig()
        light, width = config.light_width, config.pixel_width
        self.light_in = nn.Conv2d(TILE_CLASSES + 2, light, 3, padding=1, padding_mode="replicate")
        self.conditions = nn.Linear(CONDITIONS, light)
        self.light_mid = nn.Conv2d(light, light, 3, padding=1, padding_mode="replicate")
        self.light_out = nn.Conv2d(light, config.light_channels + 1, 3, padding=1, padding_mode="replicate")
        self.pixel_in = nn.Conv2d(LAYER_CHANNELS + config.light_channels, width, 1)
        self.pixel_mid = nn.Conv2d(width, width, 1)
        self.pixel_out = nn.Conv2d(width, SOURCES + 1, 1)
        self.register_buffer("upsample", _bilinear(), persistent=False)
        nn.init.zeros_(self.pixel_out.weight)

    def forward(self, inputs: DecoderInputs) -> Tensor:
        """(B, 3, FRAME, FRAME) float32, about 0..1."""
        return self.compose(unpack(inputs.pixels), inputs)

    def compose(self, layers: Tensor, inputs: DecoderInputs) -> Tensor:
        """The same from layers (B, LAYER_CHANNELS, FRAME, FRAME) that are unpacked already."""
        light = self.light_in(torch.cat([inputs.tiles, inputs.place], 1))
        light = functional.relu(light + self.conditions(inputs.conditions)[:, :, None, None])
        light = light + functional.relu(self.light_mid(light))
        light = self.upsample @ self.light_out(light) @ self.upsample.T
        x = torch.cat([layers, light[:, 1:]], 1)
        x = functional.relu(self.pixel_in(x), inplace=True)
        x = functional.relu(self.pixel_mid(x), inplace=True)
        mixing = self.pixel_out(x)
        frames: Tensor = _mix(layers, mixing[:, :SOURCES]) * (1 + light[:, :1]) + mixing[:, SOURCES:]
        return frames


def _bilinear() -> Tensor:
    """(FRAME, CELLS) matrix that interpolates linearly between the cells' centres."""
    matrix: Tensor = functional.interpolate(torch.eye(CELLS)[None], size=FRAME, mode="linear")[0].T
    return matrix.contiguous()


def _mix(layers: Tensor, logits: Tensor) -> Tensor:
    """Softmax mixture of the four sources' colours."""
    weights = logits.softmax(1)
    mixed = layers[:, 0:3] * weights[:, 0:1]
    for source, channel in enumerate((4, 8, 12), start=1):
        mixed = torch.addcmul(mixed, layers[:, channel : channel + 3], weights[:, source : source + 1])
    return mixed
