"""The installation's one secret, from which every other is derived.

It comes from ``$FIRSTPLAY_SECRET`` (32 bytes or more in base64), which the processes of one installation
share across machines, or from a file that the first start makes under the home folder.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path

VARIABLE = "FIRSTPLAY_SECRET"
BYTES = 32


class BadSecret(ValueError):
    """``$FIRSTPLAY_SECRET`` is no secret."""


def load_secret(home: Path) -> bytes:
    """The secret of the environment, else of the folder, made when missing. Raises BadSecret."""
    given = os.environ.get(VARIABLE)
    if given:
        return _decoded(given)
    path = home / "secret.key"
    home.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"secret.key.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(BYTES))
            os.link(draft, path)  # atomic, and fails when another process was first
        except FileExistsError:
            pass  # the other process's secret is as good
        finally:
            draft.unlink(missing_ok=True)
    return path.read_bytes()


def derived(secret: bytes, purpose: str) -> bytes:
    """A secret of its own for one purpose: knowing it tells nothing of the others."""
    return hmac.new(secret, purpose.encode(), hashlib.sha256).digest()


def _decoded(given: str) -> bytes:
    try:
        secret = base64.b64decode(given, validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) < BYTES:
        raise BadSecret(
            f"{VARIABLE} must be {BYTES} bytes or more in base64: "
            f"python -c 'import os, base64; print(base64.b64encode(os.urandom({BYTES})).decode())'"
        )
    return secret
