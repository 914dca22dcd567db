"""Drawings put into pictures of worlds: warped, recoloured, tiled, in light and dark; a batch at once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

BOARD = (246.0, 238.0, 214.0)
"""What a sign shows behind the transparent parts of a picture (:mod:`worldmodel.signs`)."""


@dataclass(frozen=True)
class ComposeConfig:
    """Ranges and chances of what is done to a drawing."""

    smallest: float = 0.28
    """A drawing's side as a share of the window's; 24 pixels of a frame are 0.38 of a window of 64."""
    largest: float = 0.8
    cut: float = 0.2
    """Share of a drawing's side that may lie outside the window."""
    board: float = 0.75
    """Chance of a plain board behind the drawing."""
    paper: float = 0.7
    """Share of those boards that have the colour of a sign."""
    tiled: float = 0.05
    turned: float = 0.05
    """Chance of any rotation; else it is a few degrees."""
    recoloured: float = 0.15
    """Chance of any hue; else it is nearly the drawing's own."""
    grey: float = 0.1
    outlined: float = 0.3
    """Chance of a dark line around a coloured drawing and along its colours' edges."""
    paled: float = 0.4
    """Chance that the colours of such a one give way to a light one: a line drawing is left."""
    dark: float = 0.1
    noise: float = 0.02
    covered: float = 0.12
    """Chance that something of the world lies over a part of the drawing."""
    soft: float = 0.2


EASY = ComposeConfig(
    smallest=0.8,
    largest=1.0,
    cut=0.0,
    board=1.0,
    paper=1.0,
    tiled=0.0,
    turned=0.0,
    recoloured=0.0,
    grey=0.0,
    outlined=0.0,
    paled=0.0,
    dark=0.0,
    noise=0.005,
    covered=0.0,
    soft=0.0,
)
"""A drawing as large as the picture, on paper: what learning begins with."""


def between(easy: ComposeConfig, hard: ComposeConfig, share: float) -> ComposeConfig:
    """``easy`` at 0, ``hard`` at 1."""
    low, high = asdict(easy), asdict(hard)
    return ComposeConfig(**{name: low[name] + share * (high[name] - low[name]) for name in low})


