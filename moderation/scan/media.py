"""What a creator uploaded and wrote, looked at whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moderation import reading
from moderation.detectors.base import Design, Detection, Detector, Motion, Picture, Sound, Text
from moderation.scan.detectors import Detectors
from moderation.scan.looking import MAYBE, Item, Report, finding, look, misheard, spoken
from policies.types import Source
from worldmodel.constants import FPS, SAMPLE_RATE

if TYPE_CHECKING:
    from worldmodel.package import WorldPackage

VIDEO_LOOKS = 2
"""Frames per second of an uploaded video that the picture detectors see."""


def scan_media(package: WorldPackage, detectors: Detectors) -> Report:
    """Everything that was submitted, to every detector that can look at it."""
    report = Report()
    said = _written(package)
    pictures = _pictures(package)
    for detector in (*detectors.pictures, *detectors.uploads):
        _note(report, detector, pictures)
    for name, found in _note(report, detectors.reader, pictures):
        said.extend((name, Text(text, *_span(found))) for text, _ in reading.sayings(found))
    motions = [(name, Motion(video, FPS)) for name, video in package.videos.items()]
    for watcher in detectors.motions:
        _note(report, watcher, _fielded(package, motions))
    sounds = _fielded(
        package, [(name, Sound(samples, SAMPLE_RATE)) for name, samples in package.sounds.items()]
    )
    doubted: list[tuple[str, Text]] = []
    for name, found in _note(report, detectors.speech, sounds):
        said.extend((name, text) for text in spoken(found))
        doubted.extend((name, text) for text in misheard(found))
    for listener in detectors.sounds:
        _note(report, listener, sounds)
    for words in detectors.words:
        _note(report, words, said)
        if doubted:
            _note(report, words, doubted, MAYBE)
    for judge in detectors.designs:
        _note(report, judge, [("world.yaml", Design(package.spec))])
    return report


def _note(
    report: Report, detector: Detector[Item], items: Sequence[tuple[str, Item]], weight: float = 1.0
) -> list[tuple[str, list[Detection]]]:
    found, run = look(detector, [item for _, item in items], Source.MEDIA)
    report.runs.append(run)
    placed = [(name, one) for (name, _), one in zip(items, found, strict=True)]
    for name, one in placed:
        weighed = (replace(seen, score=seen.score * weight) for seen in one)
        report.findings.extend(finding(detector.card, seen, Source.MEDIA, media=name) for seen in weighed)
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


def _span(found: Sequence[Detection]) -> tuple[float, float]:
    return min(d.start for d in found), max(d.end for d in found)
