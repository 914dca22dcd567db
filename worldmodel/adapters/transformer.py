"""A causal video transformer with a key-value cache, of Oasis' kind: latent patches, denoised frame by frame.

Decart and Etched, "Oasis: A Universe in a Transformer" (2024); diffusion forcing, where every frame of a
sequence has its own noise level, is Chen et al., "Diffusion Forcing: Next-token Prediction Meets
Full-Sequence Diffusion" (NeurIPS 2024). Attention is axial, within a frame and along time, with rotary
positions (Su et al., 2021); noise level and action modulate it as in Peebles and Xie, "Scalable Diffusion
Models with Transformers" (ICCV 2023). The network predicts the velocity v of Salimans and Ho (ICLR 2022).

The cache is no part of the truth: a context holds the latents and actions of a window, and what the cache
holds is a pure function of them, computed frame by frame. A state that was saved elsewhere goes on exactly.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
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

KIND = "transformer"
STEP_VERSION = "1"
"""Raised whenever the same weights would play differently."""
CACHE_BYTES = 256 * 2**20
"""Keys and values that a model remembers; what falls out is computed again."""

Cache = list[tuple[Tensor, Tensor]]
"""Of each layer: keys and values (B, tokens, heads, frames, d)."""


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the autoencoder, the transformer and its window."""

    size: int = 64
    """Side of a frame in pixels."""
    patch: int = 8
    """Side of the square of pixels that becomes one token."""
    latent: int = 8
    """Numbers by which a token's patch is described."""
    width: int = 128
    heads: int = 4
    layers: int = 4
    codec_layers: int = 2
    """Layers of the autoencoder's encoder, and of its decoder."""
    window: int = 16
    """Most frames that a new one is made from, itself included."""
    keep: int = 8
    """Frames that are kept when the window is full; the others are forgotten."""
    actions: int = ACTIONS
    action_map: tuple[int, ...] = tuple(range(ACTIONS))
    """The network's action for each of :class:`worldmodel.constants.Action`."""
    steps: int = 4
    """Denoising steps of a frame."""
    settled: float = 0.05
    """Noise level 0..1 that past frames are said to have: what the model made itself is not quite true."""

    def __post_init__(self) -> None:
        if len(self.action_map) != ACTIONS or not all(0 <= a < self.actions for a in self.action_map):
            raise ValueError(f"action_map must name {ACTIONS} of the network's {self.actions} actions")
        if self.size % self.patch or self.width % self.heads or self.width // self.heads % 4:
            raise ValueError(
                "size must be a multiple of patch, and width of four times heads: "
                f"{self.size}, {self.patch}, {self.width}, {self.heads}"
            )
        if not 1 <= self.keep < self.window <= 255:
            raise ValueError(f"keep and window must be 1 <= {self.keep} < {self.window} <= 255")

    @property
    def side(self) -> int:
        """Tokens along a side of the frame."""
        return self.size // self.patch

    @property
    def numbers(self) -> int:
        """Numbers in a frame's latents."""
        return self.side**2 * self.latent

    @classmethod
    def of(cls, saved: dict[str, Any]) -> TransformerConfig:
        """From JSON, where tuples are lists."""
        plain: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in saved.items()}
        return cls(**plain)


