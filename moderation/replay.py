"""Playing a stored playthrough again: is it what it was?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moderation.pipeline import world_model
from moderation.store import open_store


class Impossible(ValueError):
    """A playthrough that cannot be played again; the message says why."""


@dataclass(frozen=True)
class Replayed:
    """What came of it."""

    playthrough: str
    world: str
    player: str
    seconds: float
    identical: bool
    within_tolerance: bool
    first_difference: int | None
    what: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        head = f"{self.playthrough} ({self.world}, {self.player}, {self.seconds:.1f} s)"
        if self.identical:
            return f"{head}: bit-identical"
        where = "" if self.first_difference is None else f" from step {self.first_difference}"
        close = ", as another kind of device may" if self.within_tolerance else ""
        return f"{head}: differs{where}{close}: {self.what}"


def replay(home: Path, playthrough: str, clip: Path | None = None) -> Replayed:
    """Regenerate a playthrough by its id (or how it begins) and compare; ``clip`` also keeps it as MP4.

    Raises NotFound, and Impossible where it was never recorded or its world model is not here.
    """
    from bots.clips import write_clip
    from bots.recorder import WrongWorld, regenerate, verify

    store = open_store(home)
    stored = store.find_playthrough(playthrough)
    row = store.exploration(stored.exploration)
    world, model = store.compile_version(row.version), world_model(row.model)
    try:
        found = verify(model, world, stored.playthrough)
        if clip is not None:
            write_clip(regenerate(model, world, stored.playthrough), clip)
    except (WrongWorld, ValueError) as error:
        raise Impossible(str(error)) from error
    play = stored.playthrough
    title = store.version(row.version).world
    return Replayed(play.id, title, play.player, play.seconds, **asdict(found))
