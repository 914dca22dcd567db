"""Training the neural world model, closed-loop, in two resumable phases: dynamics, then decoder.

Dynamics follow DAgger (Ross, Gordon, Bagnell, AISTATS 2011): the network's own moves carry a pool of players
on, and the simulator says at every step what should have happened *from the network's own state*.
"""

from __future__ import annotations

import json
import math
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_origin, get_type_hints

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

from worldmodel.bank import WorldBank, mechanics_of
from worldmodel.constants import MOVER_SLOTS
from worldmodel.crops import read_layers
from worldmodel.decoder import decoder_inputs
from worldmodel.dynamics import (
    MOVER_SIZES,
    SHIFT_X,
    SHIFT_Y,
    SPEED_X,
    SPEED_Y,
    apply_motion,
    motion_columns,
    mover_columns,
    touch_columns,
)
from worldmodel.memory import Contacts, apply_contacts, tick
from worldmodel.neural import NeuralConfig, NeuralWorldModel, save_model
from worldmodel.practice import Practice
from worldmodel.protocol import State
from worldmodel.rendering import paint
from worldmodel.simulator import Intent, look_around, move_movers, move_player, touching

Config = TypeVar("Config")


@dataclass(frozen=True)
class TrainConfig:
    """Everything a run depends on; written beside its checkpoints."""

    seed: int = 0
    dynamics_steps: int = 24_000
    dynamics_batch: int = 1536
    mover_slots: int = 2
    """Mover slots per row that a step learns from."""
    learning_rate: float = 1e-3
    ema: float = 0.998
    maps: int = 192
    redraw_every: int = 100
    resets: tuple[float, float] = (0.2, 0.03)
    """Share of the pool that starts anew each step, at first and from half of the training on: a curriculum
    of horizons from 5 to 33 steps."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of matrix products; weights and losses stay float32."""
    own_moves_after: float = 0.3
    """Share of training by which all rows move by the network's own prediction."""
    decoder_steps: int = 3_000
    decoder_batch: int = 12
    decoder_learning_rate: float = 4e-3
    gallery_worlds: int = 24
    """Worlds on whose looks the decoder learns."""
    checkpoint_every: int = 500
    threads: int = 1
    model: NeuralConfig = field(default_factory=NeuralConfig)


SPRITE_WEIGHT = 6.0
"""By how much more a pixel of a mover or the player counts in the decoder's loss."""


def read_config(path: Path) -> TrainConfig:
    """A TOML file with any of TrainConfig's fields. Raises ValueError naming the file and the field."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    return _fill(TrainConfig, given, str(path))


def shipped_config(size: str) -> TrainConfig:
    """The configuration for a ``cpu`` or a ``gpu``."""
    return read_config(Path(str(files("worldmodel"))) / "configs" / f"{size}.toml")


def _fill(kind: type[Config], given: Mapping[str, object], where: str) -> Config:
    """A dataclass from a table; fields that are dataclasses from sub-tables."""
    hints = get_type_hints(kind)
    unknown = sorted(set(given) - set(hints))
    if unknown:
        raise ValueError(f"{where}: there is no field {unknown[0]!r}; there are {', '.join(sorted(hints))}")
    values: dict[str, object] = {}
    for name, value in given.items():
        wanted = hints[name]
        if is_dataclass(wanted) and isinstance(value, dict):
            values[name] = _fill(cast("type[Any]", wanted), value, f"{where}: {name}")
        elif get_origin(wanted) is tuple and isinstance(value, list):
            values[name] = tuple(value)
        elif isinstance(wanted, type) and not isinstance(value, (wanted, int) if wanted is float else wanted):
            raise ValueError(f"{where}: {name} must be of type {wanted.__name__}, not {value!r}")
        else:
            values[name] = value
    return kind(**values)


class Paused(Exception):
    """The time for this piece of a run is over; its checkpoint is written and the run can go on later."""


WARM_UP = 0.05
"""Share of a phase over which the learning rate rises; then it falls along a cosine."""

Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called with phase, steps done, steps in all and the newest metrics."""


def _set_rate(optimiser: torch.optim.Optimizer, peak: float, progress: float) -> None:
    """Warm up, then a cosine down to a hundredth of the peak; a pure function of the progress 0..1."""
    rising = min(1.0, progress / WARM_UP)
    falling = 0.5 * (1 + math.cos(math.pi * max(0.0, progress - WARM_UP) / (1 - WARM_UP)))
    for group in optimiser.param_groups:
        group["lr"] = peak * max(0.01, rising * falling)


