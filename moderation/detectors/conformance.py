"""What every detector promises, as a test that any package can run on its own::

    from moderation.detectors.base import Picture
    from moderation.detectors.conformance import check

    def test_my_detector_conforms():
        check(MyDetector(), [Picture(first), Picture(second), Picture(third)])

Give at least two items that differ, one of them with something to detect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from threading import Barrier
from typing import Any, TypeAlias

from moderation.detectors.base import (
    MODALITIES,
    Detection,
    Detector,
    DetectorCard,
    Motion,
    Picture,
    Sound,
    Text,
)

TOLERANCE = 1e-4
"""Of scores and seconds between runs: batches of other sizes round otherwise."""
BOX_TOLERANCE = 1
"""Pixels."""
ITEMS = 2

Found: TypeAlias = Sequence[Sequence[Detection]]


class NotConforming(AssertionError):
    """A detector breaks promises; the message lists each."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        super().__init__(f"{name} breaks {len(problems)} promises:\n" + "\n".join(f"- {p}" for p in problems))
        self.problems = tuple(problems)


def check(detector: Detector[Any], items: Sequence[Any], tolerance: float = TOLERANCE) -> None:
    """Load, run, unload and load the detector again, and look at what it says.

    Promised are: a complete card; one list of detections per item, in order, none for no item; labels that
    the card declares, scores within 0..1, times within the item and boxes inside the picture; the same
    again, one by one, and from two threads at once in either order; the weights let go on ``unload``, and
    ``ModelMissing`` where they are not there.

    Raises:
        NotConforming: listing every promise that is broken.
        ValueError: fewer than two items, or items of another kind than the card's modality.
    """
    kinds = {MODALITIES.get(type(item)) for item in items}
    if len(items) < ITEMS or kinds != {detector.card.modality}:
        raise ValueError(f"give at least {ITEMS} items of the detector's modality, {detector.card.modality}")
    problems = [*_card_problems(detector.card), *_run_problems(detector, items, tolerance)]
    if problems:
        raise NotConforming(detector.card.name, problems)


def _card_problems(card: DetectorCard) -> Iterator[str]:
    from moderation.models import CATALOGUE

    for field in ("name", "version", "licence"):
        if not getattr(card, field).strip():
            yield f"the card's {field} is empty"
    if not card.labels or len(set(card.labels)) < len(card.labels):
        yield "the card's labels are empty or repeat"
    if card.cost_ms <= 0:
        yield "the card's cost_ms is not positive: measure one item on one thread"
    if card.recall is not None and not (0 < card.recall <= 1 and card.recall_source.strip()):
        yield "the card's recall is not within 0..1 or names no source"
    for name in card.weights:
        if name not in CATALOGUE:
            yield f"the weights {name!r} are not in the catalogue (moderation.models)"


def _run_problems(detector: Detector[Any], items: Sequence[Any], tolerance: float) -> Iterator[str]:
    together = detector(items)
    if len(together) != len(items):
        yield f"{len(items)} items gave {len(together)} lists of detections"
        return
    if not any(together):
        yield "nothing was detected in any item: give one with something to detect"
    for number, (item, found) in enumerate(zip(items, together, strict=True)):
        for one in found:
            yield from (f"item {number}: {what}" for what in _detection_problems(detector.card, item, one))
    if (nothing := detector([])) != []:
        yield f"an empty batch gave {nothing!r} instead of an empty list"
    again = [found for item in items for found in detector([item])]
    yield from _differences("looking again, one by one,", together, again, tolerance)
    for parallel in _from_two_threads(detector, items):
        yield from _differences("looking from two threads at once", together, parallel, tolerance)
    yield from _unloading_problems(detector, items, together, tolerance)


