"""The cascade of detectors: what is looked at, how often, and what a look counts for.

Uploaded media is looked at whole, at full resolution. Play is looked at in pieces: flashing on every frame;
pictures and writing on frames that look new, for all frames that look like them; sound where a clip is
heard in a new situation. What was seen or heard once is a finding in every playthrough that shows it, so
that counts of playthroughs stay true. A detector that fails leaves a failed :class:`DetectorRun`.

Nothing here touches the store: :mod:`moderation.pipeline` keeps what these functions give.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from moderation import listening, novelty, reading
from moderation.detectors.base import Detection, Detector, DetectorCard, Motion, Picture, Sound, Text
from moderation.listening import Heard, Situation
from moderation.store import DistinctFrame
from policies.types import DetectorRun, Finding, Source
from worldmodel.constants import FPS, FRAME, SAMPLE_RATE, SAMPLES_PER_STEP

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld
    from worldmodel.package import WorldPackage

KEEP = 0.05
"""Scores below this are noise and are not stored."""
LOOKS = 400
"""Views of one exploration that the picture detectors see, spread over all that there is to see."""
STAND_IN = 96
"""Bits of 480: a distinct frame over the budget counts as the most similar one within this distance."""
CUT = 0.6
"""Weight of words read where the frame's edge cuts the writing: "mind the gap" was once read as a slur.
Views overlap so that a board which players can walk past is seen whole as well."""
EDGE = 2
"""Pixels."""
BATCH = 16
VIDEO_LOOKS = 2
"""Frames per second of an uploaded video that the picture detectors see."""

log = logging.getLogger(__name__)
Item = TypeVar("Item", Picture, Motion, Sound, Text)


@dataclass(frozen=True)
class Detectors:
    """One of each kind, and any number that look at pictures."""

    pictures: tuple[Detector[Picture], ...]
    reader: Detector[Picture]
    motion: Detector[Motion]
    speech: Detector[Sound]
    words: Detector[Text]

    @property
    def cards(self) -> tuple[DetectorCard, ...]:
        rest = (self.reader.card, self.motion.card, self.speech.card, self.words.card)
        return tuple(detector.card for detector in self.pictures) + rest

    def load(self) -> None:
        """Load all weights. Raises ``moderation.models.ModelMissing`` naming what to fetch."""
        for picture in (*self.pictures, self.reader):
            picture.ensure_loaded()
        self.motion.ensure_loaded()
        self.speech.ensure_loaded()
        self.words.ensure_loaded()


def load_detectors() -> Detectors:
    """The detectors of a review; their weights are loaded when they are first used."""
    from moderation.detectors.flash import Flash
    from moderation.detectors.nudity import NsfwJs, OpenNsfw
    from moderation.detectors.ocr import Ocr
    from moderation.detectors.speech import Speech
    from moderation.detectors.text import TextRules

    return Detectors((OpenNsfw(), NsfwJs()), Ocr(), Flash(), Speech(), TextRules())


@dataclass
class Report:
    """What a scan gave."""

    findings: list[Finding] = field(default_factory=list)
    runs: list[DetectorRun] = field(default_factory=list)


def look(
    detector: Detector[Item], items: Sequence[Item], source: Source
) -> tuple[list[list[Detection]], DetectorRun]:
    """What a detector finds in each item; where it fails, nothing and a run that says so."""
    card = detector.card
    try:
        found = detector(items) if items else []
    except Exception as error:
        log.exception("detector %s failed", card.name)
        told = f"{type(error).__name__}: {error}"
        return [[] for _ in items], DetectorRun(card.name, card.version, source, len(items), False, told)
    kept = [[d for d in one if d.score >= KEEP] for one in found]
    return kept, DetectorRun(card.name, card.version, source, len(items), ok=True)


def finding(
    card: DetectorCard,
    seen: Detection,
    source: Source,
    *,
    playthrough: str | None = None,
    media: str | None = None,
) -> Finding:
    """A detection with its place, named by its content."""
    fields = {
        "detector": card.name,
        "version": card.version,
        "label": seen.label,
        "score": round(float(min(1.0, seen.score)), 6),
        "source": source,
        "start": round(float(seen.start), 4),
        "end": round(float(max(seen.start, seen.end)), 4),
        "playthrough": playthrough,
        "media": media,
        "box": None if seen.box is None else tuple(map(int, seen.box)),
        "text": seen.text,
    }
    name = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]
    return Finding(id=name, **fields)  # type: ignore[arg-type]


# -- uploaded media -----------------------------------------------------------------------------------


def scan_media(package: WorldPackage, detectors: Detectors) -> Report:
    """Look at all that a creator uploaded or wrote, whole."""
    report = Report()
    said = _written(package)
    pictures = _pictures(package)
    for detector in detectors.pictures:
        _note(report, detector, pictures)
    for name, found in _note(report, detectors.reader, pictures):
        said.extend((name, Text(line, *_span(found))) for line in _phrases(found))
    motions = [(name, Motion(video, FPS)) for name, video in package.videos.items()]
    _note(report, detectors.motion, _fielded(package, motions))
    sounds = [(name, Sound(samples, SAMPLE_RATE)) for name, samples in package.sounds.items()]
    for name, found in _note(report, detectors.speech, _fielded(package, sounds)):
        said.extend((name, text) for text in _spoken(found))
    _note(report, detectors.words, said)
    return report


def _note(
    report: Report, detector: Detector[Item], items: Sequence[tuple[str, Item]]
) -> list[tuple[str, list[Detection]]]:
    found, run = look(detector, [item for _, item in items], Source.MEDIA)
    report.runs.append(run)
    placed = [(name, one) for (name, _), one in zip(items, found, strict=True)]
    for name, one in placed:
        report.findings.extend(finding(detector.card, seen, Source.MEDIA, media=name) for seen in one)
    return placed


def _fielded(package: WorldPackage, items: Sequence[tuple[str, Item]]) -> list[tuple[str, Item]]:
    """Name media by the field that uses them, as a creator knows them: ``objects[1].image``."""
    fields: dict[str, str] = {}
    for use in package.spec.media:
        fields.setdefault(use.name, field_name(use.field))
    return [(fields.get(name, name), item) for name, item in items]


def field_name(path: Sequence[str | int]) -> str:
    """``("objects", 1, "image")`` to ``objects[1].image``."""
    named = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return named.lstrip(".")


def _pictures(package: WorldPackage) -> list[tuple[str, Picture]]:
    stills = [(name, Picture(ground)) for name, image in package.images.items() for ground in _grounds(image)]
    step = max(1, FPS // VIDEO_LOOKS)
    moving = [
        (name, Picture(video[index], index / FPS))
        for name, video in package.videos.items()
        for index in range(0, len(video), step)
    ]
    return _fielded(package, stills + moving)


def _grounds(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The picture on white, and where it is see-through also on black: either can hide writing."""
    alpha = image[..., 3:].astype(np.float32) / 255
    colours = (255, 0) if (alpha < 1).any() else (255,)
    return [(image[..., :3] * alpha + ground * (1 - alpha)).round().astype(np.uint8) for ground in colours]


