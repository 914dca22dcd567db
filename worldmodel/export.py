"""The neural world model as one ONNX graph: a step of one player, from state to state and frame.

The graph computes what :meth:`worldmodel.neural.NeuralWorldModel.step` computes for one row. Two things are
said differently because ONNX says them better: rows of a table are gathered and added, and pictures are read
from bytes instead of packed pixels. The dice come in from outside: whoever plays rolls them with
:func:`worldmodel.noise.dice` or its like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worldmodel.bank import WorldBank
from worldmodel.compiled import CompiledWorld
from worldmodel.constants import ACTIONS, FRAME, MOVER_SLOTS, MOVERS, PLATFORM_HALF, TILE, Mover
from worldmodel.crops import VIEW, Layers, camera
from worldmodel.decoder import decoder_inputs
from worldmodel.dynamics import (
    Trunk,
    apply_motion,
    apply_movers,
    decide_contacts,
    motion_columns,
    mover_columns,
    touch_columns,
)
from worldmodel.memory import apply_contacts, freeze
from worldmodel.neural import NeuralWorldModel
from worldmodel.noise import dice
from worldmodel.protocol import Observation, State

OPSET = 18
STATE = tuple(f.name for f in fields(State) if f.name not in ("world", "seed", "context"))
"""Inputs of the graph that a step changes, by their names in State; its outputs are called ``next_...``."""
MEMORY = ("links", "effects", "portals", "spawns", "mechanics")
"""Inputs that describe the world, as in the bank."""
PICTURES = ("picture", "atlas", "sprites")
"""Inputs that hold the world's pictures, as bytes of RGBA."""
INPUTS = ("action", "dice", *STATE, *MEMORY, *PICTURES)
OUTPUTS = (*(f"next_{name}" for name in STATE), "events", "clip", "confidence", "frame")

Arrays = dict[str, NDArray[np.generic]]

_SPRITE = TILE * 2 * TILE
_MARGIN = FRAME + 4 * TILE


class Step(nn.Module):
    """The graph's forward pass; tensors come and go in the order of INPUTS and OUTPUTS, batch 1."""

    def __init__(self, model: NeuralWorldModel) -> None:
        super().__init__()
        self.dynamics, self.decoder = model.dynamics, model.decoder

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(INPUTS, tensors, strict=True))
        state, bank, action = self._moment(given)
        net = self.dynamics
        moved, sure = apply_motion(state, action, _answers(net.motion, motion_columns(bank, state, action)))
        found = decide_contacts(moved, _answers(net.touch, touch_columns(bank, moved, action)))
        touched, events, clip = apply_contacts(bank, moved, found)
        slots = torch.arange(MOVER_SLOTS)[None]
        columns = mover_columns(bank, touched, slots, given["dice"])
        after = freeze(state, apply_movers(bank, touched, _answers(net.movers, columns)))
        events = events & ~state.done[:, None]
        clip = torch.where(state.done, -1, clip)
        frame = self._frame(bank, after, given)
        return (*(getattr(after, name) for name in STATE), events, clip, sure, frame)

    def _moment(self, given: dict[str, Tensor]) -> tuple[State, WorldBank, Tensor]:
        bank = WorldBank(torch.device("cpu"))
        bank.replace_tensors(**{name: given[name] for name in MEMORY})
        none = torch.zeros(1, dtype=torch.int64)
        context = torch.zeros(1, 0, dtype=torch.uint8)
        state = State(world=none, seed=none, context=context, **{name: given[name] for name in STATE})
        return state, bank, given["action"]

    def _frame(self, bank: WorldBank, state: State, given: dict[str, Tensor]) -> Tensor:
        layers, pixels = read_pictures(state, *(given[name] for name in PICTURES))
        seen = self.decoder.compose(pixels, decoder_inputs(bank, state, layers))
        return (seen.clamp(0, 1) * 255).round().to(torch.uint8)


def _answers(trunk: Trunk, columns: Tensor) -> dict[str, Tensor]:
    """What the trunk says of (1, ..., K) columns; its first layer as a gather and a sum."""
    index = torch.minimum((columns - trunk.low).clamp(min=0), trunk.top) + trunk.offset
    return trunk.named(trunk.logits(trunk.table[index].sum(-2) + trunk.bias))


def read_pictures(state: State, picture: Tensor, atlas: Tensor, sprites: Tensor) -> tuple[Layers, Tensor]:
    """What :func:`worldmodel.crops.read_layers` reads for one player, from RGBA bytes.

    Pictures are uint8: picture (height, width, 4), atlas (TILE_CLASSES * TILE, 4 TILE), a row of a tile's
    pixels each, and sprites (2 directions * MOVERS * TILE * 2 TILE, 4). Returns the layers without pixels,
    and as pixels (1, LAYER_CHANNELS, FRAME, FRAME) float32 0..1.
    """
    corner = camera(state)[0]
    tile, offset = torch.div(corner, TILE, rounding_mode="floor"), corner % TILE
    classes = _classes(state.canvas, tile)
    centre = torch.div(state.position, 2, rounding_mode="floor") - corner
    layers = [
        _window(_window(picture, 0, corner[1]), 1, corner[0]),
        _atlas_crop(atlas, classes[0], offset),
        _mover_layer(sprites, state, corner),
        _player_layer(sprites, state, centre),
    ]
    pixels = torch.stack(layers).permute(0, 3, 1, 2).reshape(1, -1, FRAME, FRAME)
    none = torch.zeros(1, FRAME, FRAME, 0, dtype=torch.int32)
    return Layers(none, classes, offset[None], centre), pixels.float() * (1 / 255)


