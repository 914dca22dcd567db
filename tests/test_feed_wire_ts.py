"""The browser's protocol is the server's."""

from __future__ import annotations

import re
import struct

import pytest

from feedapi import wire_ts
from feedapi.wire import FRAME_FIELDS, FRAME_HEADER


def test_the_browsers_module_is_what_the_protocol_makes() -> None:
    assert wire_ts.TARGET.read_text(encoding="utf-8") == wire_ts.protocol_ts(), (
        "the protocol has changed: run `python -m feedapi.wire_ts`"
    )


def test_offsets_are_those_at_which_the_server_packs() -> None:
    packed = FRAME_HEADER.pack(2, 1, 3, 70000, 5.5, 1.0, 2.0, 3.0, 1, 2, 3, 4, 5, 6, 7)

    offset, kind = wire_ts.layout(FRAME_HEADER, FRAME_FIELDS)["tick"]

    assert kind == "Uint32"
    assert struct.unpack_from("<I", packed, offset) == (70000,)


def test_a_field_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        wire_ts.layout(FRAME_HEADER, FRAME_FIELDS[:-1])


def test_no_script_has_numbers_of_the_protocol_of_its_own() -> None:
    """Close codes and kinds come from the module that is made."""
    for script in wire_ts.TARGET.parent.glob("*.ts"):
        if script != wire_ts.TARGET:
            assert not re.search(r"\b44\d\d\b|\b4503\b", script.read_text(encoding="utf-8")), script.name