def _written(package: WorldPackage) -> list[tuple[str, Text]]:
    spec = package.spec
    said = [("title", Text(spec.title)), ("prompt", Text(spec.prompt))]
    for index, thing in enumerate(spec.objects):
        for name in ("text", "name"):
            words = getattr(thing, name, None)
            if words:
                said.append((field_name(("objects", index, name)), Text(words)))
    return said


# -- play: one playthrough at a time ------------------------------------------------------------------


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
            self.gallery.add(frame.view)
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
        flashes, motion_run = look(self.detectors.motion, [Motion(frames, FPS)], Source.PLAYTHROUGH)
        heard, speech_run = self._listen(sound, situations_of(self._world, clips, events))
        card = self.detectors.motion.card
        found = tuple(finding(card, f, Source.PLAYTHROUGH, playthrough=playthrough) for f in flashes[0])
        return PlayLook(shown, tuple(fresh), heard, found, (motion_run, speech_run))

    def _see(
        self, ordinal: int, frames: NDArray[np.uint8], views: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], list[NewFrame]]:
        shown = np.zeros(len(frames), np.int32)
        fresh: list[NewFrame] = []
        for step, (frame, view) in enumerate(zip(frames, views.tolist(), strict=True)):
            known = len(self.gallery)
            shown[step] = self.gallery.add(view)
            if shown[step] == known:
                hash_ = novelty.difference_hash(frame).tobytes()
                fresh.append(NewFrame(DistinctFrame(known, ordinal, step, hash_, view), frame))
        return shown, fresh

    def _listen(
        self, sound: NDArray[np.float32], present: Sequence[Situation]
    ) -> tuple[dict[str, Heard], DetectorRun]:
        fresh = [situation for situation in present if listening.is_new(situation, self.heard)]
        items = [Sound(sound, SAMPLE_RATE)] if fresh else []
        found, run = look(self.detectors.speech, items, Source.PLAYTHROUGH)
        if not fresh or not run.ok:
            return {}, run
        shares = listening.assign(found[0], present)
        heard = {situation.key: shares[situation.key] for situation in fresh}
        self.heard.update(heard)
        return heard, run


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


