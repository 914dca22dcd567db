"""Signs: boards of 96 x 48 pixels with a text or a picture, made to be read."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worldmodel.palette import Palette, as_rgb, mix

BOARD = (96, 48)
"""Pixels of a sign, width and height."""
_FRAME = 2
_AREA = (90, 42)
"""Pixels of a sign that are written on."""
_GAP = 2
"""Least pixels between two lines' ink."""
_HEIGHTS = range(26, 5, -1)
"""Heights of capitals that are tried."""
_CAPITALS = 0.715
"""A capital's height as a share of the built-in font's size."""
_LEGIBLE = 12
_NARROW, _NARROWEST = 0.85, 0.68
"""How far letters may be narrowed, above and up to _LEGIBLE pixels."""
_INK = (26, 18, 22)


@dataclass(frozen=True)
class Board:
    """A sign to paint: a text or a picture on a box of tiles."""

    box: tuple[int, int, int, int]
    """Tiles: x0, y0, x1, y1, the last two exclusive."""
    text: str | None = None
    image: NDArray[np.uint8] | None = None
    """(H, W, 4) RGBA."""


def paint_board(board: Board, palette: Palette) -> NDArray[np.uint8]:
    """(48, 96, 3) a framed sign with its text or picture."""
    frame = mix(palette.accent, np.array([96.0, 62.0, 36.0]), 0.75)
    image = Image.new("RGB", BOARD, as_rgb(frame, 0.45))
    draw = ImageDraw.Draw(image)
    draw.rectangle([1, 1, BOARD[0] - 2, BOARD[1] - 2], as_rgb(frame))
    draw.line([(1, 1), (BOARD[0] - 2, 1)], as_rgb(frame, 1.4))
    inner = (_FRAME, _FRAME, BOARD[0] - _FRAME, BOARD[1] - _FRAME)
    draw.rectangle([inner[0], inner[1], inner[2] - 1, inner[3] - 1], (246, 238, 214))
    if board.image is not None:
        return _fit(board.image)
    _write(image, _plain(board.text or ""))
    return np.asarray(image)


def _plain(text: str) -> str:
    """Accents taken off: the built-in font has the letters of ASCII only. Other scripts stay, as boxes."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _fit(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture in the whole area of a sign, its aspect ratio kept, on a light ground."""
    picture = Image.fromarray(pixels).convert("RGBA")
    scale = min(BOARD[0] / picture.width, BOARD[1] / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = picture.resize(size, Image.Resampling.LANCZOS)
    out = Image.new("RGB", BOARD, (246, 238, 214))
    out.paste(small, ((BOARD[0] - size[0]) // 2, (BOARD[1] - size[1]) // 2), small)
    return np.asarray(out)


def _write(image: Image.Image, text: str) -> None:
    """The text as large as it fits, in as many lines as it takes; words are broken only where they must."""
    for words in (text.split(), list(text.replace(" ", "\u00a0"))):
        for height in _HEIGHTS:
            if (lines := _wrap(words, height)) is not None:
                _set(image, lines, _font(height))
                return
    _squeeze(image, text)


@lru_cache(maxsize=64)
def _font(height: int) -> ImageFont.FreeTypeFont:
    """The built-in font with capitals of this many pixels."""
    font = ImageFont.load_default(height / _CAPITALS)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow is built with FreeType in all its wheels
    return font


def _wrap(words: Sequence[str], height: int) -> list[str] | None:
    """Lines that fit the area, or None; single letters are joined closely.

    Letters of up to _LEGIBLE pixels may be narrowed further: height is what keeps small writing legible.
    """
    font = _font(height)
    width = _AREA[0] / (_NARROWEST if height <= _LEGIBLE else _NARROW)
    space = "" if all(len(word) == 1 for word in words) else " "
    lines: list[str] = []
    for word in words:
        if font.getlength(word) > width:
            return None
        longer = f"{lines[-1]}{space}{word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    tall = sum(_ink(font, line)[1] for line in lines) + _GAP * (len(lines) - 1)
    return lines if tall <= _AREA[1] else None


def _ink(font: ImageFont.FreeTypeFont, line: str) -> tuple[int, int]:
    """Pixels of a line of writing, across and from its highest to its lowest."""
    left, top, right, bottom = font.getbbox(line)
    return math.ceil(right - left), math.ceil(bottom - top)


def _set(image: Image.Image, lines: Sequence[str], font: ImageFont.FreeTypeFont) -> None:
    """Lines in the middle of the board, each as wide as it is or narrowed to fit."""
    tall = sum(_ink(font, line)[1] for line in lines)
    gap = min(6, (_AREA[1] - tall) // max(1, len(lines) - 1)) if len(lines) > 1 else 0
    y = (BOARD[1] - tall - gap * (len(lines) - 1)) // 2
    for line in lines:
        mask = _written(line, font)
        if mask.width > _AREA[0]:
            mask = mask.resize((_AREA[0], mask.height), Image.Resampling.LANCZOS)
        image.paste(_INK, ((BOARD[0] - mask.width) // 2, y), mask)
        y += mask.height + gap


def _written(line: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """A mask no larger than the line's ink."""
    left, top, _, _ = font.getbbox(line)
    mask = Image.new("L", (max(1, _ink(font, line)[0]), max(1, _ink(font, line)[1])))
    ImageDraw.Draw(mask).text((-left, -top), line, 255, font=font)
    return mask


def _squeeze(image: Image.Image, text: str) -> None:
    """The text in four lines, narrowed until it fits: for sixty wide letters without a space."""
    per_line = -(-len(text) // 4)
    _set(image, [text[i : i + per_line] for i in range(0, len(text), per_line)], _font(7))


def capitals(text: str) -> int:
    """Pixels of the capitals' height that a text gets on a sign."""
    for words in (_plain(text).split(), list(_plain(text))):
        for height in _HEIGHTS:
            if _wrap(words, height) is not None:
                return height
    return _HEIGHTS[-1]
