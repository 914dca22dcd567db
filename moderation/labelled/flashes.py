"""Motion at the limits of WCAG 2.3.1: what the standard counts as dangerous, and what it allows by a hair.

Every item's label follows from the standard by construction: more than three flashes in a second, over more
than a quarter of a 341 x 256 block of a 1024 x 768 view, between relative luminances at least 0.1 apart with
the darker below 0.80, or to and from a saturated red. Recordings of play are 128 x 128 at 15 frames a second:
a frame pixel is 6 x 6 view pixels, so a quarter of a block holds 606.2 of them. Uploaded videos are larger
and faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.base import Motion
from moderation.detectors.flash import linear_table
from moderation.evaluation.labelled import LabelledItem, LabelledSet, SourceName

FPS = 15
SIDE = 128
LINEAR = linear_table()
BLACK, WHITE, GREY, RED = (0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0)
THREE = (2, 4, 7, 9, 12, 14)
"""Frames at which three flashes change, the last change 12 frames after the first."""
FOUR = (1, 3, 5, 7, 9, 11, 13, 15)
GENERAL, RED_LABEL = "general_flash", "red_flash"

Frame: TypeAlias = NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]
Scene: TypeAlias = Literal["bricks", "checks", "clouds"]
Told: TypeAlias = tuple[str, tuple[str, ...], Frame]
"""Kind, labels, and frames (T, H, W, 3)."""


def grey_of(luminance: float) -> int:
    """The 8-bit grey whose relative luminance is nearest."""
    return int(np.abs(LINEAR - luminance).argmin())


def greys_apart(change: float, *, above: float = 0.0) -> tuple[int, int]:
    """Two greys, the darker at least ``above``, whose luminances differ by ``change`` as nearly as can be."""
    pairs = [(a, b) for a in range(256) for b in range(a + 1, 256) if above <= LINEAR[a] < 0.79]
    return min(pairs, key=lambda pair: abs(float(LINEAR[pair[1]] - LINEAR[pair[0]]) - change))


def plain(colour: Colour | int, side: int = SIDE) -> Frame:
    """(side, side, 3) of one colour or grey."""
    return np.full((side, side, 3), colour, np.uint8)


def patch(area: int, colour: Colour, ground: Colour) -> Frame:
    """A frame with a compact patch of exactly ``area`` pixels in its middle."""
    frame = plain(ground)
    rows, rest = divmod(area, 25)
    frame[40 : 40 + rows, 40:65] = colour
    frame[40 + rows, 40 : 40 + rest] = colour
    return frame


def alternate(first: Frame, second: Frame, changes: Sequence[int], length: int) -> Frame:
    """(length, H, W, 3) frames that start as ``first`` and swap at each of ``changes``."""
    shown = np.zeros(length, int)
    for change in changes:
        shown[change:] ^= 1
    return np.stack([first, second])[shown]


def scene(kind: Scene, width: int = 900) -> Frame:
    """A picture to scroll over: (128, width, 3)."""
    import cv2

    rows, columns = np.mgrid[0:SIDE, 0:width]
    if kind == "bricks":
        mortar = (rows % 8 == 0) | ((columns + 8 * (rows // 8 % 2)) % 16 == 0)
        return np.where(mortar[..., None], 30, (200, 90, 60)).astype(np.uint8)
    if kind == "checks":
        squares = np.where((rows // 12 + columns // 12) % 2, 240, 10).astype(np.uint8)
        return np.repeat(squares[..., None], 3, 2)
    noise = np.random.default_rng(3).integers(0, 256, (SIDE, width, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2).astype(float)
    clouds: Frame = np.clip((smooth - 127) * 6 + 127, 0, 255).astype(np.uint8)
    return clouds


def _fade(hertz: float, fps: float, seconds: float = 3) -> Frame:
    """Luminance between .05 and .75 as a cosine."""
    times = np.arange(round(seconds * fps)) / fps
    return np.stack([plain(grey_of(float(v))) for v in 0.4 - 0.35 * np.cos(2 * np.pi * hertz * times)])


def flashes_set() -> LabelledSet:
    """The labelled set ``flashes``; nothing of it is random."""
    items = [
        LabelledItem(Motion(frames, fps), frozenset(labels), kind, source)
        for told, source, fps in _groups()
        for kind, labels, frames in told
    ]
    return LabelledSet(
        name="flashes",
        made="drawn by script at and around the limits of WCAG 2.3.1; labels follow from the standard",
        licence="Apache-2.0",
        detectors={"flash": {GENERAL: 1.0, RED_LABEL: 1.0}},
        items=tuple(items),
    )


def _groups() -> Iterator[tuple[Iterator[Told], SourceName, float]]:
    for told in (_strobes(), _areas(), _luminances(), _moving(), _reds()):
        yield told, "rendered", FPS
    for fps in (30.0, 60.0):
        yield _videos(fps), "upload", fps


def _strobes() -> Iterator[Told]:
    """White on black: how often in a second."""
    for start in (1, 4, 8):
        for count in (7, 8, 10, 15):
            yield "strobe", (GENERAL,), _strobe([start + 2 * n for n in range(count - 1)] + [start + 14])
    for start in (2, 5, 20):
        shift = start - THREE[0]
        yield "three flashes", (), _strobe([change + shift for change in THREE])
        yield "two bursts of three", (), _strobe([c + shift + rest for rest in (0, 27) for c in THREE])
        yield "seven changes over a second and more", (), _strobe([start + 3 * n for n in range(7)])
        yield "one cut", (), _strobe([start])


def _strobe(changes: Sequence[int]) -> Frame:
    return alternate(plain(BLACK), plain(WHITE), sorted(set(changes)), 60)


def _areas() -> Iterator[Told]:
    """How much of a block flashes."""
    for share in (0.255, 0.27, 0.3, 0.35, 0.5):
        yield "patch over a quarter of a block", (GENERAL,), _patched(share)
    for share in (0.1, 0.15, 0.2, 0.24, 0.249):
        yield "patch under a quarter of a block", (), _patched(share)


def _patched(share: float) -> Frame:
    area = round(share * 341 * 256 / 36)
    return alternate(plain(BLACK), patch(area, WHITE, BLACK), FOUR, 30)


def _luminances() -> Iterator[Told]:
    """How much brighter, and from how dark."""
    for ground in (0.02, 0.3, 0.6):
        for change in (0.101, 0.105, 0.15):
            yield "change of luminance over .1", (GENERAL,), _between(*greys_apart(change, above=ground))
        for change in (0.05, 0.095, 0.099):
            yield "change of luminance under .1", (), _between(*greys_apart(change, above=ground))
    for darker in (0.77, 0.79):
        yield "darker state under .8", (GENERAL,), _between(grey_of(darker), 255)
    for darker in (0.81, 0.84):
        yield "darker state over .8", (), _between(grey_of(darker), 255)


def _between(dark: int, bright: int) -> Frame:
    return alternate(plain(dark), plain(bright), FOUR, 30)


def _moving() -> Iterator[Told]:
    """What moves is no flash; a flash over what moves is one."""
    scenes: tuple[Scene, ...] = ("bricks", "checks", "clouds")
    for kind in scenes:
        picture = scene(kind)
        for speed in (1, 4, 7):
            yield "scrolling", (), _windows(picture, [speed * step for step in range(45)])
        yield (
            "swaying camera",
            (),
            _windows(picture, [round(60 + 20 * np.sin(2 * np.pi * step / 20)) for step in range(60)]),
        )
    clouds, light = scene("clouds"), np.array([1.0, 1.0, 0.2, 0.2])
    for speed in (0, 2, 3, 5):
        moving = _windows(clouds, [speed * step for step in range(45)])
        dimmed = (moving * light[np.arange(45) % 4, None, None, None]).astype(np.uint8)
        yield "strobe over a scrolling scene", (GENERAL,), dimmed
    board = scene("checks")
    yield "squares that swap", (GENERAL,), alternate(board[:, :SIDE], board[:, 12 : 12 + SIDE], FOUR, 30)
    columns = np.arange(900)
    stripes = np.where(columns // 4 % 2, 240, 10).astype(np.uint8)[None, :, None].repeat(SIDE, 0).repeat(3, 2)
    yield "stripes that swap", (GENERAL,), _windows(stripes, [4 * step for step in range(30)])


def _windows(picture: Frame, places: Sequence[int]) -> Frame:
    return np.stack([picture[:, at : at + SIDE] for at in places])


def _reds() -> Iterator[Told]:
    """To and from a saturated red; most such changes of colour are changes of luminance as well."""
    for red in (RED, (230, 10, 10), (200, 0, 0), (245, 0, 25), (220, 20, 0), (180, 0, 0)):
        for other in (BLACK, (0, 255, 0), (0, 120, 200), (200, 200, 60), GREY, WHITE):
            yield _flashing("saturated red", red, other)
    for red in (RED, (220, 0, 0)):
        yield _flashing("red of equal luminance", red, (grey_of(luminance(red)),) * 3)
    for red in ((210, 0, 0), (190, 0, 0)):
        yield _flashing("red and dark blue", red, (0, 0, 120))
    for red in (RED, (230, 10, 10)):
        yield "three red flashes", (), alternate(plain(GREY), plain(red), THREE, 30)
        yield "a small red flash", (), alternate(plain(GREY), patch(590, red, GREY), FOUR, 30)
    yield "two reds of nearly one luminance", (), alternate(plain((120, 0, 0)), plain((140, 0, 0)), FOUR, 30)
    for other in ((0, 60, 160), (0, 90, 0)):
        grey = plain(grey_of(luminance(other)))
        yield "another colour of equal luminance", (), alternate(grey, plain(other), FOUR, 30)
    for red in ((40, 0, 0), (50, 5, 5)):
        yield "a red too dark to see", (), alternate(plain(BLACK), plain(red), FOUR, 30)
    yield "orange and yellow", (), alternate(plain((255, 190, 0)), plain((250, 200, 0)), FOUR, 30)


def luminance(colour: Colour) -> float:
    """Relative luminance, 0..1."""
    return float(LINEAR[np.array(colour)] @ np.array((0.2126, 0.7152, 0.0722)))


def _flashing(kind: str, red: Colour, other: Colour) -> Told:
    labels = (RED_LABEL, GENERAL) if abs(luminance(red) - luminance(other)) >= 0.1 else (RED_LABEL,)
    return kind, labels, alternate(plain(other), plain(red), FOUR, 30)


def _videos(fps: float) -> Iterator[Told]:
    """Uploaded videos: fades that film and games have, slow and fast."""
    for hertz in (3.75, 4.5, 5.0, 6.0):
        yield "fast fade", (GENERAL,), _fade(hertz, fps)
    for hertz in (0.5, 1.0, 2.0, 2.75):
        yield "slow fade", (), _fade(hertz, fps)
    for red in (RED, (240, 20, 20), (230, 10, 10), (210, 0, 0), (190, 5, 5)):
        yield _flashing("saturated red", red, GREY)
        yield "two reds of nearly one luminance", (), alternate(plain(red), plain((220, 0, 0)), FOUR, 30)
    dark = np.zeros((160, 320, 3), np.uint8)  # as wide as the view: 3.2 view pixels to a video pixel
    for side, labels in ((48, (GENERAL,)), (55, (GENERAL,)), (42, ()), (45, ())):
        lit = dark.copy()
        lit[50 : 50 + side, 125 : 125 + side] = 255
        changes = [round(n * fps / 9) + 1 for n in range(10)]
        kind = "wide video, large patch" if labels else "wide video, small patch"
        yield kind, labels, alternate(dark, lit, changes, round(2 * fps))
