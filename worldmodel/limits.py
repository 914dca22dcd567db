"""How large a world package may be. Every limit of :mod:`worldmodel.package`, in one place."""

from __future__ import annotations

MEBIBYTE = 1024 * 1024

PACKAGE_BYTES = 32 * MEBIBYTE
"""All files together: as zipped, as unpacked, and once more after cleaning."""
PACKAGE_ENTRIES = 128
"""Files and folders in a package, counted before anything is read."""
PATH_CHARACTERS = 200
DOCUMENT_BYTES = 64 * 1024
"""Size of ``world.yaml``."""
DOCUMENT_NODES = 5_000
"""Values in ``world.yaml``, aliases expanded."""
DOCUMENT_DEPTH = 16

PICTURE_SIDE = 4096
PICTURE_PIXELS = 8_000_000
PACKAGE_PIXELS = 32_000_000
"""All pictures of a package together: 128 MB once decoded."""
VIDEO_SECONDS = 15.0
VIDEO_RATE = 120
"""Pictures per second, on average, that a video may have."""
VIDEO_WIDTH, VIDEO_HEIGHT = 1280, 720
VIDEO_KEPT_WIDTH, VIDEO_KEPT_HEIGHT = 640, 360
"""A larger video is scaled down to fit: 15 s at full size would need 620 MB of memory."""
SOUND_SECONDS = 60.0
SOUND_RATES = (8_000, 192_000)
"""Lowest and highest sample rate accepted, Hz."""
SOUND_CHANNELS = 8
EFFECT_SECONDS = 4.0
"""More of an effect's sound is not played."""

TITLE_CHARACTERS = 80
PROMPT_CHARACTERS = 1_000
SIGN_CHARACTERS = 60
NAME_CHARACTERS = 40
OBJECTS = 64
OBJECTS_OF_KIND = {"sign": 16, "character": 12, "lever": 12, "door": 8, "portal": 8}
SEED = 2**31 - 1
