"""A diffusion world model of DIAMOND's architecture: a frame is denoised, given the last few and the actions.

Alonso et al., "Diffusion for World Modeling: Visual Details Matter in Atari" (NeurIPS 2024), on Karras et
al., "Elucidating the Design Space of Diffusion-Based Generative Models" (NeurIPS 2022, EDM): preconditioning,
noise schedule and the Euler and Heun samplers. The network is a U-Net with group norms that noise level and
actions modulate.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from worldmodel.adapters.common import (
    ContextModel,
    digest_of,
    gauss,
    read_weights,
    save_weights,
    to_pixels,
    to_signal,
)
from worldmodel.constants import ACTIONS

KIND = "diffusion"
STEP_VERSION = "1"
"""Raised whenever the same weights would play differently."""
HEAD = 8
"""Channels of an attention head."""
NORM_GROUP = 32
"""Channels of a norm's group."""


@dataclass(frozen=True)
class DiffusionConfig:
    """Sizes of the network and of its sampler; the defaults are DIAMOND's for Atari."""

    size: int = 64
    """Side of a frame in pixels."""
    patch: int = 1
    """Pixels, along each side, that are stacked as channels before the network: 1 none."""
    frames: int = 4
    """Past frames, and actions, that it sees."""
    actions: int = ACTIONS
    """Actions that the network knows."""
    action_map: tuple[int, ...] = tuple(range(ACTIONS))
    """The network's action for each of :class:`worldmodel.constants.Action`."""
    cond: int = 256
    """Width of the conditioning on noise level and actions; even, and a multiple of ``frames``."""
    channels: tuple[int, ...] = (64, 64, 64, 64)
    """By level; each next level has half the side."""
    depths: tuple[int, ...] = (2, 2, 2, 2)
    """Residual blocks by level."""
    attention: tuple[bool, ...] = (False, False, False, False)
    sigma_data: float = 0.5
    sigma_offset: float = 0.3
    """Standard deviation of noise that shifts whole channels; it makes large areas drift less."""
    steps: int = 3
    """Denoising steps of a frame."""
    sigma_min: float = 2e-3
    sigma_max: float = 5.0
    rho: float = 7.0
    start: float = 1.0
    """Standard deviation of the noise that sampling starts from: 1 in DIAMOND, ``sigma_max`` in EDM."""
    order: int = 1
    """1 Euler, 2 Heun."""

    def __post_init__(self) -> None:
        if len(self.action_map) != ACTIONS or not all(0 <= a < self.actions for a in self.action_map):
            raise ValueError(f"action_map must name {ACTIONS} of the network's {self.actions} actions")
        if self.cond % self.frames or self.cond % 2 or self.size % self.patch:
            raise ValueError(
                "cond must be even and a multiple of frames, and size one of patch: "
                f"{self.cond}, {self.frames}, {self.size}, {self.patch}"
            )
        if not len(self.channels) == len(self.depths) == len(self.attention):
            raise ValueError("channels, depths and attention must have one entry per level each")

    @classmethod
    def of(cls, saved: dict[str, Any]) -> DiffusionConfig:
        """From JSON, where tuples are lists."""
        plain: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in saved.items()}
        return cls(**plain)


class FourierFeatures(nn.Module):
    """A number as cosines and sines of random frequencies (Tancik et al., 2020)."""

    weight: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(1, width // 2))

    def forward(self, x: Tensor) -> Tensor:
        """(B,) -> (B, width)."""
        angle = 2 * math.pi * x[:, None] @ self.weight
        return torch.cat([angle.cos(), angle.sin()], 1)


def _norm(channels: int, *, affine: bool = True) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // NORM_GROUP), channels, eps=1e-5, affine=affine)


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)


class AdaptiveNorm(nn.Module):
    """Group norm whose scale and shift come from the conditioning."""

    def __init__(self, channels: int, cond: int) -> None:
        super().__init__()
        self.norm = _norm(channels, affine=False)
        self.modulate = nn.Linear(cond, 2 * channels)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        scale, shift = self.modulate(cond)[:, :, None, None].chunk(2, 1)
        modulated: Tensor = self.norm(x) * (1 + scale) + shift
        return modulated


