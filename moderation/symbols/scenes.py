"""Scenes of 128 x 128 pixels with a symbol, a look-alike or neither: drawn, built, or of a map's mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moderation.symbols.blocks import Built, BuiltWorld, arrange, built_world, plain_worlds
from moderation.symbols.emblems import BACKGROUND, BETWEEN, EMBLEMS, MANJI, Rng, temple_sign
from moderation.symbols.lookalikes import DEV_LOOK_ALIKES, HELD_OUT_LOOK_ALIKES, LOOK_ALIKES, look_alike
from moderation.symbols.maps import MASK_TILE, class_masks, painted_map
from moderation.symbols.strokes import CANVAS, Mask, draw, shaky
from worldmodel.constants import FRAME, TILE

Pixels = NDArray[np.uint8]
Split = Literal["training", "development", "held-out"]
Mode = Literal["drawn", "on a sign", "built", "mask", "world"]
SPLITS: tuple[Split, ...] = ("training", "development", "held-out")
STYLES = ("flat", "flat", "outlined", "hollow", "textured", "gradient", "by hand", "pixels")
HELD_OUT_STYLES = ("glowing", "embossed", "mosaic")
"""Ways of drawing that are never trained on."""
SMALLEST, LARGEST = 24, 124
"""Pixels of the side of what is drawn into a scene."""
LOW_CONTRAST = 75.0
"""Distance of ink and ground in RGB, of 442, under which a scene counts as of low contrast."""


@dataclass(frozen=True)
class Scene:
    """One picture and what is in it."""

    pixels: Pixels
    """(FRAME, FRAME, 3)."""
    label: int
    """Class of the symbol, 0 for none."""
    kind: str
    mode: Mode
    style: str = ""
    box: tuple[float, float, float, float] | None = None
    """Pixels: x0, y0, x1, y1 of what was drawn."""
    contrast: float = 442.0
    covered: bool = False


class Scenery:
    """Worlds of one split, and scenes in front of them. The same seed gives the same scenes."""

    def __init__(self, split: Split, seed: int, worlds: int = 24) -> None:
        self._held_out = split == "held-out"
        number = SPLITS.index(split)
        self.rng = np.random.default_rng((seed, number))
        self._worlds = plain_worlds(worlds, 10 * seed + number, evaluation=self._held_out)
        self._views = [painted_map(world) for world in self._worlds]
        self._kept = worlds
        self._marked: list[tuple[Pixels, tuple[Built, ...]]] = []
        self._clean: list[tuple[Pixels, tuple[Built, ...]]] = []
        for _ in range(worlds):
            self.refresh()
        self.styles = STYLES + HELD_OUT_STYLES if self._held_out else STYLES
        self.look_alikes = dict(LOOK_ALIKES)
        if split == "development":
            self.look_alikes |= DEV_LOOK_ALIKES
        elif self._held_out:
            self.look_alikes |= HELD_OUT_LOOK_ALIKES

    # -- scenes -----------------------------------------------------------------------------------

    def emblem(self, kind: str | None = None) -> Scene:
        """A symbol drawn on a ground."""
        rng = self.rng
        name = kind if kind is not None else str(rng.choice(list(EMBLEMS)))
        emblem = (EMBLEMS | BETWEEN)[name]
        style = str(rng.choice(self.styles))
        parts = emblem.draw(rng)
        mask = draw(shaky(parts, rng, rng.uniform(0.005, 0.02)) if style == "by hand" else parts)
        side = _size(rng, emblem.smallest)
        turn = rng.uniform(-emblem.turn, emblem.turn)
        stretch = 0.05 if emblem.label == MANJI else 0.14
        return self._drawn(mask, name, emblem.label, style, side, turn, stretch)

    def look_alike(self, kind: str | None = None) -> Scene:
        """Something harmless drawn on a ground."""
        rng = self.rng
        name = kind if kind is not None else str(rng.choice(list(self.look_alikes)))
        mask = look_alike(self.look_alikes[name], rng)
        style = str(rng.choice(self.styles))
        turn = rng.normal(0, 8) if rng.random() < 0.7 else rng.uniform(-180, 180)
        return self._drawn(mask, name, BACKGROUND, style, _size(rng, SMALLEST), turn, 0.14)

    def temple_map(self) -> Scene:
        """A street map with a temple's sign: 16 to 40 pixels, upright, thin."""
        rng = self.rng
        frame = street_map(rng)
        side = float(rng.uniform(SMALLEST, 44))
        x, y = (float(v) for v in rng.uniform(side / 2 + 1, FRAME - side / 2 - 1, 2))
        alpha = _warped(draw(temple_sign(rng)), x, y, side, 0.0, 0.02, rng)
        ink = np.array([(60, 60, 60), (150, 40, 40), (120, 80, 30), (20, 90, 60)][int(rng.integers(4))])
        frame = (frame + (ink - frame) * alpha[..., :1]).astype(np.uint8)
        box = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        return Scene(frame, MANJI, "temple sign on a map", "drawn", "map", box)

    def built(self, kind: str | None = None) -> Scene:
        """A symbol built of tiles, in view as a whole. Raises LookupError where no world has that kind."""
        small = [
            (canvas, built)
            for canvas, every in self._marked
            for built in every
            if built.label and built.side <= FRAME // TILE and kind in (None, built.kind)
        ]
        if not small:
            raise LookupError(f"no world of this scenery has a {kind or 'symbol'}: give it more worlds")
        return self._view(*small[int(self.rng.integers(len(small)))])

    def built_look_alike(self) -> Scene:
        """A harmless pattern built of tiles."""
        chosen = [(canvas, built) for canvas, every in self._clean for built in every]
        return self._view(*chosen[int(self.rng.integers(len(chosen)))])

    def world(self) -> Scene:
        """A view of a world with nothing put in."""
        return Scene(self._lit(self._ground_of_world()), BACKGROUND, "world", "world")

    def mask(self, *, emblem: bool) -> Scene:
        """A piece of the mask of a map's tiles, as :func:`whole_map_pictures` gives them."""
        rng = self.rng
        world = self._worlds[int(rng.integers(len(self._worlds)))]
        tiles, every = arrange(world.tiles, rng, emblems=int(emblem), patterns=2, held_out=self._held_out)
        built = every[0]
        masks = class_masks(tiles)
        wanted = [m for m in masks if built.material in m.classes]
        mask = wanted[int(rng.integers(len(wanted)))]
        box = _scaled(built.box, MASK_TILE)
        pixels, corner = _around(mask.pixels, box, rng)
        return Scene(pixels, built.label, built.kind, "mask", box=_shifted(box, corner))

    def refresh(self) -> None:
        """Build one marked and one clean world anew."""
        for emblems in (4, 0):
            world = self._worlds[int(self.rng.integers(len(self._worlds)))]
            self._add(built_world(world, self.rng, emblems=emblems, patterns=3, held_out=self._held_out))

    def _add(self, made: BuiltWorld) -> None:
        among = self._marked if any(b.label for b in made.built) else self._clean
        if len(among) >= self._kept:
            among.pop(0)
        among.append((painted_map(made.world), made.built))

    # -- drawing ----------------------------------------------------------------------------------

    def _drawn(
        self, mask: Mask, kind: str, label: int, style: str, side: float, turn: float, stretch: float
    ) -> Scene:
        rng = self.rng
        frame = self._ground()
        x, y = (float(v) for v in rng.uniform(side / 2 + 1, FRAME - side / 2 - 1, 2))
        signed = rng.random() < 0.3
        if signed:
            _board(frame, x, y, side, rng)
        alpha = _warped(mask, x, y, side, turn, stretch, rng)
        colours, contrast = _colours(frame, alpha, rng)
        frame = _inked(frame, alpha, colours, style, side, rng)
        covered = rng.random() < 0.15
        if covered:
            _cover(frame, x, y, side, rng)
        half = side / 2
        box = (x - half, y - half, x + half, y + half)
        mode: Mode = "on a sign" if signed else "drawn"
        return Scene(self._lit(frame), label, kind, mode, style, box, contrast, covered)

    def _ground(self) -> Pixels:
        from worldmodel.gallery import drawing

        rng = self.rng
        choice = rng.random()
        if choice < 0.55:
            return self._ground_of_world()
        if choice < 0.8:
            first, second = rng.integers(0, 256, (2, 3))
            ramp = np.linspace(0, 1, FRAME)[:, None, None] * rng.uniform(0, 0.6)
            filled = np.broadcast_to(first + (second - first) * ramp, (FRAME, FRAME, 3))
            return filled.astype(np.uint8, order="C")
        family = int(rng.integers(3)) + 3 * self._held_out
        colours = drawing(family, FRAME, rng)[..., :3].astype(np.float32)
        middle = colours.mean((0, 1))
        return np.asarray(middle + (colours - middle) * rng.uniform(0.1, 0.7)).astype(np.uint8)

    def _ground_of_world(self) -> Pixels:
        canvas = self._views[int(self.rng.integers(len(self._views)))]
        x, y = self.rng.integers(0, canvas.shape[1] - FRAME), self.rng.integers(0, canvas.shape[0] - FRAME)
        return canvas[y : y + FRAME, x : x + FRAME].copy()

    def _view(self, canvas: Pixels, built: Built) -> Scene:
        box = _scaled(built.box, TILE)
        pixels, corner = _around(canvas, box, self.rng)
        style = built.material.name.lower()
        return Scene(self._lit(pixels), built.label, built.kind, "built", style, _shifted(box, corner))

    def _lit(self, frame: Pixels) -> Pixels:
        """Dimmed, tinted, and a little noisy at times."""
        rng = self.rng
        out = frame.astype(np.float32)
        if rng.random() < 0.35:
            y, x = np.mgrid[0:FRAME, 0:FRAME].astype(np.float32)
            cx, cy = rng.uniform(20, FRAME - 20, 2)
            lantern = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 34.0**2))
            out *= (1 - rng.uniform(0.1, 0.6) * (1 - lantern))[..., None]
        if rng.random() < 0.3:
            out *= rng.uniform(0.75, 1.2, 3)
            out += rng.normal(0, 8)
        if rng.random() < 0.2:
            out += rng.normal(0, rng.uniform(1, 8), (FRAME, FRAME, 1))
        return np.asarray(out.clip(0, 255)).astype(np.uint8)


