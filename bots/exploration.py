"""What exploration is given and what it gives: budgets, progress and results."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bots import storage
from bots.coverage import CoverageStats
from bots.legacy import Legacy
from bots.recording import Playthrough

ARMS = ("search", "sample")
UNBOUNDED = 2**53
"""Steps that no search ever plays."""


_MAY_BE_NONE = {"sample_episodes", "floor", "evidence_playthroughs", "evidence_steps", "tuning_steps"}


@dataclass(frozen=True)
class Budget:
    """How much to play, and how much of it to record. Steps are counted over all rows of a batch."""

    search_steps: int = 60_000
    """Of the search arm at most; :data:`UNBOUNDED` where ``search_seconds`` alone shall end it."""
    sample_episodes: int = 32
    episode_steps: int = 300
    """Length of a sample episode, and of a persona's: 20 seconds."""
    batch: int = 128
    """Rows that play at once in the search arm."""
    floor: float = 2.0
    """New cells per 1,000 steps under which the search has settled and stops."""
    window: int = 15_000
    """Steps over which that rate is taken; the search never stops sooner."""
    round_steps: int = 48
    """Steps to explore after each return to the archive."""
    path_steps: int = 900
    """Longest path that is explored on from: a minute."""
    evidence_playthroughs: int = 24
    """Most search playthroughs that are recorded only to show scenes."""
    evidence_steps: int = 6_000
    """Most steps of all of those together."""
    search_seconds: float | None = None
    """Wall time of the search arm at most, over all tries of an interrupted one. What is played in a given
    time is not the same twice, so only a search that ends by steps or by settling can be repeated."""

    tuning_steps: int = 0
    """Steps of the search in which the generalist is tuned on this world, once few new cells are found and at
    least twice as many steps are left. 0, for never: up to 120,000 steps it has not paid."""

    def __post_init__(self) -> None:
        if self.search_seconds is not None and self.search_seconds <= 0:
            raise ValueError(f"budget: search_seconds is {self.search_seconds}, it must be above 0, or none")
        for name, value in asdict(self).items():
            if name == "search_seconds":
                continue
            lowest = 0 if name in _MAY_BE_NONE else 1
            if value < lowest:
                raise ValueError(f"budget: {name} is {value}, it must be at least {lowest}")


@dataclass(frozen=True)
class Progress:
    """How far exploration is, for a progress bar."""

    arm: str
    """``search`` or ``sample``."""
    done: int
    """Steps of the search arm, or episodes of the sample arm."""
    total: int
    cells: int
    """Cells found so far by this arm."""
    strategy: str = ""
    """Who of the search arm is at play: ``personas``, or the arm with most rows and its share of them."""
    spent: float = 0.0
    """Share 0..1 of the arm's budget that is spent, in steps or in seconds, whichever is more."""


@dataclass(frozen=True)
class Happening:
    """The first time that something happened: the evidence that it can."""

    event: str
    """Name of the event, lower case: ``lever``."""
    link: int
    """Link id of the lever, door, portal or character (for speech 1 + the clip); 0 where it has none."""
    playthrough: str
    """Id of the search playthrough that shows it."""
    step: int
    """Number of the action that caused it."""


@dataclass(frozen=True)
class Sight:
    """How near play came to an object that the creator placed."""

    index: int
    """Its position in the spec's objects."""
    kind: str
    distance: int
    """Tiles between the nearest explored moment and the object's box, -1 if nothing came within a screen."""
    playthrough: str | None = None
    """The recording made of that moment."""


@dataclass(frozen=True)
class Find:
    """Something that a probe saw during the search; one for each cluster of states that look alike."""

    label: str
    score: float
    """As first seen, 0..1."""
    cluster: int
    step: int
    """Of the way that leads to it."""
    frames: int
    """In a row over which the score held when the way was played again."""
    confirmed: bool
    """Whether it was there again, and for long enough. What is not confirmed may have been a flicker."""
    playthrough: str | None = None
    """Id of the recording that shows it, None where it is not confirmed."""


@dataclass(frozen=True)
class Exploration:
    """The result for one world."""

    world: str
    model: str
    seed: int
    budget: Budget
    search: tuple[Playthrough, ...]
    """Recordings to scan: parents' replays, happenings, sights, and a cover of the scenes."""
    sample: tuple[Playthrough, ...]
    """Every sample episode."""
    curves: dict[str, NDArray[np.int64]]
    """Per arm (N, 2): steps so far and distinct cells so far."""
    visited: dict[str, NDArray[np.int64]]
    """Per arm (MAP_HEIGHT, MAP_WIDTH): steps spent on each tile."""
    coverage: CoverageStats
    happenings: tuple[Happening, ...] = ()
    sights: tuple[Sight, ...] = ()
    legacy: Legacy | None = field(default=None, compare=False)
    """What remixes of this world may go on from; None in older files."""
    scenes: tuple[int, int] = (0, 0)
    """Scenes that the search recordings show, and scenes that the search reached."""
    finds: tuple[Find, ...] = ()
    """What the seekers came upon, confirmed or not; nothing where no probe was given."""
    seconds: float = field(default=0.0, compare=False)
    """Wall time of this process's part; not part of what must repeat."""

    @property
    def playthroughs(self) -> tuple[Playthrough, ...]:
        """All recordings to scan."""
        return self.search + self.sample

    def save(self, path: Path) -> None:
        """Write to one ``.npz`` file, whole or not at all."""
        arrays: dict[str, NDArray[Any]] = {}
        heads = {}
        for arm, playthroughs in (("search", self.search), ("sample", self.sample)):
            packed, heads[arm] = storage.pack(playthroughs, arm)
            arrays |= packed | {f"{arm}.curve": self.curves[arm], f"{arm}.visited": self.visited[arm]}
        if self.legacy is not None:
            arrays |= {f"legacy.{name}": array for name, array in self.legacy.arrays().items()}
        simple = ("world", "model", "seed", "scenes", "seconds")
        meta = {name: getattr(self, name) for name in simple} | {
            "kind": "exploration",
            "heads": heads,
            "budget": asdict(self.budget),
            "coverage": asdict(self.coverage),
            "happenings": [asdict(h) for h in self.happenings],
            "sights": [asdict(s) for s in self.sights],
            "finds": [asdict(f) for f in self.finds],
        }
        storage.write(path, arrays, meta)

    @classmethod
    def load(cls, path: Path) -> Exploration:
        """What :meth:`save` wrote. Raises ``bots.storage.StorageError`` for any other file."""
        arrays, meta = storage.read(path)
        if meta.get("kind") != "exploration":
            raise storage.StorageError(f"{path} holds no exploration; give the file that save() wrote")
        search, sample = (tuple(storage.unpack(arrays, meta["heads"][arm], arm)) for arm in ARMS)
        left = {name.removeprefix("legacy."): a for name, a in arrays.items() if name.startswith("legacy.")}
        return cls(
            world=meta["world"],
            model=meta["model"],
            seed=meta["seed"],
            budget=Budget(**meta["budget"]),
            search=search,
            sample=sample,
            curves={arm: arrays[f"{arm}.curve"] for arm in ARMS},
            visited={arm: arrays[f"{arm}.visited"] for arm in ARMS},
            coverage=CoverageStats(**meta["coverage"]),
            happenings=tuple(Happening(**h) for h in meta["happenings"]),
            sights=tuple(Sight(**s) for s in meta["sights"]),
            legacy=Legacy(**left) if left else None,
            scenes=(meta["scenes"][0], meta["scenes"][1]),
            finds=tuple(Find(**f) for f in meta.get("finds", ())),
            seconds=meta["seconds"],
        )
