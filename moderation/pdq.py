"""PDQ, the perceptual hash of Meta's ThreatExchange: 256 bits that stay nearly the same when a picture is
scaled, compressed, slightly cropped or coloured otherwise.

A picture's luma is blurred twice by boxes of a 128th of its size, sampled at 64 x 64 places and transformed
by a DCT; each of the 16 x 16 lowest frequencies but the constant ones is 1 where it is above their median.
Two pictures are taken for the same when at most 31 of the bits differ; a picture whose *quality* (how much
gradient there is) is 49 or less has too little in it to be told from others.

Written from the published description, https://github.com/facebook/ThreatExchange/tree/main/pdq; the bits and
their order are those of the reference, so that banks of others can be used.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MATCH = 31
"""Bits of 256 that may differ."""
QUALITY = 49
"""A hash of this quality or less is not used."""
WORDS = 4
"""Of 64 bits."""

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)
_SIDE, _KEPT = 64, 16

Plane = NDArray[np.float32]
Hash = NDArray[np.uint64]
"""(4,): the 256 bits from the highest frequency to the lowest."""


def pdq(pixels: NDArray[np.uint8]) -> tuple[Hash, int]:
    """Hash (4,) and quality 0..100 of a picture (H, W, 3) RGB."""
    luma = _luma(pixels)
    small = (_sampler(luma.shape[0]) @ luma @ _sampler(luma.shape[1]).T).astype(np.float32)
    return _bits(small), _quality(small)


def pdq_turned(pixels: NDArray[np.uint8]) -> tuple[Hash, int]:
    """Hashes (8, 4) of a picture (H, W, 3) as it is, turned by quarters and mirrored; and its quality."""
    luma = _luma(pixels)
    rows, columns = _sampler(luma.shape[0]), _sampler(luma.shape[1])
    # Each is sampled anew: the windows are not symmetric, so that signs of frequencies would only come close.
    banded = [rows @ luma, rows[:, ::-1] @ luma]
    smalls = [(band @ side.T).astype(np.float32) for band in banded for side in (columns, columns[:, ::-1])]
    return np.stack([_bits(one) for small in smalls for one in (small, small.T)]), _quality(smalls[0])


def to_hex(hash_: Hash) -> str:
    """64 digits, as banks write it."""
    return "".join(f"{int(word):016x}" for word in hash_)


def from_hex(digits: str) -> Hash:
    """The reverse of :func:`to_hex`. Raises ValueError for anything but 64 hexadecimal digits."""
    if len(digits) != _KEPT * _KEPT // 4:
        raise ValueError(f"a PDQ hash has 64 hexadecimal digits, not {len(digits)}: {digits[:80]!r}")
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)


def _luma(pixels: NDArray[np.uint8]) -> Plane:
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"a picture must be (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")
    return (pixels @ _LUMA).astype(np.float32)


@lru_cache(maxsize=64)
def _sampler(size: int) -> Plane:
    """(64, size): takes the twice blurred values at 64 places along an axis of ``size`` pixels."""
    window = -(-size // (2 * _SIDE))
    right = (window + 2) // 2
    left = window - right

    def box(at: int) -> slice:
        return slice(max(0, at - left), min(size, at + right))

    rows = np.zeros((_SIDE, size))
    for row, place in zip(rows, ((np.arange(_SIDE) + 0.5) * size / _SIDE).astype(int), strict=True):
        around = range(size)[box(int(place))]
        for at in around:
            inner = box(at)
            row[inner] += 1 / len(around) / (inner.stop - inner.start)
    return rows.astype(np.float32)


@lru_cache(maxsize=1)
def _dct() -> Plane:
    """(16, 64): the lowest frequencies but the constant one."""
    places, waves = np.arange(_SIDE), np.arange(1, _KEPT + 1)[:, None]
    table = np.sqrt(2 / _SIDE) * np.cos(np.pi / (2 * _SIDE) * waves * (2 * places + 1))
    return np.asarray(table, np.float32)


def _quality(small: Plane) -> int:
    steps = [np.abs(np.trunc(np.diff(small, axis=axis) * 100 / 255)).sum() for axis in (0, 1)]
    return min(100, int(sum(steps) / 90))


def _bits(small: Plane) -> Hash:
    spectrum = (_dct() @ small @ _dct().T).ravel()
    # The lower of the two middle values, as the reference takes it.
    median = np.partition(spectrum, spectrum.size // 2 - 1)[spectrum.size // 2 - 1]
    return np.packbits((spectrum > median)[::-1]).view(">u8").astype(np.uint64)