# -- play: distinct frames ----------------------------------------------------------------------------

Seen = dict[str, list[Detection]]
"""Detections of one frame by detector."""


def choose_frames(frames: Sequence[DistinctFrame], budget: int = LOOKS) -> list[int]:
    """Ordinals of the distinct frames that are looked at, spread over all that there is to see."""
    return novelty.spread([frame.hash for frame in frames], budget)


def stand_ins(frames: Sequence[DistinctFrame], looked_at: Sequence[int]) -> dict[int, int]:
    """For each distinct frame the one that was looked at in its place: itself, or the most similar one.

    Frames that resemble none of those are left out: nothing is known of them.
    """
    if not looked_at:
        return {}
    table = np.frombuffer(b"".join(frame.hash for frame in frames), np.uint8).reshape(len(frames), -1)
    chosen = np.array(looked_at)
    found = {}
    for frame in frames:
        distances = np.bitwise_count(table[chosen] ^ table[frame.ordinal]).sum(axis=1)
        if distances.min() <= STAND_IN:
            found[frame.ordinal] = int(chosen[distances.argmin()])
    return found


def see(pixels: Sequence[NDArray[np.uint8]], detectors: Detectors) -> tuple[list[Seen], list[DetectorRun]]:
    """Show frames to every detector of pictures and to the reader."""
    pictures = [Picture(frame) for frame in pixels]
    seen: list[Seen] = [{} for _ in pictures]
    runs: list[DetectorRun] = []
    for detector in (*detectors.pictures, detectors.reader):
        found, run = look(detector, pictures, Source.PLAYTHROUGH)
        runs.append(run)
        for one, detections in zip(seen, found, strict=True):
            one[detector.card.name] = detections
    return seen, runs


# -- play: what it all comes to -----------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """What one playthrough showed and sounded like, by reference."""

    playthrough: str
    shown: NDArray[np.int32]
    """(T+1,) ordinals of distinct frames."""
    situations: tuple[Situation, ...]


@dataclass(frozen=True)
class _Stretch:
    """One reading on screen from one second to another."""

    start: float
    end: float
    text: str
    score: float
    box: tuple[int, int, int, int] | None
    cut: bool = False
    """The frame's edge goes through it, so that letters may be missing or misread."""


def conclude(
    plays: Sequence[Shown],
    seen: Mapping[int, Seen],
    stands_for: Mapping[int, int],
    heard: Mapping[str, Heard],
    detectors: Detectors,
) -> Report:
    """Findings of every playthrough from what was seen and heard once.

    ``stands_for`` maps the ordinal of each distinct frame that is known to the one that was looked at.
    """
    words = _Words(detectors.words)
    report = Report()
    for play in plays:
        report.findings.extend(_picture_findings(play, seen, stands_for, detectors))
        report.findings.extend(_reading_findings(play, seen, stands_for, detectors, words))
        report.findings.extend(_speech_findings(play, heard, detectors, words))
    report.findings = list({one.id: one for one in report.findings}.values())
    report.runs.append(words.run())
    return report


