"""Pictures that are known to be bad, by perceptual hash against banks that operators load.

Uploaded media are compared whole. A frame of play is only compared as a whole, too: a known picture on a sign
is some pixels of it, and hashing every part of every frame would cost far more than it finds. That is what
intake is for: whatever a sign shows was uploaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from moderation.banks import Bank, Banks, BankState, Entry, entry_of
from moderation.detectors.base import Detection, Detector, DetectorCard, Picture
from moderation.pdq import MATCH, QUALITY, WORDS, Hash, pdq_turned

CHUNK = 1 << 16
"""Hashes compared at once: half a megabyte for each word, which the cache holds."""
SMALL, ENLARGED = 256, 512
"""Pixels of the shorter side. A smaller picture is compared enlarged, too: of pictures like photographs at a
third of 256 pixels, 41 % were found as they are, and all of them enlarged."""
TURNS = 8
LABELS = {BankState.ACTIVE: "known_bad", BankState.REVIEW_ONLY: "known_review"}


class Known(Detector[Picture]):
    """``known_bad`` for banks that are active, ``known_review`` for those that a person is to judge.

    The score is 1 where no bit differs and 0.5 where 31 of 256 do, the most that is taken for the same
    picture. ``text`` names the bank and the entry. A picture is also compared turned by quarters and
    mirrored. One with too little in it (quality 49 or less) is not compared. Banks that were changed are read
    again; without any the detector does nothing. The card names what the banks held when the detector was
    made, so that a review after a change looks again.
    """

    card = DetectorCard(
        name="known",
        version="1",
        modality="picture",
        labels=tuple(LABELS.values()),
        licence="Apache-2.0",
        recall_source="depends on the banks; for altered copies see docs/models.md",
        cost_ms=1.0,
    )

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__()
        self._banks = Banks(folder)
        if sha256 := self._banks.sha256:
            self.card = replace(self.card, shipped=(("banks", sha256),))

    def load(self) -> None:
        self._current = _Current(self._banks)

    def predict(self, batch: Sequence[Picture]) -> list[list[Detection]]:
        index = self._current.index()
        if not len(index):
            return [[] for _ in batch]
        return [_found(picture, index) for picture in batch]


@dataclass(frozen=True)
class Match:
    """A known picture that one looks like."""

    bank: str
    state: BankState
    entry: Entry
    distance: int
    """Bits of 256 that differ."""
    turned: bool
    """Whether the picture had to be turned or mirrored for it."""


class Index:
    """Hashes of several banks, to find those near a picture's."""

    def __init__(self, banks: Sequence[Bank]) -> None:
        """Raises ``moderation.banks.BankError`` for a bank that cannot be read."""
        lines = [bank.lines() for bank in banks]
        self._banks = banks
        self._lines = [line for some in lines for line in some]
        self._ends = np.cumsum([len(some) for some in lines], dtype=np.int64)
        digits = "".join(line[:64] for line in self._lines)
        # One row for each word, so that a look at two words runs through memory in order.
        self._words = np.ascontiguousarray(
            np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64).reshape(-1, WORDS).T
        )

    def __len__(self) -> int:
        return len(self._lines)

    def near(self, turned: Hash) -> list[Match]:
        """Entries that a picture with these hashes (N, 4) looks like, nearest first.

        Each first of ``TURNS`` hashes is of the picture as it is, the others are of it turned or mirrored
        (:func:`hashes_of`).
        """
        best: dict[int, tuple[int, bool]] = {}
        for number, hash_ in enumerate(turned):
            for row, distance in self._within(hash_):
                if row not in best or distance < best[row][0]:
                    best[row] = distance, number % TURNS > 0
        found = sorted(best.items(), key=lambda item: (item[1], item[0]))
        return [self._match(row, distance, turn) for row, (distance, turn) in found]

    def _within(self, hash_: Hash) -> Iterator[tuple[int, int]]:
        for start in range(0, len(self), CHUNK):
            words = self._words[:, start : start + CHUNK]
            # Of unrelated pictures half the bits differ: two words of four tell nearly all of them apart.
            some = _differing(words[:2], hash_[:2])
            rows = np.flatnonzero(some <= MATCH)
            counts = some[rows] + _differing(words[2:, rows], hash_[2:])
            for row, count in zip(rows, counts, strict=True):
                if count <= MATCH:
                    yield start + int(row), int(count)

    def _match(self, row: int, distance: int, turned: bool) -> Match:
        bank = self._banks[int(np.searchsorted(self._ends, row, side="right"))]
        return Match(bank.name, bank.state, entry_of(self._lines[row]), distance, turned)


class _Current:
    """The index of banks as they are now; shared by threads."""

    def __init__(self, banks: Banks) -> None:
        self._banks = banks
        self._lock = Lock()
        self._stamp: list[tuple[Path, int, int]] | None = None
        self.index()

    def index(self) -> Index:
        """Read again where a bank was added, changed, moved or removed."""
        with self._lock:
            banks = self._banks.compared()
            stats = [(bank.path, bank.path.stat()) for bank in banks]
            stamp = [(path, stat.st_mtime_ns, stat.st_size) for path, stat in stats]
            if stamp != self._stamp:
                self._index, self._stamp = Index(banks), stamp
            return self._index


def _differing(words: NDArray[np.uint64], hash_: Hash) -> NDArray[np.uint8]:
    """(N,): bits in which two words (2, N) differ from those of a hash; at most 128."""
    counts: NDArray[np.uint8] = np.bitwise_count(words[0] ^ hash_[0]) + np.bitwise_count(words[1] ^ hash_[1])
    return counts


def hashes_of(pixels: NDArray[np.uint8]) -> tuple[Hash, int]:
    """All hashes (N, 4) that a picture (H, W, 3) is looked up by, and its quality 0..100."""
    import cv2

    hashes, quality = pdq_turned(pixels)
    side = min(pixels.shape[:2])
    if side >= SMALL or quality <= QUALITY:
        return hashes, quality
    factor = ENLARGED / side
    large = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.concatenate([hashes, pdq_turned(np.asarray(large, np.uint8))[0]]), quality


def _found(picture: Picture, index: Index) -> list[Detection]:
    hashes, quality = hashes_of(picture.pixels)
    if quality <= QUALITY:
        return []
    nearest: dict[str, Match] = {}
    for match in index.near(hashes):
        nearest.setdefault(match.bank, match)
    return [_detection(match, picture.at) for match in nearest.values()]


def _detection(match: Match, at: float) -> Detection:
    entry = match.entry
    told = f"bank {match.bank}, entry {entry.id or entry.hash[:16]}"
    if entry.category:
        told += f" ({entry.category})"
    told += f": {match.distance} of 256 bits differ" + (", turned or mirrored" if match.turned else "")
    return Detection(LABELS[match.state], 1 - match.distance / (2 * MATCH), at, at, None, told)