def _precision(config: TrainConfig, device: torch.device) -> torch.autocast:
    mixed = config.precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=mixed)


def _floats(logits: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() for name, value in logits.items()}


class Ema:
    """Exponential moving average of a module's weights."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {k: v.detach().clone() for k, v in module.state_dict().items()}

    def update(self, module: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in module.state_dict().items():
            self.shadow[key].lerp_(value.detach(), 1 - decay)


@dataclass
class Targets:
    """What the simulator says should happen from a pool of states."""

    motion: dict[str, Tensor]
    legal: Tensor
    """(B,) rows whose motion lies within the heads' ranges."""
    moved: State
    found: Contacts
    touched: State


def simulate(bank: WorldBank, state: State, actions: Tensor) -> Targets:
    """One true step of the player from each state."""
    mechanics = mechanics_of(bank, state)
    moved = move_player(state, actions, mechanics)
    found = look_around(moved, Intent.of(actions), mechanics)
    shift = moved.position - state.position
    legal = (shift[:, 0].abs() <= SHIFT_X) & (shift[:, 1].abs() <= SHIFT_Y)
    motion = {
        "vx": moved.velocity[:, 0] + SPEED_X,
        "vy": moved.velocity[:, 1] + SPEED_Y,
        "dx": shift[:, 0].clamp(-SHIFT_X, SHIFT_X) + SHIFT_X,
        "dy": shift[:, 1].clamp(-SHIFT_Y, SHIFT_Y) + SHIFT_Y,
        "facing": (moved.facing > 0).int(),
        "air": moved.air,
        "riding": moved.riding.int(),
    }
    return Targets(motion, legal, moved, found, apply_contacts(bank, moved, found)[0])


def motion_loss(logits: dict[str, Tensor], targets: Targets) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy over legal rows, and the share of them that is exact in every head."""
    losses, exact = [], targets.legal.clone()
    for name, value in logits.items():
        target = targets.motion[name].long()
        losses.append(functional.cross_entropy(value[targets.legal], target[targets.legal]))
        exact &= value.argmax(-1) == target
    return torch.stack(losses).sum(), exact.sum() / targets.legal.sum()


def touch_loss(logits: dict[str, Tensor], found: Contacts) -> tuple[Tensor, Tensor]:
    """Summed binary cross-entropy per row, and the share of rows that is exact."""
    speaks = found.speakers.flatten(1).any(1)
    targets = {
        "taken": found.taken.flatten(1),
        "unlocked": found.unlocked.flatten(1),
        "pulled": found.pulled.flatten(1),
        "speaks": speaks[:, None],
        "hurt": found.hurt[:, None],
        "portal": found.portal[:, None],
        "goal": found.goal[:, None],
    }
    logit = torch.cat([logits[k] for k in targets], 1)
    target = torch.cat(list(targets.values()), 1)
    loss = functional.binary_cross_entropy_with_logits(logit, target.float(), reduction="none").sum(1).mean()
    return loss, ((logit > 0) == target).all(1).float().mean()


def mover_loss(
    logits: dict[str, Tensor], before: State, after: State, slots: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy over filled slots (B, S), and the share of them that is exact."""
    shift = after.mover_position - before.mover_position
    x, y = shift.sign().unbind(-1)
    move = torch.where(x > 0, 1, torch.where(x < 0, 2, torch.where(y < 0, 3, torch.where(y > 0, 4, 0))))
    touch = touching(before, after.mover_position).long()
    wanted = {"move": move, "heading": after.mover_heading.long(), "touch": touch}
    there = before.mover_kind.gather(1, slots) > 0
    losses, exact = [], there.clone()
    for name in MOVER_SIZES:
        target = wanted[name].gather(1, slots)
        losses.append(functional.cross_entropy(logits[name][there], target[there]))
        exact &= logits[name].argmax(-1) == target
    return torch.stack(losses).sum(), exact.sum() / there.sum()


