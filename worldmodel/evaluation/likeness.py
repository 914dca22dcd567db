"""How alike two pictures are: PSNR, structural similarity, and where their edges lie."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of red, green and blue."""
EDGE = 0.1
"""Sobel slope of luma, in 0..1 per two pixels, from which a pixel counts as an edge."""
PSNR_CAP = 60.0
CHUNK = 64
"""Frames that are compared at once: bounds the memory."""


@dataclass(frozen=True)
class Likeness:
    """Means over frames."""

    psnr: float
    """Decibels, each frame capped at 60."""
    ssim: float
    """-1..1; 1 is the same picture."""
    edges: float
    """F-score, 0..1, of edge pixels that meet within a pixel."""


def likeness(frames: Tensor, truth: Tensor) -> Likeness:
    """Of (B >= 1, 3, H, W) uint8 frames, row by row."""
    return Likeness(
        psnr=psnr(frames, truth).mean().item(),
        ssim=ssim(frames, truth).mean().item(),
        edges=edge_score(frames, truth).mean().item(),
    )


def psnr(frames: Tensor, truth: Tensor) -> Tensor:
    """(B,) decibels between (B, 3, H, W) uint8 frames, at most PSNR_CAP."""
    error = ((frames.float() - truth.float()) / 255).square().mean((1, 2, 3))
    return (-10 * torch.log10(error.clamp(min=1e-6))).clamp(max=PSNR_CAP)


def _luma(frames: Tensor) -> Tensor:
    """(B, 1, H, W) 0..1."""
    weights = torch.tensor(LUMA, device=frames.device).view(1, 3, 1, 1)
    return (frames.float() / 255 * weights).sum(1, keepdim=True)


def ssim(frames: Tensor, truth: Tensor) -> Tensor:
    """(B,) structural similarity of luma: Wang, Bovik, Sheikh, Simoncelli 2004, window 11, sigma 1.5."""
    pairs = zip(torch.split(frames, CHUNK), torch.split(truth, CHUNK), strict=True)
    return torch.cat([_ssim(_luma(a), _luma(b)) for a, b in pairs])


def _ssim(a: Tensor, b: Tensor) -> Tensor:
    reach = torch.arange(-5, 6, device=a.device, dtype=torch.float32)
    line = torch.exp(-reach.square() / (2 * 1.5**2))
    line = line / line.sum()

    def blur(x: Tensor) -> Tensor:
        return functional.conv2d(functional.conv2d(x, line.view(1, 1, 1, 11)), line.view(1, 1, 11, 1))

    c1, c2 = 0.01**2, 0.03**2
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    both = blur(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return (top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean((1, 2, 3))


def edge_score(frames: Tensor, truth: Tensor) -> Tensor:
    """(B,) F-score of Sobel edges; an edge pixel is right if the other picture has one within a pixel."""
    mine, theirs = _edges(frames), _edges(truth)
    precision = _share_near(mine, theirs)
    recall = _share_near(theirs, mine)
    return 2 * precision * recall / (precision + recall).clamp(min=1e-9)


def _edges(frames: Tensor) -> Tensor:
    """(B, 1, H, W) float 0 or 1."""
    luma = _luma(frames)
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=luma.device) / 4
    slope = functional.conv2d(functional.pad(luma, (1, 1, 1, 1), "replicate"), kernel.view(1, 1, 3, 3))
    other = functional.conv2d(functional.pad(luma, (1, 1, 1, 1), "replicate"), kernel.T.reshape(1, 1, 3, 3))
    return (torch.hypot(slope, other) > EDGE).float()


def _share_near(edges: Tensor, others: Tensor) -> Tensor:
    """(B,) share of edge pixels with one of the others within a pixel; 1 where there are none."""
    near = functional.max_pool2d(others, 3, 1, 1)
    count = edges.sum((1, 2, 3))
    return torch.where(count > 0, (edges * near).sum((1, 2, 3)) / count.clamp(min=1), 1.0)
