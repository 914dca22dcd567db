"""What a person needs to see to believe a decision: for each rule that fired, a clip and frames of it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moderation.store import Evidence, ExplorationRow, Store
from policies.types import Decision, Finding, Fired
from worldmodel.constants import FPS, UNITS

if TYPE_CHECKING:
    from bots.recording import Playthrough, Recording
    from worldmodel.compiled import CompiledWorld
    from worldmodel.protocol import WorldModel

MARGIN = 1.5
"""Seconds before and after what was found."""
LONGEST = 8.0
"""Seconds of a clip."""
STRIP = 6
"""Frames of a strip."""


def gather(
    store: Store,
    model: WorldModel,
    row: ExplorationRow,
    decision: Decision,
    progress: Callable[[float, float, str], None],
) -> list[Evidence]:
    """Evidence for every rule that fired; its clips and strips are blobs of the store when this returns.

    Every clip comes from playing the playthrough again; ``reproduced`` says whether it was bit-identical
    to what was scanned.
    """
    from bots.recorder import regenerate

    findings = {one.id: one for one in store.findings(row.version, row.id)}
    world = store.compile_version(row.version)
    scanned = {one.playthrough.id: one.playthrough for one in store.playthroughs(row.id)}
    recordings: dict[str, Recording] = {}
    made: list[Evidence] = []
    for number, fired in enumerate(decision.fired):
        progress(number, len(decision.fired), "clips")
        best = _best(fired, findings)
        if best is None:
            continue
        if best.playthrough is None:
            made.append(_of_medium(fired, best))
            continue
        if best.playthrough not in recordings:
            recordings[best.playthrough] = regenerate(model, world, scanned[best.playthrough])
        recording = recordings[best.playthrough]
        same = recording.playthrough.frames_sha256 == scanned[best.playthrough].frames_sha256
        one = _of_play(store, fired, best, recording, reproduced=same)
        made.append(replace(one, route=route(model, world, recording.playthrough, one.end)))
    return made


def route(
    model: WorldModel, world: CompiledWorld, play: Playthrough, end: float
) -> tuple[tuple[float, float], ...]:
    """Where the player goes in the first ``end`` seconds: at most about 200 points x, y in tiles."""
    import torch

    state = model.spawn([world], [play.seed], [play.spawn])
    places = [state.position[0].tolist()]
    for action in play.actions[: int(end * FPS) + 1].tolist():
        state, _ = model.step(state, torch.tensor([action], device=model.device), render=False)
        places.append(state.position[0].tolist())
    thinned = places[:: max(1, len(places) // 200)]
    return tuple((round(x / UNITS, 2), round(y / UNITS, 2)) for x, y in thinned)


def of_media(decision: Decision, found: Sequence[Finding]) -> list[Evidence]:
    """Evidence where nothing was played: which medium or text it was."""
    findings = {one.id: one for one in found}
    pairs = [(fired, _best(fired, findings)) for fired in decision.fired]
    return [_of_medium(fired, best) for fired, best in pairs if best is not None]


def _best(fired: Fired, findings: dict[str, Finding]) -> Finding | None:
    """Of the strongest findings the one that shows most: played, with most of the words, for longest."""
    known = [findings[name] for name in fired.findings if name in findings]
    playable = [one for one in known if one.playthrough is not None]
    return max(playable or known, key=_shows, default=None)


def _shows(one: Finding) -> tuple[float, int, float, str]:
    return round(one.score, 1), len(set((one.text or "").split())), one.end - one.start, one.id


def of_moment(
    store: Store,
    rule: str,
    found: Finding,
    recording: Recording,
    *,
    frames: tuple[tuple[float, str], ...],
    route: tuple[tuple[float, float], ...],
    reproduced: bool,
) -> Evidence:
    """Evidence of something in a recording, with a clip around it; ``frames`` are seconds and blobs."""
    first, last = span(found, len(recording.frames))
    start, end = first / FPS, (last - 1) / FPS
    return Evidence(
        rule=rule,
        finding=found.id,
        playthrough=found.playthrough,
        start=start,
        end=end,
        clip=store.blobs.put(_clip(recording, start, end)),
        frames=frames,
        caption=caption(found),
        reproduced=reproduced,
        route=route,
    )


def clip_of(model: WorldModel, world: CompiledWorld, play: Playthrough, at: float) -> bytes:
    """A clip (MP4) around second ``at`` of a playthrough, which is played again up to there.

    It begins at :func:`clip_start`. Raises ``bots.recorder.WrongWorld``.
    """
    from bots.recorder import regenerate

    steps = min(len(play.actions), int((at + MARGIN) * FPS) + 1)
    parts = {name: getattr(play, name)[:steps] for name in ("actions", "events", "clips")}
    recording = regenerate(model, world, replace(play, **parts))
    return _clip(recording, min(clip_start(at), max(0, steps - 1) / FPS), steps / FPS)


def clip_start(at: float) -> float:
    """At which second a clip around second ``at`` begins."""
    return max(0, int((at - MARGIN) * FPS)) / FPS


def _of_medium(fired: Fired, best: Finding) -> Evidence:
    return Evidence(fired.rule, best.id, None, best.start, best.end, None, (), caption(best), True)


def _of_play(
    store: Store, fired: Fired, best: Finding, recording: Recording, *, reproduced: bool
) -> Evidence:
    first, last = span(best, len(recording.frames))
    shown = moments(best, first, last)
    frames = tuple((step / FPS, store.blobs.put(png(recording.frames[step]))) for step in shown)
    return of_moment(store, fired.rule, best, recording, frames=frames, route=(), reproduced=reproduced)


def caption(found: Finding) -> str:
    """What was found, in a few words."""
    what = f"{found.label} {found.score:.2f} ({found.detector})"
    where = f"in {found.media}" if found.media else f"at {found.start:.1f} s"
    return f"{what} {where}" + (f": {found.text}" if found.text else "")


def span(found: Finding, frames: int) -> tuple[int, int]:
    """First and one past the last frame of a clip around a finding; at least two frames where there are."""
    first = min(max(0, int((found.start - MARGIN) * FPS)), max(0, frames - 2))
    last = min(frames, int((found.end + MARGIN) * FPS) + 1, first + int(LONGEST * FPS))
    return first, max(last, min(first + 2, frames))


def moments(found: Finding, first: int, last: int) -> list[int]:
    """Frames of a clip, spread over the time of the finding."""
    begin = min(max(first, int(found.start * FPS)), last - 1)
    end = min(max(begin + 1, int(found.end * FPS)), last)
    return sorted({int(step) for step in np.linspace(begin, end - 1, STRIP).round()})


def _clip(recording: Recording, start: float, end: float) -> bytes:
    from bots.clips import write_clip

    with tempfile.TemporaryDirectory(prefix="firstplay-") as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(recording, path, start, end)
        return path.read_bytes()


def png(frame: NDArray[np.uint8]) -> bytes:
    """A frame (H, W, 3) RGB as a file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()
