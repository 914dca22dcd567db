"""What a world would become, without playing it: what was understood, and its whole map as a picture."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from feedapi.problems import Problem
from feedapi.shapes import Preview

if TYPE_CHECKING:
    from worldmodel.package import WorldPackage

_VALUE = re.compile(r"([a-z_]+) (-?\d+(?:\.\d+)?)$")
"""How a note ends that sets a mechanic: ``low gravity: gravity 0.45``."""


def preview_of(package: WorldPackage) -> Preview:
    """Compile it and say what it came to. Problem: bad-package where no map can be made."""
    from moderation.evidence import png
    from worldmodel.board import LayoutError
    from worldmodel.compiler import compile_world

    try:
        world = compile_world(package)
    except LayoutError as error:
        raise Problem("bad-package", str(error)) from None
    notes = world.notes
    picture = base64.b64encode(png(world.picture)).decode()
    return Preview(
        understood=notes.get("understood", []),
        inferred=notes.get("inferred", []),
        style=notes.get("style", []),
        values=_values([*notes.get("inferred", []), *notes.get("understood", [])]),
        map=f"data:image/png;base64,{picture}",
    )


def _values(notes: list[str]) -> dict[str, float]:
    found = (_VALUE.search(note) for note in notes)
    return {match[1]: float(match[2]) for match in found if match}
