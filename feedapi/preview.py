"""What a world would become: what was understood, its map with everything on it, and how it plays."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi import APIRouter, WebSocket

from feedapi import services
from feedapi.arena import ArenaFull
from feedapi.drafts import UnknownDraft
from feedapi.play import close, converse, waker
from feedapi.problems import Problem
from feedapi.session import Ending
from feedapi.shapes import Change, PlacedItem, Preview, Zones
from feedapi.wire import Close

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from worldmodel.compiled import CompiledWorld
    from worldmodel.package import WorldPackage
    from worldmodel.spec import WorldSpec

router = APIRouter(prefix="/v1")

LASTS = 300.0
"""Seconds after which a preview stops, since its page may have been forgotten."""


def compiled(package: WorldPackage) -> CompiledWorld:
    """Problem: bad-package where no map can be made."""
    from worldmodel.board import LayoutError
    from worldmodel.compiler import compile_world

    try:
        return compile_world(package)
    except LayoutError as error:
        raise Problem("bad-package", str(error)) from None


def preview_of(spec: WorldSpec, world: CompiledWorld, play: str, changes: Sequence[Change]) -> Preview:
    """What a spec, compiled, has come to; ``play`` is where it can be played."""
    from feedapi.try_it import spoken
    from moderation.evidence import png
    from worldmodel.prompt import settings

    notes, settled = world.notes, settings(spec)
    picture = base64.b64encode(png(world.picture)).decode()
    return Preview(
        understood=notes.get("understood", []),
        inferred=notes.get("inferred", []),
        style=notes.get("style", []),
        values={name: one.value for name, one in settled.items()},
        origins={name: one.origin for name, one in settled.items()},
        plays=spoken(world.mechanics),
        map=f"data:image/png;base64,{picture}",
        placed=[
            PlacedItem(index=one.index, kind=one.kind, box=one.box) for one in world.placed if one.index >= 0
        ],
        zones=zones_of(world),
        changes=list(changes),
        play=play,
    )


def zones_of(world: CompiledWorld) -> Zones:
    """Parts of the way, by the steps that it takes to get there; other tiles go with the nearest on the way.

    :mod:`worldmodel.board` finds places by the same measures: what is put there will stand about there.
    """
    import numpy as np
    from scipy.ndimage import distance_transform_edt

    from worldmodel.board import NEAR_SPAWN
    from worldmodel.constants import UNITS

    steps, closed = _steps(world, opened=True), _steps(world, opened=False)
    letters = np.full(steps.shape, "f")
    letters[steps <= 2 / 3 * steps.max()] = "m"
    letters[steps <= 1 / 3 * steps.max()] = "n"
    letters[steps <= NEAR_SPAWN * UNITS / world.mechanics.speed] = "s"
    letters[closed < 0] = "d"
    nearest = distance_transform_edt(steps < 0, return_distances=False, return_indices=True)
    x, y = world.spawns[0].tolist()
    rows = ["".join(row) for row in letters[tuple(nearest)].tolist()]
    return Zones(columns=steps.shape[1], rows=rows, start=(x, y))


def _steps(world: CompiledWorld, *, opened: bool) -> NDArray[np.int32]:
    """(MAP_HEIGHT, MAP_WIDTH) steps from the start, -1 where there is no way; all doors open or closed."""
    import numpy as np

    from worldmodel.constants import Tile
    from worldmodel.travel import steps_from

    tiles = np.where(world.tiles == Tile.DOOR, Tile.DOOR_OPEN, world.tiles) if opened else world.tiles
    x, y = world.spawns[0].tolist()
    return steps_from(tiles.astype(np.uint8), world.mechanics, (x, y))


@router.websocket("/previews/{name}/play")
async def play(socket: WebSocket, name: str) -> None:
    """Play a draft, with the path that its preview gave."""
    await socket.accept()  # a refused handshake would hide the reason from the browser
    drafts = services.of(socket).drafts
    wake = asyncio.Event()
    try:
        session = drafts.join(name, waker(wake))
    except UnknownDraft as error:
        await close(socket, Ending(Close.BAD_TICKET, str(error)))
        return
    except ArenaFull:
        await close(socket, Ending(Close.TRY_AGAIN_LATER, "many look at their worlds now: try again soon"))
        return
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(converse(socket, session, drafts.arena, wake), LASTS)
            return
        await close(socket, Ending(Close.TRY_AGAIN_LATER, "a preview stops after five minutes"))
    finally:
        drafts.leave(session)
