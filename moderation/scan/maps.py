"""A world's whole map, looked at once: what is larger than a frame, built of tiles, or far from any route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moderation import reading
from moderation.detectors.base import Detection, Picture
from moderation.scan.cascade import cheap
from moderation.scan.detectors import Detectors
from moderation.scan.looking import Report, Words, finding, look
from moderation.symbols.maps import painted_map, whole_map_pictures
from policies.types import Source

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld

MAP = "map"
"""What findings name as their medium."""


def scan_map(world: CompiledWorld, detectors: Detectors) -> Report:
    """Patterns of tiles and the painted map, to cheap detectors of pictures and to the reader."""
    report = Report()
    pictures = whole_map_pictures(world)
    for detector in cheap(detectors):
        found, run = look(detector, pictures, Source.MEDIA)
        report.runs.append(run)
        seen = [one for group in found for one in group]
        report.findings += [finding(detector.card, one, Source.MEDIA, media=MAP) for one in seen]
    _read(report, world, detectors)
    return report


def _read(report: Report, world: CompiledWorld, detectors: Detectors) -> None:
    parts = reading.map_parts(painted_map(world))
    found, run = look(detectors.reader, [Picture(p.pixels) for p in parts], Source.MEDIA)
    words = Words(detectors.words, Source.MEDIA)
    for group in reading.together(parts, found):
        score, box = max(one.score for one in group), reading.around(group)
        for number, (text, weight) in enumerate(reading.sayings(group)):
            if number == 0:
                read = Detection("text", score, 0.0, 0.0, box, text)
                report.findings.append(finding(detectors.reader.card, read, Source.MEDIA, media=MAP))
            for card, said in words(text):
                placed = Detection(said.label, said.score * weight, 0.0, 0.0, box, text)
                report.findings.append(finding(card, placed, Source.MEDIA, media=MAP))
    report.runs += [run, *words.runs()]