class Attention(nn.Module):
    """Every place attends to every other, within a frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD)
        self.norm = _norm(channels)
        self.qkv, self.out = _conv(channels, 3 * channels, 1), _conv(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        heads = self.qkv(self.norm(x)).view(batch, 3 * self.heads, channels // self.heads, height * width)
        q, k, v = heads.transpose(2, 3).chunk(3, 1)
        seen = functional.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = self.out(seen.transpose(2, 3).reshape(x.shape))
        return x + mixed


class Residual(nn.Module):
    """Two convolutions, each after a modulated norm, around a shortcut."""

    def __init__(self, inputs: int, outputs: int, cond: int, *, attention: bool) -> None:
        super().__init__()
        self.shortcut = _conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.norm1, self.conv1 = AdaptiveNorm(inputs, cond), _conv(inputs, outputs)
        self.norm2, self.conv2 = AdaptiveNorm(outputs, cond), _conv(outputs, outputs)
        self.attention = Attention(outputs) if attention else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        y = self.conv1(functional.silu(self.norm1(x, cond)))
        y = self.conv2(functional.silu(self.norm2(y, cond)))
        out: Tensor = self.attention(y + self.shortcut(x))
        return out


def _stage(widths: list[tuple[int, int]], cond: int, *, attention: bool) -> nn.ModuleList:
    return nn.ModuleList(Residual(inputs, outputs, cond, attention=attention) for inputs, outputs in widths)


class UNet(nn.Module):
    """Levels down and up again; a level on the way up takes in all that its level gave on the way down."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        channels, cond = config.channels, config.cond
        above = (channels[0], *channels[:-1])
        levels = list(zip(above, channels, config.depths, config.attention, strict=True))
        self.down = nn.ModuleList(
            _stage([(c0, c), *[(c, c)] * (n - 1)], cond, attention=attend) for c0, c, n, attend in levels
        )
        self.middle = _stage([(channels[-1], channels[-1])] * 2, cond, attention=True)
        self.up = nn.ModuleList(
            _stage([*[(2 * c, c)] * n, (c0 + c, c0)], cond, attention=attend)
            for c0, c, n, attend in reversed(levels)
        )
        self.halvings = nn.ModuleList(_conv(c, c, stride=2) for c in channels[:-1])
        self.doublings = nn.ModuleList(_conv(c, c) for c in channels[-2::-1])

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """(B, channels[0], S, S) -> the same; S is padded to what the levels can halve."""
        side, unit = x.shape[-1], 2 ** len(self.halvings)
        x = functional.pad(x, (0, -side % unit, 0, -side % unit))
        kept: list[list[Tensor]] = []
        for level, blocks in enumerate(self.down):
            x = self.halvings[level - 1](x) if level else x
            kept.append([x])
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, cond)
                kept[-1].append(x)
        for block in self.middle:
            x = block(x, cond)
        for level, blocks in enumerate(self.up):
            x = self.doublings[level - 1](functional.interpolate(x, scale_factor=2.0)) if level else x
            for block, skip in zip(blocks, kept.pop()[::-1], strict=True):  # type: ignore[call-overload]
                x = block(torch.cat([x, skip], 1), cond)
        return x[..., :side, :side]


