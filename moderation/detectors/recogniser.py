"""One line of writing to text, by PP-OCRv6 (small, recognition)."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from moderation.detectors.sessions import open_session
from moderation.models import model_path

HEIGHT = 48
"""Pixels to which a line is scaled: what the network was trained on."""
NARROWEST, WIDEST = 64, 1600
"""Pixels of a line so scaled; a longer one is squeezed, which bounds time and memory."""
NEARLY = 0.2
"""Probability from which the second most likely character is given too: ``SLANT EVES``, .23 a Y."""
_IDEOGRAPHS = (0x2E80, 0xFFFF)
"""Code points of Chinese, Japanese and Korean writing, and of signs that textures are taken for."""

Pixels = NDArray[np.uint8]
Guess: TypeAlias = tuple[str, float]
"""A text and the mean probability of its characters."""


class Recogniser:
    """Reads lines one by one, each at its own width: padding to a common one costs more than it saves."""

    def __init__(self) -> None:
        self._session = open_session(model_path("ocr-recognition"))
        listed = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = ["", *listed, " "]
        self._ideographs = np.array([_is_ideograph(char) for char in self._characters])

    def __call__(self, line: Pixels) -> list[Guess]:
        """What a line (H, W, 3) BGR says; then, where another character was nearly as likely, with those.

        A few ideographs among Latin letters are textures: such a line is read once more without them.
        """
        (chances,) = self._session.run(None, {"x": _prepared(line)})[0]
        guesses = self._decoded(chances)
        text = guesses[0][0]
        strange = sum(map(_is_ideograph, text))
        if 0 < strange < sum(char.isalpha() for char in text) - strange:
            chances[:, self._ideographs] = 0
            guesses = self._decoded(chances)
        return guesses

    def _decoded(self, chances: NDArray[np.float32]) -> list[Guess]:
        """Greedy CTC: equal neighbours are one character, class 0 is none. ``chances`` (T, classes)."""
        best = chances.argmax(axis=1)
        begins = np.flatnonzero((best != 0) & (best != np.concatenate([[0], best[:-1]])))
        first = best[begins]
        if not len(begins):
            return [("", 0.0)]
        rows = chances[begins]
        likely = rows[np.arange(len(begins)), first]
        rows[np.arange(len(begins)), first] = 0
        rows[:, 0] = 0
        second = rows.argmax(axis=1)
        other = rows.max(axis=1) >= NEARLY
        guesses = [self._guess(first, likely)]
        if other.any():
            guess = self._guess(np.where(other, second, first), np.where(other, rows.max(axis=1), likely))
            guesses += [guess] if guess[0].casefold() != guesses[0][0].casefold() else []
        return guesses

    def _guess(self, classes: NDArray[np.int64], likely: NDArray[np.float32]) -> Guess:
        text = "".join(self._characters[i] for i in classes).strip()
        return _capital_i(text), float(likely.mean())


def _capital_i(text: str) -> str:
    """An ``l`` among capitals is an ``I``."""
    cased = [char for char in text if char.isalpha() and char != "l"]
    return text.replace("l", "I") if len(cased) > 1 and all(map(str.isupper, cased)) else text


def _is_ideograph(char: str) -> bool:
    return bool(char) and _IDEOGRAPHS[0] <= ord(char[0]) <= _IDEOGRAPHS[1]


def _prepared(line: Pixels) -> NDArray[np.float32]:
    """(1, 3, HEIGHT, W) in -1..1, a short line padded with grey."""
    import cv2

    width = min(WIDEST, max(1, math.ceil(line.shape[1] * HEIGHT / line.shape[0])))
    scaled = np.asarray(cv2.resize(line, (width, HEIGHT)), np.float32).transpose(2, 0, 1) / 127.5 - 1
    batch: Any = np.zeros((1, 3, HEIGHT, max(NARROWEST, width)), np.float32)
    batch[0, :, :, :width] = scaled
    return np.asarray(batch, np.float32)
