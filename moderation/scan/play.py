"""Play, one playthrough at a time: flashing, loudness and speech at once, frames that look new for later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moderation import listening, novelty
from moderation.detectors.base import Detection, Motion, Sound
from moderation.listening import Heard, Situation
from moderation.scan.chance import audited_steps, listened_to
from moderation.scan.detectors import Detectors
from moderation.scan.looking import finding, look
from moderation.store import DistinctFrame
from policies.types import DetectorRun, Finding, Source
from worldmodel.constants import FPS, SAMPLE_RATE, SAMPLES_PER_STEP

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld


@dataclass(frozen=True)
class NewFrame:
    """A frame that nothing before it looked like."""

    row: DistinctFrame
    pixels: NDArray[np.uint8]
    """(H, W, 3) RGB."""


@dataclass(frozen=True)
class PlayLook:
    """What one playthrough adds."""

    shown: NDArray[np.int32]
    """(T+1,) ordinal of the distinct frame that stands for each frame."""
    new_frames: tuple[NewFrame, ...]
    heard: dict[str, Heard]
    """Of situations that were new."""
    findings: tuple[Finding, ...]
    runs: tuple[DetectorRun, ...]
    audited: tuple[int, ...]
    """Steps of frames that every detector is to look at, whatever they show."""
    overheard: tuple[Detection, ...] | None
    """All that was said, where the whole playthrough was listened to for the audit."""


class PlayScanner:
    """Looks at playthroughs in their order and remembers what is known."""

    def __init__(self, world: CompiledWorld, detectors: Detectors) -> None:
        self.detectors = detectors
        self.gallery = novelty.Gallery()
        self.heard: dict[str, Heard] = {}
        self._world = world

    def remember(self, frames: Iterable[DistinctFrame], heard: Iterable[Mapping[str, Heard]]) -> None:
        """Take in what an earlier, interrupted scan has found."""
        for frame in frames:
            self.gallery.add(frame.view, np.frombuffer(frame.hash, np.uint8))
        for one in heard:
            self.heard.update(one)

    def look(
        self,
        playthrough: str,
        ordinal: int,
        frames: NDArray[np.uint8],
        sound: NDArray[np.float32],
        clips: NDArray[np.int16],
        events: NDArray[np.bool_],
        views: NDArray[np.int64],
    ) -> PlayLook:
        """Frames (T+1, H, W, 3), sound (T * SAMPLES_PER_STEP,), clips (T,), events (T, EVENTS) and
        views (T+1,) of a playthrough.
        """
        shown, fresh = self._see(ordinal, frames, views)
        heard, said, speech_run = self._listen(sound, situations_of(self._world, clips, events))
        findings, runs = self._measure(playthrough, frames, sound)
        steps = audited_steps(playthrough, len(frames))
        overheard = self._overhear(sound, said) if listened_to(playthrough) else None
        return PlayLook(shown, tuple(fresh), heard, findings, (*runs, speech_run), tuple(steps), overheard)

    def _measure(
        self, playthrough: str, frames: NDArray[np.uint8], sound: NDArray[np.float32]
    ) -> tuple[tuple[Finding, ...], tuple[DetectorRun, ...]]:
        """What every frame and every sample is measured for."""
        watched, heard = [Motion(frames, FPS)], [Sound(sound, SAMPLE_RATE)]
        looks = [
            *((one.card, *look(one, watched, Source.PLAYTHROUGH)) for one in self.detectors.motions),
            *((one.card, *look(one, heard, Source.PLAYTHROUGH)) for one in self.detectors.sounds),
        ]
        findings = [
            finding(card, one, Source.PLAYTHROUGH, playthrough=playthrough)
            for card, found, _ in looks
            for one in found[0]
        ]
        return tuple(findings), tuple(run for _, _, run in looks)

    def _overhear(
        self, sound: NDArray[np.float32], said: Sequence[Detection] | None
    ) -> tuple[Detection, ...] | None:
        """All that is said: as heard just now where it was listened to, else from listening to it."""
        if said is not None:
            return tuple(said)
        found, run = look(self.detectors.speech, [Sound(sound, SAMPLE_RATE)], Source.PLAYTHROUGH)
        return tuple(found[0]) if run.ok else None

    def _see(
        self, ordinal: int, frames: NDArray[np.uint8], views: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], list[NewFrame]]:
        shown = np.zeros(len(frames), np.int32)
        fresh: list[NewFrame] = []
        for step, (frame, view) in enumerate(zip(frames, views.tolist(), strict=True)):
            known, hashed = len(self.gallery), novelty.difference_hash(frame)
            shown[step] = self.gallery.add(view, hashed)
            if shown[step] == known:
                fresh.append(NewFrame(DistinctFrame(known, ordinal, step, hashed.tobytes(), view), frame))
        return shown, fresh

    def _listen(
        self, sound: NDArray[np.float32], present: Sequence[Situation]
    ) -> tuple[dict[str, Heard], Sequence[Detection] | None, DetectorRun]:
        """What is new in it; and, where it was listened to for that, all that is said."""
        fresh = [situation for situation in present if listening.is_new(situation, self.heard)]
        items = [Sound(sound, SAMPLE_RATE)] if fresh else []
        found, run = look(self.detectors.speech, items, Source.PLAYTHROUGH)
        if not fresh or not run.ok:
            return {}, None, run
        shares = listening.assign(found[0], present)
        heard = {situation.key: shares[situation.key] for situation in fresh}
        self.heard.update(heard)
        return heard, found[0], run


def situations_of(
    world: CompiledWorld, clips: NDArray[np.int16], events: NDArray[np.bool_]
) -> list[Situation]:
    """What a playthrough with these (T,) clips and (T, EVENTS) events heard, and when."""
    voices, effects = len(world.clips), sorted(world.effect_clips)
    begun = listening.starts(clips, events, voices, effects)
    return listening.situations(begun, clip_steps(world), len(clips), voices)


def clip_steps(world: CompiledWorld) -> list[int]:
    """Lengths in steps, rounded up: a world's voices, then its creator's effects in the events' order."""
    effects = [clip for _, clip in sorted(world.effect_clips.items())]
    return [-(-len(clip.samples) // SAMPLES_PER_STEP) for clip in (*world.clips, *effects)]
