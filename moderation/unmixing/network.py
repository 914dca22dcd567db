"""A small network on Whisper's own mel spectrogram: which share of each band is voice, and where a voice is.

It works on the power mel spectrogram (80 bands, 100 frames a second) before Whisper takes its logarithm, so
that no sound has to be put together again: the masked spectrogram is what Whisper hears.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS = Path(__file__).parent / "weights" / "unmix.safetensors"
BANDS = 80
HOP = 160
FRAME_RATE = 100
"""Frames a second."""
CHANNELS = 96
DILATIONS = (1, 2, 4, 8, 16, 32) * 2
"""Together they see 1.3 s before and after."""
FLOOR = 6.0
"""Decades under a sound's loudest band that are still looked at."""
PIECE = 20 * FRAME_RATE
"""Frames that go through the network at once; a longer sound goes in pieces."""
CONTEXT = 128
"""Frames before and after a piece that the network sees as well."""


class Block(nn.Module):
    """What is heard around each frame, added to it."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(CHANNELS, CHANNELS, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.norm(self.conv(x)))


class Unmix(nn.Module):
    """(B, 80, T) logarithm of power, by ``loudness_relative``, to mask logits (B, 80, T) and voice (B, T)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(BANDS, CHANNELS, 5, padding=2)
        self.blocks = nn.Sequential(*(Block(dilation) for dilation in DILATIONS))
        self.last = nn.Conv1d(CHANNELS, BANDS + 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = self.last(self.blocks(torch.relu(self.first(x))))
        return out[:, :BANDS], out[:, BANDS]


def power_mel(samples: Tensor) -> Tensor:
    """(..., N) samples at 16 kHz to (..., 80, N // 160): the spectrogram of ``whisper.log_mel_spectrogram``
    before its logarithm.
    """
    from whisper.audio import N_FFT, mel_filters

    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(samples, N_FFT, HOP, window=window, return_complex=True)
    filters: Tensor = mel_filters("cpu", BANDS)
    return filters @ spectrum[..., :-1].abs().square()


def loudness_relative(power: Tensor) -> Tensor:
    """Decades under the loudest band, scaled to -1..1: a quiet sound looks like a loud one."""
    log = power.clamp_min(1e-12).log10()
    top = log.amax(dim=(-2, -1), keepdim=True)
    return (log - top).clamp_min(-FLOOR) / (FLOOR / 2) + 1


def whisper_mel(power: Tensor) -> Tensor:
    """(80, T) power to the (80, T) that Whisper hears, as ``whisper.log_mel_spectrogram`` ends."""
    log = power.clamp_min(1e-10).log10()
    return (torch.maximum(log, log.max() - 8.0) + 4.0) / 4.0


def load(path: Path = WEIGHTS) -> Unmix:
    """The trained network, in eval mode."""
    from safetensors.torch import load_file

    network = Unmix()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return network.eval()


@dataclass(frozen=True)
class Unmixed:
    """What the network makes of a sound."""

    power: Tensor
    """(80, T) power mel spectrogram of the sound as it is."""
    mask: Tensor
    """(80, T) share of it that is voice, 0..1."""
    voice: NDArray[np.float32]
    """(T,) probability that somebody speaks."""

    @property
    def softened(self) -> Tensor:
        """(80, T) power with what is not voice turned down by half as many decibels as it would take to
        silence it: Whisper hears an undistorted voice better than one without any music.
        """
        return self.power * self.mask.sqrt()

    @property
    def music(self) -> float:
        """Share of the energy that is not voice."""
        return float(1 - (self.power * self.mask).sum() / self.power.sum().clamp_min(1e-12))

    def part(self, start: float, end: float) -> Unmixed:
        """Between two times in seconds."""
        frames = slice(round(start * FRAME_RATE), round(end * FRAME_RATE))
        return Unmixed(self.power[:, frames], self.mask[:, frames], self.voice[frames])


def unmix(network: Unmix, samples: NDArray[np.float32]) -> Unmixed:
    """Take the ``samples`` (N,) at 16 kHz apart."""
    power = power_mel(torch.from_numpy(samples))
    with torch.inference_mode():
        pieces = list(_pieces(network, power))
    voice = torch.cat([voice for _, voice in pieces]).numpy()
    return Unmixed(power, torch.cat([mask for mask, _ in pieces], dim=1), voice)


def _pieces(network: Unmix, power: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, power.shape[1], PIECE):
        before = min(start, CONTEXT)
        part = power[None, :, start - before : start + PIECE + CONTEXT]
        mask, voice = network(loudness_relative(part))
        kept = slice(before, before + PIECE)
        yield mask[0, :, kept].sigmoid(), voice[0, kept].sigmoid()