class Composer:
    """Makes training pictures of drawings."""

    def __init__(
        self,
        drawings: Tensor,
        coloured: Tensor,
        tints: Tensor,
        backgrounds: Tensor,
        generator: torch.Generator,
        config: ComposeConfig | None = None,
    ) -> None:
        """``drawings`` (N, 4, S, S) uint8 RGBA; ``coloured`` (N,) bool; ``tints`` (N, 3) 0..1, negative for
        none: the colour that a drawing without its own mostly gets; ``backgrounds`` (M, 3, W, W) uint8, as
        large as the pictures that are made.
        """
        self.window = backgrounds.shape[-1]
        self.drawings, self.coloured, self.tints, self.backgrounds = drawings, coloured, tints, backgrounds
        self.config = config or ComposeConfig()
        self.generator = generator

    def __call__(self, index: Tensor) -> Tensor:
        """(B, 3, W, W) float32 0..1; an index of -1 leaves the background alone."""
        count = len(index)
        scene = self._pick(self.backgrounds, count).float() / 255.0
        empty = index < 0
        kept = index.clamp(min=0)
        ink = self._inks(self.drawings[kept].float() / 255.0, kept)
        grid, scale = self._grid(count)
        layer = self._sample(ink, grid, scale)
        alpha = layer[:, 3:] * (~empty).view(-1, 1, 1, 1)
        colour = layer[:, :3] * (~empty).view(-1, 1, 1, 1)
        scene = self._on_board(scene, grid)
        picture = scene * (1 - alpha) + colour
        return self._weathered(self._cover(picture))

    # -- chance ---------------------------------------------------------------------------------------

    def _uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(count, generator=self.generator) * (high - low) + low

    def _chance(self, count: int, share: float) -> Tensor:
        return self._uniform(count) < share

    def _pick(self, rows: Tensor, count: int) -> Tensor:
        return rows[torch.randint(len(rows), (count,), generator=self.generator)]

    # -- colour ---------------------------------------------------------------------------------------

    def _inks(self, rgba: Tensor, index: Tensor) -> Tensor:
        """(B, 4, S, S) with colours multiplied by alpha."""
        count = len(rgba)
        own = self._recolour(rgba[:, :3])
        tint = self.tints[index]
        keep = (tint[:, :1] >= 0) & self._chance(count, 0.75).unsqueeze(1)
        near = (tint + 0.12 * torch.randn(count, 3, generator=self.generator)).clamp(0, 1)
        plain = torch.where(keep, near, torch.rand(count, 3, generator=self.generator))
        plain = torch.where(self._chance(count, 0.35).unsqueeze(1) & ~keep, plain * 0.25, plain)
        flat = plain.view(count, 3, 1, 1) * self._shading(count, rgba.shape[-1])
        colour = torch.where(self.coloured[index].view(-1, 1, 1, 1), own, flat).clamp(0, 1)
        alpha = rgba[:, 3:]
        return self._outline(torch.cat([colour * alpha, alpha], 1), self.coloured[index])

    def _outline(self, layer: Tensor, coloured: Tensor) -> Tensor:
        """Some of the coloured drawings (B, 4, S, S), colours multiplied by alpha, get a dark line where
        colour or alpha change; of some of those the colours give way to a light one.
        """
        chosen = (self._chance(len(layer), self.config.outlined) & coloured).nonzero().flatten()
        some, count = layer[chosen], len(chosen)
        edge = functional.max_pool2d(some, 3, 1, 1) + functional.max_pool2d(-some, 3, 1, 1)
        line = (edge.amax(1, keepdim=True) * 2).clamp(0, 1)
        ink = torch.rand(count, 1, 1, 1, generator=self.generator) * 0.25
        pale = 0.8 + 0.2 * torch.rand(count, 3, 1, 1, generator=self.generator)
        share = 0.85 * self._chance(count, self.config.paled).view(-1, 1, 1, 1)
        filled = some[:, :3] * (1 - share) + pale * some[:, 3:] * share
        layer[chosen] = torch.cat([filled * (1 - line) + ink * line, torch.maximum(some[:, 3:], line)], 1)
        return layer

    def _shading(self, count: int, side: int) -> Tensor:
        """(B, 1, S, S) near 1: lighter at the top or at the bottom."""
        slope = self._uniform(count, -0.35, 0.35).view(-1, 1, 1, 1)
        return 1 + slope * torch.linspace(-1, 1, side).view(1, 1, -1, 1)

    def _recolour(self, rgb: Tensor) -> Tensor:
        """Another hue, strength of colour, contrast and light, mostly by a little."""
        count, config = len(rgb), self.config
        turn = self._uniform(count, -0.12, 0.12)
        turn = torch.where(
            self._chance(count, config.recoloured), self._uniform(count, -math.pi, math.pi), turn
        )
        strength = self._uniform(count, 0.6, 1.25)
        strength = torch.where(self._chance(count, config.grey), torch.zeros(count), strength)
        rgb = torch.einsum("bij,bjhw->bihw", _hue(turn, strength), rgb)
        contrast = self._uniform(count, 0.75, 1.15).view(-1, 1, 1, 1)
        light = self._uniform(count, -0.08, 0.12).view(-1, 1, 1, 1)
        return (rgb - 0.5) * contrast + 0.5 + light

    # -- place ----------------------------------------------------------------------------------------

    def _grid(self, count: int) -> tuple[Tensor, Tensor]:
        """(B, W, W, 2) where in the drawing each pixel lies, -1..1, and (B,) the drawing's side."""
        config, window = self.config, self.window
        low, high = math.log(config.smallest * window), math.log(config.largest * window)
        side = torch.exp(self._uniform(count, low, high))
        angle = self._uniform(count, -0.22, 0.22)
        angle = torch.where(
            self._chance(count, config.turned), self._uniform(count, -math.pi, math.pi), angle
        )
        flip = torch.where(self._chance(count, 0.5), -1.0, 1.0)
        stretch = torch.exp(self._uniform(count, -0.22, 0.22))
        shear = self._uniform(count, -0.2, 0.2)
        reach = (window / 2 - side * (0.5 - config.cut)).clamp(min=0) * 2 / window
        shift = (torch.rand(count, 2, generator=self.generator) * 2 - 1) * reach.unsqueeze(1)
        cos, sin = torch.cos(angle), torch.sin(angle)
        zoom = window / side
        top = torch.stack(
            [flip * zoom * stretch * (cos + shear * sin), flip * zoom * stretch * (sin - shear * cos)], 1
        )
        bottom = torch.stack([-zoom / stretch * sin, zoom / stretch * cos], 1)
        linear = torch.stack([top, bottom], 1)  # (B, 2, 2)
        steps = (torch.arange(window) + 0.5) * 2 / window - 1
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        place = torch.stack([x, y], -1).view(1, -1, 2) - shift.unsqueeze(1)
        grid = torch.einsum("bij,bnj->bni", linear, place).view(count, window, window, 2)
        tiled = self._chance(count, config.tiled).view(-1, 1, 1, 1)
        return torch.where(tiled, torch.remainder(grid + 1.1, 2.2) - 1.1, grid), side

    def _sample(self, ink: Tensor, grid: Tensor, side: Tensor) -> Tensor:
        """(B, 4, W, W); small drawings are averaged down first, so that no line is skipped."""
        out = torch.empty(len(ink), 4, self.window, self.window)
        small = side < ink.shape[-1] / 2
        for chosen, source in ((~small, ink), (small, functional.avg_pool2d(ink, 2))):
            if chosen.any():
                out[chosen] = functional.grid_sample(source[chosen], grid[chosen], align_corners=False)
        return out

    def _on_board(self, scene: Tensor, grid: Tensor) -> Tensor:
        count, config = len(scene), self.config
        room = torch.stack([self._uniform(count, 1.0, 2.3), self._uniform(count, 1.0, 1.4)], 1)
        inside = (grid.abs() <= room.view(-1, 1, 1, 2)).all(-1).unsqueeze(1)
        paper = self._chance(count, config.paper).unsqueeze(1)
        colour = torch.where(
            paper, torch.tensor(BOARD) / 255.0, torch.rand(count, 3, generator=self.generator)
        )
        on = self._chance(count, config.board).view(-1, 1, 1, 1) & inside
        return torch.where(on, colour.view(count, 3, 1, 1), scene)

    # -- what lies over it ----------------------------------------------------------------------------

    def _cover(self, picture: Tensor) -> Tensor:
        """Something of another scene over a part."""
        count = len(picture)
        other = self._pick(self.backgrounds, count).float() / 255.0
        corner = torch.rand(count, 2, generator=self.generator)
        size = self._uniform(count, 0.1, 0.3).unsqueeze(1)
        steps = torch.arange(self.window) / self.window
        near = (steps.view(1, 1, -1) - corner.unsqueeze(-1)).abs() < size.unsqueeze(-1) / 2  # (B, 2, W)
        over = (near[:, 0].unsqueeze(1) & near[:, 1].unsqueeze(2)).unsqueeze(1)
        return torch.where(over & self._chance(count, self.config.covered).view(-1, 1, 1, 1), other, picture)

    def _weathered(self, picture: Tensor) -> Tensor:
        """Light, softness and noise of the whole picture."""
        count, config = len(picture), self.config
        light = self._uniform(count, 0.85, 1.1)
        light = torch.where(self._chance(count, config.dark), self._uniform(count, 0.35, 0.85), light)
        soft = functional.avg_pool2d(functional.pad(picture, (1, 1, 1, 1), mode="replicate"), 3, 1)
        picture = torch.where(
            self._chance(count, config.soft).view(-1, 1, 1, 1), (picture + soft) / 2, picture
        )
        noise = torch.randn(picture.shape, generator=self.generator) * config.noise
        return (picture * light.view(-1, 1, 1, 1) + noise).clamp(0, 1)


def _hue(turn: Tensor, strength: Tensor) -> Tensor:
    """(B, 3, 3): rotation about the grey axis by ``turn``, after scaling the distance from it."""
    grey = torch.full((3, 3), 1 / 3)
    axis = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    cos, sin = (f(turn).view(-1, 1, 1) for f in (torch.cos, torch.sin))
    return grey + strength.view(-1, 1, 1) * (cos * (torch.eye(3) - grey) + sin * axis)
