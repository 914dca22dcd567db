"""The simulator's painter: composes and lights the layers exactly, the target that the decoder learns."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from worldmodel.bank import WorldBank
from worldmodel.constants import FRAME, TILE, Tile
from worldmodel.crops import Layers, read_layers, unpack
from worldmodel.daylight import darkness
from worldmodel.protocol import State

LANTERN = 34.0
"""Reach of the player's light, in pixels (one standard deviation)."""
GLOWING = (Tile.GOAL, Tile.PORTAL, Tile.CHARACTER, Tile.KEY)
NIGHT = 0.28
"""Share of light that each level of darkness takes away."""


def paint(bank: WorldBank, state: State) -> Tensor:
    """(B, 3, FRAME, FRAME) uint8."""
    layers = read_layers(bank, state)
    picture, changing, movers, player = torch.split(unpack(layers.pixels), 4, 1)
    frame = _over(_over(picture[:, :3], changing), movers)
    blink = (state.safe > 0) & (state.safe % 2 == 0)
    frame = _over(frame, player, torch.where(blink, 0.35, 1.0))
    frame = frame * _light(bank, state, layers)
    return (_flash(frame, state).clamp(0, 1) * 255).round().to(torch.uint8)


def _over(frame: Tensor, layer: Tensor, opacity: Tensor | None = None) -> Tensor:
    alpha = layer[:, 3:]
    if opacity is not None:
        alpha = alpha * opacity[:, None, None, None]
    return frame + (layer[:, :3] - frame) * alpha


def _light(bank: WorldBank, state: State, layers: Layers) -> Tensor:
    dark = darkness(bank, state)[:, None, None]
    if not bool((dark > 0).any()):
        return torch.ones(len(state), 1, 1, 1, device=dark.device)
    glow = torch.maximum(_lantern(layers.centre), _tile_glow(layers))
    return (1 - NIGHT * dark * (1 - glow))[:, None]


def _lantern(centre: Tensor) -> Tensor:
    pixels = torch.arange(FRAME, device=centre.device)
    dx, dy = pixels - centre[:, :1], pixels - centre[:, 1:]
    square = (dx * dx)[:, None, :] + (dy * dy)[:, :, None]
    return torch.exp(-square.float() / (2 * LANTERN**2))


def _tile_glow(layers: Layers) -> Tensor:
    glowing = torch.isin(
        layers.classes,
        torch.tensor([int(t) for t in GLOWING], device=layers.classes.device, dtype=torch.uint8),
    )
    wide = functional.interpolate(glowing[:, None].float(), scale_factor=TILE, mode="bilinear")[:, 0]
    views = [wide[row, y : y + FRAME, x : x + FRAME] for row, (x, y) in enumerate(layers.offset.tolist())]
    return torch.stack(views)


def _flash(frame: Tensor, state: State) -> Tensor:
    """The effect of a flashing lever: a white field every other frame, 7.5 flashes a second."""
    lit = ((state.flash > 0) & (state.flash % 2 == 0))[:, None, None, None]
    dim = ((state.flash > 0) & (state.flash % 2 == 1))[:, None, None, None]
    return torch.where(lit, frame + (1 - frame) * 0.85, torch.where(dim, frame * 0.6, frame))