class _Words:
    """The text detector, asked once for each text."""

    def __init__(self, detector: Detector[Text]) -> None:
        self.card = detector.card
        self._detector = detector
        self._known: dict[str, list[Detection]] = {}
        self._failed: DetectorRun | None = None

    def __call__(self, text: str) -> list[Detection]:
        if text not in self._known:
            found, run = look(self._detector, [Text(text)], Source.PLAYTHROUGH)
            self._known[text] = found[0]
            self._failed = self._failed or (None if run.ok else run)
        return self._known[text]

    def run(self) -> DetectorRun:
        if self._failed is not None:
            return self._failed
        return DetectorRun(self.card.name, self.card.version, Source.PLAYTHROUGH, len(self._known), ok=True)


def _stretches(play: Shown, stands_for: Mapping[int, int]) -> list[tuple[int, float, float]]:
    """Looked-at frames of a playthrough: (ordinal, from, to) in seconds."""
    known = np.array([stands_for.get(int(ordinal), -1) for ordinal in play.shown], np.int32)
    return [(o, first / FPS, (last + 1) / FPS) for o, first, last in novelty.runs(known) if o >= 0]


def _picture_findings(
    play: Shown, seen: Mapping[int, Seen], stands_for: Mapping[int, int], detectors: Detectors
) -> Iterable[Finding]:
    for ordinal, start, end in _stretches(play, stands_for):
        for detector in detectors.pictures:
            for one in seen[ordinal].get(detector.card.name, []):
                placed = Detection(one.label, one.score, start, end, one.box, one.text)
                yield finding(detector.card, placed, Source.PLAYTHROUGH, playthrough=play.playthrough)


def _reading_findings(
    play: Shown,
    seen: Mapping[int, Seen],
    stands_for: Mapping[int, int],
    detectors: Detectors,
    words: _Words,
) -> Iterable[Finding]:
    reader = detectors.reader.card
    stretches = []
    for ordinal, start, end in _stretches(play, stands_for):
        found = seen[ordinal].get(reader.name, [])
        text = " ".join(reading.lines(found))
        if text:
            score, cut = max(d.score for d in found), any(_at_edge(d) for d in found)
            stretches.append(_Stretch(start, end, text, score, _union(found), cut))
    for one in _merged(_improved(stretches)):
        placed = Detection("text", one.score, one.start, one.end, one.box, one.text)
        yield finding(reader, placed, Source.PLAYTHROUGH, playthrough=play.playthrough)
        for said in words(one.text):
            score = said.score * (CUT if one.cut else 1)
            placed = Detection(said.label, score, one.start, one.end, one.box, one.text)
            yield finding(words.card, placed, Source.PLAYTHROUGH, playthrough=play.playthrough)


def _improved(stretches: Sequence[_Stretch]) -> list[_Stretch]:
    """Each with the best reading of the same writing in its neighbourhood, partial ones joined."""
    improved: list[_Stretch] = []
    for group in _neighbourhoods(stretches):
        texts = [(one.text, one.score) for one in group]
        joined = [
            (whole, (one.score + other.score) / 2)
            for one, other in pairwise(group)
            if (whole := reading.stitched(one.text, other.text)) is not None
        ]
        best = reading.best_readings(texts + joined)
        uncut = {one.text for one in group if not one.cut} | {text for text, _ in joined}
        for one in group:
            text = best[one.text]
            improved.append(replace(one, text=text, cut=text not in uncut))
    return improved


def _at_edge(found: Detection) -> bool:
    """Whether writing reaches the left or right edge of its frame."""
    return found.box is not None and (found.box[0] <= EDGE or found.box[2] >= FRAME - EDGE)


