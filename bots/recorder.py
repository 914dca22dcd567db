"""Seeing and hearing playthroughs again, bit for bit.

Floating point repeats only at one batch shape, so evidence is always regenerated in batches of
EVIDENCE_BATCH rows: playthroughs side by side for the dynamics, and moments of one playthrough side by side
for the frames. What is over is filled with copies.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from bots.clips import write_clip, write_lossless
from bots.recording import EVIDENCE_BATCH, Playthrough, Recording, Replay
from bots.rollout import column, padded_actions, prepend, replay
from bots.trace import FIELDS, TOLERANCE, Trace, first_difference, look_difference
from worldmodel.compiled import CompiledWorld
from worldmodel.crops import views
from worldmodel.daylight import darkness_at
from worldmodel.noise import mix as scramble
from worldmodel.protocol import State, WorldModel
from worldmodel.sound import mix

__all__ = [
    "Glimpse",
    "Recording",
    "Replay",
    "Resumed",
    "WrongWorld",
    "glimpses",
    "regenerate",
    "regenerate_many",
    "resume",
    "verify",
    "write_clip",
    "write_lossless",
]


_NOT_PLAY = ("world", "seed")
"""What names the world and the dice, and is no outcome: a world's slot differs from process to process."""


class WrongWorld(ValueError):
    """A playthrough of another world version or model than the one it is to be regenerated with."""


@dataclass(frozen=True)
class _Course:
    """What a playthrough came to, before it is drawn."""

    playthrough: Playthrough
    states: State
    """T+1 rows."""
    events: NDArray[np.bool_]
    clips: NDArray[np.int16]


def regenerate(model: WorldModel, world: CompiledWorld, playthrough: Playthrough) -> Recording:
    """Play it again from its spawn with frames and sound. Raises WrongWorld for another world or model."""
    return next(regenerate_many(model, world, [playthrough]))


def regenerate_many(
    model: WorldModel, world: CompiledWorld, playthroughs: Iterable[Playthrough]
) -> Iterator[Recording]:
    """Recordings one by one, in the order given.

    At any time the states of EVIDENCE_BATCH playthroughs and the frames of one are held.
    """
    waiting = iter(playthroughs)
    while group := list(islice(waiting, EVIDENCE_BATCH)):
        for course in _courses(model, world, group):
            yield _record(model, world, course)


@dataclass(frozen=True)
class Glimpse:
    """Some frames of a playthrough that was played again, the very ones of its recording."""

    playthrough: Playthrough
    """As regenerated, not hashed."""
    frames: NDArray[np.uint8]
    """(N, H, W, 3) RGB."""


def glimpses(
    model: WorldModel,
    world: CompiledWorld,
    playthroughs: Sequence[Playthrough],
    spans: Sequence[tuple[int, int]],
) -> Iterator[Glimpse]:
    """Play playthroughs again and draw only some frames of each: those from a first up to before an end."""
    for at in range(0, len(playthroughs), EVIDENCE_BATCH):
        group = slice(at, at + EVIDENCE_BATCH)
        courses = _courses(model, world, playthroughs[group])
        for course, (first, end) in zip(courses, spans[group], strict=True):
            begin = first - first % EVIDENCE_BATCH  # so that batches are those of the whole recording
            rows = torch.arange(begin, min(end, len(course.states)))
            frames = _frames(model, course.states[rows.to(course.states.world.device)])
            truth = replace(course.playthrough, events=course.events, clips=course.clips)
            yield Glimpse(truth, frames[first - begin :])


@dataclass(frozen=True)
class Resumed:
    """A playthrough at one of its moments, to be played on from there."""

    playthrough: Playthrough
    """Up to that moment, as regenerated."""
    state: State
    """One row."""


def resume(model: WorldModel, world: CompiledWorld, playthrough: Playthrough, steps: int) -> Resumed:
    """Carry out the first ``steps`` steps again, in the batch shape of evidence: the very state of its frame.

    Raises WrongWorld, ValueError for a moment that the playthrough does not have.
    """
    if not 0 <= steps <= len(playthrough.actions):
        raise ValueError(f"{playthrough.id} has {len(playthrough.actions)} steps, so none is {steps}")
    cut = replace(
        playthrough,
        actions=playthrough.actions[:steps],
        events=playthrough.events[:steps],
        clips=playthrough.clips[:steps],
        frames_sha256=None,
        sound_sha256=None,
        trace=None,
    )
    (course,) = _courses(model, world, [cut])
    return Resumed(replace(cut, events=course.events, clips=course.clips), course.states[[steps]].clone())


def verify(model: WorldModel, world: CompiledWorld, old: Playthrough) -> Replay:
    """Regenerate and compare with what was recorded; say where the two part, and by how much.

    Raises ValueError for a playthrough that was never recorded.
    """
    if old.frames_sha256 is None or old.sound_sha256 is None or old.trace is None:
        raise ValueError(f"playthrough {old.id} has no hashes to compare with: regenerate it first")
    new = regenerate(model, world, old)
    trace = new.playthrough.trace
    assert trace is not None
    parted = first_difference(old.trace.states, trace.states)
    if parted is not None:
        return Replay(False, parted, "the course of play differs")
    if new.first_difference is not None:
        return Replay(False, new.first_difference, "events or voices differ")
    if new.playthrough.sound_sha256 != old.sound_sha256:
        return Replay(False, None, "sound differs")
    if new.playthrough.frames_sha256 != old.frames_sha256:
        return _compare_frames(old.trace, trace)
    return Replay(True)