def _detection_problems(card: DetectorCard, item: Any, one: Detection) -> Iterator[str]:
    if one.label not in card.labels:
        yield f"the label {one.label!r} is not on the card"
    if not 0 <= one.score <= 1:  # false for a number that is none, too
        yield f"{one.label}: the score {one.score} is not within 0..1"
    first, last = _clock(item)
    if not first - TOLERANCE <= one.start <= one.end <= last + TOLERANCE:
        yield f"{one.label}: {one.start}..{one.end} s is not within the item's {first}..{last:.3f} s"
    size = _size(item)
    if one.box is not None and (size is None or not _inside(one.box, *size)):
        yield f"{one.label}: the box {one.box} does not lie inside {size or 'an item without pixels'}"


def _clock(item: Any) -> tuple[float, float]:
    """Seconds at which an item begins and ends; anything goes for designs, which have no time."""
    if isinstance(item, Picture):
        return item.at, item.at
    if isinstance(item, Motion):
        return 0.0, len(item.frames) / item.fps
    if isinstance(item, Sound):
        return item.start, item.start + len(item.samples) / item.rate
    if isinstance(item, Text):
        return item.start, max(item.start, item.end)
    return 0.0, math.inf


def _size(item: Any) -> tuple[int, int] | None:
    """Width and height in pixels."""
    if isinstance(item, Picture):
        return item.pixels.shape[1], item.pixels.shape[0]
    if isinstance(item, Motion):
        return item.frames.shape[2], item.frames.shape[1]
    return None


def _inside(box: tuple[int, int, int, int], width: int, height: int) -> bool:
    left, top, right, bottom = box
    return 0 <= left < right <= width and 0 <= top < bottom <= height


def _differences(name: str, wanted: Found, found: Found, tolerance: float) -> Iterator[str]:
    for number, (first, second) in enumerate(zip_longest(wanted, found)):
        if first is None or second is None:
            yield f"{name} gives {len(found)} lists instead of {len(wanted)}"
            return
        same = len(first) == len(second) and all(map(_alike, first, second, [tolerance] * len(first)))
        if not same:
            yield f"{name} gives another result for item {number}: {second} instead of {first}"


def _alike(one: Detection, other: Detection, tolerance: float) -> bool:
    values = ((one.score, other.score), (one.start, other.start), (one.end, other.end))
    close = all(abs(a - b) <= tolerance for a, b in values)
    return close and (one.label, one.text) == (other.label, other.text) and _same_box(one.box, other.box)


def _same_box(one: tuple[int, ...] | None, other: tuple[int, ...] | None) -> bool:
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= BOX_TOLERANCE for a, b in zip(one, other, strict=True))


def _from_two_threads(detector: Detector[Any], items: Sequence[Any]) -> tuple[Found, Found]:
    """Two looks that begin at the same time, one of them in the other order."""
    ready = Barrier(2)

    def look(ordered: Sequence[Any]) -> Found:
        ready.wait(timeout=60)
        return detector(ordered)

    with ThreadPoolExecutor(2) as pool:
        forward, backward = pool.submit(look, items), pool.submit(look, items[::-1])
        return forward.result(), backward.result()[::-1]


def _unloading_problems(
    detector: Detector[Any], items: Sequence[Any], wanted: Found, tolerance: float
) -> Iterator[str]:
    from moderation.models import ModelMissing

    if not detector.unload() or detector.loaded:
        yield "it stays loaded after unload()"
    for name in detector.card.weights:
        with _hidden(name):
            try:
                detector(items[:1])
            except ModelMissing:
                continue
            except Exception as error:  # noqa: BLE001 -- whatever else it raises is the finding
                yield f"without the weights {name!r} it raises {type(error).__name__}, not ModelMissing"
            else:
                yield f"without the weights {name!r} it passes silently instead of raising ModelMissing"
        detector.unload()
    yield from _differences("looking after unloading", wanted, detector(items), tolerance)


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """The catalogue as on a machine that has not fetched these weights."""
    from moderation.models import CATALOGUE

    entry = CATALOGUE.get(name)
    if entry is None:
        yield
        return
    CATALOGUE[name] = replace(entry, filename=f"{entry.filename}.not-here", sources=())
    try:
        yield
    finally:
        CATALOGUE[name] = entry