def _window(x: Tensor, dim: int, start: Tensor) -> Tensor:
    """FRAME entries of a dimension from ``start`` on, which the exporter is told lies inside."""
    first: Any = start.item()  # int() would ask for the number while the graph is traced
    torch._check(first >= 0)  # noqa: SLF001 (its documented name)
    torch._check(first <= x.shape[dim] - FRAME)  # noqa: SLF001
    window: Tensor = x.narrow(dim, first, FRAME)
    return window


def _classes(canvas: Tensor, tile: Tensor) -> Tensor:
    """(1, VIEW, VIEW) from a tile on; the camera stays inside the map, so only what is unseen can repeat."""
    reach = torch.arange(VIEW)
    rows = (tile[1] + reach).clamp(max=canvas.shape[1] - 1)
    cols = (tile[0] + reach).clamp(max=canvas.shape[2] - 1)
    return canvas.index_select(1, rows).index_select(2, cols)


def _atlas_crop(atlas: Tensor, classes: Tensor, offset: Tensor) -> Tensor:
    """(FRAME, FRAME, 4) what can change, for classes (VIEW, VIEW)."""
    down = torch.arange(FRAME) + offset[1]
    tile, inside = torch.div(down, TILE, rounding_mode="floor"), down % TILE
    index = classes.long().index_select(0, tile) * TILE + inside[:, None]  # (FRAME, VIEW)
    rows = atlas.index_select(0, index.flatten()).view(FRAME, VIEW * TILE, 4)
    return _window(rows, 1, offset[0])