def street_map(rng: Rng) -> Pixels:
    """(FRAME, FRAME, 3) paper with blocks of houses, a park, and roads across it."""
    import cv2

    frame = np.full((FRAME, FRAME, 3), rng.integers(225, 250, 3), np.uint8)
    for shade in ((205, 225, 190), (215, 210, 200), (180, 205, 230)):
        low = rng.integers(0, FRAME, 2)
        cv2.rectangle(frame, low.tolist(), (low + rng.integers(20, 60, 2)).tolist(), shade, -1)
    for _ in range(int(rng.integers(3, 8))):
        start, end = rng.integers(-20, FRAME + 20, (2, 2)).tolist()
        wide = int(rng.integers(3, 9))
        cv2.line(frame, start, end, (170, 165, 160), wide + 2, cv2.LINE_AA)
        cv2.line(
            frame, start, end, ((255, 255, 255), (250, 225, 140))[int(rng.integers(2))], wide, cv2.LINE_AA
        )
    return frame


def _scaled(box: Sequence[int], side: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = (side * v for v in box)
    return left, top, right, bottom


def _shifted(box: Sequence[int], corner: tuple[int, int]) -> tuple[float, float, float, float]:
    return box[0] - corner[0], box[1] - corner[1], box[2] - corner[0], box[3] - corner[1]


def _size(rng: Rng, smallest: int) -> float:
    """Sides are spread evenly over their logarithm."""
    return float(np.exp(rng.uniform(np.log(smallest), np.log(LARGEST))))


def _around(canvas: Pixels, box: Sequence[int], rng: Rng) -> tuple[Pixels, tuple[int, int]]:
    """A frame of the canvas with all of the box in it where it fits, and its corner."""
    corner = []
    for low, high, size in ((box[0], box[2], canvas.shape[1]), (box[1], box[3], canvas.shape[0])):
        least, most = max(0, high - FRAME), min(low, size - FRAME)
        least, most = min(least, size - FRAME), max(most, 0)
        corner.append(int(rng.integers(min(least, most), max(least, most) + 1)))
    x, y = corner
    return np.ascontiguousarray(canvas[y : y + FRAME, x : x + FRAME]), (x, y)


def _warped(
    mask: Mask, x: float, y: float, side: float, turn: float, stretch: float, rng: Rng
) -> NDArray[np.float32]:
    """(FRAME, FRAME, 2) alpha of both inks of a canvas turned, sheared, stretched and put at x, y."""
    import cv2

    angle = np.deg2rad(turn)
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1 + rng.uniform(-stretch, stretch), rng.uniform(-stretch, stretch)], [0, 1]])
    if abs(turn) < 30 and rng.random() < 0.5:
        shear = shear.T
    linear = rotate @ shear
    linear *= 1 / np.abs(linear).sum(1).max() ** 0.5
    over = 3 if side < 48 else 2
    scale = side * over / CANVAS
    low = np.array([x, y]) * over
    matrix = np.zeros((2, 3))
    matrix[:, :2] = linear * scale
    matrix[:, 2] = low - matrix[:, :2] @ [CANVAS / 2, CANVAS / 2]
    large = cv2.warpAffine(mask, matrix, (FRAME * over, FRAME * over), flags=cv2.INTER_AREA)
    small = cv2.resize(large, (FRAME, FRAME), interpolation=cv2.INTER_AREA)
    return np.asarray(small[..., :2] / np.float32(255), np.float32)


