"""The play protocol: what goes over the WebSocket of a live session, byte for byte.

From the server, binary: one frame message per tick that was sent (:data:`FRAME_HEADER`, then a JPEG, then
the tick's sound as int16 samples, left out when silent). From the server, text: JSON notices.
From the client, binary: :data:`KEYS` (which keys are held) and :data:`DRAWN` (a frame was drawn).
All numbers are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag

VERSION = 1
FRAME_HEADER = struct.Struct("<BBHIdfffBBHII")
"""version, flags, events (bit n: ``worldmodel.constants.Event`` n), tick, echo of the client's input
timestamp (ms, 0: no new input), ms that input waited for the tick, ms of the model's step, ms of encoding,
health, keys, coins, bytes of the JPEG, bytes of the sound."""
KEYS_MESSAGE = struct.Struct("<BBd")
"""kind, keys held (bits of :class:`Key`), the client's clock in ms."""
DRAWN_MESSAGE = struct.Struct("<BI")
"""kind, tick of the newest frame on the canvas."""
DONE_FLAG = 1
"""The goal was reached; the world starts again in a moment."""


class Kind(IntEnum):
    """First byte of a message from the client."""

    KEYS = 1
    DRAWN = 2


class Key(IntFlag):
    """What a player can hold down."""

    LEFT = 1
    RIGHT = 2
    UP = 4
    DOWN = 8
    INTERACT = 16


ALL_KEYS = Key.LEFT | Key.RIGHT | Key.UP | Key.DOWN | Key.INTERACT


class Close(IntEnum):
    """WebSocket close codes of this protocol (RFC 6455 section 7.4; 4000 and up are the application's)."""

    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013
    BAD_MESSAGE = 4400
    BAD_TICKET = 4401
    NOT_PUBLISHED = 4404


class BadMessage(ValueError):
    """The client sent bytes that are no message of this protocol."""


@dataclass(frozen=True)
class Keys:
    """Which keys are held, and when that was so on the client's clock (ms)."""

    held: Key
    at: float


@dataclass(frozen=True)
class Drawn:
    """The newest tick on the player's canvas."""

    tick: int


@dataclass(frozen=True)
class Frame:
    """One tick as a player gets it."""

    tick: int
    jpeg: bytes
    sound: bytes
    """int16 samples, empty when silent."""
    events: int = 0
    done: bool = False
    echo: float = 0.0
    waited_ms: float = 0.0
    step_ms: float = 0.0
    encode_ms: float = 0.0
    health: int = 0
    keys: int = 0
    coins: int = 0

    def packed(self) -> bytes:
        flags = DONE_FLAG if self.done else 0
        head = FRAME_HEADER.pack(
            VERSION,
            flags,
            self.events,
            self.tick,
            self.echo,
            self.waited_ms,
            self.step_ms,
            self.encode_ms,
            self.health,
            self.keys,
            self.coins,
            len(self.jpeg),
            len(self.sound),
        )
        return head + self.jpeg + self.sound

    def after(self, dropped: Frame) -> Frame:
        """This frame, also reporting what an earlier one that is not sent had to report."""
        told = replace(self, events=self.events | dropped.events)
        return told if self.echo else replace(told, echo=dropped.echo, waited_ms=dropped.waited_ms)

    @classmethod
    def unpacked(cls, data: bytes) -> Frame:
        """The inverse of :meth:`packed`. Raises BadMessage."""
        if len(data) < FRAME_HEADER.size:
            raise BadMessage(f"{len(data)} bytes are too few for a frame")
        version, flags, events, tick, echo, *rest = FRAME_HEADER.unpack_from(data)
        waited, step, encode, health, keys, coins, jpeg_size, sound_size = rest
        if version != VERSION or len(data) != FRAME_HEADER.size + jpeg_size + sound_size:
            raise BadMessage("the frame's sizes do not add up")
        start = FRAME_HEADER.size
        return cls(
            tick=tick,
            jpeg=data[start : start + jpeg_size],
            sound=data[start + jpeg_size :],
            events=events,
            done=bool(flags & DONE_FLAG),
            echo=echo,
            waited_ms=waited,
            step_ms=step,
            encode_ms=encode,
            health=health,
            keys=keys,
            coins=coins,
        )


def parse(data: bytes) -> Keys | Drawn:
    """A message from the client. Raises BadMessage."""
    kind = data[0] if data else 0
    if kind == Kind.KEYS and len(data) == KEYS_MESSAGE.size:
        _, held, at = KEYS_MESSAGE.unpack(data)
        if held <= ALL_KEYS:
            return Keys(Key(held), at)
    if kind == Kind.DRAWN and len(data) == DRAWN_MESSAGE.size:
        return Drawn(DRAWN_MESSAGE.unpack(data)[1])
    raise BadMessage(f"{len(data)} bytes of kind {kind} are no message of this protocol")
