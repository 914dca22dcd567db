"""Training the symbol network: ``python -m moderation.symbols.train``.

Scenes are drawn as training goes. Windows of them are kept in pools that the newest replace; every so often
the network looks at whole harmless scenes, and the windows that it takes for a symbol join the pool of hard
ones. Everything is seeded; a run that was stopped goes on from its checkpoint.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from moderation.symbols.emblems import BACKGROUND, BETWEEN, CLASSES, EMBLEMS, MANJI
from moderation.symbols.lookalikes import NEAREST
from moderation.symbols.looking import CLIP, MARGIN, STEP, WINDOW, pyramid, window
from moderation.symbols.network import SymbolNet, export
from moderation.symbols.scenes import Scene, Scenery

JITTER = 4
"""Pixels by which a window is moved each time it is shown: looks are STEP pixels apart."""
STORED = WINDOW + 2 * JITTER
_GRAIN = 127 / CLIP
"""Windows are kept in 8 bits."""

Windows = NDArray[np.int8]
"""(N, STORED, STORED, 3)."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a run depends on; written beside its checkpoint."""

    seed: int = 0
    cycles: tuple[int, ...] = (7_000, 6_000, 6_000)
    """Steps over which the rate falls; then it starts again at half of where it was."""
    batch: int = 128
    shares: tuple[float, float, float] = (0.38, 0.42, 0.2)
    """Of a batch: symbols, harmless windows, hard windows."""
    pool: int = 14_000
    """Windows of each of the three kinds that are kept."""
    first: int = 1_500
    """Scenes of symbols, and as many harmless ones, before the first step."""
    fresh: int = 2
    """Of each per step."""
    learning_rate: float = 3e-3
    mine_every: int = 100
    mined: int = 60
    """Whole scenes that are searched for hard windows each time."""
    refresh_every: int = 40
    """Steps after which a world with built patterns is replaced."""
    worlds: int = 24
    ema: float = 0.998
    checkpoint_every: int = 500

    @property
    def steps(self) -> int:
        """In all."""
        return sum(self.cycles)

    def rate(self, step: int) -> float:
        """Learning rate: in each cycle a short rise, then a cosine down to a hundredth."""
        peak = self.learning_rate
        for length in self.cycles:
            if step < length:
                progress = step / length
                falling = 0.5 * (1 + math.cos(math.pi * progress))
                return peak * max(0.01, min(1.0, progress / 0.03) * falling)
            step -= length
            peak /= 2
        return 0.0


class Pool:
    """The newest windows of one kind."""

    def __init__(self, size: int) -> None:
        self.windows: Windows = np.zeros((size, STORED, STORED, 3), np.int8)
        self.labels: NDArray[np.int64] = np.zeros(size, np.int64)
        self.count = 0

    def add(self, stored: Windows, label: int) -> None:
        """Take one (STORED, STORED, 3) window in, for the oldest where there is no place left."""
        place = self.count % len(self.labels)
        self.windows[place], self.labels[place] = stored, label
        self.count += 1

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Windows, NDArray[np.int64]]:
        """``count`` windows, (count, WINDOW, WINDOW, 3), moved, mirrored and recoloured, and their labels."""
        chosen = rng.integers(0, min(self.count, len(self.labels)), count)
        out = np.empty((count, WINDOW, WINDOW, 3), np.int8)
        for place, index in enumerate(chosen):
            y, x = rng.integers(0, 2 * JITTER + 1, 2)
            out[place] = _varied(self.windows[index, y : y + WINDOW, x : x + WINDOW], rng)
        return out, self.labels[chosen]


def _varied(shown: Windows, rng: np.random.Generator) -> Windows:
    """Either hand, upside down, in other colours, as a negative: all the same symbol."""
    if rng.random() < 0.5:
        shown = shown[:, ::-1]
    if rng.random() < 0.5:
        shown = shown[::-1]
    if rng.random() < 0.5:
        shown = -shown
    return shown[..., rng.permutation(3)]


