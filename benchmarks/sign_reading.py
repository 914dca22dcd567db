"""Are signs legible? OCR reads written signs and uploaded pictures of writing in frames of a world model.

    python benchmarks/sign_reading.py --world-model simulator --json signs.json

Every text has capitals of at least 12 pixels in the frame. A reading counts where it is the whole text, in
any case, apart from spaces and punctuation; in a frame, of what is read on the sign. ``picture`` cuts
frames out of the painted picture without a world model; else the player hovers over the sign, so as not to
hide it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from moderation.detectors.base import Detection, Picture
from moderation.detectors.ocr import Ocr
from moderation.reading import lines as rows_of
from worldmodel.compiled import CompiledWorld
from worldmodel.compiler import compile_world
from worldmodel.constants import FRAME, MAP_HEIGHT, MAP_WIDTH, TILE, Tile
from worldmodel.models import load_model
from worldmodel.package import WorldPackage
from worldmodel.painter import Look, paint
from worldmodel.palette import theme_palette, themes
from worldmodel.protocol import WorldModel
from worldmodel.signs import BOARD, Board, capitals, paint_board
from worldmodel.spec import NearSpawn, Sign, WorldSpec

WORDS = (
    "exit keys danger castle garden bridge ladder forest water north south bakery market silver golden "
    "dragon secret tunnel harbor museum winter summer orange purple kitchen library tickets welcome beware "
    "caution closed open stop lost found jump here home road wall gate mine fish bread train stars moon path "
    "quiet hello this way to the and no not up left right old new big red blue go see look east west "
    "village tower"
).split()
HEIGHT = 12
"""Least height of capitals, in pixels of the frame."""
Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]
Shown = tuple[Pixels, Box | None]
"""A picture and the part of it to read, None for all."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--world-model", default="picture", help="picture, simulator or neural")
    parser.add_argument("--count", type=int, default=60, help="signs of each kind")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    table = measure(given.count, given.world_model)
    for name, row in table.items():
        print(f"{name:28} {row['read']:3}/{row['signs']:3}  {row['share']:.3f}  missed: {row['missed'][:6]}")
    if given.json:
        given.json.write_text(json.dumps({"world_model": given.world_model, **table}, indent=2))


def measure(count: int, world_model: str) -> dict[str, dict[str, Any]]:
    ocr = Ocr()
    ocr.load()
    rng = random.Random(7)  # noqa: S311
    written = [_text(rng, lambda text: capitals(text) >= HEIGHT) for _ in range(count)]
    drawn = [_poster(rng) for _ in range(count)]
    frame = _frames(world_model)
    signs = [Board(BOX, text=text) for text in written]
    posters = [Board(BOX, image=image) for _, image in drawn]
    texts = [text for text, _ in drawn]
    return {
        "written, from the frame": _score(ocr, written, _framed(frame, signs)),
        "uploaded, from the frame": _score(ocr, texts, _framed(frame, posters)),
        "uploaded, the picture itself": _score(ocr, texts, [(image[..., :3], None) for _, image in drawn]),
    }


BOX = (8, 6, 14, 9)


def _framed(frame: Callable[[Board, int], Pixels], boards: list[Board]) -> list[Shown]:
    """Every board in a frame of a world, and where it is there."""
    shown: list[Shown] = []
    for index, board in enumerate(boards):
        pixels = frame(board, index)
        match = cv2.matchTemplate(pixels, paint_board(board, theme_palette("cave")), cv2.TM_CCOEFF_NORMED)
        y, x = np.unravel_index(int(match.argmax()), match.shape)
        shown.append((pixels, (int(x), int(y), int(x) + BOARD[0], int(y) + BOARD[1])))
    return shown


def _text(rng: random.Random, fits: Callable[[str], bool]) -> str:
    while True:
        text = " ".join(rng.sample(WORDS, rng.randint(1, 3)))
        text = rng.choice([text, text.upper(), text.capitalize()])
        if fits(text):
            return text


