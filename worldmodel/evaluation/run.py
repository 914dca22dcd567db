"""The whole evaluation: which parts, how much of each, and all their numbers in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from worldmodel.compiled import CompiledWorld
from worldmodel.constants import Event
from worldmodel.evaluation.agreement import Horizon, Playback, play
from worldmodel.evaluation.bars import bars
from worldmodel.evaluation.drift import Drift, drift
from worldmodel.evaluation.groups import Group, by_mechanic, by_world
from worldmodel.evaluation.heldout import Pair, looks, pairs
from worldmodel.evaluation.likeness import Likeness
from worldmodel.evaluation.memory import Memory, remember
from worldmodel.evaluation.records import EventScore, Joined, Playable, Steps, joined, share, within
from worldmodel.evaluation.speed import Speed, peak_memory, session_bytes
from worldmodel.evaluation.visits import visit

EVENT_TOLERANCE = 2
"""Steps by which an event of the windowed model may miss the simulator's and still be the same."""


@dataclass(frozen=True)
class Plan:
    """How much is played."""

    worlds: int = 12
    episodes: int = 2
    steps: int = 1024
    drift_worlds: int = 6
    drift_steps: int = 4096
    away_steps: int = 300
    pair_maps: int = 16
    pair_moments: int = 512
    look_worlds: int = 4
    sheets: int = 6
    video_steps: int = 300


QUICK = Plan(
    worlds=6,
    episodes=1,
    steps=64,
    drift_worlds=2,
    drift_steps=512,
    pair_maps=4,
    pair_moments=128,
    look_worlds=2,
    sheets=2,
    video_steps=64,
)
"""About a minute on two cores."""


@dataclass
class Sounds:
    """Sounds that start, step by step, beside the simulator's from the same states."""

    voices: EventScore
    """Right only where it is the same clip."""
    effects: EventScore
    """One count per event and step."""
    same_steps: float | None
    """Share of steps in which exactly the same sounds start."""


@dataclass
class Evaluation:
    """All numbers of one evaluation; ``as_json`` is what is written."""

    worlds: int
    episodes: int
    horizons: dict[int, Horizon]
    place: float | None
    """Share of all steps with the player within half a tile, restarted every 64 steps."""
    place_open: float | None
    """The same, never restarted."""
    step_agreement: float
    """Share of steps after which all of the player and the map equal the simulator's from the same state."""
    mover_agreement: float | None
    """The same for enemies and platforms."""
    action_agreement: float | None
    """Share of (state, action) pairs whose effect after four steps is exactly the simulator's."""
    events: dict[str, EventScore]
    """From the model's own states, one step each, along the episodes and at visits to what can happen."""
    events_in_play: dict[str, EventScore]
    """In windows of 64 steps, as things are played; at most EVENT_TOLERANCE steps apart."""
    sounds: Sounds
    coins_regrown: int
    """Coins and keys that came back after having been taken, over all steps: must be 0."""
    by_mechanic: list[Group]
    by_world: list[Group]
    session_bytes: int
    memory: Memory | None = None
    drift: Drift | None = None
    pairs: list[Pair] = field(default_factory=list)
    looks: dict[str, Likeness] = field(default_factory=dict)
    speed: list[Speed] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        data = asdict(self)
        for name in ("events", "events_in_play"):
            data[name] = {event: score.as_json() for event, score in getattr(self, name).items()}
        data["sounds"] |= {"voices": self.sounds.voices.as_json(), "effects": self.sounds.effects.as_json()}
        data["bars"] = [{**asdict(bar), "passed": bar.passed} for bar in bars(self)]
        data["peak_memory_mib"] = peak_memory()
        return data


def evaluate(
    model: Playable,
    worlds: Sequence[CompiledWorld],
    *,
    episodes: int = 4,
    seed: int = 0,
    horizon: int = 256,
) -> Evaluation:
    """Play ``episodes`` of ``horizon`` steps per world in both, compare, and visit what can happen."""
    generator = torch.Generator().manual_seed(seed)
    played = play(model, worlds, episodes, horizon, generator)
    visited = visit(model, worlds, generator)
    return _reduced(model, worlds, episodes, played, visited)


def assess(
    model: Playable,
    worlds: Sequence[CompiledWorld],
    plan: Plan,
    seed: int,
    report: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """:func:`evaluate`, and memory, drift, and what was held out. ``report`` is told what begins."""
    report("agreement and events")
    result = evaluate(model, worlds, episodes=plan.episodes, seed=seed, horizon=plan.steps)
    report("memory")
    result.memory = remember(model, worlds, plan.away_steps, _seeded(seed + 1))
    report("drift")
    few = worlds[: plan.drift_worlds]
    result.drift = drift(model, few, plan.episodes, plan.drift_steps, _seeded(seed + 2))
    report("held-out pairs")
    result.pairs = pairs(model, plan.pair_maps, plan.pair_moments, seed + 3)
    report("held-out looks")
    result.looks = looks(model, plan.look_worlds, seed)
    return result


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _reduced(
    model: Playable, worlds: Sequence[CompiledWorld], episodes: int, played: Playback, visited: Steps
) -> Evaluation:
    steps = joined(played.steps, visited)
    slots = model.bank.add(worlds)
    near, pictures = torch.cat(played.near), torch.cat(played.pictures)
    return Evaluation(
        worlds=len(worlds),
        episodes=len(worlds) * episodes,
        horizons=played.horizons,
        place=share(near[:, 1]),
        place_open=share(torch.cat(played.near_open)[:, 1]),
        step_agreement=steps.exact.float().mean().item(),
        mover_agreement=steps.mover_share,
        action_agreement=share(torch.cat(played.forks)) if played.forks else None,
        events=steps.events(),
        events_in_play=_in_play(played),
        sounds=_sounds(steps),
        coins_regrown=played.steps.regrown + visited.regrown,
        by_mechanic=by_mechanic(worlds, slots, steps, near, pictures),
        by_world=by_world(worlds, slots, steps, near, pictures),
        session_bytes=session_bytes(model.spawn(worlds[:1], [0])),
    )


def _in_play(played: Playback) -> dict[str, EventScore]:
    mine, theirs = torch.stack(played.mine), torch.stack(played.theirs)  # (T, B, EVENTS)
    right, found = within(mine, theirs, EVENT_TOLERANCE), within(theirs, mine, EVENT_TOLERANCE)
    return {
        event.name.lower(): EventScore(
            # the fewer of both, so that a doubled or a missed event counts against it
            min(int(right[..., event].sum()), int(found[..., event].sum())),
            int(mine[..., event].sum()),
            int(theirs[..., event].sum()),
        )
        for event in Event
    }


def _sounds(steps: Joined) -> Sounds:
    silent = [event for event in Event if event != Event.SPEECH]
    mine, theirs = steps.mine[:, silent], steps.theirs[:, silent]
    mine_speaks, theirs_speaks = steps.my_clip >= 0, steps.their_clip >= 0
    right = mine_speaks & (steps.my_clip == steps.their_clip)
    return Sounds(
        voices=EventScore(int(right.sum()), int(mine_speaks.sum()), int(theirs_speaks.sum())),
        effects=EventScore.of(mine, theirs),
        same_steps=share((mine == theirs).all(1) & (steps.my_clip == steps.their_clip)),
    )
