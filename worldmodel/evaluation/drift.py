"""Minutes of play: does the picture hold, and is everything that moves still there, once each?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import MOVER_SLOTS, UNITS
from worldmodel.evaluation.agreement import starts
from worldmodel.evaluation.likeness import Likeness, likeness
from worldmodel.evaluation.memory import go_on, nearer
from worldmodel.evaluation.players import Players
from worldmodel.evaluation.records import Playable
from worldmodel.protocol import State
from worldmodel.simulator import Simulator

MARKS = (64, 256, 512, 1024, 2048, 4096)
"""Steps at which pictures are compared."""
FRAMES, FRAMES_APART = 4, 8
"""Frames looked at before each mark, so that one frame's chance does not decide, and steps between them."""
TRAIL = 16
"""Steps after which a mover that is also seen where it was counts as doubled."""


@dataclass
class Mark:
    """Means over the rows and the FRAMES frames up to a step."""

    model: Likeness
    """The model's frame and the simulator's, open loop since the start."""
    own: Likeness
    """The model's frame and the simulator's painting of the model's own state."""
    in_view: int = 0
    """Movers that should be seen."""
    not_shown: int = 0
    """Movers in view that the frame does not show."""
    shown_twice: int = 0
    """Movers that the frame shows where they were TRAIL steps ago, too."""


@dataclass
class Drift:
    """All marks, and what went wrong with the movers of the state at any step."""

    marks: dict[int, Mark] = field(default_factory=dict)
    vanished: int = 0
    """Mover slots that are filled at the start and were found empty, over all marks."""
    doubled: int = 0
    """Mover slots that are empty at the start and were found filled."""
    strayed: int = 0
    """Movers found outside the map."""
    rows: int = 0

    @property
    def not_shown(self) -> int:
        """Movers that the frames of all marks do not show."""
        return sum(mark.not_shown for mark in self.marks.values())

    @property
    def shown_twice(self) -> int:
        return sum(mark.shown_twice for mark in self.marks.values())

    def fall(self, early: int = 256) -> float | None:
        """Decibels lost, open loop, between step ``early`` and the last mark; negative where it rose."""
        if early not in self.marks or max(self.marks) <= early:
            return None
        return self.marks[early].model.psnr - self.marks[max(self.marks)].model.psnr


@torch.no_grad()
def drift(
    model: Playable, worlds: Sequence[CompiledWorld], episodes: int, steps: int, generator: Generator
) -> Drift:
    """``steps`` steps of the model beside the simulator; goals do not end them."""
    simulator = Simulator(model.device, model.bank)
    truth = starts(model, worlds, episodes, generator)
    own, result = truth.clone(), Drift(rows=len(truth))
    players = Players(len(truth), generator)
    marks = [mark for mark in MARKS if mark <= steps]
    looks = {mark - i * FRAMES_APART: mark for mark in marks for i in range(FRAMES)}
    trails = {step - TRAIL for step in looks}
    trail: dict[int, Tensor] = {}
    seen: dict[int, list[_Look]] = {mark: [] for mark in marks}
    for number in range(1, steps + 1):
        actions = players.act(truth)
        own, truth = (go_on(player, state, actions) for player, state in ((model, own), (simulator, truth)))
        if number in trails:
            trail[number] = own.mover_position.clone()
        if number in looks:
            past = trail.pop(number - TRAIL)
            seen[looks[number]].append(_look(model, simulator, own, truth, past))
            _count(result, model, own)
    result.marks = {mark: _joined(parts) for mark, parts in seen.items()}
    return result


def _count(result: Drift, model: Playable, own: State) -> None:
    begun, there = model.bank.mover_kinds[own.world] > 0, own.mover_kind > 0
    limit = torch.tensor(own.canvas.shape[:0:-1], device=own.canvas.device) * UNITS
    inside = ((own.mover_position >= 0) & (own.mover_position < limit)).all(-1)
    result.vanished += int((begun & ~there).sum())
    result.doubled += int((there & ~begun).sum())
    result.strayed += int((there & ~inside).sum())


@dataclass(frozen=True)
class _Look:
    model: Likeness
    own: Likeness
    movers: tuple[int, int, int]


def _look(model: Playable, simulator: Simulator, own: State, truth: State, past: Tensor) -> _Look:
    frames, painted = model.render(own), simulator.render(own)
    return _Look(
        model=likeness(frames, simulator.render(truth)),
        own=likeness(frames, painted),
        movers=_movers_seen(simulator, own, frames, painted, past),
    )


def _movers_seen(
    simulator: Simulator, own: State, frames: Tensor, painted: Tensor, past: Tensor
) -> tuple[int, int, int]:
    """Movers in view, those that the frame does not show, and those that it shows in two places."""
    in_view = not_shown = twice = 0
    for slot in range(MOVER_SLOTS):
        kinds = own.mover_kind.clone()
        kinds[:, slot] = 0
        without = simulator.render(own.updated(mover_kind=kinds))
        shown, asked = nearer(frames, painted, without)
        in_view += int(asked.sum())
        not_shown += int((asked & ~shown).sum())
        double, possible = nearer(frames, _doubled(simulator, own, slot, past), painted)
        twice += int((double & possible).sum())
    return in_view, not_shown, twice


def _doubled(simulator: Simulator, own: State, slot: int, past: Tensor) -> Tensor:
    """Paintings with one more mover: this slot's, in a free slot, where it was ``past`` (B, S, 2)."""
    free = (own.mover_kind == 0).int().argmax(1)
    rows = torch.arange(len(own), device=free.device)
    has_free = own.mover_kind[rows, free] == 0
    gone = ((own.mover_position[:, slot] - past[:, slot]).abs() > UNITS * 3 // 4).any(1)
    kinds, positions = own.mover_kind.clone(), own.mover_position.clone()
    kinds[rows, free] = torch.where(has_free & gone, own.mover_kind[:, slot], own.mover_kind[rows, free])
    positions[rows, free] = torch.where(
        (has_free & gone)[:, None], past[:, slot], own.mover_position[rows, free]
    )
    return simulator.render(own.updated(mover_kind=kinds, mover_position=positions))


def _joined(parts: list[_Look]) -> Mark:
    def mean(of: list[Likeness]) -> Likeness:
        return Likeness(*(sum(getattr(x, n) for x in of) / len(of) for n in ("psnr", "ssim", "edges")))

    counts = [sum(p.movers[i] for p in parts) for i in range(3)]
    return Mark(mean([p.model for p in parts]), mean([p.own for p in parts]), *counts)
