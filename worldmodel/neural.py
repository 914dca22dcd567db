"""The neural world model: learned dynamics over a spatial memory, and a neural decoder.

No rule of the simulator runs here: the networks decide every move, touch, write and event; around them
are only memory reads and writes, counters, and the composition of logits into integers.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from worldmodel.bank import BankedModel
from worldmodel.constants import ACTIONS, FPS, FRAME, MOVER_SLOTS, SAMPLE_RATE
from worldmodel.crops import read_layers
from worldmodel.decoder import Decoder, DecoderConfig, decoder_inputs
from worldmodel.dynamics import (
    Dynamics,
    DynamicsConfig,
    Trunk,
    apply_motion,
    apply_movers,
    decide_contacts,
    motion_columns,
    mover_columns,
    touch_columns,
)
from worldmodel.memory import apply_contacts, freeze
from worldmodel.protocol import ModelCard, Observation, State

STEP_VERSION = "2"
"""Raised whenever the same weights would play differently."""
ROWS = 32
"""Rows per matrix product on the CPU: always as many, so that a world plays the same in every batch."""

READ_ROWS = 16
"""Frames whose layers are read from memory at once, and that one thread renders before it takes others."""


@dataclass(frozen=True)
class NeuralConfig:
    """Sizes of all networks; saved with the weights."""

    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)


class NeuralWorldModel(BankedModel):
    """A :class:`worldmodel.protocol.WorldModel` whose every prediction comes from trained networks."""

    def __init__(
        self,
        config: NeuralConfig | None = None,
        device: torch.device | str = "cpu",
        sha256: str = "untrained",
    ) -> None:
        super().__init__(device)
        self.config = config or NeuralConfig()
        self.dynamics = Dynamics(self.config.dynamics).to(self.device).eval()
        self.decoder = Decoder(self.config.decoder).to(self.device).eval()
        self.card = ModelCard("neural", STEP_VERSION, sha256, FRAME, FPS, ACTIONS, SAMPLE_RATE)
        self._threads = 1
        self._renderers: ThreadPoolExecutor | None = None

    def render_on(self, threads: int) -> None:
        """Render frames on so many threads of the CPU; they come out the same, bit for bit.

        Each thread has whole frames to itself. PyTorch's own threads would share every product of a frame,
        which on busy cores took forty times as long as one thread (measured on two).
        """
        if threads < 1:
            raise ValueError(f"frames are rendered on one thread or more, not {threads}")
        if self._renderers is not None:
            self._renderers.shutdown()
        self._threads = threads
        self._renderers = (
            ThreadPoolExecutor(threads, "render", partial(torch.set_num_threads, 1)) if threads > 1 else None
        )

    @torch.no_grad()
    def step(self, state: State, actions: Tensor, *, render: bool = True) -> tuple[State, Observation]:
        net, bank = self.dynamics, self.bank
        moved, sure = apply_motion(
            state, actions, self._infer(net.motion, motion_columns(bank, state, actions))
        )
        found = decide_contacts(moved, self._infer(net.touch, touch_columns(bank, moved, actions)))
        touched, events, clip = apply_contacts(bank, moved, found)
        slots = torch.arange(MOVER_SLOTS, device=self.device).expand(len(state), -1)
        movers = self._infer(net.movers, mover_columns(bank, touched, slots))
        after = freeze(state, apply_movers(bank, touched, movers))
        events = events & ~state.done[:, None]
        clip = torch.where(state.done, -1, clip)
        frames = self.render(after) if render else None
        return after, Observation(events, clip, after.done, sure, frames)

    def _infer(self, trunk: Trunk, columns: Tensor) -> dict[str, Tensor]:
        """Logits of (B, ..., K) columns; on the CPU in products of exactly ROWS rows.

        Matrix products round differently for different row counts, and replays must not depend on the batch.
        """
        x = trunk.look_up(columns.flatten(0, -2))
        if self.device.type != "cpu":
            logits = trunk.logits(x)
        else:
            padded = functional.pad(x, (0, 0, 0, -len(x) % ROWS))
            logits = torch.cat([trunk.logits(rows) for rows in torch.split(padded, ROWS)])[: len(x)]
        return trunk.named(logits.view(*columns.shape[:-1], -1))

    @torch.no_grad()
    def render(self, state: State) -> Tensor:
        """Frame by frame on the CPU: it stays in the cache, and a frame does not depend on its neighbours."""
        frames = torch.empty(len(state), 3, FRAME, FRAME, dtype=torch.uint8, device=self.device)
        size = max(1, min(READ_ROWS, -(-len(state) // self._threads)))
        parts = [slice(start, start + size) for start in range(0, len(state), size)]
        if self._renderers is None:
            for part in parts:
                self._render_into(frames[part], state[part])
        else:
            rendering = [self._renderers.submit(self._render_into, frames[p], state[p]) for p in parts]
            for one in rendering:
                one.result()
        return frames

    @torch.no_grad()
    def _render_into(self, frames: Tensor, state: State) -> None:
        inputs = decoder_inputs(self.bank, state, read_layers(self.bank, state))
        size = 1 if self.device.type == "cpu" else len(state)
        for row in range(0, len(state), size):
            seen = self.decoder(inputs[row : row + size])
            frames[row : row + size] = seen.clamp_(0, 1).mul_(255).round_()


def save_model(model: NeuralWorldModel, path: Path) -> str:
    """Write weights and config as safetensors; returns the file's SHA-256."""
    tensors = {f"dynamics.{k}": v for k, v in model.dynamics.state_dict().items()}
    tensors |= {f"decoder.{k}": v for k, v in model.decoder.state_dict().items()}
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    save_file(tensors, path, metadata={"config": json.dumps(asdict(model.config)), "step": STEP_VERSION})
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_model(path: Path, device: torch.device | str = "cpu") -> NeuralWorldModel:
    """Raises FileNotFoundError, or ValueError when the file's step version is not this code's."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    if metadata.get("step") != STEP_VERSION:
        raise ValueError(
            f"{path}: weights of step version {metadata.get('step')}, this code plays {STEP_VERSION}"
        )
    saved = json.loads(metadata["config"])
    config = NeuralConfig(DynamicsConfig(**saved["dynamics"]), DecoderConfig(**saved["decoder"]))
    digest = hashlib.sha256(path.read_bytes() + STEP_VERSION.encode()).hexdigest()
    model = NeuralWorldModel(config, device, digest)
    for name, module in (("dynamics", model.dynamics), ("decoder", model.decoder)):
        module.load_state_dict(
            {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}
        )
    return model
