"""Guesses by meaning for the words that the lexicon leaves over."""

from __future__ import annotations

from collections.abc import Iterator

from worldmodel.text.concepts import apply
from worldmodel.text.heads import Heads
from worldmodel.text.lexicon import FILLER
from worldmodel.text.reader import Reading

MOST_PIECES = 10
"""Of a prompt, in its order: each costs a run of the encoder, 1.5 ms on one core."""
_JOINTS = frozenset("and with where while when which as if".split())


def guess_rest(reading: Reading, heads: Heads) -> list[str]:
    """Add to ``reading`` what the heads make of its unread pieces; returns what was guessed, in words.

    Plain words come first: a guess about something that they name changes nothing, and is not reported.
    Raises ModelMissing or ModelCorrupt when there is something to guess and no encoder.
    """
    guesses = []
    unread = [piece for piece in _pieces(reading) if _left(reading, piece)]
    for piece in unread[:MOST_PIECES]:
        text = " ".join(reading.words[i] for i in piece)
        label = heads.guess(text)
        if label is not None and apply(label, reading):
            reading.used.update(piece)
            guesses.append(f'guessed: {label} ("{text}")')
    return guesses


def _left(reading: Reading, piece: list[int]) -> list[int]:
    return [i for i in piece if i not in reading.used and reading.words[i] not in FILLER]


def _pieces(reading: Reading) -> Iterator[list[int]]:
    """Indices of the words between commas and joints: one guess is made for each."""
    piece: list[int] = []
    for i, word in enumerate(reading.words):
        if piece and (word in _JOINTS or reading.clauses[i] != reading.clauses[piece[-1]]):
            yield piece
            piece = []
        if word not in ("and", "with"):
            piece.append(i)
    if piece:
        yield piece
