"""The play protocol's numbers for the browser: writes ``web/protocol.ts`` from :mod:`feedapi.wire`.

``python -m feedapi.wire_ts`` after a change of the protocol, then ``make web``; tests compare both files with
what these make.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from enum import IntEnum, IntFlag
from pathlib import Path

from feedapi import wire
from feedapi.session import WINDOW

TARGET = Path(__file__).parent / "web" / "protocol.ts"
_GETTERS = {"B": "Uint8", "H": "Uint16", "I": "Uint32", "f": "Float32", "d": "Float64"}
"""Of a DataView, by the letter that ``struct`` uses."""
_ENUMS: Mapping[str, type[IntEnum | IntFlag]] = {
    "KEY": wire.Key,
    "VIEW": wire.View,
    "KIND": wire.Kind,
    "CLOSE": wire.Close,
}
_NUMBERS = {
    "VERSION": wire.VERSION,
    "DONE_FLAG": wire.DONE_FLAG,
    "BESIDE_FLAG": wire.BESIDE_FLAG,
    "LAST_TICK": wire.LAST_TICK,
    "WINDOW": WINDOW,
}
_LAYOUTS: Mapping[str, tuple[struct.Struct, tuple[str, ...]]] = {
    "FRAME_HEADER": (wire.FRAME_HEADER, wire.FRAME_FIELDS),
    "BESIDE_HEADER": (wire.BESIDE_HEADER, wire.BESIDE_FIELDS),
    "KEYS_MESSAGE": (wire.KEYS_MESSAGE, ("kind", "held", "at")),
    "DRAWN_MESSAGE": (wire.DRAWN_MESSAGE, ("kind", "tick")),
    "VIEW_MESSAGE": (wire.VIEW_MESSAGE, ("kind", "view")),
    "REPORT_MESSAGE": (wire.REPORT_MESSAGE, ("kind",)),
}


def protocol_ts() -> str:
    """The module's text."""
    lines = ["// Made from feedapi/wire.py by `python -m feedapi.wire_ts`; change it there.", ""]
    lines += [f"export const {name} = {number};" for name, number in _NUMBERS.items()]
    for name, enum in _ENUMS.items():
        members = ", ".join(f"{member.name}: {member.value}" for member in enum)
        lines.append(f"export const {name} = {{ {members} }} as const;")
    for name, (packed, fields) in _LAYOUTS.items():
        places = layout(packed, fields)
        lines.append(f"export const {name} = {{")
        lines.append(f"  size: {packed.size},")
        lines.append("  fields: {")
        lines += [f"    {field}: {json.dumps(place)}," for field, place in places.items()]
        lines += ["  },", "} as const;"]
    return "\n".join(lines) + "\n"


def layout(packed: struct.Struct, fields: tuple[str, ...]) -> dict[str, tuple[int, str]]:
    """By field, its offset in bytes and a DataView's name of its type. Raises ValueError where one lacks."""
    places: list[tuple[int, str]] = []
    offset = 0
    for letter in packed.format.removeprefix("<"):
        if letter != "x":
            places.append((offset, _GETTERS[letter]))
        offset += struct.calcsize("<" + letter)
    return dict(zip(fields, places, strict=True))


if __name__ == "__main__":
    TARGET.write_text(protocol_ts(), encoding="utf-8")
