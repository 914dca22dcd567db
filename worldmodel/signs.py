"""Signs: boards of 96 x 48 pixels with a text or a picture, made to be read."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worldmodel.palette import Palette, as_rgb, mix

BOARD = (96, 48)
"""Pixels of a sign, width and height."""
_FRAME = 3
_INK = (26, 18, 22)
_FONT_SIZES = (34, 30, 26, 24, 22, 20, 18, 16, 14, 12, 11, 10, 9, 8)


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
    _write(draw, _plain(board.text or ""), inner)
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


def _write(draw: ImageDraw.ImageDraw, text: str, inner: tuple[int, int, int, int]) -> None:
    """The text as large as it fits, in as many lines as it takes; words are broken only where they must."""
    width, height = inner[2] - inner[0] - 4, inner[3] - inner[1] - 2
    for words in (text.split(), list(text.replace(" ", "\u00a0"))):
        for size in _FONT_SIZES:
            font = ImageFont.load_default(size)
            lines = _wrap(draw, words, font, width)
            if lines is None:
                continue
            box = draw.multiline_textbbox((0, 0), lines, font=font, spacing=1, align="center")
            if box[3] - box[1] <= height and box[2] - box[0] <= width:
                x = (inner[0] + inner[2] - box[2] - box[0]) / 2
                y = (inner[1] + inner[3] - box[3] - box[1]) / 2
                where = (round(x), round(y))
                draw.multiline_text(where, lines, _INK, font=font, spacing=1, align="center")
                return
    _squeeze(draw, text, inner)


def _squeeze(draw: ImageDraw.ImageDraw, text: str, inner: tuple[int, int, int, int]) -> None:
    """The text in four lines, narrowed until it fits: for sixty wide letters without a space."""
    font, per_line = ImageFont.load_default(14), -(-len(text) // 4)
    lines = "\n".join(text[i : i + per_line] for i in range(0, len(text), per_line))
    box = draw.multiline_textbbox((0, 0), lines, font=font, spacing=1)
    mask = Image.new("L", (round(box[2]) + 1, round(box[3]) + 1))
    ImageDraw.Draw(mask).multiline_text((0, 0), lines, 255, font=font, spacing=1)
    size = (inner[2] - inner[0] - 2, inner[3] - inner[1] - 2)
    draw.bitmap((inner[0] + 1, inner[1] + 1), mask.resize(size, Image.Resampling.LANCZOS), _INK)


def _wrap(
    draw: ImageDraw.ImageDraw,
    words: Sequence[str],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: float,
) -> str | None:
    """Lines no wider than ``width``, or None where a single word is; single letters are joined closely."""
    space = "" if all(len(word) == 1 for word in words) else " "
    lines: list[str] = []
    for word in words:
        if draw.textlength(word, font=font) > width:
            return None
        longer = f"{lines[-1]}{space}{word}" if lines else word
        if lines and draw.textlength(longer, font=font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