def _mover_layer(sprites: Tensor, state: State, corner: Tensor) -> Tensor:
    places = torch.div(state.mover_position[0], 2, rounding_mode="floor") - corner
    kind = state.mover_kind[0]
    up = torch.where(kind == Mover.PLATFORM, PLATFORM_HALF[1] // 2, TILE // 2)
    places = torch.stack([places[:, 0] - TILE, places[:, 1] - up], 1)
    return _paste(sprites, kind, state.mover_heading[0] == 1, places, kind > 0)


def _player_layer(sprites: Tensor, state: State, centre: Tensor) -> Tensor:
    places = torch.stack([centre[:, 0] - TILE, centre[:, 1] - TILE // 2 - 1], 1)
    shown = torch.ones_like(state.facing, dtype=torch.bool)
    return _paste(sprites, torch.zeros_like(state.facing), state.facing < 0, places, shown)


def _paste(sprites: Tensor, kind: Tensor, mirrored: Tensor, places: Tensor, shown: Tensor) -> Tensor:
    """(FRAME, FRAME, 4): the sprites of S kinds at pixels (S, 2); later ones win.

    Every pixel of the layer gets the greatest number of a sprite's pixel that falls on it; numbers grow
    with the slot. One scatter then does for all slots, and in any order.
    """
    slots = kind.shape[0]
    start = (mirrored.long() * MOVERS + kind.long()) * _SPRITE
    picked = sprites.index_select(0, (start[:, None] + torch.arange(_SPRITE)).flatten())
    opaque = (picked[:, 3] > 0) & shown[:, None].expand(-1, _SPRITE).flatten()
    number = torch.where(opaque, torch.arange(1, slots * _SPRITE + 1), 0).int()
    spot = places.clamp(-2 * TILE, FRAME) + 2 * TILE  # what is out of sight lies in the margin
    reach = (torch.arange(TILE)[:, None] * _MARGIN + torch.arange(2 * TILE)).flatten()
    index = (spot[:, 1] * _MARGIN + spot[:, 0])[:, None] + reach
    layer = torch.zeros(_MARGIN * _MARGIN, dtype=torch.int32)
    layer = layer.scatter_reduce(0, index.flatten().long(), number, "amax")
    inside = slice(2 * TILE, 2 * TILE + FRAME)
    seen = layer.view(_MARGIN, _MARGIN)[inside, inside].flatten()
    clear = torch.zeros_like(picked[:1])
    return torch.cat([clear, picked]).index_select(0, seen).view(FRAME, FRAME, 4)


def world_inputs(world: CompiledWorld) -> Arrays:
    """The graph's inputs that describe a world, by name."""
    bank = WorldBank(torch.device("cpu"))
    bank.add([world])
    both = np.stack([world.sprites, world.sprites[:, :, ::-1]])
    opaque = np.full_like(world.picture[..., :1], 255)
    pictures = {
        "picture": np.concatenate([world.picture, opaque], -1),
        "atlas": world.atlas.reshape(-1, 4 * TILE),
        "sprites": both.reshape(-1, 4),
    }
    memory: Arrays = {name: getattr(bank, name).numpy() for name in MEMORY}
    return {**memory, **{name: np.ascontiguousarray(pixels) for name, pixels in pictures.items()}}


def state_inputs(state: State) -> Arrays:
    """The graph's inputs of the state of one player, by name."""
    return {name: getattr(state, name).numpy() for name in STATE}


def graph_inputs(world: Arrays, state: State, action: int) -> Arrays:
    """All of the graph's inputs for one step; ``world`` as from :func:`world_inputs`."""
    rolled = dice(state.seed, state.step, MOVER_SLOTS).numpy()
    return {**world, **state_inputs(state), "action": np.array([action]), "dice": rolled}


def export_step(model: NeuralWorldModel, world: CompiledWorld, path: Path) -> None:
    """Write the model's step as ONNX. Any world will do: only shapes are taken from it."""
    given = graph_inputs(world_inputs(world), model.spawn([world], [0]), action=0)
    example = tuple(torch.from_numpy(given[name]) for name in INPUTS)
    program = torch.onnx.export(
        Step(model).eval(),
        example,
        dynamo=True,
        opset_version=OPSET,
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        optimize=True,
        verbose=False,
    )
    assert program is not None
    program.save(path)
    graph = onnx.load(path)
    _replace_choices(graph.graph)
    onnx.save(graph, path)


def _replace_choices(graph: onnx.GraphProto) -> None:
    """ONNX Runtime's ``Where`` knows no truth values: say ``(a and b) or (not a and c)``."""
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}
    for place, node in reversed(list(enumerate(graph.node))):
        if node.op_type != "Where" or types.get(node.output[0]) != onnx.TensorProto.BOOL:
            continue
        (which, first, second), out = node.input, node.output[0]
        parts = [
            onnx.helper.make_node("And", [which, first], [f"{out}_first"]),
            onnx.helper.make_node("Not", [which], [f"{out}_not"]),
            onnx.helper.make_node("And", [f"{out}_not", second], [f"{out}_second"]),
            onnx.helper.make_node("Or", [f"{out}_first", f"{out}_second"], [out]),
        ]
        del graph.node[place]
        for part in reversed(parts):
            graph.node.insert(place, part)


class ExportedStep:
    """The graph under ONNX Runtime: steps states of one player, as the model would."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, world: Arrays, state: State, action: int) -> Arrays:
        """Outputs by name, for the arrays of :func:`world_inputs`."""
        given = graph_inputs(world, state, action)
        return dict(zip(OUTPUTS, self._session.run(list(OUTPUTS), given), strict=True))


@dataclass(frozen=True)
class Agreement:
    """How a graph plays beside the model, each step from the model's own state."""

    steps: int
    differing: int
    """Steps in which any number of the next state, an event or the clip differs."""
    frame_max: int
    """Greatest difference of any pixel, in grey levels of 255."""
    frame_mean: float
    psnr: float
    """dB, over all frames together."""
    confidence_max: float
    """Greatest difference of the confidence."""


def compare(
    model: NeuralWorldModel, step: ExportedStep, worlds: Sequence[CompiledWorld], steps: int, seed: int = 0
) -> Agreement:
    """Play ``steps`` random actions in every world. Same state, same action, then the model's next state:
    where no step differs, free play does not either."""
    rng = np.random.default_rng(seed)
    differing, sure, errors = 0, 0.0, []
    described = [world_inputs(world) for world in worlds]
    state = model.spawn(worlds, [seed + number for number in range(len(worlds))])
    for _ in range(steps):
        actions = torch.from_numpy(rng.integers(0, ACTIONS, len(worlds)))
        rows = [step(described[i], state[i : i + 1], int(actions[i])) for i in range(len(worlds))]
        found = {name: np.concatenate([row[name] for row in rows]) for name in OUTPUTS}
        state, seen = model.step(state, actions)
        assert seen.frames is not None
        differing += int(_wrong(found, state, seen).sum())
        errors.append(np.abs(found["frame"].astype(np.int16) - seen.frames.numpy()).astype(np.uint8))
        sure = max(sure, float(abs(found["confidence"] - seen.confidence.numpy()).max()))
    return _agreement(np.concatenate(errors), differing, sure)


def _wrong(found: Arrays, state: State, seen: Observation) -> NDArray[np.bool_]:
    """(B,) whether anything but the frame and the confidence differs."""
    expected = {f"next_{name}": getattr(state, name) for name in STATE}
    expected |= {"events": seen.events, "clip": seen.clip}
    wrong = np.zeros(len(state), dtype=np.bool_)
    for name, right in expected.items():
        wrong |= (found[name] != right.numpy()).reshape(len(state), -1).any(1)
    return wrong


def _agreement(errors: NDArray[np.uint8], differing: int, sure: float) -> Agreement:
    square = float(np.square(errors, dtype=np.int32).mean())
    psnr = float("inf") if square == 0 else 10 * float(np.log10(255**2 / square))
    return Agreement(len(errors), differing, int(errors.max()), float(errors.mean()), psnr, sure)
