"""The play protocol: what goes over the WebSocket of a live session, byte for byte.

From the server, binary: one frame message per tick that was sent (:data:`FRAME_HEADER`, then a picture, then
the tick's sound as int16 samples, left out when silent, then, where it was asked for, what the simulator
shows of the same tick: :data:`BESIDE_HEADER` and two JPEGs). The picture is a JPEG or, for whoever asked for
it when connecting, the next access unit of an H.264 stream (Annex B). From the server, text: JSON notices.
From the client, binary: :data:`KEYS_MESSAGE` (which keys are held), :data:`DRAWN_MESSAGE` (a frame was
drawn), :data:`VIEW_MESSAGE` (what to show beside the frame), :data:`REPORT_MESSAGE` (the player reports
what is on screen) and :data:`KEY_FRAME_MESSAGE` (the stream could not be decoded).
All numbers are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from enum import IntEnum, IntFlag, StrEnum
from typing import TYPE_CHECKING

from worldmodel.constants import SAMPLES_PER_STEP

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION = 2
FRAME_HEADER = struct.Struct("<BBHIdfffBBHIIII")
"""version, flags, events (bit n: ``worldmodel.constants.Event`` n), tick, echo of the client's input
timestamp (ms, 0: no new input), ms that input waited for the tick, ms of the model's step, ms of encoding,
health, keys, coins, score, steps since the spawn, bytes of the picture, bytes of the sound."""
FRAME_FIELDS = (
    "version", "flags", "events", "tick", "echo", "waitedMs", "stepMs", "encodeMs",
    "health", "keys", "coins", "score", "step", "jpegSize", "soundSize",
)  # fmt: skip
"""Names of the header's numbers, as the browser calls them."""
BESIDE_HEADER = struct.Struct("<ffIIHxxII")
"""PSNR in dB (60: equal frames), tiles between both players, steps in which they were within half a tile,
steps compared, the simulator's events, bytes of its JPEG, bytes of the difference's JPEG."""
BESIDE_FIELDS = ("psnr", "apart", "agreed", "steps", "events", "jpegSize", "differenceSize")
KEYS_MESSAGE = struct.Struct("<BBd")
"""kind, keys held (bits of :class:`Key`), the client's clock in ms."""
DRAWN_MESSAGE = struct.Struct("<BI")
"""kind, tick of the newest frame on the canvas."""
VIEW_MESSAGE = struct.Struct("<BB")
"""kind, what to show (bits of :class:`View`)."""
REPORT_MESSAGE = struct.Struct("<B")
"""kind: the player reports what is on screen."""
KEY_FRAME_MESSAGE = struct.Struct("<B")
"""kind: the next picture must be one that needs no other."""
DONE_FLAG = 1
"""The goal was reached; the world starts again in a moment."""
BESIDE_FLAG = 2
"""The simulator's part follows."""
VIDEO_FLAG = 4
"""The picture is of an H.264 stream."""
KEY_FLAG = 8
"""It needs no picture before it."""
VIDEO_CODEC = "avc1.42C01E"
"""The stream's codec string (RFC 6381): constrained baseline, level 3."""


class Kind(IntEnum):
    """First byte of a message from the client."""

    KEYS = 1
    DRAWN = 2
    VIEW = 3
    REPORT = 4
    KEY_FRAME = 5


class Codec(StrEnum):
    """How pictures are sent; the client asks for one when it connects."""

    JPEG = "jpeg"
    H264 = "h264"


class Key(IntFlag):
    """What a player can hold down."""

    LEFT = 1
    RIGHT = 2
    UP = 4
    DOWN = 8
    INTERACT = 16


class View(IntFlag):
    """What the player wants to see besides the frame. Only ``firstplay play`` has a simulator at hand."""

    BESIDE = 1
    LINE_UP = 2
    """Once: the simulator goes on from the model's state."""


ALL_KEYS = Key.LEFT | Key.RIGHT | Key.UP | Key.DOWN | Key.INTERACT


class Close(IntEnum):
    """WebSocket close codes of this protocol (RFC 6455 section 7.4; 4000 and up are the application's)."""

    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013
    BAD_MESSAGE = 4400
    BAD_TICKET = 4401
    GUARDED = 4403
    """The guard saw what the policy does not allow."""
    NOT_PUBLISHED = 4404
    UNGUARDED = 4503
    """The guard has failed, so nobody may play."""


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
class Report:
    """The player reports what is on screen."""


@dataclass(frozen=True)
class KeyFrame:
    """The player's decoder needs a picture that stands alone."""


@dataclass(frozen=True)
class Video:
    """One picture of an H.264 stream."""

    data: bytes
    key: bool
    """It needs no picture before it."""