def _rotate(x: Tensor, angle: Tensor) -> Tensor:
    """Turn pairs of the last dimension (..., d) by angles that broadcast to (..., d / 2)."""
    one, other = x.chunk(2, -1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([one * cos - other * sin, one * sin + other * cos], -1)


def _angles(places: Tensor, pairs: int) -> Tensor:
    """(n, pairs) rotary angles of (n,) places."""
    frequency = 10_000 ** (-torch.arange(pairs, device=places.device) / pairs)
    return places[:, None] * frequency


def _grid_angles(side: int, pairs: int, device: torch.device) -> Tensor:
    """(side * side, pairs): half of the pairs turn with the row, half with the column."""
    line = torch.arange(side, device=device, dtype=torch.float32)
    rows, cols = line.repeat_interleave(side), line.repeat(side)
    return torch.cat([_angles(rows, pairs // 2), _angles(cols, pairs - pairs // 2)], 1)


class Attention(nn.Module):
    """Multi-head attention over (..., n, width) with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)

    def project(self, x: Tensor, angle: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (..., heads, n, d), the first two turned by ``angle`` (n, d / 2)."""
        q, k, v = (
            part.transpose(-3, -2) for part in self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        )
        return _rotate(q, angle), _rotate(k, angle), v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
        """(..., n, width)."""
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        mixed: Tensor = self.out(seen.transpose(-3, -2).flatten(-2))
        return mixed

    def forward(self, x: Tensor, angle: Tensor) -> Tensor:
        """Everything attends to everything."""
        return self.attend(*self.project(x, angle))


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)


# ---- the autoencoder of patches --------------------------------------------------------------------------


class CodecLayer(nn.Module):
    """Attention within a frame, and a perceptron, each around a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = Attention(width, heads), _mlp(width)

    def forward(self, x: Tensor, angle: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x), angle)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Codec(nn.Module):
    """A variational autoencoder (Kingma and Welling, 2013) of patches, with attention between them."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config, width, pixel = config, config.width, 3 * config.patch**2
        self.patch_in, self.patch_out = nn.Linear(pixel, width), nn.Linear(width, pixel)
        self.encoder, self.decoder = (
            nn.ModuleList(CodecLayer(width, config.heads) for _ in range(config.codec_layers)) for _ in "ed"
        )
        self.to_latent = nn.Linear(width, 2 * config.latent)
        self.from_latent = nn.Linear(config.latent, width)

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance, (B, tokens, latent) each, of frames (B, 3, S, S) of -1..1."""
        patches = functional.pixel_unshuffle(frames, self.config.patch).flatten(2).transpose(1, 2)
        x = self._through(self.encoder, self.patch_in(patches))
        mean, spread = self.to_latent(x).chunk(2, -1)
        return mean, spread.clamp(-20, 10)

    def decode(self, latents: Tensor) -> Tensor:
        """(B, 3, S, S) from (B, tokens, latent)."""
        x = self.patch_out(self._through(self.decoder, self.from_latent(latents)))
        side = self.config.side
        return functional.pixel_shuffle(x.transpose(1, 2).unflatten(2, (side, side)), self.config.patch)

    def _through(self, layers: nn.ModuleList, x: Tensor) -> Tensor:
        pairs = self.config.width // self.config.heads // 2
        angle = _grid_angles(self.config.side, pairs, x.device)
        for layer in layers:
            x = layer(x, angle)
        return x


# ---- the transformer -------------------------------------------------------------------------------------


class Modulation(nn.Module):
    """Shift, scale and gate from the conditioning; at first all zero, so that a layer does nothing."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.parts, self.linear = parts, nn.Linear(width, parts * width)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, cond: Tensor) -> tuple[Tensor, ...]:
        """(B, T, 1, width) each, from (B, T, width)."""
        return self.linear(functional.silu(cond))[:, :, None].chunk(self.parts, -1)  # type: ignore[no-any-return]


class AxialLayer(nn.Module):
    """Attention within each frame, then of each place along time, each followed by a perceptron."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.space, self.space_mlp = Attention(width, heads), _mlp(width)
        self.time, self.time_mlp = Attention(width, heads), _mlp(width)
        self.space_modulation, self.time_modulation = Modulation(width, 6), Modulation(width, 6)

    def forward(
        self, x: Tensor, cond: Tensor, grid: Tensor, times: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x (B, T, tokens, width) and the keys and values (B, tokens, heads, past + T, d) that it has now.

        Without ``past`` the T frames attend causally to each other; with it T must be 1.
        """
        shift, scale, gate, shift2, scale2, gate2 = self.space_modulation(cond)
        x = x + gate * self.space(self.norm(x) * (1 + scale) + shift, grid)
        x = x + gate2 * self.space_mlp(self.norm(x) * (1 + scale2) + shift2)
        shift, scale, gate, shift2, scale2, gate2 = self.time_modulation(cond)
        q, k, v = self.time.project((self.norm(x) * (1 + scale) + shift).transpose(1, 2), times)
        if past is not None:
            k, v = torch.cat([past[0], k], -2), torch.cat([past[1], v], -2)
        x = x + gate * self.time.attend(q, k, v, causal=past is None).transpose(1, 2)
        x = x + gate2 * self.time_mlp(self.norm(x) * (1 + scale2) + shift2)
        return x, (k, v)


class VideoTransformer(nn.Module):
    """Velocity of noisy latent frames, each with its own noise level and action; causal in time."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.token_in, self.token_out = nn.Linear(config.latent, width), nn.Linear(width, config.latent)
        self.level = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.action = nn.Embedding(config.actions, width)
        self.layers = nn.ModuleList(AxialLayer(width, config.heads) for _ in range(config.layers))
        self.norm, self.modulation = _norm(width), Modulation(width, 2)
        nn.init.zeros_(self.token_out.weight)

    def forward(
        self, latents: Tensor, levels: Tensor, actions: Tensor, cache: Cache | None = None
    ) -> tuple[Tensor, Cache]:
        """v (B, T, tokens, latent) of noisy ``latents``, and all keys and values up to the last frame.

        ``levels`` (B, T) 0..1 are the frames' noise levels, ``actions`` (B, T) int64 what led to each. With a
        ``cache`` of earlier frames T must be 1; an empty list is one of no frames.
        """
        config = self.config
        first = cache[0][0].shape[-2] if cache else 0
        pairs = config.width // config.heads // 2
        grid = _grid_angles(config.side, pairs, latents.device)
        places = torch.arange(first, first + latents.shape[1], device=latents.device, dtype=torch.float32)
        times = _angles(places, pairs)
        cond = self.level(_waves(levels, config.width)) + self.action(actions)
        x, held = self.token_in(latents), []
        for number, layer in enumerate(self.layers):
            x, pair = layer(x, cond, grid, times, cache[number] if cache else None)
            held.append(pair)
        shift, scale = self.modulation(cond)
        return self.token_out(self.norm(x) * (1 + scale) + shift), held

    def sample(self, noise: Tensor, actions: Tensor, cache: Cache) -> Tensor:
        """One frame's latents (B, 1, tokens, latent) from normal noise (DDIM, Song et al., ICLR 2021)."""
        x, steps = noise, self.config.steps
        for step in range(steps):
            now, after = 1 - step / steps, 1 - (step + 1) / steps
            level = torch.full(actions.shape, now, device=x.device)
            velocity, _ = self(x, level, actions, cache)
            (keep, blur), (keep2, blur2) = mixture(now), mixture(after)
            clean, dirt = keep * x - blur * velocity, blur * x + keep * velocity
            x = keep2 * clean + blur2 * dirt
        return x


def mixture(level: float) -> tuple[float, float]:
    """Shares of signal and of noise at a noise level 0..1: a quarter of a circle."""
    return math.cos(level * math.pi / 2), math.sin(level * math.pi / 2)


def _waves(levels: Tensor, width: int) -> Tensor:
    """(..., width) cosines and sines of noise levels (...)."""
    frequency = torch.exp(-math.log(10_000) * torch.arange(width // 2, device=levels.device) / (width // 2))
    angle = 1000 * levels[..., None] * frequency
    return torch.cat([angle.cos(), angle.sin()], -1)


# ---- the world model -------------------------------------------------------------------------------------


class TransformerWorldModel(ContextModel):
    """Plays by a :class:`VideoTransformer` over the latents of a :class:`Codec`.

    A context is the number of frames held, their actions, and their latents at half precision.
    """

    def __init__(
        self, config: TransformerConfig, device: torch.device | str = "cpu", sha256: str = "untrained"
    ) -> None:
        super().__init__(KIND, STEP_VERSION, sha256, config.size, device)
        self.config = config
        self.codec = Codec(config).to(self.device).eval()
        self.transformer = VideoTransformer(config).to(self.device).eval()
        self.memo = Memo(CACHE_BYTES)
        self._map = torch.tensor(config.action_map, device=self.device)

    @property
    def width(self) -> int:
        return 1 + self.config.window * (1 + 2 * self.config.numbers)

    def begin(self, frames: Tensor) -> Tensor:
        count, config = len(frames), self.config
        latents = torch.zeros(count, config.window, config.numbers, dtype=torch.float16, device=self.device)
        actions = torch.zeros(count, config.window, dtype=torch.int64, device=self.device)
        latents[:, 0], actions[:, 0] = self._encode(frames), self._map[0]
        return self._pack(1, actions, latents)

    def watch(self, context: Tensor, frames: Tensor, actions: Tensor) -> Tensor:
        return self._grouped(
            context, lambda rows, part: self._append(part, self._encode(frames[rows]), actions[rows])
        )

    def advance(self, context: Tensor, actions: Tensor, seed: Tensor, step: Tensor) -> Tensor:
        def one(rows: Tensor, part: Tensor) -> Tensor:
            return self._dream(part, actions[rows], seed[rows], step[rows])

        return self._grouped(context, one)

    def picture(self, context: Tensor) -> Tensor:
        newest = torch.stack([self._unpack(row[None])[2][0, int(row[0]) - 1] for row in context])
        return to_pixels(self.codec.decode(newest.float().view(len(context), -1, self.config.latent)))

    def _dream(self, context: Tensor, actions: Tensor, seed: Tensor, step: Tensor) -> Tensor:
        """The next frame of contexts that all hold as many frames."""
        config = self.config
        context = self._roomy(context)
        caches = [self._cache(row) for row in context]
        cache = [
            (torch.cat([c[i][0] for c in caches]), torch.cat([c[i][1] for c in caches]))
            for i in range(config.layers)
        ]
        noise = gauss(seed, step, 0, (1, config.side**2, config.latent))
        latents = self.transformer.sample(noise, self._map[actions][:, None], cache).half()
        return self._append(context, latents.flatten(1), actions)

    def _cache(self, row: Tensor) -> Cache:
        """Keys and values of a context (width,): from memory, or frame by frame as when they were made.

        Both ways a frame is computed in the same shapes from the same numbers, and so to the same bits.
        """
        count, actions, latents = self._unpack(row[None])
        cache: Cache = []
        done = 0
        for known in range(count, 0, -1):
            found = self.memo.get(_digest(actions[0, :known], latents[0, :known]))
            if found is not None:
                cache, done = found, known
                break
        for frame in range(done, count):
            settled = torch.full((1, 1), self.config.settled, device=self.device)
            clean = latents[:, frame].float().view(1, 1, -1, self.config.latent)
            _, cache = self.transformer(clean, settled, actions[:, frame : frame + 1], cache)
        if done < count:
            self.memo.put(_digest(actions[0, :count], latents[0, :count]), cache)
        return cache

    def _roomy(self, context: Tensor) -> Tensor:
        """The context with room for one more frame: a full window forgets all but the last ``keep``."""
        count, actions, latents = self._unpack(context)
        keep = self.config.keep
        if count < self.config.window:
            return context
        room = self.config.window - keep
        actions = functional.pad(actions[:, -keep:], (0, room))
        latents = functional.pad(latents[:, -keep:], (0, 0, 0, room))
        return self._pack(keep, actions, latents)

    def _append(self, context: Tensor, latents: Tensor, actions: Tensor) -> Tensor:
        """One more frame, its latents (B, numbers) float16, after the actions (B,)."""
        count, led, held = self._unpack(self._roomy(context))
        led, held = led.clone(), held.clone()
        led[:, count], held[:, count] = self._map[actions], latents
        return self._pack(count + 1, led, held)

    def _encode(self, frames: Tensor) -> Tensor:
        mean, _ = self.codec.encode(to_signal(frames))
        return mean.flatten(1).half()

    def _pack(self, count: int, actions: Tensor, latents: Tensor) -> Tensor:
        number = torch.full((len(actions), 1), count, dtype=torch.uint8, device=self.device)
        return torch.cat([number, actions.to(torch.uint8), latents.flatten(1).view(torch.uint8)], 1)

    def _unpack(self, context: Tensor) -> tuple[int, Tensor, Tensor]:
        """Frames held (alike in all rows), actions (B, window) and latents (B, window, numbers) float16."""
        window = self.config.window
        latents = context[:, 1 + window :].clone(memory_format=torch.contiguous_format).view(torch.float16)
        latents = latents.view(len(context), window, -1)
        return int(context[0, 0]), context[:, 1 : 1 + window].long(), latents

    def _grouped(self, context: Tensor, work: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """``work`` on the rows that hold as many frames, for each such number."""
        out = torch.empty_like(context)
        for count in sorted(set(context[:, 0].tolist())):
            rows = (context[:, 0] == count).nonzero()[:, 0]
            out[rows] = work(rows, context[rows])
        return out


class Memo:
    """Caches by digest of what they were computed from; the ones longest unused go first. Any thread."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used, self._lock = limit, 0, Lock()
        self._held: OrderedDict[bytes, Cache] = OrderedDict()

    def get(self, key: bytes) -> Cache | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: bytes, cache: Cache) -> None:
        with self._lock:
            if key in self._held:
                return
            self._held[key] = cache
            self._used += _bytes(cache)
            while self._used > self._limit and len(self._held) > 1:
                self._used -= _bytes(self._held.popitem(last=False)[1])


def _bytes(cache: Cache) -> int:
    return sum(k.nbytes + v.nbytes for k, v in cache)


def _digest(actions: Tensor, latents: Tensor) -> bytes:
    data = actions.to(torch.uint8).cpu().numpy().tobytes() + latents.cpu().numpy().tobytes()
    return hashlib.blake2b(data, digest_size=16).digest()


def save_transformer(model: TransformerWorldModel, path: Path) -> str:
    """Write weights and config as safetensors; returns the file's SHA-256."""
    tensors = {f"codec.{name}": tensor for name, tensor in model.codec.state_dict().items()}
    tensors |= {f"transformer.{name}": tensor for name, tensor in model.transformer.state_dict().items()}
    return save_weights(tensors, asdict(model.config), KIND, path)


def read_transformer(path: Path, device: torch.device | str = "cpu") -> TransformerWorldModel:
    """Raises FileNotFoundError, or ValueError for a file of another kind or of weights that do not fit."""
    tensors, saved = read_weights(path, KIND)
    model = TransformerWorldModel(TransformerConfig.of(saved), device, digest_of(path, STEP_VERSION))
    for name, module in (("codec", model.codec), ("transformer", model.transformer)):
        part = {n.removeprefix(f"{name}."): t.float() for n, t in tensors.items() if n.startswith(f"{name}.")}
        try:
            module.load_state_dict(part)
        except RuntimeError as error:
            raise ValueError(f"{path}: the weights do not fit their config: {error}") from None
    return model