def cut(scene: Scene, rng: np.random.Generator, *, loosely: bool) -> Windows:
    """The window around what was drawn, at a size at which the network would look; ``loosely`` for harmless
    things, which it also sees larger, smaller and off the middle."""
    if scene.box is None:
        side = float(rng.choice([39.0, 55.0, 76.0, 107.0]))
        x, y = rng.uniform(0, scene.pixels.shape[1], 2)
    else:
        left, top, right, bottom = scene.box
        drawn = max(right - left, bottom - top)
        filled = rng.uniform(0.45, 1.5) if loosely else rng.uniform(0.6, 0.96)
        side = max(drawn / filled, 0.87 * WINDOW)
        off = side * (0.25 if loosely else 0.02)
        x, y = (left + right) / 2 + rng.uniform(-off, off), (top + bottom) / 2 + rng.uniform(-off, off)
    return _packed(window(scene.pixels, x, y, side, STORED))


def _packed(values: NDArray[np.float32]) -> Windows:
    return np.asarray(np.round(values * _GRAIN), np.int8)


def marked_scene(scenery: Scenery) -> Scene:
    """A symbol, mostly drawn. What stands between upright and on its point is either, by a toss."""
    choice = scenery.rng.random()
    if choice < 0.06:
        scene = scenery.emblem(next(iter(BETWEEN)))
        return replace(scene, label=MANJI) if choice < 0.03 else scene
    if choice < 0.64:
        return scenery.emblem()
    return scenery.built() if choice < 0.79 else scenery.mask(emblem=True)


def harmless_scene(scenery: Scenery) -> Scene:
    """A look-alike, mostly drawn and often one of the nearest, or a view of a world."""
    choice = scenery.rng.random()
    if choice < 0.24:
        return scenery.look_alike(str(scenery.rng.choice(NEAREST)))
    if choice < 0.62:
        return scenery.look_alike()
    if choice < 0.74:
        return scenery.built_look_alike()
    return scenery.mask(emblem=False) if choice < 0.88 else scenery.world()


