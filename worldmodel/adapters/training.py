"""Training an adapter on the simulator's footage, as a worked example of bringing one's own model.

The diffusion model learns as in DIAMOND: EDM's objective, with the model's own denoised frame as the past of
a window's next step, so that it sees its own mistakes.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from worldmodel.adapters.common import to_pixels, to_signal
from worldmodel.adapters.diffusion import Denoiser, DiffusionConfig, DiffusionWorldModel, save_diffusion
from worldmodel.adapters.footage import Footage

Report = Callable[[int, int, float], None]
"""Told updates so far, updates planned, and the mean loss of late."""

TINY = DiffusionConfig(size=32, patch=2, cond=64, channels=(32, 64), depths=(1, 1), attention=(False, False))
"""What a CPU can train in minutes: 0.6 million parameters."""


@dataclass(frozen=True)
class AdapterTraining:
    """Everything a run depends on."""

    seed: int = 0
    worlds: int = 24
    """Training worlds of the gallery."""
    episodes: int = 10
    """Episodes filmed in each."""
    steps: int = 96
    """Steps of an episode."""
    updates: int = 8_000
    minutes: float = 25.0
    """The run ends after this time at the latest; the learning rate falls to zero towards the nearer end."""
    batch: int = 16
    unroll: int = 2
    """Steps of a window that are predicted one after another."""
    learning_rate: float = 1e-3
    warm_up: int = 100
    ema: float = 0.998
    log_sigma: tuple[float, float] = (-0.4, 1.2)
    """Mean and standard deviation of the logarithm of the noise level."""
    sigma_range: tuple[float, float] = (2e-3, 20.0)
    model: DiffusionConfig = field(default_factory=lambda: TINY)


class Run:
    """One training of the diffusion model on one thread, in bfloat16 where the CPU has it."""

    def __init__(self, config: AdapterTraining, footage: Footage) -> None:
        torch.manual_seed(config.seed)
        self.config, self.footage = config, footage
        self.generator = torch.Generator().manual_seed(config.seed)
        self.denoiser = Denoiser(config.model)
        self.average = DiffusionWorldModel(config.model)
        """Its weights are the mean over the last updates."""
        self.average.denoiser.load_state_dict(self.denoiser.state_dict())
        self.optimizer = torch.optim.AdamW(self.denoiser.parameters(), weight_decay=1e-2)
        self.updates = 0

    def train(self, out: Path, report: Report) -> Path:
        """Until updates or minutes are over; ``diffusion.safetensors``, ``metrics.jsonl`` in ``out``."""
        out.mkdir(parents=True, exist_ok=True)
        weights, log, began, recent = (
            out / "diffusion.safetensors",
            out / "metrics.jsonl",
            time.monotonic(),
            1.0,
        )
        (out / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n", encoding="utf-8")
        while (progress := self._progress(began)) < 1:
            recent += 0.02 * (self._update(progress) - recent)
            if self.updates % 100 == 0:
                report(self.updates, self.config.updates, recent)
                save_diffusion(self.average, weights)
                entry = {"updates": self.updates, "seconds": time.monotonic() - began, "loss": recent}
                entry["cpu_seconds"] = time.process_time()
                with log.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(entry) + "\n")
        save_diffusion(self.average, weights)
        return weights

    def _progress(self, began: float) -> float:
        """Share of the run that is over."""
        passed = (time.monotonic() - began) / (60 * self.config.minutes)
        return max(self.updates / self.config.updates, passed)

    def _update(self, progress: float) -> float:
        config = self.config
        rise = min(1.0, (self.updates + 1) / config.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * rise * (1 + math.cos(math.pi * progress)) / 2
        length = config.model.frames + config.unroll
        frames, actions = self.footage.windows(config.batch, length, self.generator)
        self.optimizer.zero_grad()
        loss = self.loss(to_signal(frames), actions)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.denoiser.parameters(), 1.0)
        self.optimizer.step()
        self._average()
        self.updates += 1
        return float(loss.detach())

    def _average(self) -> None:
        rate = min(self.config.ema, (1 + self.updates) / (10 + self.updates))
        with torch.no_grad():
            own = self.denoiser.state_dict()
            for name, mean in self.average.denoiser.state_dict().items():
                mean.lerp_(own[name], 1 - rate)

    def loss(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Mean of EDM's weighted error over a window (B, frames + unroll, 3, S, S) of -1..1 signals.

        ``actions`` (B, frames + unroll - 1) lead from each frame to the next.
        """
        seen = self.config.model.frames
        past = list(frames[:, :seen].unbind(1))
        total = frames.new_zeros(())
        for step in range(self.config.unroll):
            target = frames[:, seen + step]
            error, clean = self._denoise(target, torch.cat(past, 1), actions[:, step : step + seen])
            past = [*past[1:], to_signal(to_pixels(clean))]
            total = total + error
        return total / self.config.unroll

    def _denoise(self, target: Tensor, past: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted error on a target (B, 3, S, S), and the denoised frame."""
        config, count = self.config, len(target)
        level = self._normal(count) * config.log_sigma[1] + config.log_sigma[0]
        sigma = level.exp().clamp(*config.sigma_range)
        offset = self._normal(count, 3, 1, 1) * config.model.sigma_offset
        noisy = target + offset + self._normal(*target.shape) * sigma[:, None, None, None]
        skip, scale = self.denoiser.preconditioning(sigma)
        with torch.autocast("cpu", torch.bfloat16):
            raw = self.denoiser.raw(noisy, sigma, past, actions).float()
        error = (raw - (target - skip * noisy) / scale).square().mean()
        return error, (skip * noisy + scale * raw).detach()

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)