def _compare_frames(old: Trace, new: Trace) -> Replay:
    step, levels = first_difference(old.frames, new.frames), look_difference(old, new)
    close = levels <= TOLERANCE
    words = f"frames differ, by at most {levels} grey levels in any field"
    return Replay(False, step, words, within_tolerance=close)


def _courses(model: WorldModel, world: CompiledWorld, group: Sequence[Playthrough]) -> Iterator[_Course]:
    for playthrough in group:
        _check(model, world, playthrough)
    rows = [group[i % len(group)] for i in range(EVIDENCE_BATCH)]
    start = model.spawn([world] * len(rows), [p.seed for p in rows], [p.spawn for p in rows])
    if not any(len(p.actions) for p in group):
        rows = [replace(p, actions=np.zeros(1, np.uint8)) for p in rows]
    played = replay(model, start, padded_actions(rows).to(model.device))
    states = prepend(start, played.states)
    for row, playthrough in enumerate(group):
        steps = len(playthrough.actions)
        yield _Course(
            playthrough=playthrough,
            states=column(states, row, steps + 1),
            events=played.events[:steps, row].cpu().numpy(),
            clips=played.clips[:steps, row].cpu().numpy().astype(np.int16),
        )


def _check(model: WorldModel, world: CompiledWorld, playthrough: Playthrough) -> None:
    if playthrough.world != world.key:
        raise WrongWorld(
            f"playthrough {playthrough.id} is of world {playthrough.world[:12]}, not of {world.key[:12]} "
            f"({world.title}): compile the version that it names"
        )
    if playthrough.model != model.card.sha256:
        raise WrongWorld(
            f"playthrough {playthrough.id} was played on model {playthrough.model[:12]}, not on "
            f"{model.card.name} {model.card.version} ({model.card.sha256[:12]}): load the model that it names"
        )


def _record(model: WorldModel, world: CompiledWorld, course: _Course) -> Recording:
    frames = _frames(model, course.states)
    sound = mix(world, course.events, course.clips)
    old = course.playthrough
    truth = replace(
        old,
        events=course.events,
        clips=course.clips,
        frames_sha256=_hash_frames(frames),
        sound_sha256=hashlib.sha256(sound.tobytes()).hexdigest(),
        trace=_trace(course.states, frames),
    )
    different = (old.events != course.events).any(1) | (old.clips != course.clips)
    return Recording(
        playthrough=truth,
        frames=frames,
        sound=sound,
        views=views(course.states, _dark(model, course.states)).cpu().numpy(),
        first_difference=int(different.argmax()) if different.any() else None,
    )


def _dark(model: WorldModel, states: State) -> torch.Tensor:
    """(T+1,) levels of darkness along one playthrough."""
    mechanics = model.world(int(states.world[0])).mechanics
    own, length = (torch.full_like(states.step, n) for n in (mechanics.darkness, mechanics.day_length))
    return darkness_at(own, length, states.step)


def _frames(model: WorldModel, states: State) -> NDArray[np.uint8]:
    """(T+1, H, W, 3) RGB, drawn EVIDENCE_BATCH moments at a time."""
    count = len(states)
    drawn = []
    for first in range(0, count, EVIDENCE_BATCH):
        rows = torch.arange(first, first + EVIDENCE_BATCH).clamp(max=count - 1)
        frames = model.render(states[rows.to(states.world.device)])
        drawn.append(frames[: count - first].permute(0, 2, 3, 1).cpu())
    return np.ascontiguousarray(torch.cat(drawn).numpy())


def _hash_frames(frames: NDArray[np.uint8]) -> str:
    """SHA-256 over the frames as (3, H, W) each, the layout that a model gives them in."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(frame.transpose(2, 0, 1).tobytes())
    return digest.hexdigest()


def _trace(states: State, frames: NDArray[np.uint8]) -> Trace:
    """Of T+1 moments of one playthrough and their (T+1, H, W, 3) frames."""
    marks = np.array([zlib.crc32(frame.tobytes()) for frame in frames], np.uint32)
    count, height, width, _ = frames.shape
    cut = frames.reshape(count, FIELDS, height // FIELDS, FIELDS, width // FIELDS, 3)
    looks = cut.mean(axis=(2, 4, 5)).round().astype(np.uint8).reshape(count, -1)
    return Trace(_state_hashes(states), marks, looks)


def _state_hashes(states: State) -> NDArray[np.uint32]:
    total = torch.zeros(len(states), dtype=torch.int64, device=states.world.device)
    for number, field in enumerate(fields(State)):
        if field.name in _NOT_PLAY:
            continue
        values = getattr(states, field.name).reshape(len(states), -1).long()
        keys = scramble(torch.arange(values.shape[1], device=values.device) + (number << 32))
        total += scramble(values * 2 + 1 + keys).sum(1)
    return (scramble(total) & 0xFFFFFFFF).cpu().numpy().astype(np.uint32)