def _neighbourhoods(stretches: Sequence[_Stretch], gap: float = 1.0) -> list[list[_Stretch]]:
    groups: list[list[_Stretch]] = []
    for one in stretches:
        if groups and one.start - groups[-1][-1].end <= gap:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _merged(stretches: Sequence[_Stretch], gap: float = 0.5) -> list[_Stretch]:
    """Stretches of the same text that follow each other, as one with the best score."""
    merged: list[_Stretch] = []
    for one in stretches:
        last = merged[-1] if merged else None
        if last is not None and last.text == one.text and one.start - last.end <= gap:
            best = max((last, one), key=lambda s: s.score)
            merged[-1] = replace(best, start=last.start, end=one.end)
        else:
            merged.append(one)
    return merged


def _speech_findings(
    play: Shown, heard: Mapping[str, Heard], detectors: Detectors, words: _Words
) -> Iterable[Finding]:
    found = [
        listening.shifted(detection, situation.start / FPS)
        for situation in play.situations
        if situation.key in heard
        for detection in heard[situation.key].detections
        if detection.start < situation.steps / FPS
    ]
    for one in found:
        yield finding(detectors.speech.card, one, Source.PLAYTHROUGH, playthrough=play.playthrough)
    for text in _spoken(sorted(found, key=lambda d: (d.start, d.end))):
        for said in words(text.text):
            placed = Detection(said.label, said.score, text.start, text.end, None, text.text)
            yield finding(words.card, placed, Source.PLAYTHROUGH, playthrough=play.playthrough)


def _spoken(found: Sequence[Detection], gap: float = 2.0) -> list[Text]:
    """Each utterance, and utterances close to each other as one, since a sentence may span a breath."""
    said = [Text(d.text, d.start, d.end) for d in found if d.text]
    joined: list[Text] = []
    for one in said:
        if joined and one.start - joined[-1].end <= gap:
            joined[-1] = Text(f"{joined[-1].text} {one.text}", joined[-1].start, one.end)
        else:
            joined.append(one)
    return list(dict.fromkeys([*said, *joined]))


def _phrases(found: Sequence[Detection]) -> list[str]:
    """Each line of a picture, and all of it together."""
    rows = reading.lines(found)
    return list(dict.fromkeys([*rows, " ".join(rows)])) if rows else []


def _span(found: Sequence[Detection]) -> tuple[float, float]:
    return min(d.start for d in found), max(d.end for d in found)


def _union(found: Sequence[Detection]) -> tuple[int, int, int, int] | None:
    boxes = [d.box for d in found if d.box]
    if not boxes:
        return None
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


# -- as JSON, between the pieces of an interrupted scan -----------------------------------------------


def detection_json(found: Detection) -> dict[str, Any]:
    """Without what is not set, and with plain numbers."""
    kept = {name: value for name, value in asdict(found).items() if value is not None}
    return kept | {"score": float(found.score), "start": float(found.start), "end": float(found.end)}


def detection_from(data: Mapping[str, Any]) -> Detection:
    """The reverse of :func:`detection_json`."""
    box = data.get("box")
    return Detection(**{**data, "box": None if box is None else tuple(box)})


def heard_json(heard: Mapping[str, Heard]) -> dict[str, Any]:
    """What was heard, by situation."""
    return {
        key: {"steps": one.steps, "detections": [detection_json(d) for d in one.detections]}
        for key, one in heard.items()
    }


def heard_from(data: Mapping[str, Any]) -> dict[str, Heard]:
    """The reverse of :func:`heard_json`."""
    return {
        key: Heard(one["steps"], tuple(map(detection_from, one["detections"]))) for key, one in data.items()
    }


def seen_json(seen: Seen) -> dict[str, Any]:
    """What was seen in one frame, by detector."""
    return {name: [detection_json(d) for d in found] for name, found in seen.items()}


def seen_from(data: Mapping[str, Any]) -> Seen:
    """The reverse of :func:`seen_json`."""
    return {name: list(map(detection_from, found)) for name, found in data.items()}