class DynamicsTrainer:
    """The pool of players, the network and its optimiser."""

    def __init__(self, model: NeuralWorldModel, config: TrainConfig) -> None:
        self.config, self.net = config, model.dynamics.train()
        self.practice = Practice.create(config.maps, config.seed, model.device)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=config.learning_rate, weight_decay=1e-4)
        self.ema = Ema(self.net, config.ema)
        self.state = self.practice.moments(config.dynamics_batch)
        self.actions = torch.zeros(config.dynamics_batch, dtype=torch.long, device=model.device)

    def step(self, number: int) -> dict[str, float]:
        """One update and one step of play."""
        config, bank = self.config, self.practice.bank
        if number % config.redraw_every == 0:
            self.practice.redraw(config.maps)
            self.state = self.practice.moments(config.dynamics_batch)
        self.actions = self.practice.actions(self.actions)
        targets = simulate(bank, self.state, self.actions)
        with _precision(config, bank.device):
            motion = _floats(self.net.motion(motion_columns(bank, self.state, self.actions)))
            touch = _floats(self.net.touch(touch_columns(bank, targets.moved, self.actions)))
        loss_m, exact_m = motion_loss(motion, targets)
        loss_t, exact_t = touch_loss(touch, targets.found)
        slots = torch.rand(
            len(self.state), MOVER_SLOTS, generator=self.practice.generator, device=bank.device
        )
        slots = slots.argsort(1)[:, : config.mover_slots]
        mechanics = mechanics_of(bank, self.state)
        after = tick(bank, move_movers(targets.touched, mechanics))
        columns = mover_columns(bank, targets.touched, slots)
        with _precision(config, bank.device):
            movers = _floats(self.net.movers(columns.flatten(0, 1)))
        movers = {name: value.view(*slots.shape, -1) for name, value in movers.items()}
        loss_v, exact_v = mover_loss(movers, targets.touched, after, slots)
        loss = loss_m + 2 * loss_t + loss_v
        _set_rate(self.optimiser, config.learning_rate, number / config.dynamics_steps)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.ema.update(self.net, number)
        self._advance(number, targets, after, motion)
        return {
            "loss": loss.item(),
            "motion_exact": exact_m.item(),
            "touch_exact": exact_t.item(),
            "mover_exact": exact_v.item(),
        }

    @torch.no_grad()
    def _advance(self, number: int, targets: Targets, after: State, motion: dict[str, Tensor]) -> None:
        """Rows go on from the network's own move, more of them as training goes on; some start anew."""
        config, bank = self.config, self.practice.bank
        share = min(1.0, number / max(1.0, config.own_moves_after * config.dynamics_steps))
        own_moved, _ = apply_motion(self.state, self.actions, {k: v.detach() for k, v in motion.items()})
        own = self.practice.chance(len(self.state), share) & targets.legal
        wrong = own & (own_moved.position != targets.moved.position).any(1)
        wrong |= own & (own_moved.velocity != targets.moved.velocity).any(1)
        wrong |= own & (own_moved.riding != targets.moved.riding)
        if bool(wrong.any()):
            strayed = own_moved[wrong]
            mechanics = mechanics_of(bank, strayed)
            found = look_around(strayed, Intent.of(self.actions[wrong]), mechanics)
            arrived, _, _ = apply_contacts(bank, strayed, found)
            after.assign(wrong, tick(bank, move_movers(arrived, mechanics)))
        early, late = config.resets
        reset = early + (late - early) * min(1.0, 2 * number / config.dynamics_steps)
        lost = self.practice.chance(len(after), reset) | after.done
        if bool(lost.any()):
            after.assign(lost, self.practice.moments(int(lost.sum())))
        self.state = after


class DecoderTrainer:
    """Frames of random moments in given worlds, and the decoder's optimiser."""

    def __init__(self, model: NeuralWorldModel, config: TrainConfig, gallery: WorldBank) -> None:
        self.config, self.net, self.bank = config, model.decoder.train(), gallery
        # moments are drawn on the gallery's own maps, pictures and atlases
        self.practice = Practice(gallery, torch.Generator(device=model.device).manual_seed(config.seed + 1))
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=config.decoder_learning_rate)
        self.ema = Ema(self.net, 0.99)

    def step(self, number: int) -> dict[str, float]:
        """One update, on moments under every light: worlds of the gallery are mostly bright."""
        self.practice.relight()
        state = self.practice.moments(self.config.decoder_batch)
        with torch.no_grad():
            target = paint(self.bank, state).float() / 255
            inputs = decoder_inputs(self.bank, state, read_layers(self.bank, state))
            weight = _pixel_weight(inputs.pixels)
        with _precision(self.config, self.bank.device):
            frame = self.net(inputs).float()
        error = frame - target
        loss = (weight * (error.square() + 0.1 * error.abs())).mean()
        _set_rate(self.optimiser, self.config.decoder_learning_rate, number / self.config.decoder_steps)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.ema.update(self.net, number)
        psnr = -10 * torch.log10(error.clamp(-1, 1).square().mean((1, 2, 3)).clamp(min=1e-10)).mean()
        return {"loss": loss.item(), "psnr": psnr.item()}