class Training:
    """The network, its optimiser, and the pools it learns from."""

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.net = SymbolNet()
        self.ema = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self.net.parameters(), config.learning_rate, weight_decay=1e-3)
        self.done = 0
        if self._checkpoint.exists():
            self._restore()
        self.scenery = Scenery("training", config.seed, config.worlds)
        self.rng = np.random.default_rng((config.seed, self.done))
        self.scenery.rng = np.random.default_rng((config.seed, 7, self.done))
        self.symbols, self.harmless, self.hard = (Pool(config.pool) for _ in range(3))
        self._grow(config.first)

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def _grow(self, scenes: int) -> None:
        """So many more scenes of symbols and harmless ones."""
        for _ in range(scenes):
            scene = marked_scene(self.scenery)
            for _ in range(2):
                self.symbols.add(cut(scene, self.rng, loosely=False), scene.label)
            scene = harmless_scene(self.scenery)
            for loosely in (True, True, False):
                self.harmless.add(cut(scene, self.rng, loosely=loosely), BACKGROUND)

    def run(self, minutes: float = math.inf) -> Path | None:
        """Train to the end: the weights' path; or for so long: None, and the next run goes on."""
        until = time.monotonic() + 60 * minutes
        log = (self.folder / "log.jsonl").open("a", encoding="utf-8")
        with log:
            while self.done < self.config.steps:
                loss, right = self._step()
                if self.done % 100 == 0:
                    row = {"step": self.done, "loss": loss, "right": right, "hard": self.hard.count}
                    log.write(json.dumps(row) + "\n")
                    log.flush()
                if self.done % self.config.checkpoint_every == 0:
                    self._save()
                if time.monotonic() > until:
                    self._save()
                    return None
        self._save()
        return self.write(self.folder / "symbols.onnx")

    def _step(self) -> tuple[float, float]:
        config = self.config
        self._grow(config.fresh)
        if self.done % config.refresh_every == 0:
            self.scenery.refresh()
        if self.done % config.mine_every == 0 and self.done:
            self._mine()
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate(self.done)
        pixels, labels = self._batch()
        logits = self.net.train()(pixels)[:, :, 0, 0]
        loss = functional.cross_entropy(logits, labels)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self.optimiser.step()
        self.done += 1
        decay = min(config.ema, (1 + self.done) / (10 + self.done))
        for key, value in self.net.state_dict().items():
            if value.is_floating_point():
                self.ema[key].lerp_(value.detach(), 1 - decay)
            else:
                self.ema[key].copy_(value)
        return float(loss.detach()), float((logits.argmax(1) == labels).float().mean())

    def _batch(self) -> tuple[Tensor, Tensor]:
        config = self.config
        hard = round(config.batch * config.shares[2]) if self.hard.count else 0
        symbols = round(config.batch * config.shares[0])
        counts = ((self.symbols, symbols), (self.harmless, config.batch - symbols - hard), (self.hard, hard))
        drawn = [pool.draw(count, self.rng) for pool, count in counts if count]
        windows = np.concatenate([windows for windows, _ in drawn]).transpose(0, 3, 1, 2)
        labels = np.concatenate([labels for _, labels in drawn])
        return torch.from_numpy(windows.astype(np.float32) / _GRAIN), torch.from_numpy(labels)

    def _mine(self) -> None:
        """Add what the network takes for a symbol in harmless scenes, or for another in a manji's."""
        net = self.net.eval()
        for number in range(self.config.mined):
            if number % 8 == 0:
                manji = next(name for name, emblem in EMBLEMS.items() if emblem.label == MANJI)
                scene = self.scenery.emblem(manji)
            else:
                scene = harmless_scene(self.scenery)
            for hard, label in hard_windows(net, scene):
                self.hard.add(hard, label)

    def _save(self) -> None:
        state = {"net": self.net.state_dict(), "ema": self.ema, "optimiser": self.optimiser.state_dict()}
        torch.save({**state, "done": self.done, "config": asdict(self.config)}, self._checkpoint)

    def _restore(self) -> None:
        state = torch.load(self._checkpoint, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.ema, self.done = state["ema"], int(state["done"])

    def write(self, path: Path) -> Path:
        """The averaged network as ONNX."""
        net = SymbolNet()
        net.load_state_dict(self.ema)
        export(net, path)
        return path


FOUND = 0.03
"""Probability from which a harmless window is worth learning from."""


@torch.no_grad()
def hard_windows(net: SymbolNet, scene: Scene, most: int = 2) -> list[tuple[Windows, int]]:
    """The windows of a harmless scene or a manji's that look most like another symbol, and their labels."""
    wanted = [label for label in range(1, len(CLASSES)) if label != scene.label]
    found: list[tuple[float, Windows, int]] = []
    for level in pyramid(scene.pixels):
        scores = net(torch.from_numpy(level.values)[None]).softmax(1)[0, wanted].sum(0).numpy()
        y, x = np.unravel_index(int(scores.argmax()), scores.shape)
        if scores[y, x] < FOUND:
            continue
        label = MANJI if scene.label == MANJI and _covers(scene, level.scale, int(x), int(y)) else BACKGROUND
        found.append((float(scores[y, x]), _around(level.values, int(x), int(y)), label))
    return [(hard, label) for _, hard, label in sorted(found, key=lambda f: -f[0])[:most]]


def _around(values: NDArray[np.float32], x: int, y: int) -> Windows:
    """The stored window of a look at x, y of a level."""
    padded = np.pad(values.transpose(1, 2, 0), ((JITTER, JITTER + STEP), (JITTER, JITTER + STEP), (0, 0)))
    return _packed(padded[STEP * y : STEP * y + STORED, STEP * x : STEP * x + STORED])


def _covers(scene: Scene, scale: float, x: int, y: int) -> bool:
    """Whether the window of a look shows at least half of what was drawn."""
    assert scene.box is not None
    left, top = (STEP * x - MARGIN) * scale, (STEP * y - MARGIN) * scale
    side = WINDOW * scale
    across = min(scene.box[2], left + side) - max(scene.box[0], left)
    down = min(scene.box[3], top + side) - max(scene.box[1], top)
    area = (scene.box[2] - scene.box[0]) * (scene.box[3] - scene.box[1])
    return max(0.0, across) * max(0.0, down) >= area / 2


def main(
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log and weights.")] = Path("runs/symbols"),
    minutes: Annotated[
        float, typer.Option(min=0, help="Stop after so long; the next call goes on.")
    ] = math.inf,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train the symbol network on one thread; ends with OUT/symbols.onnx."""
    torch.set_num_threads(1)
    config = TrainConfig(seed=seed)
    weights = Training(config, out).run(minutes)
    typer.echo(f"weights: {weights}" if weights else "paused: the same command goes on")


if __name__ == "__main__":
    typer.run(main)