def _poster(rng: random.Random) -> tuple[str, Pixels]:
    """A text and a picture of it, (288, 576, 4), with capitals of HEIGHT pixels or more on a sign."""
    dark, light = rng.choice([("#102040", "#f4f0e0"), ("#ffffff", "#7a1420"), ("#ffe070", "#203020")])
    scale = 6
    font = ImageFont.load_default(rng.choice([12, 13, 14]) / 0.7 * scale)
    image = Image.new("RGBA", (96 * scale, 48 * scale), light)
    draw = ImageDraw.Draw(image)

    def lines(text: str) -> str:
        return "\n".join(text.split()) if draw.textlength(text, font=font) > 90 * scale else text

    def fits(text: str) -> bool:
        left, top, right, bottom = draw.multiline_textbbox((0, 0), lines(text), font=font, spacing=8)
        return right - left <= 90 * scale and bottom - top <= 44 * scale

    text = _text(rng, fits)
    middle = (48 * scale, 24 * scale)
    draw.multiline_text(middle, lines(text), dark, font=font, anchor="mm", align="center", spacing=8)
    return text, np.asarray(image)


def _frames(world_model: str) -> Callable[[Board, int], Pixels]:
    def picture(board: Board, index: int) -> Pixels:
        theme = themes()[index % len(themes())]
        tiles = np.full((MAP_HEIGHT, MAP_WIDTH), Tile.SOLID, dtype=np.uint8)
        tiles[3:10, 2:30] = Tile.EMPTY
        return paint(tiles, Look(theme, theme_palette(theme)), [board], index)

    def cropped(board: Board, index: int) -> Pixels:
        left, top = BOX[0] * TILE - 16 - index % 13, BOX[1] * TILE - 60 + index % 11
        return picture(board, index)[top : top + FRAME, left : left + FRAME]

    return cropped if world_model == "picture" else _played(world_model)


def _played(world_model: str) -> Callable[[Board, int], Pixels]:
    """Frames of a compiled world whose only sign is in view of the start."""
    model = load_model(world_model)

    def play(board: Board, index: int) -> Pixels:
        theme = themes()[index % len(themes())]
        sign = Sign(kind="sign", text="x", where=NearSpawn(near="spawn"))
        spec = WorldSpec(title="signs", prompt=f"a bright {theme}, no enemies", objects=(sign,), seed=index)
        world = compile_world(WorldPackage(spec, images={}, sounds={}, videos={}, sha256=str(index), raw={}))
        x0, y0, x1, y1 = world.placed[0].box
        painted = world.picture.copy()
        painted[y0 * TILE : y1 * TILE, x0 * TILE : x1 * TILE] = paint_board(board, theme_palette(theme))
        above = np.array([[(x0 + x1) // 2, y0 - 1]], dtype=np.int16)
        world = replace(
            world,
            key=hashlib.sha256(painted.tobytes()).hexdigest(),  # a bank holds each key once
            picture=painted,
            spawns=above,
            mover_kinds=np.zeros_like(world.mover_kinds),
            mechanics=replace(world.mechanics, darkness=0, day_length=0),
        )
        return _first_frame(model, world)

    return play


def _first_frame(model: WorldModel, world: CompiledWorld) -> Pixels:
    state = model.spawn([world], seeds=[0])
    return np.asarray(model.render(state)[0].permute(1, 2, 0).cpu().numpy())


def _score(ocr: Ocr, texts: list[str], shown: list[Shown]) -> dict[str, Any]:
    missed = []
    for text, (pixels, box) in zip(texts, shown, strict=True):
        found = ocr.predict([Picture(np.ascontiguousarray(pixels))])[0]
        reading = " ".join(rows_of([line for line in found if _on(line, box)]))
        if _plain(text) != _plain(reading):
            missed.append([text, reading])
    read = len(texts) - len(missed)
    return {"signs": len(texts), "read": read, "share": round(read / len(texts), 3), "missed": missed}


def _on(line: Detection, box: Box | None) -> bool:
    if box is None or line.box is None:
        return True
    x, y = (line.box[0] + line.box[2]) / 2, (line.box[1] + line.box[3]) / 2
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


if __name__ == "__main__":
    main()