def _colours(frame: Pixels, alpha: NDArray[np.float32], rng: Rng) -> tuple[NDArray[np.float32], float]:
    """(2, 3) inks that stand out from the ground under them, and by how much the first does."""
    import cv2

    under = np.asarray(alpha.max(2) > 0.4, np.uint8)
    mean, spread = (v[:, 0] for v in cv2.meanStdDev(frame, mask=under))
    backed = alpha[..., 1].sum() > alpha[..., 0].sum()
    least = (28.0 if rng.random() < 0.2 else 75.0) + float(spread.mean())
    for _ in range(16):
        first = _colour(rng, (8.0, 30.0, 225.0, 250.0))
        second = _colour(rng, (15.0, 240.0))
        contrast = float(np.linalg.norm(first - (second if backed else mean)))
        if contrast >= least and np.linalg.norm(first - second) >= least:
            break
    return np.stack([first, second]).astype(np.float32), contrast


def _colour(rng: Rng, greys: Sequence[float]) -> NDArray[np.float64]:
    """(3,) any colour, or two times in five one of some greys."""
    return np.full(3, rng.choice(greys)) if rng.random() < 0.4 else rng.uniform(0, 256, 3)


def _inked(
    frame: Pixels, alpha: NDArray[np.float32], colours: NDArray[np.float32], style: str, side: float, rng: Rng
) -> Pixels:
    """The frame with both inks laid on in a style."""
    import cv2

    out = frame.astype(np.float32)
    ink: NDArray[Any] = np.broadcast_to(colours[0], out.shape).copy()
    width = max(1, round(side / rng.uniform(18, 40)))
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    if style == "pixels":
        alpha = _coarse(alpha, side, rng)
    first, second = alpha[..., 0], alpha[..., 1]
    out += (colours[1] - out) * second[..., None]
    if style == "outlined":
        edge = rng.choice([0.0, 255.0, float(rng.uniform(0, 255))])
        out += (edge - out) * cv2.dilate(first, kernel)[..., None]
    elif style == "hollow":
        thin = np.ones((max(2, width + 1),) * 2, np.uint8)
        first = first - cv2.erode(first, thin)
    elif style == "textured":
        ink += _texture(rng) * rng.uniform(15, 60)
    elif style == "gradient":
        ramp = np.linspace(-1, 1, FRAME)[:, None, None] * rng.uniform(20, 90, 3)
        ink += ramp if rng.random() < 0.5 else ramp.transpose(1, 0, 2)
    elif style == "glowing":
        halo = cv2.GaussianBlur(first, (0, 0), side / 16)
        out += (ink - out) * (0.8 * halo)[..., None]
        ink = ink * 0.4 + 255 * 0.6
    elif style == "embossed":
        light = np.roll(first, (1, 1), (0, 1)) - np.roll(first, (-1, -1), (0, 1))
        out += 90 * light[..., None]
        first = first * 0.25
    elif style == "mosaic":
        step = max(3, round(side / 14))
        grid = (np.arange(FRAME) % step != 0).astype(np.float32)
        first = first * (0.3 + 0.7 * grid[:, None] * grid)
    out += (ink - out) * (first * (1.0 if rng.random() < 0.75 else rng.uniform(0.6, 1)))[..., None]
    return np.asarray(out.clip(0, 255)).astype(np.uint8)


