"""Which moments are audited: drawn at random, and the same whenever a scan is repeated."""

from __future__ import annotations

import hashlib

import numpy as np

FRAME_SHARE, PLAY_SHARE = 1 / 400, 1 / 40
"""Of frames that are looked at, and of playthroughs that are listened to."""


def audited_steps(playthrough: str, frames: int, share: float = FRAME_SHARE) -> list[int]:
    """Frames of a playthrough to look at, the same on every run."""
    return np.flatnonzero(_chance(playthrough).random(frames) < share).tolist()


def listened_to(playthrough: str, share: float = PLAY_SHARE) -> bool:
    """Whether the whole sound of a playthrough is listened to."""
    return bool(_chance(f"sound of {playthrough}").random() < share)


def _chance(name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
