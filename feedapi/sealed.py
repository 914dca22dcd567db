"""Notes that clients carry and cannot change: a list in JSON with its HMAC-SHA-256 (RFC 2104) in base64url.

Whoever hands them out says by the key what a note is for, so that one kind never passes for another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

MAC_BYTES = 16


def sealed(key: bytes, note: list[Any]) -> str:
    """The note as a client carries it; 22 characters and four for every three bytes of it."""
    payload = json.dumps(note, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(key, payload) + payload).rstrip(b"=").decode()


def opened(key: bytes, text: str) -> list[Any] | None:
    """What was sealed with this key; None for anything else."""
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, payload = raw[:MAC_BYTES], raw[MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, payload)):
        return None
    note: list[Any] = json.loads(payload)
    return note


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, hashlib.sha256)[:MAC_BYTES]
