"""From an archive to recordings: what happened for the first time, what was placed, and every scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bots.archive import Archive, Moment, Origin
from bots.cells import Mark, host
from bots.cover import SceneCover
from bots.dice import key_of
from bots.exploration import Budget, Happening, Sight
from bots.players import Idle, Mixture
from bots.recording import Playthrough
from bots.rollout import play
from bots.view import RADIUS
from worldmodel.compiled import CompiledWorld, Placed
from worldmodel.constants import FPS, MAP_WIDTH, SAMPLES_PER_STEP, Event
from worldmodel.protocol import State, WorldModel, concatenate

AFTER = {Event.LEVER: 60, Event.DOOR: 30, Event.PORTAL: 20, Event.DIED: 20}
"""Steps that a recording runs on after an event, so that what came of it is on it."""
AFTER_OTHER = 10
AFTER_SIGHT = FPS
LONGEST_VOICE = 30 * FPS
"""Steps for which a recording runs on at most to hear a voice out."""
_OWN_RECORDING = {Event.LEVER, Event.DOOR, Event.SPEECH, Event.PORTAL}


@dataclass(frozen=True)
class _Scene:
    """A moment to record, and how long to stay there."""

    moment: Moment
    state: State
    stay: int
    taken: int
    """Steps of the path to the moment."""


@dataclass(frozen=True)
class Evidence:
    """The search arm's recordings and what they show."""

    playthroughs: tuple[Playthrough, ...]
    happenings: tuple[Happening, ...]
    sights: tuple[Sight, ...]
    scenes: tuple[int, int]
    """Shown, reached."""


def gather(
    model: WorldModel, world: CompiledWorld, archive: Archive, budget: Budget, replayed: list[Playthrough]
) -> Evidence:
    """Choose what to record of a search that has ended. ``replayed`` (a remix's parents', and what
    seekers found) are all kept."""
    found = {code: _mark_scene(world, archive, code) for code in sorted(archive.marks)}
    near = [(placed, *_nearest(archive, placed)) for placed in world.placed]
    own = {code: scene for code, scene in found.items() if Mark.of(code).event in _OWN_RECORDING}
    seen = {i: scene for i, (_, scene, _) in enumerate(near) if scene is not None}
    ends = _stay(model, archive, budget, [*own.values(), *seen.values()])
    of_mark = dict(zip(own, ends, strict=False))
    of_sight = dict(zip(seen, ends[len(own) :], strict=True))
    rest = {code: scene for code, scene in found.items() if code not in own}
    uncovered = {c: s for c, s in rest.items() if _holder(archive, ends, s.moment) is None}
    more = _stay(model, archive, budget, list(uncovered.values()))
    of_mark |= dict(zip(uncovered, more, strict=True))
    for code in rest.keys() - uncovered.keys():
        of_mark[code] = _holder(archive, ends, rest[code].moment) or rest[code].moment
    cover = SceneCover(archive.tree, budget.evidence_steps / max(budget.evidence_playthroughs, 1))
    chosen = _covering(archive, cover, budget, [*ends, *more])
    paths = _without_beginnings(
        {moment: _playthrough(model, world, archive, moment) for moment in chosen}, replayed
    )
    happenings = tuple(
        Happening(Mark.of(c).event.name.lower(), Mark.of(c).link, paths[m].id, found[c].taken - 1)
        for c, m in sorted(of_mark.items())
    )
    sights = tuple(
        Sight(p.index, p.kind, distance, paths[of_sight[i]].id if i in of_sight else None)
        for i, (p, _, distance) in enumerate(near)
    )
    unique = {p.id: p for p in [*replayed, *paths.values()]}
    return Evidence(tuple(unique.values()), happenings, sights, (cover.shown, cover.total))