class Denoiser(nn.Module):
    """EDM's denoiser D(x; sigma) of the next frame, given past frames and actions; frames are -1..1."""

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        pixel = 3 * config.patch**2
        self.noise = FourierFeatures(config.cond)
        self.action = nn.Embedding(config.actions, config.cond // config.frames)
        self.project = nn.Sequential(
            nn.Linear(config.cond, config.cond), nn.SiLU(), nn.Linear(config.cond, config.cond)
        )
        self.conv_in = _conv((config.frames + 1) * pixel, config.channels[0])
        self.unet = UNet(config)
        self.norm_out, self.conv_out = _norm(config.channels[0]), _conv(config.channels[0], pixel)
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, noisy: Tensor, sigma: Tensor, past: Tensor, actions: Tensor) -> Tensor:
        """(B, 3, S, S): the clean frame that it sees in ``noisy`` (B, 3, S, S) at noise level ``sigma`` (B,).

        ``past`` (B, frames * 3, S, S) and ``actions`` (B, frames) int64, oldest first; the last action leads
        to the frame that is asked for.
        """
        skip, scale = self.preconditioning(sigma)
        return skip * noisy + scale * self.raw(noisy, sigma, past, actions)

    def preconditioning(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """c_skip and c_out (B, 1, 1, 1) of Karras et al., table 1."""
        config = self.config
        total = self._total(sigma)[:, None, None, None]
        skip = config.sigma_data**2 / (total**2 + config.sigma_data**2)
        return skip, total * skip.sqrt()

    def _total(self, sigma: Tensor) -> Tensor:
        """Noise of pixels and of whole channels together."""
        return (sigma**2 + self.config.sigma_offset**2).sqrt()

    def raw(self, noisy: Tensor, sigma: Tensor, past: Tensor, actions: Tensor) -> Tensor:
        """(B, 3, S, S): the network's output F, before preconditioning."""
        config, total = self.config, self._total(sigma)
        cond = self.project(self.noise(total.log() / 4) + self.action(actions).flatten(1))
        scaled = noisy / (total**2 + config.sigma_data**2).sqrt()[:, None, None, None]
        x = torch.cat([past / config.sigma_data, scaled], 1)
        x = self.unet(self.conv_in(functional.pixel_unshuffle(x, config.patch)), cond)
        x = self.conv_out(functional.silu(self.norm_out(x)))
        return functional.pixel_shuffle(x, config.patch)

    def sigmas(self) -> list[float]:
        """Noise levels of a sampler's steps, from ``sigma_max`` down, and 0 (Karras et al., equation 5)."""
        config, last = self.config, max(1, self.config.steps - 1)
        high, low = config.sigma_max ** (1 / config.rho), config.sigma_min ** (1 / config.rho)
        return [*((high + i / last * (low - high)) ** config.rho for i in range(config.steps)), 0.0]

    def sample(self, noise: Tensor, past: Tensor, actions: Tensor) -> Tensor:
        """(B, 3, S, S) -1..1 from standard normal noise (B, 3, S, S), by Euler's or Heun's method.

        As in DIAMOND, what the denoiser says is held to the 256 levels of a pixel at each step.
        """
        sigmas = self.sigmas()
        x = noise * self.config.start
        for sigma, after in pairwise(sigmas):
            slope = (x - self._held(x, sigma, past, actions)) / sigma
            ahead = x + slope * (after - sigma)
            if self.config.order == 2 and after > 0:
                slope = (slope + (ahead - self._held(ahead, after, past, actions)) / after) / 2
                ahead = x + slope * (after - sigma)
            x = ahead
        return x

    def _held(self, x: Tensor, sigma: float, past: Tensor, actions: Tensor) -> Tensor:
        level = torch.full((len(x),), sigma, device=x.device)
        return to_signal(to_pixels(self(x, level, past, actions)))


class DiffusionWorldModel(ContextModel):
    """Plays by a :class:`Denoiser`. A context is the last frames as uint8, then the last actions."""

    def __init__(
        self, config: DiffusionConfig, device: torch.device | str = "cpu", sha256: str = "untrained"
    ) -> None:
        super().__init__(KIND, STEP_VERSION, sha256, config.size, device)
        self.config = config
        self.denoiser = Denoiser(config).to(self.device).eval()
        self._map = torch.tensor(config.action_map, device=self.device)

    @property
    def width(self) -> int:
        return self.config.frames * (self._pixels + 1)

    @property
    def _pixels(self) -> int:
        return 3 * self.size**2

    def begin(self, frames: Tensor) -> Tensor:
        """As if the player had stood still, doing nothing, for as long as the model remembers."""
        still = frames.flatten(1).repeat(1, self.config.frames)
        idle = self._map[0].to(torch.uint8).expand(len(frames), self.config.frames)
        return torch.cat([still, idle], 1)

    def watch(self, context: Tensor, frames: Tensor, actions: Tensor) -> Tensor:
        seen, done = self._apart_of(context)
        known = self._map[actions][:, None].to(torch.uint8)
        return torch.cat([seen[:, self._pixels :], frames.flatten(1), done[:, 1:], known], 1)

    def advance(self, context: Tensor, actions: Tensor, seed: Tensor, step: Tensor) -> Tensor:
        seen, done = self._apart_of(context)
        past = to_signal(seen).view(len(context), -1, self.size, self.size)
        known = torch.cat([done[:, 1:].long(), self._map[actions][:, None]], 1)
        noise = gauss(seed, step, 0, (3, self.size, self.size))
        return self.watch(context, to_pixels(self.denoiser.sample(noise, past, known)), actions)

    def _apart_of(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, frames * 3 * size * size) and actions (B, frames), oldest first."""
        end = self.config.frames * self._pixels
        return context[:, :end], context[:, end:]

    def picture(self, context: Tensor) -> Tensor:
        newest = slice((self.config.frames - 1) * self._pixels, self.config.frames * self._pixels)
        return context[:, newest].view(-1, 3, self.size, self.size)


def save_diffusion(model: DiffusionWorldModel, path: Path) -> str:
    """Write weights and config as safetensors, at half precision; returns the file's SHA-256."""
    tensors = {name: tensor.half() for name, tensor in model.denoiser.state_dict().items()}
    return save_weights(tensors, asdict(model.config), KIND, path)


def read_diffusion(path: Path, device: torch.device | str = "cpu") -> DiffusionWorldModel:
    """A model from this project's safetensors, or from a PyTorch checkpoint (``.pt``) of DIAMOND's.

    Raises FileNotFoundError, or ValueError for a file of another kind.
    """
    if path.suffix in {".pt", ".pth"}:
        return read_diamond(path, device=device)
    tensors, saved = read_weights(path, KIND)
    return _loaded(DiffusionConfig.of(saved), tensors, path, device)


def _loaded(
    config: DiffusionConfig, tensors: dict[str, Tensor], path: Path, device: torch.device | str
) -> DiffusionWorldModel:
    model = DiffusionWorldModel(config, device, digest_of(path, STEP_VERSION))
    try:
        model.denoiser.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise ValueError(f"{path}: the weights do not fit their config: {error}") from None
    return model


# ---- DIAMOND's published checkpoints ---------------------------------------------------------------------

_RENAMED = (
    (r"noise_emb\.", "noise."),
    (r"act_emb\.0\.", "action."),
    (r"cond_proj\.", "project."),
    (r"norm_out\.norm\.", "norm_out."),
    (r"unet\.d_blocks\.(\d+)\.resblocks\.", r"unet.down.\1."),
    (r"unet\.u_blocks\.(\d+)\.resblocks\.", r"unet.up.\1."),
    (r"unet\.mid_blocks\.resblocks\.", "unet.middle."),
    (r"\.(norm[12])\.linear\.", r".\1.modulate."),
    (r"\.proj\.", ".shortcut."),
    (r"\.attn\.norm\.norm\.", ".attention.norm."),
    (r"\.attn\.qkv_proj\.", ".attention.qkv."),
    (r"\.attn\.out_proj\.", ".attention.out."),
)
"""Names in DIAMOND's checkpoints (https://github.com/eloialonso/diamond, main branch), and ours."""


def diamond_name(name: str) -> str:
    """Our name of a parameter that DIAMOND calls ``name`` (without ``denoiser.inner_model.``)."""
    for pattern, ours in _RENAMED:
        name = re.sub(pattern, ours, name)
    # its lists of resampling layers begin with an identity, so that they count from 1
    return re.sub(
        r"unet\.(down|up)samples\.(\d+)\.conv\.",
        lambda found: f"unet.{'halvings' if found[1] == 'down' else 'doublings'}.{int(found[2]) - 1}.",
        name,
    )


def read_diamond(
    path: Path,
    action_map: tuple[int, ...] | None = None,
    device: torch.device | str = "cpu",
    *,
    size: int = 64,
) -> DiffusionWorldModel:
    """A model from DIAMOND's own checkpoint: an agent's, a denoiser's or an inner model's state dict.

    Sizes are read off the tensors. ``action_map`` gives the checkpoint's action for each of ours; it may be
    left out where the checkpoint has at least as many. Raises ValueError for what is no such checkpoint.
    Nothing in the file is executed: only tensors are read.
    """
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    loaded = loaded.get("agent", loaded) if isinstance(loaded, dict) else {}
    found = {name: tensor for name, tensor in loaded.items() if isinstance(tensor, Tensor)}
    inner = _inner(found)
    if "conv_in.weight" not in inner or "act_emb.0.weight" not in inner:
        raise ValueError(f"{path}: no denoiser of DIAMOND's (no conv_in and act_emb); its first keys: "
                         f"{', '.join(list(found)[:4]) or 'none'}")  # fmt: skip
    tensors = {diamond_name(name): tensor for name, tensor in inner.items()}
    return _loaded(_diamond_config(tensors, action_map, size), tensors, path, device)


def _inner(found: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in ("denoiser.inner_model.", "inner_model."):
        if any(name.startswith(prefix) for name in found):
            return {n.removeprefix(prefix): tensor for n, tensor in found.items() if n.startswith(prefix)}
    return found


def _diamond_config(
    tensors: dict[str, Tensor], action_map: tuple[int, ...] | None, size: int
) -> DiffusionConfig:
    def count(pattern: str) -> int:
        return 1 + max(int(hit[1]) for name in tensors if (hit := re.match(pattern, name)))

    levels = count(r"unet\.down\.(\d+)\.")
    actions = len(tensors["action.weight"])
    if action_map is None and actions < ACTIONS:
        raise ValueError(f"the checkpoint knows {actions} actions: say which of them each of {ACTIONS} is")
    return DiffusionConfig(
        size=size,
        frames=tensors["conv_in.weight"].shape[1] // 3 - 1,
        actions=actions,
        action_map=action_map or tuple(range(ACTIONS)),
        cond=tensors["project.0.weight"].shape[0],
        channels=tuple(tensors[f"unet.down.{i}.0.conv2.weight"].shape[0] for i in range(levels)),
        depths=tuple(count(rf"unet\.down\.{i}\.(\d+)\.") for i in range(levels)),
        attention=tuple(f"unet.down.{i}.0.attention.qkv.weight" in tensors for i in range(levels)),
    )