def _coarse(alpha: NDArray[np.float32], side: float, rng: Rng) -> NDArray[np.float32]:
    """Pixel art: about 14 to 26 large pixels across what is drawn."""
    import cv2

    small = int(np.clip(FRAME * rng.uniform(14, 26) / side, 16, FRAME))
    coarse = (cv2.resize(alpha, (small, small), interpolation=cv2.INTER_AREA) > 0.45).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (FRAME, FRAME), interpolation=cv2.INTER_NEAREST), np.float32)


def _texture(rng: Rng) -> NDArray[np.float32]:
    """(FRAME, FRAME, 1) -1..1: grain, stripes or checks."""
    style, step = rng.integers(3), int(rng.integers(2, 7))
    if style == 0:
        side = FRAME // 2
        return rng.uniform(-1, 1, (side, side, 1)).repeat(2, 0).repeat(2, 1).astype(np.float32)
    y, x = np.indices((FRAME, FRAME)) // step
    value = (x + y) % 2 if style == 1 else (y if rng.random() < 0.5 else x + y) % 2
    return np.asarray(2.0 * value[..., None] - 1, np.float32)


def _board(frame: Pixels, x: float, y: float, side: float, rng: Rng) -> None:
    """A plain board with a frame under what is drawn."""
    import cv2

    half_x, half_y = side * rng.uniform(0.52, 0.9), side * rng.uniform(0.52, 0.65)
    low, high = (round(x - half_x), round(y - half_y)), (round(x + half_x), round(y + half_y))
    paper = rng.integers(0, 256, 3) if rng.random() < 0.6 else np.array([246, 238, 214])
    cv2.rectangle(frame, low, high, paper.tolist(), -1)
    cv2.rectangle(frame, low, high, (paper * rng.uniform(0.3, 0.8)).tolist(), int(rng.integers(1, 4)))


def _cover(frame: Pixels, x: float, y: float, side: float, rng: Rng) -> None:
    """Something in front: a post or a ball over up to about a sixth of what is drawn."""
    import cv2

    at = (round(x + rng.uniform(-0.5, 0.5) * side), round(y + rng.uniform(-0.5, 0.5) * side))
    colour = rng.integers(0, 256, 3).tolist()
    if rng.random() < 0.5:
        cv2.circle(frame, at, max(2, round(side * rng.uniform(0.1, 0.2))), colour, -1, cv2.LINE_AA)
        return
    wide, high = (max(1, round(side * v)) for v in rng.uniform(0.06, 0.22, 2))
    cv2.rectangle(frame, (at[0] - wide, at[1] - high), (at[0] + wide, at[1] + high), colour, -1)