def _mark_scene(world: CompiledWorld, archive: Archive, code: int) -> _Scene:
    mark, (moment, _) = Mark.of(code), archive.marks[code]
    stay = AFTER.get(mark.event, AFTER_OTHER)
    if mark.event == Event.SPEECH and 0 < mark.link <= len(world.clips):
        stay = min(len(world.clips[mark.link - 1].samples) // SAMPLES_PER_STEP + FPS, LONGEST_VOICE)
    return _Scene(moment, archive.mark_states[code], stay, archive.tree.length(moment))


def _nearest(archive: Archive, placed: Placed) -> tuple[_Scene | None, int]:
    """The best moment to see an object from, None when none has it on the screen; and its distance in tiles.

    The best is a short path to somewhere near the object's middle where the player stands rather than flies.
    """
    entries = archive.entries
    if archive.states is None:
        return None, -1
    x0, y0, x1, y1 = placed.box
    x, y = entries.tile % MAP_WIDTH, entries.tile // MAP_WIDTH
    gap = np.maximum(np.maximum(x0 - x, x - x1 + 1), np.maximum(y0 - y, y - y1 + 1)).clip(min=0)
    if not len(gap) or gap.min() > RADIUS:
        return None, -1
    middle = np.maximum(np.abs(x - (x0 + x1 - 1) / 2), np.abs(y - (y0 + y1 - 1) / 2))
    flying = host(archive.states.velocity[:, 1].long()) != 0
    cost = entries.cost + 20 * middle + 60 * flying + 1e6 * (middle > RADIUS - 1) + 1e7 * entries.ended
    best = int(cost.argmin())
    moment = Moment(int(entries.segment[best]), int(entries.offset[best]))
    state = archive.states[best : best + 1]
    return _Scene(moment, state, AFTER_SIGHT, int(entries.steps[best])), int(gap.min())


def _stay(model: WorldModel, archive: Archive, budget: Budget, scenes: list[_Scene]) -> list[Moment]:
    """Wait at each scene for as long as it says; the moments at the ends."""
    ends: list[Moment] = []
    for first in range(0, len(scenes), budget.batch):
        part = scenes[first : first + budget.batch]
        rows = [part[i % len(part)] for i in range(budget.batch)]
        keys = torch.full((len(rows),), key_of(0), device=model.device)
        idle = Mixture.of([Idle()], torch.zeros(len(rows), dtype=torch.int64, device=model.device))
        played = play(model, concatenate([r.state for r in rows]), idle, keys, max(r.stay for r in part))
        alive = host(played.alive.long()).sum(0)
        keep = np.array([min(r.stay, int(alive[i])) if i < len(part) else 0 for i, r in enumerate(rows)])
        numbers = archive.go_on(played, _origin(archive, rows), keep)
        ends += [
            Moment(int(number), int(kept)) if kept else scene.moment
            for scene, number, kept in zip(part, numbers, keep, strict=False)
        ]
    return ends


def _origin(archive: Archive, rows: list[_Scene]) -> Origin:
    segments = [archive.tree.segments[row.moment.segment] for row in rows]
    return Origin(
        moments=[row.moment for row in rows],
        seeds=[s.seed for s in segments],
        spawns=[s.spawn for s in segments],
        starts=np.array([row.taken for row in rows], np.int64),
        players=["idle/1"] * len(rows),
    )


def _holder(archive: Archive, ends: list[Moment], moment: Moment) -> Moment | None:
    """The first of the paths to ``ends`` that passes through a moment."""
    for end in ends:
        number, count = end.segment, end.offset
        while number >= 0:
            if number == moment.segment and count >= moment.offset:
                return end
            number, count = archive.tree.segments[number].parent, archive.tree.segments[number].at
    return None


def _covering(archive: Archive, cover: SceneCover, budget: Budget, chosen: list[Moment]) -> list[Moment]:
    """``chosen`` and, within the budget, paths that show the scenes which those leave out."""
    moments = list(dict.fromkeys(chosen))
    for moment in moments:
        cover.show(moment)
    steps = 0
    for _ in range(budget.evidence_playthroughs):
        best = cover.next(min(budget.evidence_steps - steps, budget.path_steps + budget.round_steps))
        if best is None:
            break
        cover.show(best)
        moments.append(best)
        steps += len(archive.tree.path(best).actions)
    return moments


def _without_beginnings(
    paths: dict[Moment, Playthrough], replayed: list[Playthrough]
) -> dict[Moment, Playthrough]:
    """The same, with each recording that is only the beginning of another replaced by that one."""
    kept: list[Playthrough] = []
    result = {}
    by_length = sorted(paths.items(), key=lambda item: -len(item[1].actions))
    for moment, path in by_length:
        whole = next((p for p in [*replayed, *kept] if _begins(p, path)), None)
        if whole is None:
            kept.append(path)
        result[moment] = whole or path
    return {moment: result[moment] for moment in paths}


def _begins(whole: Playthrough, part: Playthrough) -> bool:
    same = (whole.seed, whole.spawn) == (part.seed, part.spawn)
    return same and np.array_equal(whole.actions[: len(part.actions)], part.actions)


def _playthrough(model: WorldModel, world: CompiledWorld, archive: Archive, moment: Moment) -> Playthrough:
    path = archive.tree.path(moment)
    return Playthrough(
        world=world.key,
        model=model.card.sha256,
        arm="search",
        player=path.player,
        seed=path.seed,
        spawn=path.spawn,
        actions=path.actions,
        events=path.events,
        clips=path.clips,
    )