@dataclass(frozen=True)
class Beside:
    """What the simulator makes of the same tick, and how far the model's is from it."""

    jpeg: bytes
    difference: bytes
    """JPEG of how much the frames differ."""
    psnr: float
    apart: float
    agreed: int
    steps: int
    events: int = 0

    def packed(self) -> bytes:
        sizes = len(self.jpeg), len(self.difference)
        head = BESIDE_HEADER.pack(self.psnr, self.apart, self.agreed, self.steps, self.events, *sizes)
        return head + self.jpeg + self.difference

    @classmethod
    def unpacked(cls, data: bytes) -> Beside:
        """The inverse of :meth:`packed`. Raises BadMessage."""
        start = BESIDE_HEADER.size
        if len(data) < start:
            raise BadMessage(f"{len(data)} bytes are too few for a simulator's part")
        psnr, apart, agreed, steps, events, first, second = BESIDE_HEADER.unpack_from(data)
        if len(data) != start + first + second:
            raise BadMessage("the sizes of the simulator's part do not add up")
        return cls(data[start : start + first], data[start + first :], psnr, apart, agreed, steps, events)


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
    score: int = 0
    step: int = 0
    beside: Beside | None = None
    picture: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)
    """(H, W, 3) RGB, for a socket that encodes it; not sent as it is."""
    video: Video | None = None
    """Sent in place of the JPEG."""

    def packed(self) -> bytes:
        flags = (DONE_FLAG if self.done else 0) | (BESIDE_FLAG if self.beside else 0)
        picture = self.jpeg
        if self.video is not None:
            picture = self.video.data
            flags |= VIDEO_FLAG | (KEY_FLAG if self.video.key else 0)
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
            self.score,
            self.step,
            len(picture),
            len(self.sound),
        )
        return head + picture + self.sound + (self.beside.packed() if self.beside else b"")

    def after(self, dropped: Frame) -> Frame:
        """This frame, also reporting what an earlier one that is not sent had to report."""
        sound = joined_sound(dropped.sound, self.sound)
        told = replace(self, events=self.events | dropped.events, sound=sound)
        if self.beside and dropped.beside:
            simulated = self.beside.events | dropped.beside.events
            told = replace(told, beside=replace(self.beside, events=simulated))
        return told if self.echo else replace(told, echo=dropped.echo, waited_ms=dropped.waited_ms)

    @classmethod
    def unpacked(cls, data: bytes) -> Frame:
        """The inverse of :meth:`packed`. Raises BadMessage."""
        if len(data) < FRAME_HEADER.size:
            raise BadMessage(f"{len(data)} bytes are too few for a frame")
        version, flags, events, tick, echo, *rest = FRAME_HEADER.unpack_from(data)
        waited, model, encode, health, keys, coins, score, step, picture_size, sound_size = rest
        start = FRAME_HEADER.size
        end = start + picture_size + sound_size
        beside = bool(flags & BESIDE_FLAG)
        if version != VERSION or len(data) < end or (len(data) > end and not beside):
            raise BadMessage("the frame's sizes do not add up")
        picture = data[start : start + picture_size]
        video = Video(picture, bool(flags & KEY_FLAG)) if flags & VIDEO_FLAG else None
        return cls(
            tick=tick,
            jpeg=b"" if video else picture,
            video=video,
            sound=data[start + picture_size : end],
            events=events,
            done=bool(flags & DONE_FLAG),
            echo=echo,
            waited_ms=waited,
            step_ms=model,
            encode_ms=encode,
            health=health,
            keys=keys,
            coins=coins,
            score=score,
            step=step,
            beside=Beside.unpacked(data[end:]) if beside else None,
        )


TICK_BYTES = 2 * SAMPLES_PER_STEP
MOST_SOUND = 6 * TICK_BYTES
"""Of ticks whose frames were not sent; more would play after the picture has gone on."""


def joined_sound(earlier: bytes, later: bytes) -> bytes:
    """The sound of several ticks in one message; a silent one takes its time."""
    if not earlier and not later:
        return b""
    return ((earlier or bytes(TICK_BYTES)) + (later or bytes(TICK_BYTES)))[-MOST_SOUND:]


def blank_frame() -> Frame:
    """A frame without a picture: the canvas goes dark, and nothing is heard."""
    return Frame(tick=LAST_TICK, jpeg=b"", sound=b"")


LAST_TICK = 2**32 - 1
"""Newer than any other."""


def parse(data: bytes) -> Keys | Drawn | View | Report | KeyFrame:
    """A message from the client. Raises BadMessage."""
    kind = data[0] if data else 0
    if kind == Kind.KEYS and len(data) == KEYS_MESSAGE.size:
        _, held, at = KEYS_MESSAGE.unpack(data)
        if held <= ALL_KEYS:
            return Keys(Key(held), at)
    if kind == Kind.DRAWN and len(data) == DRAWN_MESSAGE.size:
        return Drawn(DRAWN_MESSAGE.unpack(data)[1])
    if kind == Kind.VIEW and len(data) == VIEW_MESSAGE.size and data[1] <= View.BESIDE | View.LINE_UP:
        return View(data[1])
    if kind == Kind.REPORT and len(data) == REPORT_MESSAGE.size:
        return Report()
    if kind == Kind.KEY_FRAME and len(data) == KEY_FRAME_MESSAGE.size:
        return KeyFrame()
    raise BadMessage(f"{len(data)} bytes of kind {kind} are no message of this protocol")