def _pixel_weight(pixels: Tensor) -> Tensor:
    """(B, 1, FRAME, FRAME) of mean 1: what moves is small, and its fading and covering are hard."""
    moving = ((pixels[..., 2:] >> 24) != 0).any(-1)[:, None]
    weight = 1 + SPRITE_WEIGHT * moving
    return weight / weight.mean()


Trainer = DynamicsTrainer | DecoderTrainer


@dataclass
class Run:
    """A training folder: checkpoint, config, metrics.jsonl, TensorBoard events, final weights."""

    folder: Path
    config: TrainConfig

    def train(
        self,
        gallery: Callable[[], WorldBank],
        device: torch.device | str = "cpu",
        progress: Progress | None = None,
        seconds: float = math.inf,
    ) -> Path:
        """Both phases, from the last checkpoint on; returns the weights file.

        ``gallery`` makes the painted worlds on which the decoder learns; it is called when they are needed.
        Raises Paused, with a checkpoint written, when it has trained for so many seconds and is not done.
        """
        self._until = time.monotonic() + seconds
        torch.set_num_threads(self.config.threads)
        torch.manual_seed(self.config.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write("config.json", json.dumps(asdict(self.config), indent=2))
        model = NeuralWorldModel(self.config.model, device)
        self._phase(
            "dynamics",
            model.dynamics,
            DynamicsTrainer(model, self.config),
            self.config.dynamics_steps,
            progress,
        )
        decoder = DecoderTrainer(model, self.config, gallery())
        self._phase("decoder", model.decoder, decoder, self.config.decoder_steps, progress)
        weights = self.folder / "model.safetensors"
        save_model(model, weights)
        return weights

    def _phase(
        self, name: str, net: nn.Module, trainer: Trainer, total: int, progress: Progress | None
    ) -> None:
        """Run one phase to its end and leave the averaged weights in ``net``."""
        path = self.folder / f"{name}.checkpoint.pt"
        done = self._resume(path, net, trainer)
        begun = time.monotonic()
        with (
            SummaryWriter(self.folder / "tensorboard") as board,
            (self.folder / "metrics.jsonl").open("a") as log,
        ):
            for number in range(done, total):
                metrics = trainer.step(number)
                if progress is not None:
                    progress(name, number + 1, total, metrics)
                if (number + 1) % 50 == 0:
                    for key, value in metrics.items():
                        board.add_scalar(f"{name}/{key}", value, number + 1)
                    seconds = round(time.monotonic() - begun, 2)
                    print(
                        json.dumps({"phase": name, "step": number + 1, "seconds": seconds, **metrics}),
                        file=log,
                        flush=True,
                    )
                if (number + 1) % self.config.checkpoint_every == 0 or number + 1 == total:
                    self._save(path, number + 1, net, trainer)
                elif time.monotonic() > self._until:
                    self._save(path, number + 1, net, trainer)
                    raise Paused(f"{name}: {number + 1} of {total} steps are done")
        net.load_state_dict(trainer.ema.shadow)
        net.eval()

    def _save(self, path: Path, done: int, net: nn.Module, trainer: Trainer) -> None:
        state = {
            "done": done,
            "net": net.state_dict(),
            "ema": trainer.ema.shadow,
            "optimiser": trainer.optimiser.state_dict(),
            "generator": trainer.practice.generator.get_state(),
        }
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def _resume(self, path: Path, net: nn.Module, trainer: Trainer) -> int:
        if not path.exists():
            return 0
        state = torch.load(path, weights_only=True)
        net.load_state_dict(state["net"])
        trainer.ema.shadow = state["ema"]
        trainer.optimiser.load_state_dict(state["optimiser"])
        trainer.practice.generator.set_state(state["generator"])
        done: int = state["done"]
        return done

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text + "\n", encoding="utf-8")


def read_metrics(folder: Path) -> Iterator[dict[str, float | str]]:
    """The rows of a run's ``metrics.jsonl``."""
    for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
